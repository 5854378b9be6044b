//! The checkout: where `cooper.toml`, recipes, their files, locks and committed blobs lie.
//!
//! Owns finding and reading them, as bytes, and writing locks and blobs. It must not know what a recipe or lock
//! says: texts go up as they are, and what to read of the sources comes down as [`Files`](crate::tree::Files). Nothing here
//! follows a symbolic link out of the directory that it belongs to: a file of a recipe's out of the recipe's, everything
//! else out of the workspace ([`Workspace::check`]).

mod blobs;
mod catalogue;
mod error;
mod line_endings;
mod named;
mod source;
mod target;
mod v1;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use self::named::Named;
pub use catalogue::unpack;
pub use error::Error;
pub use line_endings::differs_by_crlf_only;
pub use source::{Contents, LFS, RULES, Scan, read_input};
pub(crate) use target::in_catalogue;
pub use target::{Selected, Target, TargetPattern};
pub use v1::Filter;

use crate::digest::Digest;
use crate::disk::{self, Beneath};
use crate::oci::MAX_DOCUMENT;

/// The file that makes a directory a workspace.
pub const FILE: &str = "cooper.toml";

/// The file that makes a directory of `recipes/<stack>` a recipe.
const RECIPE: &str = "recipe.toml";

/// The most bytes of facts or a listing; documents have `oci::MAX_DOCUMENT`.
pub const MAX_BULK: u64 = 64 << 20;

/// A directory with a `cooper.toml`.
#[derive(Debug, Clone)]
pub struct Workspace {
    root: PathBuf,
    lockfiles: PathBuf,
    text: String,
    beneath: Arc<Beneath>,
    /// Others whose recipes these extend, as far as they were asked for.
    pub(crate) catalogues: Named<Self>,
}

/// The workspace that a directory lies in, whatever its `cooper.toml` is: no link of it may lead out.
///
/// # Errors
/// When it can't be found.
pub fn surrounding(start: &Path) -> Result<Option<Beneath>, Error> {
    let root = start.ancestors().find(|root| fs::symlink_metadata(root.join(FILE)).is_ok());
    Ok(root.map(Beneath::new).transpose()?)
}

impl Workspace {
    /// The workspace that `start`, an absolute path, lies in.
    ///
    /// # Errors
    /// No `cooper.toml` there or above, or an unreadable one.
    pub fn find(start: &Path) -> Result<Self, Error> {
        for root in start.ancestors() {
            if let Some(found) = Self::at(root)? {
                return Ok(found);
            }
        }
        Err(Error::NoWorkspace { start: start.to_owned() })
    }

    /// The one whose root a directory is; none where that has no `cooper.toml`.
    ///
    /// # Errors
    /// An unreadable one.
    pub fn at(root: &Path) -> Result<Option<Self>, Error> {
        let Some(text) = text(&root.join(FILE))? else { return Ok(None) };
        let (root, lockfiles) = (root.to_owned(), root.join("lockfiles"));
        let beneath = Arc::new(Beneath::new(&root)?);
        Ok(Some(Self { root, lockfiles, text, beneath, catalogues: Named::new() }))
    }

    /// The same with another set of locks (`--lockfiles`). Their blobs are written beside them, and looked for in
    /// the workspace's own as well.
    #[must_use]
    pub fn with_lockfiles(mut self, directory: PathBuf) -> Self {
        self.lockfiles = directory;
        self
    }

    /// Where `cooper.toml` lies.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Refuses a path of the workspace that a link in it leads out of it; see [`Beneath::check`].
    ///
    /// # Errors
    /// [`disk::Error::Led`], and what else is wrong on the way.
    pub fn check(&self, path: &Path) -> Result<(), Error> {
        Ok(self.beneath.check(path)?)
    }

    /// Refuses a path that leads anywhere but into the workspace, links followed.
    ///
    /// # Errors
    /// [`Error::Elsewhere`], and those of [`Workspace::check`].
    pub fn holds(&self, path: &Path) -> Result<(), Error> {
        self.check(path)?;
        if disk::lies_in(path, self.beneath.real()) {
            return Ok(());
        }
        Err(Error::Elsewhere { path: path.to_owned(), root: self.root.clone() })
    }

