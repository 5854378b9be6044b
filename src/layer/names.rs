//! Whether a base has a file at a path, asked of kept scans without reading all of them.
//!
//! A guard asks this of one or two new directories on every build; parsing the whole header index for it would take
//! longer than the build.

use std::ops::Range;

use super::kept::header_index_of;
use super::text::push_path;
use crate::tree::TreePath;

/// The lines of one layer's header index, found by path.
#[derive(Debug)]
pub struct Names {
    text: Vec<u8>,
    /// Where the path of each line lies in the text; one byte, the mark, and a space stand before it.
    paths: Vec<Range<usize>>,
}

/// What a layer says of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Directory,
    Other,
    TakenAway,
}

impl Names {
    /// Of a kept scan, as `LayerScan::to_bytes` wrote it; none if this version doesn't know it.
    pub fn of(kept: Vec<u8>) -> Option<Self> {
        let index = header_index_of(&kept)?;
        let mut paths = Vec::new();
        let mut start = index.start;
        for line in kept[index].split_inclusive(|&byte| byte == b'\n') {
            let rest = line.get(2..).filter(|rest| rest.starts_with(b"/"));
            if let Some(length) = rest.and_then(|rest| rest.iter().position(|byte| b" \n".contains(byte))) {
                paths.push(start + 2..start + 2 + length);
            }
            start += line.len();
        }
        // Sorted as they are spelt: marks come before entries, and escapes sort otherwise than the bytes they mean.
        paths.sort_unstable_by(|a, b| kept[a.clone()].cmp(&kept[b.clone()]));
        Some(Self { text: kept, paths })
    }

    /// The marks of the lines about a path.
    fn marks(&self, path: &TreePath) -> impl Iterator<Item = u8> {
        let mut spelt = String::new();
        push_path(&mut spelt, path);
        let first = self.paths.partition_point(|range| self.text[range.clone()] < *spelt.as_bytes());
        self.paths[first..]
            .iter()
            .take_while(move |range| self.text[(*range).clone()] == *spelt.as_bytes())
            .map(|range| self.text[range.start - 2])
    }

    fn says(&self, path: &TreePath) -> Option<Said> {
        let mut taken = false;
        for mark in self.marks(path) {
            match mark {
                b'o' => {}
                b'w' => taken = true,
                b'd' => return Some(Said::Directory),
                _ => return Some(Said::Other),
            }
        }
        let above_takes = |above: TreePath| {
            self.marks(&above).any(|mark| mark != b'd') // a whiteout, an opaque mark, a file in a directory's place
        };
        let root_is_opaque = self.marks(&TreePath::root()).any(|mark| mark == b'o');
        (taken || root_is_opaque || path.ancestors().any(above_takes)).then_some(Said::TakenAway)
    }
}

/// Whether something that is no directory stands at `path` in the image of these layers, lowest first.
pub fn is_file<'n>(layers: impl DoubleEndedIterator<Item = &'n Names>, path: &TreePath) -> bool {
    layers.rev().find_map(|layer| layer.says(path)) == Some(Said::Other)
}

#[cfg(test)]
mod tests {
    use super::super::index::tests::{index, path};
    use super::super::merged::Merged;
    use super::super::scan::LayerScan;
    use super::super::tar::build::{Tar, tar};
    use super::*;
    use crate::digest::{DiffId, Digest};

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
        let names: Vec<_> = indexes.into_iter().map(|i| Names::of(scan(i).to_bytes()).unwrap()).collect();
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
        assert!(Names::of(b"something else\n".to_vec()).is_none());
    }
}
