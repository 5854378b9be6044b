//! One variant for one platform: strings interpolated, entries of other platforms left out, defaults filled in.

use std::collections::BTreeMap;

use crate::recipe::check;
use crate::recipe::config::{Cmd, Config, Healthcheck, absolute};
use crate::recipe::entry::{Action, Entry, File, Owner, Source, Template};
use crate::recipe::patch::{Base, Image, layout_place};
use crate::recipe::{Error, ErrorKind, Spanned};

use super::merge::Evaluated;
use super::names::{Names, Reach, Scope};
use super::path::PathFault;
use super::resolved::{
    Resolved, ResolvedAction, ResolvedEntry, ResolvedFile, ResolvedSource, ResolvedTemplate, SourcePath,
    platform_matches,
};
use super::template::DELIMITERS;
use super::{Glob, glob, has_magic, link_target, named};

impl Evaluated {
    /// Interpolates everything but the contents of files, leaves out entries of other platforms, fills in defaults.
    ///
    /// # Errors
    /// Everything that is wrong or that this version can't build.
    pub fn resolve(&self, scope: &Scope) -> Result<Resolved, Vec<Error>> {
        let names = Names::new(self, scope, Reach::All);
        let values = names.all();
        let base = self.base_reference(scope);
        let image = image(&self.image, &names);
        let config = config(&self.config, &names);
        let sources = Names::new(self, scope, Reach::Source);
        let mut entries = Vec::new();
        for entry in self.entries.iter().filter(|entry| is_for(entry, scope)) {
            entries.extend(resolve(entry, &self.variant, &names, &sources));
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

    /// The base, interpolated with what is known before a platform is chosen. `os`, `arch`, `arch_variant` and
    /// `base_env` of the scope are not looked at.
    ///
    /// # Errors
    /// An undefined name, or one that isn't known yet; text that is no reference.
    pub fn base_reference(&self, scope: &Scope) -> Result<Base, Vec<Error>> {
        let names = Names::new(self, scope, Reach::Base);
        let base = match &self.base {
            Base::Image(text) => text_as(&names, text, check::reference).map(Base::Image),
            Base::Recipe(text) => text_as(&names, text, check::recipe_name).map(Base::Recipe),
            Base::Layout(text) => {
                text_as(&names, text, |text| layout_place(text).map(drop)).map(Base::Layout)
            }
            Base::Scratch(at) => Some(Base::Scratch(at.clone())),
            Base::Extends(text) => {
                names.push(Some(text.at.clone()), ErrorKind::NoBase);
                None
            }
        };
        base.ok_or_else(|| distinct(names.errors.into_inner()))
    }

    /// The patterns of `[[remove]]` for one platform. `base_env` of the scope is not looked at.
    ///
    /// # Errors
    /// Mistakes in these globs, or `base.env` in them: what they match is asked before the base's config is known.
    pub fn remove_patterns(&self, scope: &Scope) -> Result<Vec<String>, Vec<Error>> {
        let names = Names::new(self, scope, Reach::Source);
        let mut patterns = Vec::new();
        for entry in self.entries.iter().filter(|entry| is_for(entry, scope)) {
            if let Action::Remove { path, .. } = &entry.action {
                let read = names.read(path, |path| glob(&named(path)?));
                patterns.extend(read.map(|glob| glob.as_str().to_owned()));
            }
        }
        let errors = names.errors.into_inner();
        if errors.is_empty() { Ok(patterns) } else { Err(distinct(errors)) }
    }

    /// What must be read beside the recipes for one platform. `base_env` of the scope is not looked at.
    ///
    /// # Errors
    /// Mistakes in these paths and globs.
    pub fn source_paths(&self, scope: &Scope) -> Result<Vec<SourcePath>, Vec<Error>> {
        let names = Names::new(self, scope, Reach::Source);
        let mut paths = Vec::new();
        for entry in self.entries.iter().filter(|entry| is_for(entry, scope)) {
            if let Action::File(file @ File { source: Source::From(from), .. }) = &entry.action {
                paths.extend(source_paths(entry, file, from, &names).unwrap_or_default());
            }
        }
        let errors = names.errors.into_inner();
        if errors.is_empty() { Ok(paths) } else { Err(distinct(errors)) }
    }
}

fn is_for(entry: &Entry, scope: &Scope) -> bool {
    entry.platforms.as_ref().is_none_or(|all| all.iter().any(|platform| platform_matches(platform, scope)))
}

/// One mistake in a variable is met by every string that names it.
fn distinct(errors: Vec<Error>) -> Vec<Error> {
    let mut distinct: Vec<Error> = Vec::new();
    for error in errors {
        if !distinct.contains(&error) {
            distinct.push(error);
        }
    }
    distinct
}

/// Interpolates and checks, and keeps the text.
fn text_as<T>(
    names: &Names<'_>,
    text: &Spanned<String>,
    check: impl FnOnce(&str) -> Result<T, ErrorKind>,
) -> Option<Spanned<String>> {
    names.read(text, |value| check(value).map(|_| value.to_owned())).map(|value| text.with(value))
}

/// Interpolates, checks and normalises.
fn normal(
    names: &Names<'_>,
    text: &Spanned<String>,
    normal: impl FnOnce(&str) -> Result<String, ErrorKind>,
) -> Option<Spanned<String>> {
    names.read(text, normal).map(|value| text.with(value))
}

fn list(
    names: &Names<'_>,
    list: &Option<Vec<Spanned<String>>>,
    read: impl Fn(&str) -> Result<String, ErrorKind>,
) -> Option<Vec<Spanned<String>>> {
    list.as_ref().map(|list| list.iter().filter_map(|text| normal(names, text, &read)).collect())
}

// Not an option: the signature of those that check.
#[allow(clippy::unnecessary_wraps)]
fn any(text: &str) -> Result<String, ErrorKind> {
    Ok(text.to_owned())
}

fn image(image: &Image, names: &Names<'_>) -> Image {
    let text = |text: &Option<Spanned<String>>| text.as_ref().and_then(|text| normal(names, text, any));
    Image {
        title: text(&image.title),
        version: text(&image.version),
        source: text(&image.source),
        tags: list(names, &image.tags, |tag| check::tag(tag).map(|()| tag.to_owned())),
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
        expose: list(names, &config.expose, check::port),
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
    new.remove.expose = list(names, &config.remove.expose, check::port);
    new.remove.volumes = texts(&config.remove.volumes);
    new.remove.labels = texts(&config.remove.labels);
    new
}

fn resolve(entry: &Entry, variant: &str, names: &Names<'_>, sources: &Names<'_>) -> Option<ResolvedEntry> {
    let not_yet = |key| {
        names.push(Some(entry.at.clone()), ErrorKind::NotBuiltYet { key });
        None
    };
    let layer = entry.layer.as_ref().map(|layer| text_as(names, layer, check::name));
    let action = match &entry.action {
        Action::File(File { source: Source::NotBuiltYet(key), .. }) => return not_yet(key),
        Action::NotBuiltYet { key, .. } => return not_yet(key),
        Action::File(file) => ResolvedAction::File(resolve_file(entry, file, variant, names, sources)?),
        Action::Dir { path, mode, owner } => {
            let owner = owner.as_ref().map(|owner| names.read(owner, Owner::parse).map(|id| owner.with(id)));
            let path = normal(names, path, named)?;
            ResolvedAction::Dir { path, mode: *mode, owner: maybe(owner)? }
        }
        Action::Link { path, target, hard } => {
            let target = normal(names, target, |target| link_target(target, *hard));
            ResolvedAction::Link { path: normal(names, path, named)?, target: target?, hard: *hard }
        }
        Action::Remove { path, missing_ok } => {
            let read = names.read(path, |path| glob(&named(path)?))?;
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
    variant: &str,
    names: &Names<'_>,
    sources: &Names<'_>,
) -> Option<ResolvedFile> {
    let owner = match &file.owner {
        Some(owner) => names.read(owner, Owner::parse).map(|id| owner.with(id)),
        None => Some(Spanned { value: Owner::ROOT, at: entry.at.clone() }),
    };
    let into = names.read(&file.to, |to| absolute(to).map(|path| (to.ends_with('/') || path == "/", path)));
    let delimiters = file.delimiters.clone().unwrap_or((DELIMITERS.0.to_owned(), DELIMITERS.1.to_owned()));
    let source = match &file.source {
        Source::From(from) => source_paths(entry, file, from, sources).map(ResolvedSource::From),
        Source::Text(text) if file.template == Template::Off => Some(ResolvedSource::Text(text.clone())),
        Source::Text(text) => {
            let value = names.text_with(text, (&delimiters.0, &delimiters.1));
            value.map(|value| ResolvedSource::Text(text.with(value)))
        }
        Source::NotBuiltYet(_) => None,
    };
    let mut xattrs = BTreeMap::new();
    for (name, value) in &file.xattrs {
        xattrs.insert(name.clone(), names.text(value)?.into_bytes());
    }
    let template = match &file.template {
        Template::Off => ResolvedTemplate::Off,
        Template::All => ResolvedTemplate::All,
        Template::Globs(list) => ResolvedTemplate::Globs(globs(list, sources)?),
    };
    let (owner, (into, to), source) = (owner?, into?, source?);
    let fault = match &source {
        ResolvedSource::Text(_) if into => Some(PathFault::NeedsName),
        ResolvedSource::From(from)
            if !into && (from.len() > 1 || from.iter().any(|from| from.glob.is_some())) =>
        {
            Some(PathFault::NeedsSlash)
        }
        _ => None,
    };
    if let Some(fault) = fault {
        names.push(Some(file.to.at.clone()), ErrorKind::Path { path: to, fault });
        return None;
    }
    let (include, exclude) = (globs(&file.include, sources)?, globs(&file.exclude, sources)?);
    Some(ResolvedFile {
        source,
        to: file.to.with(to),
        into,
        mode: file.mode,
        dir_mode: file.dir_mode.unwrap_or(0o755),
        owner,
        mtime: file.mtime,
        template,
        delimiters,
        include,
        exclude,
        replace: file.replace,
        xattrs,
        mount: file.mount_in.iter().any(|name| name.value == variant).then_some(file.mount),
    })
}

fn source_paths(
    entry: &Entry,
    file: &File,
    from: &[Spanned<String>],
    names: &Names<'_>,
) -> Option<Vec<SourcePath>> {
    let (include, exclude) = (globs(&file.include, names), globs(&file.exclude, names));
    let mut paths = Vec::new();
    for text in from {
        let read = names.read(text, |written| {
            let path = super::relative(written)
                .map_err(|fault| ErrorKind::Path { path: written.to_owned(), fault })?;
            let glob = if has_magic(&path) { Some(glob(&path)?) } else { None };
            Ok((path, glob))
        });
        let (path, glob) = read?;
        paths.push((text.at.clone(), path, glob));
    }
    let (include, exclude, directory) = (include?, exclude?, entry.at.directory().to_owned());
    let paths = paths.into_iter().map(|(at, path, glob)| SourcePath {
        at,
        directory: directory.clone(),
        path,
        glob,
        include: include.clone(),
        exclude: exclude.clone(),
    });
    Some(paths.collect())
}

fn globs(list: &[Spanned<String>], names: &Names<'_>) -> Option<Vec<Glob>> {
    // All of them first, so that every mistake is told.
    let globs: Vec<_> = list.iter().map(|text| names.read(text, glob)).collect();
    globs.into_iter().collect()
}
