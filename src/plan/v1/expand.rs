//! Encoding 1: from a recipe's entries and its sources to units of resolved paths.
//!
//! Owns what an entry means: which paths it writes, with which attributes, what it takes away. Looks up owners in
//! the facts, resolves every path over what stands below and what the recipe itself has put there, and refuses two
//! entries on one path. Its result decides bytes: never edited once encoding 1 is frozen, only added beside.

use std::collections::{BTreeMap, BTreeSet};

use super::changes::Changes;
use super::layers::{Claim, Removed, Unit};
use super::users::{Users, is_user};
use crate::layer::facts::Facts;
use crate::lock::SourceLock;
use crate::plan::view::{Found, Last, View};
use crate::plan::{Error, Fault};
use crate::recipe::{
    At, Glob, Id, Mtime, Owner, ResolvedAction, ResolvedEntry, ResolvedFile, ResolvedSource,
    ResolvedTemplate, SourcePath,
};
use crate::tree::{
    Attributes, Content, Kind, Node, SourceKey, SourceKind, SourceNode, SourceTree, Sources, TreePath,
};

/// `mtime = "content"` moves a time back by less than this many seconds: ten years.
const CONTENT_SPREAD: u32 = 315_360_000;

/// Fills in a template between its delimiters.
type Render<'a> = &'a dyn Fn(&[u8], (&str, &str)) -> Result<Vec<u8>, Fault>;

/// What entries are read against.
pub(crate) struct Context<'a> {
    /// The image below, nothing removed.
    pub(crate) below: &'a View<'a>,
    /// Users and groups.
    pub(crate) facts: &'a Facts,
    pub(crate) sources: &'a Sources,
    /// What stands directly below, as sources in it are named.
    pub(crate) base: &'a str,
    /// The bytes of a source, for templates.
    pub(crate) read: &'a (dyn Fn(&Content) -> Result<Vec<u8>, Fault> + Sync),
    /// Fills in a template.
    pub(crate) render: Render<'a>,
    /// What a `[[remove]]` pattern matched in the external base.
    pub(crate) removed: &'a dyn Fn(&str) -> Option<Vec<TreePath>>,
    pub(crate) epoch: i64,
}

/// What the entries amount to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Expanded {
    /// One for each entry that does something, in order.
    pub(crate) units: Vec<Unit>,
    /// Where each unit was written.
    pub(crate) at: Vec<At>,
    /// Contents that no source file has: rendered templates and `text`.
    pub(crate) made: BTreeMap<Content, Vec<u8>>,
    /// Users and groups of the image, where the recipe adds some.
    pub(crate) users: Option<Users>,
}

