//! What the working copy has to offer where a variant mounts it: sources, and below `.cooper/` the rendered copies of
//! templates.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use super::runner::Runner;
use crate::deploy::Mount;
use crate::disk;
use crate::recipe::{
    self, Mount as HowMounted, ResolvedFile, ResolvedSource, ResolvedTemplate, Room, SourcePath, interpolate,
};
use crate::tree::{Files, SourceNode};
use crate::work::Error;
use crate::work::checkout::Checkout;
use crate::workspace::{Scan, Target};

/// Where rendered copies lie, in the workspace.
const RENDERED: &str = ".cooper";

/// A source that is mounted, and where.
pub(crate) struct Mounted<'f> {
    path: &'f SourcePath,
    files: &'f Files,
    scan: Rc<Scan>,
    pub(crate) target: String,
}

/// What an entry's sources are mounted as.
pub(crate) fn mounted<'f>(
    checkout: &Checkout<'_>,
    file: &'f ResolvedFile,
) -> Result<Vec<Mounted<'f>>, Error> {
    let ResolvedSource::From(paths) = &file.source else { return Ok(Vec::new()) };
    let one = |path: &'f SourcePath| {
        let Some(files) = path.key.plain().filter(|_| !path.is_glob()) else {
            let name = format!("{}/{}", path.place(), path.key.name());
            let why = "only a file or directory beside the recipe can be mounted";
            return Err(Error::foreign(name, why).at(&path.at));
        };
        let scan = checkout.source_at(files, &path.at)?;
        let name = files.from.rsplit('/').next().unwrap_or_default();
        let name = file.template.rendered_name(name).unwrap_or_else(|| name.to_owned());
        // As it would be copied: one file alone may be called otherwise.
        let target = if scan.tree.single && (file.into || paths.len() > 1) {
            format!("{}/{name}", file.to.value.trim_end_matches('/'))
        } else {
            file.to.value.clone()
        };
        Ok(Mounted { path, files, scan, target })
    };
    paths.iter().map(one).collect()
}

/// Binds an entry's sources, as the file in `beside` names them.
pub(super) fn mount(
    checkout: &Checkout<'_>,
    (target, variant): (&Target, &str),
    file: &ResolvedFile,
    names: &BTreeMap<String, String>,
    (beside, runner): (&Path, Runner),
) -> Result<Vec<Mount>, Error> {
    let one = |mounted: Mounted<'_>| {
        let source = match &file.template {
            ResolvedTemplate::Off => {
                let files = mounted.files;
                let (home, directory) = checkout.workspace.home(&files.directory);
                let path = home.root().join(directory).join(&files.from);
                // An image has the link; an engine binds what it leads to.
                let held = home.check(&path);
                held.map_err(|error| Error::from(error).at(&mounted.path.at))?;
                path
            }
            _ => rendered(&copies(checkout, target, variant)?, file, names, &mounted)?,
        };
        Ok(Mount {
            source: from(beside, &source, runner),
            target: mounted.target,
            read_only: file.mount != Some(HowMounted::ReadWrite),
        })
    };
    mounted(checkout, file)?.into_iter().map(one).collect()
}

/// Where the rendered copies of a recipe lie.
pub(super) fn copies(checkout: &Checkout<'_>, target: &Target, variant: &str) -> Result<PathBuf, Error> {
    let path = checkout.workspace.root().join(RENDERED).join(variant).join(&target.stack).join(&target.name);
    checkout.workspace.check(&path)?;
    Ok(path)
}

/// Writes the rendered copy of a source, and says where.
fn rendered(
    copies: &Path,
    file: &ResolvedFile,
    names: &BTreeMap<String, String>,
    Mounted { path, scan, target, .. }: &Mounted<'_>,
) -> Result<PathBuf, Error> {
    let place = copies.join(target.trim_start_matches('/'));
    let delimiters = (file.delimiters.0.as_str(), file.delimiters.1.as_str());
    let room = Room::new(usize::MAX);
    for (inner, node) in &scan.tree.nodes {
        let text = inner.to_string();
        let text = text.trim_start_matches('/');
        let out = |name: &str| if scan.tree.single { place.clone() } else { place.join(name) };
        match node {
            SourceNode::Directory => disk::create_directories(&out(text))?,
            SourceNode::File { content, executable } => {
                let mut bytes = Vec::new();
                let name = file.template.rendered_name(text);
                let out = out(name.as_deref().unwrap_or(text));
                let failed = |error| disk::failed("read", &out)(error);
                scan.contents.open(content)?.read_to_end(&mut bytes).map_err(failed)?;
                if name.is_some() {
                    let lookup = |name: &str| names.get(name).cloned();
                    bytes = interpolate(&bytes, delimiters, &lookup, &room).map_err(|error| {
                        let kind = match error.fault {
                            recipe::TemplateFault::Undefined { name } => {
                                recipe::ErrorKind::Undefined { name, suggestion: None }
                            }
                            fault => recipe::ErrorKind::Template(fault),
                        };
                        Error::Recipes(vec![recipe::Error { at: Some(path.at.clone()), kind }])
                    })?;
                }
                disk::create_directories(disk::parent(&out))?;
                disk::write_atomic(&out, &bytes)?;
                if *executable {
                    disk::make_executable(&out)?;
                }
            }
            // Where a link leads, the container's engine will see.
            _ => {}
        }
    }
    Ok(place)
}

/// A path as it is named from a directory; absolute for who reads none that is relative.
fn from(beside: &Path, path: &Path, runner: Runner) -> String {
    if runner == Runner::Quadlet {
        return path.display().to_string();
    }
    let (beside, path) = (normal(beside), normal(path));
    let (mut here, mut there) = (beside.components().peekable(), path.components().peekable());
    while here.peek().is_some() && here.peek() == there.peek() {
        here.next();
        there.next();
    }
    let ups = here.count();
    let rest: PathBuf = there.collect();
    let dots = if ups == 0 { "./".to_owned() } else { "../".repeat(ups) };
    format!("{dots}{}", rest.display())
}

/// An absolute path without `..`.
fn normal(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut out, component| {
        match component {
            Component::ParentDir => drop(out.pop()),
            Component::CurDir => {}
            other => out.push(other),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_named_from_the_file() {
        let name = |beside: &str, path: &str| from(Path::new(beside), Path::new(path), Runner::Compose);
        assert_eq!(name("/w", "/w/recipes/a"), "./recipes/a");
        assert_eq!(name("/w/site/../deploy", "/w/recipes/a"), "../recipes/a");
        assert_eq!(name("/w/sub/../../deploy", "/w/recipes/a"), "../w/recipes/a");
        assert_eq!(name("/w/deploy/x", "/w/recipes/a"), "../../recipes/a");
        assert_eq!(from(Path::new("/w"), Path::new("/w/a"), Runner::Quadlet), "/w/a");
    }
}
