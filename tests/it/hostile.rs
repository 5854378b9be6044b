//! Bases and archives that mean harm, or are merely odd, as a user meets them: `[base] layout = …` with `cooper lock` and
//! `build`, and `cooper copy`. What each command says and answers is in `hostile.txt`; `COOPER_BLESS=1 cargo test hostile`
//! writes it anew.
//!
//! After each case: no panic, nothing outside the store, the lockfiles and the destination changed, no control or bidi
//! character on a terminal, memory below a bound, a store that verifies, and a good image still has its digest.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use cooperage::digest::Digest;
use serde_json::{Value, json};

use crate::craft::{
    Draft, INDEX, LAYER, MANIFEST, Stage, Tar, archive, blob_name, descriptor, docker, docker_config, gzip,
    gzip_bomb, header, record, sign, tar, write,
};
use crate::support::{Run, Test};

/// Peak resident memory of a run in KiB; a debug build's own pages are among it.
const MOST_MEMORY: u64 = 64 << 10;
/// The index of the good image, whatever was met before.
const GOOD: &str = "sha256:f6a96182fca2b0a81557dc53a977f3284f2568014327843f4126e85eb33c8482";

#[derive(Clone, Copy)]
enum Place {
    Layout,
    OciArchive,
    DockerArchive,
}

/// One thing that is handed to a user; `make` writes `base` or `base.tar` into the workspace.
struct Case {
    name: &'static str,
    place: Place,
    make: Box<dyn Fn(&Path) + Send + Sync>,
}

fn case(name: &'static str, place: Place, make: impl Fn(&Path) + Send + Sync + 'static) -> Case {
    Case { name, place, make: Box::new(make) }
}

/// A layout with these layers.
fn layers(name: &'static str, tars: impl Fn() -> Vec<Vec<u8>> + Send + Sync + 'static) -> Case {
    case(name, Place::Layout, move |dir| write(&dir.join("base"), &Draft::of(tars()).files()))
}

fn layer(name: &'static str, tar: impl Fn() -> Tar + Send + Sync + 'static) -> Case {
    layers(name, move || vec![tar().end()])
}

/// A layout whose one blob has these bytes, by media type suffix and expected tar.
fn blob(
    name: &'static str,
    suffix: &'static str,
    make: impl Fn() -> (Vec<u8>, Vec<u8>) + Send + Sync + 'static,
) -> Case {
    case(name, Place::Layout, move |dir| {
        let (blob, tar) = make();
        let mut draft = Draft::good();
        draft.layers = vec![(format!("{LAYER}{suffix}"), blob, Digest::of(&tar))];
        write(&dir.join("base"), &draft.files());
    })
}

/// A good layout one of whose documents is changed before it is named.
fn text(
    name: &'static str,
    at: Stage,
    change: impl Fn(String) -> String + Send + Sync + Clone + 'static,
) -> Case {
    case(name, Place::Layout, move |dir| {
        let change = change.clone();
        let draft = Draft::good().changed(move |stage, text| if stage == at { change(text) } else { text });
        write(&dir.join("base"), &draft.files());
    })
}

fn value(name: &'static str, at: Stage, change: impl Fn(&mut Value) + Send + Sync + Clone + 'static) -> Case {
    text(name, at, move |text| {
        let mut value = serde_json::from_str(&text).unwrap();
        change(&mut value);
        value.to_string()
    })
}

/// A good layout, then changed on disk.
fn disk(name: &'static str, change: impl Fn(&Path) + Send + Sync + 'static) -> Case {
    case(name, Place::Layout, move |dir| {
        write(&dir.join("base"), &Draft::good().files());
        change(&dir.join("base"));
    })
}

fn oci_archive(name: &'static str, make: impl Fn() -> Tar + Send + Sync + 'static) -> Case {
    case(name, Place::OciArchive, move |dir| fs::write(dir.join("base.tar"), make().end()).unwrap())
}

fn docker_archive(name: &'static str, make: impl Fn() -> Tar + Send + Sync + 'static) -> Case {
    case(name, Place::DockerArchive, move |dir| fs::write(dir.join("base.tar"), make().end()).unwrap())
}

/// The file of the layer of [`Draft::good`] in a layout.
fn good_layer(dir: &Path) -> PathBuf {
    dir.join(blob_name(&Draft::good().layers[0].1))
}

fn good_files() -> BTreeMap<String, Vec<u8>> {
    Draft::good().files()
}

/// The name of the blob that holds the one document with this in it.
fn document_with(files: &BTreeMap<String, Vec<u8>>, what: &str) -> String {
    let holds = |bytes: &[u8]| bytes.windows(what.len()).any(|window| window == what.as_bytes());
    let found = files.iter().find(|(name, bytes)| name.starts_with("blobs") && holds(bytes));
    found.unwrap_or_else(|| panic!("{what}")).0.clone()
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let text = |chunk: &[u8]| {
        let held = chunk.iter().chain([&0; 3]).take(3).fold(0, |held, &byte| held << 8 | usize::from(byte));
        (0..4)
            .map(|at| if at > chunk.len() { '=' } else { char::from(DIGITS[held >> (18 - 6 * at) & 63]) })
            .collect::<String>()
    };
    bytes.chunks(3).map(text).collect()
}

fn octal(at: usize, text: &[u8]) -> impl FnOnce(&mut [u8; 512]) {
    let text = text.to_vec();
    move |block| block[at..at + text.len()].copy_from_slice(&text)
}

fn plain() -> Tar {
    tar().dir("etc/").file("etc/passwd", b"root:x:0:0::/:/bin/sh\n")
}

