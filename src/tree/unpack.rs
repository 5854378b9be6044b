//! How an archive from elsewhere is to be unpacked, as it is written in a recipe.
//!
//! Owns the names of the formats and the spelling of a step (`tar.gz`, `tar:data.tar.gz`). It must not know what the
//! formats look like inside.

use std::fmt;
use std::str::FromStr;

use super::TreePath;

/// A format of archives, its compression included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// What the first bytes say.
    Any,
    /// tar, uncompressed.
    Tar,
    /// tar in gzip.
    TarGz,
    /// tar in xz.
    TarXz,
    /// tar in zstd.
    TarZst,
    /// tar in bzip2.
    TarBz2,
    /// zip, and what is one: jar, whl, war, ear.
    Zip,
    /// A Debian package: its files, those of `data.tar`.
    Deb,
    /// A Ruby gem: its files, those of `data.tar.gz`.
    Gem,
    /// One file, in gzip.
    Gz,
    /// One file, in xz.
    Xz,
    /// One file, in zstd.
    Zst,
    /// One file, in bzip2.
    Bz2,
}

/// What a step may name: as it is written out first, aliases behind.
const NAMES: [(&str, Format); 18] = [
    ("auto", Format::Any),
    ("tar", Format::Tar),
    ("tar.gz", Format::TarGz),
    ("tar.xz", Format::TarXz),
    ("tar.zst", Format::TarZst),
    ("tar.bz2", Format::TarBz2),
    ("zip", Format::Zip),
    ("deb", Format::Deb),
    ("gem", Format::Gem),
    ("gz", Format::Gz),
    ("xz", Format::Xz),
    ("zst", Format::Zst),
    ("bz2", Format::Bz2),
    ("tgz", Format::TarGz),
    ("jar", Format::Zip),
    ("whl", Format::Zip),
    ("war", Format::Zip),
    ("ear", Format::Zip),
];

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = NAMES.iter().find(|(_, format)| format == self).map_or("", |(name, _)| name);
        f.write_str(name)
    }
}

/// One archive to open: the outermost first, each further one is a member of the one before.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Step {
    /// The format of the archive.
    pub format: Format,
    /// Only this file of it, by its path in the archive; the next step reads it.
    pub member: Option<String>,
}

/// Why steps can't be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StepError {
    /// Not a format.
    #[error("{text:?} is no format of archives: those are {}", choices())]
    Format {
        /// The step as written.
        text: String,
    },
    /// Nothing, or what can't be a path in an archive, behind the colon.
    #[error("{text:?} names no file of the archive behind its colon")]
    Member {
        /// The step as written.
        text: String,
    },
    /// Another step follows, and nothing says what it reads.
    #[error("{step} must name the file of the archive that the next step reads, as {step}:NAME")]
    NoMember {
        /// The step.
        step: Step,
    },
}

/// All names of formats, as an error lists them.
fn choices() -> String {
    NAMES.map(|(name, _)| name).join(", ")
}

impl Step {
    /// The whole archive.
    pub const fn whole(format: Format) -> Self {
        Self { format, member: None }
    }
}

impl FromStr for Step {
    type Err = StepError;

    fn from_str(text: &str) -> Result<Self, StepError> {
        let (format, member) =
            text.split_once(':').map_or((text, None), |(format, member)| (format, Some(member)));
        let format = NAMES.iter().find(|(name, _)| *name == format).map(|(_, format)| *format);
        let format = format.ok_or_else(|| StepError::Format { text: text.into() })?;
        // One spelling for one file: a step is a part of what determines an output.
        if member.is_some_and(|name| name.is_empty() || !TreePath::is_normal(name.as_bytes())) {
            return Err(StepError::Member { text: text.into() });
        }
        Ok(Self { format, member: member.map(str::to_owned) })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.member {
            Some(member) => write!(f, "{}:{member}", self.format),
            None => write!(f, "{}", self.format),
        }
    }
}

/// Whether every step but the last names the file that the next one reads.
///
/// # Errors
/// The first one that doesn't.
pub fn check_steps(steps: &[Step]) -> Result<(), StepError> {
    let earlier = steps.split_last().map_or(&[][..], |(_, earlier)| earlier);
    match earlier.iter().find(|step| step.member.is_none()) {
        Some(step) => Err(StepError::NoMember { step: step.clone() }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps() {
        for (text, format, member, written) in [
            ("auto", Format::Any, None, "auto"),
            ("tar", Format::Tar, None, "tar"),
            ("tar.gz", Format::TarGz, None, "tar.gz"),
            ("tgz", Format::TarGz, None, "tar.gz"),
            ("tar.xz", Format::TarXz, None, "tar.xz"),
            ("tar.zst", Format::TarZst, None, "tar.zst"),
            ("tar.bz2", Format::TarBz2, None, "tar.bz2"),
            ("zip", Format::Zip, None, "zip"),
            ("jar", Format::Zip, None, "zip"),
            ("whl", Format::Zip, None, "zip"),
            ("war:WEB-INF/lib/a.jar", Format::Zip, Some("WEB-INF/lib/a.jar"), "zip:WEB-INF/lib/a.jar"),
            ("ear", Format::Zip, None, "zip"),
            ("deb", Format::Deb, None, "deb"),
            ("gem", Format::Gem, None, "gem"),
            ("gz", Format::Gz, None, "gz"),
            ("xz", Format::Xz, None, "xz"),
            ("zst", Format::Zst, None, "zst"),
            ("bz2", Format::Bz2, None, "bz2"),
            ("tar:data.tar.gz", Format::Tar, Some("data.tar.gz"), "tar:data.tar.gz"),
            ("tar:a:b", Format::Tar, Some("a:b"), "tar:a:b"),
        ] {
            let step: Step = text.parse().unwrap();
            assert_eq!(step, Step { format, member: member.map(str::to_owned) }, "{text}");
            assert_eq!(step.to_string(), written);
            assert_eq!(written.parse(), Ok(step));
        }
        for text in ["", "TAR", "rar", " tar", ":x"] {
            assert_eq!(text.parse::<Step>(), Err(StepError::Format { text: text.into() }));
        }
        for text in ["tar:", "tar:/x", "tar:../x", "tar:./x", "tar:x/", "tar:.", "tar:a\0"] {
            assert_eq!(text.parse::<Step>(), Err(StepError::Member { text: text.into() }));
        }
        assert_eq!(
            "rar".parse::<Step>().unwrap_err().to_string(),
            "\"rar\" is no format of archives: those are auto, tar, tar.gz, tar.xz, tar.zst, tar.bz2, zip, deb, \
             gem, gz, xz, zst, bz2, tgz, jar, whl, war, ear"
        );
    }

    #[test]
    fn only_the_last_step_may_be_without_member() {
        for (steps, fine) in [
            (&[][..], true),
            (&["auto"], true),
            (&["tar:a"], true),
            (&["tar:a", "zip"], true),
            (&["tar:a", "zip:b", "auto:c"], true),
            (&["tar", "zip"], false),
            (&["tar:a", "zip", "tar"], false),
        ] {
            let steps: Vec<Step> = steps.iter().map(|text| text.parse().unwrap()).collect();
            assert_eq!(check_steps(&steps).is_ok(), fine, "{steps:?}");
        }
        let error = check_steps(&[Step::whole(Format::Tar), Step::whole(Format::TarGz)]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "tar must name the file of the archive that the next step reads, as tar:NAME"
        );
    }
}
