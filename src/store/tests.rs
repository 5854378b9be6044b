use std::collections::BTreeSet;
use std::io::{Read, Write};

use super::*;
use crate::digest::DiffId;
use crate::disk::tests::{Scratch, names};
use crate::oci::{Compression, Index, Manifest, MediaType};
use crate::progress::Silent;

fn store() -> (Scratch, Store) {
    let dir = Scratch::new();
    let store = Store::open(&dir.join("store")).unwrap();
    (dir, store)
}

fn key(recipe: &str) -> RootKey {
    RootKey { workspace: "/w".into(), recipe: recipe.into(), variant: "prod".into() }
}

/// An index over one image whose only layer is `layer`, made a root.
fn build(store: &Store, recipe: &str, layer: &[u8]) -> (Descriptor, Digest) {
    let transaction = store.begin().unwrap();
    let mut writer = transaction.writer().unwrap();
    writer.write_all(layer).unwrap();
    let (digest, size) = writer.finish(None).unwrap();
    let config = br#"{"rootfs":{"diff_ids":[],"type":"layers"}}"#;
    transaction.put(config).unwrap();
    let manifest = Manifest {
        config: Descriptor::of(MediaType::Config, config),
        layers: vec![Descriptor::new(MediaType::Layer(Compression::Gzip), digest, size)],
        annotations: Default::default(),
    }
    .to_bytes();
    transaction.put(&manifest).unwrap();
    let manifests = vec![Descriptor::of(MediaType::Manifest, &manifest)];
    let index = Index { manifests, annotations: Default::default() }.to_bytes();
    transaction.put(&index).unwrap();
    let derivation = transaction.put(&[b"derivation of ", layer].concat()).unwrap();
    let diff_id = Some(DiffId(Digest::of(b"tar")));
    transaction.realisation(derivation, Realisation { digest, size, diff_id }).unwrap();
    transaction.header(digest, b"headers").unwrap();
    transaction.chunks(digest, b"chunks").unwrap();
    let root = Descriptor::of(MediaType::Index, &index);
    transaction.root(key(recipe), root.clone());
    transaction.commit().unwrap();
    (root, digest)
}

fn damage(path: &Path) {
    let mut bytes = disk::read(path, 1 << 20).unwrap();
    bytes[0] ^= 1;
    disk::write_atomic(path, &bytes).unwrap();
}

#[test]
fn what_is_committed_reads_back() {
    let (_dir, store) = store();
    let (root, layer) = build(&store, "a/b", b"layer");
    assert_eq!(store.read(layer, 5, 5).unwrap(), b"layer");
    assert!(matches!(store.read(layer, 5, 4), Err(Error::TooLarge { .. })));
    assert!(matches!(store.read(layer, 6, 9), Err(Error::Missing { .. })));
    let mut bytes = Vec::new();
    store.open_blob(layer, 5).unwrap().read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, b"layer");
    let realisation = store.realisation(Digest::of(b"derivation of layer")).unwrap().unwrap();
    assert_eq!((realisation.digest, realisation.diff_id), (layer, Some(DiffId(Digest::of(b"tar")))));
    assert_eq!(store.header(layer).unwrap().unwrap(), b"headers");
    assert_eq!(store.chunks(layer).unwrap().unwrap(), b"chunks");
    let closure = store.closure(&root).unwrap();
    assert_eq!((closure.blobs.len(), closure.documents.len(), closure.absent.len()), (4, 3, 0));
    let roots = store.roots().unwrap();
    assert_eq!(roots[0].name.as_deref(), Some("a/b:prod"));
    assert_eq!((roots.len(), &roots[0].key), (1, &Some(key("a/b"))));
    assert_eq!(names(&store.path.join("tmp")), [""; 0]);
}

#[test]
fn what_is_not_committed_was_never_there() {
    let (_dir, store) = store();
    let transaction = store.begin().unwrap();
    let digest = transaction.put(b"lost").unwrap();
    let mut writer = transaction.writer().unwrap();
    writer.write_all(b"half").unwrap();
    assert!(transaction.has(digest, 4).unwrap());
    drop(writer);
    let mut writer = transaction.writer().unwrap();
    writer.write_all(b"other").unwrap();
    assert!(matches!(writer.finish(Some((digest, 4))), Err(Error::Unexpected { found_size: 5, .. })));
    drop(transaction);
    assert!(!store.has(digest, 4).unwrap());
    assert_eq!(names(&store.path.join("tmp")), [""; 0]);
}

