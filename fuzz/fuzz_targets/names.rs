//! Whatever is read as a reference, place, platform, digest, time or target is written to a text that means the same.
#![no_main]

use std::fmt::{Debug, Display};
use std::str::FromStr;

use cooperage::digest::Digest;
use cooperage::oci::{Place, Platform, Reference, Time};
use cooperage::recipe::layout_place;
use cooperage::workspace::{Target, TargetPattern};
use libfuzzer_sys::fuzz_target;

fn round<T: FromStr + Display + Debug + PartialEq>(text: &str) -> Option<T> {
    let value: T = text.parse().ok()?;
    let written = value.to_string();
    let again = written.parse::<T>().ok();
    assert_eq!(again.as_ref(), Some(&value), "{text:?} was written {written:?}");
    Some(value)
}

fuzz_target!(|text: &str| {
    if let Some(reference) = round::<Reference>(text) {
        let sound = |part: &str| {
            !part.is_empty() && !part.contains("..") && part.is_ascii() && !part.contains(char::is_control)
        };
        assert!(sound(&reference.registry) && sound(&reference.repository), "{reference:?}");
        assert!(!reference.repository.starts_with('/') && !reference.registry.contains('/'), "{reference:?}");
    }
    // A NUL or a path that isn't UTF-8 can't come from a command line.
    if !text.contains('\0') {
        round::<Place>(text);
    }
    if let Ok(platform) = text.parse::<Platform>() {
        let again: Platform = platform.short().parse().expect("the short text is one");
        assert!(again.matches(&platform));
        let value = Platform::from_value(platform.to_value()).expect("the value is one");
        assert_eq!(value, platform);
    }
    if let Some(digest) = round::<Digest>(text) {
        assert_eq!(digest.to_string(), text);
        assert!(digest.hex().bytes().all(|byte| byte.is_ascii_hexdigit()));
    }
    round::<Time>(text);
    if let Ok(target) = text.parse::<Target>() {
        assert_eq!(target.to_string(), text);
        assert!(target.origin().split('/').all(|part| !part.starts_with('.')), "{target:?}");
    }
    let _ = TargetPattern::parse(text);
    if let Ok((path, _)) = layout_place(text) {
        assert!(!path.is_empty() && !path.starts_with('/'), "{path}");
        assert!(path.split('/').all(|part| part != ".."), "{path}");
    }
});
