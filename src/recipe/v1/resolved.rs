//! What a recipe comes to for one variant and platform: plain values.

use std::collections::BTreeMap;

use crate::digest::Digest;
use crate::recipe::config::Config;
use crate::recipe::entry::{Change, Entry, Mount, Mtime, Owner};
use crate::recipe::patch::{Base, Image};
use crate::recipe::{At, Spanned};
use crate::tree::SourceKey;

use super::mode::Mode;
use super::names::Scope;
use super::{Glob, has_magic};

/// A recipe for one variant and platform, with everything decided but what files contain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// `[image]`, interpolated.
    pub image: Image,
    /// `[base]`, interpolated.
    pub base: Base,
    /// `[config]`, interpolated; ports and paths normalised.
    pub config: Config,
    /// What is done, in order.
    pub entries: Vec<ResolvedEntry>,
    /// Every name that templates may use. One that only `--set` gives and that wasn't given is not here.
    pub names: BTreeMap<String, String>,
}

impl Resolved {
    /// The time of everything that has no other: the recipe's own, else the lock's.
    pub fn epoch(&self, lock: i64) -> i64 {
        self.image.epoch.unwrap_or(lock)
    }
}

/// An entry, resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedEntry {
    /// Where its table begins.
    pub at: At,
    /// Name of its layer.
    pub layer: Option<String>,
    /// It may lie below a volume of the base.
    pub below_volume: bool,
    /// Why what looks like a secret isn't one.
    pub allow_secret: Option<String>,
    /// What it does.
    pub action: ResolvedAction,
}

/// What an entry does. Paths are absolute and normalised.
#[allow(clippy::large_enum_variant)] // most entries are files
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResolvedAction {
    /// `[[file]]`
    File(ResolvedFile),
    /// `[[dir]]`
    Dir {
        /// Its path.
        path: Spanned<String>,
        /// Its mode; of a new directory 0755, of the base's its own, when `None`.
        mode: Option<Mode>,
        /// Its owner; of a new directory root, of the base's its own, when `None`.
        owner: Option<Spanned<Owner>>,
    },
    /// `[[link]]`
    Link {
        /// Its path.
        path: Spanned<String>,
        /// What it points to: any text for a symbolic link, a path for a hard one.
        target: Spanned<String>,
        /// A hard link.
        hard: bool,
    },
    /// `[[remove]]`
    Remove {
        /// Absolute paths that go.
        glob: Spanned<Glob>,
        /// Nothing may match.
        missing_ok: bool,
    },
    /// `[[user]]`
    User {
        /// The login name.
        name: Spanned<String>,
        /// Its number.
        uid: u32,
        /// Its group's number, when given.
        gid: Option<u32>,
        /// Its home directory.
        home: String,
        /// Its shell.
        shell: String,
    },
    /// `[[edit]]`
    Edit {
        /// The file, as it is in what stands below.
        path: SourcePath,
        /// What becomes of its text.
        change: Change,
    },
    /// `[[owner]]`
    Owner {
        /// What is there, as it is in what stands below.
        path: SourcePath,
        /// The new owner, when given.
        owner: Option<Spanned<Owner>>,
        /// The new mode of what `path` names, when given; a change is for everything below too.
        mode: Option<Mode>,
        /// Everything below too.
        recursive: bool,
    },
    /// `[[ca]]`
    Ca {
        /// The certificates.
        from: SourcePath,
        /// Where bundles may be.
        bundles: Vec<SourcePath>,
    },
    /// `[[group]]`
    Group {
        /// The group's name.
        name: Spanned<String>,
        /// Its number.
        gid: u32,
    },
}

/// `[[file]]`, resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedFile {
    /// Where the bytes come from.
    pub source: ResolvedSource,
    /// Absolute and normalised, without final slash.
    pub to: Spanned<String>,
    /// A final slash: what comes goes into it under its own name.
    pub into: bool,
    /// Mode of files; 0755 or 0644 by the x bit when `None`.
    pub mode: Option<Mode>,
    /// Mode of directories that it makes; 0755, or what the source says, when `None`.
    pub dir_mode: Option<Mode>,
    /// Owner of what it makes; 0:0, or what the source says, when `None`.
    pub owner: Option<Spanned<Owner>>,
    /// Time of what it makes.
    pub mtime: Mtime,
    /// Which contents are interpolated. A `text` is already.
    pub template: ResolvedTemplate,
    /// Delimiters of those.
    pub delimiters: (String, String),
    /// Globs of what is taken; everything when empty.
    pub include: Vec<Glob>,
    /// Globs of what isn't.
    pub exclude: Vec<Glob>,
    /// Take away what the base has first.
    pub replace: bool,
    /// Extended attributes.
    pub xattrs: BTreeMap<String, Spanned<Vec<u8>>>,
    /// Mounted in this variant: how.
    pub mount: Option<Mount>,
}

