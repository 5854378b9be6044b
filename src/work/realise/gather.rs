//! The sources of all variants on all platforms, as trees whose bytes are at hand where the plan needs them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

use super::draft::{Grounded, Work};
use super::ground::{base_key, below, image_of};
use super::lacking::Lacking;
use super::open::is_lacking;
use crate::digest::Known;
use crate::disk;
use crate::lock::{COMMITTED, Pin, SourceLock};
use crate::oci::Platform;
use crate::recipe::{SourcePath, Spanned};
use crate::tree::{Content, Files, Kind, SourceKey, SourceNode, SourceTree, Sources, TreePath};
use crate::work::Error;
use crate::work::checkout::Blobs;
use crate::work::sources::Foreign;
use crate::work::upstream::Below;
use crate::workspace::{Contents, LFS};

/// How long a file is that Git LFS left in place of a large one.
const POINTER_SIZES: std::ops::Range<u64> = 100..400;

/// What a recipe takes.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) sources: Sources,
    pub(super) contents: Contents,
    /// What sources from elsewhere were taken out of.
    pub(super) pins: BTreeMap<SourceKey, Pin>,
    /// Files of bases that are committed.
    pub(super) blobs: Blobs,
    pub(super) warnings: Vec<String>,
}

/// Reads the sources, but for what comes of inputs that are lacking.
pub(super) fn gather(
    work: &Work<'_, '_>,
    variants: &[Grounded],
    lacks: &[Lacking],
) -> Result<Gathered, Error> {
    let bits = work.checkout().workspace.has_executable_bits();
    let mut gathered = Gathered::default();
    for variant in variants {
        for (platform, paths) in variant.draft.platforms.iter().zip(&variant.draft.paths) {
            for path in paths {
                let mut key = path.key.clone();
                key.stand_on(&base_key(variant));
                if gathered.sources.contains_key(&key) || is_lacking(work, &key, lacks) {
                    continue;
                }
                let tree = match key.plain() {
                    Some(files) => gathered.plain(work, path, files, bits)?,
                    None => {
                        let path = SourcePath { key: key.clone(), ..path.clone() };
                        gathered.foreign(work, variant, &path, platform)?
                    }
                };
                gathered.sources.insert(key, tree);
            }
        }
    }
    Ok(gathered)
}

impl Gathered {
    /// Files of the checkout.
    fn plain(
        &mut self,
        work: &Work<'_, '_>,
        path: &SourcePath,
        files: &Files,
        bits: bool,
    ) -> Result<SourceTree, Error> {
        let scan = work.checkout().source_at(files, &path.at)?;
        self.contents.extend(scan.contents.clone());
        let name = |inner: &TreePath| SourceLock::name(&path.key, scan.tree.single, inner);
        self.tell_pointers(&scan.tree, &scan.contents, &name);
        for (one, other) in &scan.same_folded {
            let name = &files.from;
            self.warnings.push(format!("{name}: {one} and {other} are one name where case doesn't count"));
        }
        let mut tree = scan.tree.clone();
        let locked = work.old.and_then(|lock| lock.sources.iter().find(|source| source.key == path.key));
        if let (false, Some(locked)) = (bits, locked) {
            locked.restore_bits(&mut tree, &|content| work.checkout().committed.listing(content));
        }
        Ok(tree)
    }

    /// Tells of files that only name the bytes that are meant, among those that this command has read. Few are as short as that.
    fn tell_pointers(&mut self, tree: &SourceTree, contents: &Contents, name: &dyn Fn(&TreePath) -> String) {
        for (path, node) in &tree.nodes {
            let (SourceNode::File { content, .. } | SourceNode::Kept { kind: Kind::File(content), .. }) =
                node
            else {
                continue;
            };
            if !POINTER_SIZES.contains(&content.size) || contents.known(content) == Known::Nothing {
                continue;
            }
            let mut start = Vec::new();
            let reader = contents.open(content).ok();
            let read = reader.map(|reader| reader.take(LFS.len() as u64).read_to_end(&mut start));
            if matches!(read, Some(Ok(_))) && start == LFS {
                let name = name(path);
                self.warnings.push(format!(
                    "{name} is a pointer of Git LFS, not the file that it stands for: git lfs pull brings that"
                ));
            }
        }
    }

    /// A source from elsewhere.
    fn foreign(
        &mut self,
        work: &Work<'_, '_>,
        variant: &Grounded,
        path: &SourcePath,
        platform: &Platform,
    ) -> Result<SourceTree, Error> {
        let image = taken_from(work, path, variant, platform)?;
        let foreign = work.sources.foreign(work.target, path, image, work.old);
        let foreign = foreign.map_err(|error| error.at(&path.at))?;
        if foreign.away {
            self.warnings.push(format!(
                "input {} is not there ({}): what the lock says of it is taken",
                path.key.name(),
                path.place()
            ));
        }
        if path.read {
            self.read_now(work, &foreign)?;
        }
        if let Some(contents) = work.sources.at_hand(&path.key) {
            let (key, single) = (&path.key, foreign.tree.single);
            let name = |inner: &TreePath| {
                if single { key.name().to_owned() } else { format!("{}{inner}", key.name()) }
            };
            self.tell_pointers(&foreign.tree, &contents, &name);
        }
        self.pins.insert(path.key.clone(), foreign.pin);
        Ok(foreign.tree.clone())
    }

    /// The bytes that the plan needs. What is small of a base is committed: then it is changed without the base's layers.
    fn read_now(&mut self, work: &Work<'_, '_>, foreign: &Foreign) -> Result<(), Error> {
        let small = |content: &Content| foreign.is_of_base() && content.size <= COMMITTED;
        let mut wanted = BTreeSet::new();
        for content in foreign.contents() {
            let committed = work.checkout().committed.read(&content, COMMITTED).ok().flatten();
            match committed.filter(|_| small(&content)) {
                Some(bytes) => {
                    self.contents.put_bytes(content, &bytes);
                    self.blobs.insert(content.digest, bytes);
                }
                None => drop(wanted.insert(content)),
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        let read = work.sources.contents(&wanted)?;
        for content in wanted.iter().filter(|content| small(content)) {
            let mut bytes = Vec::new();
            read.open(content)?
                .read_to_end(&mut bytes)
                .map_err(disk::failed("read", Path::new("a temporary file")))?;
            if Content::of(&bytes) == *content {
                self.blobs.insert(content.digest, bytes.into());
            }
        }
        self.contents.extend(read);
        Ok(())
    }
}

/// The image of this workspace that a source is in, or what the variant stands on.
fn taken_from(
    work: &Work<'_, '_>,
    path: &SourcePath,
    variant: &Grounded,
    platform: &Platform,
) -> Result<Option<Below>, Error> {
    match &path.key {
        SourceKey::Base { .. } => below(work, variant, platform),
        SourceKey::Recipe { recipe, variant, .. } => {
            let other = work.other(&Spanned { value: recipe.clone(), at: path.at.clone() })?;
            image_of(work, &other, variant, platform)?.stand(&other.target).map(Some)
        }
        SourceKey::Files(_) | SourceKey::Fetch { .. } | SourceKey::Input { .. } | SourceKey::Image { .. } => {
            Ok(None)
        }
    }
}
