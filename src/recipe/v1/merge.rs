//! Levels and variants made one recipe: a scalar or list replaces, a table merges key by key, an entry is added or
//! replaces the one with the same `to`.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::digest::Encoding;
use crate::recipe::config::{Check, Config, Healthcheck};
use crate::recipe::entry::{Action, Entry};
use crate::recipe::patch::{Base, Image, Level, Patch};
use crate::recipe::{At, Error, ErrorKind, Evaluated, Spanned, suggest};

/// Nothing is put on the base and nothing said about the image: it is upstream's, as it stands.
pub(in crate::recipe) fn is_bare(recipe: &Evaluated) -> bool {
    let Image { title, version, source, tags: _, platforms: _, epoch, owner: _ } = &recipe.image;
    recipe.entries.is_empty()
        && recipe.config == Config::default()
        && [title, version, source].iter().all(|text| text.is_none())
        && epoch.is_none()
}

/// Evaluates levels, the farthest ancestor first, for one variant.
pub(in crate::recipe) fn evaluate(levels: &[Level], variant: &str) -> Result<Evaluated, Vec<Error>> {
    let mut sum = Patch::default();
    let mut errors = Vec::new();
    for level in levels {
        let own = level.variants.get(variant).map(|patch| &patch.value);
        for patch in [Some(&level.common), own].into_iter().flatten() {
            apply(&mut sum, patch, variant, &mut errors);
        }
    }
    let Some(base) = sum.base else {
        // Where it would stand.
        let at = levels.last().map(|level| At { file: Arc::clone(&level.file), range: 0..0 });
        errors.push(Error { at, kind: ErrorKind::NoBase });
        return Err(errors);
    };
    if !errors.is_empty() {
        return Err(errors);
    }
    Ok(Evaluated {
        encoding: Encoding::V1,
        variant: variant.to_owned(),
        image: sum.image,
        base,
        vars: sum.vars,
        config: sum.config,
        entries: sum.entries,
        inputs: sum.inputs,
        service: None,
        texts: levels.iter().map(|level| (Arc::clone(&level.file), Arc::clone(&level.text))).collect(),
    })
}

fn apply(sum: &mut Patch, patch: &Patch, variant: &str, errors: &mut Vec<Error>) {
    image(&mut sum.image, &patch.image);
    if !matches!(patch.base, None | Some(Base::Extends(_))) {
        sum.base.clone_from(&patch.base);
    }
    table(&mut sum.vars, &patch.vars);
    config(&mut sum.config, &patch.config);
    table(&mut sum.inputs, &patch.inputs);
    for path in &patch.drops {
        leave_out(&mut sum.entries, path, errors);
    }
    let is_ours = |entry: &&Entry| {
        entry.variants.as_ref().is_none_or(|variants| variants.iter().any(|name| name.value == variant))
    };
    let mut ours: Vec<_> = patch.entries.iter().filter(is_ours).cloned().map(Some).collect();
    let mut by_identity: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (index, entry) in ours.iter().enumerate() {
        if let Some(entry) = entry.as_ref().filter(|entry| replaces(entry)) {
            by_identity.entry(entry.identity()).or_default().push(index);
        }
    }
    // In the place of the first that it replaces, so that layers keep their order.
    let mut kept = Vec::new();
    for entry in sum.entries.drain(..) {
        match by_identity.get(&entry.identity()) {
            None => kept.push(entry),
            Some(indexes) => kept.extend(indexes.iter().filter_map(|index| ours[*index].take())),
        }
    }
    kept.extend(ours.into_iter().flatten());
    sum.entries = kept;
}

impl Entry {
    /// What tells one entry of a recipe from the next: its table and normalised `to` or `path`, when it has one.
    pub(in crate::recipe) fn identity(&self) -> (&'static str, Option<String>) {
        let (kind, path) = match &self.action {
            Action::File(file) => ("file", Some(&file.to)),
            Action::Dir { path, .. } => ("dir", Some(path)),
            Action::Link { path, .. } => ("link", Some(path)),
            Action::Remove { path, .. } => ("remove", Some(path)),
            Action::Edit { path, .. } => ("edit", Some(path)),
            Action::Ca { .. } => ("ca", None),
            Action::Owner { path, .. } => ("owner", Some(path)),
            Action::User { name, .. } => ("user", Some(name)),
            Action::Group { name, .. } => ("group", Some(name)),
        };
        (kind, path.map(|path| super::absolute(path).unwrap_or_else(|_| path.value.clone())))
    }
}

