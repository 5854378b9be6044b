//! The environment, read here and nowhere else.

use std::ffi::OsString;

/// A variable of the environment by its name; a value of its own so that tests needn't set any.
pub(crate) type Variables<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// The process's own; an empty variable is none.
#[allow(clippy::disallowed_methods, reason = "this module is where the environment is read")]
pub(crate) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}
