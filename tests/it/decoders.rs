//! What the encoder writes, inflated by programs of others: `zcat`, Python's zlib and gzip, Java's `GZIPInputStream`.
//! The same bytes, exactly one member, nothing behind it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cooperage::digest::Digest;
use cooperage::layer::gzip::Encoder;

use crate::engines::{installed, run, skipped};
use crate::support::Test;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Of every kind of content: nothing, what doesn't compress, one byte over and over, text; and, as far as a kind makes a
/// difference there, sizes around the least and the greatest chunk.
fn contents() -> Vec<(String, Vec<u8>)> {
    let mut seed = 1_u64;
    let mut next = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 32) as u8
    };
    let mut noise = |size: usize| -> Vec<u8> { (0..size).map(|_| next()).collect() };
    let words = ["barrel ", "stave ", "hoop\n", "the ", "oak ", "of ", "cask, ", "adze "];
    let mut all = vec![("empty".into(), Vec::new()), ("a byte".into(), vec![b'x'])];
    for size in [257, 65_535, 65_536] {
        all.push((format!("noise {size}"), noise(size)));
        all.push((format!("equal {size}"), vec![0xa5; size]));
    }
    for around in [256 * KIB, 2 * MIB] {
        for size in [around - 1, around, around + 1] {
            all.push((format!("noise {size}"), noise(size)));
            all.push((format!("equal {size}"), vec![0; size]));
            let draws = noise(size / 4);
            let mut text: Vec<u8> =
                draws.iter().flat_map(|draw| words[usize::from(draw & 7)].bytes()).collect();
            text.resize(size, b'.');
            all.push((format!("text {size}"), text));
        }
    }
    // Several chunks, of several kinds.
    let mixed = [noise(3 * MIB), vec![0; 5 * MIB], b"barrel, stave, hoop\n".repeat(50_000)].concat();
    all.push(("mixed".into(), mixed));
    all
}

struct Gzip {
    what: String,
    path: PathBuf,
    holds: Vec<u8>,
}

/// Each in a file of its own.
fn encoded(test: &Test) -> Vec<Gzip> {
    let write = |(number, (what, holds)): (usize, (String, Vec<u8>))| {
        let mut encoder = Encoder::new(Vec::new(), None).unwrap();
        encoder.write_all(&holds).unwrap();
        let gzip = encoder.finish().unwrap().inner;
        let path = test.path(&format!("{number}.gz"));
        fs::write(&path, gzip).unwrap();
        Gzip { what, path, holds }
    };
    contents().into_iter().enumerate().map(write).collect()
}

/// Runs a program over all files; it prints a sha256 for each.
fn compare(program: &str, first: &[&str], gzips: &[Gzip]) {
    let mut command = Command::new(program);
    command.args(first).args(gzips.iter().map(|gzip| &gzip.path));
    let told = String::from_utf8(run(&mut command)).unwrap();
    assert_eq!(told.lines().count(), gzips.len(), "{told}");
    for (gzip, told) in gzips.iter().zip(told.lines()) {
        assert_eq!(format!("sha256:{told}"), Digest::of(&gzip.holds).to_string(), "{program}, {}", gzip.what);
    }
}

#[test]
fn zcat_inflates_it() {
    if !installed(&["zcat"]) {
        return;
    }
    let test = Test::new();
    for gzip in encoded(&test) {
        let mut command = Command::new("zcat");
        let output =
            command.stdin(fs::File::open(&gzip.path).unwrap()).stderr(Stdio::piped()).output().unwrap();
        // Bytes behind the member would be a warning.
        assert!(output.status.success() && output.stderr.is_empty(), "{}", gzip.what);
        assert!(output.stdout == gzip.holds, "{}", gzip.what);
    }
}

#[test]
fn python_inflates_it() {
    if !installed(&["python3"]) {
        return;
    }
    let script = "
import gzip, hashlib, sys, zlib
for name in sys.argv[1:]:
    data = open(name, 'rb').read()
    inflater = zlib.decompressobj(31)
    one = inflater.decompress(data) + inflater.flush()
    assert inflater.eof and not inflater.unused_data, name + ' is not one member'
    assert one == zlib.decompress(data, 31) == gzip.decompress(data), name
    print(hashlib.sha256(one).hexdigest())
";
    let test = Test::new();
    compare("python3", &["-c", script], &encoded(&test));
}

#[test]
fn java_inflates_it() {
    if !installed(&["java"]) {
        return;
    }
    // A JRE has no compiler.
    if !Command::new("javac").arg("-version").output().is_ok_and(|output| output.status.success()) {
        return skipped("javac is not installed");
    }
    let test = Test::new();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/acceptance/Inflate.java");
    compare("java", &[source.to_str().unwrap()], &encoded(&test));
}
