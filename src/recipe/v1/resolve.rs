//! One variant for one platform: strings interpolated, entries of other platforms left out, defaults filled in.

use std::collections::BTreeMap;

use crate::recipe::config::{Cmd, Config, Healthcheck};
use crate::recipe::entry::{Action, Change, Entry, File, Owner, Source, Template};
use crate::recipe::patch::{Base, Image};
use crate::recipe::words::{self, field};
use crate::recipe::{Error, ErrorKind, Evaluated, Spanned};

use super::names::{Names, Reach, Scope, any, distinct, globs, normal, text_as};
use super::path::PathFault;
use super::resolved::{
    Resolved, ResolvedAction, ResolvedEntry, ResolvedFile, ResolvedSource, ResolvedTemplate, SourcePath,
    is_for,
};
use super::sources::{bundles, certificates, in_base, paths_of};
use super::template::DELIMITERS;
use super::values::{layout_place, login, port};
use super::{below_root, glob, link_target, named, rooted as absolute};

/// Interpolates everything but the contents of files, leaves out entries of other platforms, fills in defaults.
pub(in crate::recipe) fn resolve(recipe: &Evaluated, scope: &Scope) -> Result<Resolved, Vec<Error>> {
    let names = Names::new(recipe, scope, Reach::All);
    let values = names.all();
    let base = base_reference(recipe, scope);
    let image = image(&recipe.image, &names);
    let config = config(&recipe.config, &names);
    let sources = Names::new(recipe, scope, Reach::Source);
    let mut entries = Vec::new();
    for entry in recipe.entries.iter().filter(|entry| is_for(entry, scope)) {
        entries.extend(entry_of(entry, recipe, &names, &sources));
    }
    let mut errors = names.errors.into_inner();
    errors.extend(sources.errors.into_inner());
    match base {
        Ok(base) if errors.is_empty() => Ok(Resolved { image, base, config, entries, names: values }),
        base => {
            errors.extend(base.err().into_iter().flatten());
            Err(distinct(errors))
        }
    }
}

/// What is known before a platform is chosen is enough for it.
pub(in crate::recipe) fn base_reference(recipe: &Evaluated, scope: &Scope) -> Result<Base, Vec<Error>> {
    let names = Names::new(recipe, scope, Reach::Base);
    let base = match &recipe.base {
        Base::Image(text) => text_as(&names, text, words::reference).map(Base::Image),
        Base::Recipe(text) => text_as(&names, text, words::recipe_name).map(Base::Recipe),
        Base::Layout(text) => text_as(&names, text, |text| layout_place(text).map(drop)).map(Base::Layout),
        Base::Scratch(at) => Some(Base::Scratch(at.clone())),
        Base::Extends(text) => {
            names.push(Some(text.at.clone()), ErrorKind::NoBase);
            None
        }
    };
    base.ok_or_else(|| distinct(names.errors.into_inner()))
}

/// As written, normalised: the lock knows them by this text.
pub(in crate::recipe) fn remove_patterns(
    recipe: &Evaluated,
    scope: &Scope,
) -> Result<Vec<String>, Vec<Error>> {
    let names = Names::new(recipe, scope, Reach::Source);
    let mut patterns = Vec::new();
    for entry in recipe.entries.iter().filter(|entry| is_for(entry, scope)) {
        if let Action::Remove { path, .. } = &entry.action {
            let read = names.read(path, |path| glob(&below_root(path)?));
            patterns.extend(read.map(|glob| glob.as_str().to_owned()));
        }
    }
    let errors = names.errors.into_inner();
    if errors.is_empty() { Ok(patterns) } else { Err(distinct(errors)) }
}

fn list(
    names: &Names<'_>,
    list: &Option<Vec<Spanned<String>>>,
    read: impl Fn(&str) -> Result<String, ErrorKind>,
) -> Option<Vec<Spanned<String>>> {
    list.as_ref().map(|list| list.iter().filter_map(|text| normal(names, text, &read)).collect())
}

