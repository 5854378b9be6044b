//! Whether a base has a file at a path, asked of kept scans without reading all of them.
//!
//! A guard asks this of one or two new directories on every build; reading the whole header index for it would take
//! longer than the build. The text is sorted (marks, then entries, each by path), so a search by halves needs a few
//! pieces of it.

use std::cmp::Ordering;
use std::ops::Range;

use super::kept::header_index_of;
use super::text::unescape;
use crate::tree::TreePath;

/// Gives up to so many bytes from an offset on.
pub type ReadAt = Box<dyn Fn(usize, usize) -> Option<Vec<u8>>>;

/// One layer's header index, read by pieces.
pub struct Names {
    read: ReadAt,
    /// Where its lines are in what is read.
    lines: Range<usize>,
}

/// What a layer says of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Directory,
    Other,
    Nothing,
}

/// More than most lines have up to the end of the path.
const PIECE: usize = 256;

impl Names {
    /// Finds the names in a kept scan of so many bytes, as `LayerScan::to_bytes` wrote it; none if this version doesn't know it.
    pub fn of(size: usize, read: ReadAt) -> Option<Self> {
        let lines = header_index_of(&read(0, 4 * PIECE)?, size)?;
        let version = read(lines.start, PIECE)?.iter().position(|&byte| byte == b'\n')?;
        Some(Self { read, lines: lines.start + version + 1..lines.end })
    }

    /// The first line that begins at `from` or later: where, its mark, its path. `Some(None)` when there is none.
    fn line(&self, from: usize) -> Option<Option<(u8, Vec<u8>)>> {
        let (mut piece, mut length) = (Vec::new(), PIECE);
        // The end of the line before tells where one begins.
        let back = usize::from(from > self.lines.start);
        loop {
            let most = length.min(self.lines.end - (from - back));
            if most > piece.len() {
                piece = (self.read)(from - back, most)?;
            }
            let start =
                if back == 0 { Some(0) } else { piece.iter().position(|&b| b == b'\n').map(|at| at + 1) };
            let line = start.map(|start| &piece[start..]);
            if let Some(line) = line
                && let Some(end) = line.iter().skip(2).position(|byte| b" \n".contains(byte))
            {
                let path = std::str::from_utf8(line[2..2 + end].strip_prefix(b"/")?).ok()?;
                return Some(Some((line[0], unescape(path)?.into_owned())));
            }
            if most < length {
                return line.is_none_or(<[u8]>::is_empty).then_some(None);
            }
            length *= 4;
        }
    }

    /// The mark of the line about a path: of opaque marks (0), whiteouts (1) or entries (2).
    fn mark(&self, section: u8, path: &TreePath) -> Option<Option<u8>> {
        let section_of = |mark: u8| match mark {
            b'o' => 0,
            b'w' => 1,
            _ => 2,
        };
        let order = |mark: u8, found: &[u8]| section_of(mark).cmp(&section).then(found.cmp(path.as_bytes()));
        let Range { start: mut low, end: mut high } = self.lines;
        while low < high {
            let middle = low + (high - low) / 2;
            match self.line(middle)? {
                Some((mark, found)) if order(mark, &found) == Ordering::Less => low = middle + 1,
                _ => high = middle,
            }
        }
        let found = if low < self.lines.end { self.line(low)? } else { None };
        Some(found.filter(|(mark, path)| order(*mark, path) == Ordering::Equal).map(|(mark, _)| mark))
    }

    /// What the layer has at a path, or that it has nothing there; none when it can't be read.
    fn entry(&self, path: &TreePath) -> Option<Said> {
        Some(match self.mark(2, path)? {
            Some(b'd') => Said::Directory,
            Some(_) => Said::Other,
            None => Said::Nothing,
        })
    }

    /// Whether the layer hides what those below have at a path.
    fn hides(&self, path: &TreePath) -> Option<bool> {
        if self.mark(1, path)?.is_some() || self.mark(0, &TreePath::root())?.is_some() {
            return Some(true);
        }
        for above in path.ancestors() {
            let hides = self.entry(&above)? == Said::Other
                || self.mark(1, &above)?.is_some()
                || self.mark(0, &above)?.is_some();
            if hides {
                return Some(true);
            }
        }
        Some(false)
    }
}

/// Whether something that is no directory stands at `path` in the image of these layers, lowest first. No, where a
/// layer can't be read.
pub fn is_file<'n>(layers: impl DoubleEndedIterator<Item = &'n Names>, path: &TreePath) -> bool {
    let mut layers = layers.rev().peekable();
    while let Some(layer) = layers.next() {
        match layer.entry(path) {
            Some(Said::Nothing) if layers.peek().is_some() && layer.hides(path) == Some(false) => {}
            said => return said == Some(Said::Other),
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::super::index::tests::{index, path};
    use super::super::merged::Merged;
    use super::super::scan::LayerScan;
    use super::super::tar::build::{Tar, tar};
    use super::*;
    use crate::digest::{DiffId, Digest};

    fn names(kept: Vec<u8>) -> Option<Names> {
        let size = kept.len();
        let read =
            move |at: usize, length: usize| kept.get(at..kept.len().min(at + length)).map(<[u8]>::to_vec);
        Names::of(size, Box::new(read))
    }

    fn agree(layers: &[Tar], paths: &[&str]) -> Vec<bool> {
        let indexes: Vec<_> = layers.iter().map(|layer| index(layer.clone()).unwrap()).collect();
        let merged = Merged::of(&indexes).unwrap();
        let scan = |index| LayerScan {
            digest: Digest::of(b""),
            size: 0,
            diff_id: DiffId(Digest::of(b"")),
            index,
            captured: crate::layer::captured::Captured::default(),
        };
        let names: Vec<_> = indexes.into_iter().map(|i| names(scan(i).to_bytes()).unwrap()).collect();
        let answers = paths.iter().map(|text| {
            let asked = path(text);
            let there = merged.get(&asked).is_some() && !merged.is_dir(&asked);
            assert_eq!(is_file(names.iter(), &asked), there, "{text}");
            there
        });
        answers.collect()
    }

    #[test]
    fn answers_as_the_merged_view_does() {
        let low =
            tar().dir("a/").file("a/f", b"x").file("a b", b"x").dir("d/").file("d/f", b"x").symlink("l", "a");
        let up = tar().file("a/.wh.f", b"").file("d/.wh..wh..opq", b"").file("d/new", b"x").file("top", b"x");
        let over = tar().file("a", b"now a file");
        let asked = ["a", "a/f", "a b", "d", "d/f", "d/new", "top", "l", "none", "d/new/x"];
        assert_eq!(
            agree(std::slice::from_ref(&low), &asked),
            [false, true, true, false, true, false, false, true, false, false]
        );
        agree(&[low.clone(), up.clone()], &asked);
        agree(&[low, up, over], &asked);
        assert!(names(b"something else\n".to_vec()).is_none());
    }

    #[test]
    fn long_and_odd_names_are_found() {
        let long = "x/".repeat(700) + "end";
        let mut layer = tar();
        for number in 0..300 {
            layer = layer.file(&format!("many/{number} of them"), b"x");
        }
        let pax = |layer: Tar, name: &str| layer.pax(&[("path", name.as_bytes())]).file("short", b"x");
        layer = pax(pax(layer, &long), "zz/\u{e4}\\ end");
        let asked = [
            "many/0 of them",
            "many/299 of them",
            "many/300 of them",
            &long,
            "zz/\u{e4}\\ end",
            "zz",
            "a",
            "zzz",
        ];
        assert_eq!(agree(&[layer], &asked), [true, true, false, true, true, false, false, false]);
    }
}
