//! What can be wrong with a recipe: facts as fields, and where. Hints are made in the binary, from the kind.

use super::At;
use super::v1::{GlobFault, PathFault, TemplateFault};

/// Something is wrong with a recipe or with `cooper.toml`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind}")]
pub struct Error {
    /// Where, when it stands in a file.
    pub at: Option<At>,
    /// What.
    pub kind: ErrorKind,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The file is larger than a recipe may be.
    #[error("{length} bytes are more than the {limit} that a recipe may have")]
    TooLarge {
        /// Its length in bytes.
        length: usize,
        /// The most it may have.
        limit: usize,
    },
    /// Not TOML.
    #[error("{message}")]
    Syntax {
        /// The TOML parser's words.
        message: String,
        /// What was probably meant.
        slip: Option<Slip>,
    },
    /// Another format, or two sides of a merge.
    #[error("{}", .0.said())]
    Instead(Instead),
    /// A key or table that is there twice.
    #[error("`{key}` is there twice")]
    Twice {
        /// The key.
        key: String,
        /// The first of them.
        first: Option<At>,
    },
    /// A key that nothing reads.
    #[error("unknown key `{key}` in {section}")]
    UnknownKey {
        /// As it was written.
        key: String,
        /// The table that holds it, as its header is written.
        section: String,
        /// A key that would have been known there.
        suggestion: Option<String>,
    },
    /// A value of the wrong type.
    #[error("expected {expected}, found {found}")]
    Type {
        /// What fits.
        expected: String,
        /// What was there.
        found: String,
    },
    /// A key that must be there isn't.
    #[error("{section} has no `{key}`")]
    MissingKey {
        /// The key.
        key: &'static str,
        /// The table.
        section: String,
    },
    /// Not exactly one of keys that exclude each other.
    #[error("{section} needs exactly one of {}, and has {}", list(.of), if .found.is_empty() { "none".into() } else { list(.found) })]
    ExactlyOne {
        /// The table.
        section: String,
        /// The keys that exclude each other.
        of: Vec<&'static str>,
        /// Those that were there.
        found: Vec<&'static str>,
    },
    /// A key that means nothing without another.
    #[error("`{key}` means nothing without {}", list(.needs))]
    Needs {
        /// The key that was there.
        key: &'static str,
        /// One of these is missing.
        needs: Vec<&'static str>,
    },
    /// Text that isn't what the key takes.
    #[error("{:?} is not {}", cut(value), .what.noun())]
    Invalid {
        /// What it should have been.
        what: What,
        /// What was there.
        value: String,
    },
    /// A word of a Dockerfile where a program is meant.
    #[error("{word:?} is Docker's word for how a check is run, not a program")]
    HealthWord {
        /// As it was written.
        word: String,
        /// What says the same here.
        instead: String,
    },
    /// A path that can't be used.
    #[error("the path {:?} {fault}", cut(path))]
    Path {
        /// As written, after interpolation.
        path: String,
        /// Why not.
        fault: PathFault,
    },
    /// A glob that can't be read.
    #[error("the glob {:?} {fault}", cut(pattern))]
    Glob {
        /// As written, after interpolation.
        pattern: String,
        /// Why not.
        fault: GlobFault,
    },
    /// A glob that no path below a source is.
    #[error("the glob {pattern:?} can never match: {why}")]
    NeverMatches {
        /// As written, after interpolation.
        pattern: String,
        /// Why not.
        why: &'static str,
        /// What was meant.
        meant: String,
    },
    /// `{{ … }}` that can't be read.
    #[error("{0}")]
    Template(TemplateFault),
    /// A name that nothing defines.
    #[error("`{name}` is not defined")]
    Undefined {
        /// The name.
        name: String,
        /// One that is.
        suggestion: Option<String>,
    },
    /// A name whose value isn't known yet where it was used.
    #[error("`{name}` is not known here: {}", if *.base { "the base is chosen before its platform" } else { "sources are read before the base" })]
    NotKnownHere {
        /// The name.
        name: String,
        /// It was used in `[base]`; otherwise in a `from`.
        base: bool,
    },
    /// A variable that a site gives, or `--set`, and it wasn't given.
    #[error("`{name}` is not given: the recipe leaves it to its site")]
    Unset {
        /// The variable.
        name: String,
        /// The recipe's stack.
        stack: String,
    },
    /// `--set` of what isn't declared `set = true`.
    #[error("`{name}` can't be set: the recipe declares no such variable with set = true")]
    NotSettable {
        /// The variable.
        name: String,
        /// One that can.
        suggestion: Option<String>,
    },
    /// A variable that is defined by itself.
    #[error("`{}` is defined by itself: {}", .names.first().map_or("", String::as_str), .names.join(" -> "))]
    Cycle {
        /// The way round, the first name again at the end.
        names: Vec<String>,
    },
    /// Variables that name variables, too deep.
    #[error("`{name}` stands below more than {depth} variables that name each other")]
    Expansion {
        /// The variable where it was noticed.
        name: String,
        /// Levels that are allowed.
        depth: usize,
    },
    /// A variable that has the name of a builtin.
    #[error("`{name}` is a name of Cooper's own")]
    Reserved {
        /// The name.
        name: String,
    },
    /// A variant that the workspace doesn't have.
    #[error("the workspace has no variant `{name}`")]
    UnknownVariant {
        /// The name.
        name: String,
        /// One that it has.
        suggestion: Option<String>,
    },
    /// `[[drop]]` doesn't name exactly one entry.
    #[error("{path:?} names {count} entries, not one")]
    Drop {
        /// Its `to` or `path`.
        path: String,
        /// How many entries have it.
        count: usize,
        /// A path that one entry has.
        suggestion: Option<String>,
    },
    /// No `[base]`.
    #[error("the recipe has no [base]")]
    NoBase,
    /// `extends` in a variant.
    #[error("`extends` can't differ from variant to variant")]
    ExtendsInVariant,
    /// Steps of unpacking that can't follow each other.
    #[error("{why}")]
    Steps {
        /// What is wrong.
        why: String,
    },
    /// An entry of an input that isn't declared.
    #[error("there is no [input.{name}]")]
    NoInput {
        /// As written.
        name: String,
        /// One that there is.
        suggestion: Option<String>,
    },
    /// Understood, but this version can't build it.
    #[error("`{key}` is understood, but can't be built yet")]
    NotBuiltYet {
        /// The key or table.
        key: &'static str,
    },
    /// A name that promises a secret, with a literal value.
    #[error("`{name}` looks like a secret, and its value would be in the image for everybody to read")]
    SecretName {
        /// The variable.
        name: String,
    },
    /// Text that looks like a secret.
    #[error("this looks like {kind}, and would be in the image for everybody to read")]
    SecretContent {
        /// What it looks like.
        kind: &'static str,
    },
    /// The workspace asks for a later Cooper.
    #[error("this workspace needs cooper {required}, and this is {have}")]
    TooOld {
        /// The oldest that will do.
        required: String,
        /// This one.
        have: String,
    },
}

