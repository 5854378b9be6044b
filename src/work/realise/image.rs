//! An image of one platform: its layers, its config, its manifest, in the transaction.

use super::computed::Image;
use super::draft::Work;
use super::gather::Gathered;
use super::layer;
use super::plan::{Planned, Standing};
use crate::image;
use crate::oci::{Descriptor, MediaType};
use crate::tree::{FileTree, Kind, Node, TreePath};
use crate::work::Error;

/// What engines mount over an image, whatever stands there.
const MOUNTED: [&[u8]; 3] = [b"dev", b"proc", b"sys"];

/// A warning of a file where no container will see it.
fn never_seen(tree: &FileTree) -> Option<String> {
    let hidden = |path: &TreePath| {
        path.components().next().is_some_and(|top| MOUNTED.contains(&top))
            && path.parent() != Some(TreePath::root())
    };
    let file = |node: &Node| matches!(node.kind, Kind::File(_) | Kind::Symlink(_) | Kind::HardLink(_));
    let (path, _) = tree.iter().find(|(path, node)| file(node) && hidden(path))?;
    let text = path.to_string();
    let top = text.split('/').nth(1).unwrap_or_default();
    Some(format!("no container will see {text}: engines mount a /{top} of their own over it"))
}

/// Makes an image; what a person should know of it comes last.
pub(super) fn make(
    work: &Work<'_, '_>,
    planned: Planned<'_>,
    gathered: &Gathered,
) -> Result<(Image, Vec<String>), Error> {
    let Planned { on: Standing { variant, below, .. }, derivation, drawn, users, mut warnings } = planned;
    if variant.bare
        && let Some(manifest) = below.manifest.as_ref().map(|(_, manifest)| *manifest)
    {
        let mut descriptor = Descriptor::new(MediaType::Manifest, manifest.digest, manifest.size);
        descriptor.platform = Some(below.platform.clone());
        let (layers, derivation, own) = (Vec::new(), None, None);
        return Ok((Image { descriptor, derivation, layers, below, own, users }, Vec::new()));
    }
    let mut layers = Vec::new();
    for derived in &drawn.layers {
        layers.push(layer::make(work, derived, &drawn.plan.made, &gathered.contents)?);
    }
    let own: Vec<image::Layer> = layers.iter().map(|made| made.layer.clone()).collect();
    let base = below.manifest.as_ref().map(|(manifest, _)| (&**manifest, &*below.config));
    let failed = |source| Error::Image { recipe: work.target.to_string(), source };
    let image =
        image::assemble(work.encoding, base, &below.platform, &own, &derivation.patch).map_err(failed)?;
    warnings.extend(image.warnings.iter().map(ToString::to_string));
    warnings.extend(drawn.layers.iter().filter_map(|layer| never_seen(&layer.tree)));
    let transaction = work.sources.supply().transaction()?;
    let descriptor = image.descriptor.clone();
    transaction.put(&image.config)?;
    transaction.put(&image.manifest)?;
    let derivation = Some(derivation);
    Ok((Image { descriptor, derivation, layers, below, own: Some(image), users }, warnings))
}
