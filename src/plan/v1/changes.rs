//! Encoding 1: `[[edit]]`, `[[owner]]` and `[[ca]]`, changes of what stands below.
//!
//! Owns what comes of a file that entries change, one after the other. A file that changes has a content of its own, whatever
//! other names it had. Decides bytes: never edited once encoding 1 is frozen, only added beside.

use std::collections::BTreeMap;

use super::context::Context;
use super::layers::{Claim, Unit};
use crate::plan::Fault;
use crate::recipe::{Change, Mode, SourcePath};
use crate::tree::{Attributes, Content, Kind, Node, SourceNode, SourceTree, TreePath};

/// What becomes of files and directories of what stands below.
pub(super) struct Changes<'a> {
    cx: &'a Context<'a>,
    paths: BTreeMap<TreePath, Changed>,
}

struct Changed {
    /// The entry that changed it first: its layer has it.
    unit: usize,
    kind: Kind,
    attributes: Attributes,
    /// What it holds now, where that was changed.
    text: Option<Vec<u8>>,
}

/// What an `[[owner]]` gives.
pub(super) struct Given<'m> {
    pub(super) ids: Option<(u32, u32)>,
    pub(super) mode: Option<&'m Mode>,
    pub(super) recursive: bool,
}

impl Given<'_> {
    /// Gives it; `named`: to what the entry's path names. Digits are meant for that alone, a change for everything.
    pub(super) fn to(&self, attributes: &mut Attributes, kind: &Kind, named: bool) {
        if let Some((uid, gid)) = self.ids {
            (attributes.uid, attributes.gid) = (uid, gid);
        }
        let directory = matches!(kind, Kind::Directory { .. });
        if let Some(mode) = self.mode
            && (named || matches!(mode, Mode::Change(_)))
            && !matches!(kind, Kind::Symlink(_))
        {
            attributes.mode = mode.apply(attributes.mode, directory);
        }
    }
}

impl<'a> Changes<'a> {
    pub(super) const fn new(cx: &'a Context<'a>) -> Self {
        Self { cx, paths: BTreeMap::new() }
    }

    pub(super) fn edit(&mut self, unit: usize, path: &SourcePath, change: &Change) -> Result<(), Fault> {
        let tree = self.below(path)?;
        let text = self.text(unit, path, tree)?;
        edit(text.ok_or_else(|| Fault::NotInBase { path: path.key.name().to_owned() })?, change)
    }

    pub(super) fn add_certificates(
        &mut self,
        unit: usize,
        from: &SourcePath,
        bundles: &[SourcePath],
    ) -> Result<(), Fault> {
        let certificates = self.certificates(from)?;
        let mut any = false;
        for bundle in bundles {
            let tree = self.below(bundle)?;
            let Some(text) = self.text(unit, bundle, tree)? else { continue };
            any = true;
            // Two of the paths may lead to one file.
            if memchr::memmem::find(text, &certificates).is_none() {
                end_line(text);
                text.extend_from_slice(&certificates);
            }
        }
        if any { Ok(()) } else { Err(Fault::NoBundle) }
    }

    /// Gives owner and mode to what stands below; `covered` says of a path, and whether the entry names it, that the recipe
    /// has something else there. With `found` the recipe has something for the entry itself.
    pub(super) fn give(
        &mut self,
        unit: usize,
        path: &SourcePath,
        given: &Given<'_>,
        covered: &dyn Fn(&TreePath, bool) -> bool,
        found: bool,
    ) -> Result<(), Fault> {
        let tree = match self.below(path) {
            Err(_) if found => return Ok(()),
            tree => tree?,
        };
        if tree.nodes.is_empty() && !found {
            return Err(Fault::NotInBase { path: path.key.name().to_owned() });
        }
        for (number, at) in tree.nodes.keys().enumerate() {
            // What `path` names comes first, whatever is below.
            let named = number == 0;
            if covered(at, named) {
                continue;
            }
            if let Some(changed) = self.changed(unit, tree, at) {
                given.to(&mut changed.attributes, &changed.kind, named);
            }
        }
        Ok(())
    }