    /// What `cooper.toml` says.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the checkout's file system tells executable files from others. Where everything is executable, even
    /// `cooper.toml`, it doesn't (FAT, NTFS, some shared folders), and the locked bits hold.
    pub fn has_executable_bits(&self) -> bool {
        use std::os::unix::fs::PermissionsExt;
        fs::metadata(self.root.join(FILE)).map_or(true, |file| file.permissions().mode() & 0o100 == 0)
    }

    /// Where a recipe's lock lies, or would.
    pub fn lock_path(&self, target: &Target) -> PathBuf {
        self.lockfiles.join(&target.stack).join(format!("{}.lock", target.name))
    }

    /// Every recipe, sorted.
    ///
    /// # Errors
    /// A directory that holds a recipe and has a name that no recipe can have, or is a link.
    pub fn recipes(&self) -> Result<Vec<Target>, Error> {
        let recipes = self.root.join("recipes");
        self.check(&recipes)?;
        let mut found = Vec::new();
        let misplaced = |path: PathBuf| match exists(&path) {
            Ok(true) => Err(Error::Misplaced { path }),
            Ok(false) => Ok(()),
            Err(error) => Err(error),
        };
        misplaced(recipes.join(RECIPE))?;
        for (stack_path, stack, stack_linked) in self.directories(&recipes)? {
            misplaced(stack_path.join(RECIPE))?;
            for (path, name, linked) in self.directories(&stack_path)? {
                if !exists(&path.join(RECIPE))? {
                    // It would be a file of a recipe, if there were one.
                    self.directories(&path)?
                        .iter()
                        .try_for_each(|(path, ..)| misplaced(path.join(RECIPE)))?;
                    let other = |name: &OsString| name != RECIPE && name.eq_ignore_ascii_case(RECIPE);
                    if let Some((name, _)) = disk::list(&path)?.iter().find(|(name, _)| other(name)) {
                        return Err(Error::Misplaced { path: path.join(name) });
                    }
                    continue;
                }
                if stack_linked || linked {
                    return Err(Error::LinkedRecipe { path: if stack_linked { stack_path } else { path } });
                }
                let name = name.filter(|name| target::is_name(name)).ok_or(Error::Name { path })?;
                let named = stack.clone().filter(|stack| target::is_name(stack));
                let stack = named.ok_or_else(|| Error::Name { path: stack_path.clone() })?;
                found.push(Target { stack, name });
            }
        }
        if found.is_empty() {
            misplaced(self.root.join(RECIPE))?;
        }
        found.sort();
        Ok(found)
    }

    /// Every lock, sorted; also of recipes that there aren't any more.
    ///
    /// # Errors
    /// An unreadable directory.
    pub fn locks(&self) -> Result<Vec<Target>, Error> {
        self.check(&self.lockfiles)?;
        let mut found = Vec::new();
        for (path, stack, _) in self.directories(&self.lockfiles)? {
            for (file, kind) in disk::list(&path)? {
                let Some(name) = file.to_str().and_then(|file| file.strip_suffix(".lock")) else { continue };
                let sound = |text: &&str| target::is_name(text);
                if let (true, Some(stack), true) =
                    (kind.is_file(), stack.as_deref().filter(sound), sound(&name))
                {
                    found.push(Target { stack: stack.to_owned(), name: name.to_owned() });
                }
            }
        }
        found.sort();
        Ok(found)
    }

    /// A recipe's text.
    ///
    /// # Errors
    /// No such recipe, a link, not text.
    pub fn recipe_text(&self, target: &Target) -> Result<String, Error> {
        let missing = || Error::NoTarget { pattern: target.to_string(), suggestion: None };
        let origin = target.origin();
        let (home, inner) = self.home(&origin);
        if !home.root.join(inner).is_dir() {
            return Err(missing());
        }
        let directory = self.origin_directory(&origin)?;
        text(&directory.join("recipe.toml"))?.ok_or_else(missing)
    }