fn image(image: &Image, names: &Names<'_>) -> Image {
    let text = |text: &Option<Spanned<String>>| text.as_ref().and_then(|text| normal(names, text, any));
    Image {
        title: text(&image.title),
        version: text(&image.version),
        source: text(&image.source),
        tags: list(names, &image.tags, |tag| words::tag(tag).map(|()| tag.to_owned())),
        platforms: image.platforms.clone(),
        epoch: image.epoch,
        owner: text(&image.owner),
    }
}

fn config(config: &Config, names: &Names<'_>) -> Config {
    let text = |text: &Option<Spanned<String>>| text.as_ref().and_then(|text| normal(names, text, any));
    let texts = |texts: &Option<Vec<Spanned<String>>>| list(names, texts, any);
    let table = |table: &BTreeMap<String, Spanned<String>>| {
        let value = |(name, value)| Some((String::clone(name), normal(names, value, any)?));
        table.iter().filter_map(value).collect::<BTreeMap<_, _>>()
    };
    let mut new = Config {
        entrypoint: texts(&config.entrypoint),
        cmd: config.cmd.as_ref().map(|cmd| match cmd {
            Cmd::Inherit => Cmd::Inherit,
            Cmd::Set(list) => Cmd::Set(list.iter().filter_map(|text| normal(names, text, any)).collect()),
        }),
        env: table(&config.env),
        user: text(&config.user),
        workdir: config.workdir.as_ref().and_then(|path| normal(names, path, absolute)),
        expose: list(names, &config.expose, port),
        volumes: list(names, &config.volumes, absolute),
        labels: table(&config.labels),
        stop_signal: text(&config.stop_signal),
        healthcheck: config.healthcheck.clone(),
        remove: config.remove.clone(),
    };
    if let Some(Healthcheck::Check(check)) = &mut new.healthcheck {
        check.cmd = texts(&check.cmd);
    }
    new.remove.env = texts(&config.remove.env);
    new.remove.expose = list(names, &config.remove.expose, port);
    new.remove.volumes = texts(&config.remove.volumes);
    new.remove.labels = texts(&config.remove.labels);
    new
}

fn entry_of(
    entry: &Entry,
    recipe: &Evaluated,
    names: &Names<'_>,
    sources: &Names<'_>,
) -> Option<ResolvedEntry> {
    let layer = entry.layer.as_ref().map(|layer| text_as(names, layer, words::name));
    let action = match &entry.action {
        Action::Edit { path, change } => {
            let change = changed(change, names);
            ResolvedAction::Edit { path: in_base(path, true, false, sources)?, change: change? }
        }
        Action::Owner { path, owner, mode, recursive } => {
            let owner = owned(owner, names);
            let path = in_base(path, false, *recursive, sources)?;
            ResolvedAction::Owner { path, owner: owner?, mode: mode.clone(), recursive: *recursive }
        }
        Action::Ca { from } => {
            let found = certificates(entry, from, sources)?;
            ResolvedAction::Ca { from: found, bundles: bundles(from, sources) }
        }
        Action::User { name, uid, gid, home, shell } => {
            let of = |text: &Option<Spanned<String>>, default: &str| match text {
                Some(text) => names.read(text, |text| field(text).and_then(|()| absolute(text))),
                None => Some(default.to_owned()),
            };
            let (home, shell) = (of(home, "/"), of(shell, "/sbin/nologin"));
            let name = text_as(names, name, login)?;
            ResolvedAction::User { name, uid: *uid, gid: *gid, home: home?, shell: shell? }
        }
        Action::Group { name, gid } => {
            ResolvedAction::Group { name: text_as(names, name, login)?, gid: *gid }
        }
        Action::File(file) => ResolvedAction::File(resolve_file(entry, file, recipe, names, sources)?),
        Action::Dir { path, mode, owner } => {
            let owner = owned(owner, names);
            ResolvedAction::Dir { path: normal(names, path, named)?, mode: mode.clone(), owner: owner? }
        }
        Action::Link { path, target, hard } => {
            let target = normal(names, target, |target| link_target(target, *hard));
            ResolvedAction::Link { path: normal(names, path, named)?, target: target?, hard: *hard }
        }
        Action::Remove { path, missing_ok } => {
            let read = names.read(path, |path| glob(&below_root(path)?))?;
            ResolvedAction::Remove { glob: path.with(read), missing_ok: *missing_ok }
        }
    };
    Some(ResolvedEntry {
        at: entry.at.clone(),
        layer: maybe(layer)?.map(|layer| layer.value),
        below_volume: entry.below_volume,
        allow_secret: entry.allow_secret.as_ref().map(|reason| reason.value.clone()),
        action,
    })
}

