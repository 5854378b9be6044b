//! `[service]`: how the image is run. For the commands that deploy; never part of an image.

use std::collections::BTreeMap;

use super::config::Check;
use super::{At, Spanned};

/// How the image is run. Strings are as written until [`Evaluated::service_for`](super::Evaluated::service_for) has filled them in.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Service {
    /// Ports as Compose writes them.
    pub ports: Option<Vec<Spanned<String>>>,
    /// Ports for those alone that call it.
    pub private: Option<Vec<Spanned<String>>>,
    /// Services that it calls without waiting for them.
    pub calls: Option<Vec<Spanned<String>>>,
    /// Environment at run time.
    pub env: BTreeMap<String, Spanned<String>>,
    /// Volumes: name to path in the container.
    pub volumes: BTreeMap<String, Spanned<String>>,
    /// Services to wait for.
    pub after: BTreeMap<String, Spanned<After>>,
    /// How to see that it is well.
    pub health: Option<Health>,
    /// Secrets by name.
    pub secrets: BTreeMap<String, Secret>,
    /// One-off runs by name.
    pub jobs: BTreeMap<String, Job>,
    /// Command that checks the configuration.
    pub check: Option<Vec<Spanned<String>>>,
    /// How the service comes to read its configuration again.
    pub reload: Option<Reload>,
    /// Labels of the container.
    pub labels: BTreeMap<String, Spanned<String>>,
    /// Keys of Compose that are passed through.
    pub container: Option<Spanned<toml::Table>>,
}

/// The state of another service that is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// It runs.
    Started,
    /// Its health check passes.
    Healthy,
    /// It has ended well.
    Done,
}

/// How a service comes to read its configuration again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reload {
    /// By a command that is run in the container.
    Command(Vec<Spanned<String>>),
    /// By a new start only.
    Restart,
}

/// How to see that a service is well: from inside, from outside, or both. A variant's table may leave either to the
/// common one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// What an orchestrator tries from outside.
    pub probe: Option<Probe>,
    /// What is run in the container, and when either is tried.
    pub check: Check,
}

/// What is tried from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// Get a URL.
    Http(Spanned<String>),
    /// Connect to a port.
    Tcp(Spanned<String>),
}

/// Where a secret comes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Secret {
    /// Mounted at this path.
    File(Spanned<String>),
    /// In this variable.
    Env(Spanned<String>),
}

/// A one-off run of the image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Job {
    /// Where its table begins.
    pub at: Option<At>,
    /// Arguments.
    pub cmd: Option<Vec<Spanned<String>>>,
    /// Program and arguments.
    pub entrypoint: Option<Vec<Spanned<String>>>,
    /// Environment.
    pub env: BTreeMap<String, Spanned<String>>,
    /// Services to wait for.
    pub after: BTreeMap<String, Spanned<After>>,
}
