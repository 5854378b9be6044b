//! What a visitor is shown, and how much an archive may ask for.

use std::io::{self, Read};
use std::ops::Range;

use crate::tree::TreePath;

/// How much an archive may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Entries in each archive.
    pub entries: u64,
    /// Plain bytes of each archive; less where the fetched file is small, by [`most`](crate::layer::decompress::most).
    pub bytes: u64,
    /// Bytes of one file.
    pub file: u64,
    /// Bytes of an xz dictionary.
    pub dictionary: u64,
    /// Bytes of a zip inside another archive: it is kept in memory.
    pub inside: u64,
    /// Names that differ by case alone are two; otherwise they are refused.
    pub case: bool,
}

impl Default for Limits {
    /// A million entries, 64 GiB, 4 GiB for a file; 256 and 64 MiB of memory.
    fn default() -> Self {
        Self {
            entries: 1_000_000,
            bytes: 64 << 30,
            file: 4 << 30,
            dictionary: 256 << 20,
            inside: 64 << 20,
            case: false,
        }
    }
}

/// One member of an archive.
pub struct Member<'a> {
    /// Where it belongs, leading components dropped; the root is a file that was only compressed, and has no name.
    pub path: TreePath,
    /// Permission bits with setuid, setgid and sticky: 0 to 0o7777.
    pub mode: u32,
    /// User and group by number, where the format says them.
    pub owner: Option<(u32, u32)>,
    /// What it is.
    pub what: What<'a>,
}

/// What a member is.
pub enum What<'a> {
    /// A directory; those above a member need not be members themselves.
    Directory,
    /// A file.
    File {
        /// Which may be left unread.
        content: &'a mut dyn Read,
        /// Where it lies in the fetched file, if it is there as it is.
        at: Option<Range<u64>>,
    },
    /// A symbolic link and its target, as written: it may lead anywhere.
    Symlink(Vec<u8>),
    /// Another name of a file that was shown before; never of another hard link.
    HardLink(TreePath),
}

/// Is shown the members.
pub type Visit<'v> = &'v mut dyn FnMut(Member<'_>) -> io::Result<()>;
