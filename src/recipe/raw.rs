//! The tables of `recipe.toml` as they are written: what serde reads and what the JSON Schema is made from.
//!
//! Doc comments here are the schema's descriptions, for whoever writes a recipe. Everything is optional to serde:
//! what must be there is checked afterwards, with better words, and so that one mistake doesn't hide the next.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::loose::{Loose, Never, Scalar, Table, Text, Texts, schema};
pub(super) use super::raw_entry::{Ca, Common, Dir, Edit, File, Group, Link, Owner, Remove, User};
use super::span::S;

/// One recipe: what stands on a base, and how the image is configured.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)] // the parser reads the tables one by one, this is their schema
pub(super) struct Recipe {
    #[serde(flatten)]
    patch: Patch,
    /// Patches on everything above, by variant.
    variant: BTreeMap<String, Patch>,
}

/// A recipe's tables, or what a variant changes in them.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)]
pub(super) struct Patch {
    image: Option<Image>,
    base: Option<Base>,
    /// Variables for `{{ name }}`: a value, or `{ set = true, default = … }` for one that `--set` may give.
    #[schemars(schema_with = "variables")]
    vars: Table<S<Loose<Var>>>,
    config: Option<Config>,
    service: Option<Service>,
    /// Things made elsewhere, by name.
    input: Table<Input>,
    /// Files, directories and globs that are copied, or text.
    file: Option<Vec<File>>,
    /// Directories.
    dir: Option<Vec<Dir>>,
    /// Symbolic and hard links.
    link: Option<Vec<Link>>,
    /// What is taken away from the base.
    remove: Option<Vec<Remove>>,
    /// Changes to files of the base.
    edit: Option<Vec<Edit>>,
    /// Changes of owner or mode in the base.
    owner: Option<Vec<Owner>>,
    /// Lines of /etc/passwd.
    user: Option<Vec<User>>,
    /// Lines of /etc/group.
    group: Option<Vec<Group>>,
    /// Certificates appended to the base's bundle.
    ca: Option<Vec<Ca>>,
    /// Entries of the common recipe (or of the one that is extended) to leave out.
    drop: Option<Vec<Drop>>,
}

pub(super) fn variables(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let value = schema::scalar_or::<Var>(generator);
    schemars::json_schema!({ "type": "object", "additionalProperties": value })
}

/// What the image is called.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Image {
    /// Annotation and label org.opencontainers.image.title.
    pub(super) title: Text,
    /// Annotation and label org.opencontainers.image.version.
    pub(super) version: Text,
    /// Annotation and label org.opencontainers.image.source.
    pub(super) source: Text,
    /// Tags to push; none: by digest only.
    pub(super) tags: Texts,
    /// Platforms to build, such as "linux/amd64".
    pub(super) platforms: Texts,
    /// Time of everything in the image: RFC 3339 or seconds since 1970.
    #[schemars(schema_with = "schema::time")]
    pub(super) epoch: Option<S<Loose<toml::value::Datetime>>>,
    /// The team that looks after it; never in the image.
    pub(super) owner: Text,
}

/// What the image stands on: exactly one of these.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Base {
    /// Reference of an image; an @sha256: digest is obeyed.
    pub(super) image: Text,
    /// Another recipe, stack/name, in the same variant.
    pub(super) recipe: Text,
    /// OCI layout or archive, relative to the workspace: path, path:tag or path@sha256:…
    pub(super) layout: Text,
    /// Nothing.
    pub(super) scratch: Option<S<bool>>,
    /// Another recipe, stack/name or catalogue:stack/name, evaluated again with this one as a patch.
    pub(super) extends: Text,
}

/// A variable that `--set` may give.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Var {
    /// Must be true.
    pub(super) set: Option<bool>,
    /// The value without `--set`.
    pub(super) default: Option<S<Scalar>>,
}

