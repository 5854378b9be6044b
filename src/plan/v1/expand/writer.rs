//! What a `[[file]]` makes of its sources.

use std::collections::BTreeMap;

use super::paths::parse;
use super::work::Work;
use crate::lock::SourceLock;
use crate::plan::Fault;
use crate::plan::v1::layers::{Claim, Unit};
use crate::plan::view::{Found, Last};
use crate::recipe::{Mode, Mtime, ResolvedFile, ResolvedSource, ResolvedTemplate, SourcePath};
use crate::tree::{Attributes, Content, Kind, Node, SourceNode, SourceTree, TreePath};

/// `mtime = "content"` moves a time back by less than this many seconds: ten years.
const CONTENT_SPREAD: u32 = 315_360_000;

/// setuid and setgid.
const SET_ID: u32 = 0o6000;

/// Writes what one entry says into its unit.
pub(super) struct Writer<'w, 'a> {
    work: &'w mut Work<'a>,
    file: &'w ResolvedFile,
    unit: &'w mut Unit,
    /// Of everything that it makes, where the entry says so.
    owner: Option<(u32, u32)>,
    /// Of every file that it makes.
    xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Root's without anybody's word, out of an archive: there the bits that lend an owner's rights were meant for another.
    lends_nothing: bool,
}

/// Where each directory of a source really lies: one may meet a link of the base.
type Places = BTreeMap<TreePath, TreePath>;

/// A hard link of a source: the directory that it goes into, its path, that of the file, and its attributes.
type Linked<'s> = (TreePath, &'s TreePath, &'s TreePath, Attributes);

impl<'w, 'a> Writer<'w, 'a> {
    pub(super) fn new(
        work: &'w mut Work<'a>,
        file: &'w ResolvedFile,
        unit: &'w mut Unit,
    ) -> Result<Self, Fault> {
        let owner = file.owner.as_ref().map(|owner| work.users.owner(owner)).transpose()?;
        let xattrs = file.xattrs.iter().map(|(name, value)| (name.clone().into_bytes(), value.value.clone()));
        let from_archive = match &file.source {
            ResolvedSource::From(paths) => paths
                .iter()
                .filter_map(|path| path.key.portion())
                .any(|portion| !portion.unpack.is_empty() && !portion.owners),
            ResolvedSource::Text(_) => false,
        };
        let lends_nothing = from_archive && owner.is_none();
        Ok(Self { work, file, unit, owner, xattrs: xattrs.collect(), lends_nothing })
    }

    pub(super) fn write(mut self) -> Result<(), Fault> {
        let to = parse(&self.file.to)?;
        let paths = match &self.file.source {
            ResolvedSource::Text(text) => {
                let path = self.work.place(&self.file.to)?;
                let content = self.made(text.value.clone().into_bytes());
                return self.regular(path, content, false);
            }
            ResolvedSource::From(paths) => paths,
        };
        let one = self.work.names_one_file(self.file);
        let sources = self.work.cx.sources;
        for path in paths {
            let missing = || Fault::NoSource { from: path.key.name().to_owned() };
            let tree = sources.get(&path.key).ok_or_else(missing)?;
            if one {
                self.single(path, tree)?;
            } else {
                self.tree(&to, path, tree)?;
            }
        }
        Ok(())
    }

    /// Writes one file under the name that the recipe gives it.
    fn single(&mut self, source: &SourcePath, tree: &SourceTree) -> Result<(), Fault> {
        let path = self.work.place(&self.file.to)?;
        for (name, node) in &tree.nodes {
            let template = self.rendered(name).is_some();
            let made = self.node(path.clone(), node, template);
            made.map_err(|fault| named(fault, source, tree.single, name))?;
        }
        Ok(())
    }

