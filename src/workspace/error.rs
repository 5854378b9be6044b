//! What can be wrong with a workspace.

use std::io;
use std::path::PathBuf;

use crate::digest::Digest;
use crate::disk;
use crate::layer::unpack::UnpackError;
use crate::recipe::GlobFault;

/// Why something of a workspace can't be found or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system said no.
    #[error(transparent)]
    Disk(#[from] disk::Error),
    /// No `cooper.toml` here or above.
    #[error("there is no cooper.toml in {} or above it", start.display())]
    NoWorkspace {
        /// Where the search began.
        start: PathBuf,
    },
    /// A file that must be text isn't.
    #[error("{} is not UTF-8", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
    },
    /// A directory of a recipe or stack whose name can't be one.
    #[error("{} holds a recipe, but its name must match [a-z0-9][a-z0-9._-]*", path.display())]
    Name {
        /// The directory.
        path: PathBuf,
    },
    /// A recipe where none is looked for.
    #[error("{} is never read: no recipe lies there", path.display())]
    Misplaced {
        /// The file.
        path: PathBuf,
    },
    /// A recipe's directory, or one above it, is a symbolic link.
    #[error("{} is a symbolic link: a recipe's directory must be one", path.display())]
    LinkedRecipe {
        /// The link.
        path: PathBuf,
    },
    /// A target that isn't written as one.
    #[error("{text:?} is not a target: {why}")]
    Pattern {
        /// What was given.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// No recipe has that name.
    #[error("there is no recipe {pattern}{}", mean(suggestion))]
    NoTarget {
        /// What was given.
        pattern: String,
        /// What was perhaps meant.
        suggestion: Option<String>,
    },
    /// A recipe's file names nothing.
    #[error("{} is not there{}", path.display(), mean(suggestion))]
    NoSource {
        /// What was looked for.
        path: PathBuf,
        /// What lies there and has a similar name, written as the recipe would.
        suggestion: Option<String>,
    },
    /// A glob of a recipe matches nothing.
    #[error("nothing in {} matches {pattern}", directory.display())]
    NoMatch {
        /// Where it was looked for.
        directory: PathBuf,
        /// The glob.
        pattern: String,
    },
    /// The filters of an entry leave nothing.
    #[error("nothing of {} is left by exclude", path.display())]
    NothingLeft {
        /// What was looked at.
        path: PathBuf,
    },
    /// A glob that can't be read.
    #[error("the glob {pattern} {fault}")]
    Glob {
        /// The glob.
        pattern: String,
        /// What is wrong with it.
        fault: GlobFault,
    },
    /// Two files that a glob matches have one name.
    #[error("{pattern} matches {} and {}, which would both become {name}", one.display(), other.display())]
    SameName {
        /// The glob.
        pattern: String,
        /// Their common last component.
        name: String,
        /// The first.
        one: PathBuf,
        /// The second.
        other: PathBuf,
    },
    /// A path that leaves the recipe's directory, by `..` or through a link.
    #[error("{} leads out of {}", path.display(), directory.display())]
    Outside {
        /// The path.
        path: PathBuf,
        /// Where it must stay.
        directory: PathBuf,
    },
    /// A path that leads anywhere but into the workspace.
    #[error("{} lies outside of the workspace {}", path.display(), root.display())]
    Elsewhere {
        /// The path.
        path: PathBuf,
        /// The workspace.
        root: PathBuf,
    },
    /// A device, FIFO or socket.
    #[error("{} is a {kind}: only files, directories and symbolic links can be in an image's sources", path.display())]
    Special {
        /// The path.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// A committed blob has other bytes than its name says.
    #[error(
        "{} is not what its name says{}", path.display(),
        if *crlf { ": its line endings were converted; add `lockfiles/blobs/** -text` to .gitattributes" } else { "" }
    )]
    Blob {
        /// The blob.
        path: PathBuf,
        /// Whether only the line endings differ.
        crlf: bool,
    },
    /// An archive of another workspace that can't be taken apart.
    #[error("{name}: {source}")]
    Archive {
        /// Where it comes from, as it may be shown.
        name: String,
        /// Why not.
        source: UnpackError,
    },
    /// An archive without a workspace.
    #[error("{name} has no cooper.toml, neither at its top nor in the one directory there")]
    NoWorkspaceIn {
        /// Where it comes from, as it may be shown.
        name: String,
    },
    /// A content that none of the sources read has.
    #[error("no source that was read has the content {digest}")]
    UnknownContent {
        /// The digest of the content.
        digest: Digest,
    },
}

impl Error {
    /// Whether a path of the workspace leads out of it.
    pub const fn leads_out(&self) -> bool {
        matches!(self, Self::Elsewhere { .. } | Self::Disk(disk::Error::Led { .. }))
    }
}

/// For readers: the same in words and in kind.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Disk(disk::Error::Io { source, .. }) => source.kind(),
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

fn mean(suggestion: &Option<String>) -> String {
    suggestion.iter().map(|name| format!("; did you mean {name}?")).collect()
}
