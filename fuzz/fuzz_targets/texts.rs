//! The texts made from layers are canonical: what is read as one is what would be written.
#![no_main]

use cooperage::layer::captured::Captured;
use cooperage::layer::facts::Facts;
use cooperage::layer::index::LayerIndex;
use cooperage::layer::packages::Packages;
use cooperage::layer::scan::LayerScan;
use cooperage::tree::{TreePath, unescape};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    if let Ok(facts) = Facts::parse(text) {
        assert_eq!(facts.to_text().as_bytes(), text);
        for line in facts.to_text().lines() {
            let Some((_, path)) = line.split_once(' ') else { continue };
            if let Ok(path) = TreePath::parse(path.as_bytes()) {
                let _ = (facts.directory(&path), facts.link(&path));
            }
        }
        for name in [&b"root"[..], b"", b"www-data"] {
            if let Some((uid, _)) = facts.user(name) {
                assert!(facts.gid_of(uid).is_some());
            }
            let _ = facts.group(name);
        }
    }
    if let Ok(index) = LayerIndex::parse(text) {
        assert_eq!(index.to_text().as_bytes(), text);
        index.check().expect("checked when it was read");
    }
    if let Ok(captured) = Captured::parse(text) {
        assert_eq!(captured.to_text().as_bytes(), text);
    }
    if let Ok(packages) = Packages::parse(text) {
        assert_eq!(packages.to_text().as_bytes(), text);
    }
    if let Ok(Some(scan)) = LayerScan::parse(text) {
        assert_eq!(scan.to_bytes(), text);
    }
    if let Ok(text) = std::str::from_utf8(text) {
        let _ = unescape(text);
    }
});
