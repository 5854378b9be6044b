//! What is wrong with a recipe's entries, found while they are planned.

use super::v1::ResolveError;
use crate::recipe::{At, Change, Resolved, ResolvedAction, ResolvedEntry, ResolvedSource, TemplateError};
use crate::tree::{TreePath, TreePathError};

/// An image can't have more layers than engines mount.
pub(super) const MAX_LAYERS: usize = 120;

/// An entry that can't be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{fault}")]
pub struct Error {
    /// The entry.
    pub at: At,
    /// What is wrong with it.
    #[source]
    pub fault: Fault,
}

/// What is wrong with an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// No file system takes such a name.
    #[error("{start} has a name or path of {length} bytes, and at most {most} can be unpacked")]
    TooLong {
        /// How it begins.
        start: String,
        /// Its bytes.
        length: usize,
        /// How many there may be.
        most: usize,
    },
    /// Not a path inside an image.
    #[error("{:?}: {source}", path.chars().take(200).collect::<String>())]
    Path {
        /// As written.
        path: String,
        /// Why.
        source: TreePathError,
    },
    /// A pattern that can't be read.
    #[error("{pattern:?} is no pattern")]
    Pattern {
        /// As written.
        pattern: String,
    },
    /// A path that leads nowhere.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// A source that wasn't read.
    #[error("{from:?} is not there")]
    NoSource {
        /// As written.
        from: String,
    },
    /// A source whose bytes can't be had.
    #[error("{message}")]
    Unreadable {
        /// Which and why.
        message: String,
    },
    /// A template that can't be filled in.
    #[error("the template can't be filled in: {error}")]
    Template {
        /// The file, relative to the workspace.
        file: String,
        /// What is wrong, and where in the file.
        error: TemplateError,
        /// A name that is defined, when one isn't.
        suggestion: Option<String>,
    },
    /// A name that the base doesn't know.
    #[error("the base has no user {name:?}")]
    UnknownUser {
        /// As written.
        name: String,
        /// Those that it has.
        known: Vec<String>,
    },
    /// A name that the base doesn't know.
    #[error("the base has no group {name:?}")]
    UnknownGroup {
        /// As written.
        name: String,
        /// Those that it has.
        known: Vec<String>,
    },
    /// A file where the base has a directory.
    #[error("{path} is a directory of the base, and a file can't take its place")]
    OnADirectory {
        /// Where.
        path: TreePath,
    },
    /// A directory where there is something else.
    #[error("{path} is not a directory")]
    NotADirectory {
        /// Where.
        path: TreePath,
    },
    /// Below a file of the base: engines would silently replace it.
    #[error("{}", below_file(path, file))]
    BelowBaseFile {
        /// What was to be written.
        path: TreePath,
        /// The file.
        file: TreePath,
    },
    /// Below a volume of the base: hidden by whatever is mounted there.
    #[error("{path} lies below {volume}, a volume of the base, and would be hidden by what is mounted there")]
    BelowVolume {
        /// What was to be written.
        path: TreePath,
        /// The volume.
        volume: TreePath,
    },
    /// An extended attribute that no layer has: the entry would be built without it.
    #[error(
        "the extended attribute {name} means something to one machine only, and is never written into an image"
    )]
    NeverWritten {
        /// Its name.
        name: String,
    },
    /// Two entries on one path.
    #[error("{} {path}", if other.is_some() { "two entries write" } else { "two sources of this entry are for" })]
    TwoOnOnePath {
        /// Where they meet, links followed.
        path: TreePath,
        /// The other entry, where it isn't this one itself.
        other: Option<At>,
    },
    /// Two entries make a directory with different attributes.
    #[error("two entries make the directory {path} with different owners or modes")]
    DirectoryTwoWays {
        /// The directory.
        path: TreePath,
        /// The other entry.
        other: Option<At>,
    },
    /// An entry below a file of another entry.
    #[error("{path} would lie below {file}, which another entry makes a file")]
    BelowOwnFile {
        /// What was to be written.
        path: TreePath,
        /// The file.
        file: TreePath,
        /// The other entry.
        other: Option<At>,
    },
    /// A hard link to something that this recipe doesn't make.
    #[error("{target} is not a file of this recipe, so nothing can be hard-linked to it")]
    HardLinkOutside {
        /// The link's target.
        target: TreePath,
    },
    /// An entry that changes what isn't there.
    #[error("{path} is not there in what the recipe stands on, and no entry before this one writes it")]
    NotInBase {
        /// As written.
        path: String,
    },
    /// An entry that changes what a later one writes.
    #[error("{path} is written by an entry that stands below this one")]
    WrittenLater {
        /// Where.
        path: TreePath,
        /// That entry.
        other: Option<At>,
    },
    /// An edit of something else than a file.
    #[error("{path} is not a file")]
    NotAFile {
        /// As written.
        path: String,
    },
    /// A text that isn't there as often as was said.
    #[error("the file has {what:?} {}, not {}", times(*found), times(*expected))]
    EditCount {
        /// What should be replaced.
        what: String,
        /// How often it should be there.
        expected: usize,
        /// How often it is.
        found: usize,
    },
    /// Nothing that a certificate could be added to.
    #[error("what the recipe stands on has no bundle of CA certificates")]
    NoBundle,
    /// No certificate in what should hold some.
    #[error("{from} holds no certificate in PEM")]
    NoCertificate {
        /// As written.
        from: String,
    },
    /// PEM that programs would refuse with the whole bundle, or read otherwise than it looks.
    #[error("{from}:{line}: {why}")]
    BadCertificate {
        /// As written.
        from: String,
        /// From 1.
        line: usize,
        /// What is wrong there.
        why: &'static str,
    },
    /// A user or group that there is already, otherwise.
    #[error("{file} of {whose} has {line:?}: a name or number can't be there twice")]
    UserClash {
        /// `/etc/passwd` or `/etc/group`.
        file: &'static str,
        /// The line.
        line: String,
        /// Where it comes from.
        whose: Whose,
        /// The name that was to be added.
        name: String,
        /// It is the name that is there; otherwise the number.
        same_name: bool,
        /// A number that nobody has.
        free: u32,
    },
    /// Nothing to remove.
    #[error("{pattern:?} matches nothing in the base")]
    RemovesNothing {
        /// As written.
        pattern: String,
    },
    /// A pattern that the lock has no matches for.
    #[error("what {pattern:?} matches in the base is not in the lock")]
    NeedsIndex {
        /// As written.
        pattern: String,
    },
    /// More layers than engines mount.
    #[error("the image would have {count} layers, and engines mount {MAX_LAYERS}")]
    TooManyLayers {
        /// How many.
        count: usize,
    },
}