    /// Puts what was changed into the layers of the entries that changed it.
    pub(super) fn write(self, units: &mut [Unit], made: &mut BTreeMap<Content, Vec<u8>>) {
        let mtime = self.cx.epoch;
        for (path, changed) in self.paths {
            let Changed { unit, kind, attributes, text } = changed;
            let kind = match text {
                Some(text) => {
                    let content = Content::of(&text);
                    made.insert(content, text);
                    Kind::File(content)
                }
                None => kind,
            };
            match kind {
                Kind::Directory { .. } => {
                    units[unit].directories.insert(path, Claim { attributes, explicit: true, mtime });
                }
                kind => drop(units[unit].nodes.insert(path, Node { kind, attributes, mtime })),
            }
        }
    }

    fn below(&self, path: &SourcePath) -> Result<&'a SourceTree, Fault> {
        let mut key = path.key.clone();
        key.stand_on(self.cx.base);
        self.cx.sources.get(&key).ok_or_else(|| Fault::NotInBase { path: path.key.name().to_owned() })
    }

    /// What a file holds by now; nothing where there is none.
    fn text(
        &mut self,
        unit: usize,
        path: &SourcePath,
        tree: &SourceTree,
    ) -> Result<Option<&mut Vec<u8>>, Fault> {
        let Some(at) = tree.nodes.keys().next() else { return Ok(None) };
        let read = self.cx.read;
        let changed = self.changed(unit, tree, at);
        let Some(Changed { kind: Kind::File(content), text, .. }) = changed else {
            return Err(Fault::NotAFile { path: path.key.name().to_owned() });
        };
        if text.is_none() {
            *text = Some(read(content)?);
        }
        Ok(text.as_mut())
    }

    /// What an entry changes; the first that does so has it in its layer.
    fn changed(&mut self, unit: usize, tree: &SourceTree, at: &TreePath) -> Option<&mut Changed> {
        if !self.paths.contains_key(at) {
            let SourceNode::Kept { kind, attributes } = tree.nodes.get(at)? else { return None };
            let (mut kind, attributes) = (kind.clone(), attributes.clone());
            if let Kind::HardLink(target) = &kind
                && let Some(SourceNode::Kept { kind: own, .. }) = tree.nodes.get(target)
            {
                kind = own.clone();
            }
            self.paths.insert(at.clone(), Changed { unit, kind, attributes, text: None });
        }
        self.paths.get_mut(at)
    }

    fn certificates(&self, from: &SourcePath) -> Result<Vec<u8>, Fault> {
        let tree = self.cx.sources.get(&from.key);
        let node = tree.and_then(|tree| tree.nodes.values().next().filter(|_| tree.single));
        let Some(SourceNode::File { content, .. }) = node else {
            return Err(Fault::NotAFile { path: from.key.name().to_owned() });
        };
        let text = (self.cx.read)(content)?;
        let from = || from.key.name().to_owned();
        let blocks = blocks(&String::from_utf8_lossy(&text))
            .map_err(|(line, why)| Fault::BadCertificate { from: from(), line, why })?;
        if blocks.is_empty() { Err(Fault::NoCertificate { from: from() }) } else { Ok(blocks) }
    }
}