/// Tars that are no layers, or that readers take differently.
fn archives() -> Vec<Case> {
    vec![
        layer("a name that climbs", || plain().file("../victim", b"x")),
        layer("a name that climbs in the middle", || plain().file("etc/../../victim", b"x")),
        layer("a directory that climbs", || plain().dir("../")),
        layer("a link target that climbs as a hard link", || plain().hardlink("h", "../victim")),
        layer("a hard link to an absolute name outside", || plain().hardlink("h", "/victim")),
        layer("a hard link to itself", || plain().hardlink("h", "h")),
        layer("hard links in a circle", || plain().hardlink("a", "b").hardlink("b", "a")),
        layer("a hard link to a directory", || plain().hardlink("h", "etc")),
        layer("a hard link to the root", || plain().hardlink("h", "/")),
        layer("a hard link to a later file", || plain().hardlink("h", "later").file("later", b"x")),
        layer("a hard link through a symbolic link out", || {
            plain().symlink("out", "../..").hardlink("h", "out/victim")
        }),
        layer("a file below a symbolic link of its layer", || {
            plain().symlink("out", "../../../..").file("out/victim", b"x")
        }),
        layer("a directory below a file", || plain().file("f", b"").dir("f/d/")),
        layer("a file that becomes a directory", || plain().file("f", b"").dir("f/")),
        layer("a directory that becomes a link", || plain().dir("d/").symlink("d", "/")),
        layer("the root as a file", || plain().file("./", b"")),
        layer("the root as a link", || plain().symlink(".", "/etc")),
        layer("a whiteout of nothing", || plain().file("etc/.wh.", b"")),
        layer("a whiteout of the directory", || plain().file("etc/.wh..", b"")),
        layer("a whiteout of the parent", || plain().file("etc/.wh...", b"")),
        layer("a whiteout with content below it", || plain().file(".wh.etc/passwd", b"x")),
        layer("a whiteout below a link", || plain().symlink("l", "/").file("l/.wh.victim", b"")),
        layer("an opaque mark below a link", || plain().symlink("l", "/").file("l/.wh..wh..opq", b"")),
        layer("an opaque mark in a file", || plain().file("f", b"").file("f/.wh..wh..opq", b"")),
        layer("a name with a NUL in PAX", || plain().pax(&[("path", b"a\0b")]).file("x", b"")),
        layer("control and bidi characters in a refused name", || {
            plain().pax(&[("path", "a\x1b[31m\u{202e}/../\u{9b}\n".as_bytes())]).file("x", b"")
        }),
        layer("an empty name", || plain().file("", b"")),
        layer("an empty link target", || plain().symlink("l", "")),
        layer("a path of ten thousand components", || {
            plain().pax(&[("path", "a/".repeat(10_000).as_bytes())]).file("x", b"")
        }),
        layer("a link target of a megabyte", || {
            plain().pax(&[("linkpath", &[b'a'; 1_000_000])]).symlink("x", "y")
        }),
        layer("a checksum that is wrong", || {
            plain().raw(&header(b"x", b'0', 0).map(|b| b ^ u8::from(b == b'x')))
        }),
        layer("a checksum that is no number", || {
            let mut block = header(b"x", b'0', 0);
            block[148..156].copy_from_slice(b"zzzzzzzz");
            plain().raw(&block)
        }),
        layer("a size that is no octal number", || {
            plain().with(b'0', "x", b"", octal(124, b"00000000008\0"))
        }),
        layer("a size that is negative in base 256", || {
            plain().with(b'0', "x", b"", octal(124, &[0xff; 12]))
        }),
        layer("a size beyond 2^63 in base 256", || {
            plain().with(b'0', "x", b"", octal(124, &[0x80, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0]))
        }),
        layer("a size of 2^63-1", || {
            plain().with(
                b'0',
                "x",
                b"",
                octal(124, &[0x80, 0, 0, 0, 0x7f, 255, 255, 255, 255, 255, 255, 255]),
            )
        }),
        layer("an empty size", || plain().with(b'0', "x", b"", octal(124, &[0; 12]))),
        layer("an owner beyond 2^32", || {
            plain().with(b'0', "x", b"", octal(108, &[0x80, 0, 0, 1, 0, 0, 0, 0]))
        }),
        layer("a negative owner", || plain().with(b'0', "x", b"", octal(116, &[0xff; 8]))),
        layer("a PAX owner beyond 2^32", || plain().pax(&[("uid", b"4294967296")]).file("x", b"")),
        layer("a negative PAX size", || plain().pax(&[("size", b"-1")]).file("x", b"")),
        layer("a PAX size beyond the archive", || plain().pax(&[("size", b"99999999999")]).file("x", b"abc")),
        layer("a PAX size that hides an entry", || {
            // A reader that believes the header's 0 sees /victim; the PAX size wins, and it is content.
            let hidden = tar().file("../victim", b"x").0;
            let size = hidden.len().to_string();
            plain().pax(&[("size", size.as_bytes())]).raw(&header(b"x", b'0', 0)).raw(&hidden)
        }),
        layer("a PAX size on a directory", || plain().pax(&[("size", b"512")]).dir("d/").raw(&[1; 512])),
        layer("a PAX size before a long name", || {
            plain().pax(&[("size", b"0")]).long(b'L', "b").file("x", b"")
        }),
        layer("a PAX path and a long name", || plain().pax(&[("path", b"a")]).long(b'L', "b").file("x", b"")),
        layer("a PAX link target and a long one", || {
            plain().pax(&[("linkpath", b"a")]).long(b'K', "b").symlink("x", "y")
        }),
        layer("a PAX record twice", || plain().pax(&[("path", b"a"), ("path", b"b")]).file("x", b"")),
        layer("two PAX headers", || plain().pax(&[("path", b"a")]).pax(&[("path", b"b")]).file("x", b"")),
        layer("a PAX length that is too long", || plain().entry(b'x', "p", b"30 path=x\n").file("x", b"")),
        layer("a PAX length that is too short", || plain().entry(b'x', "p", b"5 path=x\n").file("x", b"")),
        layer("a PAX length that overflows", || {
            plain().entry(b'x', "p", b"18446744073709551626 path=x\n").file("x", b"")
        }),
        layer("a PAX record without an end", || plain().entry(b'x', "p", b"9 path=xx").file("x", b"")),
        layer("a PAX record of an unknown key with a NUL in it", || {
            plain().entry(b'x', "p", &record(b"a\0b", b"c")).file("x", b"")
        }),
        layer("a PAX header at the end", || plain().pax(&[("path", b"a")])),
        layer("a long name at the end", || plain().long(b'L', "a")),
        layer("a global PAX path", || plain().entry(b'g', "g", &record(b"path", b"x")).file("y", b"")),
        layer("a global PAX size", || plain().entry(b'g', "g", &record(b"size", b"1")).file("y", b"")),
        layer("a PAX header of two megabytes", || {
            plain().pax(&[("comment", &[b'x'; 2 << 20])]).file("x", b"")
        }),
        layer("a PAX header that claims eight gigabytes", || {
            plain().with(b'x', "p", b"", octal(124, b"77777777777\0"))
        }),
        layer("a long name of two megabytes", || plain().long(b'L', &"n".repeat(2 << 20)).file("x", b"")),
        layer("a symbolic link with content", || {
            plain().pax(&[("linkpath", b"y")]).entry(b'2', "s", b"data")
        }),
        layer("a hard link with content", || {
            plain().pax(&[("linkpath", b"etc/passwd")]).entry(b'1', "h", b"data")
        }),
        layer("an unknown type", || plain().entry(b'M', "x", b"")),
        layer("a type that is a control character", || plain().entry(0x1b, "x", b"")),
        layer("a device without numbers", || plain().with(b'3', "c", b"", |block| block[257..].fill(0))),
        layer("an old sparse map that overlaps", || {
            plain().with(b'S', "s", b"barrel", sparse(&[(3, 3), (5, 3)], 13))
        }),
        layer("an old sparse map beyond the end", || {
            plain().with(b'S', "s", b"barrel", sparse(&[(3, 6)], 8))
        }),
        layer("an old sparse map that overflows", || {
            plain().with(b'S', "s", b"", |block| {
                sparse(&[(0, 0)], 13)(block);
                block[386..398].copy_from_slice(&[0x80, 0, 0, 0, 0x7f, 255, 255, 255, 255, 255, 255, 255]);
                block[398..410].copy_from_slice(&[0x80, 0, 0, 0, 0x7f, 255, 255, 255, 255, 255, 255, 255]);
            })
        }),
        layer("an old sparse map that never ends", || {
            let mut block = header(b"s", b'S', 0);
            sparse(&[], 13)(&mut block);
            block[482] = 1;
            let mut more = [0; 512];
            more[504] = 1;
            (0..5000).fold(plain().raw(&sign(block)), |tar, _| tar.raw(&more))
        }),
        layer("a sparse file of an exabyte", || {
            plain()
                .pax(&[("GNU.sparse.size", b"1152921504606846976"), ("GNU.sparse.map", b"")])
                .file("s", b"")
        }),
        layer("a sparse file of sixty gigabytes", || {
            plain().pax(&[("GNU.sparse.size", b"64424509440"), ("GNU.sparse.map", b"0,0")]).file("s", b"")
        }),
        layer("a sparse map of an odd length", || {
            plain().pax(&[("GNU.sparse.size", b"9"), ("GNU.sparse.map", b"3")]).file("s", b"barrel")
        }),
        layer("a sparse map of version 2", || {
            plain()
                .pax(&[("GNU.sparse.major", b"2"), ("GNU.sparse.minor", b"0"), ("GNU.sparse.realsize", b"1")])
                .file("s", b"")
        }),
        layer("a sparse map that counts to 2^63", || {
            let map = tar().data(b"9223372036854775807\n0\n").0;
            plain()
                .pax(&[("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0"), ("GNU.sparse.realsize", b"9")])
                .file("s", &map)
        }),
        layer("a sparse name that climbs", || {
            plain()
                .pax(&[
                    ("GNU.sparse.name", b"../victim"),
                    ("GNU.sparse.size", b"0"),
                    ("GNU.sparse.map", b"0,0"),
                ])
                .file("s", b"")
        }),
        layers("an archive that ends in a header", || vec![[plain().0, vec![b'x'; 100]].concat()]),
        layers("an archive that ends in a file", || {
            vec![plain().raw(&header(b"x", b'0', 4000)).raw(&[7; 512]).0]
        }),
        layers("an archive after the archive", || vec![[plain().end(), plain().end()].concat()]),
        layers("junk after the archive", || vec![[plain().end(), b"junk".to_vec()].concat()]),
        layers("junk instead of an archive", || vec![b"junk".repeat(300)]),
        layers("seventeen megabytes of zeros after the archive", || {
            vec![[plain().end(), vec![0; 17 << 20]].concat()]
        }),
        layer("a user database that is a directory's name twice", || {
            plain().file("etc/passwd", b"second:x:1:1::/:/bin/sh\n").dir("etc/")
        }),
        layer("a package database of seventy megabytes", || {
            plain().with(b'0', "var/lib/dpkg/status", b"", octal(124, b"00430000000\0"))
        }),
        layers("a hard link across layers to nothing", || {
            vec![plain().end(), tar().hardlink("h", "gone").end()]
        }),
        layers("a hard link across layers through a link", || {
            vec![plain().symlink("out", "../../..").end(), tar().hardlink("h", "out/etc/shadow").end()]
        }),
        layers("a hard link to what the layer takes away", || {
            vec![plain().end(), tar().file("etc/.wh.passwd", b"").hardlink("h", "etc/passwd").end()]
        }),
    ]
}

fn sparse(places: &[(u64, u64)], size: u64) -> impl FnOnce(&mut [u8; 512]) {
    let places = places.to_vec();
    move |block| {
        block[257..265].copy_from_slice(b"ustar  \0");
        for (at, (start, length)) in places.iter().enumerate() {
            block[386 + at * 24..][..24].copy_from_slice(format!("{start:011o}\0{length:011o}\0").as_bytes());
        }
        block[483..495].copy_from_slice(format!("{size:011o}\0").as_bytes());
    }
}

