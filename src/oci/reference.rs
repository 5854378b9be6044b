//! Names of images in registries, as `docker pull` reads them.

use std::fmt;
use std::str::FromStr;

use crate::digest::Digest;

/// `registry/repository[:tag][@digest]`, completed the way Docker does: `postgres:17` is
/// `docker.io/library/postgres:17`, and a name without tag and digest means `latest`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// Host and port.
    pub registry: String,
    /// The path, without host.
    pub repository: String,
    /// Without the colon.
    pub tag: Option<String>,
    /// Pins the reference, whatever the tag says.
    pub digest: Option<Digest>,
}

/// The text is no reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an image reference: {why}")]
pub struct ParseReferenceError {
    /// What was read.
    pub text: String,
    /// What is wrong with it.
    pub why: String,
}

impl FromStr for Reference {
    type Err = ParseReferenceError;

    fn from_str(text: &str) -> Result<Self, ParseReferenceError> {
        let fail = |why: String| ParseReferenceError { text: text.chars().take(200).collect(), why };
        let parsed =
            oci_spec::distribution::Reference::from_str(text).map_err(|error| fail(error.to_string()))?;
        let digest =
            parsed.digest().map(str::parse).transpose().map_err(|_| fail("only sha256 digests".into()))?;
        // `A/b` is taken for a host until that turns out to be none.
        if !parsed.repository().split('/').all(is_component) {
            return Err(fail(
                "a repository has lower-case letters and digits, one of . _ __ - between them".into(),
            ));
        }
        Ok(Self {
            registry: parsed.registry().to_owned(),
            repository: parsed.repository().to_owned(),
            tag: parsed.tag().map(str::to_owned),
            digest,
        })
    }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*` (OCI distribution specification).
fn is_component(text: &str) -> bool {
    let mut rest = text;
    loop {
        let word = rest.trim_start_matches(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
        if word.len() == rest.len() {
            return false;
        }
        if word.is_empty() {
            return true;
        }
        let dashes = word.trim_start_matches('-');
        let separator = if dashes.len() < word.len() { Some(dashes) } else { None };
        let Some(after) =
            separator.or_else(|| word.strip_prefix("__")).or_else(|| word.strip_prefix(['.', '_']))
        else {
            return false;
        };
        rest = after;
    }
}

impl Reference {
    /// Without the digest: what a lock pins, and `org.opencontainers.image.base.name`.
    pub fn tagged(&self) -> String {
        match &self.tag {
            Some(tag) => format!("{}/{}:{tag}", self.registry, self.repository),
            None => format!("{}/{}", self.registry, self.repository),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.tagged())?;
        self.digest.map_or(Ok(()), |digest| write!(f, "@{digest}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn completes_as_docker_does() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (text, expected) in [
            ("postgres:17", "docker.io/library/postgres:17".to_owned()),
            ("postgres", "docker.io/library/postgres:latest".to_owned()),
            ("quay.io/keycloak/keycloak:26.4", "quay.io/keycloak/keycloak:26.4".to_owned()),
            ("localhost:5000/a/b:c", "localhost:5000/a/b:c".to_owned()),
            ("Host.example/a--b/c__d.e_f:1", "Host.example/a--b/c__d.e_f:1".to_owned()),
            (&format!("nginx@{digest}"), format!("docker.io/library/nginx@{digest}")),
            (&format!("nginx:1.27@{digest}"), format!("docker.io/library/nginx:1.27@{digest}")),
        ] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), expected);
        }
        for bad in ["", "UPPER", "a b", "x:", "x@sha256:12", "../x", "Up/x", "a/b..c", "a/_b", "a/b-"] {
            assert!(bad.parse::<Reference>().is_err(), "{bad}");
        }
    }
}
