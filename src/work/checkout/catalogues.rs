//! Other workspaces, as far as recipes of this one name them.

use std::path::PathBuf;

use crate::recipe::{self, Selector, Spanned, WorkspaceFile, layout_place};
use crate::work::fetch::readable;
use crate::work::{Env, Error, catalogue};
use crate::workspace::{Target, Workspace, in_catalogue};

/// A command, its workspace, and what `cooper.toml` says.
type Whose<'c> = (&'c Env<'c>, &'c Workspace, &'c WorkspaceFile);

/// The recipe that another one extends in another workspace; none where it is beside it in this one.
pub(super) fn extends(
    (env, workspace, file): Whose<'_>,
    child: &Target,
    name: &Spanned<String>,
) -> Result<Option<Target>, Error> {
    let (catalogue, wanted) = match (child.catalogue().0, in_catalogue(&name.value)) {
        (None, (None, _)) => return Ok(None),
        (None, (Some(catalogue), wanted)) | (Some(catalogue), (None, wanted)) => (catalogue, wanted),
        (Some(_), (Some(_), _)) => {
            let why = "a recipe of another workspace can't extend one of a third";
            return Err(Error::usage(why).at(&name.at));
        }
    };
    open((env, workspace, file), catalogue).map_err(|error| error.at(&name.at))?;
    let known = workspace.home(&format!("{catalogue}:")).0.recipes()?;
    let found = wanted.parse().ok().filter(|target| known.contains(target));
    let found = found.ok_or_else(|| no_parent(child, name, wanted, &known))?;
    Ok(Some(Target { stack: format!("{catalogue}:{}", found.stack), name: found.name }))
}

/// Makes another workspace that `cooper.toml` names known.
pub(super) fn open((env, workspace, file): Whose<'_>, name: &str) -> Result<(), Error> {
    if workspace.catalogues.get(name).is_some() {
        return Ok(());
    }
    let Some(found) = file.catalogues.get(name) else {
        let known = file.catalogues.keys().map(String::as_str);
        let suggestion = recipe::suggest(name, known);
        return Err(Error::NoCatalogue { name: name.to_owned(), suggestion });
    };
    let opened = catalogue::open(env, workspace, found)?;
    workspace.catalogues.insert(name, opened);
    Ok(())
}

/// The layout or archive of images at a place, which is relative to the workspace or to the one whose name it begins with;
/// and which of its images is meant.
pub(crate) fn readable_layout(
    (env, workspace, file): Whose<'_>,
    text: &str,
) -> Result<(PathBuf, Option<Selector>), Error> {
    if let (Some(name), _) = in_catalogue(text)
        && file.catalogues.contains_key(name)
    {
        open((env, workspace, file), name)?;
    }
    let (home, text) = workspace.home(text);
    let wrong = |kind| Error::Recipes(vec![recipe::Error { at: None, kind }]);
    let (path, selector) = layout_place(text).map_err(wrong)?;
    let path = readable(env, &home, home.root().join(path))?;
    readable(env, &home, path.join("blobs/sha256"))?;
    Ok((path, selector))
}

pub(super) fn no_parent(child: &Target, name: &Spanned<String>, wanted: &str, known: &[Target]) -> Error {
    let names: Vec<String> = known.iter().map(ToString::to_string).collect();
    let suggestion = recipe::suggest(wanted, names.iter().map(String::as_str));
    let (recipe, parent) = (child.to_string(), name.value.clone());
    Error::NoParent { recipe, parent, suggestion }.at(&name.at)
}
