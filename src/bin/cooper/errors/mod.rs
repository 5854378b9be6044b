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
use serde_json::Value;

pub(crate) use problem::{Problem, harmless};

/// At least one problem.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) problems: Vec<Problem>,
    /// What a script reads of them on standard output under `--format json`; null: nothing.
    pub(crate) json: Value,
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self { problems: vec![problem], json: Value::Null }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let json = match &error {
            Error::Locked(recipes) => lock::to_json(recipes),
            _ => Value::Null,
        };
        let problems = match error {
            Error::Recipes(errors) => errors.into_iter().map(recipe::problem).collect(),
            Error::Plan { recipe, variant, platform, errors } => {
                let whose = format!("in {recipe}#{variant} on {platform}");
                errors.into_iter().map(|error| plan::problem(error, &whose)).collect()
            }
            Error::Locked(recipes) => recipes.iter().map(lock::locked).collect(),
            Error::Deploy(errors) => errors.into_iter().map(deploy::problem).collect(),
            error => vec![ops::problem(&error)],
        };
        Self { problems, json }
    }
}
