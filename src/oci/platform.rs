//! Operating system, architecture and variant, as indexes and configs name them.

use std::fmt;
use std::str::FromStr;

use super::json::{Object, Value};
use super::{DocumentError, take_string, wrong};

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
    /// Whether both name the same machine: arm64 is arm64/v8, arm is arm/v7, amd64/v1 is amd64.
    pub fn matches(&self, other: &Self) -> bool {
        self.key() == other.key()
    }

    /// What platforms are sorted and compared by.
    pub fn key(&self) -> (&str, &str, &str) {
        let variant = match (self.architecture.as_str(), self.variant.as_deref()) {
            ("arm64", None | Some("")) => "v8",
            ("arm", None | Some("")) => "v7",
            ("amd64", Some("v1")) => "",
            (_, variant) => variant.unwrap_or(""),
        };
        (&self.os, &self.architecture, variant)
    }

    /// The shortest text for this machine: `linux/arm64`, not `linux/arm64/v8`.
    pub fn short(&self) -> String {
        match self.key() {
            (os, "arm64", "v8") => format!("{os}/arm64"),
            (os, architecture, "") => format!("{os}/{architecture}"),
            (os, architecture, variant) => format!("{os}/{architecture}/{variant}"),
        }
    }

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

    /// The member as it is written.
    pub fn to_value(&self) -> Value {
        let mut object = self.rest.clone();
        object.insert("os".into(), self.os.as_str().into());
        object.insert("architecture".into(), self.architecture.as_str().into());
        if let Some(variant) = &self.variant {
            object.insert("variant".into(), variant.as_str().into());
        }
        Value::Object(object)
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

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
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
