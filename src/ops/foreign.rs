//! Sources that aren't files of the checkout: fetched, unpacked, made elsewhere, taken out of images.
//!
//! Owns what the lock pins of them, and that their bytes are read only when a layer has to be made: what is in them is
//! listed in the lock. What an archive holds goes through one temporary file of the store, never into a tree on the disk.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;

use super::base::{Below, child_of};
use super::error::Error;
use super::images::{Documents, Take};
use super::reading::Reading;
use super::session::Session;
use crate::digest::{Digest, HashingReader, HashingWriter};
use crate::disk::{self, Temporary};
use crate::layer::unpack::{Limits, What, unpack_within};
use crate::lock::{BaseOrigin, Lock, Pin, Reason, SourceLock};
use crate::oci::{Document, DocumentError, Platform, Reference};
use crate::plan::source_key;
use crate::progress::{Counting, Event};
use crate::recipe::SourcePath;
use crate::substitute;
use crate::tree::{Attributes, Content, Kind, SourceKey, SourceKind, SourceNode, SourceTree, Step, TreePath};
use crate::workspace::{Contents, Filter, Target, read_input};

/// Where `vendor` puts what was fetched.
pub(super) const VENDOR: &str = "vendor";

/// A source from elsewhere.
pub(super) struct Foreign {
    pub(super) tree: SourceTree,
    pub(super) pin: Pin,
    /// As a recipe names it.
    path: SourcePath,
    /// The image that it is in, where that is one of this workspace, or what a recipe stands on.
    image: Option<Below>,
}

impl Foreign {
    /// Whether it is in what a recipe stands on.
    pub(super) fn is_of_base(&self) -> bool {
        self.path.kind == SourceKind::Base
    }

    /// The bytes that it has.
    pub(super) fn contents(&self) -> impl Iterator<Item = Content> {
        self.tree.nodes.values().filter_map(|node| match node {
            SourceNode::Kept { kind: Kind::File(content), .. } | SourceNode::File { content, .. } => {
                Some(*content)
            }
            _ => None,
        })
    }
}

/// A file that is at hand.
pub(super) struct Located {
    pub(super) path: PathBuf,
    content: Known,
}

/// What is known of its bytes.
enum Known {
    /// They were hashed, or the store has them by that name.
    Content(Content),
    /// They are yet to be hashed, and should be these.
    Unread(Option<Digest>),
}

impl Located {
    /// The bytes, hashed if they weren't, and compared with what they should be.
    pub(super) fn content(&self, name: &str) -> Result<Content, Error> {
        let wanted = match self.content {
            Known::Content(content) => return Ok(content),
            Known::Unread(wanted) => wanted,
        };
        let mut reader = HashingReader::new(disk::open(&self.path)?.0);
        io::copy(&mut reader, &mut io::sink()).map_err(disk::failed("read", &self.path))?;
        let (digest, size) = reader.finish();
        match wanted {
            Some(wanted) if wanted != digest => Err(differs(name, Some(wanted), digest)),
            _ => Ok(Content { digest, size }),
        }
    }
}