/// Several edits of one path follow one another, and certificates have no path: they are added.
fn replaces(entry: &Entry) -> bool {
    !matches!(entry.action, Action::Edit { .. } | Action::Ca { .. })
}

fn leave_out(entries: &mut Vec<Entry>, path: &Spanned<String>, errors: &mut Vec<Error>) {
    let normal = super::absolute(path).unwrap_or_else(|_| path.value.clone());
    let named = |entry: &Entry| entry.identity().1.as_ref() == Some(&normal);
    let count = entries.iter().filter(|entry| named(entry)).count();
    if count == 1 {
        entries.retain(|entry| !named(entry));
        return;
    }
    let paths: Vec<_> = entries.iter().filter_map(|entry| entry.identity().1).collect();
    let suggestion = if count == 0 { suggest(&normal, paths.iter().map(String::as_str)) } else { None };
    errors.push(Error {
        at: Some(path.at.clone()),
        kind: ErrorKind::Drop { path: path.value.clone(), count, suggestion },
    });
}

/// What a patch says replaces.
pub(in crate::recipe) fn or_replace<T: Clone>(sum: &mut Option<T>, patch: &Option<T>) {
    if patch.is_some() {
        sum.clone_from(patch);
    }
}

/// Key by key.
pub(in crate::recipe) fn table<T: Clone>(sum: &mut BTreeMap<String, T>, patch: &BTreeMap<String, T>) {
    sum.extend(patch.iter().map(|(name, value)| (name.clone(), value.clone())));
}

fn image(sum: &mut Image, patch: &Image) {
    // Taken apart, so that no new key can be forgotten here.
    let Image { title, version, source, tags, platforms, epoch, owner } = patch;
    or_replace(&mut sum.title, title);
    or_replace(&mut sum.version, version);
    or_replace(&mut sum.source, source);
    or_replace(&mut sum.tags, tags);
    or_replace(&mut sum.platforms, platforms);
    or_replace(&mut sum.epoch, epoch);
    or_replace(&mut sum.owner, owner);
}

fn config(sum: &mut Config, patch: &Config) {
    let Config {
        entrypoint,
        cmd,
        env,
        user,
        workdir,
        expose,
        volumes,
        labels,
        stop_signal,
        healthcheck,
        remove,
    } = patch;
    or_replace(&mut sum.entrypoint, entrypoint);
    or_replace(&mut sum.cmd, cmd);
    table(&mut sum.env, env);
    or_replace(&mut sum.user, user);
    or_replace(&mut sum.workdir, workdir);
    or_replace(&mut sum.expose, expose);
    or_replace(&mut sum.volumes, volumes);
    table(&mut sum.labels, labels);
    or_replace(&mut sum.stop_signal, stop_signal);
    match (&mut sum.healthcheck, healthcheck) {
        (Some(Healthcheck::Check(sum)), Some(Healthcheck::Check(patch))) => check(sum, patch),
        (sum, patch) => or_replace(sum, patch),
    }
    or_replace(&mut sum.remove.env, &remove.env);
    or_replace(&mut sum.remove.expose, &remove.expose);
    or_replace(&mut sum.remove.volumes, &remove.volumes);
    or_replace(&mut sum.remove.labels, &remove.labels);
}

/// Each member by itself.
pub(in crate::recipe) fn check(sum: &mut Check, patch: &Check) {
    let Check { cmd, interval, timeout, start, retries } = patch;
    or_replace(&mut sum.cmd, cmd);
    or_replace(&mut sum.interval, interval);
    or_replace(&mut sum.timeout, timeout);
    or_replace(&mut sum.start, start);
    or_replace(&mut sum.retries, retries);
}
