//! Files and directories out of images: `[[file]] image` and `recipe`, and what entries change in a base.
//!
//! Owns the way from a path to a tree with its attributes, over the merged headers of an image's layers, and the second
//! pass over those layers that have some of its bytes.

use std::collections::BTreeMap;
use std::io::{self, Read};

use super::image::Image;
use crate::digest::DiffId;
use crate::layer::error::ReadError;
use crate::layer::index::{HeaderKind, LayerIndex};
use crate::layer::merged::{Merged, Placed};
use crate::layer::scan::{Expected, scan};
use crate::layer::tar::Limits;
use crate::layer::v1::xattrs::never_emitted;
use crate::oci::Descriptor;
use crate::progress::Event;
use crate::tree::{Attributes, Content, Kind, SourceNode, SourceTree, TreePath};
use crate::work::Error;
use crate::work::bytes::Spool;
use crate::workspace::{Contents, Filter};

/// What is wanted of what stands at a path.
pub(crate) enum Take {
    /// A copy: of a file under its own name, of a directory what is in it.
    Tree(Filter),
    /// The thing itself, under the path where it really lies.
    Place {
        /// Everything below it too.
        recursive: bool,
    },
}

/// Files of one layer, by the name that it has them under.
type Names = BTreeMap<TreePath, Vec<TreePath>>;

/// By the name in the tree: what stands there, and where.
type Standing<'m> = BTreeMap<TreePath, (&'m Placed, TreePath)>;

/// What stands at `path` of an image, with everything below; nothing where nothing does.
pub(crate) fn take(
    image: &Image<'_>,
    path: &str,
    take: &Take,
) -> Result<Option<(SourceTree, Contents)>, Error> {
    let wrong = |why: String| Error::foreign(format!("{path} of {}", image.bytes.of), why);
    let merged = image.view()?.0;
    let asked = TreePath::parse(path.as_bytes()).map_err(|error| wrong(error.to_string()))?;
    let real = merged.resolve(&asked).map_err(|error| wrong(error.to_string()))?;
    let Some(found) = standing(&merged, &asked, real.clone(), take).map_err(wrong)? else { return Ok(None) };
    let single = !merged.is_dir(&real) && matches!(take, Take::Tree(_));
    let mut wanted: BTreeMap<usize, Names> = BTreeMap::new();
    let mut nodes = BTreeMap::new();
    for (inner, (placed, real)) in &found {
        let kind = match &placed.header.kind {
            HeaderKind::Directory => Kind::Directory { opaque: false },
            HeaderKind::Symlink(target) => Kind::Symlink(target.clone()),
            HeaderKind::File { .. } => {
                let name = placed.content.as_deref().unwrap_or(real).clone();
                let layer = placed.layer.unwrap_or_default();
                wanted.entry(layer).or_default().entry(name).or_default().push(inner.clone());
                continue;
            }
            _ => return Err(wrong(format!("{inner} is a device or a pipe, which no recipe makes"))),
        };
        nodes.insert(inner.clone(), SourceNode::Kept { kind, attributes: attributes(placed) });
    }
    let (read, contents) = contents_of(image, wanted)?;
    for (inner, kind) in read {
        let attributes = found.get(&inner).map_or(Attributes::new(0o644), |(placed, _)| attributes(placed));
        nodes.insert(inner, SourceNode::Kept { kind, attributes });
    }
    Ok(Some((SourceTree { single, nodes }, contents)))
}

/// What of an image is meant; nothing where nothing stands there.
fn standing<'m>(
    merged: &'m Merged,
    asked: &TreePath,
    real: TreePath,
    take: &Take,
) -> Result<Option<Standing<'m>>, String> {
    let single = !merged.is_dir(&real);
    let mut found = Standing::new();
    match take {
        Take::Tree(_) if single => {
            let Some(placed) = merged.get(&real) else { return Ok(None) };
            found.insert(TreePath::root().join(asked.name()), (placed, real));
        }
        Take::Tree(filter) => {
            let mut known = BTreeMap::new();
            for (at, placed) in merged.below(&real) {
                let Some(inner) = at.strip_prefix(&real) else { continue };
                if !filter.leaves_out(&inner, &mut known) {
                    found.insert(inner, (placed, at.clone()));
                }
            }
            if let Some(pattern) = filter.retain_included(&mut found).into_iter().next() {
                return Err(format!("nothing there matches {pattern:?}"));
            }
        }
        Take::Place { recursive } => {
            let Some(placed) = merged.get(&real) else { return Ok(None) };
            found.insert(real.clone(), (placed, real.clone()));
            if *recursive && !single {
                found.extend(merged.below(&real).map(|(at, placed)| (at.clone(), (placed, at.clone()))));
            }
        }
    }
    Ok(Some(found))
}

fn attributes(placed: &Placed) -> Attributes {
    let mut attributes = placed.header.attributes.clone();
    attributes.xattrs.retain(|name, _| !never_emitted(name));
    attributes
}

/// Reads the files that are wanted of each layer; names of one file stay names of one file.
fn contents_of(
    image: &Image<'_>,
    wanted: BTreeMap<usize, Names>,
) -> Result<(BTreeMap<TreePath, Kind>, Contents), Error> {
    let mut kinds = BTreeMap::new();
    if wanted.is_empty() {
        return Ok((kinds, Contents::default()));
    }
    let diff_ids = image.config.diff_ids().map_err(|source| image.wrong(source))?;
    let supply = &image.upstream.supply;
    let mut spool = Spool::new(supply.transaction()?.scratch()?);
    for (number, wanted) in wanted {
        let Some(layer) = image.manifest.layers.get(number) else { continue };
        let found = files_of(image, layer, diff_ids.get(number).copied(), &wanted, &mut |reader| {
            io::copy(reader, &mut spool)?;
            Ok(spool.end_file())
        })?;
        for (name, names) in wanted {
            let missing = || image.bytes.absent(&format!("{name} of the layer"), layer.digest);
            let content = *found.get(&name).ok_or_else(missing)?;
            let mut names = names.into_iter();
            let Some(first) = names.next() else { continue };
            kinds.extend(names.map(|other| (other, Kind::HardLink(first.clone()))));
            kinds.insert(first, Kind::File(content));
        }
    }
    Ok((kinds, supply.spooled(spool)?))
}

/// Reads some files of one layer.
fn files_of(
    image: &Image<'_>,
    layer: &Descriptor,
    diff_id: Option<DiffId>,
    wanted: &Names,
    take: &mut dyn FnMut(&mut dyn Read) -> io::Result<Content>,
) -> Result<BTreeMap<TreePath, Content>, Error> {
    let compression = layer.compression().map_err(|source| image.wrong(source))?;
    let expected = Expected { digest: layer.digest, size: layer.size, compression, diff_id };
    let blob = image.bytes.layer(layer)?;
    let name = layer.digest.short();
    let progress = &image.upstream.checkout().env.progress;
    progress.event(Event::Begin { what: "reading layer", name: &name });
    let (mut found, mut index) = (BTreeMap::new(), LayerIndex::default());
    let read = scan(blob, &expected, Limits::default(), |entry, content| {
        if let Some(path) = index.add(entry)?.filter(|path| wanted.contains_key(path))
            && index.entries.get(&path).is_some_and(|header| matches!(header.kind, HeaderKind::File { .. }))
        {
            let content = take(content).map_err(ReadError::Io)?;
            // A file that is written twice is the later one.
            found.insert(path, content);
        }
        Ok(())
    });
    read.map_err(|source| image.wrong_layer(layer.digest, source))?;
    progress.event(Event::End);
    Ok(found)
}
