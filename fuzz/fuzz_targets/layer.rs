//! A tree becomes a layer that the strict reader takes for the same tree, or is refused.
#![no_main]

use std::collections::BTreeMap;

use cooperage::digest::{Digest, Encoding, Known};
use cooperage::layer::build;
use cooperage::layer::index::HeaderKind;
use cooperage::layer::scan::{Expected, scan_layer};
use cooperage::layer::tar::Limits;
use cooperage::oci::Compression;
use cooperage::tree::{Attributes, Content, FileTree, Kind, Node, TreePath};
use fuzz::Input;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let mut tree = FileTree::new();
    let mut contents: BTreeMap<Content, Vec<u8>> = BTreeMap::new();
    while !input.0.is_empty() && tree.len() < 50 {
        let (what, odd) = (input.byte(), input.byte());
        let Ok(path) = TreePath::parse(input.bytes()) else { continue };
        let mut attributes = Attributes::new(u32::from(odd) << 4 & 0o7777);
        if odd & 1 == 1 {
            attributes = attributes.owned(input.number(), input.number());
        }
        if odd & 2 == 2 {
            attributes.xattrs.insert(input.bytes().to_vec(), input.bytes().to_vec());
        }
        let kind = match what % 6 {
            0 => Kind::Directory { opaque: false },
            1 => Kind::Directory { opaque: true },
            2 => {
                let bytes = input.bytes();
                contents.insert(Content::of(bytes), bytes.to_vec());
                Kind::File(Content::of(bytes))
            }
            3 => Kind::Symlink(input.bytes().to_vec()),
            4 => match TreePath::parse(input.bytes()) {
                Ok(target) => Kind::HardLink(target),
                Err(_) => continue,
            },
            _ => Kind::Whiteout,
        };
        let mtime = i64::from(input.number()) * 2;
        tree.insert(path, Node { kind, attributes, mtime });
    }
    let open = |content: &Content| Ok((&contents[content][..], Known::Nothing));
    let make = |how| build(Encoding::V1, how, &tree, &open, None, Vec::new());
    let Ok((bytes, built)) = make(Compression::Gzip) else { return };
    let (plain, same) = make(Compression::None).expect("compression refuses nothing");
    assert_eq!(built.diff_id, same.diff_id);
    let expected = |bytes: &[u8], compression| Expected {
        digest: Digest::of(bytes),
        size: bytes.len() as u64,
        compression,
        diff_id: Some(built.diff_id),
    };
    let limits = Limits::default();
    let scan =
        scan_layer(&bytes[..], &expected(&bytes, Compression::Gzip), limits).expect("we read what we write");
    let other = scan_layer(&plain[..], &expected(&plain, Compression::None), limits).expect("packed or not");
    assert_eq!(scan.index, other.index);
    let (mut whiteouts, mut opaques) = (Vec::new(), Vec::new());
    for (path, node) in tree.iter() {
        if node.kind == Kind::Whiteout {
            whiteouts.push(path);
            continue;
        }
        let header = &scan.index.entries[path];
        // A hard link has its file's attributes; which of the names carries them is the writer's business.
        let same = match (&node.kind, &header.kind) {
            (Kind::Directory { opaque }, HeaderKind::Directory) => {
                if *opaque {
                    opaques.push(path);
                }
                true
            }
            (Kind::File(content), HeaderKind::File { size }) => content.size == *size,
            (Kind::Symlink(target), HeaderKind::Symlink(found)) => target == found,
            (Kind::HardLink(_) | Kind::File(_), HeaderKind::HardLink(_) | HeaderKind::File { .. }) => {
                continue;
            }
            _ => false,
        };
        assert!(same, "{path}: {node:?} is read as {header:?}");
        assert_eq!((&header.attributes, header.mtime), (&node.attributes, node.mtime), "{path}");
    }
    assert!(scan.index.whiteouts.iter().eq(whiteouts) && scan.index.opaques.iter().eq(opaques));
    assert_eq!(scan.index.entries.len() + scan.index.whiteouts.len(), tree.len());
});
