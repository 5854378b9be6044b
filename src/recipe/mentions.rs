//! Which names a text mentions between braces: more than are meant, never fewer.

use std::collections::BTreeSet;

use toml::de::DeValue;

use super::words;

/// The names between braces in all strings of a value.
pub(super) fn mention(value: &DeValue<'_>, names: &mut BTreeSet<String>) {
    match value {
        DeValue::String(text) => mentioned(text, names),
        DeValue::Array(array) => array.iter().for_each(|value| mention(value.get_ref(), names)),
        DeValue::Table(table) => {
            for value in table.values().map(|value| value.get_ref()) {
                match value {
                    // With delimiters of its own, each word of a text may be one.
                    DeValue::String(text) if table.contains_key("delimiters") => words_of(text, names),
                    value => mention(value, names),
                }
            }
        }
        _ => {}
    }
}

/// The names between braces in a text.
pub(super) fn mentioned(text: &str, names: &mut BTreeSet<String>) {
    for part in text.split("{{").skip(1) {
        let inner = part.split_once("}}").map_or(part, |(inner, _)| inner);
        words_of(inner, names);
    }
}

/// Whatever in a text could be a name.
fn words_of(text: &str, names: &mut BTreeSet<String>) {
    let words = text.split(|char: char| !(char.is_ascii_alphanumeric() || matches!(char, '_' | '-')));
    names.extend(words.filter(|word| words::name(word).is_ok()).map(str::to_owned));
}
