//! Removing what no root reaches.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::beside::{CATALOGUES, CHUNKS, HEADERS, REALISATIONS, Realisation};
use super::error::Error;
use super::roots::Root;
use super::{Store, sources};
use crate::digest::Digest;
use crate::disk::{self, Lock, Within};

/// What gc did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GcReport {
    /// Roots that are no longer live.
    pub roots: Vec<Root>,
    /// Blobs that no live root reaches, and workspaces that nothing names.
    pub removed: u64,
    /// Blobs that stay.
    pub kept: u64,
    /// What the removed files hold.
    pub bytes: u64,
}

impl Store {
    /// Removes roots that `is_live` denies, then all that neither a remaining root reaches nor `keep` names: blobs, and
    /// other workspaces by the digests of their archives. A
    /// derivation stays with its output, realisations, header indexes and chunk tables with the blob that they
    /// speak of, an index of sources with its workspace. Waits for running transactions; new ones wait for it.
    ///
    /// # Errors
    /// When `index.json` or a document that a root reaches can't be read: then nothing is removed.
    pub fn gc(
        &self,
        dry_run: bool,
        keep: &BTreeSet<Digest>,
        is_live: &dyn Fn(&Root) -> bool,
    ) -> Result<GcReport, Error> {
        let _locks = if dry_run { None } else { Some(self.lock_out()?) };
        let (live, dead): (Vec<_>, Vec<_>) = self.roots()?.into_iter().partition(|root| is_live(root));
        let live: Vec<_> = live.into_iter().map(|root| root.descriptor).collect();
        let mut reached = self.reach(&live, |_| {})?;
        reached.extend(keep);
        let mut report = GcReport { roots: dead, ..GcReport::default() };
        let doomed = doomed(self, &mut reached, &mut report)?;
        if dry_run {
            return Ok(report);
        }
        // First who points, then what is pointed to: killed in between, nothing points nowhere.
        self.remove_roots(|root| report.roots.contains(root))?;
        // Others may write here as well: what a link leads to is theirs.
        let within = Within::new(&self.path)?;
        doomed.iter().try_for_each(|path| within.remove(path))?;
        within.sweep(&self.path)?;
        within.sweep(&self.path.join("tmp"))?;
        within.sweep(&self.path.join(CATALOGUES))?;
        within.sweep(&self.path.join(sources::SOURCES))?;
        Ok(report)
    }

    /// Keeps transactions out and waits for those that run.
    pub(super) fn lock_out(&self) -> Result<(Lock, Lock), Error> {
        let gate = Lock::exclusive(&self.path.join("gate"))?;
        Ok((gate, Lock::exclusive(&self.path.join("lock"))?))
    }
}

/// The files that go, now that this much is reached.
fn doomed(
    store: &Store,
    reached: &mut BTreeSet<Digest>,
    report: &mut GcReport,
) -> Result<Vec<PathBuf>, Error> {
    let mut doomed = Vec::new();
    for (derivation, path) in store.files(REALISATIONS)? {
        let output = store.side(REALISATIONS, derivation)?;
        let output = output.and_then(|bytes| Realisation::parse(&bytes));
        if output.is_some_and(|output| reached.contains(&output.digest)) {
            reached.insert(derivation);
        } else {
            report.bytes += disk::regular_size(&path)?.unwrap_or(0);
            doomed.push(path);
        }
    }
    for path in sources::lost(&store.path)? {
        report.bytes += disk::regular_size(&path)?.unwrap_or(0);
        doomed.push(path);
    }
    for (digest, path) in store.files(CATALOGUES)? {
        if !reached.contains(&digest) {
            report.removed += 1;
            doomed.push(path);
        }
    }
    for kind in [HEADERS, CHUNKS, "blobs/sha256"] {
        for (digest, path) in store.files(kind)? {
            let (stays, is_blob) = (reached.contains(&digest), kind.starts_with("blobs"));
            report.kept += u64::from(stays && is_blob);
            if !stays {
                report.removed += u64::from(is_blob);
                report.bytes += disk::regular_size(&path)?.unwrap_or(0);
                doomed.push(path);
            }
        }
    }
    Ok(doomed)
}
