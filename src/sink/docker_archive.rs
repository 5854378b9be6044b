//! `docker-archive:FILE`: what `docker save` wrote before it knew OCI; one image.
//!
//! Layers stay compressed as they are: docker, podman and skopeo look at their first bytes.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use super::oci_archive::{manifest_json, publish};
use super::{Error, Export, Failed, Moved, Open, Sink};
use crate::layer::archive::{self, Writer};
use crate::oci::Descriptor;

/// A file.
#[derive(Debug, Clone)]
pub struct DockerArchive {
    /// Replaced.
    pub file: PathBuf,
}

impl<E> Sink<E> for DockerArchive {
    fn put(&mut self, export: &Export, open: Open<'_, E>) -> Result<Option<Moved>, Failed<E>> {
        publish(&self.file, |out, place| write(export, open, out, place))
    }
}

fn write<E>(export: &Export, open: Open<'_, E>, out: impl Write, place: &str) -> Result<(), Failed<E>> {
    let failed = |source| Error::Archive { place: place.to_owned(), source };
    let image = export.one_image()?.ok_or(Error::NoImage { digest: export.root.digest })?;
    let config = |blob: &Descriptor| format!("{}.json", blob.digest.hex());
    let layer = |blob: &Descriptor| format!("{}.tar", blob.digest.hex());
    let mut members: BTreeMap<String, &Descriptor> =
        image.layers.iter().map(|blob| (layer(blob), blob)).collect();
    members.insert(config(&image.config), &image.config);
    let mut archive = Writer::new(out);
    for (name, blob) in members {
        export.append(&mut archive, &name, blob, open, place)?;
    }
    let manifest = manifest_json(export, &image, config, layer);
    archive.file("manifest.json", manifest.len() as u64, &mut &*manifest).map_err(failed)?;
    Ok(archive.finish().and_then(|mut out| out.flush().map_err(archive::Error::Write)).map_err(failed)?)
}
