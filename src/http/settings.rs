//! What a site says of the servers that are spoken to.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::{Proxies, Url};

/// How servers are spoken to.
#[derive(Debug, Clone)]
pub struct Settings {
    /// By host and port, as in references.
    pub hosts: BTreeMap<String, Host>,
    /// Asked before the server that a reference names.
    pub mirrors: Vec<Mirror>,
    /// Through whom everybody else is reached.
    pub proxies: Proxies,
    /// How often a request is sent before it is given up.
    pub attempts: u32,
    /// The wait before the second attempt; it doubles.
    pub backoff: Duration,
    /// So long nothing may come.
    pub timeout: Duration,
    /// So long one server may make us wait in all: for answers that come late, and between attempts.
    pub patience: Duration,
    /// So many bytes a fetch may have whose size no lock says.
    pub max_size: u64,
    /// So many blobs travel at once.
    pub concurrency: usize,
    /// Directories outside of a workspace that its recipes may read, by `file://` or through a link.
    pub files: Vec<PathBuf>,
}

/// What is special about a server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Host {
    /// Speaks no TLS, or certainly does.
    pub plain_http: Option<bool>,
    /// A file of certificates (PEM) that are trusted in place of the system's.
    pub ca: Option<PathBuf>,
    /// The files of our own certificate and its key (PEM).
    pub client: Option<(PathBuf, PathBuf)>,
    /// Hosts elsewhere that hand out this one's tokens, and may see its credentials.
    pub token_hosts: Vec<String>,
}

/// Another place for what has this prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirror {
    /// A host, or a host and the beginning of a path, up to a slash: `docker.io/library`.
    pub prefix: String,
    /// What stands in its place; tried in this order.
    pub locations: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            hosts: BTreeMap::new(),
            mirrors: Vec::new(),
            proxies: Proxies::default(),
            attempts: 5,
            backoff: Duration::from_millis(250),
            timeout: Duration::from_secs(60),
            patience: Duration::from_secs(600),
            max_size: 8 << 30,
            concurrency: 4,
            files: Vec::new(),
        }
    }
}

impl Settings {
    /// What is said of a host.
    pub fn host(&self, host: &str) -> Option<&Host> {
        self.hosts.get(host)
    }

    /// The same of whoever a URL leads to, with or without the port that its scheme has anyway.
    pub(super) fn host_of(&self, url: &Url) -> Option<&Host> {
        let same = |name: &String| url.with_authority(name).is_ok_and(|own| own.same_origin(url));
        self.host(url.authority())
            .or_else(|| self.hosts.iter().find(|(name, _)| same(name)).map(|(_, host)| host))
    }

    /// Where `name` (a registry and a repository, `docker.io/library/nginx`) may be had: mirrors of its longest prefix,
    /// then itself.
    pub fn places(&self, name: &str) -> Vec<String> {
        let rest = |mirror: &Mirror| {
            let rest = name.strip_prefix(mirror.prefix.as_str())?;
            (rest.is_empty() || rest.starts_with('/')).then(|| rest.to_owned())
        };
        let best = self.mirrors.iter().filter(|mirror| rest(mirror).is_some()).max_by_key(|m| m.prefix.len());
        let mut places: Vec<String> = Vec::new();
        if let Some((mirror, rest)) = best.and_then(|mirror| Some((mirror, rest(mirror)?))) {
            places.extend(mirror.locations.iter().map(|location| format!("{location}{rest}")));
        }
        places.push(name.to_owned());
        places
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors() {
        let mirror =
            |prefix: &str, location: &str| Mirror { prefix: prefix.into(), locations: vec![location.into()] };
        let mirrors =
            vec![mirror("docker.io", "m.example/hub"), mirror("docker.io/library", "m.example/lib")];
        let settings = Settings { mirrors, ..Settings::default() };
        for (name, expected) in [
            ("docker.io/library/nginx", &["m.example/lib/nginx", "docker.io/library/nginx"][..]),
            ("docker.io/libraryx/nginx", &["m.example/hub/libraryx/nginx", "docker.io/libraryx/nginx"]),
            ("docker.iox/a", &["docker.iox/a"]),
            ("quay.io/a/b", &["quay.io/a/b"]),
        ] {
            assert_eq!(settings.places(name), expected);
        }
    }
}
