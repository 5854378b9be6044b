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
        let fail =
            |why: &str| ParseReferenceError { text: text.chars().take(200).collect(), why: why.to_owned() };
        // What stands there isn't repeated: it may be a password.
        if let Some((_, host)) =
            text.rsplit_once('@').filter(|(_, host)| !host.starts_with("sha256") && host.contains(['/', '.']))
        {
            let text = host.chars().take(200).collect();
            let why = "a user and password are no part of it; `docker login` or `podman login` keeps them"
                .to_owned();
            return Err(ParseReferenceError { text, why });
        }
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest.parse().map_err(|_| fail("only sha256 digests"))?)),
            None => (text, None),
        };
        // A colon before a slash belongs to a port.
        let (name, tag) = match name.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (name, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(fail("a tag has up to 128 letters, digits and _ . -, the first no . or -"));
        }
        let (registry, path) = match name.split_once('/') {
            Some((host, path)) if host == "localhost" || host.contains(['.', ':']) => (host, path),
            _ => ("docker.io", name),
        };
        if !is_registry(registry) {
            return Err(fail("a registry is a host name or address, with or without a port"));
        }
        let registry = if registry == "index.docker.io" { "docker.io" } else { registry };
        let official = registry == "docker.io" && !path.contains('/');
        let repository = if official { format!("library/{path}") } else { path.to_owned() };
        // As docker counts: without the host, with what stands for nothing.
        if repository.len() > 255 || !path.split('/').all(is_component) {
            let why = "a repository has lower-case letters and digits, one of . _ __ - between them, up to 255 in all";
            let lower = text.to_ascii_lowercase();
            if lower != text && lower.parse::<Self>().is_ok() {
                return Err(fail(&format!("{why}; did you mean {lower:?}?")));
            }
            return Err(fail(why));
        }
        Ok(Self {
            registry: registry.to_owned(),
            repository,
            tag: tag.or(if digest.is_none() { Some("latest") } else { None }).map(str::to_owned),
            digest,
        })
    }
}

/// `[\w][\w.-]{0,127}` (OCI distribution specification).
fn is_tag(text: &str) -> bool {
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let bytes = text.as_bytes();
    bytes.len() <= 128
        && bytes.first().is_some_and(word)
        && bytes.iter().all(|byte| word(byte) || b".-".contains(byte))
}

/// A name of letters, digits and inner hyphens between dots, or an IPv6 address in brackets; then perhaps a port.
fn is_registry(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let is_label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let named = address.map_or_else(
        || host.split('.').all(is_label),
        |address| address.parse::<core::net::Ipv6Addr>().is_ok(),
    );
    named && port.is_none_or(is_port)
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
    use proptest::prelude::*;

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
            ("localhost:5000", "docker.io/library/localhost:5000".to_owned()),
            ("index.docker.io/nginx", "docker.io/library/nginx:latest".to_owned()),
            ("docker.io/a/b:1", "docker.io/a/b:1".to_owned()),
            ("[::1]:5000/a", "[::1]:5000/a:latest".to_owned()),
            ("[fe80::1]/a/b:_x", "[fe80::1]/a/b:_x".to_owned()),
            (&format!("nginx@{digest}"), format!("docker.io/library/nginx@{digest}")),
            (&format!("nginx:1.27@{digest}"), format!("docker.io/library/nginx:1.27@{digest}")),
        ] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), expected);
        }
        let bad = [
            "",
            "UPPER",
            "a b",
            "x:",
            "x@sha256:12",
            "../x",
            "Up/x",
            "a/b..c",
            "a/_b",
            "a/b-",
            "a.b/",
            "-a.b/c",
            "a-.b/c",
            "a..b/c",
            "a.b:/c",
            "a.b:x/c",
            "[::1/c",
            "[g]/c",
            "x:.a",
            "x:a b",
            "x@",
            "@x",
            "a//b",
            "x:1:2",
            "x/:1",
        ];
        for bad in bad {
            assert!(bad.parse::<Reference>().is_err(), "{bad}");
        }
        assert!(format!("x:{}", "a".repeat(129)).parse::<Reference>().is_err());
        assert!("a/".repeat(200).trim_end_matches('/').parse::<Reference>().is_err());
        // Docker Hub's own images stand in a repository that is named for them.
        assert!(
            "a".repeat(247).parse::<Reference>().is_ok() && "a".repeat(248).parse::<Reference>().is_err()
        );
    }

    proptest! {
        /// What both read, they read alike. Ours takes no host of capitals alone, and no digest but sha256.
        #[test]
        fn reads_as_oci_spec_does(text in "([a-zA-Z.:0-9-]{1,8}/)?([a-z0-9_./-]{1,12})(:[\\w.-]{1,5})?(@sha256:[0-9a-f]{64})?") {
            let theirs = oci_spec::distribution::Reference::from_str(&text);
            match (text.parse::<Reference>(), theirs) {
                (Ok(ours), Ok(theirs)) => prop_assert_eq!(ours.to_string(), theirs.whole()),
                (Ok(ours), Err(error)) => prop_assert!(false, "{ours}: {error}"),
                (Err(_), _) => {}
            }
        }
    }
}