/// What has a line of /etc/passwd or /etc/group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The external base.
    Base,
    /// A recipe that this one stands on.
    Parent,
    /// This recipe.
    Own,
}

impl std::fmt::Display for Whose {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Base => "the base",
            Self::Parent => "a recipe that this one stands on",
            Self::Own => "this recipe",
        })
    }
}

fn times(number: usize) -> String {
    match number {
        0 => "nowhere".to_owned(),
        1 => "once".to_owned(),
        many => format!("{many} times"),
    }
}

fn below_file(path: &TreePath, file: &TreePath) -> String {
    if path == file {
        return format!("{file} is a file of the base, and a directory can't take its place");
    }
    format!("{path} would lie below {file}, which is a file of the base")
}

/// The same errors at the values that they are about, rather than where their entries begin.
pub(super) fn pointed(recipe: &Resolved, errors: Vec<Error>) -> Vec<Error> {
    let entry = |at: &At| recipe.entries.iter().find(|entry| entry.at == *at);
    let point = |mut error: Error| {
        if let Fault::TwoOnOnePath { other: Some(other), .. }
        | Fault::DirectoryTwoWays { other: Some(other), .. }
        | Fault::WrittenLater { other: Some(other), .. }
        | Fault::BelowOwnFile { other: Some(other), .. } = &mut error.fault
            && let Some(entry) = entry(other)
        {
            *other = value(entry, None);
        }
        if let Some(entry) = entry(&error.at) {
            error.at = value(entry, Some(&error.fault));
        }
        error
    };
    errors.into_iter().map(point).collect()
}

fn value(entry: &ResolvedEntry, fault: Option<&Fault>) -> At {
    let owner = matches!(fault, Some(Fault::UnknownUser { .. } | Fault::UnknownGroup { .. }));
    let at = match &entry.action {
        ResolvedAction::File(file) if owner => file.owner.as_ref().map_or(&file.to.at, |owner| &owner.at),
        ResolvedAction::Dir { owner: Some(name), .. } if owner => &name.at,
        ResolvedAction::File(file) => match (&file.source, fault) {
            (
                ResolvedSource::From(from),
                Some(
                    Fault::NoSource { .. }
                    | Fault::Unreadable { .. }
                    | Fault::TwoOnOnePath { other: None, .. },
                ),
            ) => from.first().map_or(&file.to.at, |path| &path.at),
            (_, Some(Fault::NeverWritten { name })) => {
                file.xattrs.get(name).map_or(&file.to.at, |value| &value.at)
            }
            _ => &file.to.at,
        },
        ResolvedAction::Link { target, .. } if matches!(fault, Some(Fault::HardLinkOutside { .. })) => {
            &target.at
        }
        ResolvedAction::Dir { path, .. } | ResolvedAction::Link { path, .. } => &path.at,
        ResolvedAction::Remove { glob, .. } => &glob.at,
        ResolvedAction::Owner { owner: Some(name), .. } if owner => &name.at,
        ResolvedAction::Edit { change: Change::Replace { what, .. }, .. }
            if matches!(fault, Some(Fault::EditCount { .. })) =>
        {
            &what.at
        }
        ResolvedAction::Edit { path, .. } | ResolvedAction::Owner { path, .. } => &path.at,
        ResolvedAction::Ca { from, .. } => &from.at,
        ResolvedAction::User { name, .. } | ResolvedAction::Group { name, .. } => &name.at,
    };
    at.clone()
}
