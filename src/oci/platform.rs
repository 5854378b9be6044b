//! Operating system, architecture and variant, as indexes and configs name them.

use std::str::FromStr;

use super::DocumentError;
use super::json::{Object, Value};
use super::strict::{take_string, wrong};

/// `os/architecture[/variant]`, in Go's words (`linux/arm64/v8`), with whatever else stood beside them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Platform {
    /// `linux`
    pub os: String,
    /// `amd64`
    pub architecture: String,
    /// `v8`
    pub variant: Option<String>,
    /// `os.version` and other members, as they were read.
    pub rest: Object,
}

/// The text isn't `os/architecture[/variant]`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a platform: expected os/architecture or os/architecture/variant")]
pub struct ParsePlatformError {
    /// What was read.
    pub text: String,
}

impl Platform {
    /// Reads a descriptor's `platform`.
    ///
    /// # Errors
    /// A missing or wrong member.
    pub fn from_value(value: Value) -> Result<Self, DocumentError> {
        let Value::Object(mut rest) = value else { return Err(wrong("descriptor", "platform", "an object")) };
        let mut member = |name| take_string(&mut rest, "platform", name);
        let (os, architecture, variant) = (member("os")?, member("architecture")?, member("variant")?);
        Ok(Self {
            os: os.ok_or_else(|| wrong("platform", "os", "a string"))?,
            architecture: architecture.ok_or_else(|| wrong("platform", "architecture", "a string"))?,
            variant: variant.filter(|text| !text.is_empty()),
            rest,
        })
    }
}

impl FromStr for Platform {
    type Err = ParsePlatformError;

    fn from_str(text: &str) -> Result<Self, ParsePlatformError> {
        let parts: Vec<&str> = text.split('/').collect();
        let sound = |part: &&str| {
            part.starts_with(|first: char| first.is_ascii_alphanumeric())
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
        };
        if !(2..=3).contains(&parts.len()) || !parts.iter().all(sound) {
            return Err(ParsePlatformError { text: text.to_owned() });
        }
        Ok(Self {
            os: parts[0].to_owned(),
            architecture: parts[1].to_owned(),
            variant: parts.get(2).map(|&part| part.to_owned()),
            rest: Object::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_matches() {
        let parse = |text: &str| text.parse::<Platform>().unwrap();
        assert!(parse("linux/arm64").matches(&parse("linux/arm64/v8")));
        assert!(!parse("linux/arm/v6").matches(&parse("linux/arm")));
        assert_eq!(parse("linux/arm64/v8").to_string(), "linux/arm64");
        for bad in ["linux", "linux/", "a/b/c/d", "linux/../x", ""] {
            assert!(bad.parse::<Platform>().is_err(), "{bad}");
        }
    }
}
