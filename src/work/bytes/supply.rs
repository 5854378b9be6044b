//! A command's store and the places that it may ask.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::blobs::{Bytes, Held};
use super::place::open_origin;
use super::spool::Spool;
use super::substitutes::Substitutes;
use super::vendor::Vendor;
use crate::digest::Digest;
use crate::disk::{self, Temporary};
use crate::lock::BaseOrigin;
use crate::store::{SourceIndex, Store, Transaction};
use crate::substitute::Substituter;
use crate::tree::Content;
use crate::work::checkout::Checkout;
use crate::work::fetch::{self, Located};
use crate::work::{Asks, Env, Error};
use crate::workspace::Contents;

/// What a command reads from and writes to.
pub(crate) struct Supply<'a> {
    pub(crate) checkout: Checkout<'a>,
    pub(crate) substitutes: Substitutes,
    /// Begun when the first thing is needed of it: reading recipes and locks needs no store.
    transaction: OnceCell<Transaction>,
    store: Option<Store>,
    /// Where bases come from: a registry's place remembers what it was answered.
    places: RefCell<BTreeMap<BaseOrigin, Arc<dyn Substituter>>>,
    /// Temporary files; they go before the transaction does.
    scratch: RefCell<Vec<Temporary>>,
}

impl<'a> Supply<'a> {
    /// Finds the workspace; the store is opened later.
    pub(crate) fn open(env: &'a Env<'a>, asks: Asks) -> Result<Self, Error> {
        Ok(Self::new(Checkout::open(env, asks)?, Substitutes::open(env)?, None))
    }

    /// The same with another store, where everything is read and made anew.
    pub(crate) fn open_in(env: &'a Env<'a>, asks: Asks, store: Store) -> Result<Self, Error> {
        let mut checkout = Checkout::open(env, asks)?;
        checkout.index = SourceIndex::default();
        Ok(Self::new(checkout, Substitutes::default(), Some(store)))
    }

    fn new(checkout: Checkout<'a>, substitutes: Substitutes, store: Option<Store>) -> Self {
        Self {
            checkout,
            substitutes,
            transaction: OnceCell::new(),
            store,
            places: RefCell::default(),
            scratch: RefCell::default(),
        }
    }

    /// The store, without what this command has added so far.
    pub(crate) fn store(&self) -> Result<&Store, Error> {
        Ok(self.transaction()?.store())
    }

    /// What everything that is made goes into.
    pub(crate) fn transaction(&self) -> Result<&Transaction, Error> {
        if let Some(transaction) = self.transaction.get() {
            return Ok(transaction);
        }
        let store = self.store.clone().map_or_else(|| Store::open(&self.checkout.env.store), Ok)?;
        let transaction = store.begin()?;
        Ok(self.transaction.get_or_init(|| transaction))
    }

    /// Brings what was made to the disk.
    pub(crate) fn commit(&mut self) -> Result<Store, Error> {
        let store = self.store()?.clone();
        self.scratch.take();
        if let Some(transaction) = self.transaction.take() {
            transaction.commit()?;
        }
        Ok(store)
    }

    /// The bytes of what comes from `origin`; of what comes from nowhere only those that are here.
    pub(crate) fn bytes(&self, of: String, origin: Option<&BaseOrigin>) -> Result<Bytes<'_>, Error> {
        let origins = match origin {
            Some(origin) => self.place(origin)?.into_iter().collect(),
            None => Vec::new(),
        };
        let held = Held::Transaction(self.transaction()?);
        Ok(Bytes {
            of,
            committed: Some(&self.checkout.committed),
            vendor: Some(Vendor::of(&self.checkout)?),
            held,
            substitutes: &self.substitutes,
            origins,
        })
    }

    /// Where a base's bytes come from, the same for the whole command; none where nothing is or may be asked.
    pub(crate) fn place(&self, origin: &BaseOrigin) -> Result<Option<Arc<dyn Substituter>>, Error> {
        if let Some(known) = self.places.borrow().get(origin) {
            return Ok(Some(Arc::clone(known)));
        }
        let opened = open_origin(&self.checkout, origin)?;
        if let Some(opened) = &opened {
            self.places.borrow_mut().insert(origin.clone(), Arc::clone(opened));
        }
        Ok(opened)
    }

    /// The file that a URL gives; see [`fetch::fetch`].
    pub(crate) fn fetch(
        &self,
        url: &str,
        pinned: Option<Content>,
        sha256: Option<Digest>,
    ) -> Result<Located, Error> {
        let whose = (self.checkout.env, &self.checkout.workspace);
        fetch::fetch(whose, self.transaction()?, url, pinned, sha256)
    }

    /// Keeps a temporary file until the command ends.
    pub(crate) fn keep(&self, file: Temporary) {
        self.scratch.borrow_mut().push(file);
    }

    /// The files of a spool, to be read as long as the command lasts.
    pub(crate) fn spooled(&self, spool: Spool) -> Result<Contents, Error> {
        let (file, places) = spool
            .finish()
            .map_err(|error: io::Error| disk::failed("write", "a temporary file".as_ref())(error))?;
        let opened = Arc::new(disk::open(file.path())?.0);
        self.keep(file);
        let mut contents = Contents::default();
        for (content, (at, known)) in places {
            contents.put_section(content, &opened, at, known);
        }
        Ok(contents)
    }
}
