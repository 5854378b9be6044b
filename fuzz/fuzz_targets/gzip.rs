//! The encoder: whatever goes in comes out of two decoders, however it was written, and chunks may be copied.
//!
//! The first two bytes say how the rest is stretched; a chunk ends after 256 KiB at the earliest. Larger inputs than
//! a window of deflate find nothing that smaller ones don't, slowly.
#![no_main]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::sync::Arc;

use cooperage::digest::{Blake3, Digest};
use cooperage::layer::chunks::{Chunk, Reuse};
use cooperage::layer::gzip::{Encoded, Encoder};
use fuzz::Input;
use libfuzzer_sys::fuzz_target;

fn encoded(data: &[u8], piece: usize, reuse: Option<Reuse>) -> (Vec<u8>, Vec<Chunk>) {
    let mut encoder = Encoder::new(Vec::new(), reuse).unwrap();
    for piece in data.chunks(piece) {
        encoder.write_all(piece).unwrap();
    }
    let Encoded { inner, input, chunks } = encoder.finish().unwrap();
    assert_eq!(input, Digest::of(data));
    (inner, chunks)
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let (how, by) = (input.byte(), u32::from(input.byte()));
    input.0 = &input.0[..input.0.len().min(40_000)];
    let mut plain = input.0.to_vec();
    if how & 63 == 63 && !plain.is_empty() {
        // Repeats with something new in each: several chunks.
        let mut seed = by | 1;
        while plain.len() < 300_000 {
            for at in 0..input.0.len() {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                plain.push(input.0[at] ^ if seed >> 24 < by { (seed >> 16) as u8 } else { 0 });
            }
        }
    }
    let (gzip, table) = encoded(&plain, usize::MAX, None);
    let piece = (usize::from(how) << 4 | 1).max(plain.len() / 5000);
    assert!(encoded(&plain, piece, None) == (gzip.clone(), table.clone()), "the pieces matter");
    let mut out = Vec::new();
    flate2::read::GzDecoder::new(&gzip[..]).read_to_end(&mut out).expect("flate2 inflates it");
    assert!(out == plain);
    let mut out = vec![0; plain.len()];
    let count =
        libdeflater::Decompressor::new().gzip_decompress(&gzip, &mut out).expect("so does libdeflate");
    assert!(count == plain.len() && out == plain);
    let (mut at, mut offset) = (0, 10);
    let bytes = |chunk: &Chunk| gzip[chunk.offset as usize..][..chunk.len as usize].to_vec();
    for chunk in &table {
        assert_eq!(chunk.output, Blake3::of(&bytes(chunk)));
        let length = chunk.input_len as usize;
        assert_eq!((chunk.input, chunk.offset), (Blake3::of(&plain[at..at + length]), offset));
        (at, offset) = (at + length, offset + chunk.len);
    }
    assert_eq!((at, offset as usize + 5 + 8), (plain.len(), gzip.len()));
    let known: BTreeMap<_, _> =
        table.iter().map(|chunk| ((chunk.input, chunk.input_len), (bytes(chunk), chunk.output))).collect();
    let reuse: Reuse = Arc::new(move |input: &Blake3, length: u64| known.get(&(*input, length)).cloned());
    assert!(encoded(&plain, usize::MAX, Some(reuse)).0 == gzip, "copied chunks differ");
});
