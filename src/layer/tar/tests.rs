//! One test per feature and one row per refusal.

use super::build::{Tar, header, sign, tar};
use super::*;

type Listed = Vec<(Entry, Vec<u8>)>;

fn list(archive: &[u8], limits: Limits) -> Result<Listed, ReadError> {
    let mut reader = Reader::new(archive, limits);
    let mut all = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        let mut content = Vec::new();
        reader
            .read_to_end(&mut content)
            .map_err(|error| reader.take_fault().unwrap_or(ReadError::Io(error)))?;
        all.push((entry, content));
    }
    Ok(all)
}

fn read(archive: Tar) -> Listed {
    list(&archive.end(), Limits::default()).unwrap()
}

fn one(archive: Tar) -> (Entry, Vec<u8>) {
    let mut all = read(archive);
    assert_eq!(all.len(), 1);
    all.remove(0)
}

fn fault(archive: &[u8]) -> TarFault {
    match list(archive, Limits::default()) {
        Err(ReadError::Tar { fault, .. }) => fault,
        other => panic!("{other:?}"),
    }
}

fn refused(archive: Tar) -> TarFault {
    fault(&archive.end())
}

fn entry(kind: EntryKind, path: &str, size: u64) -> Entry {
    let mode = if kind == EntryKind::Directory { 0o755 } else { 0o644 };
    Entry { path: path.into(), kind, mode, uid: 0, gid: 0, mtime: 0, size, xattrs: BTreeMap::new() }
}

#[test]
fn all_types() {
    let device = |block: &mut [u8; 512]| {
        block[329..337].copy_from_slice(b"0000005\0");
        block[337..345].copy_from_slice(b"0000001\0");
    };
    let archive = tar()
        .dir("d/")
        .file("d/f", b"barrel")
        .entry(0, "old", b"v7")
        .entry(b'7', "contiguous", b"")
        .symlink("s", "d/f")
        .hardlink("h", "d/f")
        .with(b'3', "c", b"", device)
        .with(b'4', "b", b"", device)
        .entry(b'6', "p", b"");
    let target = || b"d/f".to_vec();
    let expected = [
        (entry(EntryKind::Directory, "d/", 0), &b""[..]),
        (entry(EntryKind::Regular, "d/f", 6), b"barrel"),
        (entry(EntryKind::Regular, "old", 2), b"v7"),
        (entry(EntryKind::Regular, "contiguous", 0), b""),
        (entry(EntryKind::Symlink { target: target() }, "s", 0), b""),
        (entry(EntryKind::HardLink { target: target() }, "h", 0), b""),
        (entry(EntryKind::Char { major: 5, minor: 1 }, "c", 0), b""),
        (entry(EntryKind::Block { major: 5, minor: 1 }, "b", 0), b""),
        (entry(EntryKind::Fifo, "p", 0), b""),
    ];
    assert_eq!(read(archive), expected.map(|(entry, content)| (entry, content.to_vec())));
}

