//! Inputs, and files of the checkout that are archives.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use crate::digest;
use crate::disk;
use crate::lock::{Pin, SourceLock};
use crate::recipe::SourcePath;
use crate::store::is_sound;
use crate::tree::{Content, Files, Portion, SourceKey, SourceNode, SourceTree};
use crate::work::Error;
use crate::work::bytes::Supply;
use crate::work::checkout::Checkout;
use crate::work::fetch::{Known, Located, vendored};
use crate::workspace::{self, Contents, Scan, read_input};

/// Whether `--input` says where an input is.
pub(crate) fn is_given(checkout: &Checkout<'_>, name: &str) -> bool {
    checkout.asks.inputs.contains_key(name)
}

/// Where an input lies that nobody gave, if it is there.
pub(crate) fn lies(checkout: &Checkout<'_>, path: &SourcePath) -> Result<Option<PathBuf>, Error> {
    let Some(lies) = &path.lies else { return Ok(None) };
    let file = checkout.readable(checkout.workspace.root().join(lies)).map_err(|error| error.at(&path.at))?;
    Ok(Some(file).filter(|file| disk::exists(file)))
}

/// Whether an input that the lock pins was moved away.
pub(super) fn is_away(checkout: &Checkout<'_>, path: &SourcePath) -> Result<bool, Error> {
    let SourceKey::Input { name, .. } = &path.key else { return Ok(false) };
    Ok(path.lies.is_some() && !is_given(checkout, name) && lies(checkout, path)?.is_none())
}

/// Where an input lies: as the recipe says, or `--input`.
fn input_path(checkout: &Checkout<'_>, name: &str, path: &SourcePath) -> Result<PathBuf, Error> {
    if let Some(given) = checkout.asks.inputs.get(name) {
        return Ok(checkout.env.dir.join(given));
    }
    let open = || Error::foreign(name, format!("it is open: --input {name}=PATH gives it"));
    checkout.readable(checkout.workspace.root().join(path.lies.as_ref().ok_or_else(open)?))
}

/// The bytes of an input that was moved away, if `vendor` has all of them.
pub(super) fn vendored_input(
    supply: &Supply<'_>,
    path: &SourcePath,
    tree: &SourceTree,
) -> Result<Option<Contents>, Error> {
    if !is_away(&supply.checkout, path)? {
        return Ok(None);
    }
    let directory = vendored(&supply.checkout.workspace)?;
    let mut contents = Contents::default();
    for node in tree.nodes.values() {
        let SourceNode::File { content, .. } = node else { continue };
        let file = directory.join(content.digest.hex());
        if !is_sound(&file, content.digest, content.size)? {
            return Ok(None);
        }
        contents.put_file(*content, file, digest::Known::Nothing);
    }
    Ok(Some(contents))
}

/// The archive that an input is, out of `vendor`, where it was moved away.
pub(super) fn vendored_archive(
    supply: &Supply<'_>,
    path: &SourcePath,
    pin: Option<Pin>,
) -> Result<Option<Located>, Error> {
    let Some(Pin::File(content)) = pin else { return Ok(None) };
    if !is_away(&supply.checkout, path)? {
        return Ok(None);
    }
    let file = vendored(&supply.checkout.workspace)?.join(content.digest.hex());
    let sound = is_sound(&file, content.digest, content.size)?;
    Ok(sound.then_some(Located { path: file, content: Known::Content(content) }))
}

/// The files of an input as a lock pins it, for `vendor`: the archive, or what lies in the directory. None where it is
/// something else by now.
pub(crate) fn input_files(
    supply: &Supply<'_>,
    path: &SourcePath,
    locked: &SourceLock,
) -> Result<Option<Vec<(Content, Located)>>, Error> {
    let SourceKey::Input { name, portion, .. } = &path.key else { return Ok(None) };
    if is_away(&supply.checkout, path)? {
        let lies = path.lies.clone().unwrap_or_default();
        let (name, made_by) = (format!("[input.{name}] {lies}"), path.made_by.clone());
        return Err(Error::Nowhere { name, made_by }.at(&path.at));
    }
    if let Pin::File(pinned) = locked.pin {
        let file = file_of(supply, path)?.filter(|file| file.is(pinned));
        return Ok(file.map(|file| vec![(pinned, file)]));
    }
    let scan = input_scan(&supply.checkout, name, path, portion)?;
    if scan.tree.hash() != locked.hash {
        return Ok(None);
    }
    let contents = scan.tree.nodes.values().filter_map(|node| match node {
        SourceNode::File { content, .. } => Some(*content),
        _ => None,
    });
    contents
        .map(|content| Ok((content, located(supply, path, &scan, content)?)))
        .collect::<Result<_, _>>()
        .map(Some)
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
    located(supply, path, &scan, *content).map(Some)
}

/// One of the files that were read.
fn located(supply: &Supply<'_>, path: &SourcePath, scan: &Scan, content: Content) -> Result<Located, Error> {
    let (path, content) = match scan.contents.path(&content) {
        Some((path, true)) => (path.to_owned(), Known::Content(content)),
        Some((path, false)) => (path.to_owned(), Known::Unverified(content)),
        None => {
            // Small enough to be kept in memory: unpacking wants a file.
            let mut bytes = Vec::new();
            scan.contents
                .open(&content)?
                .read_to_end(&mut bytes)
                .map_err(disk::failed("read", Path::new(path.key.name())))?;
            let mut file = supply.transaction()?.scratch()?;
            file.write_all(&bytes).map_err(disk::failed("write", file.path()))?;
            let at = file.path().to_owned();
            supply.keep(file);
            (at, Known::Content(content))
        }
    };
    Ok(Located { path, content })
}
