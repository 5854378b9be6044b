//! Any bytes as an archive of images (`oci-archive:`, `docker-archive:`): what it gives is what its digest says.
//!
//! The first byte says whether checksums are mended.
#![no_main]

use std::io::Read;

use cooperage::digest::Digest;
use cooperage::store::closure;
use cooperage::substitute::{Archive, Error, Substituter};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((&mend, archive)) = data.split_first() else { return };
    let mut bytes = archive.to_vec();
    if mend & 1 == 1 {
        fuzz::sign(&mut bytes);
    }
    let dir = fuzz::scratch("archive");
    let path = dir.join("archive");
    std::fs::write(&path, &bytes).unwrap();
    if let Ok(archive) = Archive::open(&path) {
        let _ = archive.resolve(None);
        for entry in archive.entries() {
            let Ok(all) = closure::<Error>(entry, |descriptor| archive.read(descriptor)) else { continue };
            for blob in &all.blobs {
                let mut content = Vec::new();
                if let Ok(Some(mut reader)) = archive.open(blob)
                    && reader.read_to_end(&mut content).is_ok()
                {
                    assert_eq!((Digest::of(&content), content.len() as u64), (blob.digest, blob.size));
                    assert!(content.len() <= bytes.len() || all.documents.contains_key(&blob.digest));
                }
            }
        }
    }
    assert_eq!(fuzz::snapshot(&dir).len(), 1, "reading wrote something");
    std::fs::remove_dir_all(&dir).unwrap();
});