/// Expands all entries of one variant on one platform.
pub(crate) fn expand(entries: &[ResolvedEntry], cx: &Context<'_>) -> Result<Expanded, Vec<Error>> {
    let (ground, view) = (cx.below.clone(), cx.below.clone());
    let mut work = Work {
        cx,
        ground,
        view,
        users: Users::of(cx.facts),
        links: Vec::new(),
        replaced: Vec::new(),
        out: Expanded::default(),
    };
    let alone =
        |entry: &ResolvedEntry| matches!(&entry.action, ResolvedAction::File(file) if stands_alone(file));
    let unit =
        |entry: &ResolvedEntry| Unit { layer: entry.layer.clone(), alone: alone(entry), ..Unit::default() };
    let mut units: Vec<Unit> = entries.iter().map(unit).collect();
    let mut errors = Vec::new();
    // First of all: they may own what the others write.
    for entry in entries {
        if let Err(fault) = work.users.add(&entry.action) {
            errors.push(Error { at: entry.at.clone(), fault });
        }
    }
    // What is taken away goes first, then links, so that later paths lead where they will lead in the image. Then
    // what `replace` takes away, so that no entry counts on it whichever stands first in the recipe.
    for turn in [Turn::Remove, Turn::Link, Turn::Replace, Turn::Rest] {
        for (entry, unit) in entries.iter().zip(&mut units).filter(|(entry, _)| turn.takes(entry)) {
            let done = match (&entry.action, turn) {
                (ResolvedAction::File(file), Turn::Replace) => work.replace(file, unit),
                (ResolvedAction::Link { hard: false, .. }, Turn::Rest) => {
                    unit.nodes.keys().try_for_each(|path| work.not_on_a_directory(path))
                }
                _ => work.entry(entry, unit),
            };
            if let Err(fault) = done {
                errors.push(Error { at: entry.at.clone(), fault });
            }
        }
        if turn == Turn::Remove {
            for path in units.iter().flat_map(|unit| unit.removes.keys()) {
                work.ground.remove(path);
            }
            work.view = work.ground.clone();
        }
    }
    let mut changes = Changes::new(cx);
    for (number, entry) in entries.iter().enumerate() {
        let owner = |owner: &Owner| work.owner(owner);
        if let Err(fault) = changes.add(number, &entry.action, &owner) {
            errors.push(Error { at: entry.at.clone(), fault });
        }
    }
    changes.write(&mut units, &mut work.out.made);
    if let Some(first) = entries.iter().position(|entry| is_user(&entry.action))
        && let Err(fault) = work.write_users(&mut units[first])
    {
        errors.push(Error { at: entries[first].at.clone(), fault });
    }
    for entry in entries {
        if let ResolvedAction::Link { path, target, hard: true } = &entry.action
            && let Err(fault) = work.hard_link(path, target, &mut units)
        {
            errors.push(Error { at: entry.at.clone(), fault });
        }
    }
    conflicts(entries, &units, &mut errors);
    work.out.users = entries.iter().any(|entry| is_user(&entry.action)).then(|| work.users.clone());
    if !errors.is_empty() {
        return Err(errors);
    }
    for (entry, unit) in entries.iter().zip(units) {
        if unit.nodes.is_empty() && unit.directories.is_empty() && unit.removes.is_empty() {
            continue;
        }
        work.out.at.push(entry.at.clone());
        work.out.units.push(unit);
    }
    Ok(work.out)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Remove,
    Link,
    Replace,
    Rest,
}

impl Turn {
    fn takes(self, entry: &ResolvedEntry) -> bool {
        match (&entry.action, self) {
            (ResolvedAction::Remove { .. }, Self::Remove) | (ResolvedAction::Link { .. }, Self::Link) => true,
            (ResolvedAction::File(file), Self::Replace) => file.replace,
            (ResolvedAction::Remove { .. }, Self::Rest) => false,
            (_, Self::Rest) => true,
            _ => false,
        }
    }
}

struct Work<'a> {
    cx: &'a Context<'a>,
    /// What stands below after removals: directories that exist here keep their attributes.
    ground: View<'a>,
    /// The same with what the recipe has put there so far.
    view: View<'a>,
    /// Those of what stands below, and the recipe's own.
    users: Users,
    /// The recipe's own symbolic links.
    links: Vec<(TreePath, Vec<u8>)>,
    /// The directories that `replace` makes anew.
    replaced: Vec<TreePath>,
    out: Expanded,
}

/// What an entry gives to everything that it makes.
struct Style<'a> {
    mode: Option<u32>,
    dir_mode: Option<u32>,
    owner: Option<(u32, u32)>,
    mtime: Mtime,
    xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    template: &'a ResolvedTemplate,
}