    /// Writes a directory's contents, or what a glob matched, below `to`.
    fn tree(&mut self, to: &TreePath, source: &SourcePath, tree: &SourceTree) -> Result<(), Fault> {
        let to = self.work.view.resolve(to, Last::Follow)?;
        self.work.make_ancestors(&to);
        self.claim(&to, None)?;
        if self.file.mount.is_some() && !tree.single {
            return Ok(());
        }
        let mut places = Places::from([(TreePath::root(), to)]);
        let mut links = Vec::new();
        for (inner, node) in &tree.nodes {
            let place = self.enter(&inner.parent().unwrap_or_default(), tree, &mut places)?;
            match node {
                SourceNode::Directory | SourceNode::Kept { kind: Kind::Directory { .. }, .. } => {
                    self.enter(inner, tree, &mut places)?;
                }
                SourceNode::Kept { kind: Kind::HardLink(target), attributes } => {
                    links.push((place, inner, target, self.keep(attributes, false)));
                }
                _ => {
                    let name = self.rendered(inner);
                    let path = place.join(name.as_ref().unwrap_or(inner).name());
                    self.work.not_on_a_directory(&path)?;
                    let made = self.node(path, node, name.is_some());
                    made.map_err(|fault| named(fault, source, tree.single, inner))?;
                }
            }
        }
        // Once it is known where all directories lie: what a link means may come later in the order of paths.
        links.into_iter().try_for_each(|link| self.hard_link(link, source, &places))
    }

    fn hard_link(&mut self, link: Linked<'_>, source: &SourcePath, places: &Places) -> Result<(), Fault> {
        let (place, inner, target, attributes) = link;
        let mtime = self.time(None);
        let there = target.parent().and_then(|parent| places.get(&parent));
        let there = there.ok_or_else(|| Fault::NoSource { from: source.key.name().to_owned() })?;
        // Other names of a template are names of what it becomes.
        let template = self.rendered(target);
        let name = template.as_ref().and_then(|_| self.rendered(inner));
        let path = place.join(name.as_ref().unwrap_or(inner).name());
        let target = there.join(template.as_ref().unwrap_or(target).name());
        self.work.not_on_a_directory(&path)?;
        self.work.view.put_file(&path);
        self.put(path, Kind::HardLink(target), attributes, mtime)
    }

    /// The place of a source's directory, made where it isn't there yet.
    fn enter(&mut self, inner: &TreePath, tree: &SourceTree, places: &mut Places) -> Result<TreePath, Fault> {
        if let Some(place) = places.get(inner) {
            return Ok(place.clone());
        }
        let parent = self.enter(&inner.parent().unwrap_or_default(), tree, places)?;
        let place = self.work.view.resolve_below(parent, std::iter::once(inner.name()), Last::Follow)?;
        let kept = match tree.nodes.get(inner) {
            Some(SourceNode::Kept { attributes, .. }) => Some(attributes),
            _ => None,
        };
        self.claim(&place, kept)?;
        places.insert(inner.clone(), place.clone());
        Ok(place)
    }

    /// Makes a directory of the entry, unless it stands below already and so keeps its attributes.
    fn claim(&mut self, path: &TreePath, kept: Option<&Attributes>) -> Result<(), Fault> {
        if path.is_root() {
            return Ok(());
        }
        let taken = || Fault::NotADirectory { path: path.clone() };
        match self.work.ground.lookup(path) {
            Found::Directory(_) => return Ok(()),
            Found::File | Found::Link(_) => return Err(taken()),
            Found::Nothing | Found::Unknown if self.work.view.lookup(path) == Found::File => {
                return Err(taken());
            }
            Found::Nothing | Found::Unknown => {}
        }
        let attributes = match kept {
            Some(kept) => self.keep(kept, true),
            None => self.owned(moded(self.file.dir_mode.as_ref(), 0o755, true)),
        };
        let claim = Claim { attributes: attributes.clone(), explicit: false, mtime: self.time(None) };
        self.unit.directories.insert(path.clone(), claim);
        self.work.view.put_directory(path, attributes);
        Ok(())
    }

    /// Writes one thing of a source.
    fn node(&mut self, path: TreePath, node: &SourceNode, template: bool) -> Result<(), Fault> {
        match node {
            SourceNode::Directory => self.claim(&path, None),
            SourceNode::Symlink(target) => self.link(path, target, self.owned(0o777)),
            SourceNode::File { content, executable } => {
                let content = self.content(content, template)?;
                self.regular(path, content, *executable)
            }
            SourceNode::Kept { kind: Kind::File(content), attributes } => {
                let content = self.content(content, template)?;
                self.contents(path, content, self.keep(attributes, false))
            }
            SourceNode::Kept { kind: Kind::Symlink(target), attributes } => {
                self.link(path, target, self.keep(attributes, false))
            }
            // Neither stands alone, nor below another path than a directory's.
            SourceNode::Kept {
                kind: Kind::Directory { .. } | Kind::HardLink(_) | Kind::Whiteout, ..
            } => Ok(()),
        }
    }

