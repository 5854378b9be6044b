//! One variant for one platform: strings interpolated, entries of other platforms left out, defaults filled in.

use std::collections::BTreeMap;

use crate::oci::Platform;
use crate::recipe::config::{Cmd, Config, Healthcheck};
use crate::recipe::entry::{Action, Change, Entry, File, Owner, Source, Template};
use crate::recipe::patch::InputSource;
use crate::recipe::patch::{Base, Image};
use crate::recipe::words::{self, field, sha256, url};
use crate::recipe::{At, Error, ErrorKind, Evaluated, Spanned};
use crate::tree::SourceKind;

use super::names::{Names, Reach, Scope};
use super::path::PathFault;
use super::resolved::{
    Resolved, ResolvedAction, ResolvedEntry, ResolvedFile, ResolvedSource, ResolvedTemplate, SourcePath,
    platform_matches,
};
use super::template::DELIMITERS;
use super::values::{layout_place, login, port};
use super::{Glob, glob, has_magic, link_target, named, rooted as absolute};

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
            let read = names.read(path, |path| glob(&named(path)?));
            patterns.extend(read.map(|glob| glob.as_str().to_owned()));
        }
    }
    let errors = names.errors.into_inner();
    if errors.is_empty() { Ok(patterns) } else { Err(distinct(errors)) }
}

/// Of all entries for the platform, in their order.
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
            ResolvedAction::Owner { path, owner: owner?, mode: *mode }
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
            ResolvedAction::Dir { path: normal(names, path, named)?, mode: *mode, owner: owner? }
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
        dir_mode: file.dir_mode,
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

/// What an entry takes from outside the recipe's own text; nothing for `text`.
fn paths_of(entry: &Entry, file: &File, recipe: &Evaluated, names: &Names<'_>) -> Option<Vec<SourcePath>> {
    let inputs = &recipe.inputs;
    let (include, exclude) = (globs(&file.include, names), globs(&file.exclude, names));
    let platform = || Some(short_platform(names));
    let any_url = |text: &str| url(text).map(|()| text.to_owned());
    // Where, and of what kind; whether it is another on each platform.
    type Found = Vec<(Spanned<String>, Option<Glob>)>;
    let one = |text: &Spanned<String>, read: &dyn Fn(&str) -> Result<String, ErrorKind>| -> Option<Found> {
        Some(vec![(normal(names, text, read)?, None)])
    };
    let (kind, directory, found, platform) = match &file.source {
        Source::Text(_) => return Some(Vec::new()),
        Source::From(from) => {
            let mut found = Vec::new();
            for text in from {
                let read = names.read(text, |written| {
                    let path = super::relative(written)
                        .map_err(|fault| ErrorKind::Path { path: written.to_owned(), fault })?;
                    let glob = if has_magic(&path) { Some(glob(&path)?) } else { None };
                    Ok((path, glob))
                });
                let (path, glob) = read?;
                found.push((text.with(path), glob));
            }
            (SourceKind::Files, entry.at.directory().to_owned(), found, None)
        }
        Source::Fetch { url: text, .. } => (SourceKind::Fetch, String::new(), one(text, &any_url)?, None),
        Source::Input(name) => {
            let found = one(name, &any)?;
            match inputs.get(&found[0].0.value).map(|input| &input.value.from) {
                None => {
                    let (name, known) = (found[0].0.value.clone(), inputs.keys().map(String::as_str));
                    let suggestion = crate::recipe::suggest(&name, known);
                    names.push(Some(found[0].0.at.clone()), ErrorKind::NoInput { name, suggestion });
                    return None;
                }
                Some(InputSource::Open) => (SourceKind::Input, String::new(), found, None),
                Some(InputSource::Path(text)) => {
                    let read = |text: &str| {
                        super::relative(text)
                            .map_err(|fault| ErrorKind::Path { path: text.to_owned(), fault })
                    };
                    let path = names.read(text, read)?;
                    (SourceKind::Input, path, found, text.value.contains("{{").then(platform).flatten())
                }
                Some(InputSource::Image { reference, path }) => {
                    let all = reference.with("/".to_owned());
                    let found = one(path.as_ref().unwrap_or(&all), &|path| absolute(path))?;
                    let reference = text_as(names, reference, words::reference)?;
                    (SourceKind::Image, reference.value, found, platform())
                }
            }
        }
        Source::Image { reference, path } => {
            let reference = text_as(names, reference, words::reference)?;
            (SourceKind::Image, reference.value, one(path, &|path| absolute(path))?, platform())
        }
        Source::Recipe { name, path } => {
            let name = text_as(names, name, words::recipe_name)?;
            (
                SourceKind::Recipe,
                format!("{}#{}", name.value, recipe.variant),
                one(path, &|path| absolute(path))?,
                platform(),
            )
        }
    };
    let sha256 = match &file.source {
        Source::Fetch { sha256: Some(text), .. } => Some(names.read(text, sha256)?),
        _ => None,
    };
    let made_by = match &file.source {
        Source::Input(name) => inputs.get(&name.value).and_then(|input| input.value.made_by.as_ref()),
        _ => None,
    };
    let made_by = made_by.map(|command| command.value.clone());
    let unpack: Option<Vec<String>> = file.unpack.iter().map(|step| names.text(step)).collect();
    let (include, exclude, unpack) = (include?, exclude?, unpack?);
    let paths = found.into_iter().map(|(path, glob)| SourcePath {
        at: path.at,
        kind,
        directory: directory.clone(),
        path: path.value,
        unpack: unpack.clone(),
        strip: file.strip,
        case_clash: file.case_clash,
        platform: platform.clone(),
        sha256,
        made_by: made_by.clone(),
        read: file.template != Template::Off,
        glob,
        include: include.clone(),
        exclude: exclude.clone(),
    });
    Some(paths.collect())
}

