//! One image's bytes, by digest, from the first place that has them.

use std::io::Read;
use std::sync::Arc;

use super::substitutes::Substitutes;
use super::vendor::Vendor;
use crate::digest::Digest;
use crate::oci::{Descriptor, MAX_DOCUMENT};
use crate::store::{self, Store, Transaction};
use crate::substitute::{self, Substituter};
use crate::tree::Content;
use crate::work::Error;
use crate::work::checkout::{Checkout, Committed};

/// Where the blobs of an image are looked for, in this order: `lockfiles/blobs`, the store, `vendor`, substituters on this
/// machine, which are compared first, where the image comes from, other substituters. A stream can't be taken back, so
/// somebody else's copy is asked last.
pub(crate) struct Bytes<'b> {
    /// The image or its base, for messages.
    pub(crate) of: String,
    pub(super) committed: Option<&'b Committed>,
    pub(super) vendor: Option<Vendor>,
    pub(super) held: Held<'b>,
    pub(super) substitutes: &'b Substitutes,
    pub(super) origins: Vec<Arc<dyn Substituter>>,
}

/// The store, or what a command has added to it.
pub(super) enum Held<'b> {
    Store(&'b Store),
    Transaction(&'b Transaction),
}

impl Held<'_> {
    fn has(&self, blob: &Descriptor) -> Result<bool, store::Error> {
        match self {
            Self::Store(store) => store.has(blob.digest, blob.size),
            Self::Transaction(transaction) => transaction.has(blob.digest, blob.size),
        }
    }

    fn open(&self, blob: &Descriptor) -> Result<Box<dyn Read + Send>, store::Error> {
        Ok(match self {
            Self::Store(store) => Box::new(store.open_unverified(blob.digest, blob.size)?),
            Self::Transaction(transaction) => Box::new(transaction.open_unverified(blob.digest, blob.size)?),
        })
    }

    /// A document of the store. One that this command has made isn't there yet: whoever made it has its bytes.
    fn document(&self, blob: &Descriptor) -> Result<Vec<u8>, store::Error> {
        let store = match self {
            Self::Store(store) => store,
            Self::Transaction(transaction) => transaction.store(),
        };
        store.read(blob.digest, blob.size, MAX_DOCUMENT)
    }
}

impl<'b> Bytes<'b> {
    /// The bytes of an image that is in no workspace.
    pub(crate) fn outside(
        of: String,
        store: &'b Store,
        substitutes: &'b Substitutes,
        origins: Vec<Arc<dyn Substituter>>,
    ) -> Self {
        Self { of, committed: None, vendor: None, held: Held::Store(store), substitutes, origins }
    }

    /// The same of a workspace, which may bring some of them along.
    pub(crate) fn beside(self, checkout: &Checkout<'_>) -> Result<Self, Error> {
        Ok(Self { vendor: Some(Vendor::of(checkout)?), ..self })
    }

    /// The bytes of an image that comes into the store.
    pub(crate) fn into_store(
        of: String,
        transaction: &'b Transaction,
        substitutes: &'b Substitutes,
        origin: Arc<dyn Substituter>,
    ) -> Self {
        let held = Held::Transaction(transaction);
        Self { of, committed: None, vendor: None, held, substitutes, origins: vec![origin] }
    }

    /// Whether it needn't be fetched.
    pub(crate) fn is_here(&self, blob: &Descriptor) -> Result<bool, Error> {
        Ok(self.held.has(blob)?)
    }

    /// Opens a blob, or says that nobody has it. Whoever takes what comes verifies it: a sink, a scan, the store.
    pub(crate) fn open(&self, blob: &Descriptor) -> Result<Option<Box<dyn Read + Send>>, Error> {
        if self.held.has(blob)? {
            return Ok(Some(self.held.open(blob)?));
        }
        if let Some(vendor) = &self.vendor
            && let Some(found) = vendor.open(blob)?
        {
            return Ok(Some(found));
        }
        if let Some(found) = self.substitutes.here(blob) {
            return Ok(Some(found));
        }
        let mut failed = None;
        for place in &self.origins {
            match place.open_unverified(blob) {
                Ok(Some(found)) => return Ok(Some(found)),
                Ok(None) => {}
                // Somebody else may have it.
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        match (self.substitutes.first(|place| Ok(place.open_unverified(blob)?)), failed) {
            (None, Some(error)) => Err(error.into()),
            (found, _) => Ok(found),
        }
    }

    /// Opens a layer that must be there.
    pub(crate) fn layer(&self, layer: &Descriptor) -> Result<Box<dyn Read + Send>, Error> {
        self.open(layer)?.ok_or_else(|| self.absent("the layer", layer.digest))
    }

    /// A document, verified, or nothing when nobody has it; `what` is it, for messages.
    pub(crate) fn document(&self, blob: &Descriptor, what: &str) -> Result<Option<Arc<[u8]>>, Error> {
        let content = Content { digest: blob.digest, size: blob.size };
        if let Some(committed) = self.committed
            && let Some(bytes) = committed.read(&content, MAX_DOCUMENT)?
        {
            return Ok(Some(bytes));
        }
        let wrong = |source| Error::Document { base: self.of.clone(), source };
        if let Some(bytes) = blob.data().map_err(wrong)? {
            return Ok(Some(bytes).filter(|bytes| Content::of(bytes) == content).map(Arc::from));
        }
        if blob.size > MAX_DOCUMENT {
            return Err(substitute::Error::TooLarge { digest: blob.digest, size: blob.size }.into());
        }
        let failed = match self.held.document(blob) {
            Ok(bytes) => return Ok(Some(bytes.into())),
            Err(store::Error::Missing { .. }) => None,
            Err(error) => Some(error),
        };
        for place in &self.origins {
            let what = format!("{what} {}", blob.digest);
            if let Some(bytes) =
                place.read(blob).map_err(|error| Error::of_document(error, what, &self.of))?
            {
                return Ok(Some(bytes.into()));
            }
        }
        if let Some(bytes) = self.substitutes.first(|place| Ok(place.read(blob)?)) {
            return Ok(Some(bytes.into()));
        }
        // What is damaged here and nowhere else to be had.
        failed.map_or(Ok(None), |error| Err(error.into()))
    }

    /// The error that names what nobody has.
    pub(crate) fn absent(&self, what: &str, digest: Digest) -> Error {
        Error::Absent { what: format!("{what} {digest}"), base: self.of.clone(), digest }
    }
}
