//! The gzip of a layer (RFC 1952), encoding 1: one member of content-defined chunks.
//!
//! Owns where a stream is cut and what stands around its chunks (`book/src/encoding-1.md`, "Gzip"). What a chunk
//! becomes is `deflate`'s. It must not know how the chunks are made: threads, writes and what is copied from an earlier
//! layer are the caller's, and reach no byte.

use std::sync::{Mutex, OnceLock, PoisonError};

use flate2::Crc;

use super::deflate;
use crate::digest::Digest;

/// ID1 ID2 CM FLG, MTIME 0, XFL 0, OS 255 (unknown).
pub(crate) const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// An empty stored block with BFINAL.
const END: [u8; 5] = [1, 0, 0, 0xff, 0xff];

pub(crate) const MIN_CHUNK: usize = 256 << 10;
pub(crate) const MAX_CHUNK: usize = deflate::MAX_CHUNK;
const LEADING_ZEROS: u32 = 19;
/// Stretches that are scanned side by side, and their length.
const LANES: usize = 4;
const LANE: usize = 2048;
/// How far before the minimum hashing begins: a byte has left the hash after 64 more.
const GEAR_WINDOW: usize = 64;

/// Where a chunk ends in the bytes that follow the last cut; [`Cutter::scan`] may be fed them bit by bit.
pub(crate) struct Cutter {
    hash: u64,
    seen: usize,
}

impl Cutter {
    pub(crate) const fn new() -> Self {
        Self { hash: 0, seen: 0 }
    }

    /// A word for each byte, made when a layer is large enough to need them.
    fn gear() -> &'static [u64; 256] {
        static GEAR: OnceLock<[u64; 256]> = OnceLock::new();
        GEAR.get_or_init(|| {
            let mut gear = [0; 256];
            for (byte, entry) in (0_u8..=255).zip(&mut gear) {
                *entry = Digest::of(&[byte]).as_bytes()[..8]
                    .iter()
                    .fold(0, |sum, &digit| sum << 8 | u64::from(digit));
            }
            gear
        })
    }

    /// How many of the next `bytes` belong to the chunk, if it ends in them.
    pub(crate) fn scan(&mut self, bytes: &[u8]) -> Option<usize> {
        let skip = (MIN_CHUNK - GEAR_WINDOW).saturating_sub(self.seen).min(bytes.len());
        let warm = MIN_CHUNK.saturating_sub(self.seen + 1).clamp(skip, bytes.len());
        let upto = (MAX_CHUNK - self.seen).min(bytes.len());
        if skip == bytes.len() {
            self.seen += skip;
            return None;
        }
        let gear = Self::gear();
        let mut hash = self.hash;
        for &byte in &bytes[skip..warm] {
            hash = (hash << 1).wrapping_add(gear[usize::from(byte)]);
        }
        let mut at = warm;
        while at < upto {
            if let Some(after) = no_end_in_lanes(gear, hash, &bytes[..upto], at) {
                (hash, at) = (after, at + LANES * LANE);
                continue;
            }
            // No room for lanes, or an end in one of them: byte by byte as far as they would have gone.
            let stop = (at + LANES * LANE).min(upto);
            for (i, &byte) in bytes[..stop].iter().enumerate().skip(at) {
                hash = (hash << 1).wrapping_add(gear[usize::from(byte)]);
                if hash.leading_zeros() >= LEADING_ZEROS {
                    return Some(self.end(i + 1));
                }
            }
            at = stop;
        }
        if self.seen + upto == MAX_CHUNK {
            return Some(self.end(upto));
        }
        self.hash = hash;
        self.seen += bytes.len();
        None
    }

    fn end(&mut self, length: usize) -> usize {
        (self.hash, self.seen) = (0, 0);
        length
    }
}

/// The hash after the lanes that begin at `at`, if no chunk ends in them. A hash is made of the last 64 bytes
/// alone, so each lane can start its own: four sums that don't wait for each other.
fn no_end_in_lanes(gear: &[u64; 256], hash: u64, bytes: &[u8], at: usize) -> Option<u64> {
    if at < GEAR_WINDOW || at + LANES * LANE > bytes.len() {
        return None;
    }
    let step = |hash: u64, byte: u8| (hash << 1).wrapping_add(gear[usize::from(byte)]);
    let start = |lane: usize| at + lane * LANE;
    let warmed =
        |lane: usize| bytes[start(lane) - GEAR_WINDOW..start(lane)].iter().fold(0, |h, &b| step(h, b));
    let part = |lane: usize| &bytes[start(lane)..start(lane) + LANE];
    let (mut a, mut b, mut c, mut d) = (hash, warmed(1), warmed(2), warmed(3));
    let parts = part(0).iter().zip(part(1)).zip(part(2)).zip(part(3));
    for (((&w, &x), &y), &z) in parts {
        (a, b, c, d) = (step(a, w), step(b, x), step(c, y), step(d, z));
        if a.min(b).min(c).min(d).leading_zeros() >= LEADING_ZEROS {
            return None;
        }
    }
    Some(d)
}

/// What ends the member after its last chunk: the final block, the checksum of all input, and its length modulo 2^32.
pub(crate) fn end(crc: &Crc) -> [u8; 13] {
    let mut end = [0; 13];
    end[..5].copy_from_slice(&END);
    end[5..9].copy_from_slice(&crc.sum().to_le_bytes());
    // ISIZE is what this counts, modulo 2^32.
    end[9..].copy_from_slice(&crc.amount().to_le_bytes());
    end
}

