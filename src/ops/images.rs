//! Files and directories out of images: `[[file]] image` and `recipe`, and what entries change in a base.
//!
//! Owns the way from a path to a tree with its attributes, over the merged headers of an image's layers, and the second
//! pass over those layers that have some of its bytes.

use std::collections::BTreeMap;
use std::io::{self, Read};

use super::error::Error;
use super::foreign::spool::Spool;
use super::reading::Reading;
use super::session::Session;
use crate::digest::DiffId;
use crate::layer::index::{HeaderKind, LayerIndex};
use crate::layer::merged::Placed;
use crate::layer::scan::{Expected, scan};
use crate::layer::tar::Limits;
use crate::layer::v1::xattrs::never_emitted;
use crate::lock::BaseOrigin;
use crate::oci::{Descriptor, ImageConfig, Manifest};
use crate::progress::Event;
use crate::tree::{Attributes, Content, Kind, SourceNode, SourceTree, TreePath};
use crate::workspace::{Contents, Filter};

/// An image whose documents are at hand.
pub(super) struct Documents<'d> {
    pub(super) origin: &'d BaseOrigin,
    pub(super) manifest: &'d Manifest,
    pub(super) config: &'d ImageConfig,
}

/// What is wanted of what stands at a path.
pub(super) enum Take {
    /// A copy: of a file under its own name, of a directory what is in it.
    Tree(Filter),
    /// The thing itself, under the path where it really lies, and perhaps everything below it.
    Place {
        /// Everything below it too.
        recursive: bool,
    },
}

/// Files of one layer, by the name that it has them under.
type Wanted = BTreeMap<TreePath, Vec<TreePath>>;

impl Session<'_> {
    /// What stands at `path` of an image, with everything below; nothing where nothing does.
    pub(super) fn taken_out(
        &self,
        image: &Documents<'_>,
        path: &str,
        take: &Take,
    ) -> Result<Option<(SourceTree, Contents)>, Error> {
        let wrong = |why: String| Error::Foreign { name: format!("{path} of {}", image.origin), why };
        let merged = Reading::new(self, image.origin).merged(image.manifest, image.config)?;
        let asked = TreePath::parse(path.as_bytes()).map_err(|error| wrong(error.to_string()))?;
        let real = merged.resolve(&asked).map_err(|error| wrong(error.to_string()))?;
        let single = !merged.is_dir(&real);
        // By the name in the tree: what stands there, and where.
        let mut found: BTreeMap<TreePath, (&Placed, TreePath)> = BTreeMap::new();
        match take {
            Take::Tree(_) if single => {
                let Some(placed) = merged.get(&real) else { return Ok(None) };
                found.insert(TreePath::root().join(asked.name()), (placed, real));
            }
            Take::Tree(filter) => {
                for (at, placed) in merged.below(&real) {
                    let Some(inner) = at.strip_prefix(&real) else { continue };
                    if !filter.excludes(&inner) && !inner.ancestors().any(|above| filter.excludes(&above)) {
                        found.insert(inner, (placed, at.clone()));
                    }
                }
                if let Some(pattern) = filter.retain_included(&mut found).into_iter().next() {
                    return Err(wrong(format!("nothing there matches {pattern:?}")));
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
        let single = single && matches!(take, Take::Tree(_));
        let mut wanted: BTreeMap<usize, Wanted> = BTreeMap::new();
        let mut nodes = BTreeMap::new();
        for (inner, (placed, real)) in &found {
            let mut attributes = placed.header.attributes.clone();
            attributes.xattrs.retain(|name, _| !never_emitted(name));
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
            nodes.insert(inner.clone(), SourceNode::Kept { kind, attributes });
        }
        let (read, contents) = self.contents_of(image, wanted)?;
        for (inner, kind) in read {
            let mut attributes = found
                .get(&inner)
                .map_or(Attributes::new(0o644), |(placed, _)| placed.header.attributes.clone());
            attributes.xattrs.retain(|name, _| !never_emitted(name));
            nodes.insert(inner, SourceNode::Kept { kind, attributes });
        }
        Ok(Some((SourceTree { single, nodes }, contents)))
    }

    /// Reads the files that are wanted of each layer; names of one file stay names of one file.
    fn contents_of(
        &self,
        image: &Documents<'_>,
        wanted: BTreeMap<usize, Wanted>,
    ) -> Result<(BTreeMap<TreePath, Kind>, Contents), Error> {
        let mut kinds = BTreeMap::new();
        if wanted.is_empty() {
            return Ok((kinds, Contents::default()));
        }
        let document = |source| Error::Document { base: image.origin.to_string(), source };
        let diff_ids = image.config.diff_ids().map_err(document)?;
        let mut spool = Spool::new(self.transaction()?.scratch()?);
        for (number, wanted) in wanted {
            let Some(layer) = image.manifest.layers.get(number) else { continue };
            let found =
                self.files_of(image.origin, layer, diff_ids.get(number).copied(), &wanted, &mut |reader| {
                    io::copy(reader, &mut spool)?;
                    Ok(spool.end_file())
                })?;
            for (name, names) in wanted {
                let missing = || Error::Absent {
                    what: format!("{name} of the layer {}", layer.digest),
                    base: image.origin.to_string(),
                    digest: layer.digest,
                };
                let content = *found.get(&name).ok_or_else(missing)?;
                let mut names = names.into_iter();
                let Some(first) = names.next() else { continue };
                kinds.extend(names.map(|other| (other, Kind::HardLink(first.clone()))));
                kinds.insert(first, Kind::File(content));
            }
        }
        Ok((kinds, self.spooled(spool)?))
    }

    /// Reads some files of one layer.
    fn files_of(
        &self,
        origin: &BaseOrigin,
        layer: &Descriptor,
        diff_id: Option<DiffId>,
        wanted: &Wanted,
        take: &mut dyn FnMut(&mut dyn Read) -> io::Result<Content>,
    ) -> Result<BTreeMap<TreePath, Content>, Error> {
        let absent = || Error::Absent {
            what: format!("the layer {}", layer.digest),
            base: origin.to_string(),
            digest: layer.digest,
        };
        let compression =
            layer.compression().map_err(|source| Error::Document { base: origin.to_string(), source })?;
        let expected = Expected { digest: layer.digest, size: layer.size, compression, diff_id };
        let blob = self.blob(origin, layer)?.ok_or_else(absent)?;
        let name = layer.digest.short();
        self.env.progress.event(Event::Begin { what: "reading layer", name: &name });
        let (mut found, mut index) = (BTreeMap::new(), LayerIndex::default());
        scan(blob, &expected, Limits::default(), |entry, content| {
            if let Some(path) = index.add(entry)?.filter(|path| wanted.contains_key(path))
                && index
                    .entries
                    .get(&path)
                    .is_some_and(|header| matches!(header.kind, HeaderKind::File { .. }))
            {
                let content = take(content).map_err(crate::layer::error::ReadError::Io)?;
                // A file that is written twice is the later one.
                found.insert(path, content);
            }
            Ok(())
        })
        .map_err(|source| Error::BaseLayer {
            base: origin.to_string(),
            layer: layer.digest,
            source,
        })?;
        self.env.progress.event(Event::End);
        Ok(found)
    }
}
