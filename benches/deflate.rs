//! `cargo bench --bench deflate -- FILE...`: our encoder against libdeflate 6 and zlib-rs 6 on the same chunks. The
//! compressors alone: no byte but those that the self-check encodes is hashed, by whatever it prints.
#![allow(missing_docs, clippy::print_stdout, clippy::unwrap_used, clippy::disallowed_methods)]

use std::time::Instant;

use cooperage::digest::Implementation;
use cooperage::layer::v1::gzip;
use rayon::prelude::*;

fn main() {
    if let Ok(name) = std::env::var("COOPER_SHA256") {
        assert!(name.parse().is_ok_and(Implementation::take), "COOPER_SHA256 is {name:?}");
    }
    let start = Instant::now();
    assert!(gzip::self_check());
    println!(
        "self-check: {:.0} us; SHA-256: {}",
        start.elapsed().as_secs_f64() * 1e6,
        Implementation::taken()
    );
    let rounds: usize = std::env::var("ROUNDS").map_or(3, |text| text.parse().unwrap());
    for path in std::env::args().skip(1).filter(|arg| !arg.starts_with("--")) {
        let data = std::fs::read(&path).unwrap();
        measure(&path, &data, rounds);
    }
    if std::env::var("WORST").is_ok() {
        for (name, data) in worst() {
            measure(name, &data, rounds);
        }
    }
}

/// Inputs on which a compressor of this kind does badly.
fn worst() -> Vec<(&'static str, Vec<u8>)> {
    const SIZE: usize = 16 << 20;
    let mut seed = 1_u64;
    let mut next = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed >> 32) as u8
    };
    let mut fill = |f: &dyn Fn(u8) -> u8| -> Vec<u8> { (0..SIZE).map(|_| f(next())).collect() };
    vec![
        ("random bytes", fill(&|b| b)),
        ("random bits", fill(&|b| b'0' + (b & 1))),
        ("ACGT", fill(&|b| b"ACGT"[usize::from(b & 3)])),
        ("hex", fill(&|b| b"0123456789abcdef"[usize::from(b & 15)])),
        (
            "base64",
            fill(&|b| {
                b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[usize::from(b & 63)]
            }),
        ),
        ("zeros", vec![0; SIZE]),
        ("all 0xa5", vec![0xa5; SIZE]),
    ]
}

fn measure(name: &str, data: &[u8], rounds: usize) {
    let chunks = gzip::split(data);
    let mut times: [Vec<f64>; 3] = Default::default();
    let mut sizes = [0_usize; 3];
    for _ in 0..rounds {
        for (which, encode) in [ours, libdeflate, zlib_rs].iter().enumerate() {
            let start = Instant::now();
            sizes[which] = encode(&chunks);
            times[which].push(start.elapsed().as_secs_f64());
        }
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    let wall = |encode: fn(&[&[u8]]) -> usize| {
        let best = (0..rounds).map(|_| {
            let start = Instant::now();
            pool.install(|| chunks.par_chunks(4).map(encode).sum::<usize>());
            start.elapsed().as_secs_f64()
        });
        best.fold(f64::MAX, f64::min)
    };
    let (our_wall, their_wall) = (wall(ours), wall(libdeflate));
    let [our, lib, zlib] = times.map(|t| t.into_iter().fold(f64::MAX, f64::min));
    let mb = data.len() as f64 / 1e6;
    println!("{name}: {mb:.1} MB in {} chunks", chunks.len());
    println!(
        "  1 thread  MB/s: cooper {:7.1}  libdeflate {:7.1}  zlib-rs {:7.1}",
        mb / our,
        mb / lib,
        mb / zlib
    );
    println!("  speed ratio: {:.3} of libdeflate, {:.3} of zlib-rs", lib / our, zlib / our);
    println!(
        "  size ratio:  {:.4} of libdeflate, {:.4} of zlib-rs ({} B; {:.4} of the input)",
        sizes[0] as f64 / sizes[1] as f64,
        sizes[0] as f64 / sizes[2] as f64,
        sizes[0],
        sizes[0] as f64 / data.len() as f64
    );
    println!(
        "  2 threads MB/s: cooper {:7.1}  libdeflate {:7.1}  ratio {:.3}",
        mb / our_wall,
        mb / their_wall,
        their_wall / our_wall
    );
}

fn ours(chunks: &[&[u8]]) -> usize {
    gzip::deflated_len(chunks)
}

fn libdeflate(chunks: &[&[u8]]) -> usize {
    let mut encoder = libdeflater::Compressor::new(libdeflater::CompressionLvl::new(6).unwrap());
    let mut out = vec![0; encoder.deflate_compress_bound(2 << 20)];
    chunks.iter().map(|chunk| encoder.deflate_compress(chunk, &mut out).unwrap()).sum()
}

fn zlib_rs(chunks: &[&[u8]]) -> usize {
    use flate2::{Compress, Compression, FlushCompress};
    let mut encoder = Compress::new(Compression::new(6), false);
    let mut out = Vec::with_capacity(4 << 20);
    let mut total = 0;
    for chunk in chunks {
        out.clear();
        encoder.reset();
        encoder.compress_vec(chunk, &mut out, FlushCompress::Finish).unwrap();
        total += out.len();
    }
    total
}
