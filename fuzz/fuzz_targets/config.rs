//! An image config that is read is written to bytes that read back the same; its views don't contradict it.
#![no_main]

use cooperage::oci::ImageConfig;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(config) = ImageConfig::parse(bytes) else { return };
    let written = config.to_bytes();
    let again = ImageConfig::parse(&written).expect("what was written is read");
    assert_eq!(again, config);
    assert_eq!(again.to_bytes(), written, "one value has one text");
    let diff_ids = config.diff_ids().expect("checked when it was read");
    let named = written.windows(7).filter(|at| at == b"sha256:").count();
    assert!(diff_ids.len() <= named);
    if let Ok(platform) = config.platform() {
        assert!(platform.matches(&platform.clone()));
    }
    for (name, value) in config.env() {
        assert!(!name.contains('='), "{name}={value}");
    }
});
