//! Looking for damage.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::beside::{CHUNKS, HEADERS, MAX_SIDE_FILE, REALISATIONS, Realisation, unseal};
use super::closure::children;
use super::error::Error;
use super::roots::SALVAGED;
use super::{Store, sources};
use crate::digest::{Digest, HashingReader};
use crate::disk::{self, Within};
use crate::oci::{Descriptor, Document, MAX_DOCUMENT, MediaType};
use crate::progress::{Event, Progress};

/// What [`Store::verify`] found.
#[derive(Debug, Default)]
pub struct VerifyReport {
    /// Blobs that are sound.
    pub sound: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that are not what their names say. Gone, after a repair.
    pub damaged: Vec<(PathBuf, Damage)>,
    /// Manifests and indexes that roots reach and that are not here. Base layers may be absent, and manifests of
    /// platforms that nobody asked for; a root itself may not.
    pub absent: Vec<Descriptor>,
}

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// No blob is named like that.
    #[error("its name is no digest")]
    Name,
    /// A link, directory or device.
    #[error("it is not a regular file")]
    NotRegular,
    /// Other bytes.
    #[error("its bytes are those of {found}")]
    Bytes {
        /// Their digest.
        found: Digest,
    },
    /// The disk doesn't give it back.
    #[error("it can't be read: {why}")]
    Unreadable {
        /// The system's words.
        why: String,
    },
    /// A file beside the blobs that isn't what was written.
    #[error("its checksum is wrong")]
    Checksum,
    /// `index.json`, or an entry of it.
    #[error("it doesn't tell which images are here: {why}")]
    Index {
        /// What is wrong with it.
        why: String,
    },
    /// A realisation, or an entry of `index.json`, of something that isn't here.
    #[error("it speaks of {output}, which is not here")]
    Dangling {
        /// The missing blob.
        output: Digest,
    },
}

impl Store {
    /// Reads everything, in parallel. With `repair`, what is damaged is removed, so that it heals when it is
    /// built, pulled or imported again; `index.json` is made anew.
    ///
    /// # Errors
    /// When the store can't be listed, locked or repaired, or a file can't even be opened: that says nothing of its
    /// bytes.
    pub fn verify(&self, repair: bool, progress: &dyn Progress) -> Result<VerifyReport, Error> {
        let _alone = if repair { Some(self.lock_out()?) } else { None };
        // Otherwise like a transaction: no gc meanwhile. Where nothing can be locked, nothing is collected either.
        let _beside = if repair { None } else { self.begin().ok() };
        let mut report = VerifyReport::default();
        let blobs = disk::list(&self.blobs())?;
        let checked: Vec<_> = blobs
            .into_par_iter()
            .map(|(name, _)| {
                let path = self.blobs().join(&name);
                let size = check_blob(&path, name.to_str().and_then(|name| Digest::from_hex(name).ok()))?;
                progress.event(Event::Bytes(*size.as_ref().unwrap_or(&0)));
                Ok((path, size))
            })
            .collect::<Result<_, Error>>()?;
        for (path, result) in checked {
            match result {
                Ok(size) => (report.sound, report.bytes) = (report.sound + 1, report.bytes + size),
                Err(damage) => report.damaged.push((path, damage)),
            }
        }
        self.remove(repair, &report.damaged)?;
        let blobs = report.damaged.len();
        verify_side_files(self, &mut report)?;
        self.remove(repair, &report.damaged[blobs..])?;
        verify_roots(self, repair, &mut report)?;
        Ok(report)
    }

    /// Takes damaged files out; never what a link leads to.
    fn remove(&self, repair: bool, damaged: &[(PathBuf, Damage)]) -> Result<(), Error> {
        if repair {
            let within = Within::new(&self.path)?;
            damaged.iter().try_for_each(|(path, _)| within.remove(path))?;
        }
        Ok(())
    }
}

/// Looks at the files beside the blobs; what is wrong with the blobs is in the report already.
fn verify_side_files(store: &Store, report: &mut VerifyReport) -> Result<(), Error> {
    for kind in [REALISATIONS, HEADERS, CHUNKS] {
        for (_, path) in store.files(kind)? {
            let bytes = match disk::read(&path, MAX_SIDE_FILE).or_else(|_| disk::read(&path, MAX_SIDE_FILE)) {
                Ok(bytes) => unseal(bytes),
                Err(error @ disk::Error::Io { action: "open", .. }) if !error.is_missing() => {
                    return Err(error.into());
                }
                Err(_) => None,
            };
            let damage = match bytes {
                None => Some(Damage::Checksum),
                Some(bytes) if kind == REALISATIONS => verify_realisation(store, &bytes, report)?,
                Some(_) => None,
            };
            report.damaged.extend(damage.map(|damage| (path, damage)));
        }
    }
    report.damaged.extend(sources::damaged(&store.path)?.into_iter().map(|path| (path, Damage::Checksum)));
    Ok(())
}

