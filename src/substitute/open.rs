//! Which kind of place a path is.

use std::path::Path;
use std::sync::Arc;

use super::Substituter;
use super::archive::Archive;
use super::error::Error;
use super::layout::Layout;
use crate::disk;

/// Opens a layout (a directory) or an archive (a tar with `oci-layout` or `manifest.json` in it).
///
/// # Errors
/// When it is neither, or broken.
pub fn open(path: &Path) -> Result<Arc<dyn Substituter>, Error> {
    if disk::is_directory(path) {
        Ok(Arc::new(Layout::open(path)?))
    } else {
        Ok(Arc::new(Archive::open(path)?))
    }
}
