//! From a resolved recipe to the layers and the configuration that it adds: what to build, not the building.
//!
//! Owns the meaning of entries over a base that is known by its facts alone, the split over layers, and the guards
//! of design section 3.3 that need to know what stands below. Pure: templates are rendered in memory, contents are
//! named by digest, and [`bytes that no source has`](Plan::made) travel with the plan. What decides bytes is in
//! `v1`; guards are policy and stay outside, so that a sharper one never makes an old lock unbuildable.

mod guard;
mod patch;
mod removal;
mod v1;
mod view;

use std::collections::BTreeMap;

pub use patch::config_patch;
pub use removal::{matches_in_base, pattern_in_base};
pub use v1::PlannedLayer;
pub use view::ResolveError;

use crate::digest::Encoding;
use crate::layer::facts::{Facts, UserDatabase};
use crate::recipe::{
    At, Resolved, ResolvedAction, ResolvedEntry, ResolvedSource, TemplateError, TemplateFault, interpolate,
    suggest,
};
use crate::tree::{Content, FileTree, Sources, TreePath, TreePathError};
use view::View;

/// An image can't have more layers than engines mount.
const MAX_LAYERS: usize = 120;

/// One variant of a recipe on one platform, and everything that it is planned against.
#[derive(Clone, Copy)]
pub struct Stage<'a> {
    /// The recipe.
    pub recipe: &'a Resolved,
    /// What the external base holds.
    pub facts: &'a Facts,
    /// The layers of the recipes between the base and this one, lowest first.
    pub parents: &'a [&'a FileTree],
    /// How many layers stand below in all.
    pub layers_below: usize,
    /// What each `[[remove]]` pattern matched in the external base.
    pub removed: &'a BTreeMap<String, Vec<TreePath>>,
    /// The checkout.
    pub sources: &'a Sources,
    /// What stands directly below, as sources in it are named.
    pub base: &'a str,
    /// The bytes of a source, for templates.
    pub read: &'a (dyn Fn(&Content) -> Result<Vec<u8>, Fault> + Sync),
    /// The time of everything that has no other, in seconds since 1970.
    pub epoch: i64,
}

/// What a variant adds on one platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Lowest first; never an empty one.
    pub layers: Vec<PlannedLayer>,
    /// Bytes that no source file has: texts and rendered templates.
    pub made: BTreeMap<Content, Vec<u8>>,
    /// What the entries amount to, for the guards.
    expanded: v1::Expanded,
}