/// What is odd and right.
fn accepted() -> Vec<Case> {
    vec![
        layer("a good layer", plain),
        layers("no layers", Vec::new),
        layers("an empty archive", || vec![vec![0; 1024]]),
        layers("a layer of zero bytes", || vec![Vec::new()]),
        layers("an archive without an end mark", || vec![plain().0]),
        layers("an archive with half an end mark", || vec![plain().raw(&[0; 512]).0]),
        layers("zero padding to a record", || vec![[plain().end(), vec![0; 10_240]].concat()]),
        layer("absolute names", || plain().dir("/opt/").file("/opt/x", b"x")),
        layer("names with dots and slashes", || plain().file("././opt//x/./y", b"x")),
        layer("a symbolic link that climbs", || {
            plain().symlink("out", "../../../../victim").symlink("etc/l", "/")
        }),
        layer("a loop of symbolic links", || plain().symlink("one", "two").symlink("two", "one")),
        layer("devices and a FIFO", || {
            let device = |block: &mut [u8; 512]| {
                block[329..337].copy_from_slice(b"0000001\0");
                block[337..345].copy_from_slice(b"0000003\0");
            };
            plain()
                .with(b'3', "dev/null", b"", device)
                .with(b'4', "dev/sda", b"", device)
                .entry(b'6', "dev/fifo", b"")
        }),
        layer("a setuid file with capabilities", || {
            plain().pax(&[("SCHILY.xattr.security.capability", b"\x01\0\0\x02")]).with(
                b'0',
                "su",
                b"",
                octal(100, b"0104755\0"),
            )
        }),
        layer("overlay attributes", || {
            plain()
                .pax(&[("SCHILY.xattr.trusted.overlay.opaque", b"y"), ("SCHILY.xattr.user.k", b"v")])
                .dir("d/")
        }),
        layer("a whiteout of what isn't there", || {
            plain().file("etc/.wh.gone", b"").file(".wh..wh.plnk", b"")
        }),
        layer("an old header", || plain().with(b'\0', "old", b"v7", |block| block[257..].fill(0))),
        layer("an old directory", || plain().with(b'0', "old/", b"", |block| block[257..].fill(0))),
        layer("numbers in base 256", || {
            plain().with(b'0', "x", b"", |block| {
                octal(108, &[0x80, 0, 0, 0, 0xff, 255, 255, 255])(block);
                octal(136, &[0xff, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 0xfe])(block);
            })
        }),
        layer("a time after 2038 and one before 1970", || {
            plain()
                .pax(&[("mtime", b"9999999999.5")])
                .file("x", b"")
                .pax(&[("mtime", b"-1.5")])
                .file("y", b"")
        }),
        layer("a signed checksum", || {
            let mut block = header(b"\xe4", b'0', 0);
            let byte = |(at, &b): (usize, &u8)| {
                if (148..156).contains(&at) { 32 } else { i32::from(b.cast_signed()) }
            };
            let sum: i32 = block.iter().enumerate().map(byte).sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            plain().raw(&block)
        }),
        layer("a hard link to an earlier file", || plain().hardlink("h", "etc/passwd")),
        layer("a hard link to a hard link", || plain().hardlink("h", "etc/passwd").hardlink("i", "h")),
        layers("a hard link to a file of the layer below", || {
            vec![plain().end(), tar().hardlink("h", "etc/passwd").end()]
        }),
        layer("a global comment", || plain().entry(b'g', "pax_global_header", &record(b"comment", b"0123"))),
        layer("a directory twice", || plain().dir("d/").with(b'5', "d/", b"", octal(100, b"0000700\0"))),
        layer("a file twice", || plain().file("etc/passwd", b"later:x:7:7::/:/bin/sh\n")),
        layer("a long name and a long target", || {
            plain().long(b'K', &"t/".repeat(100)).long(b'L', &"n/".repeat(100)).symlink("x", "y")
        }),
        layer("a path of two thousand components", || {
            plain().pax(&[("path", "a/".repeat(2000).as_bytes())]).dir("x")
        }),
        layer("names that are no text", || {
            plain().file("\u{202e}\x1b[2J", b"").raw(&header(b"\xff\xfe\n\x7f", b'0', 0))
        }),
        layer("a file named like a mark", || plain().file("etc/wh.x", b"").file("etc/.whx", b"")),
        layer("old sparse files", || {
            plain().with(b'S', "s", b"barrel", sparse(&[(3, 3), (8, 3), (13, 0)], 13))
        }),
        layer("sparse files in PAX", || {
            let map = tar().data(b"2\n3\n3\n8\n3\n").raw(b"barrel").0;
            plain()
                .pax(&[("GNU.sparse.size", b"13"), ("GNU.sparse.map", b"3,3,8,3")])
                .file("s01", b"barrel")
                .pax(&[
                    ("GNU.sparse.major", b"1"),
                    ("GNU.sparse.minor", b"0"),
                    ("GNU.sparse.name", b"s10"),
                    ("GNU.sparse.realsize", b"13"),
                ])
                .file("GNUSparseFile.1/s", &map)
        }),
        layers("upper layers that take away and replace", || {
            vec![
                plain().dir("a/").file("a/x", b"").symlink("b", "a").end(),
                tar().file("a/.wh.x", b"").file(".wh.b", b"").end(),
                tar().file("a", b"now a file").dir("b/").file("b/.wh..wh..opq", b"").end(),
            ]
        }),
        layer("a directory over a link of its layer below", || {
            plain().symlink("lib", "usr/lib").dir("usr/").dir("usr/lib/")
        }),
        blob("gzip in several members", "+gzip", || {
            let tar = plain().end();
            let (one, other) = tar.split_at(700);
            ([gzip(one), gzip(other)].concat(), tar)
        }),
        blob("zstd", "+zstd", || {
            let tar = plain().end();
            (zstd::stream::encode_all(&tar[..], 3).unwrap(), tar)
        }),
        text("a config without a list of diff_ids", Stage::Config, |_| {
            r#"{"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":null}}"#.into()
        }),
        value("annotations and labels that steer terminals", Stage::Config, |config| {
            config["config"]["Labels"] = json!({ "a\u{1b}[31m": "\u{202e}\u{9b}2J\n", "b": "\u{7f}\r" });
        }),
        value("an unknown member of every kind", Stage::Manifest, |manifest| {
            manifest["x"] = json!([1e3, -0.0, null, true, { "y": "\u{0}" }]);
        }),
        value("an attestation beside the image, embedded", Stage::Index, |index| {
            let document = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "layers": [],
                "config": { "mediaType": "application/vnd.oci.empty.v1+json", "size": 2, "data": "e30=",
                    "digest": Digest::of(b"{}").to_string() } });
            let mut other = descriptor(MANIFEST, document.to_string().as_bytes());
            other["platform"] = json!({ "os": "unknown", "architecture": "unknown" });
            other["data"] = base64(document.to_string().as_bytes()).into();
            index["manifests"].as_array_mut().unwrap().push(other);
        }),
        oci_archive("an archive of a layout", || archive(&good_files())),
        oci_archive("an archive of a layout with ./ in front", || {
            good_files()
                .iter()
                .fold(tar().dir("./"), |tar, (name, bytes)| tar.file(&format!("./{name}"), bytes))
        }),
        docker_archive("what docker save writes", || {
            let layer = plain().end();
            docker(&docker_config(&[&layer]), &[("1/layer.tar", layer)], &["a/b:1"])
        }),
        docker_archive("layers that are links to layers", || {
            let layer = plain().end();
            let config = docker_config(&[&layer, &layer]);
            let manifest = json!([{ "Config": "config.json", "RepoTags": null, "Layers": ["1/layer.tar", "2/layer.tar"] }]);
            tar()
                .file("config.json", config.as_bytes())
                .file("1/layer.tar", &layer)
                .symlink("2/layer.tar", "../1/layer.tar")
                .file("manifest.json", manifest.to_string().as_bytes())
        }),
    ]
}

