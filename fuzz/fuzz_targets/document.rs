//! JSON, manifests and indexes: one value has one text, another parser takes what ours takes, and no document is two
//! things.
#![no_main]

use cooperage::oci::{Document, json};
use libfuzzer_sys::fuzz_target;

const TYPES: [&str; 4] = [
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.docker.distribution.manifest.v2+json",
];

fuzz_target!(|bytes: &[u8]| {
    let theirs: Result<serde_json::Value, _> = serde_json::from_slice(bytes);
    let Ok(value) = json::parse(bytes) else { return };
    let theirs = theirs.expect("ours is the stricter one");
    let written = value.to_bytes();
    assert_eq!(json::parse(&written).as_ref(), Ok(&value));
    assert_eq!(json::parse(&written).map(|value| value.to_bytes()), Ok(written.clone()));
    // Its numbers may be spelt in another way ("E" for "e").
    let again: serde_json::Value = serde_json::from_slice(&written).expect("sound JSON");
    assert_eq!(again, theirs);
    let mut kinds = 0;
    for (number, media_type) in TYPES.into_iter().enumerate() {
        let Ok(document) = Document::parse(bytes, media_type) else { continue };
        kinds |= 1 << (number % 2);
        let (bytes, descriptors) = match &document {
            Document::Index(index) => (index.to_bytes(), index.manifests.clone()),
            Document::Manifest(manifest) => (manifest.to_bytes(), manifest.layers.clone()),
        };
        assert_eq!(Document::parse(&bytes, TYPES[number % 2]).as_ref(), Ok(&document));
        for descriptor in descriptors {
            assert!(i64::try_from(descriptor.size).is_ok());
            if let Ok(Some(data)) = descriptor.data() {
                assert_eq!(data.len() as u64, descriptor.size);
            }
        }
    }
    assert!(kinds < 3, "a manifest and an index at once");
});
