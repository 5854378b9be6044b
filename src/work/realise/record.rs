//! The lock that says what came out, and what the one before it doesn't say.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::Arc;

use super::computed::{Computed, Made, Variant};
use super::draft::{Ground, Grounded, Work};
use super::gather::Gathered;
use super::ground::{base_key, pin};
use super::open::is_open;
use super::plan::Planned;
use crate::digest::Digest;
use crate::lock::{self, ImageOutput, Lock, Output, Reason, SourceLock};
use crate::oci::Descriptor;
use crate::recipe::{self, Recipe, ResolvedAction, ResolvedFile, ResolvedSource, Room, interpolate};
use crate::tree::{Content, Kind, Node, SourceNode, SourceTree, TreePath};
use crate::work::Error;
use crate::work::checkout::{Blobs, Checkout, OldLock, lock_file};
use crate::workspace::differs_by_crlf_only;

/// A lock of all that a recipe takes, without outputs, and the blobs that it names.
pub(super) fn inputs(
    work: &Work<'_, '_>,
    variants: &[Grounded],
    gathered: &Gathered,
) -> Result<(Lock, Blobs), Error> {
    let mut lock = Lock { encoding: work.encoding, epoch: epoch(work)?, ..Lock::default() };
    let mut blobs = Blobs::new();
    pin(variants, &mut lock, &mut blobs);
    blobs.extend(gathered.blobs.clone());
    for (key, tree) in &gathered.sources {
        // What is given with each build is in no lock.
        if is_open(work, key, variants) {
            continue;
        }
        let (mut source, listing) = SourceLock::of(key.clone(), tree);
        source.pin = gathered.pins.get(key).copied().unwrap_or_default();
        lock.sources.push(source);
        blobs.extend(listing.map(|bytes| (Digest::of(&bytes), Arc::from(bytes))));
    }
    Ok((lock, blobs))
}

