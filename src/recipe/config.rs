//! `[config]`: the image's configuration as a patch, before and after interpolation. Plain values.

use std::collections::BTreeMap;

use super::Spanned;

/// A patch on an image's configuration. The strings know where they were written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// Program and arguments; an empty list clears the base's.
    pub entrypoint: Option<Vec<Spanned<String>>>,
    /// Default arguments.
    pub cmd: Option<Cmd>,
    /// Environment variables.
    pub env: BTreeMap<String, Spanned<String>>,
    /// `user` or `user:group`, as the engine reads it.
    pub user: Option<Spanned<String>>,
    /// Working directory; absolute and normalised once resolved.
    pub workdir: Option<Spanned<String>>,
    /// Ports; `8080/tcp` once resolved.
    pub expose: Option<Vec<Spanned<String>>>,
    /// Volumes; absolute and normalised once resolved.
    pub volumes: Option<Vec<Spanned<String>>>,
    /// Labels.
    pub labels: BTreeMap<String, Spanned<String>>,
    /// Signal that stops the program.
    pub stop_signal: Option<Spanned<String>>,
    /// Docker's health check.
    pub healthcheck: Option<Healthcheck>,
    /// What is taken away from the base's configuration.
    pub remove: ConfigRemove,
}

/// `cmd`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cmd {
    /// The base's stays, beside a new entrypoint too.
    Inherit,
    /// These; an empty list clears the base's.
    Set(Vec<Spanned<String>>),
}

/// Names that are taken away from the base's configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigRemove {
    /// Environment variables.
    pub env: Option<Vec<Spanned<String>>>,
    /// Ports; `8080/tcp` once resolved.
    pub expose: Option<Vec<Spanned<String>>>,
    /// Volumes, as the base wrote them.
    pub volumes: Option<Vec<Spanned<String>>>,
    /// Labels.
    pub labels: Option<Vec<Spanned<String>>>,
}

/// Docker's health check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Healthcheck {
    /// The base's is switched off.
    None,
    /// How to check.
    Check(Check),
}

/// How a health check runs. What is `None` is the engine's default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Check {
    /// Program and arguments.
    pub cmd: Option<Vec<Spanned<String>>>,
    /// Nanoseconds between checks.
    pub interval: Option<u64>,
    /// Nanoseconds that one may take.
    pub timeout: Option<u64>,
    /// Nanoseconds after the start in which failures don't count.
    pub start: Option<u64>,
    /// Failures in a row until it is unwell.
    pub retries: Option<u32>,
}
