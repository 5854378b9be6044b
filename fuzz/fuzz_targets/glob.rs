//! Globs: what is matched lies below the literal beginning and in directories that a walk goes into; a pattern without
//! magic matches itself alone; a second, slow matcher agrees.
#![no_main]

use cooperage::recipe::{Glob, has_magic};
use fuzz::Input;
use libfuzzer_sys::fuzz_target;

/// Only patterns of `*`, `?` and characters that mean themselves, over ASCII.
fn slow(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => slow(rest, name) || !name.is_empty() && slow(pattern, &name[1..]),
        (Some((b'?', rest)), Some((_, left))) => slow(rest, left),
        (Some((one, rest)), Some((other, left))) => one == other && slow(rest, left),
        _ => false,
    }
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let pattern = input.bytes();
    let path = input.0;
    let Ok(pattern) = std::str::from_utf8(pattern) else { return };
    let Ok(glob) = Glob::parse(pattern) else { return };
    assert_eq!(glob.as_str(), pattern);
    let matches = glob.matches(path);
    if matches {
        assert!(path.starts_with(glob.literal_prefix().as_bytes()), "{pattern} {}", path.escape_ascii());
        for (at, _) in path.iter().enumerate().take(300).filter(|(_, byte)| **byte == b'/') {
            assert!(glob.may_match_below(&path[..at]), "{pattern} {}", path.escape_ascii());
        }
    }
    // A brace that is closed by nothing and the like is refused; then nothing means itself.
    if !has_magic(pattern) {
        assert!(glob.matches(pattern.as_bytes()) && (!matches || path == pattern.as_bytes()), "{pattern}");
    }
    let simple = |byte: &u8| byte.is_ascii_alphanumeric() || b"*?._-".contains(byte);
    if pattern.len() < 12
        && path.len() < 24
        && pattern.bytes().all(|byte| simple(&byte))
        && path.iter().all(simple)
        && !pattern.contains("**")
    {
        assert_eq!(matches, slow(pattern.as_bytes(), path), "{pattern} {}", path.escape_ascii());
    }
});
