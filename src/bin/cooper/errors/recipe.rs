//! Mistakes in recipes and in `cooper.toml`.

use cooperage::recipe::{self, ErrorKind, Instead, PathFault, Slip, TemplateFault, What};

use super::problem::Problem;
use crate::exit::Exit;

pub(super) const SECRET_HINT: &str = "secrets are given when a container starts: [service] secrets; if it is none, the entry may say so: allow-secret = \"why\"";

pub(super) const UNDEFINED_HINT: &str = "[vars] of the recipe, of stack.toml or of cooper.toml defines it; `| default(\"…\")` stands in for what may be undefined";

pub(super) fn problem(error: recipe::Error) -> Problem {
    let other = if let ErrorKind::Twice { first, .. } = &error.kind { first.clone() } else { None };
    Problem::new("recipe", Exit::Input, error.kind.to_string()).at(error.at, other).hints(hints(&error.kind))
}

pub(super) fn did_you_mean(suggestion: Option<&String>) -> Option<String> {
    suggestion.map(|suggestion| format!("did you mean `{suggestion}`?"))
}

/// What people who come from a Dockerfile mean.
fn from_elsewhere(key: &str, section: &str) -> Option<&'static str> {
    if section == "cooper.toml" && !matches!(key, "run" | "from" | "copy") {
        return Some(
            "cooper.toml says what holds for all recipes; what one is made of stands in recipes/STACK/NAME/recipe.toml",
        );
    }
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

/// The words of a command that was written as one text, as the list that was asked for.
fn as_list(text: &str) -> String {
    let quote = |word: &str| format!("{word:?}");
    if text.contains(['"', '\'', '\\', '$', '|', '&', ';', '<', '>']) {
        return format!("a list, which no shell reads: [\"sh\", \"-c\", {}]", quote(text));
    }
    format!("a list: [{}]", text.split_whitespace().map(quote).collect::<Vec<_>>().join(", "))
}

/// What fits where something of another type was found.
fn of_type(expected: &str, found: &str) -> Option<String> {
    let text = found.strip_prefix("string \"").and_then(|rest| rest.strip_suffix('"'));
    let number = found.strip_prefix("integer `").and_then(|rest| rest.strip_suffix('`'));
    match (expected, text, number) {
        ("a list", Some(text), _) => Some(as_list(text)),
        ("a string", _, Some(number)) => Some(format!("in quotes: \"{number}\"")),
        ("a table", ..) if found == "a list" => Some("names with values: { NAME = \"value\" }".into()),
        (expected, ..) if expected.starts_with("tables: [[") => {
            Some(format!("each has two brackets: {}", expected.trim_start_matches("tables: ")))
        }
        _ if expected.contains("boolean") && found.contains("true\"") => {
            Some("true and false stand without quotes".into())
        }
        _ => None,
    }
}

/// What a text that can't be what it should be was meant to be.
fn meant(what: What, value: &str) -> Option<String> {
    match what {
        What::Inherit => Some(as_list(value)),
        What::Mode => Some("in quotes: \"0644\" for a file, \"0755\" for a directory or program".into()),
        What::Platform if !value.contains('/') => Some(format!("did you mean \"linux/{value}\"?")),
        What::Port if value.contains(':') => Some(
            "an image names its own port alone, such as \"80\"; [service] ports says which one leads there"
                .into(),
        ),
        What::Reference => Some(match value.split_once("://") {
            Some(("docker", name)) => format!("without docker://: \"{name}\""),
            Some(_) => "no URL: the name that `docker pull` takes".into(),
            None => {
                "a registry, then names of lower-case letters and digits, with one of . _ __ - between them: \
                     registry.example/shop/web"
                    .into()
            }
        }),
        _ => None,
    }
}

fn at_path(path: &str, fault: PathFault) -> Option<String> {
    match fault {
        PathFault::NotAbsolute if path.starts_with('~') => {
            Some("an image has no home directory of yours: say whose, such as \"/root/…\"".into())
        }
        PathFault::NotAbsolute
            if path.starts_with(|c: char| c.is_ascii_alphanumeric()) && !path.contains(':') =>
        {
            Some(format!("did you mean \"/{path}\"?"))
        }
        PathFault::ClimbsOut | PathFault::Absolute => Some(
            "what a recipe is made of lies below its directory: copy it there, or name it as an [input]"
                .into(),
        ),
        _ => None,
    }
}