/// Blobs that aren't what their descriptor or their compression says.
fn compressions() -> Vec<Case> {
    let bad = |name, suffix, damage: fn(Vec<u8>) -> Vec<u8>| {
        blob(name, suffix, move || {
            let tar = plain().end();
            let packed = match suffix {
                "+gzip" => gzip(&tar),
                "+zstd" => checked_zstd(&tar),
                _ => tar.clone(),
            };
            (damage(packed), tar)
        })
    };
    vec![
        bad("plain bytes called gzip", "+gzip", |_| plain().end()),
        bad("gzip called plain", "", |bytes| gzip(&bytes)),
        bad("zstd called gzip", "+gzip", |_| checked_zstd(&plain().end())),
        bad("no bytes called gzip", "+gzip", |_| Vec::new()),
        bad("no bytes called zstd", "+zstd", |_| Vec::new()),
        bad("gzip with junk behind it", "+gzip", |bytes| [bytes, b"junk".to_vec()].concat()),
        bad("gzip with zeros behind it", "+gzip", |bytes| [bytes, vec![0; 512]].concat()),
        bad("gzip with a wrong checksum", "+gzip", |mut bytes| {
            let at = bytes.len() - 8;
            bytes[at] ^= 1;
            bytes
        }),
        bad("gzip with a wrong length", "+gzip", |mut bytes| {
            let at = bytes.len() - 1;
            bytes[at] ^= 1;
            bytes
        }),
        bad("gzip without its last byte", "+gzip", |mut bytes| {
            bytes.pop();
            bytes
        }),
        bad("gzip cut in the middle", "+gzip", |bytes| bytes[..bytes.len() / 2].to_vec()),
        bad("gzip with a reserved flag", "+gzip", |mut bytes| {
            bytes[3] = 0xe0;
            bytes
        }),
        bad("gzip with a reserved block", "+gzip", |mut bytes| {
            bytes[10] = 7;
            bytes
        }),
        bad("zstd with a wrong checksum", "+zstd", |mut bytes| {
            let at = bytes.len() - 1;
            bytes[at] ^= 1;
            bytes
        }),
        bad("zstd cut in the middle", "+zstd", |bytes| bytes[..bytes.len() / 2].to_vec()),
        bad("zstd with junk behind it", "+zstd", |bytes| [bytes, b"junk".to_vec()].concat()),
        bad("zstd with a huge window", "+zstd", |_| {
            // No content size; a window of 3.75 TiB; one raw block, the last, of one byte.
            [&[0x28, 0xb5, 0x2f, 0xfd, 0, 0xff][..], &[9, 0, 0, b'x']].concat()
        }),
        bad("zstd with a window of 64 MiB", "+zstd", |_| {
            [&[0x28, 0xb5, 0x2f, 0xfd, 0, 16 << 3][..], &[9, 0, 0, b'x']].concat()
        }),
        blob("a wrong diff_id", "+gzip", || (gzip(&plain().end()), b"other".to_vec())),
        blob("a bomb of five gigabytes in one file", "+gzip", || {
            let size = 5_u64 << 30;
            let head = plain().with(b'0', "zeros", b"", octal(124, format!("{size:011o}\0").as_bytes())).0;
            (gzip_bomb(&head, size / 258, b""), Vec::new())
        }),
        blob("a bomb of zeros behind the end", "+gzip", || {
            (gzip_bomb(&plain().end(), (1 << 30) / 258, b""), Vec::new())
        }),
        blob("a bomb of PAX headers", "+gzip", || {
            let head = plain().with(b'x', "p", b"", octal(124, b"10000000000\0")).0;
            (gzip_bomb(&head, (1 << 30) / 258, b""), Vec::new())
        }),
        blob("a bomb of a GNU long name", "+gzip", || {
            let head = plain().with(b'L', "p", b"", octal(124, b"10000000000\0")).0;
            (gzip_bomb(&head, (1 << 30) / 258, b""), Vec::new())
        }),
        blob("a bomb of a user database", "+gzip", || {
            let size = 258_u64 << 20;
            let name = "etc/passwd";
            let head = tar().with(b'0', name, b"", octal(124, format!("{size:011o}\0").as_bytes())).0;
            (gzip_bomb(&head, 1 << 20, &[0; 1023]), Vec::new())
        }),
        blob("a bomb of a package database", "+gzip", || {
            let size = 60_u64 << 20;
            let head = plain()
                .with(b'0', "var/lib/dpkg/status", b"", octal(124, format!("{size:011o}\0").as_bytes()))
                .0;
            (gzip_bomb(&head, size / 258, &[0; 2000]), Vec::new())
        }),
        blob("a bomb of gzip members", "+gzip", || (gzip(b"").repeat(100_000), Vec::new())),
        blob("a bomb of zstd frames", "+zstd", || {
            (zstd::stream::encode_all(&b""[..], 1).unwrap().repeat(100_000), Vec::new())
        }),
        blob("a bomb of a megabyte of directories", "+gzip", || {
            // Each path implies two thousand directories of its own.
            let path = |number: u32| format!("{number}/{}", "a/".repeat(2000));
            let tar =
                (0..300).fold(plain(), |tar, number| tar.pax(&[("path", path(number).as_bytes())]).dir("x"));
            (gzip(&tar.0), tar.0)
        }),
        layer("three thousand deep paths without their directories", || {
            let deep = "a/".repeat(1000);
            (0..3000).fold(plain(), |tar, number| {
                tar.pax(&[("path", format!("{deep}{number}").as_bytes())]).file("x", b"")
            })
        }),
        layer("five thousand entries with large attributes", || {
            let value = [b'v'; 4000];
            (0..5000).fold(plain(), |tar, number| {
                tar.pax(&[("SCHILY.xattr.user.v", &value)]).file(&number.to_string(), b"")
            })
        }),
        layer("a hundred thousand entries", || {
            (0..100_000)
                .fold(plain(), |tar, number| tar.file(&format!("usr/share/some/directory/{number:06}"), b""))
        }),
        layer("a hundred thousand directories", || {
            (0..100_000)
                .fold(plain(), |tar, number| tar.dir(&format!("usr/share/some/directory/{number:06}/")))
        }),
        layer("a hundred thousand whiteouts", || {
            (0..100_000).fold(plain(), |tar, number| {
                tar.file(&format!("usr/share/some/directory/.wh.{number:06}"), b"")
            })
        }),
        layer("a hundred thousand marks at the root", || {
            (0..100_000).fold(plain(), |tar, number| tar.file(&format!(".wh..wh.{number:06}"), b""))
        }),
    ]
}

