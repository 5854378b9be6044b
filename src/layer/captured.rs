//! What is kept of a layer's contents while it passes by: the files that facts and package lists are made from.
//!
//! Owns which files those are and the text that is stored beside the header index, so that a layer is read once for
//! all images that share it. Which of the files an image shows is for [`facts`](super::facts) and
//! [`packages`](super::packages) to say.

use std::collections::BTreeMap;
use std::io::Read;

use super::error::{EntryFault, ReadError};
use super::packages::{Packages, database};
use super::tar::{Entry, EntryKind};
use super::text::{Fields, Lines, check_canonical, push_content, push_path};
use crate::tree::TreePath;

/// A user database beyond this isn't kept.
const LARGEST_FILE: u64 = 1 << 20;
/// Nor are all of them together beyond this.
const MOST_BYTES: u64 = 16 << 20;
/// A package database beyond this is refused.
const LARGEST_DATABASE: u64 = 64 << 20;
const WHAT: &str = "captured files";
const VERSION: &str = "captured 1";

/// Contents kept from one layer, under the names that they have there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Captured {
    /// What may be /etc/passwd or /etc/group.
    pub files: BTreeMap<TreePath, Vec<u8>>,
    /// What package databases say.
    pub packages: BTreeMap<TreePath, Packages>,
    bytes: u64,
}

impl Captured {
    /// Keeps an entry's content if it may be needed; reads it only then.
    pub(super) fn offer(
        &mut self,
        path: &TreePath,
        entry: &Entry,
        mut content: impl Read,
    ) -> Result<(), ReadError> {
        // A repeated name: the later one counts.
        if let Some(old) = self.files.remove(path) {
            self.bytes = self.bytes.saturating_sub(old.len() as u64);
        }
        self.packages.remove(path);
        if entry.kind != EntryKind::Regular {
            return Ok(());
        }
        if let Some(ecosystem) = database::ecosystem_of(path) {
            if entry.size > LARGEST_DATABASE {
                let fault = EntryFault::DatabaseTooLarge { size: entry.size, limit: LARGEST_DATABASE };
                return Err(ReadError::Entry { path: entry.path.clone(), fault });
            }
            let packages = database::read(ecosystem, &entry.path, content)?;
            self.packages.insert(path.clone(), packages);
        } else if is_user_database(path, entry.mode)
            && entry.size <= LARGEST_FILE
            && self.bytes.saturating_add(entry.size) <= MOST_BYTES
        {
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes).map_err(ReadError::Io)?;
            self.bytes += bytes.len() as u64;
            self.files.insert(path.clone(), bytes);
        }
        Ok(())
    }

    /// The canonical text: files, then databases, each sorted by path.
    pub fn to_text(&self) -> String {
        let mut out = format!("{VERSION}\n");
        for (path, bytes) in &self.files {
            out.push_str("file ");
            push_path(&mut out, path);
            out.push('\n');
            push_content(&mut out, bytes);
        }
        for (path, packages) in &self.packages {
            out.push_str("database ");
            push_path(&mut out, path);
            out.push('\n');
            packages.push(&mut out);
        }
        out
    }

    /// Reads the canonical text.
    ///
    /// # Errors
    /// Another version, or not exactly what [`to_text`](Self::to_text) writes.
    pub fn parse(text: &[u8]) -> Result<Self, ReadError> {
        let mut captured = Self::default();
        let mut lines = Lines::of(WHAT, VERSION, text)?;
        let mut database = None;
        while let Some(line) = lines.next() {
            captured.take(line, &mut lines, &mut database).ok_or_else(|| lines.malformed())?;
        }
        check_canonical(WHAT, text, &captured.to_text())?;
        Ok(captured)
    }

    fn take(&mut self, line: &str, lines: &mut Lines<'_>, database: &mut Option<TreePath>) -> Option<()> {
        let mut fields = Fields::of(line);
        match fields.word()? {
            "file" => {
                let path = fields.path()?;
                let bytes = lines.content()?;
                self.bytes = self.bytes.checked_add(bytes.len() as u64)?;
                self.files.insert(path, bytes);
                fields.end()
            }
            "database" => {
                let path = fields.path()?;
                self.packages.insert(path.clone(), Packages::default());
                *database = Some(path);
                fields.end()
            }
            _ => self.packages.get_mut(database.as_ref()?)?.take(line),
        }
    }
}

/// Whether /etc/passwd or /etc/group may turn out to be this file, by itself or as the target of a link.
fn is_user_database(path: &TreePath, mode: u32) -> bool {
    // `passwd-` is the backup that a hard link may share its content with, `…-passwd` what Nix links to.
    let name = path.name().strip_suffix(b"-").unwrap_or(path.name());
    let name = name.iter().rposition(|&byte| byte == b'-').map_or(name, |dash| &name[dash + 1..]);
    let named = matches!(name, b"passwd" | b"group");
    // The programs of the same names aren't meant.
    named && (mode & 0o111 == 0 || matches!(path.as_bytes(), b"etc/passwd" | b"etc/group"))
}