/// What a text is that should have been TOML.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Instead {
    Merge,
    Yaml,
    Json,
    Dockerfile,
}

impl Instead {
    const fn said(self) -> &'static str {
        match self {
            Self::Merge => "a merge left its conflict markers in the file",
            Self::Yaml => "this looks like YAML, and the file must be TOML",
            Self::Json => "this looks like JSON, and the file must be TOML",
            Self::Dockerfile => "this looks like a Dockerfile, and a recipe is TOML",
        }
    }
}

/// A slip of the pen that a TOML parser has other words for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Slip {
    Octal,
    Quotes,
    Bare,
    Backslash,
    NoValue,
}

/// What a piece of text should have been.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum What {
    /// `"0644"`.
    Mode,
    /// `name`, `name:group`, `1000:1000`.
    Owner,
    /// RFC 3339 or seconds.
    Time,
    /// `1m30s`.
    Duration,
    /// `8080`, `8080/udp`.
    Port,
    /// `linux/arm64`.
    Platform,
    /// `17-bookworm`.
    Tag,
    /// The name of a variable, variant, input, job or layer.
    Name,
    /// The name of an environment variable.
    EnvName,
    /// The name of a volume.
    Volume,
    /// The name of a secret.
    Secret,
    /// `stack/name`.
    RecipeName,
    /// `stack/name` or `catalogue:stack/name`.
    ExtendedName,
    /// A reference of an image.
    Reference,
    /// `path`, `path:tag`, `path@sha256:…`.
    Layout,
    /// A sha256.
    Sha256,
    /// `https://…`.
    Url,
    /// `<% %>`.
    Delimiters,
    /// `started`, `healthy`, `done`.
    After,
    /// `ro`, `rw`.
    Mount,
    /// `ok`.
    Ok,
    /// `true` where nothing else makes sense.
    True,
    /// A number that fits.
    Number,
    /// `inherit`.
    Inherit,
    /// `restart`.
    Restart,
    /// `none`.
    Nothing,
    /// `>=0.1`.
    Version,
    /// `true`, `"tar.gz"`, a list of steps.
    Unpack,
    /// Text that isn't empty.
    Text,
    /// A field of /etc/passwd.
    Field,
    /// The name of a user or group.
    Login,
}