fn checked_zstd(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Documents that lie, contradict themselves or take too much.
fn documents() -> Vec<Case> {
    let layer_size = |name, size: Value| {
        value(name, Stage::Manifest, move |manifest| manifest["layers"][0]["size"] = size.clone())
    };
    let layer_digest = |name, digest: &'static str| {
        value(name, Stage::Manifest, move |manifest| manifest["layers"][0]["digest"] = digest.into())
    };
    let layer_type = |name, media_type: &'static str| {
        value(name, Stage::Manifest, move |manifest| manifest["layers"][0]["mediaType"] = media_type.into())
    };
    let raw = |name, at, from: &'static str, to: &'static str| {
        text(name, at, move |text| {
            assert!(text.contains(from), "{text}");
            text.replacen(from, to, 1)
        })
    };
    const HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    vec![
        layer_size("a layer one byte larger than said", json!(Draft::good().layers[0].1.len() - 1)),
        layer_size("a layer one byte smaller than said", json!(Draft::good().layers[0].1.len() + 1)),
        layer_size("a layer that should have no bytes", json!(0)),
        layer_size("a negative size", json!(-1)),
        layer_size("a fractional size", json!(1.5)),
        layer_size("a size beyond 2^63", json!(u64::MAX)),
        layer_size("a layer of 2^63-1 bytes", json!(i64::MAX)),
        layer_size("a size in text", json!("12")),
        layer_size("no size", Value::Null),
        raw("a size with an exponent", Stage::Manifest, "\"size\":", "\"size\":1e"),
        raw(
            "a size of a thousand digits",
            Stage::Top,
            "\"size\":",
            &*Box::leak(format!("\"size\":{}", "9".repeat(1000)).into_boxed_str()),
        ),
        layer_digest("a digest that climbs", "sha256:../../../../victim"),
        layer_digest(
            "a digest in upper case",
            "sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
        ),
        layer_digest("a digest that is too short", "sha256:e3b0"),
        layer_digest("a digest that is too long", &*Box::leak(format!("sha256:{HEX}00").into_boxed_str())),
        layer_digest(
            "a digest with a path behind it",
            &*Box::leak(format!("sha256:{HEX}/../x").into_boxed_str()),
        ),
        layer_digest("an unknown algorithm", &*Box::leak(format!("md5:{HEX}").into_boxed_str())),
        layer_digest("sha512", &*Box::leak(format!("sha512:{HEX}{HEX}").into_boxed_str())),
        layer_digest("a digest without an algorithm", HEX),
        layer_digest("a digest with control characters", "sha256:\u{1b}[31m\u{202e}"),
        layer_digest("a layer that isn't there", &*Box::leak(format!("sha256:{HEX}").into_boxed_str())),
        layer_type("a foreign layer", "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"),
        layer_type(
            "a layer that may not be distributed",
            "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        ),
        layer_type("an encrypted layer", "application/vnd.oci.image.layer.v1.tar+gzip+encrypted"),
        layer_type("an unknown layer", "application/x-\u{1b}[31m\u{202e}"),
        layer_type("a layer that is called a manifest", MANIFEST),
        value("a layer type of a megabyte", Stage::Manifest, |manifest| {
            manifest["layers"][0]["mediaType"] = "x".repeat(1 << 20).into();
        }),
        value("a foreign layer of Windows", Stage::Manifest, |manifest| {
            manifest["layers"][0]["mediaType"] =
                "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip".into();
            manifest["layers"][0]["urls"] = json!(["https://example.invalid/layer"]);
        }),
        value("a Helm chart", Stage::Manifest, |manifest| {
            manifest["config"]["mediaType"] = "application/vnd.cncf.helm.config.v1+json".into();
        }),
        value("a manifest that says another type", Stage::Manifest, |manifest| {
            manifest["mediaType"] = INDEX.into()
        }),
        value("an index that says another type", Stage::Index, |index| index["mediaType"] = MANIFEST.into()),
        value("an index that is called a manifest", Stage::Top, |top| {
            top["manifests"][0]["mediaType"] = MANIFEST.into()
        }),
        value("a manifest that is called an index", Stage::Index, |index| {
            index["manifests"][0]["mediaType"] = INDEX.into()
        }),
        value("a manifest and an index at once", Stage::Manifest, |manifest| {
            manifest["manifests"] = json!([])
        }),
        value("an index with layers", Stage::Index, |index| index["layers"] = json!([])),
        value("a document of neither kind", Stage::Manifest, |manifest| {
            *manifest = json!({ "schemaVersion": 2 })
        }),
        value("schema version 1", Stage::Manifest, |manifest| manifest["schemaVersion"] = 1.into()),
        value("a schema version in text", Stage::Index, |index| index["schemaVersion"] = "2".into()),
        value("layers that are an object", Stage::Manifest, |manifest| manifest["layers"] = json!({})),
        value("a layer that is a number", Stage::Manifest, |manifest| manifest["layers"] = json!([1])),
        value("a manifest without a config", Stage::Manifest, |manifest| {
            drop(manifest.as_object_mut().unwrap().remove("config"))
        }),
        value("embedded bytes that are others", Stage::Top, |top| {
            top["manifests"][0]["data"] = "e30=".into()
        }),
        value("embedded bytes that are no base64", Stage::Top, |top| {
            top["manifests"][0]["data"] = "!".into()
        }),
        value("an annotation that is a number", Stage::Index, |index| {
            index["annotations"] = json!({ "a": 1 })
        }),
        value("more diff_ids than layers", Stage::Config, |config| {
            let one = config["rootfs"]["diff_ids"][0].clone();
            config["rootfs"]["diff_ids"].as_array_mut().unwrap().push(one);
        }),
        value("fewer diff_ids than layers", Stage::Config, |config| config["rootfs"]["diff_ids"] = json!([])),
        value("a diff_id that is no digest", Stage::Config, |config| {
            config["rootfs"]["diff_ids"] = json!(["sha256:../x"])
        }),
        value("no rootfs", Stage::Config, |config| drop(config.as_object_mut().unwrap().remove("rootfs"))),
        value("an unknown rootfs", Stage::Config, |config| config["rootfs"]["type"] = "layers+x".into()),
        value("a config that is an array", Stage::Config, |config| *config = json!([])),
        value("settings that are a text", Stage::Config, |config| config["config"] = "x".into()),
        value("an environment of numbers", Stage::Config, |config| {
            config["config"]["Env"] = json!([1, null])
        }),
        value("Windows", Stage::Index, |index| {
            index["manifests"][0]["platform"] =
                json!({ "os": "windows", "architecture": "amd64", "os.version": "10.0" });
        }),
        value("Windows in the config alone", Stage::Config, |config| config["os"] = "windows".into()),
        value("a platform that steers terminals", Stage::Index, |index| {
            index["manifests"][0]["platform"] = json!({ "os": "\u{1b}[2J\u{202e}", "architecture": "\n" });
        }),
        value("a platform without an architecture", Stage::Index, |index| {
            index["manifests"][0]["platform"] = json!({ "os": "linux" })
        }),
        raw("a key twice", Stage::Manifest, "{", "{\"schemaVersion\":2,"),
        raw("a key twice, once escaped", Stage::Manifest, "{", "{\"\\u0073chemaVersion\":2,"),
        raw("a digest twice", Stage::Index, "\"digest\":", "\"digest\":\"sha256:x\",\"digest\":"),
        raw("keys that differ by case", Stage::Manifest, "{", "{\"Layers\":[],\"CONFIG\":{},"),
        raw(
            "a key of control characters twice",
            Stage::Manifest,
            "{",
            "{\"\\u001b[31m\":1,\"\\u001b[31m\":2,",
        ),
        raw("a lone surrogate", Stage::Config, "{", "{\"x\":\"\\ud800\","),
        raw("a reversed surrogate pair", Stage::Config, "{", "{\"x\":\"\\udc00\\ud800\","),
        raw("a raw control character", Stage::Config, "{", "{\"x\":\"\u{1}\","),
        raw("a comment", Stage::Config, "{", "{/**/"),
        raw("a comma too many", Stage::Config, "{", "{,"),
        raw("a number with a zero in front", Stage::Manifest, "\"schemaVersion\":2", "\"schemaVersion\":02"),
        raw("infinity", Stage::Config, "{", "{\"x\":Infinity,"),
        raw("a byte order mark", Stage::Manifest, "{", "\u{feff}{"),
        text("two documents", Stage::Manifest, |text| format!("{text}{text}")),
        text("half a document", Stage::Manifest, |text| text[..text.len() / 2].to_owned()),
        text("an empty document", Stage::Manifest, |_| String::new()),
        text("a hundred thousand brackets", Stage::Config, |_| "[".repeat(100_000)),
        text("a hundred thousand nested objects", Stage::Manifest, |_| "{\"a\":".repeat(100_000)),
        text("nested config members", Stage::Config, |text| {
            text.replacen('{', &format!("{{\"x\":{}{},", "[".repeat(1000), "]".repeat(1000)), 1)
        }),
        text("a document of five megabytes", Stage::Manifest, |text| {
            format!("{text}{}", " ".repeat(5 << 20))
        }),
        text("an index of five megabytes", Stage::Index, |text| format!("{text}{}", " ".repeat(5 << 20))),
        text("a config of five megabytes", Stage::Config, |text| format!("{text}{}", " ".repeat(5 << 20))),
        text("two million numbers", Stage::Config, |text| {
            text.replacen('{', &format!("{{\"x\":[0{}],", ",0".repeat(2_000_000)), 1)
        }),
        text("half a million objects", Stage::Config, |text| {
            text.replacen('{', &format!("{{\"x\":[0{}],", ",{\"\":0}".repeat(500_000)), 1)
        }),
        text("an exponent of a thousand digits", Stage::Config, |text| {
            text.replacen('{', &format!("{{\"x\":1e{},", "9".repeat(1000)), 1)
        }),
    ]
}