/// The certificates of a PEM file, with nothing around them: a key would be in everybody's bundle, a byte order mark would
/// hide the certificate behind it, and one that is damaged makes OpenSSL refuse the bundle. An error names its line.
fn blocks(text: &str) -> Result<Vec<u8>, (usize, &'static str)> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let (mut out, mut begun, mut digits) = (String::new(), None, String::new());
    for (line, number) in text.lines().zip(1..) {
        // In the middle, too, where files from Windows were put together.
        let line = line.trim_start_matches('\u{feff}').trim_end();
        match begun {
            None if line == BEGIN => begun = Some(number),
            None if line.contains("CERTIFICATE-----") => {
                return Err((
                    number,
                    "a certificate begins with -----BEGIN CERTIFICATE-----, alone on its line",
                ));
            }
            None => continue,
            Some(first) if line == END => {
                if !crate::oci::from_base64(&digits).is_some_and(|der| is_sequence(&der)) {
                    return Err((first, "the certificate is damaged: this isn't all of its base64"));
                }
                digits.clear();
                begun = None;
            }
            Some(_) if line.is_empty() || line.contains('-') => {
                return Err((number, "the certificate is damaged: only base64 belongs here"));
            }
            Some(_) => digits.push_str(line),
        }
        out.push_str(line);
        out.push('\n');
    }
    match begun {
        Some(first) => Err((first, "the certificate isn't ended: -----END CERTIFICATE----- is missing")),
        None => Ok(out.into_bytes()),
    }
}

/// Whether it is one whole sequence of DER: a line that is missing leaves sound base64.
fn is_sequence(der: &[u8]) -> bool {
    match der {
        [0x30, 0x82, high, low, rest @ ..] => rest.len() == usize::from(u16::from_be_bytes([*high, *low])),
        [0x30, 0x81, length, rest @ ..] | [0x30, length @ ..=0x7f, rest @ ..] => {
            rest.len() == usize::from(*length)
        }
        _ => false,
    }
}

/// A line that isn't ended is.
fn end_line(text: &mut Vec<u8>) {
    if text.last().is_some_and(|byte| *byte != b'\n') {
        text.push(b'\n');
    }
}

/// Makes what an `[[edit]]` makes of a text.
pub(super) fn edit(text: &mut Vec<u8>, change: &Change) -> Result<(), Fault> {
    match change {
        Change::Append(added) => {
            end_line(text);
            text.extend_from_slice(added.as_bytes());
            end_line(text);
            Ok(())
        }
        Change::Prepend(added) => {
            let mut first = added.as_bytes().to_vec();
            end_line(&mut first);
            drop(text.splice(..0, first));
            Ok(())
        }
        Change::Replace { what, with, count } => {
            let (mut out, mut rest, mut found) = (Vec::new(), &text[..], 0);
            let wanted = what.as_bytes();
            while let Some(at) = memchr::memmem::find(rest, wanted) {
                out.extend_from_slice(&rest[..at]);
                out.extend_from_slice(with.as_bytes());
                rest = &rest[at + wanted.len()..];
                found += 1;
            }
            out.extend_from_slice(rest);
            if found == *count {
                *text = out;
                Ok(())
            } else {
                Err(Fault::EditCount { what: what.value.clone(), expected: *count, found })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::blocks;

    #[test]
    fn certificates() {
        // An empty sequence.
        let one = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n";
        let two = one.repeat(2);
        for (text, expected) in [
            (one.to_owned(), one),
            (two.clone(), &two),
            (one.trim_end().to_owned(), one),
            (format!("\u{feff}{one}").replace('\n', "\r\n"), one),
            (format!("\u{feff}{one}\u{feff}{one}"), &two),
            (
                format!(
                    "Bag Attributes\n{one}\nsubject=CN\n-----BEGIN X KEY-----\nMAA=\n-----END X KEY-----\n{one}"
                ),
                &two,
            ),
            ("none".to_owned(), ""),
        ] {
            assert_eq!(blocks(&text).unwrap(), expected.as_bytes(), "{text}");
        }
        for (text, line) in [
            (format!("x\n{}", one.split("-----END").next().unwrap()), 2),
            (one.split("MAA").next().unwrap().to_owned(), 1),
            (format!("{one}{}", one.replace("MAA=", "MAE=")), 4),
            (one.replace("MAA=", "MAA"), 1),
            (one.replace("MAA=", "\n"), 2),
            (one.replace("MAA=", one), 2),
            (format!("x {one}"), 1),
            (one.replace("CERT", "TRUSTED CERT"), 1),
            (one.split_once('\n').unwrap().1.to_owned(), 2),
        ] {
            assert_eq!(blocks(&text).unwrap_err().0, line, "{text}");
        }
    }
}