#[test]
fn names() {
    let v7 = |block: &mut [u8; 512]| block[257..].fill(0);
    let full = "n".repeat(100);
    let long = "l".repeat(300);
    let prefixed = |block: &mut [u8; 512]| block[345..348].copy_from_slice(b"usr");
    let gnu = |block: &mut [u8; 512]| {
        block[257..265].copy_from_slice(b"ustar  \0");
        block[345..357].copy_from_slice(b"00000000000\0"); // atime, no prefix
    };
    for (archive, expected) in [
        (tar().with(b'0', "lib/x", b"", prefixed), "usr/lib/x"),
        (tar().with(b'0', "x", b"", gnu), "x"),
        (tar().with(0, "x", b"", v7), "x"),
        (tar().file(&full, b""), &full),
        (tar().long(b'L', &long).file("cut", b""), &long),
        (tar().pax(&[("path", long.as_bytes())]).file("cut", b""), &long),
        (tar().pax(&[("path", b"a\nb")]).file("cut", b""), "a\nb"),
        (tar().pax(&[("SCHILY.xattr.user.x", b"1")]).long(b'L', &long).file("cut", b""), &long),
    ] {
        assert_eq!(one(archive).0.path, expected.as_bytes());
    }
    let latin1 = tar().with(b'0', "x", b"", |block| block[..3].copy_from_slice(b"\xe4\xff!"));
    assert_eq!(one(latin1).0.path, b"\xe4\xff!");
    let target = EntryKind::Symlink { target: long.clone().into_bytes() };
    assert_eq!(one(tar().long(b'K', &long).symlink("s", "cut")).0.kind, target);
    assert_eq!(one(tar().pax(&[("linkpath", long.as_bytes())]).symlink("s", "cut")).0.kind, target);
    for flag in [0, b'0', b'7'] {
        assert_eq!(one(tar().entry(flag, "old/", b"")).0.kind, EntryKind::Directory);
    }
}

#[test]
fn pax_attributes() {
    let capability = b"\x01\0\0\x02\n16 path=etc/bad\nB";
    let archive = tar()
        .entry(b'g', "pax_global_header", &super::build::record(b"comment", b"0123abcd"))
        .pax(&[
            ("uid", b"3000000"),
            ("gid", b"4000000000"),
            ("mtime", b"-1.5"),
            ("atime", b"1.25"),
            ("size", b"6"),
            ("SCHILY.xattr.security.capability", capability),
            ("SCHILY.xattr.user.empty", b""),
        ])
        .raw(&header(b"safe.txt", b'0', 0))
        .data(b"barrel");
    let (found, content) = one(archive);
    let mut expected = entry(EntryKind::Regular, "safe.txt", 6);
    (expected.uid, expected.gid, expected.mtime) = (3_000_000, 4_000_000_000, -2);
    expected.xattrs.insert(b"security.capability".to_vec(), capability.to_vec());
    expected.xattrs.insert(b"user.empty".to_vec(), Vec::new());
    assert_eq!((found, &content[..]), (expected, &b"barrel"[..]));
}