/// Graphs of indexes, and manifests with very many layers.
fn graphs() -> Vec<Case> {
    /// Puts a document into the layout; gives its descriptor.
    fn put(files: &mut BTreeMap<String, Vec<u8>>, media_type: &str, document: &Value) -> Value {
        let bytes = document.to_string().into_bytes();
        let told = descriptor(media_type, &bytes);
        files.insert(blob_name(&bytes), bytes);
        told
    }
    fn top(files: &mut BTreeMap<String, Vec<u8>>, manifests: &[Value]) {
        let index = json!({ "schemaVersion": 2, "manifests": manifests });
        files.insert("index.json".into(), index.to_string().into_bytes());
    }
    fn layout(dir: &Path, files: &BTreeMap<String, Vec<u8>>) {
        write(&dir.join("base"), files);
    }
    let index =
        |manifests: &[Value]| json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests });
    let nested = move |depth: usize, width: usize| {
        move |dir: &Path| {
            let mut files = good_files();
            let name = document_with(&files, "\"layers\":[{");
            let mut below = descriptor(MANIFEST, &files[&name]);
            below["platform"] = json!({ "os": "linux", "architecture": "amd64" });
            for _ in 0..depth {
                below = put(&mut files, INDEX, &index(&vec![below; width]));
            }
            top(&mut files, &[below]);
            layout(dir, &files);
        }
    };
    let many_layers = |count: usize| {
        move |dir: &Path| {
            let tars = (0..count).map(|number| tar().file(&number.to_string(), b"").end()).collect();
            layout(dir, &Draft::of(tars).files());
        }
    };
    vec![
        case("an index in an index", Place::Layout, nested(2, 1)),
        case("indexes nested thirty deep", Place::Layout, nested(30, 1)),
        case("indexes that fan out to eight to the twelfth", Place::Layout, nested(12, 8)),
        case("indexes that fan out to eight to the eighth", Place::Layout, nested(8, 8)),
        case("an index whose descriptor names itself", Place::Layout, |dir| {
            // No hash names itself: the blob with that name holds another index that points back.
            let mut files = good_files();
            let digest = Digest::of(b"circle").to_string();
            let back = json!({ "mediaType": INDEX, "digest": digest, "size": 200 });
            let circle = json!({ "schemaVersion": 2, "manifests": [back] }).to_string();
            let back = json!({ "mediaType": INDEX, "digest": digest, "size": circle.len() });
            let circle = json!({ "schemaVersion": 2, "manifests": [back.clone()] }).to_string();
            files.insert(format!("blobs/sha256/{}", Digest::of(b"circle").hex()), circle.into_bytes());
            top(&mut files, &[back]);
            layout(dir, &files);
        }),
        case("an index of ten thousand manifests", Place::Layout, move |dir| {
            let mut files = good_files();
            let name = document_with(&files, "\"layers\":[{");
            let mut good = descriptor(MANIFEST, &files[&name]);
            good["platform"] = json!({ "os": "linux", "architecture": "amd64" });
            let other = |number: u32| {
                json!({ "mediaType": MANIFEST, "digest": Digest::of(&number.to_le_bytes()).to_string(), "size": 1,
                    "platform": { "os": "plan9", "architecture": number.to_string() } })
            };
            let all: Vec<Value> = (0..10_000).map(other).chain([good]).collect();
            let below = put(&mut files, INDEX, &index(&all));
            top(&mut files, &[below]);
            layout(dir, &files);
        }),
        case("ten thousand platforms that nobody wants", Place::Layout, move |dir| {
            let mut files = good_files();
            let other = |number: u32| {
                json!({ "mediaType": MANIFEST, "digest": Digest::of(&number.to_le_bytes()).to_string(), "size": 1,
                    "platform": { "os": "plan9", "architecture": number.to_string() } })
            };
            let all: Vec<Value> = (0..10_000).map(other).collect();
            let below = put(&mut files, INDEX, &index(&all));
            top(&mut files, &[below]);
            layout(dir, &files);
        }),
        case("an index.json of a hundred thousand manifests", Place::Layout, |dir| {
            let mut files = good_files();
            let entry = |number: u32| {
                json!({ "mediaType": INDEX, "digest": Digest::of(&number.to_le_bytes()).to_string(), "size": 1,
                    "annotations": { "org.opencontainers.image.ref.name": format!("tag-{number}") } })
            };
            let all: Vec<Value> = (0..100_000).map(entry).collect();
            top(&mut files, &all);
            layout(dir, &files);
        }),
        case("an index.json of five hundred names", Place::Layout, |dir| {
            let mut files = good_files();
            let entry = |number: u32| {
                json!({ "mediaType": INDEX, "digest": Digest::of(&number.to_le_bytes()).to_string(), "size": 1,
                    "annotations": { "org.opencontainers.image.ref.name": format!("tag-{number}") } })
            };
            top(&mut files, &(0..500).map(entry).collect::<Vec<_>>());
            layout(dir, &files);
        }),
        case("two sizes for one digest", Place::Layout, |dir| {
            let mut files = good_files();
            let name = document_with(&files, "\"layers\":[{");
            let good = descriptor(MANIFEST, &files[&name]);
            let mut other = good.clone();
            other["size"] = 7.into();
            let below = put(&mut files, INDEX, &json!({ "schemaVersion": 2, "manifests": [good, other] }));
            top(&mut files, &[below]);
            layout(dir, &files);
        }),
        case("names that steer terminals", Place::Layout, |dir| {
            let mut files = good_files();
            let entry = |number: u32| {
                json!({ "mediaType": INDEX, "digest": Digest::of(&number.to_le_bytes()).to_string(), "size": 1,
                    "annotations": { "org.opencontainers.image.ref.name": format!("\u{1b}]0;{number}\u{7}\u{202e}\u{9b}\r\n") } })
            };
            top(&mut files, &[entry(1), entry(2)]);
            layout(dir, &files);
        }),
        case("a name that is a path", Place::Layout, |dir| {
            let mut files = good_files();
            let mut index: Value = serde_json::from_slice(&files["index.json"]).unwrap();
            index["manifests"][0]["annotations"] =
                json!({ "org.opencontainers.image.ref.name": "../../victim" });
            files.insert("index.json".into(), index.to_string().into_bytes());
            layout(dir, &files);
        }),
        case("a hundred and twenty-eight layers", Place::Layout, many_layers(128)),
        case("three thousand layers", Place::Layout, many_layers(3000)),
        case("one layer ten thousand times", Place::Layout, |dir| {
            let mut draft = Draft::good();
            draft.layers = vec![draft.layers.remove(0); 10_000];
            layout(dir, &draft.files());
        }),
    ]
}

