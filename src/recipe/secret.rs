//! The secret guard: names that promise a secret, and bytes that look like one.
//!
//! Policy, not meaning: it decides no byte, may become sharper, and is not asked when a lock is to be repeated.

use std::sync::OnceLock;

use aho_corasick::packed::Searcher;

use super::{
    At, Change, Cmd, Error, ErrorKind, Evaluated, Resolved, ResolvedAction, ResolvedFile, ResolvedSource, Var,
};

/// Words that promise a secret, alone or at the end of a longer one (`PGPASSWORD`, `AUTHTOKEN`, `MYSQLPWD`).
const SECRETS: [&str; 12] = [
    "PASSWORD",
    "PASSWORDS",
    "PASSWD",
    "PASSPHRASE",
    "PASSPHRASES",
    "SECRET",
    "SECRETS",
    "TOKEN",
    "TOKENS",
    "CREDENTIAL",
    "CREDENTIALS",
    "PWD",
];
/// `KEY` and `PASS` end too many harmless words (MONKEY, COMPASS), so only these count beside them.
const KEYS: [&str; 11] = [
    "KEY",
    "KEYS",
    "APIKEY",
    "APIKEYS",
    "PRIVATEKEY",
    "SECRETKEY",
    "ACCESSKEY",
    "SIGNINGKEY",
    "MASTERKEY",
    "PASS",
    "PASSCODE",
];
/// Words behind those that say something about a secret: `ACCESS_KEY_ID`, `TOKEN_URL`, `PASSWORD_MIN_LENGTH`, `KEYS_ALLOWED`.
const ABOUT: [&str; 73] = [
    "AGE",
    "ALG",
    "ALGO",
    "ALGORITHM",
    "ALLOWED",
    "ATTEMPTS",
    "AUDIENCE",
    "BACKEND",
    "BITS",
    "BYTES",
    "CLASS",
    "CMD",
    "COMMAND",
    "COST",
    "COUNT",
    "DAYS",
    "DIR",
    "DIRECTORY",
    "DISABLED",
    "ENABLED",
    "ENCODING",
    "ENDPOINT",
    "ENGINE",
    "EXPIRATION",
    "EXPIRES",
    "EXPIRY",
    "EXT",
    "FIELD",
    "FILE",
    "FILES",
    "FORMAT",
    "HEADER",
    "HELPER",
    "HOST",
    "HOURS",
    "ID",
    "IDS",
    "ISSUER",
    "LEN",
    "LENGTH",
    "LIFETIME",
    "LIMIT",
    "MANAGER",
    "MAX",
    "MIN",
    "MINUTES",
    "MODE",
    "NAME",
    "NAMES",
    "PATH",
    "PATHS",
    "POLICY",
    "PORT",
    "PREFIX",
    "PROVIDER",
    "REGEX",
    "REQUIRED",
    "ROTATION",
    "ROUNDS",
    "SCOPE",
    "SECONDS",
    "SERVER",
    "SIZE",
    "STORE",
    "TIMEOUT",
    "TTL",
    "TYPE",
    "URL",
    "URI",
    "URLS",
    "USAGE",
    "VALIDITY",
    "VERSION",
];
/// Words directly before `KEY` and `KEYS` that make it one that everybody may have.
const OPEN_KEYS: [&str; 17] = [
    "PUBLIC",
    "PUB",
    "GPG",
    "PGP",
    "PRIMARY",
    "FOREIGN",
    "PARTITION",
    "SORT",
    "CACHE",
    "ROUTING",
    "OBJECT",
    "UNIQUE",
    "HOT",
    "SHARD",
    "GROUP",
    "MESSAGE",
    "TRANSLATION",
];
/// The same of `TOKENS`, which language models count.
const COUNTED_TOKENS: [&str; 5] = ["MAX", "MIN", "NUM", "NEW", "TOTAL"];
/// Values that are switches: `ALLOW_EMPTY_PASSWORD=yes`.
const SWITCHES: [&str; 8] = ["true", "false", "yes", "no", "on", "off", "0", "1"];
/// Where files are: `GOOGLE_APPLICATION_CREDENTIALS=/etc/gcp.json`, `TLS_KEY=/run/secrets/key`, `PWD=/srv`.
const PLACES: [&str; 18] = [
    "app",
    "certs",
    "config",
    "data",
    "etc",
    "home",
    "keys",
    "media",
    "mnt",
    "opt",
    "root",
    "run",
    "secrets",
    "srv",
    "tmp",
    "usr",
    "var",
    "workspace",
];