/// Where the bytes of a file come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResolvedSource {
    /// Files, directories or globs beside a recipe.
    From(Vec<SourcePath>),
    /// The content itself, interpolated where `template` says so.
    Text(Spanned<String>),
}

/// A source as a recipe names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourcePath {
    /// Where it was written.
    pub at: At,
    /// Which files it means. What a recipe changes in what it stands on [stands on](SourceKey::stand_on) nothing yet.
    pub key: SourceKey,
    /// Names in the archive may differ by case alone.
    pub case_clash: bool,
    /// What a URL must give.
    pub sha256: Option<Digest>,
    /// Where an input lies, relative to the workspace; nothing for an open one.
    pub lies: Option<String>,
    /// The command that makes an input.
    pub made_by: Option<String>,
    /// Its bytes are needed for the plan: some are templates.
    pub read: bool,
}

impl SourcePath {
    /// Whether it is a glob over files of the checkout.
    pub fn is_glob(&self) -> bool {
        matches!(&self.key, SourceKey::Files(files) if has_magic(&files.from))
    }

    /// The place that its [name](SourceKey::name) is in: a directory, an image's reference, `stack/name#variant`.
    pub fn place(&self) -> String {
        match &self.key {
            SourceKey::Files(files) => files.directory.clone(),
            SourceKey::Fetch { .. } => String::new(),
            SourceKey::Input { .. } => self.lies.clone().unwrap_or_default(),
            SourceKey::Image { reference, .. } => reference.clone(),
            SourceKey::Recipe { recipe, variant, .. } => format!("{recipe}#{variant}"),
            SourceKey::Base { on, .. } => on.clone(),
        }
    }
}

/// Which contents are interpolated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResolvedTemplate {
    /// None.
    Off,
    /// All.
    All,
    /// Those that match; [`ResolvedTemplate::rendered_name`] says what becomes of their names.
    Globs(Vec<Glob>),
}

impl ResolvedTemplate {
    /// The name under which a file is rendered, by its path below the source; `None`: it isn't a template.
    ///
    /// A glob takes off what follows its last `*`: `*.j2` makes `a.conf.j2` `a.conf`.
    pub fn rendered_name(&self, path: &str) -> Option<String> {
        let globs = match self {
            Self::Off => return None,
            Self::All => return Some(path.to_owned()),
            Self::Globs(globs) => globs,
        };
        let name = path.rsplit('/').next().unwrap_or(path);
        // A pattern without a slash is about names, wherever they lie.
        let hit =
            |glob: &&Glob| glob.matches(if glob.as_str().contains('/') { path } else { name }.as_bytes());
        let ending = globs.iter().find(hit)?.as_str().rsplit_once('*').map_or("", |(_, ending)| ending);
        let stem = path.strip_suffix(ending).filter(|stem| !stem.is_empty() && !stem.ends_with('/'));
        Some(stem.unwrap_or(path).to_owned())
    }
}

/// Is `platform` (`os/arch` or `os/arch/variant`) the one of the scope? Without variant it is any of them;
/// arm64 and arm64/v8 are one.
pub fn platform_matches(platform: &str, scope: &Scope) -> bool {
    let mut parts = platform.splitn(3, '/');
    let (os, arch, variant) = (parts.next(), parts.next(), parts.next());
    let own = if scope.arch == "arm64" && scope.arch_variant.is_empty() { "v8" } else { &scope.arch_variant };
    os == Some(&scope.os) && arch == Some(&scope.arch) && variant.is_none_or(|variant| variant == own)
}

/// Whether an entry is one for the platform of the scope.
pub(super) fn is_for(entry: &Entry, scope: &Scope) -> bool {
    entry.platforms.as_ref().is_none_or(|all| all.iter().any(|platform| platform_matches(platform, scope)))
}
