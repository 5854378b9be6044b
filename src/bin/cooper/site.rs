//! What a site and a user say of registries: cooper's configuration file, and who we are to them.
//!
//! Read when the first registry is needed, not before. The configuration is `$COOPER_CONFIG`, or
//! `cooper/config.toml` in `$XDG_CONFIG_HOME` or `~/.config`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cooperage::http;
use cooperage::registry::Client;
use serde::Deserialize;

use crate::credentials::Logins;

/// Where things lie, from the environment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places {
    /// Cooper's configuration, and whether it was named, so that it must be there.
    config: Option<(PathBuf, bool)>,
    /// Files with credentials, in the order in which they are asked.
    logins: Vec<PathBuf>,
    /// Through whom servers are reached.
    proxies: http::Proxies,
    /// Where programs are looked for.
    path: Option<OsString>,
}

impl Places {
    pub(crate) fn of(env: crate::variables::Variables<'_>) -> Self {
        let absolute = |name| env(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let home = absolute("HOME");
        let configs = absolute("XDG_CONFIG_HOME").or_else(|| Some(home.clone()?.join(".config")));
        let named = env("COOPER_CONFIG").map(|path| (path.into(), true));
        let docker = env("DOCKER_CONFIG").map(PathBuf::from).or_else(|| Some(home?.join(".docker")));
        let podman = [
            env("REGISTRY_AUTH_FILE").map(PathBuf::from),
            absolute("XDG_RUNTIME_DIR").map(|dir| dir.join("containers/auth.json")),
            configs.clone().map(|dir| dir.join("containers/auth.json")),
        ];
        let config = named.or_else(|| Some((configs?.join("cooper/config.toml"), false)));
        let docker = docker.map(|dir| dir.join("config.json"));
        Self {
            config,
            logins: docker.into_iter().chain(podman.into_iter().flatten()).collect(),
            proxies: http::Proxies::read(|name| env(name)?.into_string().ok()),
            path: env("PATH"),
        }
    }

    /// A client as the site wants it.
    pub(crate) fn client(&self) -> Result<Client, String> {
        let settings = match &self.config {
            Some((path, named)) => read(path, *named)?,
            None => http::Settings::default(),
        };
        let settings = http::Settings { proxies: self.proxies.clone(), ..settings };
        Ok(Client::new(settings, Box::new(Logins::new(self.logins.clone(), self.path.clone()))))
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    attempts: Option<u32>,
    /// Seconds.
    timeout: Option<u64>,
    /// Milliseconds.
    backoff: Option<u64>,
    /// Seconds.
    patience: Option<u64>,
    /// MiB.
    max_size: Option<u64>,
    /// Blobs that travel at once.
    concurrency: Option<usize>,
    /// Directories that recipes may read, outside of their workspace.
    #[serde(default)]
    allow_files: Vec<PathBuf>,
    #[serde(default)]
    registry: BTreeMap<String, Registry>,
    #[serde(default)]
    mirror: Vec<Mirror>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Registry {
    plain_http: Option<bool>,
    ca: Option<PathBuf>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
    #[serde(default)]
    token_hosts: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Mirror {
    prefix: String,
    location: Locations,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Locations {
    One(String),
    Many(Vec<String>),
}

#[allow(clippy::disallowed_methods, reason = "a file of the user's, not of the workspace")]
fn read(path: &Path, named: bool) -> Result<http::Settings, String> {
    match std::fs::read_to_string(path) {
        Ok(text) => parse(&text, path.parent().unwrap_or(Path::new("/"))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !named => {
            return Ok(http::Settings::default());
        }
        Err(error) => Err(error.to_string()),
    }
    .map_err(|why| format!("cannot read {}: {why}", path.display()))
}

/// Relative paths start at the file's directory.
fn parse(text: &str, dir: &Path) -> Result<http::Settings, String> {
    let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
    let defaults = http::Settings::default();
    let mut hosts = BTreeMap::new();
    for (name, registry) in file.registry {
        let client = match (registry.cert, registry.key) {
            (Some(cert), Some(key)) => Some((dir.join(cert), dir.join(key))),
            (None, None) => None,
            _ => return Err(format!("registry.{name:?} has one of cert and key; they go together")),
        };
        let Registry { plain_http, ca, token_hosts, .. } = registry;
        let host = http::Host { plain_http, ca: ca.map(|ca| dir.join(ca)), client, token_hosts };
        hosts.insert(name, host);
    }
    let mirrors = file.mirror.into_iter().map(|mirror| {
        let locations = match mirror.location {
            Locations::One(location) => vec![location],
            Locations::Many(locations) => locations,
        };
        let trimmed = |text: &String| text.trim_end_matches('/').to_owned();
        http::Mirror { prefix: trimmed(&mirror.prefix), locations: locations.iter().map(trimmed).collect() }
    });
    let mirrors: Vec<http::Mirror> = mirrors.collect();
    if let Some(odd) =
        mirrors.iter().flat_map(|mirror| &mirror.locations).find(|location| location.contains("://"))
    {
        return Err(format!(
            "the mirror {odd:?} is a URL; it is written as in references, HOST[:PORT][/PATH]"
        ));
    }
    Ok(http::Settings {
        hosts,
        mirrors,
        attempts: file.attempts.unwrap_or(defaults.attempts).max(1),
        backoff: file.backoff.map_or(defaults.backoff, Duration::from_millis),
        proxies: defaults.proxies,
        timeout: file.timeout.map_or(defaults.timeout, |seconds| Duration::from_secs(seconds.max(1))),
        patience: file.patience.map_or(defaults.patience, |seconds| Duration::from_secs(seconds.max(1))),
        max_size: file.max_size.map_or(defaults.max_size, |most| most.saturating_mul(1 << 20)),
        concurrency: file.concurrency.map_or(defaults.concurrency, |many| many.clamp(1, 64)),
        files: file.allow_files.iter().map(|files| dir.join(files)).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_site() {
        let text = "attempts = 2\nallow-files = [\"dist\", \"/srv\"]\n[registry.\"r.example:5000\"]\nplain-http = true\nca = \"ca.pem\"\n\
            [[mirror]]\nprefix = \"docker.io\"\nlocation = \"m.example/hub/\"\n";
        let settings = parse(text, Path::new("/etc/cooper")).unwrap();
        assert_eq!((settings.attempts, settings.timeout.as_secs()), (2, 60));
        let host = settings.host("r.example:5000").unwrap();
        assert_eq!(
            (host.plain_http, host.ca.as_deref()),
            (Some(true), Some(Path::new("/etc/cooper/ca.pem")))
        );
        assert_eq!(settings.mirrors[0].locations, ["m.example/hub"]);
        assert_eq!(settings.files, ["/etc/cooper/dist", "/srv"].map(PathBuf::from));
        for bad in [
            "x = 1",
            "[registry.a]\ncert = \"c\"",
            "[[mirror]]\nprefix = \"a\"\nlocation = \"https://m\"",
            "timeout = \"1m\"",
        ] {
            assert!(parse(bad, Path::new("/")).is_err(), "{bad}");
        }
    }

    #[test]
    fn places() {
        let env = |pairs: &'static [(&str, &str)]| {
            Places::of(&|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()))
        };
        let home = env(&[("HOME", "/h")]);
        assert_eq!(home.config, Some((PathBuf::from("/h/.config/cooper/config.toml"), false)));
        assert_eq!(
            home.logins,
            ["/h/.docker/config.json", "/h/.config/containers/auth.json"].map(PathBuf::from)
        );
        let named =
            env(&[("COOPER_CONFIG", "c.toml"), ("DOCKER_CONFIG", "/d"), ("REGISTRY_AUTH_FILE", "/a")]);
        assert_eq!(named.config, Some((PathBuf::from("c.toml"), true)));
        assert_eq!(named.logins, ["/d/config.json", "/a"].map(PathBuf::from));
        assert_eq!(env(&[]).config, None);
    }
}