#[test]
fn header_numbers() {
    let (found, _) = one(tar().with(b'0', "x", b"", |block| {
        block[100..108].copy_from_slice(b"0104755\0");
        block[108..116].copy_from_slice(b"\x80\0\0\0\xff\xff\xff\xff");
        block[136..148].copy_from_slice(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe");
    }));
    assert_eq!((found.mode, found.uid, found.mtime), (0o4755, u32::MAX, -2));
    // Sums of signed bytes, as old Suns wrote them.
    let mut block = header(b"\xe4", b'0', 0);
    let sum: i32 = block
        .iter()
        .enumerate()
        .map(|(at, &b)| if (148..156).contains(&at) { 32 } else { i32::from(b.cast_signed()) })
        .sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    assert_eq!(one(tar().raw(&block)).0.path, b"\xe4");
}

fn gnu_sparse(places: &[(u64, u64)], size: u64) -> impl FnOnce(&mut [u8; 512]) {
    let places = places.to_vec();
    move |block| {
        block[257..265].copy_from_slice(b"ustar  \0");
        for (at, (start, length)) in places.iter().enumerate() {
            block[386 + at * 24..][..24].copy_from_slice(format!("{start:011o}\0{length:011o}\0").as_bytes());
        }
        block[483..495].copy_from_slice(format!("{size:011o}\0").as_bytes());
    }
}

#[test]
fn sparse_files_read_as_they_expand() {
    let expected = b"\0\0\0bar\0\0rel\0\0".to_vec();
    let v = |text: &'static str| text.as_bytes();
    let map = tar().data(b"3\n3\n3\n8\n3\n13\n0\n").raw(b"barrel").0;
    for archive in [
        tar().with(b'S', "s", b"barrel", gnu_sparse(&[(3, 3), (8, 3), (13, 0)], 13)),
        tar()
            .pax(&[
                ("GNU.sparse.size", v("13")),
                ("GNU.sparse.numblocks", v("2")),
                ("GNU.sparse.offset", v("3")),
                ("GNU.sparse.numbytes", v("3")),
                ("GNU.sparse.offset", v("8")),
                ("GNU.sparse.numbytes", v("3")),
            ])
            .file("s", b"barrel"),
        tar()
            .pax(&[
                ("GNU.sparse.size", v("13")),
                ("GNU.sparse.numblocks", v("2")),
                ("GNU.sparse.map", v("3,3,8,3")),
                ("GNU.sparse.name", v("s")),
            ])
            .file("GNUSparseFile.1/s", b"barrel"),
        tar()
            .pax(&[
                ("path", v("GNUSparseFile.1/s")),
                ("GNU.sparse.major", v("1")),
                ("GNU.sparse.minor", v("0")),
                ("GNU.sparse.name", v("s")),
                ("GNU.sparse.realsize", v("13")),
            ])
            .file("cut", &map),
    ] {
        let mut all = read(archive.file("after", b"x"));
        assert_eq!(all.pop().unwrap(), (entry(EntryKind::Regular, "after", 1), b"x".to_vec()));
        assert_eq!(all, [(entry(EntryKind::Regular, "s", 13), expected.clone())]);
    }
}

#[test]
fn sparse_continuation_blocks() {
    let places: Vec<(u64, u64)> = (0..30).map(|at| (at * 10, 1)).collect();
    let mut more = Vec::new();
    for chunk in places[4..].chunks(21) {
        let mut block = [0; 512];
        for (at, (start, length)) in chunk.iter().enumerate() {
            block[at * 24..][..24].copy_from_slice(format!("{start:011o}\0{length:011o}\0").as_bytes());
        }
        block[504] = u8::from(chunk.len() == 21);
        more.extend(block);
    }
    let mut block = header(b"s", b'S', 30);
    gnu_sparse(&places[..4], 300)(&mut block);
    block[482] = 1;
    let (found, content) = one(tar().raw(&sign(block)).raw(&more).data(&[7; 30]));
    assert_eq!(found.size, 300);
    assert!(content.iter().enumerate().all(|(at, &byte)| byte == if at % 10 == 0 { 7 } else { 0 }));
}

#[test]
fn refused_sparse_maps() {
    let v10 = |realsize: &'static str, map: &[u8]| {
        tar()
            .pax(&[
                ("GNU.sparse.major", b"1"),
                ("GNU.sparse.minor", b"0"),
                ("GNU.sparse.realsize", realsize.as_bytes()),
            ])
            .file("s", &tar().data(map).raw(b"barrel").0)
    };
    assert_eq!(one(v10("9", b"1\n3\n6\n")).0.size, 9);
    for archive in [
        tar().with(b'S', "s", b"barrel", gnu_sparse(&[(3, 3), (5, 3)], 13)), // overlap
        tar().with(b'S', "s", b"barrel", gnu_sparse(&[(8, 3), (3, 3)], 13)), // disorder
        tar().with(b'S', "s", b"barrel", gnu_sparse(&[(3, 6)], 8)),          // beyond the end
        tar().with(b'S', "s", b"barrel", gnu_sparse(&[(3, 5)], 13)),         // a byte that belongs nowhere
        tar().with(b'S', "s", b"barrel", gnu_sparse(&[(3, 7)], 13)),         // a byte too few
        tar().pax(&[("GNU.sparse.name", b"s")]).file("s", b""),
        tar().pax(&[("GNU.sparse.major", b"2"), ("GNU.sparse.minor", b"0")]).file("s", b""),
        tar().pax(&[("GNU.sparse.size", b"9"), ("GNU.sparse.map", b"3,6,")]).file("s", b"barrel"),
        tar().pax(&[("GNU.sparse.size", b"9"), ("GNU.sparse.map", b"3")]).file("s", b"barrel"),
        tar().pax(&[("GNU.sparse.size", b"9"), ("GNU.sparse.map", b"3,6")]).dir("s"),
        tar()
            .pax(&[("GNU.sparse.size", b"9"), ("GNU.sparse.map", b"3,6"), ("GNU.sparse.numblocks", b"2")])
            .file("s", b"barrel"),
        v10("9", b"1\n-3\n6\n"),
        v10("9", b"1\n3\n"),
        v10("9", b"99999999999999999999\n"),
        v10("9", b"9000000000000000000\n"),
        v10("9223372036854775808", b"1\n3\n6\n"),
        v10("9", b"2\n9223372036854775807\n9223372036854775807\n1\n1\n"),
    ] {
        let fault = refused(archive);
        assert!(matches!(fault, TarFault::Sparse | TarFault::RecordValue { .. }), "{fault:?}");
    }
    let both = tar().pax(&[("size", b"6")]).with(b'S', "s", b"barrel", gnu_sparse(&[(3, 6)], 9));
    assert_eq!(refused(both), TarFault::Conflict { field: "size" });
    assert_eq!(refused(tar().entry(b'S', "s", b"")), TarFault::Type { flag: b'S' });
}

