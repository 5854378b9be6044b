//! A lock that is read is written to a text that reads back the same, and merges with itself without a difference.
#![no_main]

use cooperage::lock::{Lock, conflict, reasons};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok((ours, theirs)) = conflict::split(text) {
        assert!(ours.len() <= text.len() + 1 && theirs.len() <= text.len() + 1);
        if conflict::first_marker(text).is_none() {
            assert_eq!(ours, theirs);
        }
    }
    let Ok(lock) = Lock::parse(text) else { return };
    let written = lock.to_text();
    let again = Lock::parse(&written).unwrap_or_else(|error| panic!("{error}\n{written}"));
    assert_eq!(again, lock, "{written}");
    assert_eq!(again.to_text(), written);
    assert!(reasons(&lock, &again).is_empty());
    let (_, differences) = conflict::merge(&lock, &again, None);
    assert!(differences.is_empty());
    lock.blobs();
});
