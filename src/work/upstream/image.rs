//! An image to read: its documents are at hand, and its layers are read as far as somebody asks.
//!
//! Owns the merged view of the layers, made of the header indexes that the store keeps, that a substituter claims, or that
//! are made from the layers now.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::io::Read;
use std::rc::Rc;
use std::sync::Arc;

use super::below::Below;
use super::state::{Upstream, View};
use crate::digest::{Digest, Encoding};
use crate::layer::captured::Captured;
use crate::layer::error::ReadError;
use crate::layer::facts::Facts;
use crate::layer::merged::Merged;
use crate::layer::packages::{self, Packages};
use crate::layer::scan::{Expected, LayerScan, scan_layer};
use crate::layer::tar::Limits;
use crate::lock::{BaseOrigin, PlatformPin};
use crate::oci::{Descriptor, DocumentError, ImageConfig, Manifest, Platform};
use crate::plan::matches_in_base;
use crate::progress::{Counting, Event, Progress};
use crate::registry::each;
use crate::substitute::Beside;
use crate::tree::{Content, TreePath};
use crate::work::Error;
use crate::work::bytes::Bytes;
use crate::workspace::MAX_BULK;

/// An image of one platform, wherever its bytes are.
pub(crate) struct Image<'u> {
    pub(super) upstream: &'u Upstream<'u>,
    pub(super) bytes: Bytes<'u>,
    pub(super) manifest: Rc<Manifest>,
    pub(super) config: Rc<ImageConfig>,
    /// The facts that a lock pins of it.
    pinned: Option<Content>,
    view: OnceCell<View>,
}

/// Facts, as a value and as the text that the lock pins.
pub(super) struct Known {
    pub(super) facts: Rc<Facts>,
    pub(super) content: Content,
    pub(super) bytes: Arc<[u8]>,
}

impl<'u> Image<'u> {
    /// An image that comes from `origin`, or is only here.
    pub(crate) fn new(
        upstream: &'u Upstream<'u>,
        of: String,
        origin: Option<&BaseOrigin>,
        documents: (Rc<Manifest>, Rc<ImageConfig>),
    ) -> Result<Self, Error> {
        let bytes = upstream.supply.bytes(of, origin)?;
        let (manifest, config) = documents;
        Ok(Self { upstream, bytes, manifest, config, pinned: None, view: OnceCell::new() })
    }

    /// The same, with the facts that a lock pins of it.
    pub(crate) fn with_facts(mut self, pinned: Option<Content>) -> Self {
        self.pinned = pinned;
        self
    }

    /// The image that a recipe stands on, with its manifest's name; none where that is nothing.
    pub(crate) fn below(upstream: &'u Upstream<'u>, below: &Below) -> Result<Option<(Self, Content)>, Error> {
        let Some((manifest, content)) = &below.manifest else { return Ok(None) };
        let of = below.origin.as_ref().map(ToString::to_string).unwrap_or_default();
        let documents = (Rc::clone(manifest), Rc::clone(&below.config));
        Ok(Some((Self::new(upstream, of, below.origin.as_ref(), documents)?, *content)))
    }

    /// The packages that its databases list.
    pub(crate) fn packages(&self) -> Result<Packages, Error> {
        let (merged, captured) = self.view()?;
        Ok(packages::derive(&merged, &captured.iter().collect::<Vec<_>>()))
    }

    /// Refuses a document.
    pub(super) fn wrong(&self, source: DocumentError) -> Error {
        Error::Document { base: self.bytes.of.clone(), source }
    }

    /// Refuses a layer.
    pub(super) fn wrong_layer(&self, layer: Digest, source: ReadError) -> Error {
        Error::BaseLayer { base: self.bytes.of.clone(), layer, source }
    }

