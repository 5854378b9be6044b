//! Every format, and everything that an archive may try.

use std::io::{self, Cursor, Write};

use super::super::error::ReadError;
use super::super::tar::build::{Tar, record, tar};
use super::*;

fn gz(data: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn xz(data: &[u8], dictionary: u32) -> Vec<u8> {
    let mut options = lzma_rust2::XzOptions::with_preset(1);
    options.lzma_options.dict_size = dictionary;
    let mut encoder = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn zst(data: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn bz2(data: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

/// One member of an `ar`.
fn ar_member(name: &str, content: &[u8]) -> Vec<u8> {
    let header = format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, "100644", content.len());
    let padding = if content.len() % 2 == 1 { &b"\n"[..] } else { b"" };
    [header.as_bytes(), content, padding].concat()
}

fn ar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let members = members.iter().map(|(name, content)| ar_member(name, content));
    [b"!<arch>\n".to_vec()].into_iter().chain(members).collect::<Vec<_>>().concat()
}

/// An entry of a zip, byte by byte.
#[derive(Clone)]
struct Zipped {
    name: Vec<u8>,
    /// In front of the content.
    local_name: Vec<u8>,
    flags: u16,
    method: u16,
    /// 3 is Unix, 0 is DOS.
    system: u8,
    /// Unix's part of the external attributes.
    mode: u32,
    data: Vec<u8>,
    crc: u32,
    size: u32,
}

fn zipped(name: &str, mode: u32, data: &[u8]) -> Zipped {
    let mut crc = flate2::Crc::new();
    crc.update(data);
    Zipped {
        name: name.into(),
        local_name: name.into(),
        flags: 0,
        method: 0,
        system: 3,
        mode,
        data: data.to_vec(),
        crc: crc.sum(),
        size: data.len() as u32,
    }
}

fn with(mut entry: Zipped, change: impl FnOnce(&mut Zipped)) -> Zipped {
    change(&mut entry);
    entry
}

fn zip(entries: &[Zipped]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for entry in entries {
        let offset = out.len() as u32;
        let common = |name: &[u8]| {
            let mut bytes = [20_u16, entry.flags, entry.method, 0, 0x21].map(u16::to_le_bytes).concat();
            bytes.extend([entry.crc, entry.data.len() as u32, entry.size].map(u32::to_le_bytes).concat());
            bytes.extend([name.len() as u16, 0].map(u16::to_le_bytes).concat());
            bytes
        };
        out.extend([b"PK\x03\x04", &common(&entry.local_name)[..], &entry.local_name, &entry.data].concat());
        directory.extend([&b"PK\x01\x02"[..], &[20, entry.system], &common(&entry.name)].concat());
        directory.extend([0_u16; 3].map(u16::to_le_bytes).concat());
        directory.extend([entry.mode << 16, offset].map(u32::to_le_bytes).concat());
        directory.extend(&entry.name);
    }
    let (start, size, count) = (out.len() as u32, directory.len() as u32, entries.len() as u16);
    out.extend(directory);
    out.extend(b"PK\x05\x06");
    out.extend([0, 0, count, count].map(u16::to_le_bytes).concat());
    out.extend([size, start].map(u32::to_le_bytes).concat());
    out.extend([0; 2]);
    out
}

fn steps(texts: &[&str]) -> Vec<Step> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

const SMALL: Limits =
    Limits { entries: 50, bytes: 1 << 20, file: 1 << 19, dictionary: 1 << 20, inside: 1 << 16, case: false };

fn list_within(archive: &[u8], texts: &[&str], strip: usize, limits: Limits) -> Result<String, UnpackError> {
    let mut lines = Vec::new();
    unpack(Cursor::new(archive), &steps(texts), strip, limits, &|_| true, &mut |member| {
        let what = match member.what {
            What::Directory => "d".to_owned(),
            What::File { content, at } => {
                let mut text = Vec::new();
                content.read_to_end(&mut text)?;
                if let Some(at) = at {
                    let there = &archive[at.start as usize..at.end as usize];
                    assert!(there == text, "{} isn't there", member.path);
                }
                format!("f {}", text[..text.len().min(20)].escape_ascii())
            }
            What::Symlink(target) => format!("l {}", target.escape_ascii()),
            What::HardLink(target) => format!("h {target}"),
        };
        lines.push(format!("{} {:o} {what}", member.path, member.mode));
        Ok(())
    })?;
    Ok(lines.join("; "))
}

fn list(archive: &[u8], texts: &[&str], strip: usize) -> Result<String, UnpackError> {
    list_within(archive, texts, strip, SMALL)
}

fn refusal(archive: &[u8], texts: &[&str], strip: usize) -> String {
    list(archive, texts, strip).unwrap_err().to_string()
}

fn tool() -> Tar {
    tar()
        .dir("./")
        .dir("./tool-1/")
        .with(b'0', "tool-1/run", b"#!", |block| block[100..108].copy_from_slice(b"0004755\0"))
        .symlink("tool-1/lib", "/usr/../lib")
        .hardlink("tool-1/again", "./tool-1/run")
        .hardlink("tool-1/third", "tool-1/again")
}

const TOOL: &str = "/run 4755 f #!; /lib 644 l /usr/../lib; /again 644 h /run; /third 644 h /run";

/// The files that lie in the archive as they are.
fn in_place(archive: &[u8], texts: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let visit = &mut |member: Member<'_>| {
        if matches!(member.what, What::File { at: Some(_), .. }) {
            found.push(member.path.to_string());
        }
        Ok(())
    };
    unpack(Cursor::new(archive), &steps(texts), 0, Limits::default(), &|_| true, visit).unwrap();
    found
}

#[test]
fn files_of_a_plain_tar_are_found_where_they_lie() {
    let inner = tar().file("a", b"first").file("b", &[7; 700]).end();
    assert_eq!(in_place(&inner, &[]), ["/a", "/b"]);
    assert_eq!(in_place(&inner, &["tar"]), ["/a", "/b"]);
    assert_eq!(list(&inner, &["tar"], 0).unwrap().matches(" f ").count(), 2);
    // What has to be taken out of something first lies nowhere.
    assert!(in_place(&gz(&inner), &["tar.gz"]).is_empty());
    let outer = tar().file("inner.tar", &inner).end();
    assert!(in_place(&outer, &["tar:inner.tar"]).is_empty());
    assert!(in_place(&outer, &["tar:inner.tar", "tar"]).is_empty());
}

#[test]
fn every_compression_of_tar() {
    let tar = tool().end();
    for (format, archive) in [
        ("tar", tar.clone()),
        ("tar.gz", gz(&tar)),
        ("tar.xz", xz(&tar, 1 << 16)),
        ("tar.zst", zst(&tar)),
        ("tar.bz2", bz2(&tar)),
    ] {
        for texts in [&[][..], &["auto"], &[format]] {
            assert_eq!(list(&archive, texts, 1).unwrap(), TOOL, "{format}");
        }
        let whole = list(&archive, &[], 0).unwrap();
        assert!(whole.starts_with("/tool-1 755 d; /tool-1/run 4755 f #!;"), "{whole}");
        assert_eq!(list(&archive, &[], 2).map_err(|error| error.to_string()), Ok(String::new()));
        // A damaged, a cut and a prolonged one; what a tar ends with may be missing.
        if format != "tar" {
            for cut in 1..archive.len() {
                refusal(&archive[..cut], &[format], 0);
            }
            for junk in [&b"x"[..], b"junk and more junk", &[1; 1024]] {
                refusal(&[&archive[..], junk].concat(), &[format], 0);
            }
            let (one, other) = tar.split_at(700);
            let pack = |data: &[u8]| match format {
                "tar.gz" => gz(data),
                "tar.xz" => xz(data, 1 << 16),
                "tar.zst" => zst(data),
                _ => bz2(data),
            };
            assert_eq!(list(&[pack(one), pack(other)].concat(), &[format], 1).unwrap(), TOOL, "{format}");
        }
        refusal(&[&archive[..], b"junk"].concat(), &[format], 0);
        for at in (0..archive.len()).step_by(7) {
            let mut bad = archive.clone();
            bad[at] ^= 0x10;
            // It may be in a field that nobody reads, but nothing else comes out.
            if format != "tar"
                && let Ok(text) = list(&bad, &[format], 1)
            {
                assert_eq!(text, TOOL, "{format} {at}");
            }
        }
    }
}

#[test]
fn files_that_are_only_compressed() {
    for (format, archive) in
        [("gz", gz(b"text")), ("xz", xz(b"text", 1 << 16)), ("zst", zst(b"text")), ("bz2", bz2(b"text"))]
    {
        for texts in [&[][..], &["auto"], &[format]] {
            assert_eq!(list(&archive, texts, 0).unwrap(), "/ 644 f text", "{format}");
        }
        for cut in 1..archive.len() {
            refusal(&archive[..cut], &[format], 0);
        }
        refusal(&[&archive[..], b"junk"].concat(), &[format], 0);
        let outer = tar().file("a", &archive).end();
        assert_eq!(list(&outer, &["tar:a", format], 0).unwrap(), "/ 644 f text");
        let error = refusal(&archive, &[&format!("tar.{format}")], 0);
        assert!(error.contains(&format!("unpack = \"{format}\" takes a file that is only")), "{error}");
    }
    // What begins as a tar is one, or damaged.
    let mut bad = tool().end();
    bad[0] ^= 1;
    assert!(refusal(&gz(&bad), &[], 0).starts_with("the gzip holds no tar"));
    assert_eq!(list(&gz(b""), &["gz"], 0).unwrap(), "/ 644 f ");
    assert_eq!(refusal(&gz(&vec![0; (1 << 19) + 1]), &["gz"], 0), "the file has more than 524288 bytes");
}

#[test]
fn dictionaries_are_bounded() {
    let tar = tool().end();
    assert!(list(&xz(&tar, 1 << 20), &[], 0).is_ok());
    let error = refusal(&xz(&tar, 1 << 21), &[], 0);
    assert_eq!(error, "the xz is damaged: needed memory too big for mem_limit_kb");
}

#[test]
fn zips() {
    let entries = [
        zipped("tool-1/", 0o040_755, b""),
        zipped("tool-1/run", 0o104_755, b"#!"),
        zipped("tool-1/lib", 0o120_777, b"/usr/../lib"),
        with(zipped("tool-1/dos", 0o777, b"x"), |entry| entry.system = 0),
        zipped("tool-1/plain", 0, b"y"),
        with(zipped("tool-1/dir/", 0, b""), |entry| entry.system = 0),
        zipped("tool-1/\u{fc}", 0o100_600, b""),
    ];
    let inside = "/run 4755 f #!; /lib 777 l /usr/../lib; /dos 644 f x; /plain 644 f y; /dir 755 d; \
                  /\\xc3\\xbc 600 f ";
    let archive = zip(&entries);
    for texts in [&[][..], &["zip"], &["whl"]] {
        assert_eq!(list(&archive, texts, 1).unwrap(), inside);
    }
    assert_eq!(list(&zip(&[]), &[], 0).unwrap(), "");
    // In another archive it is read into memory.
    let outer = gz(&tar().file("a.zip", &archive).end());
    assert_eq!(list(&outer, &["tar.gz:a.zip", "zip"], 1).unwrap(), inside);
    assert_eq!(list(&outer, &["auto:a.zip", "auto"], 1).unwrap(), inside);
    let large = zip(&[zipped("a", 0, &[7; 1 << 16])]);
    assert!(list(&large, &[], 0).is_ok());
    let error = refusal(&tar().file("a.zip", &large).end(), &["tar:a.zip", "zip"], 0);
    assert_eq!(error, "a zip inside another archive has more than 65536 bytes");
    for cut in 1..archive.len() {
        refusal(&archive[..cut], &["zip"], 0);
    }
}

#[test]
fn what_the_crate_writes_is_read() {
    use ::zip::write::SimpleFileOptions;
    let mut writer = ::zip::ZipWriter::new(Cursor::new(Vec::new()));
    let text = b"barrel ".repeat(3000);
    for large in [false, true] {
        let options = SimpleFileOptions::default().large_file(large).unix_permissions(0o750);
        writer.start_file(format!("{large}"), options).unwrap();
        writer.write_all(&text).unwrap();
    }
    writer.add_symlink("link", "false", SimpleFileOptions::default()).unwrap();
    let archive = writer.finish().unwrap().into_inner();
    assert!(archive.len() < 2000, "it is deflated");
    let text = "f barrel barrel barrel";
    let expected = format!("/false 750 {}; /true 750 {}; /link 777 l false", &text[..22], &text[..22]);
    assert_eq!(list(&archive, &[], 0).unwrap(), expected);
}

#[test]
fn packages() {
    let tar = tool().end();
    let control = gz(&self::tar().file("./control", b"Package: x\n").end());
    for (name, data) in [
        ("data.tar", tar.clone()),
        ("data.tar.gz", gz(&tar)),
        ("data.tar.xz/", xz(&tar, 1 << 16)),
        ("data.tar.zst", zst(&tar)),
        ("data.tar.bz2", bz2(&tar)),
    ] {
        let deb = ar(&[("debian-binary", b"2.0\n"), ("control.tar.gz", &control), (name, &data)]);
        assert_eq!(list(&deb, &[], 1).unwrap(), TOOL, "{name}");
        assert_eq!(list(&deb, &["deb"], 1).unwrap(), TOOL, "{name}");
        let step = format!("deb:{}", name.trim_end_matches('/'));
        assert_eq!(list(&deb, &[&step, "auto"], 1).unwrap(), TOOL, "{name}");
        for cut in [1, 8, 9, 67, 68, 71, 72, 100, deb.len() - 1 - data.len() % 2] {
            refusal(&deb[..cut], &["deb"], 0);
        }
        // The filler is nothing that anybody reads.
        if data.len() % 2 == 1 {
            let rest = &deb[..deb.len() - 1];
            assert_eq!(list(rest, &["deb"], 1).unwrap(), TOOL, "{name}");
            assert_eq!(list(&[rest, b"\0"].concat(), &["deb"], 1).unwrap(), TOOL, "{name}");
        }
        refusal(&[&deb[..], b"\n"].concat(), &["deb"], 0);
    }
    let gem = self::tar().file("metadata.gz", &gz(b"--- ")).file("data.tar.gz", &gz(&tar));
    let gem = gem.file("checksums.yaml.gz", &gz(b"---")).end();
    assert_eq!(list(&gem, &["gem"], 1).unwrap(), TOOL);
    assert_eq!(list(&gem, &["tar:data.tar.gz", "tar.gz"], 1).unwrap(), TOOL);
    let outside = list(&gem, &[], 0).unwrap();
    assert!(outside.starts_with("/metadata.gz 644 f "), "an unnamed gem is a tar: {outside}");
    assert_eq!(list(&gem, &["gem:nothing"], 0).unwrap_err().to_string(), NOTHING);
}

const NOTHING: &str = "the archive has no file nothing, but metadata.gz, data.tar.gz, checksums.yaml.gz";

#[test]
fn one_file_of_an_archive() {
    let archive = tool().end();
    assert_eq!(list(&archive, &["tar:tool-1/run"], 0).unwrap(), "/tool-1/run 4755 f #!");
    assert_eq!(list(&archive, &["auto:tool-1/run"], 1).unwrap(), "/run 4755 f #!");
    for missing in ["tool-1", "tool-1/lib", "run"] {
        let error = refusal(&archive, &[&format!("tar:{missing}")], 0);
        assert_eq!(error, format!("the archive has no file {missing}, but tool-1/run"));
    }
    let many = (0..9).fold(tar(), |tar, number| tar.file(&format!("f{number}\n"), b"")).end();
    assert_eq!(
        refusal(&many, &["tar:x", "tar"], 0),
        "the archive has no file x, but f0\\n, f1\\n, f2\\n, f3\\n, f4\\n"
    );
    assert_eq!(refusal(&tar().end(), &["tar:x"], 0), "the archive has no file x and no other");
    assert!(refusal(&archive, &["tar", "tar"], 0).starts_with("tar must name the file"));
    assert_eq!(
        refusal(b"\x7fELF", &[], 0),
        "the first bytes show none of these: zip, deb, tar, tar.gz, tar.xz, tar.zst, tar.bz2"
    );
    // What lies behind the member is looked at, too.
    let bad = [tar().file("a.tar", &archive).0, b"junk".to_vec()].concat();
    refusal(&bad, &["tar:a.tar", "tar"], 0);
}

#[test]
fn stripping_merges_and_hides() {
    let two = tar().file("a/x", b"1").file("b/x", b"2").end();
    assert_eq!(list(&two, &[], 0).unwrap(), "/a/x 644 f 1; /b/x 644 f 2");
    assert_eq!(refusal(&two, &[], 1), "entry b/x: the path stands in the archive before");
    let top = tar().file("top", b"1").hardlink("a/x", "top").end();
    assert_eq!(list(&top, &[], 0).unwrap(), "/top 644 f 1; /a/x 644 h /top");
    assert_eq!(
        refusal(&top, &[], 1),
        "entry a/x: hard link to top, which is no file that was unpacked before"
    );
    let vanishes = tar().file("top", b"1").hardlink("other", "top").file("a/x", b"2").end();
    assert_eq!(list(&vanishes, &[], 1).unwrap(), "/x 644 f 2");
    assert_eq!(
        refusal(&tar().file("top", b"").file("top/x", b"").end(), &[], 1),
        "entry top/x: /top is not a directory in this archive"
    );
    assert_eq!(list(&two, &[], usize::MAX).unwrap(), "");
}

#[test]
fn hostile_tars() {
    let long = "n/".repeat(2049);
    let fits = "n/".repeat(2047) + "n";
    let pax = |name: &str, flag: u8| tar().pax(&[("path", name.as_bytes())]).entry(flag, "short", b"");
    assert!(list(&pax(&fits, b'0').end(), &[], 0).is_ok());
    let device = |flag| tar().entry(flag, "dev", b"").end();
    for (archive, expected) in [
        (tar().file("/etc/passwd", b"").end(), "entry /etc/passwd: the path is absolute"),
        (tar().dir("/").end(), "entry /: the path is absolute"),
        (tar().file("a/../../x", b"").end(), "entry a/../../x: the path climbs with .."),
        (tar().dir("..").end(), "entry ..: the path climbs with .."),
        (tar().file(".", b"").end(), "entry .: the root is not a directory here"),
        (tar().symlink("./", "x").end(), "entry ./: the root is not a directory here"),
        (pax(&long, b'0').end(), "the name or link target is longer than 4096 bytes"),
        (
            tar().pax(&[("linkpath", "x".repeat(4097).as_bytes())]).symlink("s", "x").end(),
            "entry s: the name or link target is longer than 4096 bytes",
        ),
        (tar().pax(&[("path", b"a\0b")]).file("x", b"").end(), "the path holds a NUL byte"),
        (tar().entry(b'0', "", b"").end(), "the name is empty"),
        (tar().file("a/.wh.b", b"").end(), "entry a/.wh.b: the name would hide files of lower layers (.wh.)"),
        (tar().dir(".wh..wh..opq/").end(), "the name would hide files of lower layers (.wh.)"),
        (
            tar().symlink("s", "/etc").file("s/x", b"").end(),
            "entry s/x: /s is not a directory in this archive",
        ),
        (
            tar().symlink("a/s", "..").dir("a/s/b/c").end(),
            "entry a/s/b/c: /a/s is not a directory in this archive",
        ),
        (tar().symlink("s", "/etc").dir("s/").end(), "entry s/: the path stands in the archive before"),
        (tar().symlink("s", "/x").file("s", b"").end(), "entry s: the path stands in the archive before"),
        (tar().file("f", b"").symlink("f", "/x").end(), "entry f: the path stands in the archive before"),
        (tar().file("f", b"").file("f/x", b"").end(), "entry f/x: /f is not a directory in this archive"),
        (tar().file("d/x", b"").file("d", b"").end(), "entry d: the path stands in the archive before"),
        (tar().file("f", b"").file("./f", b"").end(), "entry ./f: the path stands in the archive before"),
        (tar().hardlink("h", "nothing").end(), "entry h: hard link to nothing, which is no file"),
        (tar().hardlink("h", "h").end(), "entry h: hard link to h, which is no file"),
        (tar().hardlink("h", "../x").end(), "entry h: hard link to ../x, which is no file"),
        (tar().hardlink("h", "/etc/shadow").end(), "entry h: hard link to /etc/shadow, which is no file"),
        (tar().dir("d/").hardlink("h", "d").end(), "entry h: hard link to d, which is no file"),
        (tar().symlink("s", "x").hardlink("h", "s").end(), "entry h: hard link to s, which is no file"),
        (tar().file("f", b"").hardlink("h", "F").end(), "entry h: hard link to F, which is no file"),
        (device(b'3'), "entry dev: it is a device: only files, directories and links are unpacked"),
        (device(b'4'), "entry dev: it is a device: only files, directories and links are unpacked"),
        (device(b'6'), "entry dev: it is a named pipe: only files, directories and links are unpacked"),
        (device(b's'), "the type s is not supported"),
        (
            tar().file("a/Read", b"").file("a/read", b"").end(),
            "entry a/read: it differs from Read in nothing",
        ),
        (tar().file("A/x", b"").file("a/y", b"").end(), "entry a/y: it differs from A in nothing"),
        (tar().file("\u{c4}", b"").dir("\u{e4}").end(), "it differs from \\xc3\\x84 in nothing"),
        (tar().file("a\x1b[2J/..", b"").end(), "entry a\\x1b[2J/..: the path climbs with .."),
    ] {
        let error = refusal(&archive, &["tar"], 0);
        assert!(error.contains(expected), "{error}, not {expected}");
    }
    // What looks odd and isn't.
    for (archive, expected) in [
        (tar().dir("a/").dir("./a").file("a//b", b"").end(), "/a 755 d; /a 755 d; /a/b 644 f "),
        (tar().file("x\\2d.slice", b"").end(), "/x\\\\2d.slice 644 f "),
        (tar().file("a/x", b"").file("b/X", b"").end(), "/a/x 644 f ; /b/X 644 f "),
        (tar().file("a/b", b"").dir("a/").end(), "/a/b 644 f ; /a 755 d"),
        (tar().symlink("s", "../../etc").end(), "/s 644 l ../../etc"),
    ] {
        assert_eq!(list(&archive, &["tar"], 0).unwrap(), expected);
    }
}

/// A sparse file of format 1.0: so many bytes, of which `map` says which are there.
fn sparse(size: &str, map: &str, stored: &[u8]) -> Vec<u8> {
    let records = [("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.realsize", size)];
    let data: Vec<u8> =
        records.iter().flat_map(|(key, value)| record(key.as_bytes(), value.as_bytes())).collect();
    let map = [map.as_bytes(), &vec![0; 512 - map.len()]].concat();
    tar().entry(b'x', "x", &data).file("holes", &[&map, stored].concat()).end()
}

#[test]
fn holes_are_zeros() {
    for (size, map, stored, expected) in [
        ("9", "1\n0\n0\n", &b""[..], "\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00"),
        ("5", "1\n1\n2\n", b"ab", "\\x00ab\\x00\\x00"),
        ("4", "2\n0\n1\n3\n1\n", b"ab", "a\\x00\\x00b"),
    ] {
        let archive = sparse(size, map, stored);
        for packed in [archive.clone(), gz(&archive)] {
            assert_eq!(list(&packed, &[], 0).unwrap(), format!("/holes 644 f {expected}"));
        }
        assert!(in_place(&archive, &["tar"]).is_empty());
    }
    // However few bytes there are of it, what it becomes counts.
    let error = refusal(&sparse("524289", "1\n0\n0\n", b""), &[], 0);
    assert_eq!(error, "entry holes: the file has 524289 bytes, more than 524288");
}

/// What is shown of an archive of which a recipe leaves out some paths.
fn list_without(archive: &[u8], strip: usize, without: &[&str]) -> Result<String, UnpackError> {
    let wanted = |path: &TreePath| !without.contains(&&*path.to_string());
    let mut shown = Vec::new();
    unpack(Cursor::new(archive), &[], strip, SMALL, &wanted, &mut |member| {
        if wanted(&member.path) {
            shown.push(member.path.to_string());
        }
        Ok(())
    })?;
    Ok(shown.join(" "))
}

#[test]
fn what_is_left_out_stops_nothing() {
    let x = || zipped("x", 0o100_644, b"data");
    let dev = tar().entry(b'3', "dev/null", b"").entry(b'6', "pipe", b"").file("a", b"1");
    for (archive, strip, without, shown) in [
        (dev.clone().end(), 0, &["/dev/null", "/pipe"][..], "/a"),
        (dev.entry(b'4', "top/b", b"").file("top/a", b"1").end(), 1, &["/null", "/b"], "/a"),
        (tar().file("a", b"").file("A", b"").end(), 0, &["/a"], "/A"),
        (tar().file("a", b"").file("A", b"").end(), 0, &["/A"], "/a"),
        (tar().file("a", b"").file("a", b"").file("b", b"").end(), 0, &["/a"], "/b"),
        (tar().hardlink("a", "nothing").file("b", b"").end(), 0, &["/a"], "/b"),
        (zip(&[x(), zipped("X", 0, b""), zipped("y", 0, b"")]), 0, &["/X"], "/x /y"),
        (zip(&[x(), zipped("y", 0, b""), x()]), 0, &["/x"], "/y"),
        (zip(&[x(), zipped("d", 0o060_644, b"")]), 0, &["/d"], "/x"),
        (zip(&[with(x(), |entry| entry.flags = 1), zipped("y", 0, b"")]), 0, &["/x"], "/y"),
        (zip(&[with(x(), |entry| entry.method = 12), zipped("y", 0, b"")]), 0, &["/x"], "/y"),
    ] {
        assert_eq!(list_without(&archive, strip, without).unwrap(), shown);
        list_without(&archive, strip, &["/other"]).unwrap_err();
    }
    // A path that can't be is nothing that could be left out, and what is damaged is as a whole.
    list_without(&tar().file("../x", b"").end(), 0, &["/x"]).unwrap_err();
    list_without(&zip(&[with(x(), |entry| entry.crc ^= 1)]), 0, &["/x"]).unwrap_err();
    // What is left out doesn't lead anywhere.
    let link = tar().symlink("s", "/etc").file("s/x", b"").end();
    let error = list_without(&link, 0, &["/s"]).unwrap_err().to_string();
    assert_eq!(error, "entry s/x: /s is not a directory in this archive");
}

#[test]
fn types_of_no_system_are_what_the_name_says() {
    for kind in [0o170_000, 0o030_000, 0o150_000, 0o110_000] {
        let archive = zip(&[
            zipped("d/", kind | 0o755, b""),
            zipped("d/f", kind | 0o640, b"1"),
            zipped("all/", kind | 0o7777, b""),
        ]);
        assert_eq!(list(&archive, &[], 0).unwrap(), "/d 755 d; /d/f 644 f 1; /all 755 d", "{kind:o}");
        let error = refusal(&zip(&[zipped("d/", kind | 0o755, b"x")]), &[], 0);
        assert_eq!(error, "entry d/: its name and its mode say different types");
    }
}

#[test]
fn a_script_in_front_of_a_zip() {
    let entries = [zipped("a", 0o100_755, b"1"), zipped("d/b", 0, b"2")];
    let script = b"#!/bin/sh\nexec java -jar \"$0\" \"$@\"\n";
    let plain = zip(&entries);
    let shown = "/a 755 f 1; /d/b 644 f 2";
    let mut behind = [&script[..], &plain].concat();
    for texts in [&[][..], &["zip"]] {
        assert_eq!(list(&behind, texts, 0).unwrap(), shown);
    }
    let outer = tar().file("a.jar", &behind).end();
    assert_eq!(list(&outer, &["tar:a.jar", "jar"], 0).unwrap(), shown);
    // Offsets that count the script, as `zip -A` makes them.
    let by = script.len() as u32;
    for (at, _) in behind.clone().windows(4).enumerate().filter(|(_, bytes)| *bytes == b"PK\x01\x02") {
        let offset = u32::from_le_bytes(behind[at + 42..at + 46].try_into().unwrap());
        behind[at + 42..at + 46].copy_from_slice(&(offset + by).to_le_bytes());
    }
    let end = behind.len() - 6;
    let start = u32::from_le_bytes(behind[end..end + 4].try_into().unwrap());
    behind[end..end + 4].copy_from_slice(&(start + by).to_le_bytes());
    for texts in [&[][..], &["zip"]] {
        assert_eq!(list(&behind, texts, 0).unwrap(), shown);
    }
    // Another zip in front is what some readers would see first, and nothing else they agree on.
    let two = [zip(&[zipped("other", 0, b"")]), plain.clone()].concat();
    assert_eq!(list(&two, &[], 0).unwrap(), shown);
    let error = refusal(&[&zip(&entries)[..], &plain].concat(), &[], 0);
    assert_eq!(error, "the zip is damaged: readers disagree on where its directory is");
}

#[test]
fn two_entries_for_one_directory() {
    let d = |mode| zipped("d/", mode, b"");
    let f = || zipped("d/f", 0, b"1");
    for (entries, shown) in [
        (vec![d(0o040_755), f(), d(0o040_755)], "/d 755 d; /d/f 644 f 1"),
        (vec![d(0), d(0), d(0)], "/d 755 d"),
        (vec![zipped("e/", 0, b""), d(0o040_700), d(0o040_700)], "/e 755 d; /d 700 d"),
    ] {
        assert_eq!(list(&zip(&entries), &[], 0).unwrap(), shown);
    }
    // One reader takes the first, another the last.
    let error = refusal(&zip(&[d(0o040_755), d(0o040_700)]), &[], 0);
    assert_eq!(error, "entry d/: the path stands in the archive before");
}

#[test]
fn hostile_zips() {
    let x = || zipped("x", 0o100_644, b"data");
    let mut flipped = zip(&[zipped("b", 0, b""), x()]);
    let at = flipped.windows(4).position(|bytes| bytes == b"data").unwrap();
    flipped[at] ^= 1;
    // Two entries share one content: the second's header is the first's.
    let mut overlap = zip(&[x(), x()]);
    let second = overlap.windows(4).rposition(|bytes| bytes == b"PK\x01\x02").unwrap();
    overlap[second + 42..second + 46].fill(0);
    let mut shared = zip(&[x(), zipped("y", 0o100_644, b"data")]);
    let second = shared.windows(4).rposition(|bytes| bytes == b"PK\x01\x02").unwrap();
    shared[second + 42..second + 46].fill(0);
    let mut foreign = zip(&[x()]);
    let comment = zip(&[zipped("y", 0, b"other")]);
    let last = foreign.len() - 2;
    foreign[last..].copy_from_slice(&(comment.len() as u16).to_le_bytes());
    foreign.extend(comment);
    for (archive, expected) in [
        (zip(&[zipped("../x", 0, b"")]), "entry ../x: the path climbs with .."),
        (zip(&[zipped("/x", 0, b"")]), "entry /x: the path is absolute"),
        (zip(&[zipped("a\\x", 0, b"")]), "entry a\\\\x: the name holds a backslash"),
        (zip(&[zipped("a\0x", 0, b"")]), "entry a\\x00x: the name or link target holds a NUL byte"),
        (zip(&[zipped("", 0, b"")]), "entry : the name is empty"),
        (zip(&[zipped(&"n".repeat(4097), 0, b"")]), "the name or link target is longer than 4096 bytes"),
        (zip(&[zipped(".wh.x", 0, b"")]), "entry .wh.x: the name would hide"),
        (
            zip(&[with(x(), |entry| (entry.name, entry.local_name) = (b"\x81".into(), b"\x81".into()))]),
            "entry \\x81: the name is neither ASCII nor UTF-8",
        ),
        (zip(&[zipped("d", 0o060_644, b"")]), "entry d: it is a device"),
        (zip(&[zipped("d", 0o020_644, b"")]), "entry d: it is a device"),
        (zip(&[zipped("d", 0o010_644, b"")]), "entry d: it is a named pipe"),
        (zip(&[zipped("d", 0o140_644, b"")]), "entry d: it is a socket"),
        (zip(&[zipped("d", 0o040_755, b"")]), "entry d: its name and its mode say different types"),
        (zip(&[zipped("d/", 0o120_755, b"")]), "entry d/: its name and its mode say different types"),
        (zip(&[zipped("d/", 0o040_755, b"x")]), "entry d/: its name and its mode say different types"),
        (zip(&[zipped("l", 0o120_777, b"")]), "entry l: the name is empty"),
        (zip(&[zipped("l", 0o120_777, &[b'x'; 4097])]), "entry l: the name or link target is longer"),
        (zip(&[zipped("l", 0o120_777, b"a\0")]), "entry l: the name or link target holds a NUL byte"),
        (
            zip(&[zipped("l", 0o120_777, b"/etc"), zipped("l/x", 0, b"")]),
            "entry l/x: /l is not a directory in this archive",
        ),
        (zip(&[x(), zipped("./x", 0, b"")]), "entry ./x: the path stands in the archive before"),
        (zip(&[x(), zipped("X", 0, b"")]), "entry X: it differs from x in nothing"),
        (zip(&[x(), zipped("y", 0, b""), x()]), "entry x: the path stands in the archive before"),
        (zip(&[with(x(), |entry| entry.flags = 1)]), "entry x: the file is encrypted"),
        (
            zip(&[with(x(), |entry| entry.method = 12)]),
            "entry x: the compression method Bzip2 is not supported",
        ),
        (zip(&[with(x(), |entry| entry.method = 99)]), "entry x: the compression method"),
        (zip(&[with(x(), |entry| entry.local_name = b"y".into())]), "entry x: header inconsistency"),
        (zip(&[with(x(), |entry| entry.crc ^= 1)]), "entry x: Invalid checksum"),
        (zip(&[with(x(), |entry| entry.size = 3)]), "entry x: File is larger than its declared"),
        (zip(&[with(x(), |entry| entry.size = 5)]), "entry x: it ends 1 bytes before its size"),
        (zip(&[with(x(), |entry| entry.method = 8)]), "entry x: "),
        (flipped, "entry x: Invalid checksum"),
        (overlap, "entry x: the path stands in the archive before"),
        (shared, "the zip is damaged: its entries overlap"),
        (foreign, "the zip is damaged: "),
        ([zip(&[x()]), b"junk".to_vec()].concat(), "the zip is damaged: there is data after its end"),
        (b"PK\x03\x04 nothing".to_vec(), "the zip is damaged: its end is missing"),
    ] {
        let error = refusal(&archive, &["zip"], 0);
        assert!(error.contains(expected), "{error}, not {expected}");
    }
}

#[test]
fn hostile_debs() {
    let data = tool().end();
    for (archive, expected) in [
        (ar(&[("debian-binary", b"2.0\n")]), "the archive has no file data.tar, but debian-binary"),
        (
            ar(&[("data.tar", &data), ("data.tar.gz", &gz(&data))]),
            "entry data.tar.gz: a Debian package has only one data.tar",
        ),
        (ar(&[("data.tar", &ar(&[]))]), "the first bytes show none of these: tar, tar.gz"),
        (ar(&[("//", b"")]), "the ar archive is damaged at byte 8: long names"),
        (ar(&[("/12", b"")]), "the ar archive is damaged at byte 8: long names"),
        (ar(&[("#1/20", b"")]), "the ar archive is damaged at byte 8: long names"),
        (ar(&[("../x", b"")]), "entry ../x: the path climbs with .."),
        (ar(&[("", b"")]), "entry : the name is empty"),
        (ar(&[("a", b""), ("a", b"")]), "entry a: the path stands in the archive before"),
        ([b"!<arch>\n".to_vec(), vec![b' '; 60]].concat(), "at byte 8: no header of a member is here"),
        (ar(&[("a", b"xy")]).strip_suffix(b"y").unwrap().to_vec(), "ends in the middle of this member"),
        (b"!<arch>".to_vec(), "at byte 0: it does not begin as one"),
    ] {
        let error = refusal(&archive, &["deb"], 0);
        assert!(error.contains(expected), "{error}, not {expected}");
    }
}

#[test]
fn bombs() {
    let many = |count| (0..count).fold(tar(), |tar, number| tar.file(&format!("{number}"), b"")).end();
    let zips = |count| zip(&(0..count).map(|n| zipped(&n.to_string(), 0, b"")).collect::<Vec<_>>());
    let ars = |count| {
        let names: Vec<String> = (0..count).map(|n: u32| n.to_string()).collect();
        ar(&names.iter().map(|name| (&**name, &b""[..])).collect::<Vec<_>>())
    };
    assert!(list(&many(50), &[], 0).is_ok() && list(&zips(50), &[], 0).is_ok());
    assert!(refusal(&many(51), &[], 0).contains("more than 50 entries"));
    assert_eq!(refusal(&zips(51), &[], 0), "more than 50 entries");
    assert_eq!(refusal(&ars(51), &["deb:x"], 0), "more than 50 entries");
    // One file, by what it is said to have.
    let zeros = vec![0; (1 << 19) + 1];
    let expected = "entry z: the file has 524289 bytes, more than 524288";
    assert_eq!(refusal(&gz(&tar().file("z", &zeros).end()), &[], 0), expected);
    assert_eq!(refusal(&zip(&[with(zipped("z", 0, b""), |entry| entry.size = 524_289)]), &[], 0), expected);
    assert_eq!(refusal(&ar(&[("z", &zeros)]), &["deb:x"], 0), expected);
    // By default four GiB; the size is believed before anything is read, nothing of it is there.
    let four =
        |size: &'static [u8]| tar().with(b'0', "z", b"", |block| block[124..136].copy_from_slice(size)).0;
    let error = list_within(&four(b"40000000001\0"), &[], 0, Limits::default()).unwrap_err();
    assert_eq!(error.to_string(), "entry z: the file has 4294967297 bytes, more than 4294967296");
    let error = list_within(&four(b"40000000000\0"), &[], 0, Limits::default()).unwrap_err();
    assert!(error.to_string().contains("ends in the middle"), "{error}");
    // All files: 1 MiB here.
    let half = |name: &str| with(zipped(name, 0, b""), |entry| entry.size = 1 << 19);
    let sizes = zip(&[half("a"), half("b"), half("c")]);
    assert!(refusal(&sizes, &[], 0).starts_with("entry a: it ends 524288 bytes before"));
    let part = |name: &str, tar: Tar| tar.file(name, &[0; 1 << 18]);
    let whole = ["a", "b", "c", "d"].into_iter().fold(tar(), |tar, name| part(name, tar));
    for packed in [gz(&whole.clone().end()), xz(&whole.clone().end(), 1 << 16), bz2(&whole.end())] {
        let error = refusal(&packed, &[], 0);
        assert!(error.contains("more than 1048576 bytes"), "{error}");
    }
    let quarter = |name: &str| zipped(name, 0, &[0; 1 << 18]);
    let zips = zip(&[quarter("a"), quarter("b"), quarter("c"), quarter("d"), zipped("e", 0, b"x")]);
    assert_eq!(refusal(&zips, &[], 0), "entry e: the archive has more than 1048576 bytes of content");
    // The same by the ratio: 400 bytes may become little more than 4 GiB.
    let limits = Limits { bytes: decompress::most(400), ..Limits::default() };
    let mut nothing = |_: Member<'_>| Ok(());
    let mut walk = Walk::new(limits, 0, &|_| true, &mut nothing);
    assert_eq!(walk.count(4 << 30), Ok(()));
    assert_eq!(walk.count(1 << 20), Err(UnpackFault::TooLarge { limit: (4 << 30) + 40_000 }));
}

#[test]
fn names_are_bounded() {
    let mut names = names::Paths::default();
    let deep = "n/".repeat(2000);
    let mut last = Ok(());
    for number in 0..3000 {
        last = names.add(&TreePath::parse(format!("{number}/{deep}").as_bytes()).unwrap(), names::Seen::File);
        if last.is_err() {
            break;
        }
    }
    assert!(matches!(last, Err(UnpackFault::TooManyNames { .. })), "{last:?}");
}

#[test]
fn a_visitor_may_leave_a_file_unread_or_stop() {
    let tar = tool().file("tool-1/last", b"end").end();
    let zipped = zip(&[zipped("a", 0, &[1; 9000]), zipped("b", 0, b"end")]);
    for archive in [tar, zipped] {
        let mut seen = 0;
        unpack(Cursor::new(&archive), &[], 0, Limits::default(), &|_| true, &mut |member| {
            seen += 1;
            if let What::File { content, .. } = member.what
                && seen % 2 == 0
            {
                content.read_exact(&mut [0])?;
            }
            Ok(())
        })
        .unwrap();
        assert!(seen > 1);
        let error = unpack(Cursor::new(&archive), &[], 0, Limits::default(), &|_| true, &mut |_| {
            Err(io::Error::other("full"))
        })
        .unwrap_err();
        assert!(
            matches!(&error, UnpackError::Visit { source, .. } if source.to_string() == "full"),
            "{error}"
        );
    }
}

/// Fails after so many bytes.
struct Failing(Cursor<Vec<u8>>, u64);

impl Read for Failing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.0.position() >= self.1 { Err(io::Error::from_raw_os_error(5)) } else { self.0.read(buffer) }
    }
}

impl Seek for Failing {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

#[test]
fn a_failing_source_is_not_a_damaged_archive() {
    let tar = tool()
        .file("noise", &(0..99_999_u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect::<Vec<_>>())
        .end();
    for archive in [
        tar.clone(),
        gz(&tar),
        xz(&tar, 1 << 16),
        zst(&tar),
        bz2(&tar),
        ar(&[("data.tar.gz", &gz(&tar))]),
        zip(&[zipped("a", 0, &tar)]),
    ] {
        let at = archive.len() as u64 / 2;
        let error =
            unpack(Failing(Cursor::new(archive), at), &[], 0, Limits::default(), &|_| true, &mut |member| {
                if let What::File { content, .. } = member.what {
                    io::copy(content, &mut io::sink())?;
                }
                Ok(())
            });
        let error = error.unwrap_err();
        let code = match &error {
            UnpackError::Io(error) | UnpackError::Visit { source: error, .. } => error.raw_os_error(),
            UnpackError::Read(ReadError::Io(error)) => error.raw_os_error(),
            _ => None,
        };
        assert_eq!(code, Some(5), "{error:?}");
    }
}
