//! Entries as a recipe lists them: what is put into the image, linked, or taken away. Checked, not yet interpolated.

use std::collections::BTreeMap;

use super::v1::Mode;
use super::{At, Spanned};

/// One entry of a recipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where its table begins; the directory of this file is where its `from` is read.
    pub at: At,
    /// Variants that have it; all when `None`.
    pub variants: Option<Vec<Spanned<String>>>,
    /// Platforms that have it; all when `None`.
    pub platforms: Option<Vec<Spanned<String>>>,
    /// Name of its layer.
    pub layer: Option<Spanned<String>>,
    /// It may lie below a volume of the base.
    pub below_volume: bool,
    /// Why what looks like a secret isn't one.
    pub allow_secret: Option<Spanned<String>>,
    /// What it does.
    pub action: Action,
}

/// What an entry does.
#[allow(clippy::large_enum_variant)] // most entries are files
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// `[[file]]`
    File(File),
    /// `[[dir]]`
    Dir {
        /// Absolute path.
        path: Spanned<String>,
        /// Its mode, when given.
        mode: Option<Mode>,
        /// Its owner, when given.
        owner: Option<Spanned<String>>,
    },
    /// `[[link]]`
    Link {
        /// Absolute path.
        path: Spanned<String>,
        /// What it points to.
        target: Spanned<String>,
        /// A hard link.
        hard: bool,
    },
    /// `[[remove]]`
    Remove {
        /// Absolute path or glob.
        path: Spanned<String>,
        /// Nothing may match.
        missing_ok: bool,
    },
    /// `[[edit]]`
    Edit {
        /// Absolute path of a file of the base.
        path: Spanned<String>,
        /// What becomes of its text.
        change: Change,
    },
    /// `[[owner]]`
    Owner {
        /// Absolute path in the base.
        path: Spanned<String>,
        /// Its new owner, when given.
        owner: Option<Spanned<String>>,
        /// Its new mode, when given.
        mode: Option<Mode>,
        /// Everything below too.
        recursive: bool,
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
        home: Option<Spanned<String>>,
        /// Its shell.
        shell: Option<Spanned<String>>,
    },
    /// `[[group]]`
    Group {
        /// The group's name.
        name: Spanned<String>,
        /// Its number.
        gid: u32,
    },
    /// `[[ca]]`
    Ca {
        /// A PEM file beside the recipe.
        from: Spanned<String>,
    },
}

/// What an `[[edit]]` does to a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Adds at the end, on a line of its own.
    Append(Spanned<String>),
    /// Adds at the beginning.
    Prepend(Spanned<String>),
    /// Replaces what stands there literally.
    Replace {
        /// What stands there.
        what: Spanned<String>,
        /// What comes in its place.
        with: Spanned<String>,
        /// How often it must stand there.
        count: usize,
    },
}

/// `[[file]]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Where the bytes come from.
    pub source: Source,
    /// Absolute path; a final slash means into.
    pub to: Spanned<String>,
    /// Mode of files, when given.
    pub mode: Option<Mode>,
    /// Mode of directories, when given.
    pub dir_mode: Option<Mode>,
    /// Owner, when given.
    pub owner: Option<Spanned<String>>,
    /// How an archive is unpacked; empty: it isn't.
    pub unpack: Vec<Spanned<String>>,
    /// Leading components of an archive's paths that are dropped.
    pub strip: usize,
    /// Names in the archive may differ by case alone.
    pub case_clash: bool,
    /// The archive says whose its files are.
    pub archive_owners: bool,
    /// Time of what it makes.
    pub mtime: Mtime,
    /// Which contents are interpolated.
    pub template: Template,
    /// Delimiters of those.
    pub delimiters: Option<(String, String)>,
    /// Globs of what is taken; everything when empty.
    pub include: Vec<Spanned<String>>,
    /// Globs of what isn't.
    pub exclude: Vec<Spanned<String>>,
    /// Take away what the base has first.
    pub replace: bool,
    /// Extended attributes.
    pub xattrs: BTreeMap<String, Spanned<String>>,
    /// Variants in which it is mounted.
    pub mount_in: Vec<Spanned<String>>,
    /// How.
    pub mount: Mount,
}

/// Where the bytes of a file come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Files, directories or globs beside the recipe.
    From(Vec<Spanned<String>>),
    /// The content itself.
    Text(Spanned<String>),
    /// What a URL gives.
    Fetch {
        /// The URL.
        url: Spanned<String>,
        /// What it must give.
        sha256: Option<Spanned<String>>,
    },
    /// The name of an `[input]`.
    Input(Spanned<String>),
    /// A path of another image.
    Image {
        /// Its reference.
        reference: Spanned<String>,
        /// Absolute.
        path: Spanned<String>,
    },
    /// A path of another recipe's image, of the same variant.
    Recipe {
        /// `stack/name`
        name: Spanned<String>,
        /// Absolute.
        path: Spanned<String>,
    },
}

/// Time of what an entry makes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mtime {
    /// The image's epoch.
    #[default]
    Epoch,
    /// Made from the content.
    Content,
    /// Seconds since 1970.
    Seconds(i64),
}

/// Which contents are interpolated.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Template {
    /// None.
    #[default]
    Off,
    /// All.
    All,
    /// Those whose names match a glob; what follows its last `*` is dropped from the name.
    Globs(Vec<Spanned<String>>),
}

/// How a source is mounted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mount {
    /// Read-only.
    #[default]
    ReadOnly,
    /// Read and write.
    ReadWrite,
}

/// An owner as written, names not yet looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The user.
    pub user: Id,
    /// The group; the user's primary one when `None`.
    pub group: Option<Id>,
}

/// A number or a name that the base must know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Id {
    /// A number.
    Number(u32),
    /// A name.
    Name(String),
}
