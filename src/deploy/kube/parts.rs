//! What all manifests have in common.

use crate::deploy::yaml::Yaml;
use crate::deploy::{Stack, Unit, texts};
use crate::recipe::Spanned;

/// A name as the API takes it.
pub(super) fn dns(name: &str) -> String {
    name.replace(['_', '.'], "-")
}

/// Whether it keeps something.
pub(super) fn is_stateful(unit: &Unit) -> bool {
    !unit.service.volumes.is_empty()
}

/// The Service that a StatefulSet names its pod by.
pub(super) fn governing(unit: &Unit) -> String {
    format!("{}-pods", dns(&unit.name))
}

pub(super) fn object(stack: &Stack, api: &str, kind: &str, name: &str, spec: Yaml) -> Yaml {
    Yaml::map([
        ("apiVersion", Yaml::text(api)),
        ("kind", Yaml::text(kind)),
        ("metadata", Yaml::map([("name", Yaml::text(name)), ("labels", selector(stack, name))])),
        ("spec", spec),
    ])
}

/// What the pods of a service or of a job have alone.
pub(super) fn selector(stack: &Stack, name: &str) -> Yaml {
    Yaml::map([
        ("app.kubernetes.io/name", Yaml::text(dns(name))),
        ("app.kubernetes.io/part-of", Yaml::text(dns(&stack.name))),
    ])
}

/// `$(NAME)` would be filled in, and `$$` taken for one.
pub(super) fn literal(text: &str) -> String {
    text.replace('$', "$$")
}

pub(super) fn command(list: &[Spanned<String>]) -> Yaml {
    Yaml::List(texts(list).into_iter().map(|text| Yaml::Text(literal(text))).collect())
}