    /// The facts that the lock pins, or those that the layers tell now: a lock that is made anew says what these say, where
    /// they can be had.
    pub(super) fn facts(&self, platform: &Platform) -> Result<Known, Error> {
        let Upstream { facts: known, .. } = self.upstream;
        let checkout = self.upstream.checkout();
        let wrong = || Error::Facts { base: self.bytes.of.clone(), platform: platform.short() };
        let mends = self.mends()?;
        if let Some(content) = self.pinned.filter(|_| !mends && !checkout.asks.fresh_facts)
            && let Some(bytes) = checkout.committed.read(&content, MAX_BULK)?
        {
            let found = known.borrow().get(&content.digest).cloned();
            let facts = match found {
                Some(facts) => facts,
                None => Rc::new(Facts::parse(&bytes).map_err(|_| wrong())?),
            };
            known.borrow_mut().insert(content.digest, Rc::clone(&facts));
            return Ok(Known { facts, content, bytes });
        }
        let facts = self.derived()?;
        let bytes = facts.to_text().as_bytes();
        let content = Content::of(bytes);
        if !mends && self.pinned.is_some_and(|pinned| pinned != content) {
            return Err(wrong());
        }
        let bytes = bytes.into();
        Ok(Known { facts: Rc::new(facts), content, bytes })
    }