/// Of the platform that is resolved for, `os/architecture`.
fn short_platform(names: &Names<'_>) -> String {
    let Scope { os, arch, arch_variant, .. } = names.scope();
    let variant = Some(arch_variant.clone()).filter(|variant| !variant.is_empty());
    let (os, architecture) = (os.clone(), arch.clone());
    Platform { os, architecture, variant, rest: crate::oci::json::Object::new() }.short()
}

fn plain(kind: SourceKind, at: &At, directory: String, path: String) -> SourcePath {
    SourcePath {
        at: at.clone(),
        kind,
        directory,
        path,
        unpack: Vec::new(),
        strip: 0,
        case_clash: false,
        platform: None,
        sha256: None,
        made_by: None,
        read: false,
        glob: None,
        include: Vec::new(),
        exclude: Vec::new(),
    }
}

/// What is changed in what stands below; which that is, is for whoever knows.
fn in_base(path: &Spanned<String>, read: bool, recursive: bool, names: &Names<'_>) -> Option<SourcePath> {
    let path = normal(names, path, named)?;
    let include = if recursive { vec![glob("**").ok()?] } else { Vec::new() };
    let base = plain(SourceKind::Base, &path.at, String::new(), path.value);
    Some(SourcePath { platform: Some(short_platform(names)), read, include, ..base })
}

/// Where distributions keep the certificates that programs trust: Debian and Alpine, Red Hat, SUSE.
const BUNDLES: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem"];

fn bundles(from: &Spanned<String>, names: &Names<'_>) -> Vec<SourcePath> {
    let bundle = |path: &str| in_base(&from.with(path.to_owned()), true, false, names);
    BUNDLES.iter().filter_map(|path| bundle(path)).collect()
}

fn certificates(entry: &Entry, from: &Spanned<String>, names: &Names<'_>) -> Option<SourcePath> {
    let read =
        |text: &str| super::relative(text).map_err(|fault| ErrorKind::Path { path: text.to_owned(), fault });
    let path = names.read(from, read)?;
    Some(plain(SourceKind::Files, &from.at, entry.at.directory().to_owned(), path))
}

fn globs(list: &[Spanned<String>], names: &Names<'_>) -> Option<Vec<Glob>> {
    // All of them first, so that every mistake is told.
    let globs: Vec<_> = list.iter().map(|text| names.read(text, glob)).collect();
    globs.into_iter().collect()
}