/// The image's configuration, as a patch on the base's.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Config {
    /// Program and arguments; [] clears it.
    pub(super) entrypoint: Texts,
    /// Default arguments; [] clears them; "inherit" keeps the base's beside a new entrypoint.
    #[schemars(schema_with = "schema::list_or_inherit")]
    pub(super) cmd: Option<S<Loose<Never>>>,
    /// Environment.
    pub(super) env: Table<S<Scalar>>,
    /// User or user:group that the program runs as.
    pub(super) user: Option<S<Scalar>>,
    /// Working directory.
    pub(super) workdir: Text,
    /// Ports: 8080, "8080/udp".
    pub(super) expose: Option<Vec<S<Scalar>>>,
    /// Volumes of the image.
    pub(super) volumes: Texts,
    /// Labels.
    pub(super) labels: Table<S<Scalar>>,
    /// Signal that stops the program.
    pub(super) stop_signal: Option<S<Scalar>>,
    /// Docker's health check, or "none".
    #[schemars(schema_with = "schema::none_or::<Health>")]
    pub(super) healthcheck: Option<S<Loose<Health>>>,
    /// What is taken away from the base's configuration.
    pub(super) remove: Option<ConfigRemove>,
}

/// What is taken away from the base's configuration, by name.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfigRemove {
    /// Environment variables.
    pub(super) env: Texts,
    /// Ports.
    pub(super) expose: Option<Vec<S<Scalar>>>,
    /// Volumes.
    pub(super) volumes: Texts,
    /// Labels.
    pub(super) labels: Texts,
}

/// How to see that it is well.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Health {
    /// Program and arguments; exit 0 is well.
    pub(super) cmd: Texts,
    /// URL to get (services only).
    pub(super) http: Text,
    /// Port or host:port to connect to (services only).
    pub(super) tcp: Option<S<Scalar>>,
    /// Time between checks, such as "10s".
    pub(super) interval: Text,
    /// Time that one may take.
    pub(super) timeout: Text,
    /// Time after the start in which failures don't count.
    pub(super) start: Text,
    /// Failures in a row until it is unwell.
    pub(super) retries: Option<S<i64>>,
}

/// How the image is run; never in the image.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Service {
    /// Ports as Compose writes them.
    pub(super) ports: Option<Vec<S<Scalar>>>,
    /// Ports of the image that only those services reach which wait for this one or call it: in a cluster in no Service.
    pub(super) private: Option<Vec<S<Scalar>>>,
    /// Services of the stack that it calls without waiting for them.
    pub(super) calls: Texts,
    /// Environment at run time.
    pub(super) env: Table<S<Scalar>>,
    /// Volumes: name = path in the container.
    pub(super) volumes: Table<S<String>>,
    /// Services to wait for: name = "started", "healthy" or "done".
    pub(super) after: Table<S<String>>,
    /// How to see that it is well.
    pub(super) health: Option<S<Health>>,
    /// Secrets: NAME = { file = "/run/secrets/x" } or { env = "X" }.
    pub(super) secrets: Table<S<Secret>>,
    /// One-off runs of the same image.
    pub(super) job: Table<S<Job>>,
    /// Command that checks the configuration.
    pub(super) check: Texts,
    /// Command that makes the service read its configuration again, or "restart".
    #[schemars(schema_with = "schema::list_or_restart")]
    pub(super) reload: Option<S<Loose<Never>>>,
    /// Labels of the container.
    pub(super) labels: Table<S<Scalar>>,
    /// Keys that are passed through to the engine's own format.
    #[schemars(schema_with = "schema::any_table")]
    pub(super) container: Option<S<toml::Table>>,
}

/// Where a secret comes in: exactly one of these.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Secret {
    /// Path where it is mounted.
    pub(super) file: Text,
    /// Variable that holds it.
    pub(super) env: Text,
}

/// A one-off run of the service's image.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Job {
    /// Arguments.
    pub(super) cmd: Texts,
    /// Program and arguments.
    pub(super) entrypoint: Texts,
    /// Environment.
    pub(super) env: Table<S<Scalar>>,
    /// Services to wait for.
    pub(super) after: Table<S<String>>,
}

/// A thing made elsewhere: exactly one of `path`, `image` (with `path`) and `open` (with `path`).
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Input {
    /// File or directory, relative to the workspace; with `image` an absolute path in it.
    pub(super) path: Text,
    /// Reference of an image.
    pub(super) image: Text,
    /// The command that makes it: told, never run.
    pub(super) made_by: Text,
    /// Not in the lock: given by `--input NAME=PATH`; without that, what lies at `path`.
    pub(super) open: Option<S<bool>>,
}

/// Leaves out one entry.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Drop {
    /// Its `to`.
    pub(super) to: Text,
    /// Its `path`.
    pub(super) path: Text,
}
