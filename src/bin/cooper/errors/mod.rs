//! What went wrong, for a person and for a script: what, where, why, what to do, and the exit code.
//!
//! The library's rooms say facts in typed errors; here alone kind, hints and exit code are decided, for each room in a
//! file of its own: a new variant of a room's error is one arm there. [`problem`] knows how a problem is shown.

mod deploy;
mod lock;
mod ops;
mod plan;
mod problem;
mod recipe;
mod registry;
mod sink;
mod store;
mod substitute;
mod workspace;

use cooperage::ops::Error;

pub(crate) use problem::{Problem, harmless};

/// At least one problem.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) Vec<Problem>);

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self(vec![problem])
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(match error {
            Error::Recipes(errors) => errors.into_iter().map(recipe::problem).collect(),
            Error::Plan { recipe, variant, platform, errors } => {
                let whose = format!("in {recipe}#{variant} on {platform}");
                errors.into_iter().map(|error| plan::problem(error, &whose)).collect()
            }
            Error::Locked(recipes) => recipes.iter().map(lock::locked).collect(),
            Error::Deploy(errors) => errors.into_iter().map(deploy::problem).collect(),
            error => vec![ops::problem(&error)],
        })
    }
}