impl Session<'_> {
    /// What a source holds: as the lock has it, or read now.
    pub(super) fn foreign(
        &self,
        target: &Target,
        path: &SourcePath,
        image: Option<Below>,
        old: Option<&Lock>,
    ) -> Result<Rc<Foreign>, Error> {
        let key = source_key(path);
        let manifest = image.as_ref().and_then(|image| Some(Pin::File(image.manifest.as_ref()?.1)));
        if let Some(known) = self.foreigners.borrow().get(&key)
            && agrees(known.pin, path.sha256)
            && manifest.is_none_or(|manifest| manifest == known.pin)
        {
            return Ok(Rc::clone(known));
        }
        let locked = old.and_then(|lock| lock.sources.iter().find(|source| source.key == key));
        let locked = locked.filter(|locked| agrees(locked.pin, path.sha256));
        let locked = locked.filter(|_| !self.refreshes(&BaseOrigin::Image(key.from.clone())));
        let found = match self.listed(path, &image, locked)? {
            Some(found) => found,
            None if self.env.locked && matches!(key.kind, SourceKind::Fetch | SourceKind::Image) => {
                return Err(self.locked(target, vec![Reason::SourceAdded { key }]));
            }
            None => self.read_foreign(path, image, locked.map(|locked| locked.pin))?,
        };
        let found = Rc::new(found);
        self.foreigners.borrow_mut().insert(key, Rc::clone(&found));
        Ok(found)
    }

    /// What the lock lists, where what it was taken out of can't have changed.
    fn listed(
        &self,
        path: &SourcePath,
        image: &Option<Below>,
        locked: Option<&SourceLock>,
    ) -> Result<Option<Foreign>, Error> {
        let Some(locked) = locked else { return Ok(None) };
        let same = match (path.kind, locked.pin) {
            (SourceKind::Fetch | SourceKind::Image, Pin::File(_) | Pin::Image { .. }) => true,
            // It may have been made anew.
            (SourceKind::Files | SourceKind::Input, Pin::File(pinned)) => self
                .file_of(path)?
                .is_some_and(|file| matches!(file.content, Known::Content(own) if own == pinned)),
            // Another one, when its parent came out otherwise.
            (SourceKind::Recipe | SourceKind::Base, Pin::File(pinned)) => {
                let manifest = image.as_ref().and_then(|image| image.manifest.as_ref());
                manifest.is_some_and(|(_, manifest)| *manifest == pinned)
            }
            _ => false,
        };
        let tree = locked.tree(&|content| self.listing(content)).filter(|_| same);
        let image = image.clone();
        Ok(tree.map(|tree| Foreign { tree, pin: locked.pin, path: path.clone(), image }))
    }

    fn read_foreign(
        &self,
        path: &SourcePath,
        image: Option<Below>,
        pin: Option<Pin>,
    ) -> Result<Foreign, Error> {
        let (tree, pin, contents) = self.materialise(path, image.as_ref(), pin)?;
        self.materialised.borrow_mut().insert(source_key(path), Rc::new(contents));
        Ok(Foreign { tree, pin, path: path.clone(), image })
    }

    /// The bytes of contents that only sources from elsewhere have.
    pub(super) fn foreign_contents(&self, missing: &BTreeSet<Content>) -> Result<Contents, Error> {
        let mut found = Contents::default();
        let all: Vec<_> =
            self.foreigners.borrow().iter().map(|(key, known)| (key.clone(), Rc::clone(known))).collect();
        for (key, known) in all {
            if !known.contents().any(|content| missing.contains(&content) && !found.has(&content)) {
                continue;
            }
            let ready = self.materialised.borrow().get(&key).map(Rc::clone);
            let contents = match ready {
                Some(contents) => contents,
                None => {
                    let (tree, _, contents) =
                        self.materialise(&known.path, known.image.as_ref(), Some(known.pin))?;
                    if tree != known.tree {
                        let name = known.path.path.clone();
                        return Err(Error::Foreign {
                            name,
                            why: "it holds something else than the lock says".into(),
                        });
                    }
                    let contents = Rc::new(contents);
                    self.materialised.borrow_mut().insert(key, Rc::clone(&contents));
                    contents
                }
            };
            found.extend((*contents).clone());
        }
        Ok(found)
    }

    /// Reads a source from elsewhere, whatever it takes.
    fn materialise(
        &self,
        path: &SourcePath,
        image: Option<&Below>,
        pin: Option<Pin>,
    ) -> Result<(SourceTree, Pin, Contents), Error> {
        let pinned = match pin {
            Some(Pin::File(content)) => Some(content),
            _ => None,
        };
        let key = source_key(path);
        match path.kind {
            SourceKind::Fetch => {
                let located = self.fetch(&path.path, pinned, path.sha256)?;
                if !path.unpack.is_empty() {
                    return self.unpacked(&key, path, located);
                }
                let name = path.path.split(['?', '#']).next().unwrap_or_default();
                let name = name.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("index.html");
                let content = located.content(&path.path)?;
                let kept = SourceNode::Kept { kind: Kind::File(content), attributes: Attributes::new(0o644) };
                let nodes = BTreeMap::from([(TreePath::root().join(name.as_bytes()), kept)]);
                let mut contents = Contents::default();
                contents.put_file(content, located.path);
                Ok((SourceTree { single: true, nodes }, Pin::File(content), contents))
            }
            SourceKind::Files | SourceKind::Input if !path.unpack.is_empty() => {
                let missing = || Error::Foreign {
                    name: path.path.clone(),
                    why: "only one file can be unpacked, and it names none or several".into(),
                };
                let located = self.file_of(path)?.ok_or_else(missing)?;
                self.unpacked(&key, path, located)
            }
            SourceKind::Files | SourceKind::Input => {
                let scan = self.input_scan(path)?;
                Ok((scan.tree, Pin::None, scan.contents))
            }
            SourceKind::Image => self.of_image(path, &key, pin),
            SourceKind::Recipe | SourceKind::Base => self.of_other(path, &key, image),
        }
    }

    /// A path of another image, pinned as a base is.
    fn of_image(
        &self,
        path: &SourcePath,
        key: &SourceKey,
        pin: Option<Pin>,
    ) -> Result<(SourceTree, Pin, Contents), Error> {
        let reference: Result<Reference, _> = path.directory.parse();
        let canonical = reference.map_or_else(|_| path.directory.clone(), |reference| reference.to_string());
        let origin = BaseOrigin::Image(canonical);
        let mut reading = Reading::new(self, &origin);
        let descriptor = match pin {
            Some(Pin::Image { index, .. }) => reading.pinned(&index)?,
            _ => self.resolve(&origin)?,
        };
        let document = |source| Error::Document { base: origin.to_string(), source };
        let bytes = reading.document(&descriptor, "the index")?;
        let index = Content { digest: descriptor.digest, size: descriptor.size };
        let (child, manifest) = match Document::parse(&bytes, &descriptor.media_type).map_err(document)? {
            Document::Manifest(manifest) => (descriptor, manifest),
            Document::Index(all) => {
                let platform: Platform = path.platform.as_deref().unwrap_or_default().parse()?;
                let child = child_of(&all, &platform).cloned().ok_or_else(|| Error::NoPlatform {
                    recipe: path.at.directory().trim_start_matches("recipes/").to_owned(),
                    base: origin.to_string(),
                    platform: platform.short(),
                    have: all
                        .manifests
                        .iter()
                        .filter_map(|child| Some(child.platform.as_ref()?.short()))
                        .collect(),
                })?;
                let bytes = reading.document(&child, "the manifest")?;
                match Document::parse(&bytes, &child.media_type).map_err(document)? {
                    Document::Manifest(manifest) => (child, manifest),
                    Document::Index(_) => return Err(document(DocumentError::NeitherKind)),
                }
            }
        };
        manifest.check_image().map_err(document)?;
        let config = reading.config(&manifest)?;
        let image = Documents { origin: &origin, manifest: &manifest, config: &config };
        let (tree, contents) = self.existing(&image, path, key)?;
        let manifest = Content { digest: child.digest, size: child.size };
        Ok((tree, Pin::Image { index, manifest }, contents))
    }

    /// A path of another recipe's image, or of what a recipe stands on.
    fn of_other(
        &self,
        path: &SourcePath,
        key: &SourceKey,
        image: Option<&Below>,
    ) -> Result<(SourceTree, Pin, Contents), Error> {
        // From scratch there is nothing.
        let Some((below, (manifest, content))) =
            image.and_then(|below| Some((below, below.manifest.as_ref()?)))
        else {
            return Ok((SourceTree::default(), Pin::None, Contents::default()));
        };
        let origin = below.origin.clone().unwrap_or_else(|| BaseOrigin::Layout(String::new()));
        let image = Documents { origin: &origin, manifest, config: &below.config };
        let pin = Pin::File(*content);
        if key.kind == SourceKind::Base {
            let take = Take::Place { recursive: !key.include.is_empty() };
            let (tree, contents) = self.taken_out(&image, &path.path, &take)?.unwrap_or_default();
            return Ok((tree, pin, contents));
        }
        let (tree, contents) = self.existing(&image, path, key)?;
        Ok((tree, pin, contents))
    }

    fn existing(
        &self,
        image: &Documents<'_>,
        path: &SourcePath,
        key: &SourceKey,
    ) -> Result<(SourceTree, Contents), Error> {
        let name = format!("{} of {}", path.path, path.directory);
        let filter = filter(&name, key)?;
        self.taken_out(image, &path.path, &Take::Tree(filter))?.ok_or(Error::Nowhere { name, made_by: None })
    }

    /// Where an input lies: as the recipe says, or `--input`.
    fn input_path(&self, path: &SourcePath) -> Result<PathBuf, Error> {
        if let Some(given) = self.asks.inputs.get(&path.path) {
            return Ok(self.env.dir.join(given));
        }
        if path.directory.is_empty() {
            let (name, why) = (path.path.clone(), format!("it is open: --input {}=PATH gives it", path.path));
            return Err(Error::Foreign { name, why });
        }
        Ok(self.workspace.root().join(&path.directory))
    }

    fn input_scan(&self, path: &SourcePath) -> Result<crate::workspace::Scan, Error> {
        let SourceKey { include, exclude, .. } = source_key(path);
        let file = self.input_path(path)?;
        if disk::regular_size(&file)?.is_none() && !disk::is_directory(&file) {
            let name = format!("[input.{}] {}", path.path, path.directory);
            return Err(Error::Nowhere { name: name.trim_end().to_owned(), made_by: path.made_by.clone() });
        }
        let scan = read_input(&file, &include, &exclude);
        scan.map_err(|source| Error::Source { at: path.at.clone(), source })
    }

    /// The one file that a source of the checkout, or an input, is.
    fn file_of(&self, path: &SourcePath) -> Result<Option<Located>, Error> {
        let plain = SourcePath {
            unpack: Vec::new(),
            strip: 0,
            include: Vec::new(),
            exclude: Vec::new(),
            ..path.clone()
        };
        let scan = match path.kind {
            SourceKind::Files => (*self.source_at(&source_key(&plain), &path.at)?).clone(),
            _ => self.input_scan(&plain)?,
        };
        let Some(SourceNode::File { content, .. }) =
            scan.tree.nodes.values().next().filter(|_| scan.tree.single)
        else {
            return Ok(None);
        };
        let file = match scan.contents.path(content) {
            Some(path) => path.to_owned(),
            None => {
                // Small enough to be kept in memory: unpacking wants a file.
                let mut bytes = Vec::new();
                scan.contents
                    .open(content)?
                    .read_to_end(&mut bytes)
                    .map_err(disk::failed("read", Path::new(&path.path)))?;
                let mut file = self.transaction()?.scratch()?;
                file.write_all(&bytes).map_err(disk::failed("write", file.path()))?;
                let at = file.path().to_owned();
                self.scratch.borrow_mut().push(file);
                at
            }
        };
        Ok(Some(Located { path: file, content: Known::Content(*content) }))
    }

    /// What a URL gives, by digest where that is known: from the store, from `vendor`, or from where it says.
    pub(super) fn fetch(
        &self,
        url: &str,
        pinned: Option<Content>,
        sha256: Option<Digest>,
    ) -> Result<Located, Error> {
        if let Some(content) = pinned
            && let Some(path) = self.transaction()?.path_of(content.digest, content.size)?
        {
            return Ok(Located { path, content: Known::Content(content) });
        }
        let wanted = pinned.map(|content| content.digest).or(sha256);
        if let Some(digest) = wanted {
            let path = self.workspace.root().join(VENDOR).join("sha256").join(digest.hex());
            if disk::regular_size(&path)?.is_some() {
                return Ok(Located { path, content: Known::Unread(wanted) });
            }
        }
        if let Some(path) = url.strip_prefix("file://") {
            return Ok(Located { path: PathBuf::from(path), content: Known::Unread(wanted) });
        }
        if self.env.offline {
            return Err(Error::Offline { reference: url.to_owned() });
        }
        if url.starts_with("http://") && wanted.is_none() {
            let why =
                "over plain HTTP only what is known by its digest is fetched: say sha256 = \"…\"".into();
            return Err(Error::Foreign { name: url.to_owned(), why });
        }
        self.download(url, pinned, wanted)
    }

    fn download(&self, url: &str, pinned: Option<Content>, wanted: Option<Digest>) -> Result<Located, Error> {
        self.env.progress.event(Event::Begin { what: "fetching", name: url });
        let client = self.env.registries.client().map_err(substitute::Error::from)?;
        let opened =
            client.fetch(url, pinned.map(|content| content.size)).map_err(substitute::Error::from)?;
        let gone = || Error::Nowhere { name: url.to_owned(), made_by: None };
        let mut reader = Counting::new(opened.ok_or_else(gone)?, Arc::clone(&self.env.progress));
        let transaction = self.transaction()?;
        let mut writer = transaction.writer()?;
        io::copy(&mut reader, &mut writer)
            .map_err(|source| Error::Foreign { name: url.to_owned(), why: source.to_string() })?;
        let (digest, size) = writer.finish_if(wanted)?.map_err(|found| differs(url, wanted, found))?;
        self.env.progress.event(Event::End);
        let content = Content { digest, size };
        let path = transaction.path_of(digest, size)?;
        let path = path.ok_or_else(|| Error::Foreign { name: url.to_owned(), why: "it was lost".into() })?;
        Ok(Located { path, content: Known::Content(content) })
    }

    /// What an archive holds.
    fn unpacked(
        &self,
        key: &SourceKey,
        path: &SourcePath,
        located: Located,
    ) -> Result<(SourceTree, Pin, Contents), Error> {
        let name = path.path.as_str();
        let wrong = |why: String| Error::Foreign { name: name.to_owned(), why };
        let filter = filter(name, key)?;
        let limits = Limits { case: path.case_clash, ..Limits::default() };
        let steps: Vec<Step> = key
            .unpack
            .iter()
            .map(|step| step.parse())
            .collect::<Result<_, _>>()
            .map_err(|error: crate::tree::StepError| wrong(error.to_string()))?;
        self.env.progress.event(Event::Begin { what: "unpacking", name });
        let (archive, _) = disk::open(&located.path)?;
        let spool = self.transaction()?.scratch()?;
        let mut nodes = BTreeMap::new();
        let (mut files, mut links) = (Vec::new(), Vec::new());
        let (send, pieces) = mpsc::sync_channel(WAITING);
        // What isn't hashed yet is, meanwhile; nothing counts before both are done.
        let (unpacked, hashed, spooled) = thread::scope(|scope| {
            let hashed = scope.spawn(|| located.content(name));
            let spooled = scope.spawn(|| spool_pieces(pieces, spool));
            let unpacked = {
                let visit = &mut |member: crate::layer::unpack::Member<'_>| -> io::Result<()> {
                    // Whatever lies below what is left out is left out.
                    if filter.excludes(&member.path)
                        || member.path.ancestors().any(|above| filter.excludes(&above))
                    {
                        return Ok(());
                    }
                    let kind = match member.what {
                        What::Directory => Kind::Directory { opaque: false },
                        What::Symlink(target) => Kind::Symlink(target),
                        What::HardLink(target) => {
                            links.push((member.path, target, member.mode));
                            return Ok(());
                        }
                        What::File(reader) => {
                            send_pieces(reader, &send)?;
                            files.push((member.path, member.mode));
                            return Ok(());
                        }
                    };
                    let mode = if matches!(kind, Kind::Symlink(_)) { 0o777 } else { member.mode };
                    nodes.insert(member.path, SourceNode::Kept { kind, attributes: Attributes::new(mode) });
                    Ok(())
                };
                unpack_within(archive, &steps, key.strip, limits, visit)
            };
            // Then nothing more comes.
            drop(send);
            (unpacked, hashed.join(), spooled.join())
        });
        let content = hashed.unwrap_or_else(|_| located.content(name))?;
        let spooled = spooled.unwrap_or_else(|_| Err(io::Error::other("a thread ended early")));
        // A disk that is full is told before what came of it.
        let Spooled { contents: written, places, spool } =
            spooled.map_err(disk::failed("write", Path::new(name)))?;
        unpacked.map_err(|error| wrong(error.to_string()))?;
        for ((path, mode), content) in files.into_iter().zip(written) {
            let kind = Kind::File(content);
            nodes.insert(path, SourceNode::Kept { kind, attributes: Attributes::new(mode) });
        }
        // A name of something that is left out has to have its content.
        for (path, target, mode) in links {
            let kind = match nodes.get(&target) {
                Some(SourceNode::Kept { kind: Kind::File(_), .. }) => Kind::HardLink(target),
                _ => return Err(wrong(format!("{path} is a link to {target}, which is left out"))),
            };
            nodes.insert(path, SourceNode::Kept { kind, attributes: Attributes::new(mode) });
        }
        if !key.include.is_empty() {
            let all = nodes.clone();
            if let Some(pattern) = filter.retain_included(&mut nodes).into_iter().next() {
                return Err(wrong(format!("nothing in it matches {pattern:?}")));
            }
            first_names(&mut nodes, &all);
        }
        let file = Arc::new(disk::open(spool.path())?.0);
        let mut contents = Contents::default();
        for (content, at) in places {
            contents.put_section(content, &file, at);
        }
        self.scratch.borrow_mut().push(spool);
        self.env.progress.event(Event::End);
        Ok((SourceTree { single: false, nodes }, Pin::File(content), contents))
    }
}

