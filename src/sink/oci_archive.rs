//! `oci-archive:FILE`: one tar for `docker load`, `podman load`, `ctr images import` and skopeo.
//!
//! An OCI image layout with exactly one entry in `index.json` (with more, podman takes the docker path and loses
//! the digest), and beside it the `manifest.json` that Docker's classic store insists on.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::{CONTAINERD_NAME, Error, Export, Failed, Moved, Open, REF_NAME, Sink};
use crate::disk::{self, Temporary};
use crate::layer::archive::{self, Writer};
use crate::oci::json::{Value, object};
use crate::oci::{Descriptor, Index, Manifest};
use crate::store::OCI_LAYOUT;

/// A file.
#[derive(Debug, Clone)]
pub struct OciArchive {
    /// Replaced.
    pub file: PathBuf,
}

impl<E> Sink<E> for OciArchive {
    fn put(&mut self, export: &Export, open: Open<'_, E>) -> Result<Option<Moved>, Failed<E>> {
        publish(&self.file, |out, place| write(export, open, out, place))
    }
}

/// Writes an archive beside its final name, and publishes it.
pub(super) fn publish<E>(
    file: &Path,
    write: impl FnOnce(&mut BufWriter<Temporary>, &str) -> Result<(), Failed<E>>,
) -> Result<Option<Moved>, Failed<E>> {
    let mut out = BufWriter::with_capacity(128 << 10, Temporary::beside(file)?);
    write(&mut out, &file.display().to_string())?;
    let temporary = out.into_inner().map_err(|error| disk::failed("write", file)(error.into_error()))?;
    disk::replace(temporary, file)?;
    Ok(None)
}

/// Writes the archive to any stream.
pub(super) fn write<E>(
    export: &Export,
    open: Open<'_, E>,
    out: impl Write,
    place: &str,
) -> Result<(), Failed<E>> {
    let failed = |source| Error::Archive { place: place.to_owned(), source };
    let mut archive = Writer::new(out);
    archive.directory("blobs/").map_err(failed)?;
    archive.directory("blobs/sha256/").map_err(failed)?;
    let blobs: BTreeMap<_, _> = export.blobs.iter().map(|blob| (blob.digest, blob)).collect();
    for blob in blobs.values() {
        export.append(&mut archive, &path(blob), blob, open, place)?;
    }
    let tag = export.reference.as_ref().and_then(|reference| reference.tag.clone());
    let name = export.name.clone().or(tag);
    let entry = export.entry([(CONTAINERD_NAME, export.tagged()), (REF_NAME, name)]);
    let index = Index { manifests: vec![entry], annotations: BTreeMap::new() };
    let mut small = |name: &str, bytes: &[u8]| archive.file(name, bytes.len() as u64, &mut &*bytes);
    small("index.json", &index.to_bytes()).map_err(failed)?;
    if let Some(image) = export.one_image()? {
        small("manifest.json", &manifest_json(export, &image, path, path)).map_err(failed)?;
    }
    small("oci-layout", OCI_LAYOUT).map_err(failed)?;
    Ok(archive.finish().and_then(|mut out| out.flush().map_err(archive::Error::Write)).map_err(failed)?)
}

fn path(blob: &Descriptor) -> String {
    format!("blobs/sha256/{}", blob.digest.hex())
}

/// What `docker load` reads.
pub(super) fn manifest_json(
    export: &Export,
    image: &Manifest,
    config: impl Fn(&Descriptor) -> String,
    layer: impl Fn(&Descriptor) -> String,
) -> Vec<u8> {
    let tags: Vec<String> = export.tagged().into_iter().collect();
    let layers: Vec<String> = image.layers.iter().map(layer).collect();
    let image =
        [("Config", config(&image.config).into()), ("RepoTags", tags.into()), ("Layers", layers.into())];
    Value::Array(vec![object(image)]).to_bytes()
}
