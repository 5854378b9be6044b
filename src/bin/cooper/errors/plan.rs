//! Entries that can't be built.

use cooperage::plan::{self, Fault, ResolveError, Whose};
use cooperage::recipe::{self, At, TemplateFault};

use super::problem::Problem;
use super::recipe::{UNDEFINED_HINT, did_you_mean};
use crate::exit::Exit;

/// A fault of an image; `whose` says which.
pub(super) fn problem(error: plan::Error, whose: &str) -> Problem {
    let (hints, other) = (hints(&error.fault), other_entry(&error.fault).cloned());
    let problem = Problem::new("plan", Exit::Input, error.fault.to_string()).note(whose).hints(hints);
    if let Fault::Template { file, error, .. } = &error.fault {
        let at = At { file: file.as_str().into(), range: error.range.clone() };
        return problem.at(Some(at), None);
    }
    let elsewhere = other.as_ref().filter(|other| other.file != error.at.file);
    let problem = match elsewhere {
        Some(other) => problem.note(format!("the other entry is in {}", other.file)),
        None => problem,
    };
    problem.at(Some(error.at), other)
}

fn other_entry(fault: &Fault) -> Option<&At> {
    match fault {
        Fault::TwoOnOnePath { other, .. }
        | Fault::DirectoryTwoWays { other, .. }
        | Fault::WrittenLater { other, .. }
        | Fault::BelowOwnFile { other, .. } => other.as_ref(),
        _ => None,
    }
}

/// Of a user or group whose name or number somebody else has.
fn clash(fault: &Fault) -> Option<String> {
    let Fault::UserClash { same_name, whose, name, file, free, .. } = fault else { return None };
    let group = *file == "/etc/group";
    Some(match (same_name, whose) {
        (true, Whose::Own) => "leave one of the entries out".to_owned(),
        (true, _) => {
            let owner = if group { format!("USER:{name}") } else { name.clone() };
            format!("leave the entry out: owner = \"{owner}\" means that one; or take another name")
        }
        (false, _) => format!("another number is free: {} = {free}", if group { "gid" } else { "uid" }),
    })
}

fn hints(fault: &Fault) -> Vec<String> {
    let text = match fault {
        Fault::UnknownUser { name, known } | Fault::UnknownGroup { name, known } => {
            let meant = recipe::suggest(name, known.iter().map(String::as_str));
            let known = if known.is_empty() { "none: use numbers".to_owned() } else { known.join(", ") };
            return did_you_mean(meant.as_ref()).into_iter().chain([format!("it has {known}")]).collect();
        }
        Fault::UserClash { .. } => return clash(fault).into_iter().collect(),
        Fault::OnADirectory { path } => {
            return vec![format!("to put the file into the directory: to = \"{path}/\"")];
        }
        Fault::Template { suggestion: Some(name), .. } => {
            return did_you_mean(Some(name)).into_iter().collect();
        }
        Fault::Template { error, .. } => match &error.fault {
            TemplateFault::Undefined { .. } => UNDEFINED_HINT,
            TemplateFault::Unclosed { .. } | TemplateFault::Expected { .. } => {
                "other delimiters help where a file is full of braces: delimiters = \"<% %>\""
            }
            _ => return Vec::new(),
        },
        Fault::Resolve(ResolveError::Loop { .. }) => {
            "take the link away with a [[remove]], or write to where it should lead"
        }
        Fault::Resolve(ResolveError::Dangling { .. }) => {
            "make its target with a [[dir]], or take the link away with a [[remove]]"
        }
        Fault::Resolve(ResolveError::BelowFile { .. }) | Fault::NotADirectory { .. } => {
            "write to another path; a [[remove]] takes away what stands below this recipe"
        }
        Fault::TwoOnOnePath { other: None, .. } => {
            "leave one out, with exclude or by naming files one by one"
        }
        Fault::TwoOnOnePath { .. } => {
            "leave one out; a [[variant.NAME.file]] with the same `to` replaces the common one"
        }
        Fault::BelowOwnFile { .. } => "leave one out, or give it another path",
        Fault::HardLinkOutside { .. } => "without hard = true a link may lead anywhere",
        Fault::TooManyLayers { .. } => "layer = \"NAME\" puts entries into one layer",
        Fault::BelowBaseFile { .. } => "take the file away first: [[remove]]",
        Fault::BelowVolume { .. } => {
            "[config] remove = { volumes = […] } takes the volume away; below-volume = \"ok\" allows the entry"
        }
        Fault::TooLong { .. } => "a `to` without a final slash gives one file another name",
        Fault::DirectoryTwoWays { .. } => "say which with a [[dir]]",
        Fault::EditCount { found: 0, .. } => "it must be there to the letter, blanks and line ends too",
        Fault::EditCount { found, .. } => {
            return vec![format!("count = {found} replaces each of them; a longer text is there less often")];
        }
        Fault::RemovesNothing { .. } => "missing = \"ok\" allows it",
        Fault::WrittenLater { .. } => "entries are done in the order of the file: put this one behind that",
        Fault::NeedsIndex { .. } => "`cooper lock` looks it up",
        _ => return Vec::new(),
    };
    vec![text.to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "[image]\ntitel = \"x\"\n\n[[file]]\nfrom = \"a\"\nto   = \"/x\"\n";

    fn at(range: std::ops::Range<usize>) -> At {
        At { file: "recipes/a/b/recipe.toml".into(), range }
    }

    #[test]
    fn two_places() {
        let fault = Fault::TwoOnOnePath {
            path: cooperage::tree::TreePath::parse(b"x").unwrap(),
            other: Some(at(8..13)),
        };
        let rendered = problem(plan::Error { at: at(TEXT.len() - 5..TEXT.len() - 1), fault }, "in a/b#prod")
            .render(Some(TEXT), false);
        assert!(rendered.contains("----- and here") && rendered.contains("^^^^"), "{rendered}");
    }
}
