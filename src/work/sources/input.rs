//! Inputs, and files of the checkout that are archives.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use crate::disk;
use crate::recipe::SourcePath;
use crate::tree::{Files, Portion, SourceKey, SourceNode};
use crate::work::Error;
use crate::work::bytes::Supply;
use crate::work::checkout::Checkout;
use crate::work::fetch::{Known, Located};
use crate::workspace::{self, Scan, read_input};

/// Where an input lies: as the recipe says, or `--input`.
fn input_path(checkout: &Checkout<'_>, name: &str, path: &SourcePath) -> Result<PathBuf, Error> {
    if let Some(given) = checkout.asks.inputs.get(name) {
        return Ok(checkout.env.dir.join(given));
    }
    let open = || Error::foreign(name, format!("it is open: --input {name}=PATH gives it"));
    checkout.readable(checkout.workspace.root().join(path.lies.as_ref().ok_or_else(open)?))
}

/// What an input holds.
pub(super) fn input_scan(
    checkout: &Checkout<'_>,
    name: &str,
    path: &SourcePath,
    Portion { include, exclude, .. }: &Portion,
) -> Result<Scan, Error> {
    let file = input_path(checkout, name, path).map_err(|error| error.at(&path.at))?;
    read_input(&file, include, exclude, &checkout.index).map_err(|error| match error {
        workspace::Error::NoSource { .. } => {
            let given = checkout.asks.inputs.get(name).map(|given| given.display().to_string());
            let given = given.or_else(|| path.lies.clone()).unwrap_or_default();
            let name = format!("[input.{name}] {given}");
            Error::Nowhere { name, made_by: path.made_by.clone() }
        }
        source => Error::Source { at: path.at.clone(), source },
    })
}

/// The one file that a source of the checkout, or an input, is.
pub(super) fn file_of(supply: &Supply<'_>, path: &SourcePath) -> Result<Option<Located>, Error> {
    let all = Portion::default();
    let scan = match &path.key {
        SourceKey::Files(Files { directory, from, .. }) => {
            let files = Files { directory: directory.clone(), from: from.clone(), portion: all };
            (*supply.checkout.source_at(&files, &path.at)?).clone()
        }
        SourceKey::Input { name, .. } => input_scan(&supply.checkout, name, path, &all)?,
        SourceKey::Fetch { .. }
        | SourceKey::Image { .. }
        | SourceKey::Recipe { .. }
        | SourceKey::Base { .. } => return Ok(None),
    };
    let Some(SourceNode::File { content, .. }) = scan.tree.nodes.values().next().filter(|_| scan.tree.single)
    else {
        return Ok(None);
    };
    let (path, content) = match scan.contents.path(content) {
        Some((path, true)) => (path.to_owned(), Known::Content(*content)),
        Some((path, false)) => (path.to_owned(), Known::Unverified(*content)),
        None => {
            // Small enough to be kept in memory: unpacking wants a file.
            let mut bytes = Vec::new();
            scan.contents
                .open(content)?
                .read_to_end(&mut bytes)
                .map_err(disk::failed("read", Path::new(path.key.name())))?;
            let mut file = supply.transaction()?.scratch()?;
            file.write_all(&bytes).map_err(disk::failed("write", file.path()))?;
            let at = file.path().to_owned();
            supply.keep(file);
            (at, Known::Content(*content))
        }
    };
    Ok(Some(Located { path, content }))
}
