//! `init`: what a new workspace begins with.
//!
//! Owns the texts, and writes those that aren't there yet. They build without a network: the first recipe stands
//! on `scratch`, and says in comments how to stand on something.

use super::{Env, Error};
use crate::disk::{self, Beneath};
use crate::workspace;

/// What `init` wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Initialised {
    /// Paths relative to the directory.
    pub written: Vec<String>,
    /// Those that were there already, and were left alone.
    pub kept: Vec<String>,
}

/// The recipe that is written when no other is asked for.
const FIRST_RECIPE: &str = "hello/world";

/// Writes a workspace, or in a workspace another recipe; what is there already is left alone.
///
/// # Errors
/// A name that can't be a recipe's; the file system.
pub fn init(env: &Env<'_>, name: Option<&str>) -> Result<Initialised, Error> {
    let name = name.unwrap_or(FIRST_RECIPE);
    if !is_recipe_name(name) {
        return Err(Error::usage(format!("{name:?} can't be the name of a recipe")));
    }
    let mut done = Initialised::default();
    let files = workspace_files(name).map(|(path, text)| (env.dir.join(&path), path, text));
    let beneath = Beneath::new(&env.dir)?;
    for (file, ..) in &files {
        beneath.check(disk::parent(file)).map_err(workspace::Error::from)?;
    }
    // A recipe that exists is somebody's work: nothing is added beside it.
    let theirs = env.dir.join("recipes").join(name).join("recipe.toml").symlink_metadata().is_ok();
    for (file, path, text) in files {
        if file.symlink_metadata().is_ok() {
            done.kept.push(path);
        } else if !(theirs && path.starts_with("recipes/")) {
            disk::create_directories(disk::parent(&file))?;
            disk::write_atomic(&file, text.as_bytes())?;
            done.written.push(path);
        }
    }
    Ok(done)
}

/// Whether `name` can be a recipe's: `stack/name`, of lower-case letters, digits, `.`, `_` and `-`.
pub fn is_recipe_name(name: &str) -> bool {
    let part = |part: &str| {
        part.starts_with(|first: char| first.is_ascii_lowercase() || first.is_ascii_digit())
            && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
    };
    name.split_once('/').is_some_and(|(stack, name)| part(stack) && part(name))
}

/// The files of a new workspace whose first recipe is `recipe`: path, relative with `/`, and text.
fn workspace_files(recipe: &str) -> [(String, String); 5] {
    let own = |file: &str| format!("recipes/{recipe}/{file}");
    [
        ("cooper.toml".to_owned(), WORKSPACE),
        (".gitattributes".to_owned(), GIT_ATTRIBUTES),
        (".gitignore".to_owned(), "/.cooper\n/compose.yaml\n/secrets\n"),
        (own("recipe.toml"), RECIPE),
        (
            own("hello.txt"),
            "Hello from {{ stack }}/{{ name }}, {{ variant }}, on {{ platform.arch }}: {{ greeting }}\n",
        ),
    ]
    .map(|(path, text)| (path, text.to_owned()))
}

const WORKSPACE: &str = r#"cooper = ">=0.1"                                # oldest version that understands this workspace

[workspace]
variants  = ["dev", "prod"]                     # prod is the default variant
platforms = ["linux/amd64", "linux/arm64"]      # unless a recipe says otherwise
# default = ["hello/*"]                         # what a bare `cooper build` builds; everything without this line

# [publish]
# repository = "registry.example/{{ stack }}/{{ name }}"
"#;

/// A checkout that rewrites line ends would change digests.
const GIT_ATTRIBUTES: &str = "recipes/** -text
lockfiles/** -text
lockfiles/blobs/** linguist-generated
";

const RECIPE: &str = r#"# Build it: cooper build
# Every key: the book's chapter Recipe.

[image]
title = "Hello"
tags  = ["1.0"]

[base]                                          # exactly one of these
scratch = true                                  # nothing below
# layout = "bases/alpine:3.20"                  # an OCI layout or archive in this workspace: no network at all
# image  = "docker.io/library/alpine:3.20"      # a tag here; `cooper lock` writes its digest into the lock
# recipe = "hello/other"                        # stands on top of another recipe of this workspace

[vars]
greeting = "in the barrel"

[[file]]
from     = "hello.txt"                          # beside this file; a directory or a glob will do too
to       = "/srv/hello.txt"
template = true                                 # fills in {{ … }}

[config]
workdir = "/srv"

[variant.dev.vars]                              # a variant is a patch on everything above
greeting = "still wet"
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["hello/world", "a/b", "web-1/x.y_z"] {
            assert!(is_recipe_name(good), "{good}");
        }
        for bad in ["", "hello", "a/b/c", "/a", "a/", "../x", "A/b", "a/.b", "-a/b"] {
            assert!(!is_recipe_name(bad), "{bad}");
        }
    }

    #[test]
    fn paths_stay_inside() {
        let files = workspace_files("a/b");
        assert_eq!(files.len(), 5);
        assert!(files.iter().all(|(path, text)| !path.starts_with('/') && text.ends_with('\n')));
        assert_eq!(files[3].0, "recipes/a/b/recipe.toml");
    }
}
