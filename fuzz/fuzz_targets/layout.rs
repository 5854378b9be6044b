//! A small image layout as a directory and as a tar: both are read alike, every blob is what its digest says, and
//! nothing on disk changes.
//!
//! The input is a list of documents, each with its length; `@0` to `@9` in one stands for digest and size of an earlier
//! one. The last is `index.json`.
#![no_main]

use std::io::Read;
use std::path::Path;

use cooperage::digest::Digest;
use cooperage::layer::archive::Writer;
use cooperage::oci::{Descriptor, ImageConfig, MediaType};
use cooperage::store::closure;
use cooperage::substitute::{Archive, Error, Layout, Substituter};
use fuzz::Input;
use libfuzzer_sys::fuzz_target;

fn filled(text: &[u8], blobs: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let number = text.get(at + 1).map(|digit| usize::from(digit.wrapping_sub(b'0')));
        match (text[at], number.and_then(|number| blobs.get(number))) {
            (b'@', Some(blob)) => {
                let (digest, size) = (Digest::of(blob), blob.len());
                out.extend(format!(r#""digest":"{digest}","size":{size}"#).into_bytes());
                at += 2;
            }
            (byte, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

/// What a place says, as text, without its path.
fn told(place: &dyn Substituter, entries: &[Descriptor], path: &Path) -> String {
    let path = path.display().to_string();
    let show = |error: &Error| error.to_string().replace(&path, "PLACE");
    let mut told = String::new();
    for selector in [None, Some("a"), Some("docker.io/library/a:1")] {
        told += &match place.resolve(selector) {
            Ok(descriptor) => format!("{descriptor:?}\n"),
            Err(error) => show(&error),
        };
    }
    for entry in entries {
        match place.read(entry) {
            Ok(Some(bytes)) => {
                assert_eq!((Digest::of(&bytes), bytes.len() as u64), (entry.digest, entry.size));
            }
            Ok(None) => told += "absent\n",
            Err(error) => told += &show(&error),
        }
        let all = closure::<Error>(entry, |descriptor| place.read(descriptor));
        match all {
            Ok(all) => {
                for (digest, bytes) in &all.documents {
                    assert_eq!(*digest, Digest::of(bytes));
                    let _ = ImageConfig::parse(bytes);
                }
                assert!(
                    all.blobs.iter().all(|blob| blob.kind() != Ok(MediaType::Config) || blob.size <= 4 << 20)
                );
                told += &format!("{:?} {:?}\n", all.blobs, all.absent);
                for blob in &all.blobs {
                    let mut bytes = Vec::new();
                    if let Ok(Some(mut reader)) = place.open(blob)
                        && reader.read_to_end(&mut bytes).is_ok()
                    {
                        assert_eq!((Digest::of(&bytes), bytes.len() as u64), (blob.digest, blob.size));
                    }
                }
            }
            Err(error) => told += &show(&error),
        }
    }
    told
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let mut blobs: Vec<Vec<u8>> = Vec::new();
    while !input.0.is_empty() && blobs.len() < 12 {
        let text = filled(input.bytes(), &blobs);
        blobs.push(text);
    }
    let index = blobs.pop().unwrap_or_default();
    let dir = fuzz::scratch("layout");
    std::fs::create_dir_all(dir.join("blobs/sha256")).unwrap();
    std::fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    std::fs::write(dir.join("index.json"), &index).unwrap();
    let tar = dir.join("archive");
    let mut writer = Writer::new(Vec::new());
    writer.file("oci-layout", 30, &mut &br#"{"imageLayoutVersion":"1.0.0"}"#[..]).unwrap();
    writer.file("index.json", index.len() as u64, &mut &index[..]).unwrap();
    blobs.sort();
    blobs.dedup();
    for blob in &blobs {
        let name = format!("blobs/sha256/{}", Digest::of(blob).hex());
        std::fs::write(dir.join(&name), blob).unwrap();
        writer.file(&name, blob.len() as u64, &mut &blob[..]).unwrap();
    }
    std::fs::write(&tar, writer.finish().unwrap()).unwrap();
    let before = fuzz::snapshot(&dir);
    match (Layout::open(&dir), Archive::open(&tar)) {
        (Ok(layout), Ok(archive)) => {
            assert_eq!(layout.entries(), archive.entries());
            assert_eq!(told(&layout, layout.entries(), &dir), {
                let told = told(&archive, archive.entries(), &tar);
                told
            });
        }
        (Err(one), Err(other)) => {
            let show =
                |error: Error, path: &Path| error.to_string().replace(&path.display().to_string(), "PLACE");
            assert_eq!(show(other, &tar), show(one, &dir));
        }
        (layout, archive) => panic!("directory {:?}, archive {:?}", layout.err(), archive.err()),
    }
    assert_eq!(fuzz::snapshot(&dir), before, "reading wrote something");
    std::fs::remove_dir_all(&dir).unwrap();
});
