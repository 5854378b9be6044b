//! `oci-archive:FILE`: one tar for `docker load`, `podman load`, `ctr images import` and skopeo.
//!
//! An OCI image layout, and beside it the `manifest.json` that Docker's classic store insists on. With one image there is
//! exactly one entry in `index.json`: with more, podman takes the docker path and loses the digests, and skopeo wants to be
//! told which by its name.

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
        self.put_all(std::slice::from_ref(export), open)
    }
}

impl OciArchive {
    /// Puts several images into one archive.
    ///
    /// # Errors
    /// As for one; nothing is written then.
    pub fn put_all<E>(&self, exports: &[Export], open: Open<'_, E>) -> Result<Option<Moved>, Failed<E>> {
        publish(&self.file, |out, place| write(exports, open, out, place))
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
    exports: &[Export],
    open: Open<'_, E>,
    out: impl Write,
    place: &str,
) -> Result<(), Failed<E>> {
    let failed = |source| Error::Archive { place: place.to_owned(), source };
    let mut archive = Writer::new(out);
    archive.directory("blobs/").map_err(failed)?;
    archive.directory("blobs/sha256/").map_err(failed)?;
    let blobs =
        exports.iter().flat_map(|export| export.blobs.iter().map(move |blob| (blob.digest, (export, blob))));
    for (export, blob) in blobs.collect::<BTreeMap<_, _>>().values() {
        export.append(&mut archive, &path(blob), blob, open, place)?;
    }
    let entry = |export: &Export| {
        let tag = export.reference.as_ref().and_then(|reference| reference.tag.clone());
        // Among several a tag alone would mean many.
        let own = if exports.len() > 1 { export.tagged() } else { None };
        let name = export.name.clone().or(own).or(tag);
        export.entry([(CONTAINERD_NAME, export.tagged()), (REF_NAME, name)])
    };
    let index = Index { manifests: exports.iter().map(entry).collect(), annotations: BTreeMap::new() };
    let mut small = |name: &str, bytes: &[u8]| archive.file(name, bytes.len() as u64, &mut &*bytes);
    small("index.json", &index.to_bytes()).map_err(failed)?;
    let mut images = Vec::new();
    for export in exports {
        images.extend(export.one_image()?.map(|image| manifest_json(export, &image, path, path)));
    }
    if !images.is_empty() {
        small("manifest.json", &Value::Array(images).to_bytes()).map_err(failed)?;
    }
    small("oci-layout", OCI_LAYOUT).map_err(failed)?;
    Ok(archive.finish().and_then(|mut out| out.flush().map_err(archive::Error::Write)).map_err(failed)?)
}

fn path(blob: &Descriptor) -> String {
    format!("blobs/sha256/{}", blob.digest.hex())
}

/// What `docker load` reads of one image.
pub(super) fn manifest_json(
    export: &Export,
    image: &Manifest,
    config: impl Fn(&Descriptor) -> String,
    layer: impl Fn(&Descriptor) -> String,
) -> Value {
    let tags: Vec<String> = export.tagged().into_iter().collect();
    let layers: Vec<String> = image.layers.iter().map(layer).collect();
    let image =
        [("Config", config(&image.config).into()), ("RepoTags", tags.into()), ("Layers", layers.into())];
    object(image)
}
