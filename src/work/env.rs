//! What a command is given of the world, and what it is asked beyond building.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::lock::conflict;
use crate::oci::{Place, Platform};
use crate::progress::{Progress, Silent};
use crate::registry::Registries;
use crate::store::fingerprint;
use crate::workspace;

/// What verbs need of the world. A new field is a decision, not a convenience.
#[derive(Debug, Clone)]
pub struct Env<'a> {
    /// Where a workspace is looked for, upwards; relative places start here too.
    pub dir: PathBuf,
    /// The store's directory.
    pub store: PathBuf,
    /// Another set of locks than the workspace's `lockfiles/`.
    pub lockfiles: Option<PathBuf>,
    /// Sources that look as they did when they were hashed aren't read again, nor is made again what the program of this
    /// number made of them; nothing: all of it is.
    pub index: Option<u64>,
    /// Write nothing, and fail when the locks don't say what comes out.
    pub locked: bool,
    /// Open no connection.
    pub offline: bool,
    /// Where what other machines have made is looked for.
    pub substitute: Vec<Place>,
    /// `SOURCE_DATE_EPOCH`: the epoch of locks that are made now.
    pub epoch: Option<i64>,
    /// The engine's address for `docker-daemon:` (`unix:///var/run/docker.sock`).
    pub engine: String,
    /// Chosen where a format holds one image only: this machine's, as a Linux container's.
    pub platform: Platform,
    /// Where references lead.
    pub registries: &'a Registries,
    /// Who hears what goes on.
    pub progress: Arc<dyn Progress>,
}

impl Asks {
    /// What a verb wants that is only told where inputs are.
    pub(crate) fn given(inputs: &Inputs) -> Self {
        Self { inputs: inputs.clone(), ..Self::default() }
    }
}

impl<'a> Env<'a> {
    /// A command in `dir` with its store in `store`, silent, as no option of the command line changes it.
    pub fn new(dir: PathBuf, store: PathBuf, platform: Platform, registries: &'a Registries) -> Self {
        Self {
            dir,
            store,
            lockfiles: None,
            index: Some(fingerprint(env!("CARGO_PKG_VERSION").as_bytes())),
            locked: false,
            offline: false,
            substitute: Vec::new(),
            epoch: None,
            engine: "unix:///var/run/docker.sock".to_owned(),
            platform,
            registries,
            progress: Arc::new(Silent),
        }
    }

    /// The path of something that is written where the user says. That may be anywhere; but what is called as if it lay in
    /// the workspace does, whatever links were committed there.
    ///
    /// # Errors
    /// [`disk::Error::Led`](crate::disk::Error::Led). The last component is followed: of a file, ask for its directory.
    pub fn output(&self, path: &Path) -> Result<PathBuf, workspace::Error> {
        let path = self.dir.join(path);
        if let Some(workspace) = workspace::surrounding(&self.dir)? {
            workspace.check(&path)?;
        }
        Ok(path)
    }
}

/// Where inputs are, by their names: relative to where a command runs.
pub type Inputs = BTreeMap<String, PathBuf>;

/// What a verb wants beyond building.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asks {
    /// Values of variables that are declared `set = true`.
    pub(crate) set: BTreeMap<String, String>,
    /// Where inputs are, by name.
    pub(crate) inputs: Inputs,
    /// Bases that are asked anew for their digest: all, or those named so.
    pub(crate) refresh: Option<Vec<String>>,
    /// Guards that need the base's header index run even if its layers must be read for it.
    pub(crate) thorough: bool,
    /// Facts are derived from the layers even where the lock has them, and compared.
    pub(crate) fresh_facts: bool,
    /// Locks are left as they are.
    pub(crate) unrecorded: bool,
    /// Which side a conflict's differing pins are taken from.
    pub(crate) take: Option<conflict::Take>,
}