/// What an entry takes of what is there.
fn filter(name: &str, key: &SourceKey) -> Result<Filter, Error> {
    let wrong =
        |(pattern, fault)| Error::Foreign { name: name.to_owned(), why: format!("{pattern:?}: {fault}") };
    Filter::new(&key.include, &key.exclude).map_err(wrong)
}

/// What goes from the thread that unpacks to the one that hashes and writes: at most so much at once, so often.
const PIECE: u64 = 64 << 10;
const WAITING: usize = 32;

/// Sends a file in pieces, and then that it ends.
fn send_pieces(reader: &mut dyn Read, send: &SyncSender<Option<Vec<u8>>>) -> io::Result<()> {
    // What happened there is told when that thread is through.
    let gone = |_| io::Error::other("it can't be written");
    loop {
        let mut piece = Vec::new();
        let count = (&mut *reader).take(PIECE).read_to_end(&mut piece)? as u64;
        if count > 0 {
            send.send(Some(piece)).map_err(gone)?;
        }
        if count < PIECE {
            return send.send(None).map_err(gone);
        }
    }
}

/// Files that were written one behind the other.
struct Spooled {
    /// In their order.
    contents: Vec<Content>,
    /// Where each begins.
    places: BTreeMap<Content, u64>,
    spool: Temporary,
}

