//! Cooper turns TOML recipes into content-addressed OCI images, without a daemon, a privilege or a container.
//!
//! The digest of an image is a function of what is committed: recipe, lock and sources. This library is what the
//! binary `cooper` is made of; it carries no promise of a stable API.
//!
//! ```text
//! Recipe + Lock + Sources -> Plan (pure) -> Derivation (hashable) -> Layer, Image, Index (values; the store
//! holds the bytes) -> Sink
//! ```
//!
//! # The house
//!
//! Imports go strictly down; rooms on one floor never see each other. A test (`tests/it/architecture.rs`) reads
//! every path in `src/` and fails on one that climbs, and on a floor that isn't as here.
//!
//! | floor | rooms |
//! |---|---|
//! | 7 | [`ops`]: the verbs, where rooms are wired to each other |
//! | 5 | [`deploy`]: what runs a stack, pure |
//! | 4 | [`plan`]: what to build, pure; [`substitute`]: where a blob may come from; [`sink`]: where an image goes |
//! | 3 | [`lock`], [`image`]: pure; [`workspace`]: the checkout, as bytes |
//! | 2 | [`recipe`], [`layer`]: pure; [`store`]; [`registry`] |
//! | 1½ | [`derivation`]: all that determines an output, pure |
//! | 1 | [`oci`], [`tree`]: values and documents, pure; [`http`] |
//! | 0 | [`digest`], [`progress`]; [`disk`]: files, whose errors name the path |
//!
//! What decides bytes lies in modules named `v1` and is reached through [`digest::Encoding`] only; the norm is
//! `book/src/encoding-1.md`. The library never touches the terminal, the environment, the home directory or the
//! clock: [`ops::Env`] carries what it needs.
//!
//! # A build
//!
//! ```
//! use std::{fs, sync::Arc};
//!
//! use cooperage::{ops, progress::Silent, registry::Registries};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let dir = std::env::temp_dir().join(format!("cooper-doctest-{}", std::process::id()));
//! let recipe = dir.join("recipes/demo/hello");
//! fs::create_dir_all(&recipe)?;
//! fs::write(dir.join("cooper.toml"), "cooper = \">=0.1\"\n")?;
//! let text = "[base]\nscratch = true\n[[file]]\ntext = \"hello\\n\"\nto = \"/hello\"\n";
//! fs::write(recipe.join("recipe.toml"), text)?;
//!
//! let env = ops::Env {
//!     store: dir.join(".cooper/store"),
//!     dir: dir.clone(),
//!     lockfiles: None,
//!     locked: false,
//!     offline: true,
//!     substitute: Vec::new(),
//!     epoch: None,
//!     engine: String::new(),
//!     platform: "linux/amd64".parse()?,
//!     registries: &Registries::new(|| Err("nobody is called".into())),
//!     last: false,
//!     progress: Arc::new(Silent),
//! };
//! let report = ops::build(&env, &ops::BuildOptions::default())?;
//! // The same digest on every machine: nothing of this one is in it.
//! let image = &report.recipes[0].images[0];
//! assert_eq!(image.name.recipe, "demo/hello");
//! let digest = "sha256:d6740124bec26d688b1719b08fcbfce0c4d0a6b33bedec639e6790265782e349";
//! assert_eq!(image.digest.to_string(), digest);
//! # fs::remove_dir_all(dir)?;
//! # Ok(())
//! # }
//! ```
//!
//! # Files on disk
//!
//! | path | module |
//! |---|---|
//! | `cooper.toml`, `recipes/<stack>/<name>/recipe.toml` | [`recipe`] |
//! | `lockfiles/<stack>/<name>.lock` | [`lock`] |
//! | `lockfiles/blobs/sha256/` | [`workspace`] |
//! | the store: `blobs/`, `realisations/`, `headers/`, `index.json` | [`store`] |
//! | where all of them lie, `lockfiles/blobs/sha256/` | [`workspace`] |

pub mod deploy;
pub mod derivation;
pub mod digest;
pub mod disk;
pub mod http;
pub mod image;
pub mod layer;
pub mod lock;
pub mod oci;
pub mod ops;
pub mod plan;
pub mod progress;
pub mod recipe;
pub mod registry;
pub mod sink;
pub mod store;
pub mod substitute;
pub mod tree;
pub mod workspace;
