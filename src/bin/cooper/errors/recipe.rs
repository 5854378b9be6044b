//! Mistakes in recipes and in `cooper.toml`.

use cooperage::recipe::{self, ErrorKind, What};

use super::problem::Problem;
use crate::exit::Exit;

pub(super) const SECRET_HINT: &str = "secrets are given when a container starts: [service] secrets; if it is none, the entry may say so: allow-secret = \"why\"";

pub(super) const UNDEFINED_HINT: &str =
    "[vars] defines it; `| default(\"…\")` stands in for what may be undefined";

pub(super) fn problem(error: recipe::Error) -> Problem {
    Problem::new("recipe", Exit::Input, error.kind.to_string()).at(error.at, None).hints(hints(&error.kind))
}

pub(super) fn did_you_mean(suggestion: Option<&String>) -> Option<String> {
    suggestion.map(|suggestion| format!("did you mean `{suggestion}`?"))
}

/// What people who come from a Dockerfile mean.
fn from_elsewhere(key: &str, section: &str) -> Option<&'static str> {
    if section != "the recipe" {
        return None;
    }
    Some(match key {
        "run" => {
            "nothing is executed in a build: what needs a command is made elsewhere, and laid over as a [[file]]"
        }
        "from" => "what it stands on is said in [base]",
        "copy" | "add" => "files are laid over with [[file]]",
        "cmd" | "entrypoint" | "env" | "expose" | "labels" | "volumes" | "workdir" => {
            "it belongs in [config]"
        }
        _ => return None,
    })
}

fn hints(kind: &ErrorKind) -> Vec<String> {
    let text = match kind {
        ErrorKind::Undefined { suggestion: None, .. } => UNDEFINED_HINT,
        ErrorKind::NotSettable { name, suggestion: None } => {
            return vec![format!("[vars] {name} = {{ set = true, default = \"…\" }} would allow it")];
        }
        ErrorKind::UnknownKey { key, section, suggestion: None } => {
            return from_elsewhere(key, section).map(str::to_owned).into_iter().collect();
        }
        ErrorKind::UnknownVariant { suggestion: None, .. } => {
            "cooper.toml, [workspace] variants, says which there are"
        }
        ErrorKind::UnknownKey { suggestion, .. }
        | ErrorKind::Undefined { suggestion, .. }
        | ErrorKind::NotSettable { suggestion, .. }
        | ErrorKind::NoInput { suggestion, .. }
        | ErrorKind::UnknownVariant { suggestion, .. }
        | ErrorKind::Drop { suggestion, .. } => {
            return did_you_mean(suggestion.as_ref()).into_iter().collect();
        }
        ErrorKind::NeverMatches { pattern, meant, .. } => {
            let literal = pattern
                .starts_with('!')
                .then(|| format!("a name that begins with `!` is written {:?}", format!("\\{pattern}")));
            return did_you_mean(Some(meant)).into_iter().chain(literal).collect();
        }
        ErrorKind::NoBase => {
            "say what it stands on: image = \"…\", layout = \"…\", recipe = \"stack/name\", extends = \
             \"stack/name\" or scratch = true"
        }
        ErrorKind::Unset { name } => return vec![format!("give it: --set {name}=VALUE")],
        ErrorKind::Reserved { .. } => "call the variable something else",
        ErrorKind::SecretName { .. } => {
            "secrets are given when a container starts: [service] secrets; a name that ends in _FILE may have a path"
        }
        ErrorKind::SecretContent { .. } => SECRET_HINT,
        ErrorKind::NotBuiltYet { .. } => {
            "this key waits for a later version; what it makes can be given as a [[file]]"
        }
        ErrorKind::TooOld { .. } => "install a newer cooper",
        ErrorKind::Invalid { what: What::Reference, .. } => {
            "a registry, then names of lower-case letters and digits, with one of . _ __ - between them: \
             registry.example/shop/web"
        }
        _ => return Vec::new(),
    };
    vec![text.to_owned()]
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use cooperage::recipe::At;
    use serde_json::json;

    use super::*;

    const TEXT: &str = "[image]\ntitel = \"x\"\n\n[[file]]\nfrom = \"a\"\nto   = \"/x\"\n";

    fn at(range: Range<usize>) -> At {
        At { file: "recipes/a/b/recipe.toml".into(), range }
    }

    fn unknown_key() -> Problem {
        let kind = ErrorKind::UnknownKey {
            key: "titel".into(),
            section: "[image]".into(),
            suggestion: Some("title".into()),
        };
        problem(recipe::Error { at: Some(at(8..13)), kind })
    }

    #[test]
    fn a_mistake_in_a_recipe() {
        let expected = "\
error: unknown key `titel` in [image]
 --> recipes/a/b/recipe.toml:2:1
  |
2 | titel = \"x\"
  | ^^^^^
  |
  = help: did you mean `title`?
";
        assert_eq!(unknown_key().render(Some(TEXT), false), expected);
        assert_eq!(
            unknown_key().json(Some(TEXT)),
            json!({ "error": {
                "kind": "recipe", "message": "unknown key `titel` in [image]", "file": "recipes/a/b/recipe.toml",
                "line": 2, "column": 1, "hints": ["did you mean `title`?"], "notes": [], "exit": 3,
            }})
        );
    }

    #[test]
    fn a_file_that_changed_or_went() {
        for text in [None, Some("short"), Some("[image]\nttüüü")] {
            let rendered = unknown_key().render(text, false);
            assert!(rendered.contains("--> recipes/a/b/recipe.toml\n"), "{rendered}");
        }
        // The end of a file is a place, too.
        let end = problem(recipe::Error { at: Some(at(TEXT.len()..TEXT.len())), kind: ErrorKind::NoBase });
        assert!(end.render(Some(TEXT), false).contains("recipe.toml:"));
    }

    #[test]
    fn what_was_quoted_steers_no_terminal() {
        let text = "[image]\ntitel = \"\x1b[31m\u{202e}\"\n";
        let rendered = unknown_key().render(Some(text), false);
        assert!(!rendered.contains(['\x1b', '\u{202e}']), "{rendered:?}");
        let styled = unknown_key().render(Some(text), true);
        assert!(!styled.contains("\x1b[31m\u{202e}"), "{styled:?}");
    }
}
