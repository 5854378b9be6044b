//! `docker-archive:FILE`: what `docker save` wrote before it knew OCI; of each image one platform.
//!
//! Layers stay compressed as they are: docker, podman and skopeo look at their first bytes.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use super::oci_archive::{manifest_json, publish};
use super::{Error, Export, Failed, Moved, Open, Sink};
use crate::layer::archive::{self, Writer};
use crate::oci::Descriptor;
use crate::oci::json::Value;

/// A file.
#[derive(Debug, Clone)]
pub struct DockerArchive {
    /// Replaced.
    pub file: PathBuf,
}

impl<E> Sink<E> for DockerArchive {
    fn put(&mut self, export: &Export, open: Open<'_, E>) -> Result<Option<Moved>, Failed<E>> {
        self.put_all(std::slice::from_ref(export), open)
    }
}

impl DockerArchive {
    /// Puts several images into one archive.
    ///
    /// # Errors
    /// As for one; nothing is written then.
    pub fn put_all<E>(&self, exports: &[Export], open: Open<'_, E>) -> Result<Option<Moved>, Failed<E>> {
        publish(&self.file, |out, place| write(exports, open, out, place))
    }
}

fn write<E>(exports: &[Export], open: Open<'_, E>, out: impl Write, place: &str) -> Result<(), Failed<E>> {
    let failed = |source| Error::Archive { place: place.to_owned(), source };
    let config = |blob: &Descriptor| format!("{}.json", blob.digest.hex());
    let layer = |blob: &Descriptor| format!("{}.tar", blob.digest.hex());
    let mut images = Vec::new();
    for export in exports {
        images.push((export, export.one_image()?.ok_or(Error::NoImage { digest: export.root.digest })?));
    }
    let mut members: BTreeMap<String, (&Export, &Descriptor)> = BTreeMap::new();
    for (export, image) in &images {
        members.extend(image.layers.iter().map(|blob| (layer(blob), (*export, blob))));
        members.insert(config(&image.config), (*export, &image.config));
    }
    let mut archive = Writer::new(out);
    for (name, (export, blob)) in members {
        export.append(&mut archive, &name, blob, open, place)?;
    }
    let entries = images.iter().map(|(export, image)| manifest_json(export, image, config, layer));
    let manifest = Value::Array(entries.collect()).to_bytes();
    archive.file("manifest.json", manifest.len() as u64, &mut &*manifest).map_err(failed)?;
    Ok(archive.finish().and_then(|mut out| out.flush().map_err(archive::Error::Write)).map_err(failed)?)
}