impl Work<'_> {
    fn entry(&mut self, entry: &ResolvedEntry, unit: &mut Unit) -> Result<(), Fault> {
        match &entry.action {
            ResolvedAction::Remove { glob, missing_ok } => self.remove(glob.as_str(), *missing_ok, unit),
            ResolvedAction::Link { hard: true, .. } => Ok(()),
            ResolvedAction::Link { path, target, hard: false } => {
                // Whether it stands on a directory is known when `replace` has taken away what it does.
                let path = self.view.resolve(&parse(path)?, Last::Keep)?;
                self.links.push((path.clone(), target.as_bytes().to_vec()));
                self.view.put_link(&path, target.as_bytes().to_vec());
                self.put(
                    unit,
                    path,
                    Kind::Symlink(target.as_bytes().to_vec()),
                    Attributes::new(0o777),
                    self.cx.epoch,
                )
            }
            ResolvedAction::Dir { path, mode, owner } => self.directory(path, *mode, owner.as_deref(), unit),
            ResolvedAction::File(file) => self.file(file, unit),
            ResolvedAction::User { .. }
            | ResolvedAction::Group { .. }
            | ResolvedAction::Edit { .. }
            | ResolvedAction::Owner { .. }
            | ResolvedAction::Ca { .. } => Ok(()),
        }
    }

    /// The lines of `[[user]]` and `[[group]]`: one file of each kind, however many entries.
    fn write_users(&mut self, unit: &mut Unit) -> Result<(), Fault> {
        let Users { passwd, group } = &self.users;
        let files = [(passwd.clone(), "/etc/passwd"), (group.clone(), "/etc/group")];
        for (database, path) in files {
            if !database.changed {
                continue;
            }
            let path = match database.path {
                Some(path) => path,
                None => self.place(path)?,
            };
            let content = Content::of(&database.bytes);
            self.out.made.insert(content, database.bytes);
            self.view.put_file(&path);
            self.put(unit, path, Kind::File(content), database.attributes, self.cx.epoch)?;
        }
        Ok(())
    }

    fn remove(&mut self, pattern: &str, missing_ok: bool, unit: &mut Unit) -> Result<(), Fault> {
        let base =
            (self.cx.removed)(pattern).ok_or_else(|| Fault::NeedsIndex { pattern: pattern.to_owned() })?;
        let below = self.cx.below;
        let mut matched: Vec<TreePath> =
            base.into_iter().filter(|path| below.lookup(path) != Found::Nothing).collect();
        let (prefix, rest) = split_pattern(pattern)?;
        if let Ok(prefix) = below.resolve(&prefix, Last::Follow) {
            matched.extend(below.above_facts().filter(|path| {
                path.strip_prefix(&prefix)
                    .is_some_and(|inner| !inner.is_root() && rest.matches(inner.as_bytes()))
            }));
        }
        if matched.is_empty() && !missing_ok {
            return Err(Fault::RemovesNothing { pattern: pattern.to_owned() });
        }
        matched.sort();
        matched.dedup();
        for path in topmost(matched) {
            let removed = self.kind_below(&path);
            unit.removes.insert(path, removed);
        }
        Ok(())
    }

    fn kind_below(&self, path: &TreePath) -> Removed {
        match self.cx.below.lookup(path) {
            Found::Directory(_) => Removed::Directory,
            _ => Removed::Other,
        }
    }

    fn directory(
        &mut self,
        path: &str,
        mode: Option<u32>,
        owner: Option<&Owner>,
        unit: &mut Unit,
    ) -> Result<(), Fault> {
        let path = self.view.resolve(&parse(path)?, Last::Follow)?;
        let mut attributes = match self.ground.lookup(&path) {
            Found::Directory(attributes) => attributes,
            Found::File | Found::Link(_) => return Err(Fault::NotADirectory { path }),
            Found::Nothing | Found::Unknown => Attributes::new(0o755),
        };
        attributes.mode = mode.unwrap_or(attributes.mode);
        if let Some(owner) = owner {
            (attributes.uid, attributes.gid) = self.owner(owner)?;
        }
        self.make_ancestors(&path);
        self.view.put_directory(&path, attributes.clone());
        unit.directories.insert(path, Claim { attributes, explicit: true, mtime: self.cx.epoch });
        Ok(())
    }

    fn file(&mut self, file: &ResolvedFile, unit: &mut Unit) -> Result<(), Fault> {
        let style = Style {
            mode: file.mode,
            dir_mode: file.dir_mode,
            owner: file.owner.as_ref().map(|owner| self.owner(owner)).transpose()?,
            mtime: file.mtime,
            xattrs: file
                .xattrs
                .iter()
                .map(|(name, value)| (name.clone().into_bytes(), value.value.clone()))
                .collect(),
            template: &file.template,
        };
        let to = parse(&file.to)?;
        match &file.source {
            ResolvedSource::Text(text) => {
                let path = self.place(&file.to)?;
                self.write(unit, path, text.value.clone().into_bytes(), &style, false)
            }
            ResolvedSource::From(keys) => {
                let one = self.names_one_file(file);
                for key in keys {
                    let sources = self.cx.sources;
                    let tree = sources
                        .get(&source_key(key))
                        .ok_or_else(|| Fault::NoSource { from: key.path.clone() })?;
                    if one {
                        self.single(unit, key, tree, file, &style)?;
                    } else {
                        self.tree(unit, (&to, key), tree, file, &style)?;
                    }
                }
                Ok(())
            }
        }
    }

    /// Takes away the directory whose place an entry's tree takes.
    fn replace(&mut self, file: &ResolvedFile, unit: &mut Unit) -> Result<(), Fault> {
        if self.names_one_file(file) {
            return Ok(());
        }
        let to = self.view.resolve(&parse(&file.to)?, Last::Follow)?;
        if to.is_root() || self.cx.below.lookup(&to) == Found::Nothing {
            return Ok(());
        }
        unit.removes.insert(to.clone(), self.kind_below(&to));
        self.ground.remove(&to);
        self.replaced.push(to);
        // The recipe's own links stay, wherever they are; and links lead to the directory that will be made.
        self.view = self.ground.clone();
        for path in self.replaced.clone() {
            self.make_ancestors(&path);
            self.view.put_directory(&path, Attributes::new(0o755));
        }
        for (path, target) in self.links.clone() {
            self.make_ancestors(&path);
            self.view.put_link(&path, target);
        }
        Ok(())
    }

    /// Whether `to` is the name of a file, and no directory.
    fn names_one_file(&self, file: &ResolvedFile) -> bool {
        let ResolvedSource::From(keys) = &file.source else { return true };
        let single = |key| self.cx.sources.get(&source_key(key)).is_some_and(|tree| tree.single);
        matches!(&keys[..], [key] if !file.into && single(key))
    }

    /// One file under the name that the recipe gives it.
    fn single(
        &mut self,
        unit: &mut Unit,
        key: &SourcePath,
        tree: &SourceTree,
        file: &ResolvedFile,
        style: &Style<'_>,
    ) -> Result<(), Fault> {
        let path = self.place(&file.to)?;
        for (name, node) in &tree.nodes {
            let template = rendered(style.template, name).is_some();
            let made = self.node(unit, path.clone(), node, template, file, style);
            made.map_err(|fault| named(fault, key, tree.single, name))?;
        }
        Ok(())
    }

    /// A directory's contents, or what a glob matched, below `to`.
    fn tree(
        &mut self,
        unit: &mut Unit,
        (to, key): (&TreePath, &SourcePath),
        tree: &SourceTree,
        file: &ResolvedFile,
        style: &Style<'_>,
    ) -> Result<(), Fault> {
        let to = self.view.resolve(to, Last::Follow)?;
        self.make_ancestors(&to);
        self.claim(unit, &to, None, style)?;
        if file.mount.is_some() && !tree.single {
            return Ok(());
        }
        // Where each directory of the source really lies: one may meet a link of the base.
        let mut places: BTreeMap<TreePath, TreePath> = BTreeMap::from([(TreePath::root(), to)]);
        let mut links = Vec::new();
        for (inner, node) in &tree.nodes {
            let parent = inner.parent().unwrap_or_default();
            let place = match places.get(&parent) {
                Some(place) => place.clone(),
                None => self.enter(unit, (&parent, tree), &mut places, style)?,
            };
            match node {
                SourceNode::Directory | SourceNode::Kept { kind: Kind::Directory { .. }, .. } => {
                    self.enter(unit, (inner, tree), &mut places, style)?;
                }
                SourceNode::Kept { kind: Kind::HardLink(target), attributes } => {
                    links.push((place, inner, target, style.keep(attributes, false)));
                }
                _ => {
                    let name = rendered(style.template, inner);
                    let path = place.join(name.as_ref().unwrap_or(inner).name());
                    self.not_on_a_directory(&path)?;
                    let made = self.node(unit, path, node, name.is_some(), file, style);
                    made.map_err(|fault| named(fault, key, tree.single, inner))?;
                }
            }
        }
        // Once it is known where all directories lie: what a link means may come later in the order of paths.
        for (place, inner, target, attributes) in links {
            let mtime = style.time(None, self.cx.epoch);
            let there = target.parent().and_then(|parent| places.get(&parent));
            let there = there.ok_or_else(|| Fault::NoSource { from: key.path.clone() })?;
            // Other names of a template are names of what it becomes.
            let template = rendered(style.template, target);
            let name = template.as_ref().and_then(|_| rendered(style.template, inner));
            let path = place.join(name.as_ref().unwrap_or(inner).name());
            let target = there.join(template.as_ref().unwrap_or(target).name());
            self.not_on_a_directory(&path)?;
            self.view.put_file(&path);
            self.put(unit, path, Kind::HardLink(target), attributes, mtime)?;
        }
        Ok(())
    }

    /// The place of a source's directory, made where it isn't there yet.
    fn enter(
        &mut self,
        unit: &mut Unit,
        (inner, tree): (&TreePath, &SourceTree),
        places: &mut BTreeMap<TreePath, TreePath>,
        style: &Style<'_>,
    ) -> Result<TreePath, Fault> {
        if let Some(place) = places.get(inner) {
            return Ok(place.clone());
        }
        let parent = self.enter(unit, (&inner.parent().unwrap_or_default(), tree), places, style)?;
        let place = self.view.resolve(&parent.join(inner.name()), Last::Follow)?;
        let kept = match tree.nodes.get(inner) {
            Some(SourceNode::Kept { attributes, .. }) => Some(attributes),
            _ => None,
        };
        self.claim(unit, &place, kept, style)?;
        places.insert(inner.clone(), place.clone());
        Ok(place)
    }

    /// Makes a directory of the entry, unless it stands below already and so keeps its attributes.
    fn claim(
        &mut self,
        unit: &mut Unit,
        path: &TreePath,
        kept: Option<&Attributes>,
        style: &Style<'_>,
    ) -> Result<(), Fault> {
        if path.is_root() {
            return Ok(());
        }
        match self.ground.lookup(path) {
            Found::Directory(_) => Ok(()),
            Found::File | Found::Link(_) => Err(Fault::NotADirectory { path: path.clone() }),
            Found::Nothing | Found::Unknown => {
                if self.view.lookup(path) == Found::File {
                    return Err(Fault::NotADirectory { path: path.clone() });
                }
                let mtime = style.time(None, self.cx.epoch);
                let attributes = match kept {
                    Some(kept) => style.keep(kept, true),
                    None => {
                        let (uid, gid) = style.owner.unwrap_or_default();
                        Attributes::new(style.dir_mode.unwrap_or(0o755)).owned(uid, gid)
                    }
                };
                let claim = Claim { attributes: attributes.clone(), explicit: false, mtime };
                unit.directories.insert(path.clone(), claim);
                self.view.put_directory(path, attributes);
                Ok(())
            }
        }
    }

    fn node(
        &mut self,
        unit: &mut Unit,
        path: TreePath,
        node: &SourceNode,
        template: bool,
        file: &ResolvedFile,
        style: &Style<'_>,
    ) -> Result<(), Fault> {
        match node {
            SourceNode::Directory => self.claim(unit, &path, None, style),
            SourceNode::Kept { kind, attributes } => {
                let attributes = style.keep(attributes, false);
                match kind {
                    Kind::File(content) if template => {
                        let bytes = (self.cx.render)(&(self.cx.read)(content)?, delimiters(file))?;
                        let content = Content::of(&bytes);
                        self.out.made.insert(content, bytes);
                        self.view.put_file(&path);
                        let mtime = style.time(Some(&content), self.cx.epoch);
                        self.put(unit, path, Kind::File(content), attributes, mtime)
                    }
                    Kind::File(content) => {
                        self.view.put_file(&path);
                        let mtime = style.time(Some(content), self.cx.epoch);
                        self.put(unit, path, kind.clone(), attributes, mtime)
                    }
                    Kind::Symlink(target) => {
                        self.view.put_link(&path, target.clone());
                        let mtime = style.time(None, self.cx.epoch);
                        self.put(unit, path, kind.clone(), attributes, mtime)
                    }
                    // Neither stands alone, nor below another path than a directory's.
                    Kind::Directory { .. } | Kind::HardLink(_) | Kind::Whiteout => Ok(()),
                }
            }
            SourceNode::Symlink(target) => {
                self.view.put_link(&path, target.clone());
                let (uid, gid) = style.owner.unwrap_or_default();
                let attributes = Attributes::new(0o777).owned(uid, gid);
                self.put(
                    unit,
                    path,
                    Kind::Symlink(target.clone()),
                    attributes,
                    style.time(None, self.cx.epoch),
                )
            }
            SourceNode::File { content, executable } if template => {
                let bytes = (self.cx.render)(&(self.cx.read)(content)?, delimiters(file))?;
                self.write(unit, path, bytes, style, *executable)
            }
            SourceNode::File { content, executable } => {
                self.regular(unit, path, *content, style, *executable)
            }
        }
    }

    fn write(
        &mut self,
        unit: &mut Unit,
        path: TreePath,
        bytes: Vec<u8>,
        style: &Style<'_>,
        executable: bool,
    ) -> Result<(), Fault> {
        let content = Content::of(&bytes);
        self.out.made.insert(content, bytes);
        self.regular(unit, path, content, style, executable)
    }

    fn regular(
        &mut self,
        unit: &mut Unit,
        path: TreePath,
        content: Content,
        style: &Style<'_>,
        executable: bool,
    ) -> Result<(), Fault> {
        let mode = style.mode.unwrap_or(if executable { 0o755 } else { 0o644 });
        let (uid, gid) = style.owner.unwrap_or_default();
        let attributes = Attributes { mode, uid, gid, xattrs: style.xattrs.clone() };
        self.view.put_file(&path);
        self.put(unit, path, Kind::File(content), attributes, style.time(Some(&content), self.cx.epoch))
    }

    fn put(
        &mut self,
        unit: &mut Unit,
        path: TreePath,
        kind: Kind,
        attributes: Attributes,
        mtime: i64,
    ) -> Result<(), Fault> {
        self.make_ancestors(&path);
        match unit.nodes.insert(path.clone(), Node { kind, attributes, mtime }) {
            None => Ok(()),
            Some(_) => Err(Fault::TwoOnOnePath { path, other: None }),
        }
    }

    /// Where a file, link or text goes: links on the way are followed, one at the end is replaced.
    fn place(&self, path: &str) -> Result<TreePath, Fault> {
        let path = self.view.resolve(&parse(path)?, Last::Keep)?;
        self.not_on_a_directory(&path)?;
        Ok(path)
    }

    fn not_on_a_directory(&self, path: &TreePath) -> Result<(), Fault> {
        match self.ground.lookup(path) {
            Found::Directory(_) => Err(Fault::OnADirectory { path: path.clone() }),
            _ => Ok(()),
        }
    }

    /// Tells the view of directories that will be made on the way to `path`.
    fn make_ancestors(&mut self, path: &TreePath) {
        let missing: Vec<TreePath> = path
            .ancestors()
            .take_while(|above| !matches!(self.view.lookup(above), Found::Directory(_)))
            .collect();
        for above in missing.iter().rev() {
            self.view.put_directory(above, Attributes::new(0o755));
        }
    }

    /// A second name for a file of this recipe, in the layer of that file.
    fn hard_link(&mut self, path: &str, target: &str, units: &mut [Unit]) -> Result<(), Fault> {
        let (path, target) = (self.place(path)?, self.view.resolve(&parse(target)?, Last::Keep)?);
        let mut holders = units.iter_mut().filter(|unit| unit.nodes.contains_key(&target));
        let holder = holders.next().ok_or_else(|| Fault::HardLinkOutside { target: target.clone() })?;
        let Some(Node { kind: Kind::File(_), attributes, mtime }) = holder.nodes.get(&target).cloned() else {
            return Err(Fault::HardLinkOutside { target });
        };
        let node = Node { kind: Kind::HardLink(target), attributes, mtime };
        self.view.put_file(&path);
        self.make_ancestors(&path);
        match holder.nodes.insert(path.clone(), node) {
            None => Ok(()),
            Some(_) => Err(Fault::TwoOnOnePath { path, other: None }),
        }
    }

    fn owner(&self, owner: &Owner) -> Result<(u32, u32), Fault> {
        let Users { passwd, group } = &self.users;
        let unknown_user = |name: &str| Fault::UnknownUser { name: name.to_owned(), known: passwd.names() };
        let (uid, primary) = match &owner.user {
            Id::Number(uid) => (*uid, None),
            Id::Name(name) => {
                let (uid, gid) = passwd.ids(name).ok_or_else(|| unknown_user(name))?;
                (uid, gid)
            }
        };
        let gid = match &owner.group {
            Some(Id::Number(gid)) => *gid,
            Some(Id::Name(name)) => {
                let unknown = || Fault::UnknownGroup { name: name.clone(), known: group.names() };
                group.ids(name).ok_or_else(unknown)?.0
            }
            // A bare number is user and group, as `chown 1000:1000` is mostly meant.
            None => primary.unwrap_or(uid),
        };
        Ok((uid, gid))
    }
}