fn verify_realisation(store: &Store, bytes: &[u8], report: &VerifyReport) -> Result<Option<Damage>, Error> {
    // Its checksum is right: a later version wrote it.
    let Some(found) = Realisation::parse(bytes) else { return Ok(None) };
    let blob = store.blob(found.digest);
    let sound = store.has(found.digest, found.size)? && report.damaged.iter().all(|(path, _)| *path != blob);
    Ok((!sound).then_some(Damage::Dangling { output: found.digest }))
}

fn verify_roots(store: &Store, repair: bool, report: &mut VerifyReport) -> Result<(), Error> {
    let roots = match store.roots() {
        Ok(roots) => roots,
        // What the disk refuses says nothing of what is on it.
        Err(Error::Unlisted { source: error @ disk::Error::Io { .. } }) if !error.is_missing() => {
            return Err(error.into());
        }
        Err(error) => {
            let why = std::error::Error::source(&error).map_or_else(String::new, ToString::to_string);
            report.damaged.push((store.index().path, Damage::Index { why }));
            return if repair { salvage(store) } else { Ok(()) };
        }
    };
    for root in roots {
        let Descriptor { digest, size, .. } = root.descriptor;
        if !store.has(digest, size)? {
            let blob = store.blob(digest);
            if report.damaged.iter().all(|(path, _)| *path != blob) {
                report.damaged.push((store.index().path, Damage::Dangling { output: digest }));
            }
            if repair {
                store.remove_roots(|other| *other == root)?;
            }
        }
        match store.reach(std::slice::from_ref(&root.descriptor), |absent| report.absent.push(absent.clone()))
        {
            // Listed as a damaged blob already.
            Ok(_) | Err(Error::Damaged { .. }) => {}
            // The documents are what their names say: the entry calls them something else.
            Err(Error::Closure(error)) => {
                report.damaged.push((store.index().path, Damage::Index { why: error.to_string() }));
                if repair {
                    store.remove_roots(|other| *other == root)?;
                }
            }
            Err(error) => return Err(error),
        }
    }
    report.absent.sort_by_key(|descriptor| descriptor.digest);
    report.absent.dedup_by_key(|descriptor| descriptor.digest);
    Ok(())
}

fn check_blob(path: &Path, name: Option<Digest>) -> Result<Result<u64, Damage>, Error> {
    let Some(name) = name else { return Ok(Err(Damage::Name)) };
    let read = || -> Result<Result<_, Damage>, Error> {
        let (file, size) = match disk::open(path) {
            Ok(opened) => opened,
            Err(disk::Error::NotRegular { .. }) => return Ok(Err(Damage::NotRegular)),
            Err(error) => return Err(error.into()),
        };
        let mut reader = HashingReader::new(file);
        if let Err(error) = io::copy(&mut reader, &mut io::sink()) {
            return Ok(Err(Damage::Unreadable { why: error.to_string() }));
        }
        let (found, _) = reader.finish();
        Ok(if found == name { Ok(size) } else { Err(Damage::Bytes { found }) })
    };
    // A repair takes away: what the disk refuses once it may give the next time.
    match read()? {
        Err(Damage::Unreadable { .. }) => read(),
        checked => Ok(checked),
    }
}

/// Makes `index.json` anew: every image or index that nothing else names is a root, without the recipe's name
/// until it is built again. What was reported as done isn't collected meanwhile.
fn salvage(store: &Store) -> Result<(), Error> {
    let index = store.index();
    let _lock = index.lock()?;
    let (mut found, mut named) = (BTreeMap::new(), BTreeSet::new());
    for (digest, path) in store.files("blobs/sha256")? {
        let Ok(bytes) = disk::read(&path, MAX_DOCUMENT) else { continue };
        for kind in [MediaType::Index, MediaType::Manifest] {
            let Ok(document) = Document::parse(&bytes, &kind.to_string()) else { continue };
            let mut root = Descriptor::new(kind, digest, bytes.len() as u64);
            root.annotations.insert(SALVAGED.into(), "true".into());
            found.insert(digest, root);
            named.extend(children(&document).into_iter().map(|child| child.digest));
            break;
        }
    }
    found.retain(|digest, _| !named.contains(digest));
    disk::remove(&index.path)?;
    index.write(found.into_values().collect())
}
