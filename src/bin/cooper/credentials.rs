//! Credentials as `docker login` and `podman login` leave them: files, and helpers that keep them.
//!
//! They are read when a registry asks, shown to nobody, and kept for the process.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use cooperage::registry::{Credential, Credentials};
use serde::Deserialize;

use crate::helper::ask;

/// A helper answers at once, unless a person must unlock what it keeps.
const HELPER_LIMIT: Duration = Duration::from_secs(60);

/// What Docker calls its own registry.
const DOCKER_HUB: [&str; 4] =
    ["https://index.docker.io/v1/", "index.docker.io", "registry-1.docker.io", "https://index.docker.io/v1"];

/// Everybody's credentials.
pub(crate) struct Logins {
    files: Vec<PathBuf>,
    path: Option<OsString>,
}

/// `~/.docker/config.json`, or podman's `auth.json`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    #[serde(default)]
    auths: BTreeMap<String, Login>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Login {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

/// What a helper answers.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

impl Logins {
    pub(crate) const fn new(files: Vec<PathBuf>, path: Option<OsString>) -> Self {
        Self { files, path }
    }

    /// Asks `docker-credential-NAME`; nothing when it knows nothing.
    #[allow(clippy::disallowed_methods, reason = "helpers are programs")]
    fn helper(&self, name: &str, server: &str) -> Result<Option<Credential>, String> {
        let program = format!("docker-credential-{name}");
        if name.contains(['/', '\\']) {
            return Err(format!("{program:?} is no name of a program"));
        }
        let mut command = Command::new(&program);
        if let Some(path) = &self.path {
            command.env("PATH", path);
        }
        let output = ask(command.arg("get"), server, HELPER_LIMIT)
            .map_err(|why| format!("{program}, asked for the credentials of {server}: {why}"))?;
        if !output.success {
            let said = String::from_utf8_lossy(&output.out);
            // The helpers' way to say that there is nothing.
            if said.contains("credentials not found") {
                return Ok(None);
            }
            // An answer, though it failed, is not repeated.
            let said = said.split('{').next().unwrap_or_default();
            let said: String =
                said.chars().chain(String::from_utf8_lossy(&output.err).chars()).take(200).collect();
            return Err(format!("{program} failed for {server}: {}", said.trim()));
        }
        // What it said may hold a secret: it is not repeated.
        let answer: Answer = serde_json::from_slice(&output.out)
            .map_err(|_| format!("{program} gave no credentials for {server}"))?;
        Ok(Some(match answer.username.as_str() {
            "<token>" => Credential::Identity(answer.secret),
            _ => Credential::Basic { user: answer.username, password: answer.secret },
        }))
    }

    fn of_file(&self, file: &File, registry: &str, repository: &str) -> Result<Option<Credential>, String> {
        let servers = servers(registry);
        for server in &servers {
            if let Some(name) = file.cred_helpers.get(server.as_str()) {
                return self.helper(name, server);
            }
        }
        if let Some(login) = find(&file.auths, &servers, repository)
            && let Some(credential) = login.credential(registry)?
        {
            return Ok(Some(credential));
        }
        if let Some(name) = file.creds_store.as_deref().filter(|name| !name.is_empty()) {
            for server in &servers {
                if let Some(found) = self.helper(name, server)? {
                    return Ok(Some(found));
                }
            }
        }
        Ok(None)
    }
}

/// The names under which a registry may stand, Docker's own first.
fn servers(registry: &str) -> Vec<String> {
    let hub = if registry == "docker.io" { &DOCKER_HUB[..] } else { &[] };
    hub.iter().map(|name| (*name).to_owned()).chain([registry.to_owned()]).collect()
}

/// The entry of the longest name: podman keeps some by repository, Docker some by URL.
fn find<'f>(auths: &'f BTreeMap<String, Login>, servers: &[String], repository: &str) -> Option<&'f Login> {
    let matching = auths.iter().filter_map(|(key, login)| {
        let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://"));
        // A URL means its host, whatever its path.
        let name = bare.map_or(key.as_str(), |bare| bare.split('/').next().unwrap_or(bare));
        let fits = servers.iter().any(|server| {
            let path = format!("{server}/{repository}");
            key == server
                || name == server
                || path.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        fits.then_some((name.len(), login))
    });
    matching.max_by_key(|(length, _)| *length).map(|(_, login)| login)
}

impl Login {
    fn credential(&self, registry: &str) -> Result<Option<Credential>, String> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(token) = given(&self.registrytoken) {
            return Ok(Some(Credential::Bearer(token)));
        }
        if let Some(token) = given(&self.identitytoken) {
            return Ok(Some(Credential::Identity(token)));
        }
        if let (Some(user), Some(password)) = (given(&self.username), given(&self.password)) {
            return Ok(Some(Credential::Basic { user, password }));
        }
        let Some(auth) = given(&self.auth) else { return Ok(None) };
        let text = cooperage::oci::from_base64(&auth).and_then(|bytes| String::from_utf8(bytes).ok());
        match text.as_deref().and_then(|text| text.trim_end_matches('\0').split_once(':')) {
            Some((user, password)) => {
                Ok(Some(Credential::Basic { user: user.to_owned(), password: password.to_owned() }))
            }
            None => Err(format!("the credentials of {registry} are not base64 of user:password")),
        }
    }
}

