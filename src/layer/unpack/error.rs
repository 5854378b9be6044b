//! Why an archive from elsewhere is refused.
//!
//! Owns the errors of unpacking. Whoever fetched the archive adds where it came from.

use std::io;

use crate::layer::error::{ReadError, shown};
use crate::tree::{StepError, TreePath};

/// Why an archive isn't unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The source failed.
    #[error("the archive cannot be read")]
    Io(#[source] io::Error),
    /// The steps can't be followed, whatever the archive holds.
    #[error(transparent)]
    Steps(#[from] StepError),
    /// A tar or a compressed stream is refused by its reader.
    #[error(transparent)]
    Read(ReadError),
    /// An entry that is not unpacked.
    #[error("entry {}: {fault}", shown(path))]
    Entry {
        /// The entry's name, as it stands in the archive.
        path: Vec<u8>,
        /// What is wrong.
        fault: UnpackFault,
    },
    /// Whoever was shown an entry couldn't take it.
    #[error("entry {}", shown(path))]
    Visit {
        /// The entry's name, as it stands in the archive.
        path: Vec<u8>,
        /// What the visitor says.
        source: io::Error,
    },
    /// The first bytes are of no format that is known.
    #[error("the first bytes show none of these: {formats}")]
    Unknown {
        /// What was looked for.
        formats: &'static str,
    },
    /// There is no tar where one was expected.
    #[error("{}", no_tar(compression))]
    NoTar {
        /// What it is compressed with, if it is.
        compression: &'static str,
    },
    /// The file that the next step should read isn't there.
    #[error("the archive has no file {member}{}", others(names))]
    NoMember {
        /// That file.
        member: String,
        /// Some files that are there.
        names: Vec<Vec<u8>>,
    },
    /// An `ar` archive is damaged, or of a dialect that Debian packages don't have.
    #[error("the ar archive is damaged at byte {offset}: {why}")]
    Ar {
        /// How far it had been read.
        offset: u64,
        /// What is wrong.
        why: &'static str,
    },
    /// A zip is damaged.
    #[error("the zip is damaged: {why}")]
    Zip {
        /// What its reader says.
        why: String,
    },
    /// More entries than allowed.
    #[error("more than {limit} entries")]
    TooManyEntries {
        /// As many are allowed.
        limit: u64,
    },
    /// A file that is only compressed has more bytes than allowed.
    #[error("the file has more than {limit} bytes")]
    LoneTooLarge {
        /// As many are allowed.
        limit: u64,
    },
    /// A zip inside another archive has to be kept in memory.
    #[error("a zip inside another archive has more than {limit} bytes")]
    ZipInside {
        /// As many are allowed.
        limit: u64,
    },
}

/// What is wrong with an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each is its documentation")]
pub enum UnpackFault {
    #[error("the name is empty")]
    Empty,
    #[error("the name or link target is longer than {limit} bytes")]
    TooLong { limit: usize },
    #[error("a name in the path is longer than {limit} bytes")]
    LongName { limit: usize },
    #[error("the path is absolute")]
    Absolute,
    #[error("the path climbs with ..")]
    Climbs,
    #[error("the name or link target holds a NUL byte")]
    Nul,
    #[error("the name holds a backslash")]
    Backslash,
    #[error("the name is neither ASCII nor UTF-8: readers disagree on it")]
    Encoding,
    #[error("the name would hide files of lower layers (.wh.)")]
    Whiteout,
    #[error("the root is not a directory here")]
    Root,
    #[error("it is {what}: only files, directories and links are unpacked")]
    Type { what: &'static str },
    #[error("its name and its mode say different types")]
    TypeConflict,
    #[error("the path stands in the archive before")]
    Duplicate,
    #[error("{ancestor} is not a directory in this archive")]
    NotDirectory { ancestor: TreePath },
    #[error(
        "it differs from {} in nothing but upper and lower case, which case-clash = \"ok\" would allow",
        shown(other)
    )]
    Case { other: Vec<u8> },
    #[error("hard link to {}, which is no file that was unpacked before", shown(target))]
    HardLink { target: Vec<u8> },
    #[error("the file has {size} bytes, more than {limit}")]
    FileTooLarge { size: u64, limit: u64 },
    #[error("the archive has more than {limit} bytes of content")]
    TooLarge { limit: u64 },
    #[error("the names of the archive so far take more than {limit} bytes")]
    TooManyNames { limit: usize },
    #[error("the file is encrypted")]
    Encrypted,
    #[error("the compression method {method} is not supported")]
    Method { method: String },
    #[error("{why}")]
    Damaged { why: String },
    #[error("a Debian package has only one data.tar")]
    SecondData,
}

impl UnpackFault {
    /// Whether it is about what an entry is and nothing else, so that the archive can do without it. What takes memory or
    /// time, and what is damaged, is more than that.
    pub(super) const fn is_one_entrys(&self) -> bool {
        !matches!(
            self,
            Self::FileTooLarge { .. }
                | Self::TooLarge { .. }
                | Self::TooManyNames { .. }
                | Self::Damaged { .. }
                | Self::SecondData
        )
    }
}

impl UnpackError {
    pub(super) fn entry(path: &[u8], fault: UnpackFault) -> Self {
        Self::Entry { path: path.to_vec(), fault }
    }
}

impl From<ReadError> for UnpackError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Io(error) => Self::Io(error),
            other => Self::Read(other),
        }
    }
}

fn no_tar(compression: &str) -> String {
    if compression.is_empty() {
        return "it is no tar".into();
    }
    let format = match compression {
        "gzip" => "gz",
        "zstd" => "zst",
        "bzip2" => "bz2",
        other => other,
    };
    format!("the {compression} holds no tar: unpack = \"{format}\" takes a file that is only compressed")
}

fn others(names: &[Vec<u8>]) -> String {
    if names.is_empty() {
        return " and no other".into();
    }
    let names: Vec<String> = names.iter().map(|name| shown(name)).collect();
    format!(", but {}", names.join(", "))
}
