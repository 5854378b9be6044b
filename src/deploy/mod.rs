//! How a stack is run: Compose files, Kubernetes manifests and Podman's Quadlet units.
//!
//! Owns what `[service]` means for each of them. Pure: it is given images by name or digest and recipes' services with
//! everything filled in, and gives texts. It must not choose which recipes are meant, nor read or write a file.

mod check;
mod compose;
mod container;
mod kube;
mod quadlet;
mod yaml;

use std::collections::BTreeMap;

pub use check::{Error, Fault};
pub use compose::compose;
pub use kube::kube;
pub use quadlet::quadlet;

use crate::recipe::{Job, Service, Spanned};

/// Recipes that run together.
#[derive(Debug, Clone, Default)]
pub struct Stack {
    /// Its name: the Compose project, the Kubernetes part-of, the network.
    pub name: String,
    /// Which variant of each.
    pub variant: String,
    /// The command that writes it down, on one line.
    pub command: String,
    /// Its recipes.
    pub units: Vec<Unit>,
}

/// One recipe of a stack.
#[derive(Debug, Clone)]
pub struct Unit {
    /// The recipe's name, by which the others reach it.
    pub name: String,
    /// What an engine calls the image: `repository@sha256:…`, or an engine's own ID.
    pub image: String,
    /// What people call it; said beside an ID.
    pub called: String,
    /// How it is run, with everything filled in.
    pub service: Service,
    /// What is mounted over the image.
    pub mounts: Vec<Mount>,
    /// Ports that the image declares, such as `8080/tcp`.
    pub exposed: Vec<String>,
    /// Whom the image runs as, as its configuration says.
    pub user: String,
    /// That user's number, where it is known.
    pub uid: Option<u32>,
    /// That user's group, where it is known.
    pub group: Option<u32>,
    /// What the recipe puts into the image, but for what is mounted and what may lie below a volume.
    pub files: Vec<Spanned<String>>,
}

/// A part of the working copy that lies over a path of the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// File or directory, as the written file must name it.
    pub source: String,
    /// Where it lies in the container.
    pub target: String,
    /// Nothing may be written there.
    pub read_only: bool,
}

/// A text to be written, and what of the recipes has no place in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    /// The files, by name.
    pub files: BTreeMap<String, String>,
    /// What was left out, for people.
    pub left_out: Vec<String>,
}

/// The container's side of a port as Compose writes it: number and protocol. None for a range.
fn port(text: &str) -> Option<(u16, &str)> {
    let (_, inner) = text.rsplit_once(':').unwrap_or(("", text));
    let (number, protocol) = inner.split_once('/').unwrap_or((inner, "tcp"));
    Some((self::number(number)?, protocol))
}

/// Whether a port is published for this machine alone.
fn is_loopback(text: &str) -> bool {
    let outer = text.rsplit_once(':').map_or("", |(outer, _)| outer);
    ["127.", "[::1]", "::1:", "localhost:"].iter().any(|address| outer.starts_with(address))
}

/// The number of a port.
fn number(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| digits && *number > 0)
}

/// Names of a service's jobs, as others wait for them.
fn job_name(service: &str, job: &str) -> String {
    format!("{service}-{job}")
}

/// The service's environment, or one of its jobs': that has its own over it.
fn env<'s>(service: &'s Service, job: Option<&'s Job>) -> BTreeMap<&'s str, &'s Spanned<String>> {
    let own = job.iter().flat_map(|job| &job.env);
    service.env.iter().chain(own).map(|(name, value)| (name.as_str(), value)).collect()
}

fn texts(texts: &[Spanned<String>]) -> Vec<&str> {
    texts.iter().map(|text| text.value.as_str()).collect()
}

/// Whole seconds as engines write them: `90s`, `1500ms`.
fn duration(nanoseconds: u64) -> String {
    let milliseconds = nanoseconds / 1_000_000;
    if milliseconds.is_multiple_of(1000) {
        format!("{}s", milliseconds / 1000)
    } else {
        format!("{milliseconds}ms")
    }
}

#[cfg(test)]
mod tests;