/// Allocations of the compressor, one to a thread, for all layers of the process.
static STATES: Mutex<Vec<deflate::State>> = Mutex::new(Vec::new());

/// Deflates a chunk.
pub(crate) fn deflated(chunk: &[u8]) -> Vec<u8> {
    // A poisoned lock holds only allocations: whatever they contain doesn't reach the output.
    let states = || STATES.lock().unwrap_or_else(PoisonError::into_inner);
    let taken = states().pop();
    let mut state = taken.unwrap_or_else(deflate::State::new);
    let mut bytes = Vec::with_capacity(chunk.len() / 2);
    deflate::chunk(chunk, &mut bytes, &mut state);
    states().push(state);
    bytes
}

/// Cuts `data` as the encoder does.
#[doc(hidden)]
pub fn split(mut data: &[u8]) -> Vec<&[u8]> {
    let mut cutter = Cutter::new();
    let mut chunks = Vec::new();
    while !data.is_empty() {
        let (chunk, rest) = data.split_at(cutter.scan(data).unwrap_or(data.len()));
        chunks.push(chunk);
        data = rest;
    }
    chunks
}

/// Deflates chunks one by one on this thread and counts the bytes: for the benchmark.
#[doc(hidden)]
pub fn deflated_len(chunks: &[&[u8]]) -> usize {
    let mut state = deflate::State::new();
    let mut out = Vec::new();
    let lengths = chunks.iter().map(|chunk| {
        out.clear();
        deflate::chunk(chunk, &mut out, &mut state);
        out.len()
    });
    lengths.sum()
}

/// Whether this process compresses a built-in vector to the bytes that encoding 1 has for it.
///
/// Asked before the first layer is written; it takes some 0.1 ms.
pub fn self_check() -> bool {
    check_digest().hex() == SELF_CHECK
}

fn check_digest() -> Digest {
    Digest::of(&[&HEADER[..], &deflated(&check_vector())].concat())
}

const SELF_CHECK: &str = "ec39773b99cb3dbf1d88ef6edfc7f9442cc325713a78e9266aaac7bbde0b2300";

/// 4 KiB, because every build waits for it: words, a repetition, noise, four letters, one byte.
fn check_vector() -> Vec<u8> {
    const WORDS: [&str; 8] = ["barrel ", "stave ", "hoop\n", "head ", "the ", "of ", "croze, ", "bung "];
    let mut seed = 1_u32;
    let mut next = || {
        // Numerical Recipes' linear congruence; its high bits are the better ones.
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 24) as u8
    };
    let mut vector = Vec::with_capacity(4 << 10);
    while vector.len() < 3 << 9 {
        vector.extend_from_slice(WORDS[usize::from(next() & 7)].as_bytes());
    }
    vector.extend_from_within(200..900);
    vector.extend((0..1000).map(|_| next()));
    vector.extend((0..600).map(|_| b"ACGT"[usize::from(next() & 3)]));
    vector.resize(4 << 10, 0);
    vector
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn noise(length: usize, map: impl Fn(u8) -> u8) -> Vec<u8> {
        let mut seed = 0x1234_5678_9abc_def0_u64;
        let mut next = || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            (seed >> 32) as u8
        };
        (0..length).map(|_| map(next())).collect()
    }

    pub(crate) fn text(length: usize) -> Vec<u8> {
        let lines =
            (0_u32..).map(|i| format!("{i} {:x} the stave of barrel {}\n", i.wrapping_mul(40_503), i % 97));
        let mut text: Vec<u8> = lines.flat_map(String::into_bytes).take(length).collect();
        text.truncate(length);
        text
    }

    /// The definition (design.md, 5.1), without lanes and pieces.
    fn ends(data: &[u8]) -> Vec<usize> {
        let (gear, mut ends, mut start) = (Cutter::gear(), vec![], 0);
        while start < data.len() {
            let last = data.len().min(start + MAX_CHUNK);
            let hash_at = |end: usize| {
                data[end - GEAR_WINDOW..end]
                    .iter()
                    .fold(0_u64, |h, &b| (h << 1).wrapping_add(gear[usize::from(b)]))
            };
            let mut candidates = start + MIN_CHUNK..last;
            start = candidates.find(|&end| hash_at(end).leading_zeros() >= 19).unwrap_or(last);
            ends.push(start);
        }
        ends
    }

    #[test]
    fn cuts_are_where_the_definition_has_them() {
        for data in [noise(5 << 20, |b| b), noise(3 << 20, |b| b & 0x47), text(3 << 20)] {
            let expected = ends(&data);
            for piece in [data.len(), 65_536, 9_000, 777] {
                let (mut cutter, mut found, mut at) = (Cutter::new(), vec![], 0);
                for bytes in data.chunks(piece) {
                    let mut rest = bytes;
                    while let Some(length) = cutter.scan(rest) {
                        (at, rest) = (at + length, &rest[length..]);
                        found.push(at);
                    }
                    at += rest.len();
                }
                found.extend((at > found.last().copied().unwrap_or(0)).then_some(at));
                assert_eq!(found, expected);
            }
        }
    }

    #[test]
    fn the_built_in_vector_gives_its_bytes() {
        assert_eq!(check_vector().len(), 4 << 10);
        assert_eq!(check_digest().hex(), SELF_CHECK);
        assert!(self_check());
    }
}