    /// What a file of a source becomes: what a template is filled in to, or itself.
    fn content(&mut self, content: &Content, template: bool) -> Result<Content, Fault> {
        if !template {
            return Ok(*content);
        }
        let (cx, (open, close)) = (self.work.cx, &self.file.delimiters);
        let bytes = (cx.render)(&(cx.read)(content)?, (open, close))?;
        Ok(self.made(bytes))
    }

    fn made(&mut self, bytes: Vec<u8>) -> Content {
        let content = Content::of(&bytes);
        self.work.made.insert(content, bytes);
        content
    }

    fn regular(&mut self, path: TreePath, content: Content, executable: bool) -> Result<(), Fault> {
        let mode = moded(self.file.mode.as_ref(), if executable { 0o755 } else { 0o644 }, false);
        let attributes = Attributes { xattrs: self.xattrs.clone(), ..self.owned(mode) };
        self.contents(path, content, attributes)
    }

    fn contents(&mut self, path: TreePath, content: Content, attributes: Attributes) -> Result<(), Fault> {
        self.work.view.put_file(&path);
        let mtime = self.time(Some(&content));
        self.put(path, Kind::File(content), attributes, mtime)
    }

    fn link(&mut self, path: TreePath, target: &[u8], attributes: Attributes) -> Result<(), Fault> {
        self.work.view.put_link(&path, target.to_vec());
        let mtime = self.time(None);
        self.put(path, Kind::Symlink(target.to_vec()), attributes, mtime)
    }

    fn put(&mut self, path: TreePath, kind: Kind, attributes: Attributes, mtime: i64) -> Result<(), Fault> {
        self.work.put(self.unit, path, Node { kind, attributes, mtime })
    }

    /// The attributes of what no source says any of.
    fn owned(&self, mode: u32) -> Attributes {
        let (uid, gid) = self.owner.unwrap_or_default();
        Attributes::new(mode).owned(uid, gid)
    }

    /// What a source says, but for what the entry says.
    fn keep(&self, kept: &Attributes, directory: bool) -> Attributes {
        let mode = if directory { &self.file.dir_mode } else { &self.file.mode };
        let (uid, gid) = self.owner.unwrap_or((kept.uid, kept.gid));
        let mut xattrs = kept.xattrs.clone();
        if !directory {
            xattrs.extend(self.xattrs.clone());
        }
        let own = if self.lends_nothing { kept.mode & !SET_ID } else { kept.mode };
        Attributes { mode: moded(mode.as_ref(), own, directory), uid, gid, xattrs }
    }

    fn time(&self, content: Option<&Content>) -> i64 {
        time(self.file, self.work.cx.epoch, content)
    }

    /// The name under which a template is rendered, if it is one.
    fn rendered(&self, path: &TreePath) -> Option<TreePath> {
        let template = &self.file.template;
        if *template == ResolvedTemplate::All {
            return Some(path.clone());
        }
        // Patterns are text; a name that isn't matches none.
        let text = std::str::from_utf8(path.as_bytes()).ok()?;
        TreePath::parse(template.rendered_name(text)?.as_bytes()).ok()
    }
}

/// The time of what an entry makes; `content` is a file's.
pub(super) fn time(file: &ResolvedFile, epoch: i64, content: Option<&Content>) -> i64 {
    match (file.mtime, content) {
        (Mtime::Seconds(seconds), _) => seconds,
        (Mtime::Content, Some(content)) => {
            let [a, b, c, d, ..] = *content.digest.as_bytes();
            epoch - i64::from(u32::from_be_bytes([a, b, c, d]) % CONTENT_SPREAD)
        }
        (Mtime::Content | Mtime::Epoch, _) => epoch,
    }
}

/// The bits of what would get these.
fn moded(mode: Option<&Mode>, bits: u32, directory: bool) -> u32 {
    mode.map_or(bits, |mode| mode.apply(bits, directory))
}

/// A template's fault with the name of its file.
fn named(fault: Fault, source: &SourcePath, single: bool, path: &TreePath) -> Fault {
    match fault {
        Fault::Template { error, suggestion, .. } => {
            let file = SourceLock::name(&source.key, single, path);
            Fault::Template { file: format!("{}/{file}", source.place()), error, suggestion }
        }
        other => other,
    }
}