/// What a lock says of the recipe's text, and of what its stack and workspace give to it.
pub(super) fn sections(
    recipe: &Recipe,
    variants: &[Grounded],
    gathered: &Gathered,
    planned: &[(String, Vec<Planned<'_>>)],
) -> Result<BTreeMap<String, Digest>, Error> {
    if !recipe.is_given() {
        return Ok(recipe.sections().clone());
    }
    let room = Room::new(usize::MAX);
    let names = RefCell::new(BTreeSet::new());
    for one in planned.iter().flat_map(|(_, planned)| planned) {
        let resolved = &one.on.resolved;
        for entry in &resolved.entries {
            let ResolvedAction::File(file) = &entry.action else { continue };
            let ResolvedSource::From(paths) = &file.source else { continue };
            let lookup = |name: &str| {
                names.borrow_mut().insert(name.to_owned());
                resolved.names.get(name).cloned()
            };
            for path in paths {
                let mut key = path.key.clone();
                key.stand_on(&base_key(one.on.variant));
                for content in gathered.sources.get(&key).into_iter().flat_map(|tree| templates(file, tree)) {
                    let mut bytes = Vec::new();
                    // Whoever planned with it has read it.
                    if gathered.contents.open(content)?.read_to_end(&mut bytes).is_ok() {
                        _ = interpolate(&bytes, (&file.delimiters.0, &file.delimiters.1), &lookup, &room);
                    }
                }
            }
        }
    }
    let variants: Vec<_> = variants.iter().map(|variant| &variant.draft.recipe).collect();
    Ok(recipe.sections_with(&variants, names.into_inner()))
}

/// The files of a source that are filled in.
fn templates<'t>(file: &'t ResolvedFile, tree: &'t SourceTree) -> impl Iterator<Item = &'t Content> {
    tree.nodes.iter().filter_map(|(path, node)| {
        let (SourceNode::File { content, .. } | SourceNode::Kept { kind: Kind::File(content), .. }) = node
        else {
            return None;
        };
        file.template.rendered_name(std::str::from_utf8(path.as_bytes()).ok()?).map(|_| content)
    })
}

/// The inputs that no lock has, and on which what comes out depends.
pub(super) fn open_inputs(work: &Work<'_, '_>, variants: &[Grounded]) -> Vec<String> {
    let inputs = variants.iter().flat_map(|variant| variant.draft.recipe.open_inputs());
    let others = work.others.values().flat_map(|other| &other.open);
    inputs.map(str::to_owned).chain(others.cloned()).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Keeps what the lock before says of a base that stands below a recipe without an image.
pub(super) fn keep_bases(work: &Work<'_, '_>, variants: &[Grounded], lock: &mut Lock) {
    let is_unknown =
        |variant: &Grounded| matches!(&variant.ground, Ground::Recipe(parent) if !parent.lacks.is_empty());
    if !variants.iter().any(is_unknown) {
        return;
    }
    for pin in work.old.iter().flat_map(|old| &old.bases) {
        if lock.pin(&pin.origin).is_none() {
            lock.bases.push(pin.clone());
        }
    }
}

/// The lock's epoch is kept; a new lock takes SOURCE_DATE_EPOCH.
fn epoch(work: &Work<'_, '_>) -> Result<i64, Error> {
    let (locked, given) = (work.old.map(|lock| lock.epoch), work.checkout().env.epoch);
    let refused = |epoch| match locked {
        Some(_) => Error::Lock { file: lock_file(work.target), source: lock::Error::Epoch { epoch } },
        None => {
            Error::usage(format!("the epoch {epoch} is not between 1990 and 2242: SOURCE_DATE_EPOCH says it"))
        }
    };
    recipe::epoch(work.encoding, locked, given).map_err(refused)
}

/// What a lock says of a variant.
pub(super) fn output(variant: &Variant) -> Output {
    let platforms = variant.images.iter().map(|(platform, image)| {
        let layers = image.layers.iter().map(|made| made.layer.diff_id).collect();
        (platform.clone(), ImageOutput { manifest: image.descriptor.digest, layers })
    });
    let Descriptor { digest, size, .. } = variant.descriptor;
    Output { index: Content { digest, size }, platforms: platforms.collect() }
}

/// Makes sure that the sources hold what is listed of them, whoever listed it: a layer that the store knows by its tree was
/// perhaps made of something else.
pub(super) fn bind(
    work: &Work<'_, '_>,
    gathered: &Gathered,
    variants: &BTreeMap<String, Box<Variant>>,
) -> Result<(), Error> {
    let layers: Vec<Made> = variants.values().flat_map(|variant| variant.own_layers()).collect();
    let image = variants.values().next().map(|variant| &variant.descriptor);
    let image = image.map(|image| Content { digest: image.digest, size: image.size });
    let known = work.layers.borrow();
    let known: BTreeSet<Digest> = known.values().map(|made| made.layer.digest).collect();
    let stays =
        |digest: &Digest| known.contains(digest) || image.is_some_and(|image| image.digest == *digest);
    for key in gathered.pins.keys() {
        work.sources.bind(key, stays, |taken| {
            let is_taken = |(_, node): (&TreePath, &Node)| matches!(&node.kind, Kind::File(content) if taken.contains(content));
            // It should be remembered as long as the layer that has it.
            let with = layers.iter().find(|made| made.tree.iter().any(is_taken)).or(layers.first());
            with.map(|made| Content { digest: made.layer.digest, size: made.layer.size }).or(image)
        })?;
    }
    Ok(())
}

/// What the lock that was found doesn't say of what came out, or says otherwise.
pub(super) fn reasons(checkout: &Checkout<'_>, found: &OldLock, new: &Lock, blobs: &Blobs) -> Vec<Reason> {
    let mut reasons: Vec<Reason> = found.reason.iter().cloned().collect();
    if let Some(old) = &found.lock {
        // The new listing isn't in the workspace yet.
        let made = |content: &Content| String::from_utf8(blobs.get(&content.digest)?.to_vec()).ok();
        let listing = |content: &Content| made(content).or_else(|| checkout.committed.listing(content));
        reasons.extend(lock::reasons_with(old, new, &listing));
    }
    reasons
}

/// Refuses a checkout that was made with other line endings: it would be another image, silently.
pub(super) fn check_line_endings(checkout: &Checkout<'_>, computed: &Computed) -> Result<(), Error> {
    let Some(old) = computed.old() else { return Ok(()) };
    let mut listed = BTreeMap::new();
    for reason in &computed.reasons {
        let Reason::FileChanged { key, path, file } = reason else { continue };
        let Some(files) = key.plain() else { continue };
        let source = || old.sources.iter().find(|source| source.key == *key)?.entries(&|_| None);
        let entries = listed.entry(key).or_insert_with(source).as_ref();
        let entry = entries.and_then(|entries| entries.get(path));
        let Some(expected) = entry.and_then(|entry| entry.digest) else { continue };
        let scan = checkout.source(files)?;
        let Some(SourceNode::File { content, .. }) = scan.tree.nodes.get(path) else { continue };
        if content.size > 1 << 20 {
            continue;
        }
        let mut bytes = Vec::new();
        if scan.contents.open(content)?.read_to_end(&mut bytes).is_ok()
            && differs_by_crlf_only(&bytes, expected)
        {
            return Err(Error::LineEndings { file: format!("{}/{file}", files.directory) });
        }
    }
    Ok(())
}
