//! `[service.container]`: Compose's keys, as those who aren't Compose read them.

use super::Unit;
use crate::recipe::nanoseconds;

impl Unit {
    /// Keys of `[service.container]` but for `known` ones, and texts of those that are lost nevertheless.
    pub(super) fn container_left_out<'u>(
        &'u self,
        known: &'u [&str],
        is_lost: impl Fn(&str, &str) -> bool + 'u,
    ) -> impl Iterator<Item = String> + 'u {
        let keys = self.service.container.iter().flat_map(|table| table.value.keys());
        keys.flat_map(move |key| {
            if !known.contains(&key.as_str()) {
                return vec![format!("{}: container.{key}", self.name)];
            }
            let lost = self.container_texts(key).into_iter().filter(|text| is_lost(key, text));
            lost.map(|text| format!("{}: container.{key} {text:?}", self.name)).collect()
        })
    }

    pub(super) fn container(&self, key: &str) -> Option<&toml::Value> {
        self.service.container.as_ref()?.value.get(key)
    }

    pub(super) fn container_flag(&self, key: &str) -> bool {
        self.container(key).and_then(toml::Value::as_bool).unwrap_or(false)
    }

    /// A text or a list of them.
    pub(super) fn container_texts(&self, key: &str) -> Vec<&str> {
        match self.container(key) {
            Some(toml::Value::String(text)) => vec![text],
            Some(toml::Value::Array(items)) => items.iter().filter_map(toml::Value::as_str).collect(),
            _ => Vec::new(),
        }
    }
}

/// A text or number.
pub(super) fn word(unit: &Unit, key: &str) -> Option<String> {
    match unit.container(key)? {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Whether `security_opt` lets processes get more rights than they began with; none where it says nothing.
pub(super) fn escalates(unit: &Unit) -> Option<bool> {
    let mut told = unit.container_texts("security_opt").into_iter().filter_map(no_new_privileges);
    told.next_back().map(|never| !never)
}

/// Whether no process gets more rights than it began with; none for other options.
pub(super) fn no_new_privileges(text: &str) -> Option<bool> {
    match text.strip_prefix("no-new-privileges")? {
        "" | ":true" | "=true" => Some(true),
        ":false" | "=false" => Some(false),
        _ => None,
    }
}

/// Path and size of a tmpfs, and whether it has options that an `emptyDir` hasn't: whose mode is 0777.
pub(super) fn tmpfs(text: &str) -> (&str, Option<String>, bool) {
    let (path, options) = text.split_once(':').unwrap_or((text, ""));
    let (mut limit, mut lost) = (None, false);
    for option in options.split(',').filter(|option| !["", "rw", "mode=1777", "mode=0777"].contains(option)) {
        match option.strip_prefix("size=").and_then(quantity) {
            Some(size) => limit = Some(size),
            None => lost = true,
        }
    }
    (path, limit, lost)
}

/// `64m`, as engines write a size, for Kubernetes' API.
pub(super) fn quantity(text: &str) -> Option<String> {
    let end = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
    let unit = match &*text[end..].to_ascii_lowercase() {
        "" | "b" => "",
        "k" | "kb" => "Ki",
        "m" | "mb" => "Mi",
        "g" | "gb" => "Gi",
        _ => return None,
    };
    (end > 0).then(|| format!("{}{unit}", &text[..end]))
}

/// `0.5`, `2`: processors, as the API takes them too.
pub(super) fn processors(text: &str) -> Option<&str> {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    (digits(whole) && digits(part) && part.len() <= 3).then_some(text)
}

/// `1m30s`, `45s`, `1500ms` in whole seconds, as Compose writes them.
pub(super) fn seconds(text: &str) -> Option<u64> {
    const SECOND: u64 = 1_000_000_000;
    Some(nanoseconds(text)?.div_ceil(SECOND))
}
