//! Why something read is refused.
//!
//! Owns the one error enum of the reading half and its small enums of faults. Facts are fields; names are kept as
//! bytes and escaped when shown, so no entry's name reaches a terminal raw.

use std::io;

use crate::digest::{DiffId, Digest};
use crate::tree::TreePath;

/// Why a blob, a layer or one of the texts made from layers is refused.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The source failed.
    #[error("the layer cannot be read")]
    Io(#[source] io::Error),
    /// The compression is damaged, cut, prolonged, or needs more memory than is given to it.
    #[error("the {compression} is damaged: {why}")]
    Compression {
        /// `gzip`
        compression: &'static str,
        /// What the decoder says: no error of this machine's.
        why: String,
    },
    /// The archive is not one that every reader understands alike.
    #[error("{}at byte {offset}: {fault}", entry(path))]
    Tar {
        /// The last name that was read, as it stands in the archive.
        path: Vec<u8>,
        /// How far the archive had been read.
        offset: u64,
        /// What is wrong.
        fault: TarFault,
    },
    /// An entry that can't be part of a layer.
    #[error("entry {}: {fault}", shown(path))]
    Entry {
        /// The entry's name, as it stands in the archive.
        path: Vec<u8>,
        /// What is wrong.
        fault: EntryFault,
    },
    /// The blob has other bytes than its descriptor says.
    #[error("the blob's digest is {actual}, expected {expected}")]
    Digest {
        /// The digest that the descriptor says.
        expected: Digest,
        /// The digest of the bytes.
        actual: Digest,
    },
    /// The blob has another length than its descriptor says.
    #[error("blob {digest} has {} bytes, expected {expected}", length(*actual, *expected))]
    Size {
        /// The digest that the descriptor says.
        digest: Digest,
        /// The size that the descriptor says.
        expected: u64,
        /// Bytes read; reading stops at the first one too many.
        actual: u64,
    },
    /// The blob is intact, but its uncompressed bytes aren't what the image config says.
    #[error("the uncompressed layer of blob {blob} has the digest {actual}, expected {expected}")]
    DiffId {
        /// The compressed blob.
        blob: Digest,
        /// The digest that the image config says.
        expected: DiffId,
        /// The digest of the bytes.
        actual: DiffId,
    },
    /// A header index, facts or another text of ours is damaged.
    #[error("line {line} of the {what}: {fault}")]
    Text {
        /// Which text.
        what: &'static str,
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        fault: TextFault,
    },
    /// A file whose content facts need was not kept while its layer was read.
    #[error("the content of {path} was not kept when its layer was read ({size} bytes)")]
    NotCaptured {
        /// Where it stands.
        path: TreePath,
        /// Its size.
        size: u64,
    },
}

/// What is wrong with an archive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each is its documentation")]
pub enum TarFault {
    #[error("the archive ends in the middle")]
    Truncated,
    #[error("the header's checksum is {recorded}, computed {computed}")]
    Checksum { recorded: i64, computed: i64 },
    #[error("the {field} is not a number in range")]
    Number { field: &'static str },
    #[error("the name is empty")]
    EmptyName,
    #[error("the link target is empty")]
    EmptyTarget,
    #[error("the {field} holds a NUL byte")]
    Nul { field: &'static str },
    #[error("a PAX record is malformed")]
    Record,
    #[error("the PAX record {} is repeated", shown(key))]
    DuplicateRecord { key: Vec<u8> },
    #[error("the PAX record {} has an unusable value", shown(key))]
    RecordValue { key: Vec<u8> },
    #[error("the global PAX record {} is not allowed: readers disagree on it", shown(key))]
    GlobalRecord { key: Vec<u8> },
    #[error("two headers give the {field}: readers disagree on which one counts")]
    Conflict { field: &'static str },
    #[error("the type {} is not supported", shown(&[*flag]))]
    Type { flag: u8 },
    #[error("an entry of this type cannot have {size} bytes of content")]
    HasContent { size: u64 },
    #[error("the map of the sparse file is malformed")]
    Sparse,
    #[error("an extended header has {size} bytes, more than {limit}")]
    ExtensionTooLarge { size: u64, limit: u64 },
    #[error("more than {limit} entries")]
    TooManyEntries { limit: u64 },
    #[error("more than {limit} bytes")]
    TooLarge { limit: u64 },
    #[error("there is data after the end of the archive")]
    AfterEnd,
    #[error("more than {limit} bytes of padding follow the end of the archive")]
    Padding { limit: u64 },
    #[error("an extended header stands before the end of the archive")]
    Dangling,
    #[error("reading went on after an error")]
    AfterError,
}

/// What is wrong with an entry of a layer, alone or beside others.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each is its documentation")]
pub enum EntryFault {
    #[error("the path climbs with ..")]
    Climbs,
    #[error("the path or link target is longer than {limit} bytes")]
    TooLong { limit: usize },
    #[error("a name in the path is longer than {limit} bytes")]
    LongName { limit: usize },
    #[error("the root is not a directory here")]
    Root,
    #[error("a whiteout of nothing, . or ..")]
    Whiteout,
    #[error("the entry lies below a whiteout")]
    BelowWhiteout,
    #[error("the path was another type of entry earlier in the layer")]
    TypeChanges,
    #[error("{ancestor} is not a directory in this layer")]
    NotDirectory { ancestor: TreePath },
    #[error("hard link to {}, which is no file of the layer or below", shown(target))]
    HardLink { target: Vec<u8> },
    #[error("names, link targets and extended attributes of the layer so far take more than {limit} bytes")]
    IndexTooLarge { limit: usize },
    #[error("the directories that the paths of the image imply take more than {limit} bytes")]
    TooManyDirectories { limit: usize },
    #[error("the package database names more than {limit} bytes of packages")]
    TooManyPackages { limit: usize },
    #[error("the package database has {size} bytes, more than {limit}")]
    DatabaseTooLarge { size: u64, limit: u64 },
}

/// What is wrong with a text of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextFault {
    /// Written by a later Cooper, or no such text at all.
    #[error("unknown version {found:?}")]
    Version {
        /// The first line, cut.
        found: String,
    },
    /// Not a line of this format.
    #[error("malformed")]
    Syntax,
    /// Readable, but not as it would be written: unsorted, repeated or spelt another way.
    #[error("not in canonical form")]
    Canonical,
}

fn entry(path: &[u8]) -> String {
    if path.is_empty() { String::new() } else { format!("entry {} ", shown(path)) }
}

pub(super) fn shown(bytes: &[u8]) -> String {
    let end = bytes.len().min(200);
    format!("{}{}", bytes[..end].escape_ascii(), if end < bytes.len() { "…" } else { "" })
}

fn length(actual: u64, expected: u64) -> String {
    if actual > expected { format!("more than {expected}") } else { actual.to_string() }
}
