//! What words of a recipe may be. Nothing here changes one: a word is taken as it stands, or refused.

use super::{ErrorKind, What};
use crate::digest::Digest;

pub(super) fn invalid(what: What, value: &str) -> ErrorKind {
    ErrorKind::Invalid { what, value: value.to_owned() }
}

/// `Ok` when `good`, else an [`ErrorKind::Invalid`].
pub(super) fn ensure(good: bool, what: What, value: &str) -> Result<(), ErrorKind> {
    if good { Ok(()) } else { Err(invalid(what, value)) }
}

/// The command of a health check. Docker's documents begin it with a word that says how it is run, which nothing runs.
pub(super) fn health_command<'t>(cmd: impl IntoIterator<Item = &'t str>) -> Result<(), ErrorKind> {
    let list = |words: &[&str]| {
        let words: Vec<_> = words.iter().map(|word| format!("{word:?}")).collect();
        format!("cmd = [{}]", words.join(", "))
    };
    let words: Vec<&str> = cmd.into_iter().collect();
    let instead = match words.split_first() {
        // As one word after it a shell reads it, and so it is meant where there are several.
        Some((&"CMD-SHELL", rest)) => list(&["sh", "-c", &rest.join(" ")]),
        Some((&"CMD", rest)) => list(rest),
        Some((&"NONE", _)) => {
            "healthcheck = \"none\" in [config]; a service without a check has no [service.health]".to_owned()
        }
        _ => return Ok(()),
    };
    Err(ErrorKind::HealthWord { word: words[0].to_owned(), instead })
}

