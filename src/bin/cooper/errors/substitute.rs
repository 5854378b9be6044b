//! Places that images can't be read from.

use std::io;

use cooperage::disk;
use cooperage::substitute::Error;

/// For what can't be taken in good faith.
pub(super) const BASE_HINT: &str =
    "nothing of it was used; get it again, and compare its digest with what its maker published";

/// The I/O error at the bottom.
pub(super) fn io(error: &Error) -> Option<&io::Error> {
    match error {
        Error::Read { source, .. } | Error::Disk(disk::Error::Io { source, .. }) => Some(source),
        _ => None,
    }
}

/// The tag of a name, if no other image has it.
fn alone<'n>(name: &'n str, all: &[String]) -> Option<&'n str> {
    fn tag(name: &str) -> &str {
        name.rsplit_once(':').map_or(name, |(_, tag)| tag)
    }
    let own = tag(name);
    let is_alone = all.iter().filter(|other| tag(other) == own).count() == 1;
    Some(own).filter(|own| is_alone && !own.contains('/') && !name.starts_with("sha256:"))
}

/// What to do about a base; `base` is as the recipe says it.
pub(super) fn base_hint(base: &str, error: &Error) -> Option<String> {
    match error {
        Error::Ambiguous { choices, .. } => {
            let dir = base.split([':', '@']).next().unwrap_or(base);
            Some(match choices.iter().find_map(|name| alone(name, choices)) {
                Some(tag) => format!("say which behind a colon: layout = \"{dir}:{tag}\""),
                None => format!("its digest says which: layout = \"{dir}@sha256:…\""),
            })
        }
        Error::NoSuchImage { selector, choices, .. } => {
            let dir = base.split([':', '@']).next().unwrap_or(base);
            // A recipe says a tag; what has a longer name is known by that where no other has it.
            let tags: Vec<&str> = choices.iter().filter_map(|name| alone(name, choices)).collect();
            let meant = cooperage::recipe::suggest(selector, tags.iter().copied());
            let meant =
                meant.or_else(|| tags.first().filter(|_| tags.len() == 1).map(|tag| (*tag).to_owned()));
            meant.map(|tag| format!("did you mean layout = \"{dir}:{tag}\"?"))
        }
        error if error.is_missing() => {
            Some("a layout is relative to the workspace, where cooper.toml is".to_owned())
        }
        error => place_hint(error),
    }
}

pub(super) fn place_hint(error: &Error) -> Option<String> {
    match error {
        Error::Archive { .. } | Error::Document { .. } | Error::TooLarge { .. } | Error::Closure(_) => {
            Some(BASE_HINT.to_owned())
        }
        Error::Disk(disk::Error::NotRegular { .. } | disk::Error::TooLarge { .. }) => {
            Some(BASE_HINT.to_owned())
        }
        _ => None,
    }
}