    /// A recipe's lock; none when there is none.
    ///
    /// # Errors
    /// Unreadable, not text.
    pub fn lock_text(&self, target: &Target) -> Result<Option<String>, Error> {
        let path = self.lock_path(target);
        self.check(disk::parent(&path))?;
        text(&path)
    }

    /// Writes a recipe's lock and tells whether that was needed. A lock that differs in its line endings only
    /// is left as git wants it.
    ///
    /// # Errors
    /// The file system's.
    pub fn write_lock(&self, target: &Target, new: &str) -> Result<bool, Error> {
        let path = self.lock_path(target);
        self.check(disk::parent(&path))?;
        let old = disk::read_optional(&path, MAX_BULK)?;
        if old.is_some_and(|old| {
            old == new.as_bytes() || differs_by_crlf_only(&old, Digest::of(new.as_bytes()))
        }) {
            return Ok(false);
        }
        disk::create_directories(disk::parent(&path))?;
        disk::write_swept(&path, new.as_bytes())?;
        Ok(true)
    }

    /// The workspace that a text speaks of, and the text without that one's name.
    pub(crate) fn home<'t>(&self, text: &'t str) -> (Self, &'t str) {
        let (name, rest) = target::in_catalogue(text);
        let found = name.and_then(|name| self.catalogues.get(name));
        found.map_or_else(|| (self.clone(), text), |found| (found, rest))
    }

    /// The root with no link in it.
    pub fn real(&self) -> &Path {
        self.beneath.real()
    }

    /// The real path of a recipe's directory, which no link may lead to.
    fn origin_directory(&self, origin: &str) -> Result<PathBuf, Error> {
        let (home, origin) = self.home(origin);
        let mut path = home.beneath.real().to_owned();
        for component in Path::new(origin).components() {
            path.push(component);
            let found = fs::symlink_metadata(&path).map_err(disk::failed("find", &path))?;
            if found.is_symlink() || !matches!(component, std::path::Component::Normal(_)) {
                return Err(Error::LinkedRecipe { path: home.root.join(origin) });
            }
        }
        Ok(path)
    }

    /// The directories, and links to some (`true`), in a directory; a name that isn't text is none.
    fn directories(&self, path: &Path) -> Result<Vec<(PathBuf, Option<String>, bool)>, Error> {
        let mut found = Vec::new();
        for (name, kind) in disk::list(path)? {
            let path = path.join(&name);
            if kind.is_symlink() && path.is_dir() {
                self.check(&path)?;
            } else if !kind.is_dir() {
                continue;
            }
            found.push((path, name.into_string().ok(), kind.is_symlink()));
        }
        Ok(found)
    }
}

/// What a stack's `stack.toml` says; none when there is none.
///
/// # Errors
/// A link, not text.
pub fn stack_text(workspace: &Workspace, stack: &str) -> Result<Option<String>, Error> {
    let file = stack_file(stack);
    let (home, file) = workspace.home(&file);
    let path = home.root.join(file);
    home.check(&path)?;
    text(&path)
}

/// Where the values of a stack stand, relative to the workspace.
pub fn stack_file(stack: &str) -> String {
    match target::in_catalogue(stack) {
        (Some(catalogue), stack) => format!("{catalogue}:recipes/{stack}/stack.toml"),
        (None, stack) => format!("recipes/{stack}/stack.toml"),
    }
}

fn exists(path: &Path) -> Result<bool, Error> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(disk::failed("find", path)(error).into()),
    }
}

fn text(path: &Path) -> Result<Option<String>, Error> {
    let Some(bytes) = disk::read_optional(path, MAX_DOCUMENT)? else { return Ok(None) };
    String::from_utf8(bytes).map(Some).map_err(|_| Error::NotText { path: path.to_owned() })
}

#[cfg(test)]
mod tests;
