//! `store verify`: whether what the store keeps is sound.

use super::{Env, Error};
use crate::store::Store;

/// What `store verify` found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// Blobs whose bytes are what their name says.
    pub sound: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What is damaged, and what was done about it.
    pub damaged: Vec<String>,
    /// Whether the damaged ones were taken out.
    pub repaired: bool,
}

/// Hashes everything in the store; with `repair` takes out what is damaged, so that it comes anew.
///
/// # Errors
/// When the store can't be read.
pub fn store_verify(env: &Env<'_>, repair: bool) -> Result<Verified, Error> {
    let report = Store::open(&env.store)?.verify(repair, &*env.progress)?;
    Ok(Verified {
        sound: report.sound,
        bytes: report.bytes,
        damaged: report
            .damaged
            .iter()
            .map(|(path, damage)| format!("{}: {damage}", path.display()))
            .collect(),
        repaired: repair,
    })
}