#[test]
fn only_stores_are_opened_and_unfinished_ones_finished() {
    let dir = Scratch::new();
    disk::write_atomic(&dir.join("letter.txt"), b"x").unwrap();
    assert!(matches!(Store::open(&dir.0), Err(Error::NotAStore { .. })));
    disk::create_directories(&dir.join("s")).unwrap();
    disk::write_atomic(&dir.join("s/.tmp-1-2"), b"").unwrap();
    IndexFile::of(&dir.join("s")).write(Vec::new()).unwrap();
    assert!(Store::open(&dir.join("s")).unwrap().roots().unwrap().is_empty());
    disk::write_atomic(&dir.join("s/oci-layout"), br#"{"imageLayoutVersion":"2.0"}"#).unwrap();
    assert!(matches!(Store::open(&dir.join("s")), Err(Error::Version { .. })));
}

#[test]
fn damage_is_seen_and_heals_when_the_bytes_come_by() {
    let (_dir, store) = store();
    let (_, layer) = build(&store, "a/b", b"layer");
    damage(&store.blob(layer));
    let error = store.open_blob(layer, 5).unwrap().read_to_end(&mut Vec::new()).unwrap_err();
    assert!(error.to_string().contains("has the bytes of"));
    assert!(matches!(store.read(layer, 5, 5), Err(Error::Damaged { .. })));
    damage(&store.path.join("headers").join(layer.hex()));
    assert_eq!(store.header(layer).unwrap(), None);
    build(&store, "a/b", b"layer");
    assert_eq!(store.read(layer, 5, 5).unwrap(), b"layer");
    assert_eq!(store.header(layer).unwrap().unwrap(), b"headers");
    // Another size, and no file at all.
    disk::write_atomic(&store.blob(layer), b"layer and more").unwrap();
    assert!(!store.has(layer, 5).unwrap());
    assert_eq!(store.realisation(Digest::of(b"derivation of layer")).unwrap(), None);
    build(&store, "a/b", b"layer");
    assert!(store.has(layer, 5).unwrap());
}

#[test]
fn a_name_belongs_to_the_last_writer() {
    let (_dir, store) = store();
    let (one, _) = build(&store, "a/b", b"one");
    let transaction = store.begin().unwrap();
    transaction.root(RootKey { workspace: "/other".into(), ..key("a/b") }, one.clone());
    transaction.commit().unwrap();
    // What others wrote has no key.
    let mut imported = one.clone();
    imported.annotations.insert("org.opencontainers.image.ref.name".into(), "imported".into());
    let add = |entries: &mut Vec<Descriptor>| {
        entries.push(imported);
        true
    };
    store.index().change(add).unwrap();
    let seen: Vec<_> = store
        .roots()
        .unwrap()
        .into_iter()
        .map(|root| (root.key.map(|key| key.workspace), root.name))
        .collect();
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(seen, [(text("/w"), None), (text("/other"), text("a/b:prod")), (None, text("imported"))]);
    build(&store, "a/b", b"two");
    assert_eq!(store.roots().unwrap().len(), 3);
    assert_eq!(store.remove_roots(|root| root.key.is_none()).unwrap().len(), 1);
    assert_eq!(store.roots().unwrap().len(), 2);
}

#[test]
fn eight_writers_and_a_gc_lose_nothing() {
    let (_dir, store) = store();
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let store = &store;
            scope.spawn(move || {
                for round in 0..12 {
                    build(store, &format!("s/w{writer}-{round}"), format!("{writer} {round}").as_bytes());
                }
            });
        }
        scope.spawn(|| (0..12).for_each(|_| drop(store.gc(false, &BTreeSet::new(), &|_| true).unwrap())));
    });
    let roots = store.roots().unwrap();
    assert_eq!(roots.len(), 96);
    for root in roots {
        let closure = store.closure(&root.descriptor).unwrap();
        assert!(closure.blobs.iter().all(|blob| store.has(blob.digest, blob.size).unwrap()));
    }
    let report = store.verify(false, &Silent).unwrap();
    assert!(report.damaged.is_empty() && report.absent.is_empty(), "{report:?}");
}

#[test]
fn one_transaction_serves_many_threads() {
    let (_dir, store) = store();
    let transaction = store.begin().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for number in 0..50u32 {
                    transaction.put(&number.to_le_bytes()).unwrap();
                }
            });
        }
    });
    transaction.commit().unwrap();
    assert_eq!(names(&store.blobs()).len(), 50);
}

#[test]
fn gc_removes_what_no_root_reaches() {
    let (_dir, store) = store();
    let (_, one) = build(&store, "a/one", b"one");
    let (two_root, two) = build(&store, "a/two", b"two");
    disk::write_atomic(&store.path.join(".tmp-1-1"), b"left behind").unwrap();
    let transaction = store.begin().unwrap();
    let kept = transaction.put(b"kept").unwrap();
    transaction.commit().unwrap();
    let keep = BTreeSet::from([kept]);
    let live = |root: &Root| root.key.as_ref().is_some_and(|key| key.recipe == "a/two");
    let plan = store.gc(true, &keep, &live).unwrap();
    assert!(store.has(one, 3).unwrap());
    assert_eq!(store.gc(false, &keep, &live).unwrap(), plan);
    // Layer, manifest, index, derivation of one; the config is shared.
    assert_eq!((plan.roots.len(), plan.removed, plan.kept), (1, 4, 6));
    assert!(!store.has(one, 3).unwrap() && store.has(two, 3).unwrap() && store.has(kept, 4).unwrap());
    assert_eq!((store.header(one).unwrap(), store.chunks(one).unwrap()), (None, None));
    assert!(store.header(two).unwrap().is_some());
    assert!(store.realisation(Digest::of(b"derivation of two")).unwrap().is_some());
    assert!(!store.path.join(".tmp-1-1").exists());
    assert_eq!(names(&store.path.join("realisations")).len(), 1);
    // Not knowing what is needed, it removes nothing.
    damage(&store.blob(two_root.digest));
    assert!(matches!(store.gc(false, &keep, &|_| true), Err(Error::Damaged { .. })));
    disk::write_atomic(&store.index().path, b"{").unwrap();
    assert!(matches!(store.gc(false, &keep, &|_| true), Err(Error::Index { .. })));
    disk::remove(&store.index().path).unwrap();
    assert!(store.gc(false, &keep, &|_| true).is_err());
    assert!(store.has(two, 3).unwrap());
}