#[test]
fn refusals() {
    let key = |key: &str| key.as_bytes().to_vec();
    let number = |at: usize, text: &'static [u8]| {
        tar().with(b'0', "x", b"", move |block| block[at..at + text.len()].copy_from_slice(text))
    };
    let size = header(b"x", b'0', 0);
    let computed = size[..148].iter().chain(&size[156..]).map(|&b| i64::from(b)).sum::<i64>() + 256;
    let mut unsummed = size;
    unsummed[148..156].copy_from_slice(b"0000001\0");
    for (archive, expected) in [
        (tar().raw(&unsummed), TarFault::Checksum { recorded: 1, computed }),
        (number(100, b"-000644\0"), TarFault::Number { field: "mode" }),
        (number(108, b"\x80\0\0\x01\0\0\0\0"), TarFault::Number { field: "uid" }),
        (number(116, b"\xff\xff\xff\xff\xff\xff\xff\xff"), TarFault::Number { field: "gid" }),
        (number(124, &[0xff; 12]), TarFault::Number { field: "size" }),
        (number(124, b"\x80\0\0\0\x80\0\0\0\0\0\0\0"), TarFault::Number { field: "size" }),
        (number(124, &[0; 12]), TarFault::Number { field: "size" }),
        (number(136, &[0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), TarFault::Number { field: "mtime" }),
        (
            tar().with(b'3', "c", b"", |block| block[329..337].fill(b'9')),
            TarFault::Number { field: "device" },
        ),
        (tar().with(b'3', "c", b"", |block| block[257..].fill(0)), TarFault::Number { field: "device" }),
        (tar().file("", b""), TarFault::EmptyName),
        (tar().long(b'L', "").file("x", b""), TarFault::EmptyName),
        (tar().symlink("s", ""), TarFault::EmptyTarget),
        (tar().hardlink("h", ""), TarFault::EmptyTarget),
        (tar().long(b'L', "a\0b").file("x", b""), TarFault::Nul { field: "long name" }),
        (tar().pax(&[("path", b"a\0b")]).file("x", b""), TarFault::Nul { field: "path" }),
        (tar().pax(&[("linkpath", b"a\0b")]).symlink("x", "y"), TarFault::Nul { field: "link target" }),
        (tar().entry(b'x', "p", b"30 path=x\n").file("x", b""), TarFault::Record),
        (
            tar().pax(&[("path", b"a"), ("path", b"b")]).file("x", b""),
            TarFault::DuplicateRecord { key: key("path") },
        ),
        (tar().pax(&[("path", b"")]).file("x", b""), TarFault::RecordValue { key: key("path") }),
        (tar().pax(&[("size", b"-1")]).file("x", b""), TarFault::RecordValue { key: key("size") }),
        (tar().pax(&[("uid", b"4294967296")]).file("x", b""), TarFault::RecordValue { key: key("uid") }),
        (tar().pax(&[("mtime", b"now")]).file("x", b""), TarFault::RecordValue { key: key("mtime") }),
        (
            tar().entry(b'g', "g", &super::build::record(b"path", b"x")).file("x", b""),
            TarFault::GlobalRecord { key: key("path") },
        ),
        (
            tar().entry(b'g', "g", &super::build::record(b"size", b"1")).file("x", b""),
            TarFault::GlobalRecord { key: key("size") },
        ),
        (tar().pax(&[("path", b"a")]).long(b'L', "b").file("x", b""), TarFault::Conflict { field: "name" }),
        (tar().long(b'L', "b").pax(&[("path", b"a")]).file("x", b""), TarFault::Conflict { field: "name" }),
        (
            tar().pax(&[("linkpath", b"a")]).long(b'K', "b").symlink("x", "y"),
            TarFault::Conflict { field: "link target" },
        ),
        (tar().pax(&[("size", b"0")]).long(b'L', "b").file("x", b""), TarFault::Conflict { field: "size" }),
        (tar().pax(&[]).pax(&[]).file("x", b""), TarFault::Conflict { field: "entry" }),
        (tar().long(b'L', "a").long(b'L', "a").file("x", b""), TarFault::Conflict { field: "name" }),
        (tar().entry(b'M', "x", b""), TarFault::Type { flag: b'M' }),
        (tar().entry(b'1', "h", b"data"), TarFault::EmptyTarget),
        (tar().pax(&[("linkpath", b"y")]).entry(b'1', "h", b"data"), TarFault::HasContent { size: 4 }),
        (tar().pax(&[("linkpath", b"y")]).entry(b'2', "s", b"data"), TarFault::HasContent { size: 4 }),
        (tar().entry(b'5', "d/", b"data"), TarFault::HasContent { size: 4 }),
        (tar().entry(b'0', "d/", b"data"), TarFault::HasContent { size: 4 }),
        (tar().pax(&[]), TarFault::Dangling),
        (tar().long(b'L', "a"), TarFault::Dangling),
    ] {
        assert_eq!(refused(archive), expected);
    }
}