impl Style<'_> {
    /// What a source says, but for what the entry says.
    fn keep(&self, kept: &Attributes, directory: bool) -> Attributes {
        let mode = if directory { self.dir_mode } else { self.mode };
        let (uid, gid) = self.owner.unwrap_or((kept.uid, kept.gid));
        let mut xattrs = kept.xattrs.clone();
        if !directory {
            xattrs.extend(self.xattrs.clone());
        }
        Attributes { mode: mode.unwrap_or(kept.mode), uid, gid, xattrs }
    }

    fn time(&self, content: Option<&Content>, epoch: i64) -> i64 {
        match (self.mtime, content) {
            (Mtime::Seconds(seconds), _) => seconds,
            (Mtime::Content, Some(content)) => {
                let [a, b, c, d, ..] = *content.digest.as_bytes();
                epoch - i64::from(u32::from_be_bytes([a, b, c, d]) % CONTENT_SPREAD)
            }
            (Mtime::Content | Mtime::Epoch, _) => epoch,
        }
    }
}

/// Whether an entry has a layer of its own: what comes from elsewhere moves by itself, and is large.
fn stands_alone(file: &ResolvedFile) -> bool {
    match &file.source {
        ResolvedSource::From(paths) => paths
            .iter()
            .any(|path| matches!(path.kind, SourceKind::Fetch | SourceKind::Image | SourceKind::Input)),
        ResolvedSource::Text(_) => false,
    }
}