/// A name of ours: variables, variants, inputs, jobs, layers.
pub(super) fn name(text: &str) -> Result<(), ErrorKind> {
    let good = text.starts_with(|char: char| char.is_ascii_alphabetic() || char == '_')
        && text.len() <= 100
        && text.chars().all(|char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-'));
    ensure(good, What::Name, text)
}

/// `stack/name`, as directories are called.
pub(super) fn recipe_name(text: &str) -> Result<(), ErrorKind> {
    let word = |word: &str| {
        !word.is_empty()
            && !word.starts_with(['.', '-'])
            && word.chars().all(|char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-' | '.'))
    };
    let good = text.split_once('/').is_some_and(|(stack, name)| word(stack) && word(name));
    ensure(good, What::RecipeName, text)
}

/// The name of a recipe to extend: one of this workspace, or `catalogue:stack/name`.
pub(super) fn extended(text: &str) -> Result<(), ErrorKind> {
    match text.split_once(':') {
        Some((catalogue, recipe)) => {
            let good = name(catalogue).is_ok() && recipe_name(recipe).is_ok();
            ensure(good, What::ExtendedName, text)
        }
        None => recipe_name(text),
    }
}

/// `os/architecture` or `os/architecture/variant`.
pub(super) fn platform(text: &str) -> Result<(), ErrorKind> {
    let parts: Vec<_> = text.split('/').collect();
    let good = matches!(parts.len(), 2 | 3)
        && parts.iter().all(|part| {
            !part.is_empty()
                && part.chars().all(|char| char.is_ascii_alphanumeric() || char == '.' || char == '_')
        });
    ensure(good, What::Platform, text)
}

/// A tag as registries take it.
pub(super) fn tag(text: &str) -> Result<(), ErrorKind> {
    let good = (1..=128).contains(&text.len())
        && !text.starts_with(['.', '-'])
        && text.chars().all(|char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-' | '.'));
    ensure(good, What::Tag, text)
}

/// Roughly a reference: `oci` reads it exactly.
pub(super) fn reference(text: &str) -> Result<(), ErrorKind> {
    let good = !text.is_empty() && text.chars().all(|char| char.is_ascii_graphic()) && !text.contains("://");
    ensure(good, What::Reference, text)
}

/// A glob over paths below something: one that none of these can be is a mistake, and would be silent. `directories`: it
/// may have a final slash.
pub(super) fn reaches(pattern: &str, directories: bool) -> Result<(), ErrorKind> {
    let body = pattern.strip_prefix('!').unwrap_or(pattern);
    let trimmed = if directories { body.trim_end_matches('/') } else { body };
    let why = match () {
        () if body.len() < pattern.len() => "a `!` in front takes nothing back here",
        () if body.starts_with('/') => "it begins with `/`, and what it is about has no `/` in front",
        () if trimmed.split('/').any(|name| matches!(name, "." | "..")) => "it has a `.` or `..` for a name",
        () if trimmed.ends_with('/') => "it ends in `/`, and names don't",
        () if trimmed.contains("//") => "it has an empty name between two `/`",
        () => return Ok(()),
    };
    let names = trimmed.split('/').filter(|name| !matches!(*name, "" | "." | ".."));
    let meant = names.collect::<Vec<_>>().join("/");
    let meant = if meant.is_empty() { "**".to_owned() } else { meant };
    Err(ErrorKind::NeverMatches { pattern: pattern.to_owned(), why, meant })
}

/// The name of an environment variable.
pub(super) fn env_name(text: &str) -> Result<(), ErrorKind> {
    let good = !text.is_empty() && !text.chars().any(|char| char == '=' || char.is_control());
    ensure(good, What::EnvName, text)
}

/// A field of a line of /etc/passwd.
pub(super) fn field(text: &str) -> Result<(), ErrorKind> {
    ensure(!text.contains([':', '\n']), What::Field, text)
}

pub(super) fn url(text: &str) -> Result<(), ErrorKind> {
    let rest = ["https://", "http://", "file:///"].iter().find_map(|scheme| text.strip_prefix(scheme));
    let good = rest.is_some_and(|rest| !rest.is_empty() && rest.chars().all(|char| char.is_ascii_graphic()));
    ensure(good, What::Url, text)
}

pub(super) fn sha256(text: &str) -> Result<Digest, ErrorKind> {
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    Digest::from_hex(hex).map_err(|_| invalid(What::Sha256, text))
}

#[cfg(test)]
mod tests {
    use super::super::v1;
    use super::*;

    #[test]
    fn patterns_that_reach_nothing() {
        for (pattern, directories, meant) in [
            ("a", true, None),
            ("a/", true, None),
            ("a/", false, Some("a")),
            ("**/*.map", true, None),
            ("a/!b", true, None),
            ("\\!a", true, None),
            ("...", true, None),
            (".env", true, None),
            ("/a/b", true, Some("a/b")),
            ("!/a", true, Some("a")),
            ("a/./b/../c", true, Some("a/b/c")),
            ("a//b/", true, Some("a/b")),
            ("", true, None),
            ("/", true, Some("**")),
            (".", true, Some("**")),
        ] {
            let found = match reaches(pattern, directories) {
                Err(ErrorKind::NeverMatches { meant, .. }) => Some(meant),
                _ => None,
            };
            assert_eq!(found.as_deref(), meant, "{pattern}");
        }
    }

    #[test]
    fn words() {
        for (check, good, bad) in [
            (name as fn(&str) -> _, &["a", "_x-1"][..], &["", "1a", "a.b", "é"][..]),
            (recipe_name, &["a/b", "skill-base/kafka_connect"], &["a", "a/b/c", "../b", "a/", "a/{{ x }}"]),
            (platform, &["linux/amd64", "linux/arm/v7"], &["linux", "linux/", "a/b/c/d", "linux/a b"]),
            (tag, &["17", "1.0-rc_1"], &["", "-a", ".a", "a:b", "a/b"]),
            (reference, &["docker.io/library/x:1@sha256:ab"], &["", "a b", "docker://a"]),
            (env_name, &["A", "a.b"], &["", "A=B", "A\n"]),
            (
                |text| v1::port(text).map(drop),
                &["80", "53/udp"],
                &["", "0", "08", "65536", "80/x", "+80", "80-90"],
            ),
        ] {
            good.iter().for_each(|text| assert_eq!(check(text), Ok(()), "{text}"));
            bad.iter().for_each(|text| assert!(check(text).is_err(), "{text}"));
        }
    }
}
