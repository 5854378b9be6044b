//! Recipes by name, and the patterns that people give for them. No file is touched here.

use std::fmt;
use std::str::FromStr;

use super::Error;
use crate::recipe::{Glob, has_magic, suggest};

/// A recipe's name: `stack/name`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    /// The directory below `recipes`; of another workspace's recipe, that one's name comes before it, and a colon.
    pub stack: String,
    /// The directory below that.
    pub name: String,
}

impl Target {
    /// The recipe's directory, relative to the workspace; of another one's, behind that one's name and a colon.
    pub fn origin(&self) -> String {
        match self.catalogue() {
            (Some(catalogue), stack) => format!("{catalogue}:recipes/{stack}/{}", self.name),
            (None, stack) => format!("recipes/{stack}/{}", self.name),
        }
    }

    /// The other workspace that it is in, if it is, and its stack there.
    pub fn catalogue(&self) -> (Option<&str>, &str) {
        in_catalogue(&self.stack)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.stack, self.name)
    }
}

impl FromStr for Target {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text.split_once('/') {
            Some((stack, name)) if is_name(in_catalogue(stack).1) && is_name(name) => {
                Ok(Self { stack: stack.to_owned(), name: name.to_owned() })
            }
            _ => Err(Error::Pattern { text: text.to_owned(), why: "expected stack/name".into() }),
        }
    }
}

/// What is written behind another workspace's name and a colon, if it is.
pub(crate) fn in_catalogue(text: &str) -> (Option<&str>, &str) {
    text.split_once(':').map_or((None, text), |(catalogue, rest)| (Some(catalogue), rest))
}

/// `[a-z0-9][a-z0-9._-]*`
pub(super) fn is_name(text: &str) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    text.bytes().next().is_some_and(alphanumeric)
        && text.bytes().all(|byte| alphanumeric(byte) || b"._-".contains(&byte))
}

/// What stands on a command line: `stack/name[#variant][@revision]`, or a stack or glob in place of the name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetPattern {
    /// `stack/name`, `stack` or a glob over either.
    pub name: String,
    /// Without the `#`.
    pub variant: Option<String>,
    /// Without the `@`; for git to understand.
    pub revision: Option<String>,
}

/// A recipe that a pattern selects.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Selected {
    /// Which.
    pub target: Target,
    /// Only this variant.
    pub variant: Option<String>,
    /// As it was then.
    pub revision: Option<String>,
}

impl TargetPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// Empty parts, names that no recipe can have, globs that can't be read.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let fail = |why: &str| Error::Pattern { text: text.to_owned(), why: why.to_owned() };
        let (rest, revision) = match text.split_once('@') {
            Some((rest, revision)) => (rest, Some(revision)),
            None => (text, None),
        };
        let (name, variant) = match rest.split_once('#') {
            Some((name, variant)) => (name, Some(variant)),
            None => (rest, None),
        };
        if revision.is_some_and(str::is_empty) {
            return Err(fail("the revision after @ is empty"));
        }
        if variant.is_some_and(|variant| !is_name(variant)) {
            return Err(fail("no variant can have the name after #"));
        }
        // `recipes/stack/name/` is what a shell completes.
        let name = name.trim_end_matches('/');
        let name = name.strip_prefix("recipes/").unwrap_or(name);
        if has_magic(name) {
            Glob::parse(name).map_err(|fault| Error::Glob { pattern: name.to_owned(), fault })?;
        } else if name.split('/').count() > 2 || !name.split('/').all(is_name) {
            return Err(fail("expected stack/name, a stack or a glob"));
        }
        Ok(Self {
            name: name.to_owned(),
            variant: variant.map(str::to_owned),
            revision: revision.map(str::to_owned),
        })
    }

    /// The recipes among `targets` that are meant.
    ///
    /// # Errors
    /// None is.
    pub fn select(&self, targets: &[Target]) -> Result<Vec<Selected>, Error> {
        let glob = has_magic(&self.name).then(|| Glob::parse(&self.name).ok()).flatten();
        let meant = |target: &&Target| match (&glob, self.name.contains('/')) {
            (Some(glob), true) => glob.matches(target.to_string().as_bytes()),
            (Some(glob), false) => glob.matches(target.stack.as_bytes()),
            (None, true) => target.to_string() == self.name,
            (None, false) => target.stack == self.name,
        };
        let (variant, revision) = (&self.variant, &self.revision);
        let selected = |target: &Target| Selected {
            target: target.clone(),
            variant: variant.clone(),
            revision: revision.clone(),
        };
        let mut found: Vec<Selected> = targets.iter().filter(meant).map(selected).collect();
        found.sort();
        if found.is_empty() {
            return Err(Error::NoTarget { pattern: self.name.clone(), suggestion: self.suggestion(targets) });
        }
        Ok(found)
    }

    fn suggestion(&self, targets: &[Target]) -> Option<String> {
        // Who gives the name alone most likely means that recipe.
        let last = self.name.rsplit('/').next().unwrap_or_default();
        let same_name = targets.iter().find(|target| target.name == last).map(ToString::to_string);
        let names: Vec<String> =
            targets.iter().flat_map(|target| [target.to_string(), target.stack.clone()]).collect();
        same_name.or_else(|| suggest(&self.name, names.iter().map(String::as_str)))
    }
}