fn delimiters(file: &ResolvedFile) -> (&str, &str) {
    (&file.delimiters.0, &file.delimiters.1)
}

/// The name under which a template is rendered, if it is one.
fn rendered(template: &ResolvedTemplate, path: &TreePath) -> Option<TreePath> {
    if *template == ResolvedTemplate::All {
        return Some(path.clone());
    }
    // Patterns are text; a name that isn't matches none.
    let text = std::str::from_utf8(path.as_bytes()).ok()?;
    TreePath::parse(template.rendered_name(text)?.as_bytes()).ok()
}

/// A template's fault with the name of its file.
fn named(fault: Fault, key: &SourcePath, single: bool, path: &TreePath) -> Fault {
    match fault {
        Fault::Template { error, suggestion, .. } => {
            let file = SourceLock::name(&source_key(key), single, path);
            Fault::Template { file: format!("{}/{file}", key.directory), error, suggestion }
        }
        other => other,
    }
}

/// Which source tree a `from` means.
pub(crate) fn source_key(path: &SourcePath) -> SourceKey {
    let texts = |globs: &[Glob]| globs.iter().map(|glob| glob.as_str().to_owned()).collect();
    SourceKey {
        kind: path.kind,
        // Where an input lies is no part of what it is.
        origin: if path.kind == SourceKind::Input { String::new() } else { path.directory.clone() },
        from: path.path.clone(),
        include: texts(&path.include),
        exclude: texts(&path.exclude),
        unpack: path.unpack.clone(),
        strip: path.strip,
        platform: path.platform.clone(),
    }
}