/// Does the name promise a secret? Its words (between `_`, `-`, `.`) are looked at, in any case.
pub fn is_secret_name(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    let words: Vec<_> = upper.split(['_', '-', '.']).filter(|word| !word.is_empty()).collect();
    // The shell's own.
    if matches!(words[..], ["PWD" | "OLDPWD"]) {
        return false;
    }
    let promises = |word: &&str| KEYS.contains(word) || SECRETS.iter().any(|secret| word.ends_with(secret));
    let Some(last) = words.iter().rposition(promises) else { return false };
    let before = last.checked_sub(1).and_then(|before| words.get(before)).copied().unwrap_or_default();
    let open = match words[last] {
        "KEY" | "KEYS" => OPEN_KEYS.contains(&before),
        "TOKENS" => COUNTED_TOKENS.contains(&before),
        _ => false,
    };
    !open && !words[last + 1..].iter().any(|word| ABOUT.contains(word))
}

/// A name that promises a secret with a value that is one: neither empty nor a switch nor `${…}` nor the path of a file.
pub fn is_secret(name: &str, value: &str) -> bool {
    let reference = value.starts_with("${") && value.ends_with('}');
    let harmless = value.is_empty() || reference || SWITCHES.contains(&value.to_ascii_lowercase().as_str());
    !harmless && is_secret_name(name) && !is_path(value)
}

/// An absolute path, by its first component: other words that begin with a slash may be base64.
fn is_path(value: &str) -> bool {
    let first = value.strip_prefix('/').and_then(|rest| rest.split_once('/'));
    value == "/"
        || first.is_some_and(|(first, rest)| PLACES.contains(&first) && !rest.contains(char::is_whitespace))
}

/// A kind of token: what it begins with, what may follow and how much of it.
struct Token {
    kind: &'static str,
    prefix: &'static str,
    length: std::ops::RangeInclusive<usize>,
    /// Beside letters and digits.
    also: &'static [u8],
    /// Capitals and digits only.
    upper: bool,
}

const fn token(
    kind: &'static str,
    prefix: &'static str,
    from: usize,
    to: usize,
    also: &'static [u8],
) -> Token {
    Token { kind, prefix, length: from..=to, also, upper: false }
}

const TOKENS: [Token; 19] = [
    Token { kind: "an AWS access key", prefix: "AKIA", length: 16..=16, also: b"", upper: true },
    Token { kind: "a temporary AWS access key", prefix: "ASIA", length: 16..=16, also: b"", upper: true },
    token("a GitHub token", "ghp_", 36, 36, b""),
    token("a GitHub token", "gho_", 36, 36, b""),
    token("a GitHub token", "ghu_", 36, 36, b""),
    token("a GitHub token", "ghs_", 36, 36, b""),
    token("a GitHub token", "ghr_", 36, 76, b""),
    token("a GitHub token", "github_pat_", 82, 82, b"_"),
    token("a GitLab token", "glpat-", 20, 300, b"_-."),
    token("a Slack token", "xoxb-", 20, 200, b"-"),
    token("a Slack token", "xoxp-", 20, 200, b"-"),
    token("a Slack token", "xapp-", 20, 200, b"-"),
    token("a Stripe key", "sk_live_", 24, 200, b""),
    token("a Stripe key", "rk_live_", 24, 200, b""),
    token("a Google API key", "AIza", 35, 35, b"_-"),
    token("an npm token", "npm_", 36, 36, b""),
    token("a PyPI token", "pypi-AgEIcHlwaS5vcmc", 50, 1000, b"_-"),
    token("a SendGrid key", "SG.", 66, 66, b"_-."),
    token("a Docker Hub token", "dckr_pat_", 27, 27, b"_-"),
];

