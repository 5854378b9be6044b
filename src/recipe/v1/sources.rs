//! What entries take from outside the recipe's own text: the key of each source, and what the recipe alone says of it.

use crate::oci::Platform;
use crate::recipe::entry::{Action, Entry, File, Source, Template};
use crate::recipe::patch::InputSource;
use crate::recipe::words::{self, sha256, url};
use crate::recipe::{At, Error, ErrorKind, Evaluated, Spanned};
use crate::tree::{Files, Portion, SourceKey};

use super::names::{Names, Reach, Scope, any, distinct, globs, normal, text_as};
use super::resolved::{SourcePath, is_for};
use super::{Glob, beside as relative, glob, has_magic, named, rooted as absolute};

/// What all entries of a platform take, in their order.
pub(in crate::recipe) fn source_paths(
    recipe: &Evaluated,
    scope: &Scope,
) -> Result<Vec<SourcePath>, Vec<Error>> {
    let names = Names::new(recipe, scope, Reach::Source);
    let mut paths = Vec::new();
    for entry in recipe.entries.iter().filter(|entry| is_for(entry, scope)) {
        match &entry.action {
            Action::File(file) => {
                paths.extend(paths_of(entry, file, recipe, &names).unwrap_or_default());
            }
            Action::Edit { path, .. } => paths.extend(in_base(path, true, false, &names)),
            Action::Owner { path, recursive, .. } => {
                paths.extend(in_base(path, false, *recursive, &names));
            }
            Action::Ca { from } => {
                paths.extend(certificates(entry, from, &names));
                paths.extend(bundles(from, &names));
            }
            _ => {}
        }
    }
    let errors = names.errors.into_inner();
    if errors.is_empty() { Ok(paths) } else { Err(distinct(errors)) }
}

/// What a file takes from outside the recipe's own text; nothing for `text`.
pub(super) fn paths_of(
    entry: &Entry,
    file: &File,
    recipe: &Evaluated,
    names: &Names<'_>,
) -> Option<Vec<SourcePath>> {
    // Read before the source and looked at after it, so that every mistake is told.
    let (include, exclude) = (globs(&file.include, true, names), globs(&file.exclude, true, names));
    let mut paths = match &file.source {
        Source::Text(_) => return Some(Vec::new()),
        Source::From(from) => named_beside(entry, from, names)?,
        Source::Fetch { url, sha256 } => vec![fetched(url, sha256.as_ref(), names)?],
        Source::Input(name) => vec![input(name, recipe, names)?],
        Source::Image { reference, path } => {
            let reference = text_as(names, reference, words::reference)?;
            vec![in_image(reference.value, normal(names, path, absolute)?, names)]
        }
        Source::Recipe { name, path } => {
            let name = text_as(names, name, words::recipe_name)?;
            vec![in_recipe(name.value, recipe, normal(names, path, absolute)?, names)]
        }
    };
    let unpack: Option<Vec<String>> = file.unpack.iter().map(|step| names.text(step)).collect();
    let (include, exclude) = (texts(&include?), texts(&exclude?));
    let (strip, owners) = (file.strip, file.archive_owners);
    let portion = Portion { include, exclude, unpack: unpack?, strip, owners };
    for path in &mut paths {
        path.case_clash = file.case_clash;
        path.read = file.template != Template::Off || is_edited(file, recipe);
        if let Some(own) = path.key.portion_mut() {
            own.clone_from(&portion);
        }
    }
    Some(paths)
}

/// Whether an `[[edit]]` may be about what a file entry writes.
fn is_edited(file: &File, recipe: &Evaluated) -> bool {
    let to = file.to.trim_end_matches('/');
    recipe.entries.iter().any(|entry| match &entry.action {
        Action::Edit { path, .. } => {
            let below = path.strip_prefix(to).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            below || path.contains("{{") || to.contains("{{")
        }
        _ => false,
    })
}

fn texts(globs: &[Glob]) -> Vec<String> {
    globs.iter().map(|glob| glob.as_str().to_owned()).collect()
}

fn path_of(at: At, key: SourceKey) -> SourcePath {
    SourcePath { at, key, case_clash: false, sha256: None, lies: None, made_by: None, read: false }
}

/// Files of the checkout.
fn named_beside(entry: &Entry, from: &[Spanned<String>], names: &Names<'_>) -> Option<Vec<SourcePath>> {
    let one = |text: &Spanned<String>| {
        let path = names.read(text, |written| {
            let path = relative(written)?;
            if has_magic(&path) {
                glob(&path)?;
            }
            Ok(path)
        });
        Some(in_checkout(entry, text.with(path?)))
    };
    from.iter().map(one).collect()
}