impl What {
    /// The end of "… is not".
    pub fn noun(self) -> &'static str {
        match self {
            Self::Mode => {
                "a mode: octal digits in quotes, such as \"0644\", or a change of it as chmod has it, such as \"g=u\""
            }
            Self::Owner => "an owner: name, name:group or 1000:1000",
            Self::Time => "a time from 1990 to 2242: RFC 3339 or seconds since 1970",
            Self::Duration => "a duration, such as \"10s\" or \"1m30s\"",
            Self::Port => "a port: 8080, \"8080/udp\"",
            Self::Platform => "a platform: os/architecture, such as \"linux/arm64\"",
            Self::Tag => "a tag: letters, digits, `_`, `.` and `-`, at most 128",
            Self::Name => "a name: letters, digits, `_` and `-`, beginning with a letter or `_`",
            Self::EnvName => "the name of an environment variable",
            Self::Volume => {
                "a name for a volume: small letters, digits, `_` and `-`, from a letter to a letter or digit"
            }
            Self::Secret => {
                "a name for a secret: letters, digits and `_`, no digit first; one that comes in as a file may have `-` and `.`, too"
            }
            Self::RecipeName => "the name of a recipe: stack/name",
            Self::ExtendedName => "the name of a recipe to extend: stack/name, or catalogue:stack/name",
            Self::Reference => "a reference of an image",
            Self::Layout => "a layout: path, path:tag or path@sha256:…",
            Self::Sha256 => "a sha256: 64 hexadecimal digits",
            Self::Url => "an https, http or file URL",
            Self::Unpack => {
                "a step of unpacking: tar, tar.gz, tar.xz, tar.zst, tar.bz2, zip, deb, gem, gz, xz, zst, bz2, or \"tar:MEMBER\" for one of its files"
            }
            Self::Text => "a text that can be found: it is empty",
            Self::Field => "something for a line of /etc/passwd: it has a colon or a line end",
            Self::Login => {
                "a name for a user or group: letters, digits, `_`, `-` and `.`, beginning with a letter or `_`"
            }
            Self::Delimiters => "a pair of delimiters, such as \"<% %>\"",
            Self::After => "a state to wait for: \"started\", \"healthy\" or \"done\"",
            Self::Mount => "a way to mount: \"ro\" or \"rw\"",
            Self::Ok => "\"ok\", the only value of this key",
            Self::True => "`true`, the only value of this key",
            Self::Number => "a number that fits here",
            Self::Inherit => "a list or \"inherit\"",
            Self::Restart => "a command as a list, or \"restart\"",
            Self::Nothing => "a table or \"none\"",
            Self::Version => "a version, such as \">=0.1\"",
        }
    }
}

/// Enough of a text to know it by.
fn cut(text: &str) -> String {
    const SHOWN: usize = 200;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