/// What the bytes look like, if they look like a secret: a PEM private key, or a token with a known prefix.
///
/// `None` for text that only speaks of one: prefix, alphabet and length must all fit.
pub fn secrets_in(bytes: &[u8]) -> Option<&'static str> {
    static SEARCHER: OnceLock<Option<Searcher>> = OnceLock::new();
    let prefixes = || TOKENS.iter().map(|token| token.prefix).chain([KEY]);
    let searcher = SEARCHER.get_or_init(|| Searcher::new(prefixes()));
    let next = |from: usize| match searcher {
        Some(searcher) => Some(from + searcher.find(bytes.get(from..)?)?.start()),
        // A processor without the SIMD that it takes.
        None => (from..bytes.len())
            .find(|&at| prefixes().any(|prefix| bytes[at..].starts_with(prefix.as_bytes()))),
    };
    let hits = std::iter::successors(next(0), |hit| next(hit + 1));
    hits.filter_map(|hit| secret_at(bytes, hit)).next()
}

fn secret_at(bytes: &[u8], index: usize) -> Option<&'static str> {
    let rest = &bytes[index..];
    if is_private_key(rest) {
        return Some("a private key");
    }
    // In the middle of a longer word (or of base64) it is chance.
    if index > 0 && (bytes[index - 1].is_ascii_alphanumeric() || b"_+/".contains(&bytes[index - 1])) {
        return None;
    }
    let hit = TOKENS.iter().find(|token| {
        rest.strip_prefix(token.prefix.as_bytes()).is_some_and(|rest| {
            let fits = |byte: &&u8| {
                token.also.contains(byte)
                    || if token.upper {
                        byte.is_ascii_uppercase() || byte.is_ascii_digit()
                    } else {
                        byte.is_ascii_alphanumeric()
                    }
            };
            // Not farther than matters: a file may be made of prefixes.
            let count = rest.iter().take(token.length.end() + 1).take_while(fits).count();
            let ends = !rest.get(count).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
            // AKIAIOSFODNN7EXAMPLE and its like stand in every manual.
            token.length.contains(&count) && ends && !rest[..count].ends_with(b"EXAMPLE")
        })
    });
    hit.map(|token| token.kind)
}

const KEY: &str = "-----BEGIN ";

/// `-----BEGIN … PRIVATE KEY-----` and a line of base64 or headers after it.
fn is_private_key(rest: &[u8]) -> bool {
    let Some(rest) = rest.strip_prefix(KEY.as_bytes()) else { return false };
    let end = rest.iter().take(40).position(|byte| *byte == b'-').unwrap_or(0);
    let (label, rest) = rest.split_at(end);
    label.ends_with(b"PRIVATE KEY") && rest.starts_with(b"-----")
        || label.ends_with(b"PRIVATE KEY BLOCK") && rest.starts_with(b"-----")
}

