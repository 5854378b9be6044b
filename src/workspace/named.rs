//! Things that are looked up by name, found one after the other.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

/// Things by name, the same for all that share them.
#[derive(Debug, Clone)]
pub(crate) struct Named<T>(Arc<RwLock<BTreeMap<String, T>>>);

impl<T: Clone> Named<T> {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    pub(crate) fn insert(&self, name: &str, thing: T) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), thing);
    }

    pub(crate) fn get(&self, name: &str) -> Option<T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }
}