impl Credentials for Logins {
    #[allow(clippy::disallowed_methods, reason = "files of the user's, not of the workspace")]
    fn of(&self, registry: &str, repository: &str) -> Result<Option<Credential>, String> {
        for path in &self.files {
            let text = match std::fs::read(path) {
                Ok(text) => text,
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
                    continue;
                }
                Err(error) => return Err(unreadable(path, &error.to_string())),
            };
            let file: File = serde_json::from_slice(&text).map_err(|error| {
                // serde's own words may quote the file.
                unreadable(path, &format!("not what it should be, line {}", error.line()))
            })?;
            if let Some(found) = self.of_file(&file, registry, repository)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

fn unreadable(path: &Path, why: &str) -> String {
    format!("cannot read {}: {why}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, registry: &str, repository: &str) -> Option<Credential> {
        let file: File = serde_json::from_str(text).unwrap();
        Logins::new(Vec::new(), None).of_file(&file, registry, repository).unwrap()
    }

    fn basic(user: &str) -> Option<Credential> {
        Some(Credential::Basic { user: user.into(), password: "p".into() })
    }

    #[test]
    fn dockers_and_podmans() {
        // a:p, b:p, c:p
        let text = r#"{"auths": {
            "https://index.docker.io/v1/": {"auth": "YTpw"},
            "r.example": {"auth": "Yjpw"},
            "r.example/team/app": {"auth": "Yzpw"},
            "https://old.example/v2/": {"auth": "YTpw"},
            "empty.example": {},
            "id.example": {"auth": "YTpw", "identitytoken": "i"},
            "reg.example": {"registrytoken": "t"}
        }, "HttpHeaders": {"X": "y"}}"#;
        assert_eq!(of(text, "docker.io", "library/nginx"), basic("a"));
        assert_eq!(of(text, "r.example", "x"), basic("b"));
        assert_eq!(of(text, "r.example", "team/app"), basic("c"));
        assert_eq!(of(text, "r.example", "team/apple"), basic("b"));
        assert_eq!(of(text, "old.example", "a/b"), basic("a"));
        assert_eq!(of(text, "empty.example", "a"), None);
        assert_eq!(of(text, "other.example", "a"), None);
        assert_eq!(of(text, "r.example.org", "a"), None);
        assert_eq!(of(text, "id.example", "a"), Some(Credential::Identity("i".into())));
        assert_eq!(of(text, "reg.example", "a"), Some(Credential::Bearer("t".into())));
    }

    #[test]
    fn what_cannot_be_read() {
        let file: File = serde_json::from_str(r#"{"auths": {"a.b": {"auth": "%%"}}}"#).unwrap();
        let logins = Logins::new(Vec::new(), None);
        assert!(logins.of_file(&file, "a.b", "c").unwrap_err().contains("a.b"));
        let file: File = serde_json::from_str(r#"{"credHelpers": {"a.b": "../x"}}"#).unwrap();
        assert!(logins.of_file(&file, "a.b", "c").is_err());
    }
}