impl Resolved {
    /// What looks like a secret: names in the environment and among variables, texts. Policy, not meaning: it may
    /// become sharper, so a build that must repeat a lock doesn't ask.
    pub fn guard(&self, recipe: &Evaluated) -> Vec<Error> {
        let mut errors = Vec::new();
        let mut check = |name: &String, value: &str, at: &At| {
            let kind = if is_secret(name, value) {
                ErrorKind::SecretName { name: name.clone() }
            } else if let Some(kind) = secrets_in(value.as_bytes()) {
                ErrorKind::SecretContent { kind }
            } else {
                return;
            };
            errors.push(Error { at: Some(at.clone()), kind });
        };
        for (name, value) in self.config.env.iter().chain(&self.config.labels) {
            check(name, value, &value.at);
        }
        for (name, var) in &recipe.vars {
            if let (Var::Value(_) | Var::Set { default: Some(_) }, Some(value)) =
                (&var.value, self.names.get(name))
            {
                check(name, value, &var.at);
            }
        }
        let cmd = match &self.config.cmd {
            Some(Cmd::Set(cmd)) => cmd.as_slice(),
            _ => &[],
        };
        for argument in self.config.entrypoint.iter().flatten().chain(cmd) {
            check(&String::new(), argument, &argument.at);
        }
        for entry in self.entries.iter().filter(|entry| entry.allow_secret.is_none()) {
            let text = match &entry.action {
                ResolvedAction::File(ResolvedFile { source: ResolvedSource::Text(text), .. }) => text,
                // What is replaced was there before.
                ResolvedAction::Edit {
                    change: Change::Append(text) | Change::Prepend(text) | Change::Replace { with: text, .. },
                    ..
                } => text,
                _ => continue,
            };
            if let Some(kind) = secrets_in(text.as_bytes()) {
                errors.push(Error { at: Some(text.at.clone()), kind: ErrorKind::SecretContent { kind } });
            }
        }
        errors
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As they stand in Dockerfiles and Compose files of the field, or nearly.
    #[test]
    fn names() {
        for name in [
            "PASSWORD",
            "RABBITMQ_DEFAULT_PASS",
            "POSTGRES_PASSWORD",
            "MYSQL_ROOT_PASSWORD",
            "MSSQL_SA_PASSWORD",
            "db-password",
            "dbPassword",
            "PGPASSWORD",
            "MYSQL_PWD",
            "SAPWD",
            "ROOT_PWD",
            "CLIENT_SECRET",
            "JWT_SECRET",
            "OAUTH2_PROXY_COOKIE_SECRET",
            "HASURA_GRAPHQL_ADMIN_SECRET",
            "AUTHTOKEN",
            "NPM_TOKEN",
            "NPM_CONFIG_//registry.npmjs.org/:_authToken",
            "GITHUB_TOKEN",
            "AWS_SESSION_TOKEN",
            "AWS_SECRET_ACCESS_KEY",
            "MINIO_SECRET_KEY",
            "API_KEY",
            "APIKEY",
            "STRIPE_API_KEYS",
            "SECRET_KEY_BASE",
            "AIRFLOW__CORE__FERNET_KEY",
            "DJANGO_SECRET_KEY",
            "privateKey",
            "SSH_PRIVATE_KEY",
            "SIGNING_KEY_PASSPHRASE",
            "DOCKER_CONTENT_TRUST_REPOSITORY_PASSPHRASE",
            "GPG_PASSPHRASE",
            "REGISTRY_CREDENTIAL",
            "DB_CREDENTIALS",
            "KEY_FILE_PASSWORD",
            "TRUST_STORE_PASSWORD",
            "CACHE_PASSWORD",
            "PUBLIC_PASSWORD",
            "SECRETS_BACKEND_TOKEN",
            "KEYCLOAK_ADMIN_PASSWORD",
            "LICENSE_KEY",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in [
            "KEYCLOAK_URL",
            "KEYCLOAK_REALM",
            "MONKEY",
            "TURKEY_SIZE",
            "KEYSTORE",
            "KEYBOARD",
            "TOKENIZER",
            "COMPASS",
            "PASSWORD_FILE",
            "POSTGRES_PASSWORD_FILE",
            "MYSQL_ROOT_PASSWORD_FILE",
            "GF_SECURITY_ADMIN_PASSWORD__FILE",
            "PGPASSFILE",
            "AWS_ACCESS_KEY_ID",
            "AWS_SHARED_CREDENTIALS_FILE",
            "TOKEN_URL",
            "SECRETARY",
            "PATH",
            "PWD",
            "OLDPWD",
            "PUBLIC_KEY",
            "JWT_PUBLIC_KEY",
            "GPG_KEY",
            "NODE_GPG_KEYS",
            "CASSANDRA_PARTITION_KEY",
            "S3_CACHE_KEY_PREFIX",
            "KEYS_ALLOWED",
            "ALLOWED_KEYS_COUNT",
            "PASSWORD_MIN",
            "PASSWORD_MIN_LENGTH",
            "PASSWORD_RESET_TIMEOUT",
            "PASSWORD_POLICY",
            "SECRETS_BACKEND",
            "AIRFLOW__SECRETS__BACKEND",
            "SECRET_NAME",
            "TOKEN_EXPIRES_IN",
            "JWT_TOKEN_EXPIRES_IN_SECONDS",
            "TOKEN_ISSUER",
            "MAX_TOKENS",
            "OPENAI_MAX_TOKENS",
            "MAX_NEW_TOKENS",
            "TOKENIZERS_PARALLELISM",
            "SSH_AUTH_SOCK",
            "SSH_KEY_TYPE",
            "POSTGRES_HOST_AUTH_METHOD",
            "CREDENTIAL_HELPER",
            "PASSTHROUGH",
            "KEYSERVER",
            "",
            "_",
        ] {
            assert!(!is_secret_name(name), "{name}");
        }
        for (name, value, secret) in [
            ("DB_PASSWORD", "hunter2", true),
            ("DB_PASSWORD", "", false),
            ("DB_PASSWORD", "${PW}", false),
            ("DB_PASSWORD", "yes", false),
            ("DB_PASSWORD", "x${PW}", true),
            ("DB_PASSWORD", "/run/secrets/db", false),
            ("DB_PASSWORD", "/9j/4AAQSkZJRg", true),
            ("MYSQL_PWD", "hunter2", true),
            ("PROJECT_PWD", "/srv/project", false),
            ("GOOGLE_APPLICATION_CREDENTIALS", "/etc/gcp/key.json", false),
            ("TLS_KEY", "/certs/tls.key", false),
            ("TLS_KEY", "/var/lib with blanks", true),
        ] {
            assert_eq!(is_secret(name, value), secret, "{name}={value}");
        }
    }

    #[test]
    fn contents() {
        // Put together here, so that no scanner finds them in this file.
        let long =
            |prefix: &str, count: usize| format!("x = \"{prefix}{}\"", "a1B2".repeat(30).split_at(count).0);
        for (text, kind) in [
            (format!("a\n-----BEGIN {} KEY-----\nMII", "RSA PRIVATE"), Some("a private key")),
            (format!("-----BEGIN {} KEY-----", "PRIVATE"), Some("a private key")),
            ("-----BEGIN PUBLIC KEY-----".into(), None),
            ("-----BEGIN CERTIFICATE-----".into(), None),
            (format!("id AKIA{}", "ABCDEFGH12345678"), Some("an AWS access key")),
            ("id AKIAIOSFODNN7EXAMPLE".into(), None),
            (format!("id AKIA{}", "abcdefgh12345678"), None),
            (format!("idAKIA{}", "ABCDEFGH12345678"), None),
            (long("ghp_", 36), Some("a GitHub token")),
            (long("ghp_", 35), None),
            (long("ghp_", 37), None),
            (long("glpat-", 20), Some("a GitLab token")),
            (long("npm_", 36), Some("an npm token")),
            ("npm_config_cache=/x".into(), None),
            (long("AIza", 35), Some("a Google API key")),
            (long("sk_live_", 24), Some("a Stripe key")),
            ("sk_live_ keys are secret, xoxb- too".into(), None),
        ] {
            assert_eq!(secrets_in(text.as_bytes()), kind, "{text}");
        }
        assert_eq!(secrets_in(b""), None);
    }
}