#[test]
fn star_prefix() {
    let archive = tar().with(b'0', "x", b"", |block| {
        block[345..500].fill(b'p');
        block[508..].copy_from_slice(b"tar\0");
    });
    assert_eq!(refused(archive), TarFault::Conflict { field: "name" });
}

#[test]
fn ends() {
    let file = || tar().file("x", b"barrel");
    for end in [&b""[..], &[0; 512], &[0; 1024], &[0; 10240], &[0; 1100]] {
        assert_eq!(list(&file().raw(end).0, Limits::default()).unwrap().len(), 1, "{}", end.len());
    }
    assert_eq!(list(b"", Limits::default()).unwrap(), []);
    let whole = file().raw(&[0; 1024]).0;
    for cut in [1, 511, 513, 517, 518, 1023] {
        assert_eq!(fault(&whole[..cut]), TarFault::Truncated, "{cut}");
    }
    assert_eq!(fault(&[&whole, &b"x"[..]].concat()), TarFault::AfterEnd);
    assert_eq!(fault(&[&file().raw(&[0; 512]).0[..], &whole].concat()), TarFault::AfterEnd);
    let padded = |count: usize| [&whole[..], &vec![0; count]].concat();
    assert_eq!(list(&padded(MOST_PADDING as usize - 512), Limits::default()).unwrap().len(), 1);
    assert_eq!(fault(&padded(MOST_PADDING as usize)), TarFault::Padding { limit: MOST_PADDING });
    // Where it is told doesn't depend on how the bytes come.
    let junk = [&whole[..], &[0; 100], b"x"].concat();
    let told = list(&junk, Limits::default()).unwrap_err().to_string();
    assert_eq!(told, "entry x at byte 2148: there is data after the end of the archive");
}