    /// Whether what a lock says of the layers is made anew of them.
    fn mends(&self) -> Result<bool, Error> {
        let asks = &self.upstream.checkout().asks;
        if !asks.thorough || asks.fresh_facts {
            return Ok(false);
        }
        match self.view() {
            Ok(_) => Ok(true),
            // A complete lock builds without.
            Err(Error::Absent { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn derived(&self) -> Result<Facts, Error> {
        let (merged, captured) = self.view()?;
        let captured: Vec<&Captured> = captured.iter().collect();
        let layer = self.manifest.layers.first().map_or(Digest::of(b""), |layer| layer.digest);
        Facts::derive(&merged, &captured).map_err(|source| self.wrong_layer(layer, source))
    }

    /// What `[[remove]]` patterns match in it, as a pin records it or as the layers say now.
    pub(super) fn removed(
        &self,
        old: Option<&PlatformPin>,
        encoding: Encoding,
        patterns: &[String],
    ) -> Result<BTreeMap<String, Vec<TreePath>>, Error> {
        let mut removed = BTreeMap::new();
        let fresh = self.upstream.checkout().asks.fresh_facts;
        let anew = fresh || self.mends()?;
        for pattern in patterns {
            let known = old.and_then(|pin| pin.removed.get(pattern)).cloned();
            let matched = match known.clone().filter(|_| !anew) {
                Some(matched) => matched,
                // A pattern that can't be read is reported by the plan, where its place is known.
                None => matches_in_base(encoding, pattern, &self.view()?.0).unwrap_or_default(),
            };
            if fresh && known.is_some_and(|known| known != matched) {
                return Err(Error::Unlisted { name: format!("{pattern} in {}", self.bytes.of) });
            }
            removed.insert(pattern.clone(), matched);
        }
        Ok(removed)
    }

    /// Reads the layers for a thorough command, where they can be had, so that every guard can answer.
    pub(super) fn for_guards(&self) -> Result<(), Error> {
        self.mends().map(drop)
    }

    /// The merged headers of the layers, and what was captured of each.
    pub(crate) fn view(&self) -> Result<View, Error> {
        if let Some(view) = self.view.get() {
            return Ok(view.clone());
        }
        let key = Digest::of(&self.manifest.to_bytes());
        let known = self.upstream.views.borrow().get(&key).cloned();
        let view = match known {
            Some(view) => view,
            None => self.claimed()?.map_or_else(|| Ok(self.read(false)?.0), Ok::<_, Error>)?,
        };
        self.upstream.views.borrow_mut().insert(key, view.clone());
        Ok(self.view.get_or_init(|| view).clone())
    }

    /// What a substituter has of the layers, if it gives the facts that the lock pins: it is kept then.
    fn claimed(&self) -> Result<Option<View>, Error> {
        let (supply, asks) = (&self.upstream.supply, &self.upstream.checkout().asks);
        let Some(pinned) = self.pinned.filter(|_| !asks.fresh_facts && !supply.substitutes.is_empty()) else {
            return Ok(None);
        };
        let (view, claims) = self.read(true)?;
        let captured: Vec<&Captured> = view.1.iter().collect();
        let same = |facts: Facts| Content::of(facts.to_text().as_bytes()) == pinned;
        if !claims.is_empty() && !Facts::derive(&view.0, &captured).is_ok_and(same) {
            return Ok(None);
        }
        for (layer, bytes) in claims {
            supply.transaction()?.header(layer, &bytes)?;
        }
        Ok(Some(view))
    }

    /// Merges the layers, and gives what is only claimed of them.
    fn read(&self, claims: bool) -> Result<(View, BTreeMap<Digest, Vec<u8>>), Error> {
        let diff_ids = self.config.diff_ids().map_err(|source| self.wrong(source))?;
        let (mut merged, mut captured, mut claimed) = (Merged::default(), Vec::new(), BTreeMap::new());
        let mut layers = Vec::new();
        for (number, layer) in self.manifest.layers.iter().enumerate() {
            let compression = layer.compression().map_err(|source| self.wrong(source))?;
            let diff_id = diff_ids.get(number).copied();
            let Descriptor { digest, size, .. } = *layer;
            layers.push((Expected { digest, size, compression, diff_id }, layer));
        }
        if !claims && !self.upstream.checkout().asks.fresh_facts {
            self.prefetch(&layers)?;
        }
        for (expected, layer) in &layers {
            let (scan, is_claim) = self.scan(expected, layer, claims)?;
            if is_claim {
                claimed.insert(layer.digest, scan.to_bytes());
            }
            merged.apply(scan.index).map_err(|source| self.wrong_layer(layer.digest, source))?;
            captured.push(scan.captured);
        }
        Ok(((Rc::new(merged), Rc::new(captured)), claimed))
    }

    /// A layer's scan: kept by the store, or made now from the layer itself, and with `claims` as a substituter has it:
    /// the second value says so. Of a large layer it takes megabytes: whoever asks takes it apart.
    fn scan(
        &self,
        expected: &Expected,
        layer: &Descriptor,
        claims: bool,
    ) -> Result<(LayerScan, bool), Error> {
        let supply = &self.upstream.supply;
        let transaction = supply.transaction()?;
        let kept = transaction.kept_header(layer.digest)?;
        let kept = kept.and_then(|bytes| LayerScan::parse(&bytes).ok().flatten());
        // An index says nothing of a diff_id that another config claims for the same layer.
        let kept = kept.filter(|scan| expected.diff_id.is_none_or(|diff_id| diff_id == scan.diff_id));
        if let Some(kept) = kept.filter(|_| !supply.checkout.asks.fresh_facts) {
            return Ok((kept, false));
        }
        if claims
            && let Some(bytes) = supply.substitutes.beside(Beside::Headers, layer.digest)
            && let Ok(Some(scan)) = LayerScan::parse(&bytes)
            && (scan.digest, scan.size, Some(scan.diff_id)) == (layer.digest, layer.size, expected.diff_id)
        {
            return Ok((scan, true));
        }
        let blob = self.bytes.layer(layer)?;
        let scan = scanned(blob, expected, &supply.checkout.env.progress);
        let scan = scan.map_err(|source| self.wrong_layer(layer.digest, source))?;
        transaction.header(layer.digest, &scan.to_bytes())?;
        Ok((scan, false))
    }

    /// Reads those layers whose indexes the store hasn't got, several at once, so that it has.
    fn prefetch(&self, layers: &[(Expected, &Descriptor)]) -> Result<(), Error> {
        let supply = &self.upstream.supply;
        let (transaction, env) = (supply.transaction()?, supply.checkout.env);
        let mut missing = Vec::new();
        for (expected, layer) in layers {
            if transaction.header_window(layer.digest)?.is_none() {
                missing.push((expected, *layer));
            }
        }
        // One is read by whoever needs it.
        if missing.len() < 2 {
            return Ok(());
        }
        let (bytes, progress) = (&self.bytes, &env.progress);
        each(&missing, env.registries.concurrency(), |(expected, layer)| {
            // Whoever misses it will say so.
            let Some(blob) = bytes.open(layer)? else { return Ok(()) };
            let wrong = |source| Error::BaseLayer { base: bytes.of.clone(), layer: layer.digest, source };
            let scan = scanned(blob, expected, progress).map_err(wrong)?;
            Ok(transaction.header(layer.digest, &scan.to_bytes())?)
        })
    }
}

/// Reads a layer.
fn scanned(
    blob: impl Read,
    expected: &Expected,
    progress: &Arc<dyn Progress>,
) -> Result<LayerScan, ReadError> {
    let name = expected.digest.short();
    progress.event(Event::Begin { what: "reading layer", name: &name });
    let scan = scan_layer(Counting::new(blob, Arc::clone(progress)), expected, Limits::default())?;
    progress.event(Event::End);
    Ok(scan)
}
