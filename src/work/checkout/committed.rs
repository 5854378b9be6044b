//! `lockfiles/blobs`, each blob read and written once by a command.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use crate::digest::Digest;
use crate::tree::Content;
use crate::work::Error;
use crate::work::mutex::lock;
use crate::workspace::{MAX_BULK, Workspace};

/// Documents, facts and listings by their digests.
pub(crate) type Blobs = BTreeMap<Digest, Arc<[u8]>>;

/// The committed blobs of a workspace: recipes on one base share them.
pub(crate) struct Committed {
    workspace: Workspace,
    /// They are read from the workspace's own place, and written to another.
    elsewhere: bool,
    read: Mutex<Blobs>,
    put: Mutex<BTreeSet<Digest>>,
}

impl Committed {
    /// Reads nothing yet. With `elsewhere` the locks in use aren't the workspace's own.
    pub(super) fn new(workspace: Workspace, elsewhere: bool) -> Self {
        Self { workspace, elsewhere, read: Mutex::default(), put: Mutex::default() }
    }

    /// A blob, verified; none when it isn't there.
    pub(crate) fn read(&self, content: &Content, cap: u64) -> Result<Option<Arc<[u8]>>, Error> {
        let known = lock(&self.read).get(&content.digest).cloned();
        if let Some(bytes) = known.filter(|bytes| bytes.len() as u64 == content.size) {
            return Ok(Some(bytes));
        }
        let found: Option<Arc<[u8]>> = self.workspace.blob(content, cap)?.map(Arc::from);
        if let Some(bytes) = &found {
            lock(&self.read).insert(content.digest, Arc::clone(bytes));
        }
        Ok(found)
    }

    /// The listing of a source tree, if it is there and can be read.
    pub(crate) fn listing(&self, content: &Content) -> Option<String> {
        let bytes = self.read(content, MAX_BULK).ok().flatten()?;
        String::from_utf8(bytes.to_vec()).ok()
    }

    /// Commits a blob, once, and not if it was read from there.
    pub(crate) fn put(&self, digest: Digest, bytes: &[u8]) -> Result<(), Error> {
        let read = !self.elsewhere && lock(&self.read).contains_key(&digest);
        if !read && lock(&self.put).insert(digest) {
            self.workspace.put_blob(bytes)?;
        }
        Ok(())
    }
}