fn changed(change: &Change, names: &Names<'_>) -> Option<Change> {
    let text = |text: &Spanned<String>| normal(names, text, any);
    match change {
        Change::Append(added) => text(added).map(Change::Append),
        Change::Prepend(added) => text(added).map(Change::Prepend),
        Change::Replace { what, with, count } => {
            let (what, with) = text(what).zip(text(with))?;
            Some(Change::Replace { what, with, count: *count })
        }
    }
}

/// An owner that may be missing, but not broken.
#[allow(clippy::option_option)]
fn owned(owner: &Option<Spanned<String>>, names: &Names<'_>) -> Option<Option<Spanned<Owner>>> {
    maybe(owner.as_ref().map(|owner| names.read(owner, Owner::parse).map(|id| owner.with(id))))
}

/// Something that may be missing, but not broken.
#[allow(clippy::option_option)]
fn maybe<T>(value: Option<Option<T>>) -> Option<Option<T>> {
    match value {
        Some(None) => None,
        Some(value) => Some(value),
        None => Some(None),
    }
}

fn resolve_file(
    entry: &Entry,
    file: &File,
    recipe: &Evaluated,
    names: &Names<'_>,
    sources: &Names<'_>,
) -> Option<ResolvedFile> {
    let owner = owned(&file.owner, names);
    let into = names.read(&file.to, |to| absolute(to).map(|path| (to.ends_with('/') || path == "/", path)));
    let delimiters = file.delimiters.clone().unwrap_or((DELIMITERS.0.to_owned(), DELIMITERS.1.to_owned()));
    let source = match &file.source {
        Source::Text(text) if file.template == Template::Off => Some(ResolvedSource::Text(text.clone())),
        Source::Text(text) => {
            let value = names.text_with(text, (&delimiters.0, &delimiters.1));
            value.map(|value| ResolvedSource::Text(text.with(value)))
        }
        _ => paths_of(entry, file, recipe, sources).map(ResolvedSource::From),
    };
    let mut xattrs = BTreeMap::new();
    for (name, value) in &file.xattrs {
        xattrs.insert(name.clone(), value.with(names.text(value)?.into_bytes()));
    }
    let template = match &file.template {
        Template::Off => ResolvedTemplate::Off,
        Template::All => ResolvedTemplate::All,
        Template::Globs(list) => ResolvedTemplate::Globs(globs(list, false, sources)?),
    };
    let (owner, (into, to), source) = (owner?, into?, source?);
    let fault = match &source {
        ResolvedSource::Text(_) if into => Some(PathFault::NeedsName),
        ResolvedSource::From(from) if !into && (from.len() > 1 || from.iter().any(SourcePath::is_glob)) => {
            Some(PathFault::NeedsSlash)
        }
        _ => None,
    };
    if let Some(fault) = fault {
        names.push(Some(file.to.at.clone()), ErrorKind::Path { path: to, fault });
        return None;
    }
    let (include, exclude) = (globs(&file.include, true, sources)?, globs(&file.exclude, true, sources)?);
    Some(ResolvedFile {
        source,
        to: file.to.with(to),
        into,
        mode: file.mode.clone(),
        dir_mode: file.dir_mode.clone(),
        owner,
        mtime: file.mtime,
        template,
        delimiters,
        include,
        exclude,
        replace: file.replace,
        xattrs,
        mount: file.mount_in.iter().any(|name| name.value == recipe.variant).then_some(file.mount),
    })
}