fn spool_pieces(pieces: Receiver<Option<Vec<u8>>>, spool: Temporary) -> io::Result<Spooled> {
    let mut out = io::BufWriter::with_capacity(1 << 18, spool);
    let (mut contents, mut places, mut at) = (Vec::new(), BTreeMap::new(), 0_u64);
    let mut writer = HashingWriter::new(&mut out);
    for piece in pieces {
        if let Some(piece) = piece {
            writer.write_all(&piece)?;
            continue;
        }
        let (_, digest, size) = writer.finish();
        let content = Content { digest, size };
        places.insert(content, at);
        contents.push(content);
        at += size;
        writer = HashingWriter::new(&mut out);
    }
    drop(writer);
    let spool = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    Ok(Spooled { contents, places, spool })
}

/// Gives the content to the first of those names whose file was left out.
fn first_names(nodes: &mut BTreeMap<TreePath, SourceNode>, all: &BTreeMap<TreePath, SourceNode>) {
    let mut firsts: BTreeMap<TreePath, TreePath> = BTreeMap::new();
    let names: Vec<TreePath> = nodes.keys().cloned().collect();
    for path in names {
        let Some(SourceNode::Kept { kind: Kind::HardLink(target), attributes }) = nodes.get(&path) else {
            continue;
        };
        let (target, attributes) = (target.clone(), attributes.clone());
        if nodes.contains_key(&target) {
            continue;
        }
        let kind = match (firsts.get(&target), all.get(&target)) {
            (Some(first), _) => Kind::HardLink(first.clone()),
            (None, Some(SourceNode::Kept { kind, .. })) => {
                firsts.insert(target, path.clone());
                kind.clone()
            }
            _ => continue,
        };
        nodes.insert(path, SourceNode::Kept { kind, attributes });
    }
}

/// Whether what is pinned is what the recipe says, if it says something.
fn agrees(pin: Pin, sha256: Option<Digest>) -> bool {
    match (pin, sha256) {
        (Pin::File(content), Some(digest)) => content.digest == digest,
        _ => true,
    }
}

fn differs(url: &str, wanted: Option<Digest>, found: Digest) -> Error {
    let wanted = wanted.map(|digest| digest.to_string()).unwrap_or_default();
    Error::Foreign { name: url.to_owned(), why: format!("it is {found} now, not {wanted}") }
}
