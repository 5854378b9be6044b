//! `build --twice`: the same again from nothing, in a second store, and what differs.

use std::collections::BTreeMap;
use std::io::Read;
use std::rc::Rc;

use super::computed::{Computed, Image, Made};
use super::report::ImageName;
use super::session::Session;
use crate::disk;
use crate::layer::scan::{Expected, scan};
use crate::layer::tar::Limits;
use crate::store::Store;
use crate::work::{Asks, Error};
use crate::workspace::Target;

/// A rebuild that gave other bytes (`build --twice`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Which image.
    pub name: ImageName,
    /// On which platform.
    pub platform: String,
    /// What differs: layer, entry, bytes.
    pub what: String,
}

/// Builds again into a store of its own, which is removed, and compares.
///
/// # Errors
/// As for a build.
pub(crate) fn compare(first: &Session<'_>, all: &[Rc<Computed>]) -> Result<Vec<Difference>, Error> {
    let (env, asks) = (first.checkout().env, &first.checkout().asks);
    let scratch = disk::Scratch::new(&env.store.join("tmp"))?;
    let asks = Asks { set: asks.set.clone(), inputs: asks.inputs.clone(), ..Asks::default() };
    let second = Session::open_in(env, asks, Store::open(scratch.path())?)?;
    let targets: Vec<_> = all.iter().map(|computed| computed.target.clone()).collect();
    let again = second.compute_all(targets.iter())?;
    let mut differences = Vec::new();
    for (one, two) in all.iter().zip(&again) {
        for (name, variant) in &one.variants {
            let Some(other) = two.variants.get(name) else { continue };
            for (platform, image) in &variant.images {
                let Some(again) = other.images.get(platform) else { continue };
                if image.descriptor.digest != again.descriptor.digest {
                    let what = difference(first, &second, &one.target, image, again)?;
                    let name = ImageName { recipe: one.target.to_string(), variant: name.clone() };
                    differences.push(Difference { name, platform: platform.clone(), what });
                }
            }
            if differences.is_empty() && variant.descriptor.digest != other.descriptor.digest {
                let what =
                    format!("the index: {}, then {}", variant.descriptor.digest, other.descriptor.digest);
                let name = ImageName { recipe: one.target.to_string(), variant: name.clone() };
                differences.push(Difference { name, platform: String::new(), what });
            }
        }
    }
    Ok(differences)
}

fn difference(
    first: &Session<'_>,
    second: &Session<'_>,
    target: &Target,
    one: &Image,
    two: &Image,
) -> Result<String, Error> {
    if one.layers.len() != two.layers.len() {
        return Ok(format!("{} layers, then {}", one.layers.len(), two.layers.len()));
    }
    for (number, (one, two)) in one.layers.iter().zip(&two.layers).enumerate() {
        if one.layer.diff_id != two.layer.diff_id {
            return Ok(format!("layer {number}: {}", entry(first, second, one, two)?));
        }
        if one.layer.digest != two.layer.digest {
            return Ok(format!("layer {number}: equal content, other compressed bytes"));
        }
    }
    let (one, two) = (one.stand(target)?.config.to_bytes(), two.stand(target)?.config.to_bytes());
    let at = one.iter().zip(&two).take_while(|(a, b)| a == b).count();
    Ok(format!("the config, from byte {at}"))
}

/// The first entry of two layers that differs, and how.
fn entry(first: &Session<'_>, second: &Session<'_>, one: &Made, two: &Made) -> Result<String, Error> {
    let (one, two) = (entries(first, one)?, entries(second, two)?);
    for (path, header) in &one {
        match two.get(path) {
            None => return Ok(format!("{} was there, then not", path.escape_ascii())),
            Some(other) if other.0 != header.0 => {
                return Ok(format!("{}: {}, then {}", path.escape_ascii(), header.0, other.0));
            }
            Some(other) if other.1 != header.1 => {
                let at = header.1.iter().zip(&other.1).take_while(|(a, b)| a == b).count();
                return Ok(format!("{}: its bytes differ from byte {at}", path.escape_ascii()));
            }
            Some(_) => {}
        }
    }
    let added = two.keys().find(|path| !one.contains_key(*path));
    Ok(added.map_or_else(|| "the order of entries".into(), |path| format!("{} is new", path.escape_ascii())))
}

type Entries = BTreeMap<Vec<u8>, (String, Vec<u8>)>;

fn entries(session: &Session<'_>, made: &Made) -> Result<Entries, Error> {
    let layer = &made.layer;
    let mut blob = session.supply().transaction()?.open(layer.digest, layer.size)?;
    let expected = Expected {
        digest: layer.digest,
        size: layer.size,
        compression: layer.compression,
        diff_id: Some(layer.diff_id),
    };
    let mut all = Entries::new();
    let read = scan(&mut blob, &expected, Limits::default(), |entry, content| {
        let mut bytes = Vec::new();
        content.take(1 << 20).read_to_end(&mut bytes).map_err(crate::layer::error::ReadError::Io)?;
        let header = format!(
            "{:?} {:04o} {}:{} {} {:?}",
            entry.kind, entry.mode, entry.uid, entry.gid, entry.mtime, entry.xattrs
        );
        all.insert(entry.path.clone(), (header, bytes));
        Ok(())
    });
    let base = "the built layer".to_owned();
    read.map_err(|source| Error::BaseLayer { base, layer: layer.digest, source })?;
    Ok(all)
}
