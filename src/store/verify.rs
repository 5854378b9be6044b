//! Looking for damage.

use std::io;
use std::path::PathBuf;

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::{CHUNKS, Error, HEADERS, MAX_SIDE_FILE, REALISATIONS, Realisation, Store, unseal};
use crate::digest::{Digest, HashingReader};
use crate::disk;
use crate::oci::Descriptor;
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
    /// A realisation of something that isn't here.
    #[error("it speaks of {output}, which is not here")]
    Dangling {
        /// The missing blob.
        output: Digest,
    },
}

impl Store {
    /// Reads everything, in parallel. With `repair`, what is damaged is removed, so that it heals when it is
    /// built, pulled or imported again.
    ///
    /// # Errors
    /// When the store can't be listed, locked or repaired, or `index.json` can't be read.
    pub fn verify(&self, repair: bool, progress: &dyn Progress) -> Result<VerifyReport, Error> {
        let _locks = if repair { Some(self.lock_out()?) } else { None };
        let mut report = VerifyReport::default();
        let blobs = disk::list(&self.blobs())?;
        let checked: Vec<_> = blobs
            .into_par_iter()
            .map(|(name, _)| {
                let path = self.blobs().join(&name);
                let size = check_blob(&path, name.to_str().and_then(|name| Digest::from_hex(name).ok()));
                progress.event(Event::Bytes(*size.as_ref().unwrap_or(&0)));
                (path, size)
            })
            .collect();
        for (path, result) in checked {
            match result {
                Ok(size) => (report.sound, report.bytes) = (report.sound + 1, report.bytes + size),
                Err(damage) => report.damaged.push((path, damage)),
            }
        }
        remove(repair, &report.damaged)?;
        let blobs = report.damaged.len();
        self.verify_side_files(&mut report)?;
        remove(repair, &report.damaged[blobs..])?;
        self.verify_roots(&mut report)?;
        Ok(report)
    }

    fn verify_side_files(&self, report: &mut VerifyReport) -> Result<(), Error> {
        for kind in [REALISATIONS, HEADERS, CHUNKS] {
            for (_, path) in self.files(kind)? {
                let bytes = match disk::read(&path, MAX_SIDE_FILE) {
                    Ok(bytes) => unseal(bytes),
                    Err(_) => None,
                };
                let damage = match bytes {
                    None => Some(Damage::Checksum),
                    Some(bytes) if kind == REALISATIONS => self.verify_realisation(&bytes, report)?,
                    Some(_) => None,
                };
                report.damaged.extend(damage.map(|damage| (path, damage)));
            }
        }
        Ok(())
    }

    fn verify_realisation(&self, bytes: &[u8], report: &VerifyReport) -> Result<Option<Damage>, Error> {
        let Some(found) = Realisation::parse(bytes) else { return Ok(Some(Damage::Checksum)) };
        let blob = self.blob(found.digest);
        let sound =
            self.has(found.digest, found.size)? && report.damaged.iter().all(|(path, _)| *path != blob);
        Ok((!sound).then_some(Damage::Dangling { output: found.digest }))
    }

    fn verify_roots(&self, report: &mut VerifyReport) -> Result<(), Error> {
        for root in self.roots()? {
            match self.reach(&[root.descriptor], |absent| report.absent.push(absent.clone())) {
                // Listed as a damaged blob already.
                Ok(_) | Err(Error::Damaged { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        report.absent.sort_by_key(|descriptor| descriptor.digest);
        report.absent.dedup_by_key(|descriptor| descriptor.digest);
        Ok(())
    }
}

fn check_blob(path: &std::path::Path, name: Option<Digest>) -> Result<u64, Damage> {
    let name = name.ok_or(Damage::Name)?;
    let (file, size) = disk::open(path).map_err(|error| match error {
        disk::Error::NotRegular { .. } => Damage::NotRegular,
        error => Damage::Unreadable { why: error.to_string() },
    })?;
    let mut reader = HashingReader::new(file);
    io::copy(&mut reader, &mut io::sink()).map_err(|error| Damage::Unreadable { why: error.to_string() })?;
    match reader.finish() {
        (found, _) if found == name => Ok(size),
        (found, _) => Err(Damage::Bytes { found }),
    }
}

fn remove(repair: bool, damaged: &[(PathBuf, Damage)]) -> Result<(), Error> {
    if repair {
        damaged.iter().try_for_each(|(path, _)| disk::remove(path))?;
    }
    Ok(())
}
