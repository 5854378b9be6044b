//! Whether paths stay in a directory that somebody else has filled.
//!
//! One look along a path, component by component, before it is used: whoever filled a checkout did so before Cooper runs,
//! and what changes it meanwhile could as well change the files themselves. The path is then opened as it is.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::error::{Error, again, failed};

/// As many links as Linux follows.
const MAX_LINKS: usize = 40;

/// A directory that no link in it may lead out of.
#[derive(Debug)]
pub struct Beneath {
    /// As it was called.
    named: PathBuf,
    /// Without a link in it.
    real: PathBuf,
    /// Paths that were looked at.
    sound: Mutex<BTreeSet<PathBuf>>,
}

/// A link on the way.
struct Link {
    path: PathBuf,
    target: PathBuf,
    /// How many components are left once what it leads to is through.
    rest: usize,
}

impl Beneath {
    /// A directory, whatever links lead to it.
    ///
    /// # Errors
    /// When it isn't there.
    pub fn new(dir: &Path) -> Result<Self, Error> {
        let real = again(|| fs::canonicalize(dir)).map_err(failed("find", dir))?;
        Ok(Self { named: dir.to_owned(), real, sound: Mutex::default() })
    }

    /// The directory without a link in it.
    pub fn real(&self) -> &Path {
        &self.real
    }

    /// Refuses a path of the directory that a link in it leads out of it, there or not yet. The last component is followed
    /// as well: of a file that is opened or replaced as what it is, ask for its directory. A path that lies elsewhere by
    /// what it says itself is nobody's but its author's.
    ///
    /// A link may go by `..` or by the directory's own name, if only it ends inside; another way round leads out.
    ///
    /// # Errors
    /// [`Error::Led`], or when something on the way can't be looked at.
    pub fn check(&self, path: &Path) -> Result<(), Error> {
        if self.sound.lock().unwrap_or_else(PoisonError::into_inner).contains(path) {
            return Ok(());
        }
        let Some(rest) = self.below(path) else { return Ok(()) };
        self.walk(rest)?;
        self.sound.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned());
        Ok(())
    }

    /// What a path is called from the directory on.
    fn below<'p>(&self, path: &'p Path) -> Option<&'p Path> {
        path.strip_prefix(&self.named).or_else(|_| path.strip_prefix(&self.real)).ok()
    }

    fn walk(&self, path: &Path) -> Result<(), Error> {
        let (mut at, mut parts, mut links, mut followed) = (self.real.clone(), Vec::new(), Vec::new(), 0);
        push(path, &mut parts);
        while let Some(part) = parts.pop() {
            let open = links.iter().take_while(|link: &&Link| link.rest <= parts.len()).count();
            if let Some(link) = links[open..].last().filter(|_| !at.starts_with(&self.real)) {
                return Err(self.led(link, Some(&self.named)));
            }
            links.truncate(open);
            if part == ".." {
                at.pop();
            } else {
                at.push(part);
            }
            if !at.starts_with(&self.real) {
                // Of the directories above it is known that none is a link: `..` means there what it says.
                let leads_back = self.real.starts_with(&at);
                match links.last() {
                    _ if leads_back => continue,
                    Some(link) => return Err(self.led(link, Some(&self.named))),
                    None => return Ok(()),
                }
            }
            let Some(target) = link_at(&at)? else { continue };
            let link = Link { path: at.clone(), target, rest: parts.len() };
            followed += 1;
            if followed > MAX_LINKS {
                return Err(self.led(&link, None));
            }
            match self.below(&link.target) {
                Some(inside) => {
                    at = self.real.clone();
                    push(inside, &mut parts);
                }
                None if link.target.is_absolute() => return Err(self.led(&link, Some(&self.named))),
                None => {
                    at.pop();
                    push(&link.target, &mut parts);
                }
            }
            links.push(link);
        }
        match links.last() {
            Some(link) if !at.starts_with(&self.real) => Err(self.led(link, Some(&self.named))),
            _ => Ok(()),
        }
    }

    /// The error, in the words in which the directory was called.
    fn led(&self, link: &Link, out_of: Option<&Path>) -> Error {
        let path = link.path.strip_prefix(&self.real).map_or(link.path.clone(), |path| self.named.join(path));
        Error::Led { link: path, target: link.target.clone(), out_of: out_of.map(Path::to_owned) }
    }
}

/// Puts a path's components on the stack, the first on top.
fn push(path: &Path, parts: &mut Vec<OsString>) {
    let words = path.components().filter(|part| matches!(part, Component::Normal(_) | Component::ParentDir));
    parts.extend(words.rev().map(|part| part.as_os_str().to_owned()));
}

/// Where a path leads, if it is a link.
fn link_at(path: &Path) -> Result<Option<PathBuf>, Error> {
    use io::ErrorKind::{NotADirectory, NotFound};
    match again(|| fs::symlink_metadata(path)) {
        Ok(found) if found.is_symlink() => {
            again(|| fs::read_link(path)).map(Some).map_err(failed("read the link", path))
        }
        Ok(_) => Ok(None),
        Err(error) if matches!(error.kind(), NotFound | NotADirectory) => Ok(None),
        Err(error) => Err(failed("look at", path)(error)),
    }
}

/// Whether a path leads into a directory, links followed, there or not yet.
pub fn lies_in(path: &Path, dir: &Path) -> bool {
    let Ok(dir) = again(|| fs::canonicalize(dir)) else { return false };
    for above in path.ancestors() {
        match again(|| fs::canonicalize(above)) {
            Ok(real) => return real.starts_with(&dir),
            // A link to nowhere may lead anywhere, and what `..` means behind nothing can't be told.
            Err(_) if above.file_name().is_none() || fs::symlink_metadata(above).is_ok() => return false,
            Err(_) => {}
        }
    }
    false
}