fn in_checkout(entry: &Entry, from: Spanned<String>) -> SourcePath {
    let (directory, portion) = (entry.at.directory().to_owned(), Portion::default());
    path_of(from.at, SourceKey::Files(Files { directory, from: from.value, portion }))
}

fn fetched(
    text: &Spanned<String>,
    digest: Option<&Spanned<String>>,
    names: &Names<'_>,
) -> Option<SourcePath> {
    let found = text_as(names, text, url)?;
    let digest = match digest {
        Some(text) => Some(names.read(text, sha256)?),
        None => None,
    };
    let key = SourceKey::Fetch { url: found.value, portion: Portion::default() };
    Some(SourcePath { sha256: digest, ..path_of(found.at, key) })
}

/// What an input is: something made elsewhere, or an image.
fn input(text: &Spanned<String>, recipe: &Evaluated, names: &Names<'_>) -> Option<SourcePath> {
    let Spanned { value: name, at } = normal(names, text, any)?;
    let Some(input) = recipe.inputs.get(&name) else {
        let suggestion = crate::recipe::suggest(&name, recipe.inputs.keys().map(String::as_str));
        names.push(Some(at), ErrorKind::NoInput { name, suggestion });
        return None;
    };
    let made = |platform| SourceKey::Input { name: name.clone(), portion: Portion::default(), platform };
    let path = match &input.value.from {
        InputSource::Open => path_of(at, made(None)),
        InputSource::Path(text) => {
            let lies = names.read(text, relative)?;
            let platform = text.value.contains("{{").then(|| short_platform(names));
            SourcePath { lies: Some(lies).filter(|lies| !lies.is_empty()), ..path_of(at, made(platform)) }
        }
        InputSource::Image { reference, path } => {
            let all = reference.with("/".to_owned());
            let path = normal(names, path.as_ref().unwrap_or(&all), absolute)?;
            in_image(text_as(names, reference, words::reference)?.value, path, names)
        }
    };
    let made_by = recipe.inputs.get(&text.value).and_then(|input| input.value.made_by.as_ref());
    Some(SourcePath { made_by: made_by.map(|command| command.value.clone()), ..path })
}

fn in_image(reference: String, path: Spanned<String>, names: &Names<'_>) -> SourcePath {
    let (portion, platform) = (Portion::default(), short_platform(names));
    path_of(path.at, SourceKey::Image { reference, path: path.value, portion, platform })
}

fn in_recipe(name: String, own: &Evaluated, path: Spanned<String>, names: &Names<'_>) -> SourcePath {
    let (portion, platform) = (Portion::default(), short_platform(names));
    let variant = own.variant.clone();
    path_of(path.at, SourceKey::Recipe { recipe: name, variant, path: path.value, portion, platform })
}

/// What is changed in what stands below; which that is, is for whoever knows.
pub(super) fn in_base(
    path: &Spanned<String>,
    read: bool,
    recursive: bool,
    names: &Names<'_>,
) -> Option<SourcePath> {
    let path = normal(names, path, named)?;
    let (on, platform) = (String::new(), short_platform(names));
    let key = SourceKey::Base { on, path: path.value, recursive, platform };
    Some(SourcePath { read, ..path_of(path.at, key) })
}

/// Where distributions keep the certificates that programs trust: Debian and Alpine, Red Hat, SUSE.
const BUNDLES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem"];

pub(super) fn bundles(from: &Spanned<String>, names: &Names<'_>) -> Vec<SourcePath> {
    let bundle = |path: &str| in_base(&from.with(path.to_owned()), true, false, names);
    BUNDLES.iter().filter_map(|path| bundle(path)).collect()
}

pub(super) fn certificates(entry: &Entry, from: &Spanned<String>, names: &Names<'_>) -> Option<SourcePath> {
    Some(in_checkout(entry, normal(names, from, relative)?))
}

/// The platform that is resolved for, `os/architecture`.
fn short_platform(names: &Names<'_>) -> String {
    let Scope { os, arch, arch_variant, .. } = names.scope();
    let variant = Some(arch_variant.clone()).filter(|variant| !variant.is_empty());
    let (os, architecture) = (os.clone(), arch.clone());
    Platform { os, architecture, variant, rest: crate::oci::json::Object::new() }.short()
}