impl fmt::Display for TargetPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.variant.iter().try_for_each(|variant| write!(f, "#{variant}"))?;
        self.revision.iter().try_for_each(|revision| write!(f, "@{revision}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn targets() -> Vec<Target> {
        ["quickstart/web", "quickstart/db", "vault/server"].map(|text| text.parse().unwrap()).into()
    }

    #[test]
    fn patterns_select() {
        for (pattern, expected) in [
            ("quickstart/web", "quickstart/web"),
            ("recipes/quickstart/web/", "quickstart/web"),
            ("quickstart", "quickstart/db quickstart/web"),
            ("*", "quickstart/db quickstart/web vault/server"),
            ("quick*", "quickstart/db quickstart/web"),
            ("*/{web,server}", "quickstart/web vault/server"),
        ] {
            let selected = TargetPattern::parse(pattern).unwrap().select(&targets()).unwrap();
            let names: Vec<String> = selected.iter().map(|one| one.target.to_string()).collect();
            assert_eq!(names.join(" "), expected, "{pattern}");
        }
        let full = TargetPattern::parse("vault/server#dev@origin/main~3").unwrap();
        assert_eq!(full.to_string(), "vault/server#dev@origin/main~3");
        let selected = &full.select(&targets()).unwrap()[0];
        assert_eq!(
            (selected.variant.as_deref(), selected.revision.as_deref()),
            (Some("dev"), Some("origin/main~3"))
        );
    }

    #[test]
    fn patterns_refused() {
        for (pattern, message) in [
            ("quickstart/wbe", "there is no recipe quickstart/wbe; did you mean quickstart/web?"),
            ("server", "there is no recipe server; did you mean vault/server?"),
            ("zzzzzzzz", "there is no recipe zzzzzzzz"),
            ("", "\"\" is not a target: expected stack/name, a stack or a glob"),
            ("../x", "\"../x\" is not a target: expected stack/name, a stack or a glob"),
            ("a/b/c", "\"a/b/c\" is not a target: expected stack/name, a stack or a glob"),
            ("a@", "\"a@\" is not a target: the revision after @ is empty"),
            ("a#", "\"a#\" is not a target: no variant can have the name after #"),
            ("[a", "the glob [a has a `[` that is not closed in its component"),
        ] {
            let result = TargetPattern::parse(pattern).and_then(|pattern| pattern.select(&targets()));
            assert_eq!(result.unwrap_err().to_string(), message);
        }
    }
}
