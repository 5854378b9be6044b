//! Locks that can't be read, and those that don't say what comes out.

use cooperage::http::shown;
use cooperage::recipe::At;
use cooperage::{lock, ops};
use serde_json::{Value, json};

use super::problem::Problem;
use crate::exit::Exit;

pub(super) fn problem(file: &str, error: &lock::Error) -> Problem {
    let problem = Problem::new("lock", Exit::Input, error.to_string()).file(file);
    match error {
        lock::Error::Toml(error) => {
            let at = error.span().map(|range| At { file: file.into(), range });
            let problem =
                Problem::new("lock", Exit::Input, format!("the lock is damaged: {}", error.message()));
            let problem = if at.is_some() { problem.at(at, None) } else { problem.file(file) };
            problem.hint(MEND)
        }
        lock::Error::Empty => problem.hint(MEND),
        lock::Error::Conflicted { .. } => problem
            .hint("`cooper lock` merges what can be merged; --take ours or --take theirs decides the rest"),
        lock::Error::Version { .. } | lock::Error::Encoding { .. } => problem.hint("install a newer cooper"),
        _ => problem.hint(MEND),
    }
}

const MEND: &str = "restore it from version control, or delete it and run `cooper lock`";

/// A lock that doesn't hold.
pub(super) fn locked(locked: &ops::LockedRecipe) -> Problem {
    let ops::LockedRecipe { recipe, state, reasons } = locked;
    let problem = Problem::new("locked", Exit::No, format!("the lock of {recipe} is {state}"));
    let problem = reasons.iter().fold(problem, |problem, reason| problem.note(reason.to_string()));
    problem.hints(state.mend().map(|command| format!("`{command} {recipe}` mends it")))
}

/// All of them, for a script.
pub(super) fn to_json(locked: &[ops::LockedRecipe]) -> Value {
    let reason = |reason: &lock::Reason| json!({ "kind": reason.name(), "text": shown(&reason.to_string()), "input": reason.input() });
    let one = |ops::LockedRecipe { recipe, state, reasons }: &ops::LockedRecipe| {
        json!({
            "recipe": recipe, "state": state.name(), "reasons": reasons.iter().map(reason).collect::<Vec<_>>(),
            "mend": state.mend().map(|command| format!("{command} {recipe}")),
        })
    };
    json!({ "locks": locked.iter().map(one).collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_lock() {
        let reasons = vec![lock::Reason::LockMissing; 20];
        let locked = ops::LockedRecipe { recipe: "a/b".into(), state: lock::State::Unpinned, reasons };
        let problem = super::locked(&locked);
        assert_eq!(problem.exit, Exit::No);
        let rendered = problem.render(None, false);
        assert!(rendered.starts_with("error: the lock of a/b is unpinned\n"), "{rendered}");
        assert!(
            rendered.contains("… and 8 more") && rendered.contains("`cooper lock a/b` mends it"),
            "{rendered}"
        );
    }
}
