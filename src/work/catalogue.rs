//! Another workspace, opened: a directory, or an archive that is unpacked in the store once.
//!
//! Nothing of it counts before its archive is known to be the one that `cooper.toml` names by its digest.

use super::{Env, Error};
use crate::disk;
use crate::http::shown;
use crate::recipe::{Catalogue, Spanned};
use crate::store::{CATALOGUES, Store};
use crate::work::fetch::{fetch, readable};
use crate::workspace::{self, Workspace};

/// The workspace that a table of `cooper.toml` means.
pub(super) fn open(env: &Env<'_>, own: &Workspace, table: &Spanned<Catalogue>) -> Result<Workspace, Error> {
    let (directory, name) = match &table.value {
        Catalogue::Path(path) => (readable(env, own, own.root().join(path))?, path.clone()),
        Catalogue::Archive { url, sha256 } => {
            let directory = env.store.join(CATALOGUES).join(sha256.hex());
            if !disk::is_directory(&directory) {
                let transaction = Store::open(&env.store)?.begin()?;
                let located = fetch((env, own), &transaction, url, None, Some(*sha256))?;
                located.content(url)?;
                workspace::unpack(&located.path, &shown(url), &directory)?;
            }
            (directory, shown(url))
        }
    };
    Workspace::at(&directory)?.ok_or(Error::Nowhere { name, made_by: None })
}
