//! Paths of images: of others, pinned as a base is, of recipes of this workspace, and of what a recipe stands on.

use super::portion::filter;
use super::read::Read;
use crate::lock::Pin;
use crate::oci::Platform;
use crate::recipe::SourcePath;
use crate::tree::{Content, Portion, SourceTree};
use crate::work::Error;
use crate::work::checkout::wants::image_origin;
use crate::work::upstream::{Below, Documents, Image, OneImage, Take, Upstream, resolve, take};
use crate::workspace::Contents;

/// A path of another image, pinned as a base is.
pub(super) fn of_image(
    upstream: &Upstream<'_>,
    path: &SourcePath,
    (reference, platform): (&str, &str),
    portion: &Portion,
    pin: Option<Pin>,
) -> Result<Read, Error> {
    let origin = image_origin(reference)?;
    let mut documents = Documents::new(upstream.supply.bytes(origin.to_string(), Some(&origin))?);
    let descriptor = match pin {
        Some(Pin::Image { index, .. }) => documents.pinned(&index)?,
        _ => resolve(upstream, &origin)?,
    };
    let index = Content { digest: descriptor.digest, size: descriptor.size };
    let document = documents.root(&descriptor)?;
    let platform: Platform = platform.parse()?;
    let found = documents.image(&descriptor, &document, &platform)?.map_err(|have| Error::NoPlatform {
        recipe: path.at.directory().trim_start_matches("recipes/").to_owned(),
        base: origin.to_string(),
        platform: platform.short(),
        have,
    })?;
    documents.check(&found)?;
    let OneImage { child, manifest, config } = found;
    let image = Image::new(upstream, origin.to_string(), Some(&origin), (manifest, config))?;
    let (tree, contents) = existing(&image, path, portion)?;
    let manifest = Content { digest: child.digest, size: child.size };
    // What is in an image is known to whoever has that, so nobody looks for secrets.
    Ok(Read { tree, pin: Pin::Image { index, manifest }, contents, ..Read::default() })
}

/// A path of another recipe's image.
pub(super) fn of_recipe(
    upstream: &Upstream<'_>,
    path: &SourcePath,
    portion: &Portion,
    image: Option<&Below>,
) -> Result<Read, Error> {
    within(upstream, image, |image| existing(image, path, portion))
}

/// What a recipe changes in what it stands on.
pub(super) fn of_base(
    upstream: &Upstream<'_>,
    path: &str,
    recursive: bool,
    image: Option<&Below>,
) -> Result<Read, Error> {
    within(upstream, image, |image| Ok(take(image, path, &Take::Place { recursive })?.unwrap_or_default()))
}

/// Reads of the image that stands below; from scratch there is nothing.
fn within(
    upstream: &Upstream<'_>,
    below: Option<&Below>,
    read: impl FnOnce(&Image<'_>) -> Result<(SourceTree, Contents), Error>,
) -> Result<Read, Error> {
    let image = below.map(|below| Image::below(upstream, below)).transpose()?.flatten();
    let Some((image, content)) = image else { return Ok(Read::default()) };
    let (tree, contents) = read(&image)?;
    Ok(Read { tree, pin: Pin::File(content), contents, ..Read::default() })
}

fn existing(
    image: &Image<'_>,
    path: &SourcePath,
    portion: &Portion,
) -> Result<(SourceTree, Contents), Error> {
    let name = format!("{} of {}", path.key.name(), path.place());
    let filter = filter(&name, portion)?;
    take(image, path.key.name(), &Take::Tree(filter))?.ok_or(Error::Nowhere { name, made_by: None })
}