#[test]
fn verify_finds_every_damage_and_repair_lets_it_heal() {
    let (_dir, store) = store();
    let (root, layer) = build(&store, "a/b", b"layer");
    let blob = |name: &str| store.blobs().join(name);
    disk::write_atomic(&blob("NAME"), b"").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", blob(&Digest::of(b"link").hex())).unwrap();
    disk::create_directories(&blob(&Digest::of(b"directory").hex())).unwrap();
    damage(&store.blob(layer));
    damage(&store.path.join("chunks").join(layer.hex()));
    let find = |repair| {
        let mut found: Vec<_> = store.verify(repair, &Silent).unwrap().damaged;
        found.sort_by_key(|(_, damage)| damage.to_string());
        found.into_iter().map(|(_, damage)| damage.to_string()[..12].to_owned()).collect::<Vec<_>>()
    };
    let expected =
        ["it is not a r", "it is not a r", "it speaks of s", "its bytes ar", "its checksum", "its name is "];
    assert_eq!(find(false), expected.map(|text| &text[..12]));
    assert_eq!(find(true).len(), 6);
    assert_eq!(find(false), [""; 0]);
    assert!(!store.has(layer, 5).unwrap());
    // A layer may be absent, a root may not.
    assert!(store.verify(false, &Silent).unwrap().absent.is_empty());
    disk::remove(&store.blob(root.digest)).unwrap();
    assert_eq!(store.verify(false, &Silent).unwrap().absent[0].digest, root.digest);
    build(&store, "a/b", b"layer");
    let report = store.verify(false, &Silent).unwrap();
    assert!(report.damaged.is_empty() && report.absent.is_empty());
    assert_eq!(report.sound, 5);
}

#[test]
fn a_store_that_lost_its_own_documents_is_not_emptied() {
    let (_dir, store) = store();
    let (root, _) = build(&store, "a/b", b"layer");
    for damage in [&b""[..], b"\0\0\0", b"{}"] {
        disk::write_atomic(&store.path.join("oci-layout"), damage).unwrap();
        assert_eq!(Store::open(&store.path).unwrap().roots().unwrap().len(), 1);
    }
    disk::remove(&store.path.join("oci-layout")).unwrap();
    disk::remove(&store.index().path).unwrap();
    let store = Store::open(&store.path).unwrap();
    assert!(matches!(store.roots(), Err(Error::Unlisted { .. })));
    assert!(matches!(store.verify(false, &Silent).unwrap().damaged[..], [(_, Damage::Index { .. })]));
    store.verify(true, &Silent).unwrap();
    assert_eq!(store.roots().unwrap()[0].descriptor.digest, root.digest);
    let plan = store.gc(false, &BTreeSet::new(), &|_| true).unwrap();
    assert_eq!((plan.removed, plan.kept), (0, 5));
    // Built again, it has its name; what was found gives way.
    build(&store, "a/b", b"layer");
    assert_eq!(store.roots().unwrap()[0].name.as_deref(), Some("a/b:prod"));
    assert_eq!(store.roots().unwrap().len(), 1);
    // A flipped bit in the type of an output: nothing may be collected by such an index.
    let text = String::from_utf8(disk::read(&store.index().path, 1 << 20).unwrap()).unwrap();
    disk::write_atomic(&store.index().path, text.replace("image.index", "image.indey").as_bytes()).unwrap();
    assert!(matches!(store.gc(false, &BTreeSet::new(), &|_| true), Err(Error::Index { .. })));
    assert!(matches!(store.verify(false, &Silent).unwrap().damaged[..], [(_, Damage::Index { .. })]));
    disk::write_atomic(&store.index().path, text.as_bytes()).unwrap();
    // A root whose blob has gone is told of, and taken out.
    disk::remove(&store.blob(root.digest)).unwrap();
    assert!(
        store.verify(false, &Silent).unwrap().damaged.iter().any(|(path, _)| *path == store.index().path)
    );
    store.verify(true, &Silent).unwrap();
    assert!(store.roots().unwrap().is_empty());
}
