//! The strict tar reader and what is made of a layer: index, captured files, merged view, facts, packages.
//!
//! The first byte says whether checksums are mended.
#![no_main]

use std::io::Read;

use cooperage::digest::{DiffId, Digest};
use cooperage::layer::captured::Captured;
use cooperage::layer::error::ReadError;
use cooperage::layer::facts::Facts;
use cooperage::layer::index::{HeaderKind, LayerIndex};
use cooperage::layer::merged::Merged;
use cooperage::layer::packages::{self, Packages};
use cooperage::layer::scan::{Expected, LayerScan, scan_layer};
use cooperage::layer::tar::{Entry, EntryKind, Limits, Reader};
use cooperage::oci::Compression;
use cooperage::tree::TreePath;
use fuzz::Trickle;
use libfuzzer_sys::fuzz_target;

const LIMITS: Limits = Limits { entries: 1000, extension: 1 << 16, bytes: 4 << 20 };

fn list(archive: impl Read) -> Result<Vec<(Entry, Digest)>, ReadError> {
    let mut reader = Reader::new(archive, LIMITS);
    let mut found = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        let mut content = Vec::new();
        reader.read_to_end(&mut content).map_err(|error| reader.take_fault().unwrap_or(ReadError::Io(error)))?;
        assert_eq!(content.len() as u64, entry.size, "the size is that of the content");
        assert!(!entry.path.is_empty() && !entry.path.contains(&0) && entry.mode <= 0o7777);
        assert!(entry.kind == EntryKind::Regular || entry.size == 0);
        found.push((entry, Digest::of(&content)));
    }
    assert!(found.iter().map(|(entry, _)| entry.size).sum::<u64>() <= LIMITS.bytes);
    Ok(found)
}

fn sound(path: &TreePath) {
    assert_eq!(TreePath::parse(path.as_bytes()).as_ref(), Ok(path), "not normalised");
    assert!(!path.components().any(|name| name == b".." || name == b"."));
}

fn layer(bytes: &[u8]) -> Option<LayerScan> {
    let expected = Expected {
        digest: Digest::of(bytes),
        size: bytes.len() as u64,
        compression: Compression::None,
        diff_id: Some(DiffId(Digest::of(bytes))),
    };
    let scan = scan_layer(bytes, &expected, LIMITS).ok()?;
    assert_eq!(LayerIndex::parse(scan.index.to_text().as_bytes()).expect("our own text"), scan.index);
    let captured = Captured::parse(scan.captured.to_text().as_bytes()).expect("our own text");
    assert_eq!(captured.to_text(), scan.captured.to_text());
    let again = LayerScan::parse(&scan.to_bytes()).expect("our own bytes").expect("of this version");
    assert_eq!(again.to_bytes(), scan.to_bytes());
    for (path, header) in &scan.index.entries {
        sound(path);
        if let HeaderKind::HardLink(target) = &header.kind {
            sound(target);
        }
    }
    Some(scan)
}

fuzz_target!(|data: &[u8]| {
    let Some((&mend, archive)) = data.split_first() else { return };
    let mut archive = archive.to_vec();
    if mend & 1 == 1 {
        fuzz::sign(&mut archive);
    }
    let whole = list(&archive[..]).map_err(|error| error.to_string());
    assert_eq!(list(Trickle(&archive[..], 0)).map_err(|error| error.to_string()), whole, "read sizes matter");
    let Some(scan) = layer(&archive) else { return };
    assert!(whole.is_ok(), "a layer of an archive that is refused");
    // The layer on itself, and alone.
    for layers in [vec![&scan], vec![&scan, &scan]] {
        let Ok(merged) = Merged::of(layers.iter().map(|scan| &scan.index)) else { continue };
        for (path, placed) in merged.iter() {
            sound(path);
            assert!(!matches!(placed.header.kind, HeaderKind::HardLink(_)));
            assert!(path.ancestors().all(|above| merged.is_dir(&above)), "{path} lies below no directory");
            if let Ok(end) = merged.resolve(path) {
                sound(&end);
            }
        }
        let captured: Vec<&Captured> = layers.iter().map(|scan| &scan.captured).collect();
        let list = packages::derive(&merged, &captured);
        assert_eq!(Packages::parse(list.to_text().as_bytes()).expect("our own text"), list);
        if let Ok(facts) = Facts::derive(&merged, &captured) {
            assert_eq!(Facts::parse(facts.to_text().as_bytes()).expect("our own text"), facts);
        }
    }
});
