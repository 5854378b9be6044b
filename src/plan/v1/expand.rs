//! Encoding 1: from a recipe's entries and its sources to units of resolved paths.
//!
//! Owns what an entry means: which paths it writes, with which attributes, what it takes away. Looks up owners in
//! the facts, resolves every path over what stands below and what the recipe itself has put there, and refuses two
//! entries on one path. Its result decides bytes: never edited once encoding 1 is frozen, only added beside.

use std::collections::{BTreeMap, BTreeSet};

use super::layers::{Claim, Removed, Unit};
use crate::layer::facts::{Facts, UserDatabase};
use crate::lock::SourceLock;
use crate::plan::view::{Found, Last, View};
use crate::plan::{Error, Fault};
use crate::recipe::{
    At, Glob, Id, Mtime, Owner, ResolvedAction, ResolvedEntry, ResolvedFile, ResolvedSource,
    ResolvedTemplate, SourcePath,
};
use crate::tree::{Attributes, Content, Kind, Node, SourceKey, SourceNode, SourceTree, Sources, TreePath};

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
}

/// Expands all entries of one variant on one platform.
pub(crate) fn expand(entries: &[ResolvedEntry], cx: &Context<'_>) -> Result<Expanded, Vec<Error>> {
    let (ground, view) = (cx.below.clone(), cx.below.clone());
    let mut work =
        Work { cx, ground, view, links: Vec::new(), replaced: Vec::new(), out: Expanded::default() };
    let mut units: Vec<Unit> =
        entries.iter().map(|entry| Unit { layer: entry.layer.clone(), ..Unit::default() }).collect();
    let mut errors = Vec::new();
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
    for entry in entries {
        if let ResolvedAction::Link { path, target, hard: true } = &entry.action
            && let Err(fault) = work.hard_link(path, target, &mut units)
        {
            errors.push(Error { at: entry.at.clone(), fault });
        }
    }
    conflicts(entries, &units, &mut errors);
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
    /// The recipe's own symbolic links.
    links: Vec<(TreePath, Vec<u8>)>,
    /// The directories that `replace` makes anew.
    replaced: Vec<TreePath>,
    out: Expanded,
}

/// What an entry gives to everything that it makes.
struct Style<'a> {
    mode: Option<u32>,
    uid: u32,
    gid: u32,
    directory: Attributes,
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
        }
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
        let (uid, gid) = self.owner(&file.owner)?;
        let style = Style {
            mode: file.mode,
            uid,
            gid,
            directory: Attributes::new(file.dir_mode).owned(uid, gid),
            mtime: file.mtime,
            xattrs: file
                .xattrs
                .iter()
                .map(|(name, value)| (name.clone().into_bytes(), value.clone()))
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
        self.claim(unit, &to, style)?;
        if file.mount.is_some() && !tree.single {
            return Ok(());
        }
        // Where each directory of the source really lies: one may meet a link of the base.
        let mut places: BTreeMap<TreePath, TreePath> = BTreeMap::from([(TreePath::root(), to)]);
        for (inner, node) in &tree.nodes {
            let parent = inner.parent().unwrap_or_default();
            let place = match places.get(&parent) {
                Some(place) => place.clone(),
                None => self.enter(unit, &parent, &mut places, style)?,
            };
            match node {
                SourceNode::Directory => {
                    self.enter(unit, inner, &mut places, style)?;
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
        Ok(())
    }

    /// The place of a source's directory, made where it isn't there yet.
    fn enter(
        &mut self,
        unit: &mut Unit,
        inner: &TreePath,
        places: &mut BTreeMap<TreePath, TreePath>,
        style: &Style<'_>,
    ) -> Result<TreePath, Fault> {
        if let Some(place) = places.get(inner) {
            return Ok(place.clone());
        }
        let parent = self.enter(unit, &inner.parent().unwrap_or_default(), places, style)?;
        let place = self.view.resolve(&parent.join(inner.name()), Last::Follow)?;
        self.claim(unit, &place, style)?;
        places.insert(inner.clone(), place.clone());
        Ok(place)
    }

    /// Makes a directory of the entry, unless it stands below already and so keeps its attributes.
    fn claim(&mut self, unit: &mut Unit, path: &TreePath, style: &Style<'_>) -> Result<(), Fault> {
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
                let claim = Claim { attributes: style.directory.clone(), explicit: false, mtime };
                unit.directories.insert(path.clone(), claim);
                self.view.put_directory(path, style.directory.clone());
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
            SourceNode::Directory => self.claim(unit, &path, style),
            SourceNode::Symlink(target) => {
                self.view.put_link(&path, target.clone());
                let attributes = Attributes::new(0o777).owned(style.uid, style.gid);
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
        let attributes = Attributes { mode, uid: style.uid, gid: style.gid, xattrs: style.xattrs.clone() };
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
        let facts = self.cx.facts;
        let unknown_user =
            |name: &str| Fault::UnknownUser { name: name.to_owned(), known: names_of(facts.passwd.as_ref()) };
        let (uid, primary) = match &owner.user {
            Id::Number(uid) => (*uid, None),
            Id::Name(name) => {
                let (uid, gid) = facts.user(name.as_bytes()).ok_or_else(|| unknown_user(name))?;
                (uid, Some(gid))
            }
        };
        let gid = match &owner.group {
            Some(Id::Number(gid)) => *gid,
            Some(Id::Name(name)) => facts.group(name.as_bytes()).ok_or_else(|| Fault::UnknownGroup {
                name: name.clone(),
                known: names_of(facts.group.as_ref()),
            })?,
            // A bare number is user and group, as `chown 1000:1000` is mostly meant.
            None => primary.unwrap_or(uid),
        };
        Ok((uid, gid))
    }
}

impl Style<'_> {
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

/// The first field of every line.
fn names_of(database: Option<&UserDatabase>) -> Vec<String> {
    let text = database.map(|database| String::from_utf8_lossy(&database.bytes)).unwrap_or_default();
    text.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name.to_owned()).collect()
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
        origin: path.directory.clone(),
        from: path.path.clone(),
        include: texts(&path.include),
        exclude: texts(&path.exclude),
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
