//! Any bytes as an archive from elsewhere: what is shown could be put into a directory, and nowhere else.
//!
//! The first byte says how it is to be unpacked, how much is stripped and whether checksums are mended.
#![no_main]

use std::collections::BTreeMap;
use std::io::Cursor;

use cooperage::layer::unpack::{Limits, What, unpack};
use cooperage::tree::{Step, TreePath};
use libfuzzer_sys::fuzz_target;

const LIMITS: Limits =
    Limits { entries: 1000, bytes: 4 << 20, file: 1 << 20, dictionary: 1 << 20, inside: 1 << 20, case: false };

const STEPS: [&[&str]; 8] =
    [&[], &["tar"], &["zip"], &["deb"], &["gem"], &["auto:a", "auto"], &["tar:a", "zip"], &["auto:a"]];

/// What stands at a path, and every path whose case doesn't count.
#[derive(Default)]
struct Tree {
    kinds: BTreeMap<TreePath, char>,
    folded: BTreeMap<Vec<u8>, TreePath>,
}

impl Tree {
    fn put(&mut self, path: TreePath, kind: char) {
        assert_eq!(TreePath::parse(path.as_bytes()).as_ref(), Ok(&path), "not normalised");
        assert!(!path.is_root() && !path.components().any(|name| name == b".." || name.starts_with(b".wh.")));
        for above in path.ancestors() {
            let was = self.kinds.insert(above.clone(), 'd').unwrap_or('d');
            assert_eq!(was, 'd', "{path} lies below no directory");
            self.fold(above);
        }
        let was = self.kinds.insert(path.clone(), kind);
        assert!(was.is_none() || (was == Some('d') && kind == 'd'), "{path} is there twice");
        self.fold(path);
    }

    fn fold(&mut self, path: TreePath) {
        let other = self.folded.insert(path.as_bytes().to_ascii_lowercase(), path.clone());
        assert!(other.is_none_or(|other| other == path), "{path} is there in another case");
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&choice, archive)) = data.split_first() else { return };
    let mut archive = archive.to_vec();
    if choice & 1 == 1 {
        fuzz::sign(&mut archive);
    }
    let strip = usize::from(choice >> 1 & 1);
    let steps: Vec<Step> =
        STEPS[usize::from(choice >> 2 & 7)].iter().map(|text| text.parse().expect("a step")).collect();
    let (mut tree, mut bytes) = (Tree::default(), 0);
    let _ = unpack(Cursor::new(&archive), &steps, strip, LIMITS, &|_| true, &mut |member| {
        assert!(member.mode <= 0o7777);
        let kind = match member.what {
            What::Directory => 'd',
            What::File { content, .. } => {
                bytes += std::io::copy(content, &mut std::io::sink())?;
                'f'
            }
            What::Symlink(target) => {
                assert!(!target.is_empty() && !target.contains(&0));
                'l'
            }
            What::HardLink(target) => {
                assert_eq!(tree.kinds.get(&target), Some(&'f'), "a hard link to no file");
                'h'
            }
        };
        tree.put(member.path, kind);
        Ok(())
    });
    assert!(bytes <= LIMITS.bytes && tree.kinds.values().filter(|kind| **kind != 'd').count() <= 1000);
});
