//! Encoding 1: the recipe's `[image]` and `[config]` as the patch that an image is derived from.

use std::collections::{BTreeMap, BTreeSet};

use crate::derivation::{Cmd, ConfigPatch, Healthcheck, Remove};
use crate::digest::Digest;
use crate::recipe::{self, Resolved, Spanned};

/// The recipe's labels win over the workspace's.
pub(in crate::plan) fn config_patch(
    recipe: &Resolved,
    epoch: i64,
    labels: &BTreeMap<String, Spanned<String>>,
    base: Option<(&str, Digest)>,
) -> ConfigPatch {
    let config = &recipe.config;
    let image = &recipe.image;
    let mut all_labels = strings(labels);
    all_labels.extend(strings(&config.labels));
    ConfigPatch {
        entrypoint: config.entrypoint.as_ref().map(|list| values(list)),
        cmd: config.cmd.as_ref().map(|cmd| match cmd {
            recipe::Cmd::Inherit => Cmd::Inherit,
            recipe::Cmd::Set(list) => Cmd::Set(values(list)),
        }),
        env: strings(&config.env),
        user: text(&config.user),
        workdir: text(&config.workdir),
        expose: set(&config.expose),
        volumes: set(&config.volumes),
        labels: all_labels,
        stop_signal: text(&config.stop_signal),
        healthcheck: config.healthcheck.as_ref().map(healthcheck),
        remove: Remove {
            env: set(&config.remove.env),
            volumes: set(&config.remove.volumes),
            expose: set(&config.remove.expose),
            labels: set(&config.remove.labels),
        },
        title: text(&image.title),
        version: text(&image.version),
        source: text(&image.source),
        epoch: recipe.epoch(epoch),
        base_name: base.map(|(name, _)| name.to_owned()),
        base_digest: base.map(|(_, digest)| digest),
    }
}

fn healthcheck(check: &recipe::Healthcheck) -> Healthcheck {
    match check {
        recipe::Healthcheck::None => Healthcheck::default(),
        recipe::Healthcheck::Check(check) => Healthcheck {
            test: check.cmd.as_deref().map(values).unwrap_or_default(),
            interval_ns: check.interval.unwrap_or(0),
            timeout_ns: check.timeout.unwrap_or(0),
            start_period_ns: check.start.unwrap_or(0),
            retries: u64::from(check.retries.unwrap_or(0)),
        },
    }
}

fn text(text: &Option<Spanned<String>>) -> Option<String> {
    text.as_ref().map(|text| text.value.clone())
}

fn values(list: &[Spanned<String>]) -> Vec<String> {
    list.iter().map(|text| text.value.clone()).collect()
}

fn set(list: &Option<Vec<Spanned<String>>>) -> BTreeSet<String> {
    list.iter().flatten().map(|text| text.value.clone()).collect()
}

fn strings(map: &BTreeMap<String, Spanned<String>>) -> BTreeMap<String, String> {
    map.iter().map(|(name, value)| (name.clone(), value.value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Encoding;
    use crate::recipe::{Scope, parse, parse_workspace};

    #[test]
    fn the_recipes_labels_win() {
        let workspace =
            parse_workspace("cooper.toml", "[workspace]\nlabels = { a = 1, b = '{{ x }}' }").unwrap();
        let text = "base.scratch = true\n[config.labels]\na = '{{ variant }}'\nc = 'c'";
        let recipe = parse("recipe.toml", text).unwrap().variant(Encoding::V1, "dev").unwrap();
        let patch = config_patch(&recipe.resolve(&Scope::default()).unwrap(), 5, &workspace.labels, None);
        let pairs = [("a", "dev"), ("b", "{{ x }}"), ("c", "c")];
        assert_eq!(patch.labels, pairs.map(|(name, value)| (name.into(), value.into())).into());
        assert_eq!(patch.epoch, 5);
    }
}
