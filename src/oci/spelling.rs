//! Platforms as people and other tools spell them: `uname`'s words, Debian's, Docker's old ones.
//!
//! Owns which of them mean one machine, as containerd has it (and with it docker, buildkit and nerdctl). How Cooper itself
//! writes and sorts platforms is `v1`'s: a right spelling comes out of here as it went in.

use super::{Descriptor, Index, MediaType, Platform};

impl Platform {
    /// A text in the words that engines use: `linux/aarch64` is `linux/arm64`. Of what is no platform nothing changes.
    pub fn spelled(text: &str) -> String {
        text.parse::<Self>().map_or_else(
            |_| text.to_owned(),
            |platform| {
                let Self { os, architecture, variant, .. } = platform.normal();
                variant.map_or_else(
                    || format!("{os}/{architecture}"),
                    |variant| format!("{os}/{architecture}/{variant}"),
                )
            },
        )
    }

    /// Whether both mean the same machine, however they are spelled.
    pub fn is_same_machine(&self, other: &Self) -> bool {
        self.normal().matches(&other.normal())
    }

    fn normal(&self) -> Self {
        let lower = |text: &str| text.to_ascii_lowercase();
        let (os, architecture) = (lower(&self.os), lower(&self.architecture));
        let variant = self.variant.as_deref().map(lower);
        let (architecture, variant) = match (architecture.as_str(), variant.as_deref()) {
            ("i386", _) => ("386", None),
            ("x86_64" | "x86-64", variant) => ("amd64", variant),
            ("armhf", _) => ("arm", Some("v7")),
            ("armel", _) => ("arm", Some("v6")),
            ("arm", Some("5")) => ("arm", Some("v5")),
            ("arm", Some("6")) => ("arm", Some("v6")),
            ("arm", Some("7")) => ("arm", Some("v7")),
            ("arm", Some("8")) => ("arm", Some("v8")),
            ("aarch64" | "arm64", Some("8" | "8.0" | "v8.0")) => ("arm64", Some("v8")),
            ("aarch64" | "arm64", Some("9" | "9.0" | "v9.0")) => ("arm64", Some("v9")),
            ("aarch64", variant) => ("arm64", variant),
            own => own,
        };
        Self {
            os: if os == "macos" { "darwin".to_owned() } else { os },
            architecture: architecture.to_owned(),
            variant: variant.map(str::to_owned),
            rest: self.rest.clone(),
        }
    }
}

impl Index {
    /// The children for a platform, in their order: those that name it in Cooper's words, else those that mean the same
    /// machine. Attestations are none.
    pub fn children_for(&self, platform: &Platform) -> Vec<&Descriptor> {
        let of = |fits: fn(&Platform, &Platform) -> bool| {
            let fits = |child: &&Descriptor| {
                !child.is_attestation() && child.platform.as_ref().is_some_and(|own| fits(own, platform))
            };
            self.manifests.iter().filter(fits).collect::<Vec<_>>()
        };
        let named = of(Platform::matches);
        if named.is_empty() { of(Platform::is_same_machine) } else { named }
    }
}

impl Descriptor {
    /// Whether it doesn't even say of itself that it is an image: signatures, bills of materials and charts may stand
    /// beside one in an index, under the same platform.
    pub fn is_artifact(&self) -> bool {
        let kind = self.rest.get("artifactType").and_then(super::json::Value::as_str);
        let other =
            kind.is_some_and(|kind| !kind.is_empty() && MediaType::parse(kind) != Ok(MediaType::Config));
        other || self.kind() != Ok(MediaType::Manifest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings() {
        for (odd, right) in [
            ("linux/aarch64", "linux/arm64"),
            ("linux/x86_64", "linux/amd64"),
            ("linux/x86-64/v3", "linux/amd64/v3"),
            ("linux/arm64/8", "linux/arm64/v8"),
            ("linux/aarch64/v8.0", "linux/arm64/v8"),
            ("linux/arm64/9", "linux/arm64/v9"),
            ("linux/arm/7", "linux/arm/v7"),
            ("linux/arm/6", "linux/arm/v6"),
            ("linux/armhf", "linux/arm/v7"),
            ("linux/armel", "linux/arm/v6"),
            ("linux/i386", "linux/386"),
            ("macOS/aarch64", "darwin/arm64"),
            ("Linux/AMD64", "linux/amd64"),
            ("LINUX/ARM/V7", "linux/arm/v7"),
        ] {
            assert_eq!(Platform::spelled(odd), right, "{odd}");
            let (odd, right): (Platform, Platform) = (odd.parse().unwrap(), right.parse().unwrap());
            assert!(odd.is_same_machine(&right) && right.is_same_machine(&odd), "{odd}");
        }
        // What was right, or no platform at all, stays as it is.
        for right in [
            "linux/amd64",
            "linux/amd64/v1",
            "linux/amd64/v2",
            "linux/arm64",
            "linux/arm64/v8",
            "linux/arm",
            "linux/arm/v7",
            "linux/s390x",
            "linux/riscv64",
            "linux/mips64le",
            "windows/amd64",
            "linux",
            "",
            "a/b/c/d",
        ] {
            assert_eq!(Platform::spelled(right), right);
        }
        for (one, other) in [
            ("linux/arm64", "linux/arm"),
            ("linux/arm64/v8", "linux/arm64/v9"),
            ("linux/arm/6", "linux/armhf"),
            ("linux/amd64/v2", "linux/x86_64"),
        ] {
            let (one, other): (Platform, Platform) = (one.parse().unwrap(), other.parse().unwrap());
            assert!(!one.is_same_machine(&other), "{one} {other}");
        }
    }
}