fn parse(path: &str) -> Result<TreePath, Fault> {
    TreePath::parse(path.as_bytes()).map_err(|source| Fault::Path { path: path.to_owned(), source })
}

/// A pattern's directory without wildcards, and the rest.
pub(crate) fn split_pattern(pattern: &str) -> Result<(TreePath, Glob), Fault> {
    let bad = || Fault::Pattern { pattern: pattern.to_owned() };
    let components: Vec<&str> = pattern.split('/').filter(|component| !component.is_empty()).collect();
    let literal = components.iter().take_while(|component| !crate::recipe::has_magic(component)).count();
    let literal = literal.min(components.len().saturating_sub(1));
    let prefix = parse(&components[..literal].join("/"))?;
    Ok((prefix, Glob::parse(&components[literal..].join("/")).map_err(|_| bad())?))
}

/// Leaves out what lies below another path of the sorted list.
pub(crate) fn topmost(sorted: Vec<TreePath>) -> Vec<TreePath> {
    let all: BTreeSet<TreePath> = sorted.iter().cloned().collect();
    sorted.into_iter().filter(|path| !path.ancestors().any(|above| all.contains(&above))).collect()
}

/// Two entries on one path, a file where another entry needs a directory, directories that two entries want
/// differently.
fn conflicts(entries: &[ResolvedEntry], units: &[Unit], errors: &mut Vec<Error>) {
    let mut written: BTreeMap<&TreePath, usize> = BTreeMap::new();
    let mut claimed: BTreeMap<&TreePath, (usize, &Claim)> = BTreeMap::new();
    let mut explicit: BTreeMap<&TreePath, usize> = BTreeMap::new();
    let mut fail = |index: usize, fault: Fault| errors.push(Error { at: entries[index].at.clone(), fault });
    let other = |index: usize| Some(entries[index].at.clone());
    for (index, unit) in units.iter().enumerate() {
        for path in unit.nodes.keys() {
            if let Some(first) = written.insert(path, index) {
                fail(index, Fault::TwoOnOnePath { path: path.clone(), other: other(first) });
            }
        }
        for (path, _) in unit.directories.iter().filter(|(_, claim)| claim.explicit) {
            if let Some(first) = explicit.insert(path, index) {
                fail(index, Fault::TwoOnOnePath { path: path.clone(), other: other(first) });
            }
        }
    }
    for (index, unit) in units.iter().enumerate() {
        for (path, claim) in &unit.directories {
            if let Some(first) = written.get(path) {
                fail(index, Fault::TwoOnOnePath { path: path.clone(), other: other(*first) });
            }
            if explicit.contains_key(path) {
                continue;
            }
            match claimed.get(path) {
                Some((first, earlier)) if earlier.attributes != claim.attributes => {
                    fail(index, Fault::DirectoryTwoWays { path: path.clone(), other: other(*first) });
                }
                Some(_) => {}
                None => drop(claimed.insert(path, (index, claim))),
            }
        }
        for path in unit.nodes.keys().chain(unit.directories.keys()) {
            if let Some((above, first)) =
                path.ancestors().find_map(|above| Some((above.clone(), *written.get(&above)?)))
            {
                fail(index, Fault::BelowOwnFile { path: path.clone(), file: above, other: other(first) });
            }
        }
    }
}
