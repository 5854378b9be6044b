//! Encoding 1: `[[edit]]`, `[[owner]]` and `[[ca]]`, changes of what stands below.
//!
//! Owns what comes of a file that entries change, one after the other. A file that changes has a content of its own, whatever
//! other names it had. Decides bytes: never edited once encoding 1 is frozen, only added beside.

use std::collections::BTreeMap;

use super::expand::{Context, source_key};
use super::layers::{Claim, Unit};
use crate::plan::Fault;
use crate::recipe::{Change, Owner, ResolvedAction, SourcePath};
use crate::tree::{Attributes, Content, Kind, Node, SourceKey, SourceNode, SourceTree, TreePath};

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

/// What a name or number stands for.
type Ids<'o> = &'o dyn Fn(&Owner) -> Result<(u32, u32), Fault>;

impl<'a> Changes<'a> {
    pub(super) const fn new(cx: &'a Context<'a>) -> Self {
        Self { cx, paths: BTreeMap::new() }
    }

    pub(super) fn add(&mut self, unit: usize, action: &ResolvedAction, owner: Ids<'_>) -> Result<(), Fault> {
        match action {
            ResolvedAction::Edit { path, change } => {
                let tree = self.below(path)?;
                let (at, text) = self
                    .text(unit, path, tree)?
                    .ok_or_else(|| Fault::NotInBase { path: path.path.clone() })?;
                let text = edited(text, change)?;
                self.paths.entry(at).and_modify(|changed| changed.text = Some(text));
                Ok(())
            }
            ResolvedAction::Ca { from, bundles } => {
                let certificates = self.certificates(from)?;
                let mut any = false;
                for bundle in bundles {
                    let tree = self.below(bundle)?;
                    let Some((at, mut text)) = self.text(unit, bundle, tree)? else { continue };
                    any = true;
                    // Two of the paths may lead to one file.
                    if !text.windows(certificates.len()).any(|window| window == certificates) {
                        end_line(&mut text);
                        text.extend_from_slice(&certificates);
                        self.paths.entry(at).and_modify(|changed| changed.text = Some(text));
                    }
                }
                if any { Ok(()) } else { Err(Fault::NoBundle) }
            }
            ResolvedAction::Owner { path, owner: name, mode } => {
                let ids = name.as_ref().map(|name| owner(name)).transpose()?;
                let tree = self.below(path)?;
                if tree.nodes.is_empty() {
                    return Err(Fault::NotInBase { path: path.path.clone() });
                }
                for (number, at) in tree.nodes.keys().enumerate() {
                    let Some(changed) = self.changed(unit, tree, at) else { continue };
                    if let Some((uid, gid)) = ids {
                        (changed.attributes.uid, changed.attributes.gid) = (uid, gid);
                    }
                    // What `path` names comes first, whatever is below.
                    if let (Some(mode), 0) = (mode, number) {
                        changed.attributes.mode = *mode;
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
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
        let key = SourceKey { origin: self.cx.base.to_owned(), ..source_key(path) };
        self.cx.sources.get(&key).ok_or_else(|| Fault::NotInBase { path: path.path.clone() })
    }

    /// Where a file really lies and what it holds by now; nothing where there is none.
    fn text(
        &mut self,
        unit: usize,
        path: &SourcePath,
        tree: &SourceTree,
    ) -> Result<Option<(TreePath, Vec<u8>)>, Fault> {
        let Some(at) = tree.nodes.keys().next() else { return Ok(None) };
        let read = self.cx.read;
        let changed = self.changed(unit, tree, at);
        let Some(Changed { kind: Kind::File(content), text, .. }) = changed else {
            return Err(Fault::NotAFile { path: path.path.clone() });
        };
        let text = match text {
            Some(text) => text.clone(),
            None => read(content)?,
        };
        Ok(Some((at.clone(), text)))
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
        let tree = self.cx.sources.get(&source_key(from));
        let node = tree.and_then(|tree| tree.nodes.values().next().filter(|_| tree.single));
        let Some(SourceNode::File { content, .. }) = node else {
            return Err(Fault::NotAFile { path: from.path.clone() });
        };
        let mut text = (self.cx.read)(content)?;
        if !String::from_utf8_lossy(&text).contains("-----BEGIN CERTIFICATE-----") {
            return Err(Fault::NoCertificate { from: from.path.clone() });
        }
        end_line(&mut text);
        Ok(text)
    }
}

/// A line that isn't ended is.
fn end_line(text: &mut Vec<u8>) {
    if text.last().is_some_and(|byte| *byte != b'\n') {
        text.push(b'\n');
    }
}

fn edited(mut text: Vec<u8>, change: &Change) -> Result<Vec<u8>, Fault> {
    match change {
        Change::Append(added) => {
            end_line(&mut text);
            text.extend_from_slice(added.as_bytes());
            end_line(&mut text);
            Ok(text)
        }
        Change::Prepend(added) => {
            let mut whole = added.as_bytes().to_vec();
            end_line(&mut whole);
            whole.extend_from_slice(&text);
            Ok(whole)
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
                Ok(out)
            } else {
                Err(Fault::EditCount { what: what.value.clone(), expected: *count, found })
            }
        }
    }
}