#[test]
fn limits() {
    let limits = Limits { entries: 2, extension: 1000, bytes: 10_000 };
    let fault = |archive: Tar| match list(&archive.end(), limits) {
        Ok(_) => None,
        Err(ReadError::Tar { fault, .. }) => Some(fault),
        Err(other) => panic!("{other}"),
    };
    let two = tar().file("a", b"").file("b", b"");
    assert_eq!(fault(two.clone()), None);
    assert_eq!(fault(two.file("c", b"")), Some(TarFault::TooManyEntries { limit: 2 }));
    assert_eq!(fault(tar().long(b'L', &"n".repeat(999)).file("x", b"")), None);
    let large = Some(TarFault::ExtensionTooLarge { size: 1001, limit: 1000 });
    assert_eq!(fault(tar().long(b'L', &"n".repeat(1000)).file("x", b"")), large);
    assert_eq!(fault(tar().file("x", &[0; 10_001])), Some(TarFault::TooLarge { limit: 10_000 }));
    assert_eq!(fault(tar().raw(&[0; 11_000])), Some(TarFault::TooLarge { limit: 10_000 }));
    let bomb = tar().with(b'S', "s", b"", gnu_sparse(&[], 1 << 32));
    assert_eq!(fault(bomb), Some(TarFault::TooLarge { limit: 10_000 }));
}

#[test]
fn unread_content_is_skipped_and_errors_stay() {
    let archive = tar().file("a", &[1; 2000]).file("b", b"barrel").file("", b"").file("c", b"").end();
    let mut reader = Reader::new(&archive[..], Limits::default());
    reader.next_entry().unwrap();
    let mut some = [0; 10];
    reader.read_exact(&mut some).unwrap();
    assert_eq!(reader.next_entry().unwrap().unwrap().path, b"b");
    let error = reader.next_entry().unwrap_err();
    assert_eq!(error.to_string(), "at byte 4096: the name is empty");
    for _ in 0..2 {
        let error = reader.next_entry().unwrap_err();
        assert!(matches!(error, ReadError::Tar { fault: TarFault::AfterError, .. }));
    }
    reader.read(&mut some).unwrap_err();
}

#[test]
fn a_source_that_trickles_and_is_interrupted() {
    struct Trickle<'a>(&'a [u8], bool);
    impl Read for Trickle<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let count = buffer.len().min(7);
            self.0.read(&mut buffer[..count])
        }
    }
    let archive = tar().file("a", b"barrel").file("b", b"").end();
    let mut reader = Reader::new(Trickle(&archive, false), Limits::default());
    let mut names = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        names.push(entry.path);
    }
    assert_eq!(names, [b"a", b"b"]);
}

mod any_bytes {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Nothing that stands in an archive makes the reader panic.
        #[test]
        fn never_panic(changes in prop::collection::vec((0_usize..6000, any::<u8>()), 0..12), resign: bool) {
            let mut archive = tar()
                .pax(&[("path", b"a"), ("SCHILY.xattr.user.x", b"1"), ("mtime", b"1.5")])
                .file("a", b"barrel")
                .long(b'K', "target")
                .symlink("s", "x")
                .with(b'S', "s", b"barrel", gnu_sparse(&[(3, 3), (8, 3)], 13))
                .end();
            for (at, byte) in changes {
                if let Some(place) = archive.get_mut(at) {
                    *place = byte;
                }
            }
            if resign {
                for block in archive.as_chunks_mut::<512>().0 {
                    if block[257..262] == *b"ustar" {
                        *block = sign(*block);
                    }
                }
            }
            let _ = list(&archive, Limits { bytes: 1 << 20, ..Limits::default() });
        }
    }
}
