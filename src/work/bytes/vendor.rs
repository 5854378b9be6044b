//! `vendor/`: blobs that the workspace brings along, each by its digest.

use std::io::Read;
use std::path::PathBuf;

use crate::disk;
use crate::oci::Descriptor;
use crate::store::is_sound;
use crate::work::Error;
use crate::work::checkout::Checkout;
use crate::work::fetch;

/// What lies there.
pub(crate) struct Vendor(PathBuf);

impl Vendor {
    pub(super) fn of(checkout: &Checkout<'_>) -> Result<Self, Error> {
        fetch::vendored(&checkout.workspace).map(Self)
    }

    /// A blob. One that is damaged is none: it may be had elsewhere.
    pub(super) fn open(&self, blob: &Descriptor) -> Result<Option<Box<dyn Read + Send>>, Error> {
        let file = self.0.join(blob.digest.hex());
        if !is_sound(&file, blob.digest, blob.size)? {
            return Ok(None);
        }
        Ok(Some(Box::new(disk::open(&file)?.0)))
    }
}
