//! What stands where while entries are read, and the entries that need no more than that.

use std::collections::BTreeMap;

use super::paths::{parse, split_pattern, topmost};
use crate::plan::Fault;
use crate::plan::v1::context::Context;
use crate::plan::v1::layers::{Claim, Removed, Unit};
use crate::plan::v1::users::Users;
use crate::plan::view::{Found, Last, View};
use crate::recipe::{Mode, Owner, ResolvedFile, ResolvedSource, SourcePath};
use crate::tree::{Attributes, Content, Kind, Node, TreePath};

pub(super) struct Work<'a> {
    pub(super) cx: &'a Context<'a>,
    /// What stands below after removals: directories that exist here keep their attributes.
    pub(super) ground: View<'a>,
    /// The same with what the recipe has put there so far.
    pub(super) view: View<'a>,
    /// Those of what stands below, and the recipe's own.
    pub(super) users: Users,
    /// The recipe's own symbolic links.
    links: Vec<(TreePath, Vec<u8>)>,
    /// The directories that `replace` makes anew.
    replaced: Vec<TreePath>,
    /// Contents that no source file has.
    pub(super) made: BTreeMap<Content, Vec<u8>>,
}

impl<'a> Work<'a> {
    pub(super) fn new(cx: &'a Context<'a>) -> Self {
        Self {
            cx,
            ground: cx.below.clone(),
            view: cx.below.clone(),
            users: Users::of(cx.facts, cx.base_facts),
            links: Vec::new(),
            replaced: Vec::new(),
            made: BTreeMap::new(),
        }
    }

    /// Goes on without what entries take away.
    pub(super) fn go_without(&mut self, units: &[Unit]) {
        for path in units.iter().flat_map(|unit| unit.removes.keys()) {
            self.ground.remove(path);
        }
        self.view = self.ground.clone();
    }

    pub(super) fn link(&mut self, path: &str, target: &str, unit: &mut Unit) -> Result<(), Fault> {
        let path = self.view.resolve(&parse(path)?, Last::Keep)?;
        let target = target.as_bytes().to_vec();
        self.links.push((path.clone(), target.clone()));
        self.view.put_link(&path, target.clone());
        let (kind, attributes) = (Kind::Symlink(target), Attributes::new(0o777));
        self.put(unit, path, Node { kind, attributes, mtime: self.cx.epoch })
    }

    /// Writes the lines of `[[user]]` and `[[group]]`: one file of each kind, however many entries.
    pub(super) fn write_users(&mut self, unit: &mut Unit) -> Result<(), Fault> {
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
            self.made.insert(content, database.bytes);
            self.view.put_file(&path);
            let (kind, attributes) = (Kind::File(content), database.attributes);
            self.put(unit, path, Node { kind, attributes, mtime: self.cx.epoch })?;
        }
        Ok(())
    }

    pub(super) fn remove(&self, pattern: &str, missing_ok: bool, unit: &mut Unit) -> Result<(), Fault> {
        let base =
            (self.cx.removed)(pattern).ok_or_else(|| Fault::NeedsIndex { pattern: pattern.to_owned() })?;
        let below = self.cx.below;
        let mut matched: Vec<TreePath> =
            base.into_iter().filter(|path| below.lookup(path) != Found::Nothing).collect();
        let (prefix, rest) = split_pattern(pattern)?;
        if let Ok(prefix) = below.resolve(&prefix, Last::Follow) {
            let above = below.above_facts();
            matched.extend(
                above.filter(|path| path.below(&prefix).is_some_and(|inner| rest.matches(inner))).cloned(),
            );
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

    pub(super) fn directory(
        &mut self,
        path: &str,
        mode: Option<&Mode>,
        owner: Option<&Owner>,
        unit: &mut Unit,
    ) -> Result<(), Fault> {
        let path = self.view.resolve(&parse(path)?, Last::Follow)?;
        let mut attributes = match self.ground.lookup(&path) {
            Found::Directory(attributes) => attributes,
            Found::File | Found::Link(_) => return Err(Fault::NotADirectory { path }),
            Found::Nothing | Found::Unknown => Attributes::new(0o755),
        };
        if let Some(mode) = mode {
            attributes.mode = mode.apply(attributes.mode, true);
        }
        if let Some(owner) = owner {
            (attributes.uid, attributes.gid) = self.users.owner(owner)?;
        }
        self.make_ancestors(&path);
        self.view.put_directory(&path, attributes.clone());
        unit.directories.insert(path, Claim { attributes, explicit: true, mtime: self.cx.epoch });
        Ok(())
    }

    /// Takes away the directory whose place an entry's tree takes.
    pub(super) fn replace(&mut self, file: &ResolvedFile, unit: &mut Unit) -> Result<(), Fault> {
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
    pub(super) fn names_one_file(&self, file: &ResolvedFile) -> bool {
        let ResolvedSource::From(paths) = &file.source else { return true };
        let single = |path: &SourcePath| self.cx.sources.get(&path.key).is_some_and(|tree| tree.single);
        matches!(&paths[..], [path] if !file.into && single(path))
    }

    /// Makes a second name for a file of this recipe, in the layer of that file.
    pub(super) fn hard_link(
        &mut self,
        path: &str,
        target: &str,
        units: &mut [Unit],
        holders: &mut BTreeMap<TreePath, usize>,
    ) -> Result<(), Fault> {
        let (path, target) = (self.place(path)?, self.view.resolve(&parse(target)?, Last::Keep)?);
        let number = holders.get(&target).copied();
        let number = number.ok_or_else(|| Fault::HardLinkOutside { target: target.clone() })?;
        let first = holders.entry(path.clone()).or_insert(number);
        *first = number.min(*first);
        let holder = &mut units[number];
        let Some(Node { kind: Kind::File(_), attributes, mtime }) = holder.nodes.get(&target).cloned() else {
            return Err(Fault::HardLinkOutside { target });
        };
        self.view.put_file(&path);
        self.put(holder, path, Node { kind: Kind::HardLink(target), attributes, mtime })
    }

    pub(super) fn put(&mut self, unit: &mut Unit, path: TreePath, node: Node) -> Result<(), Fault> {
        self.make_ancestors(&path);
        match unit.nodes.insert(path.clone(), node) {
            None => Ok(()),
            Some(_) => Err(Fault::TwoOnOnePath { path, other: None }),
        }
    }

    /// Where a file, link or text goes: links on the way are followed, one at the end is replaced.
    pub(super) fn place(&self, path: &str) -> Result<TreePath, Fault> {
        let path = self.view.resolve(&parse(path)?, Last::Keep)?;
        self.not_on_a_directory(&path)?;
        Ok(path)
    }

    pub(super) fn not_on_a_directory(&self, path: &TreePath) -> Result<(), Fault> {
        match self.ground.lookup(path) {
            Found::Directory(_) => Err(Fault::OnADirectory { path: path.clone() }),
            _ => Ok(()),
        }
    }

    /// Puts the directories that will be made on the way to `path` into the view.
    pub(super) fn make_ancestors(&mut self, path: &TreePath) {
        let missing: Vec<TreePath> = path
            .ancestors()
            .take_while(|above| !matches!(self.view.lookup(above), Found::Directory(_)))
            .collect();
        for above in missing.iter().rev() {
            self.view.put_directory(above, Attributes::new(0o755));
        }
    }
}
