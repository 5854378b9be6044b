//! Locks that can't be read, and those that don't say what comes out.

use cooperage::recipe::At;
use cooperage::{lock, ops};

use super::problem::Problem;
use crate::exit::Exit;

pub(super) fn problem(file: &str, error: &lock::Error) -> Problem {
    let problem = match error {
        // TOML's own text has line ends and an excerpt in it.
        lock::Error::Toml(error) => {
            let problem = Problem::new("lock", Exit::Input, format!("this is no lock: {}", error.message()));
            match error.span().filter(|span| !span.is_empty()) {
                Some(range) => problem.at(Some(At { file: file.into(), range }), None),
                None => problem.file(file),
            }
        }
        error => Problem::new("lock", Exit::Input, error.to_string()).file(file),
    };
    match error {
        lock::Error::Conflicted { .. } => problem
            .hint("`cooper lock` merges what can be merged; --take ours or --take theirs decides the rest"),
        lock::Error::Version { .. } | lock::Error::Encoding { .. } => problem.hint("install a newer cooper"),
        _ => problem.hint("restore it from version control, or delete it and run `cooper lock`"),
    }
}

/// A lock that doesn't hold.
pub(super) fn locked(locked: &ops::LockedRecipe) -> Problem {
    let ops::LockedRecipe { recipe, state, reasons } = locked;
    let problem = Problem::new("locked", Exit::No, format!("the lock of {recipe} is {state}"));
    let problem = reasons.iter().fold(problem, |problem, reason| problem.note(reason.to_string()));
    problem.hints(state.mend().map(|command| format!("`{command} {recipe}` mends it")))
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