/// Layouts and archives whose files aren't what they should be.
fn places() -> Vec<Case> {
    let replaced = |name, with: fn(&Path)| {
        disk(name, move |dir| {
            let path = good_layer(dir);
            fs::remove_file(&path).unwrap();
            with(&path);
        })
    };
    let fifo = |path: &Path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    let document = |name, what: &'static str, change: fn(&Path)| {
        disk(name, move |dir| change(&dir.join(document_with(&good_files(), what))))
    };
    let tampered = |from: &'static str, to: &'static str| {
        move || {
            let mut files = good_files();
            let bytes = files.remove(from).unwrap();
            archive(&files).file(to, &bytes)
        }
    };
    vec![
        disk("a layer with a byte flipped", |dir| {
            let mut bytes = fs::read(good_layer(dir)).unwrap();
            bytes[600] ^= 1;
            fs::write(good_layer(dir), bytes).unwrap();
        }),
        disk("a layer that was cut", |dir| {
            let bytes = fs::read(good_layer(dir)).unwrap();
            fs::write(good_layer(dir), &bytes[..bytes.len() / 2]).unwrap();
        }),
        disk("a layer with something behind it", |dir| {
            let bytes = fs::read(good_layer(dir)).unwrap();
            fs::write(good_layer(dir), [bytes, vec![0; 512]].concat()).unwrap();
        }),
        disk("a layer without bytes", |dir| fs::write(good_layer(dir), b"").unwrap()),
        replaced("a layer that is a symbolic link", |path| symlink("../../../victim", path).unwrap()),
        replaced("a layer that is a link to a device", |path| symlink("/dev/zero", path).unwrap()),
        disk("a layer that is a FIFO", move |dir| {
            fs::remove_file(good_layer(dir)).unwrap();
            fifo(&good_layer(dir));
        }),
        replaced("a layer that is a directory", |path| fs::create_dir(path).unwrap()),
        replaced("a layer that is gone", |_| {}),
        document("a manifest that is a symbolic link", "\"layers\":[{", |path| {
            fs::remove_file(path).unwrap();
            symlink("../../index.json", path).unwrap();
        }),
        document("a manifest with other bytes", "\"layers\":[{", |path| {
            let text = fs::read_to_string(path).unwrap();
            fs::write(path, text.replacen("\"size\":", "\"size\":1", 1)).unwrap();
        }),
        document("a manifest with a byte flipped", "\"layers\":[{", |path| {
            let text = fs::read_to_string(path).unwrap();
            fs::write(path, text.replacen("schema", "scheme", 1)).unwrap();
        }),
        document("a config with a byte flipped", "\"rootfs\"", |path| {
            let text = fs::read_to_string(path).unwrap();
            fs::write(path, text.replacen("amd64", "arm64", 1)).unwrap();
        }),
        document("a config that is gone", "\"rootfs\"", |path| fs::remove_file(path).unwrap()),
        document("an index that is gone", "\"manifests\":[{", |path| fs::remove_file(path).unwrap()),
        document("an index of four gigabytes", "\"manifests\":[{", |path| {
            fs::OpenOptions::new().write(true).open(path).unwrap().set_len(4 << 30).unwrap();
        }),
        disk("an index.json of four gigabytes", |dir| {
            fs::OpenOptions::new()
                .write(true)
                .open(dir.join("index.json"))
                .unwrap()
                .set_len(4 << 30)
                .unwrap();
        }),
        disk("an index.json that is a FIFO", move |dir| {
            fs::remove_file(dir.join("index.json")).unwrap();
            fifo(&dir.join("index.json"));
        }),
        disk("an index.json that is a link", |dir| {
            fs::rename(dir.join("index.json"), dir.join("other.json")).unwrap();
            symlink("other.json", dir.join("index.json")).unwrap();
        }),
        disk("an index.json that is a manifest", |dir| {
            let name = document_with(&good_files(), "\"layers\":[{");
            fs::copy(dir.join(name), dir.join("index.json")).unwrap();
        }),
        disk("an index.json that is empty", |dir| fs::write(dir.join("index.json"), b"").unwrap()),
        disk("an index.json that isn't UTF-8", |dir| {
            fs::write(dir.join("index.json"), b"{\"schemaVersion\":2,\"manifests\":[],\"x\":\"\xff\"}")
                .unwrap();
        }),
        disk("an index.json without manifests", |dir| {
            fs::write(dir.join("index.json"), r#"{"schemaVersion":2,"manifests":[]}"#).unwrap();
        }),
        disk("no index.json", |dir| fs::remove_file(dir.join("index.json")).unwrap()),
        disk("no oci-layout", |dir| fs::remove_file(dir.join("oci-layout")).unwrap()),
        disk("a layout of version 2", |dir| {
            fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"2.0.0"}"#).unwrap()
        }),
        disk("an oci-layout of a megabyte", |dir| {
            fs::write(dir.join("oci-layout"), " ".repeat(1 << 20)).unwrap()
        }),
        disk("blobs that are a link", |dir| {
            fs::rename(dir.join("blobs"), dir.join("elsewhere")).unwrap();
            symlink("elsewhere", dir.join("blobs")).unwrap();
        }),
        oci_archive("an archive with two index.json", || {
            archive(&good_files()).file("index.json", br#"{"schemaVersion":2,"manifests":[]}"#)
        }),
        oci_archive("an archive with two index.json, one behind ./", || {
            archive(&good_files()).file("./index.json", br#"{"schemaVersion":2,"manifests":[]}"#)
        }),
        oci_archive("an archive with two index.json, one behind a slash", || {
            archive(&good_files()).file("/index.json", br#"{"schemaVersion":2,"manifests":[]}"#)
        }),
        oci_archive("an archive with two index.json, one behind x/..", || {
            archive(&good_files()).file("x/../index.json", br#"{"schemaVersion":2,"manifests":[]}"#)
        }),
        oci_archive("an archive with one blob twice", || {
            let files = good_files();
            let name = document_with(&files, "\"rootfs\"");
            archive(&files).file(&name, &files[&name])
        }),
        oci_archive("an archive whose index.json is a link out", || {
            let mut files = good_files();
            files.remove("index.json");
            archive(&files).symlink("index.json", "../../victim")
        }),
        oci_archive("an archive whose index.json is a link to itself", || {
            let mut files = good_files();
            files.remove("index.json");
            archive(&files).symlink("index.json", "index.json")
        }),
        oci_archive("an archive whose index.json is a directory", || {
            let mut files = good_files();
            files.remove("index.json");
            archive(&files).dir("index.json/")
        }),
        oci_archive("an archive whose blob is a link out", || {
            let mut files = good_files();
            let name = document_with(&files, "\"layers\":[{");
            files.remove(&name);
            archive(&files).symlink(&name, "../../../../etc/passwd")
        }),
        oci_archive("an archive whose index.json lies elsewhere", tampered("index.json", "x/index.json")),
        oci_archive("an archive without a version", tampered("oci-layout", "layout")),
        oci_archive("an archive whose index.json is sparse", || {
            let mut files = good_files();
            files.remove("index.json");
            archive(&files).with(b'S', "index.json", b"barrel", sparse(&[(3, 6)], 9))
        }),
        oci_archive("an archive with a name that climbs", || {
            archive(&good_files()).file("../../victim", b"x")
        }),
        oci_archive("an archive with control characters in a doubled name", || {
            archive(&good_files()).file("\x1b[31m\u{202e}", b"x").file("\x1b[31m\u{202e}", b"x")
        }),
        oci_archive("an archive with a bad header", || archive(&good_files()).raw(&[b'x'; 512])),
        case("an archive that is cut", Place::OciArchive, |dir| {
            let whole = archive(&good_files()).0;
            fs::write(dir.join("base.tar"), &whole[..whole.len() - 700]).unwrap();
        }),
        case("an archive that is compressed", Place::OciArchive, |dir| {
            fs::write(dir.join("base.tar"), gzip(&archive(&good_files()).end())).unwrap();
        }),
        case("an archive that is a FIFO", Place::OciArchive, move |dir| fifo(&dir.join("base.tar"))),
        case("an archive that is empty", Place::OciArchive, |dir| {
            fs::write(dir.join("base.tar"), b"").unwrap()
        }),
        case("an archive that is text", Place::OciArchive, |dir| {
            fs::write(dir.join("base.tar"), "text\n".repeat(1000)).unwrap()
        }),
        oci_archive("an archive of a hundred thousand files", || {
            (0..100_000).fold(archive(&good_files()), |tar, number| tar.file(&format!("x/{number}"), b""))
        }),
        docker_archive("a layer path that climbs", || {
            docker(&docker_config(&[b"x"]), &[("../../victim", b"x".to_vec())], &["a:1"])
        }),
        docker_archive("a layer that is a link out", || {
            let manifest = json!([{ "Config": "config.json", "RepoTags": [], "Layers": ["layer.tar"] }]);
            tar()
                .file("config.json", docker_config(&[b"x"]).as_bytes())
                .symlink("layer.tar", "../../../etc/passwd")
                .file("manifest.json", manifest.to_string().as_bytes())
        }),
        docker_archive("layers that link to each other", || {
            let manifest = json!([{ "Config": "config.json", "RepoTags": [], "Layers": ["a", "b"] }]);
            tar()
                .file("config.json", docker_config(&[b"x", b"x"]).as_bytes())
                .symlink("a", "b")
                .symlink("b", "a")
                .file("manifest.json", manifest.to_string().as_bytes())
        }),
        docker_archive("a config path that climbs", || {
            let manifest = json!([{ "Config": "/etc/passwd", "RepoTags": [], "Layers": [] }]);
            tar().file("manifest.json", manifest.to_string().as_bytes())
        }),
        docker_archive("a layer that isn't in the archive", || {
            let manifest = json!([{ "Config": "config.json", "RepoTags": [], "Layers": ["gone"] }]);
            tar()
                .file("config.json", docker_config(&[b"x"]).as_bytes())
                .file("manifest.json", manifest.to_string().as_bytes())
        }),
        docker_archive("a layer that isn't its diff_id", || {
            docker(&docker_config(&[b"x"]), &[("1/layer.tar", plain().end())], &["a:1"])
        }),
        docker_archive("a compressed layer that isn't its diff_id", || {
            docker(&docker_config(&[b"x"]), &[("1/layer.tar", gzip(&plain().end()))], &["a:1"])
        }),
        docker_archive("more layers than diff_ids", || {
            docker(&docker_config(&[]), &[("1/layer.tar", plain().end())], &["a:1"])
        }),
        docker_archive("fewer layers than diff_ids", || {
            docker(&docker_config(&[b"x", b"y"]), &[("1/layer.tar", plain().end())], &["a:1"])
        }),
        docker_archive("a manifest.json that is an object", || tar().file("manifest.json", b"{}")),
        docker_archive("a manifest.json without images", || tar().file("manifest.json", b"[]")),
        docker_archive("a manifest.json that is no JSON", || tar().file("manifest.json", b"[}")),
        docker_archive("two manifest.json", || {
            let layer = plain().end();
            docker(&docker_config(&[&layer]), &[("1/layer.tar", layer)], &["a:1"])
                .file("manifest.json", b"[]")
        }),
        docker_archive("an image without a config", || tar().file("manifest.json", br#"[{"Layers":[]}]"#)),
        docker_archive("a config path of a megabyte", || {
            tar().file(
                "manifest.json",
                json!([{ "Config": "c".repeat(1 << 20), "Layers": [] }]).to_string().as_bytes(),
            )
        }),
        docker_archive("layers that are numbers", || {
            tar().file("manifest.json", br#"[{"Config":"config.json","Layers":[1]}]"#)
        }),
        docker_archive("tags that steer terminals", || {
            let layer = plain().end();
            let tags = ["\u{1b}[31m\u{202e}:1", "\u{9b}2J\r\n"];
            docker(&docker_config(&[&layer]), &[("1/layer.tar", layer)], &tags)
        }),
        docker_archive("a layer that is no archive", || {
            docker(&docker_config(&[b"junk"]), &[("1/layer.tar", b"junk".to_vec())], &["a:1"])
        }),
        docker_archive("Windows in an archive", || {
            let layer = plain().end();
            docker(&docker_config(&[&layer]).replace("linux", "windows"), &[("1/layer.tar", layer)], &["a:1"])
        }),
        docker_archive("a hundred thousand tags", || {
            let layer = plain().end();
            let tags: Vec<String> = (0..100_000).map(|number| format!("a/b:{number}")).collect();
            let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
            docker(&docker_config(&[&layer]), &[("1/layer.tar", layer)], &tags)
        }),
        docker_archive("ten thousand images", || {
            let layer = plain().end();
            let image = json!({ "Config": "config.json", "RepoTags": null, "Layers": ["1/layer.tar"] });
            tar()
                .file("config.json", docker_config(&[&layer]).as_bytes())
                .file("1/layer.tar", &layer)
                .file("manifest.json", Value::from(vec![image; 10_000]).to_string().as_bytes())
        }),
        docker_archive("neither kind of archive", || tar().file("hello", b"x")),
    ]
}

/// Whatever lies below a directory: path, type, size and, of small files, the digest.
fn snapshot(dir: &Path, left_out: &[PathBuf]) -> BTreeMap<PathBuf, (u32, u64, Option<Digest>)> {
    let mut found = BTreeMap::new();
    let mut left = vec![dir.to_owned()];
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if left_out.contains(&path) {
                continue;
            }
            let about = path.symlink_metadata().unwrap();
            if about.is_dir() {
                left.push(path.clone());
            }
            let small = about.is_file() && about.len() < 1 << 16;
            let digest = small.then(|| Digest::of(&fs::read(&path).unwrap()));
            found.insert(path, (about.mode(), if about.is_dir() { 0 } else { about.len() }, digest));
        }
    }
    found
}

/// Runs its arguments, and writes the peak of their resident memory in KiB to the first one.
const MEASURE: &str = "import os, sys
pid = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(pid, 0)
open(sys.argv[1], 'w').write(str(usage.ru_maxrss))
code = os.waitstatus_to_exitcode(status)
sys.exit(code if code >= 0 else 128 - code)";

/// What a run said and took.
struct Told {
    code: i32,
    out: String,
    err: String,
    memory: u64,
    seconds: f64,
}

fn run(test: &Test, arguments: &[&str]) -> Told {
    let peak = test.path(".").parent().unwrap().join("peak");
    let start = std::time::Instant::now();
    let cooper = test.command(arguments.iter().copied());
    let cooper_path =
        std::env::var("COOPER_HOSTILE").unwrap_or_else(|_| cooper.get_program().to_str().unwrap().into());
    let mut command = Command::new("python3");
    command.args(["-IS", "-c", MEASURE]).arg(&peak).arg(cooper_path).args(cooper.get_args());
    command.current_dir(test.path("")).stdin(std::process::Stdio::null()).env_clear();
    command.envs(cooper.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = match command.output() {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            test.command(arguments.iter().copied()).output().unwrap()
        }
        Err(error) => panic!("{error}"),
    };
    let here = test.path("");
    let here = here.to_str().unwrap().trim_end_matches('/').to_owned();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(&here, "[DIR]");
    let memory = fs::read_to_string(&peak).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    _ = fs::remove_file(&peak);
    Told {
        code: output.status.code().unwrap_or(-1),
        out: text(output.stdout),
        err: text(output.stderr),
        memory,
        seconds: start.elapsed().as_secs_f64(),
    }
}

const RECIPE: &str = "[[file]]\ntext = \"x\"\nto = \"/opt/added\"\n";

/// All that a case is expected to say, and what is wrong with how it went.
fn go(case: &Case) -> (String, Vec<String>, Vec<(u64, f64)>) {
    let good = Draft::good();
    let base = match case.place {
        Place::Layout => "base",
        Place::OciArchive | Place::DockerArchive => "base.tar",
    };
    let test = Test::new()
        .file("cooper.toml", "[workspace]\nplatforms = [\"linux/amd64\"]\nvariants = [\"prod\"]\n")
        .file("recipes/hostile/base/recipe.toml", format!("[base]\nlayout = \"{base}\"\n{RECIPE}"))
        .file("recipes/good/base/recipe.toml", format!("[base]\nlayout = \"good\"\n{RECIPE}"))
        .file("../victim", "untouched");
    write(&test.path("good"), &good.files());
    (case.make)(&test.path(""));
    let top = test.path(".").parent().unwrap().to_owned();
    let written = [top.join("home"), test.path("lockfiles"), test.path("out"), test.path("copied")];
    let before = snapshot(&top, &written);

    let (mut told, mut wrong, mut cost) = (String::new(), Vec::new(), Vec::new());
    let place = match case.place {
        Place::Layout => "oci:base",
        Place::OciArchive => "oci-archive:base.tar",
        Place::DockerArchive => "docker-archive:base.tar",
    };
    let lock: &[&str] = &["lock", "hostile/base"];
    let build: &[&str] = &["build", "hostile/base", "--to", "oci:out"];
    let copy: &[&str] = &["copy", place, "oci:copied"];
    for arguments in [lock, build, copy] {
        if arguments == build && !test.path("lockfiles/hostile/base.lock").exists() {
            continue;
        }
        let run = run(&test, arguments);
        writeln!(told, "$ cooper {}  # {}", arguments.join(" "), run.code).unwrap();
        told += &run.err;
        if arguments != lock {
            told += &run.out;
        }
        if !matches!(run.code, 0..=5) {
            wrong.push(format!("cooper {} ended with {}", arguments.join(" "), run.code));
        }
        if run.memory > MOST_MEMORY {
            wrong.push(format!("cooper {} took {} KiB", arguments.join(" "), run.memory));
        }
        let harmful = |c: &char| {
            c.is_control() && *c != '\n' || "\u{61c}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}".contains(*c)
        };
        if let Some(c) = run.out.chars().chain(run.err.chars()).find(harmful) {
            wrong.push(format!("cooper {} wrote {c:?}", arguments.join(" ")));
        }
        if run.err.len() + run.out.len() > 4000 {
            wrong.push(format!(
                "cooper {} wrote {} bytes",
                arguments.join(" "),
                run.err.len() + run.out.len()
            ));
        }
        cost.push((run.memory, run.seconds));
    }
    // What an accepted base is known to be.
    if let Ok(blobs) = fs::read_dir(test.path("lockfiles/blobs/sha256")) {
        let facts = blobs.map(|blob| fs::read(blob.unwrap().path()).unwrap());
        for facts in facts.filter(|bytes| bytes.starts_with(b"facts ")) {
            let facts = String::from_utf8(facts).unwrap();
            let lines = facts.lines().count();
            let shown = facts.lines().take(12).map(|line| line.chars().take(120).collect::<String>());
            for line in shown {
                writeln!(told, "> {line}").unwrap();
            }
            if lines > 12 {
                writeln!(told, "> … {lines} lines, {} bytes", facts.len()).unwrap();
            }
        }
    }
    for place in ["out", "copied"] {
        // Written whole, or not at all.
        let dir = test.path(place);
        if dir.join("index.json").exists() {
            for blob in fs::read_dir(dir.join("blobs/sha256")).unwrap() {
                let blob = blob.unwrap();
                let digest = Digest::of(&fs::read(blob.path()).unwrap());
                if blob.file_name().to_str() != Some(&digest.hex()) {
                    wrong.push(format!("{place} has a damaged blob"));
                }
            }
        }
    }
    if snapshot(&top, &written) != before {
        wrong.push("something outside was changed".into());
    }
    let after: Run = test.run(["store", "verify"]);
    if after.code != Some(0) {
        wrong.push(format!("the store is damaged: {}{}", after.out, after.err));
    }
    let after = after.then().run(["build", "good/base"]);
    if after.code != Some(0) {
        wrong.push(format!("a good image fails: {}", after.err));
    } else {
        let lock = after.test().read("lockfiles/good/base.lock");
        let found = lock
            .lines()
            .skip_while(|line| !line.starts_with("[output"))
            .find_map(|line| line.strip_prefix("index = "));
        if !found.is_some_and(|found| found.starts_with(&format!("\"{GOOD} "))) {
            wrong.push(format!("a good image has the digest {found:?}"));
        }
    }
    (told, wrong, cost)
}

#[test]
#[allow(clippy::print_stdout, reason = "COOPER_COST=1 asks for a table")]
fn hostile() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/hostile.txt");
    let groups = [accepted(), archives(), compressions(), documents(), graphs(), places()];
    let only = std::env::var("COOPER_CASE").ok();
    let cases: Vec<Case> = groups
        .into_iter()
        .flatten()
        .filter(|case| only.as_ref().is_none_or(|only| case.name.contains(only)))
        .collect();
    let mut names = std::collections::BTreeSet::new();
    cases.iter().for_each(|case| assert!(names.insert(case.name), "two cases are called {}", case.name));
    let next = std::sync::atomic::AtomicUsize::new(0);
    let mut found: Vec<(usize, _)> = std::thread::scope(|scope| {
        let work = || {
            let mut done = Vec::new();
            loop {
                let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let Some(case) = cases.get(at) else { return done };
                done.push((at, go(case)));
            }
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    found.sort_by_key(|(at, _)| *at);
    let text = fs::read_to_string(&path).unwrap_or_default();
    let mut blessed = text.split("\n== ").next().unwrap_or_default().to_owned();
    let mut failures = String::new();
    let expected: BTreeMap<&str, &str> =
        text.split("\n== ").skip(1).filter_map(|part| part.split_once('\n')).collect();
    for (at, (told, wrong, cost)) in &found {
        let name = cases[*at].name;
        write!(blessed, "\n== {name}\n{told}").unwrap();
        if expected.get(name).map(|text| text.trim_end()) != Some(told.trim_end()) {
            writeln!(failures, "{name}:\n{told}").unwrap();
        }
        for wrong in wrong {
            writeln!(failures, "{name}: {wrong}").unwrap();
        }
        if std::env::var_os("COOPER_COST").is_some() {
            let memory = cost.iter().map(|(memory, _)| *memory).max().unwrap_or(0);
            let seconds: f64 = cost.iter().map(|(_, seconds)| seconds).sum();
            println!("{memory:>8} KiB {seconds:>7.2} s  {name}");
        }
    }
    if std::env::var_os("COOPER_BLESS").is_some() && only.is_none() {
        fs::write(&path, &blessed).unwrap();
    }
    assert!(failures.is_empty(), "{failures}");
}