impl Plan {
    /// What is known of the image below this recipe's, with the users that this one adds.
    pub fn facts(&self, below: &Facts) -> Option<Facts> {
        let users = self.expanded.users.as_ref()?;
        let database = |database: &v1::Database, path: &str| {
            let new = || TreePath::parse(path.as_bytes()).ok().filter(|_| database.changed);
            let path = database.path.clone().or_else(new)?;
            let (attributes, bytes) = (database.attributes.clone(), database.bytes.clone());
            Some(UserDatabase { path, attributes, bytes })
        };
        let mut facts = below.clone();
        facts.passwd = database(&users.passwd, "etc/passwd");
        facts.group = database(&users.group, "etc/group");
        Some(facts)
    }
}

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
    /// Not a path inside an image.
    #[error("{path:?}: {source}")]
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
    #[error("{path} is not there in what the recipe stands on")]
    NotInBase {
        /// As written.
        path: String,
    },
    /// An edit of something else than a file.
    #[error("{path} is not a file")]
    NotAFile {
        /// As written.
        path: String,
    },
    /// A text that isn't there as often as was said.
    #[error("{what:?} is there {}, not {}", times(*found), times(*expected))]
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
    #[error("the base has {line:?}: a name or number can't be there twice")]
    UserClash {
        /// The line.
        line: String,
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

/// Plans all variants of a recipe on one platform: together, because what they share is one layer.
///
/// # Errors
/// The first variant with faults, by its place in `stages`, and all faults of its entries.
pub fn plan(encoding: Encoding, stages: &[Stage<'_>]) -> Result<Vec<Plan>, (usize, Vec<Error>)> {
    let views: Vec<View<'_>> = stages.iter().map(view_below).collect();
    let mut expanded = Vec::with_capacity(stages.len());
    for (number, (stage, view)) in stages.iter().zip(&views).enumerate() {
        expanded.push(expand(encoding, stage, view).map_err(|errors| (number, errors))?);
    }
    let stands: Vec<v1::Stand<'_>> = views
        .iter()
        .zip(&expanded)
        .map(|(below, expanded)| v1::Stand { below, units: &expanded.units })
        .collect();
    // Of equal epochs or not: each variant's layers carry its own.
    let epochs: Vec<i64> = stages.iter().map(|stage| stage.epoch).collect();
    let layers = match encoding {
        Encoding::V1 => v1::split(&stands, &epochs),
    };
    let mut plans = Vec::with_capacity(stages.len());
    for (number, ((stage, mut expanded), layers)) in stages.iter().zip(expanded).zip(layers).enumerate() {
        let count = stage.layers_below + layers.len();
        if count > MAX_LAYERS
            && let Some(entry) = stage.recipe.entries.first()
        {
            return Err((
                number,
                vec![Error { at: entry.at.clone(), fault: Fault::TooManyLayers { count } }],
            ));
        }
        let made = std::mem::take(&mut expanded.made);
        plans.push(Plan { layers, made, expanded });
    }
    Ok(plans)
}

/// What the guards have against a variant: policy, not meaning. `is_base_file` tells whether the base has something
/// that is no directory at a path that its facts don't name; where nobody knows, it says no.
pub fn guard(
    plan: &Plan,
    stage: &Stage<'_>,
    volumes: &[TreePath],
    is_base_file: &dyn Fn(&TreePath) -> bool,
) -> Vec<Error> {
    let view = view_below(stage);
    pointed(stage.recipe, guard::check(stage.recipe, &plan.expanded, &view, volumes, is_base_file))
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
fn pointed(recipe: &Resolved, errors: Vec<Error>) -> Vec<Error> {
    let entry = |at: &At| recipe.entries.iter().find(|entry| entry.at == *at);
    let point = |mut error: Error| {
        if let Fault::TwoOnOnePath { other: Some(other), .. }
        | Fault::DirectoryTwoWays { other: Some(other), .. }
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
            _ => &file.to.at,
        },
        ResolvedAction::Link { target, .. } if matches!(fault, Some(Fault::HardLinkOutside { .. })) => {
            &target.at
        }
        ResolvedAction::Dir { path, .. } | ResolvedAction::Link { path, .. } => &path.at,
        ResolvedAction::Remove { glob, .. } => &glob.at,
        ResolvedAction::Owner { owner: Some(name), .. } if owner => &name.at,
        ResolvedAction::Edit { path, .. } | ResolvedAction::Owner { path, .. } => &path.at,
        ResolvedAction::Ca { from, .. } => &from.at,
        ResolvedAction::User { name, .. } | ResolvedAction::Group { name, .. } => &name.at,
    };
    at.clone()
}

fn view_below<'a>(stage: &Stage<'a>) -> View<'a> {
    let mut view = View::new(stage.facts);
    for layer in stage.parents {
        view.apply(layer);
    }
    view
}

fn expand(encoding: Encoding, stage: &Stage<'_>, below: &View<'_>) -> Result<v1::Expanded, Vec<Error>> {
    let names = |name: &str| stage.recipe.names.get(name).cloned();
    let render = |bytes: &[u8], delimiters: (&str, &str)| {
        interpolate(bytes, delimiters, &names).map_err(|error| {
            let suggestion = match &error.fault {
                TemplateFault::Undefined { name } => {
                    suggest(name, stage.recipe.names.keys().map(String::as_str))
                }
                TemplateFault::UnknownFilter { suggestion, .. } => suggestion.clone(),
                _ => None,
            };
            Fault::Template { file: String::new(), error, suggestion }
        })
    };
    let removed = |pattern: &str| stage.removed.get(pattern).cloned();
    let cx = v1::Context {
        below,
        facts: stage.facts,
        sources: stage.sources,
        base: stage.base,
        read: stage.read,
        render: &render,
        removed: &removed,
        epoch: stage.epoch,
    };
    let expanded = match encoding {
        Encoding::V1 => v1::expand(&stage.recipe.entries, &cx),
    };
    expanded.map_err(|errors| pointed(stage.recipe, errors))
}