const fn slip(slip: Slip) -> &'static str {
    match slip {
        Slip::Octal => "a mode stands in quotes: mode = \"0755\"; other numbers begin with no zero",
        Slip::Quotes => "straight quotes: \"…\"",
        Slip::Bare => "text stands in quotes: \"…\"",
        Slip::Backslash => "between single quotes a backslash is one: '…'; paths of an image have / alone",
        Slip::NoValue => "key = \"value\"",
    }
}

const fn instead(instead: Instead) -> &'static str {
    match instead {
        Instead::Merge => {
            "keep what shall stand, and take the lines with <<<<<<<, ======= and >>>>>>> out; both sides are in `git diff`"
        }
        Instead::Yaml | Instead::Json => {
            "a table is [config], a value user = \"web\", a list cmd = [\"a\", \"b\"]"
        }
        Instead::Dockerfile => {
            "FROM is [base] image = \"…\", COPY is [[file]] from = \"…\" and to = \"…\", CMD is [config] cmd = […]; nothing is run"
        }
    }
}

/// Of a pattern that matches nothing, ever.
fn never(pattern: &str, meant: &String) -> Vec<String> {
    let written = || format!("a name that begins with `!` is written {:?}", format!("\\{pattern}"));
    did_you_mean(Some(meant)).into_iter().chain(pattern.starts_with('!').then(written)).collect()
}

/// Of a variable that a site must give.
fn unset(name: &str, stack: &str) -> Vec<String> {
    let file = format!("recipes/{stack}/stack.toml, or for all stacks into cooper.toml");
    vec![
        format!("write {name} = \"…\" below [vars] into {file}"),
        format!("or give it to one build: --set {name}=VALUE"),
    ]
}

fn hints(kind: &ErrorKind) -> Vec<String> {
    let text = match kind {
        ErrorKind::Syntax { slip: Some(found), .. } => slip(*found),
        ErrorKind::Instead(found) => instead(*found),
        ErrorKind::Twice { .. } => "leave one of them out",
        ErrorKind::Type { expected, found } => return of_type(expected, found).into_iter().collect(),
        ErrorKind::Invalid { what, value } => return meant(*what, value).into_iter().collect(),
        ErrorKind::Path { path, fault } => return at_path(path, *fault).into_iter().collect(),
        ErrorKind::Template(TemplateFault::Unclosed { .. } | TemplateFault::Expected { .. }) => {
            "a template is {{ name }} or {{ name | filter }}; {{ \"{{\" }} gives braces of the text's own"
        }
        ErrorKind::ExactlyOne { found, .. } if found.len() > 1 => "leave all but one of them out",
        ErrorKind::MissingKey { key: "to", .. } => "where it goes in the image: to = \"/…\"",
        ErrorKind::Template(TemplateFault::Room { .. }) | ErrorKind::Expansion { .. } => {
            "values that stand for values double with each level: say it with fewer"
        }

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
        ErrorKind::NeverMatches { pattern, meant, .. } => return never(pattern, meant),
        ErrorKind::NoBase => {
            "say what it stands on: image = \"…\", layout = \"…\", recipe = \"stack/name\", extends = \
             \"stack/name\" or scratch = true"
        }
        ErrorKind::HealthWord { instead, .. } => return vec![format!("write {instead}")],
        ErrorKind::Unset { name, stack } => return unset(name, stack),
        ErrorKind::Reserved { .. } => "call the variable something else",
        ErrorKind::SecretName { .. } => {
            "secrets are given when a container starts: [service] secrets; a name that ends in _FILE may have a path"
        }
        ErrorKind::SecretContent { .. } => SECRET_HINT,
        ErrorKind::NotBuiltYet { .. } => {
            "this key waits for a later version; what it makes can be given as a [[file]]"
        }
        ErrorKind::TooOld { .. } => "install a newer cooper",
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
