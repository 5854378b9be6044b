//! What stops a verb: the rooms' errors, with whose fault they are. Hints and exit codes are the binary's.

use std::path::PathBuf;

use crate::digest::Digest;
use crate::http::shown;
use crate::lock::{self, Reason, State};
use crate::{deploy, disk, image, layer, oci, plan, recipe, sink, store, substitute, workspace};

/// Why a verb failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The workspace: not there, or not readable.
    #[error(transparent)]
    Workspace(#[from] workspace::Error),
    /// A source that isn't there, or can't be one.
    #[error("{source}")]
    Source {
        /// Where it is named.
        at: recipe::At,
        /// What is wrong with it.
        source: workspace::Error,
    },
    /// What a recipe names, and where it names it.
    #[error("{source}")]
    At {
        /// Where it is named.
        at: recipe::At,
        /// What is wrong with it.
        source: Box<Error>,
    },
    /// Mistakes in `cooper.toml` or in recipes; never empty.
    #[error("{}", first(.0))]
    Recipes(Vec<recipe::Error>),
    /// A lock that can't be read.
    #[error("{file}: {source}")]
    Lock {
        /// Relative to the workspace.
        file: String,
        /// Why.
        source: lock::Error,
    },
    /// A merge left pins that differ: somebody has to choose.
    #[error("{file} has conflict markers, and the two sides pin different bases")]
    Conflict {
        /// Relative to the workspace.
        file: String,
        /// What differs, ours and theirs.
        differences: Vec<String>,
    },
    /// Services that don't fit together; never empty.
    #[error("{}", first(.0))]
    Deploy(Vec<deploy::Error>),
    /// `--locked` or `lock --check`: a lock doesn't say what comes out.
    #[error("{}", locked(.0))]
    Locked(Vec<LockedRecipe>),
    /// Entries that can't be built.
    #[error("{recipe}#{variant} on {platform}: {}", first(.errors))]
    Plan {
        /// `stack/name`
        recipe: String,
        /// Which variant.
        variant: String,
        /// Which platform.
        platform: String,
        /// Never empty.
        errors: Vec<plan::Error>,
    },
    /// What a recipe takes from elsewhere can't be had, or isn't what it should be.
    #[error("{}: {why}", shown(name))]
    Foreign {
        /// A URL, an input, an archive.
        name: String,
        /// What is wrong.
        why: String,
    },
    /// A listing in a lock that isn't of what the lock pins.
    #[error("{name}: it holds something else than the lock says")]
    Unlisted {
        /// A URL, an input, an archive, a path of an image.
        name: String,
    },
    /// Recipes on recipes on recipes.
    #[error("recipes stand on each other more than {limit} deep: {}", shortened(.names).join(" -> "))]
    TooDeep {
        /// How deep they may.
        limit: usize,
        /// `stack/name`, the one that was asked for first.
        names: Vec<String>,
    },
    /// A URL that no lock pins.
    #[error("{} is not in the lock of {recipe}", shown(url))]
    Unfetched {
        /// `stack/name`
        recipe: String,
        /// The URL.
        url: String,
    },
    /// What a recipe takes from elsewhere isn't there.
    #[error("{} is not there{}", shown(name), made_by.as_ref().map_or(String::new(), |command| format!("; `{command}` makes it")))]
    Nowhere {
        /// A URL, an input, a path of an image.
        name: String,
        /// What makes it, where the recipe says so.
        made_by: Option<String>,
    },
    /// A recipe that stands on itself.
    #[error("{} stand on each other in a circle", shortened(.names).join(" -> "))]
    Circle {
        /// `stack/name`, the first again at the end.
        names: Vec<String>,
    },
    /// A parent that isn't there.
    #[error("{recipe} stands on {parent}, and there is no such recipe")]
    NoParent {
        /// `stack/name`
        recipe: String,
        /// As written.
        parent: String,
        /// One that there is.
        suggestion: Option<String>,
    },
    /// Another workspace that `cooper.toml` doesn't name.
    #[error("cooper.toml names no catalogue {name}")]
    NoCatalogue {
        /// As written.
        name: String,
        /// One that it names.
        suggestion: Option<String>,
    },
    /// A recipe that another workspace's stands on, and that this one doesn't have.
    #[error("{recipe} comes to stand on {name}, or takes from it, and this workspace has no such recipe")]
    NotHere {
        /// `stack/name`
        recipe: String,
        /// `stack/name`
        name: String,
        /// Whose recipe says so.
        catalogue: String,
    },
    /// The workspace has no such variant.
    #[error("the workspace has no variant {name:?}")]
    NoVariant {
        /// As asked for.
        name: String,
        /// Those that it has.
        known: Vec<String>,
    },
    /// A layout or archive that isn't there, can't be read, or has another image than the recipe says.
    #[error("{source}")]
    Base {
        /// The recipe, `stack/name`.
        recipe: String,
        /// The base, as the recipe says it.
        base: String,
        /// Why not.
        source: substitute::Error,
    },
    /// The base doesn't have a platform that the recipe wants.
    #[error("{base} has no {platform}{}", only(have))]
    NoPlatform {
        /// The recipe, `stack/name`.
        recipe: String,
        /// The base.
        base: String,
        /// What is wanted.
        platform: String,
        /// What there is.
        have: Vec<String>,
    },
    /// Text that is no platform.
    #[error(transparent)]
    Platform(#[from] oci::ParsePlatformError),
    /// A reference without a pin, and no registry may be asked for one.
    #[error("{reference} is not pinned, and no connection may be opened to ask what it means")]
    Unpinned {
        /// The image.
        reference: String,
    },
    /// What a lock doesn't know yet, only `lock` asks for.
    #[error("{recipe} is {state}: nobody knows its digest yet")]
    NotLocked {
        /// The recipe.
        recipe: String,
        /// The state of its lock.
        state: String,
    },
    /// A registry would have to be asked, and may not be.
    #[error("{} is {}, and no connection may be opened", shown(reference), elsewhere(reference))]
    Offline {
        /// The image, or a URL.
        reference: String,
    },
    /// Nothing says which images a recipe has.
    #[error("{file} names no images of {recipe}")]
    NoOutput {
        /// The recipe.
        recipe: String,
        /// Its lock.
        file: String,
    },
    /// Tags that would be moved, and may not; never empty.
    #[error("{}", tags(.0))]
    Tags(Vec<TagMove>),
    /// Nothing says where images go.
    #[error("cooper.toml does not say where {recipe} is published")]
    Unpublished {
        /// What should have been pushed.
        recipe: String,
    },
    /// Base content that is needed and isn't at hand.
    #[error("{what} of {base} is needed, and it is neither in the store nor where the base comes from")]
    Absent {
        /// `the layer sha256:…`, `the manifest …`.
        what: String,
        /// The base.
        base: String,
        /// What was looked for.
        digest: Digest,
    },
    /// A base document with other bytes than those that were asked for.
    #[error("cannot read {what} of {base}: {source}")]
    Damaged {
        /// `the manifest sha256:…`.
        what: String,
        /// The base.
        base: String,
        /// What is wrong with it.
        source: std::io::Error,
    },
    /// A base document that can't be built upon.
    #[error("{base}: {source}")]
    Document {
        /// The base.
        base: String,
        /// Why not.
        source: oci::DocumentError,
    },
    /// A base layer that can't be read.
    #[error("{base}: layer {layer}: {source}")]
    BaseLayer {
        /// The base.
        base: String,
        /// The layer's digest.
        layer: Digest,
        /// Why not.
        source: layer::error::ReadError,
    },
    /// Facts in `lockfiles/blobs` that can't be read, or aren't what the layers say.
    #[error("{base} on {platform}: the facts in lockfiles/blobs are not what its layers say")]
    Facts {
        /// The base.
        base: String,
        /// The platform.
        platform: String,
    },
    /// A source that differs from the lock in its line endings alone.
    #[error("{file} differs from the lock in its line endings only")]
    LineEndings {
        /// Relative to the workspace.
        file: String,
    },
    /// A source that seems to hold a secret.
    #[error("{file} seems to hold {kind}")]
    Secret {
        /// Relative to the workspace.
        file: String,
        /// What it looks like.
        kind: &'static str,
        /// The entry that takes it.
        at: recipe::At,
    },
    /// A variable that `--locked` can't have.
    #[error("--set gives an image that no lock can hold, so it can't be combined with --locked")]
    SetLocked,
    /// A layer that can't be made.
    #[error("{recipe}: {source}")]
    Layer {
        /// `stack/name`
        recipe: String,
        /// Why not.
        source: layer::BuildError,
    },
    /// An image that can't be put together.
    #[error("{recipe}: {source}")]
    Image {
        /// `stack/name`
        recipe: String,
        /// Why not.
        source: image::Error,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// Where images go.
    #[error(transparent)]
    Sink(#[from] sink::Error),
    /// A blob of an image that is put elsewhere can't be had.
    #[error("cannot open {digest}: {source}")]
    Unopened {
        /// Which.
        digest: Digest,
        /// Why not.
        source: Box<Error>,
    },
    /// Where images come from.
    #[error(transparent)]
    Substitute(#[from] substitute::Error),
    /// The file system.
    #[error(transparent)]
    Disk(#[from] disk::Error),
    /// What was asked for makes no sense.
    #[error("{message}")]
    Usage {
        /// What is wrong with it.
        message: String,
    },
    /// A directory that can't become a workspace.
    #[error("{} exists already", path.display())]
    Exists {
        /// The path.
        path: PathBuf,
    },
}

/// A recipe whose lock doesn't say what comes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockedRecipe {
    /// `stack/name`
    pub recipe: String,
    /// In one word.
    pub state: State,
    /// Every reason; never empty.
    pub reasons: Vec<Reason>,
}

/// A tag that names something else than what is pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagMove {
    /// With the tag.
    pub reference: String,
    /// What it names.
    pub old: Digest,
    /// What it would name.
    pub new: Digest,
}

impl std::fmt::Display for TagMove {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { reference, old, new } = self;
        write!(f, "{reference} is {old} and would become {new}")
    }
}

impl Error {
    /// A document that a place has, but can't give: with what it is, and of what.
    pub(crate) fn of_document(error: substitute::Error, what: String, base: &str) -> Self {
        match error {
            substitute::Error::Read { source, .. } => Self::Damaged { what, base: base.to_owned(), source },
            other => other.into(),
        }
    }

    /// Says what `--locked` finds of one recipe's lock.
    pub(crate) fn locked(target: &workspace::Target, reasons: Vec<Reason>) -> Self {
        let state = State::of(&reasons, false);
        Self::Locked(vec![LockedRecipe { recipe: target.to_string(), state, reasons }])
    }

    /// Refuses what was asked for.
    pub(crate) fn usage(message: impl std::fmt::Display) -> Self {
        Self::Usage { message: message.to_string() }
    }

    /// Says where a document comes from that can't be taken.
    pub(crate) fn out_of(self, place: &str) -> Self {
        match self {
            Self::Document { base, source } => Self::Document { base: format!("{base} of {place}"), source },
            error => error,
        }
    }

    /// Refuses what comes from elsewhere: `name` is a URL, an input, an archive.
    pub(crate) fn foreign(name: impl Into<String>, why: impl std::fmt::Display) -> Self {
        Self::Foreign { name: name.into(), why: why.to_string() }
    }

    /// The same, with the place in a recipe that it comes from, unless it names one itself.
    pub(crate) fn at(self, at: &recipe::At) -> Self {
        match self {
            Self::Workspace(source) if source.leads_out() => Self::Source { at: at.clone(), source },
            Self::At { .. }
            | Self::Source { .. }
            | Self::Recipes(_)
            | Self::Deploy(_)
            | Self::Plan { .. }
            | Self::Locked(_)
            | Self::Workspace(_)
            | Self::Store(_)
            | Self::Disk(_) => self,
            other => Self::At { at: at.clone(), source: Box::new(other) },
        }
    }

    /// The same, if it is a circle that this place closes.
    pub(crate) fn closes_circle(self, at: &recipe::At) -> Self {
        if matches!(self, Self::Circle { .. } | Self::TooDeep { .. }) { self.at(at) } else { self }
    }
}

impl From<sink::Failed<Self>> for Error {
    fn from(failed: sink::Failed<Self>) -> Self {
        match failed {
            sink::Failed::Sink(error) => Self::Sink(error),
            sink::Failed::Open { digest, source } => Self::Unopened { digest, source: Box::new(source) },
        }
    }
}

fn elsewhere(name: &str) -> &'static str {
    if name.contains("://") { "neither in the store nor in `vendor`" } else { "in a registry" }
}

fn first<E: std::fmt::Display>(errors: &[E]) -> String {
    errors.first().map_or_else(String::new, E::to_string)
}

/// So many of a chain's beginning and end as a person reads.
fn shortened(names: &[String]) -> Vec<String> {
    const SHOWN: usize = 4;
    if names.len() <= 2 * SHOWN + 1 {
        return names.to_vec();
    }
    [&names[..SHOWN], &["…".to_owned()], &names[names.len() - SHOWN..]].concat()
}

fn only(platforms: &[String]) -> String {
    const SHOWN: usize = 12;
    let shown: Vec<String> =
        platforms.iter().take(SHOWN).map(|platform| platform.chars().take(100).collect()).collect();
    let more = platforms.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    if shown.is_empty() {
        "; its index names no platform".into()
    } else {
        format!(", only {}{more}", shown.join(", "))
    }
}

fn tags(tags: &[TagMove]) -> String {
    match tags {
        [one] => one.to_string(),
        many => format!("{} tags name something else and would be moved", many.len()),
    }
}

fn locked(recipes: &[LockedRecipe]) -> String {
    match recipes {
        [one] => format!("the lock of {} is {}", one.recipe, one.state),
        many => format!("{} locks don't say what comes out", many.len()),
    }
}
