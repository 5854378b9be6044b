//! What the registry holds and remembers.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use cooperage::digest::Digest;
use serde_json::Value;

use super::auth::Token;
use super::faults::Fault;
use super::{Logged, Settings};

#[derive(Default)]
pub(super) struct State {
    pub(super) settings: Settings,
    pub(super) repositories: BTreeMap<String, Repository>,
    /// By id; repository and bytes so far.
    pub(super) uploads: BTreeMap<String, (String, Vec<u8>)>,
    pub(super) tokens: BTreeMap<String, Token>,
    pub(super) faults: Vec<Fault>,
    pub(super) log: Vec<Logged>,
    /// For names that are made up here.
    pub(super) last: usize,
}

#[derive(Default)]
pub(super) struct Repository {
    pub(super) blobs: BTreeMap<Digest, Arc<[u8]>>,
    pub(super) manifests: BTreeMap<Digest, Manifest>,
    pub(super) tags: BTreeMap<String, Digest>,
}

#[derive(Clone)]
pub(super) struct Manifest {
    pub(super) media_type: String,
    pub(super) bytes: Arc<[u8]>,
}

impl Repository {
    /// What a tag or digest names.
    pub(super) fn manifest(&self, reference: &str) -> Option<(Digest, &Manifest)> {
        let digest = reference.parse().ok().or_else(|| self.tags.get(reference).copied())?;
        Some((digest, self.manifests.get(&digest)?))
    }
}

impl State {
    /// A number that hasn't been given yet.
    pub(super) fn next(&mut self) -> usize {
        self.last += 1;
        self.last
    }

    /// Made if it isn't there.
    pub(super) fn repository(&mut self, name: &str) -> &mut Repository {
        self.repositories.entry(name.to_owned()).or_default()
    }

    pub(super) fn put_blob(&mut self, repository: &str, bytes: Arc<[u8]>) -> Digest {
        let digest = Digest::of(&bytes);
        self.repository(repository).blobs.insert(digest, bytes);
        digest
    }

    pub(super) fn put_manifest(
        &mut self,
        repository: &str,
        tag: &str,
        media_type: &str,
        bytes: Arc<[u8]>,
    ) -> Digest {
        let (digest, repository) = (Digest::of(&bytes), self.repository(repository));
        repository.manifests.insert(digest, Manifest { media_type: media_type.to_owned(), bytes });
        if !tag.is_empty() {
            repository.tags.insert(tag.to_owned(), digest);
        }
        digest
    }

    #[track_caller]
    pub(super) fn seed_layout(&mut self, repository: &str, tag: &str, layout: &Path) -> Digest {
        let index: Value = serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap();
        let named = |top: &&Value| top["annotations"]["org.opencontainers.image.ref.name"] == tag;
        let top = index["manifests"].as_array().unwrap().iter().find(named);
        let top = top.unwrap_or_else(|| panic!("{}: no {tag}", layout.display()));
        self.seed(repository, tag, layout, top)
    }

    fn seed(&mut self, repository: &str, tag: &str, layout: &Path, descriptor: &Value) -> Digest {
        let digest: Digest = descriptor["digest"].as_str().unwrap().parse().unwrap();
        let read = |digest: Digest| fs::read(layout.join("blobs/sha256").join(digest.hex())).unwrap();
        let bytes = read(digest);
        let document: Value = serde_json::from_slice(&bytes).unwrap();
        for child in document["manifests"].as_array().into_iter().flatten() {
            self.seed(repository, "", layout, child);
        }
        let config = document.get("config");
        for blob in config.into_iter().chain(document["layers"].as_array().into_iter().flatten()) {
            self.put_blob(repository, read(blob["digest"].as_str().unwrap().parse().unwrap()).into());
        }
        let media_type = descriptor["mediaType"].as_str().unwrap();
        assert_eq!(self.put_manifest(repository, tag, media_type, bytes.into()), digest);
        digest
    }
}
