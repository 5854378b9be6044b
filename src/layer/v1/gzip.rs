//! The gzip of a layer (RFC 1952): one member of content-defined chunks, deflated in parallel.
//!
//! Owns where a stream is cut, how its chunks are joined, and the chunk table that lets a later layer copy
//! what it shares with this one (design.md, 5.1). What a chunk becomes is [`deflate`]'s. Must not let
//! the number of threads, the sizes of the writes or what was reused reach the output.

use std::io::{self, Write};
use std::sync::Mutex;

use flate2::Crc;
use rayon::prelude::*;
use sha2::{Digest as _, Sha256};

use super::deflate;
use crate::digest::Digest;

/// ID1 ID2 CM FLG, MTIME 0, XFL 0, OS 255 (unknown).
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
/// An empty stored block with BFINAL.
const END: [u8; 5] = [1, 0, 0, 0xff, 0xff];

const MIN_CHUNK: usize = 256 << 10;
const MAX_CHUNK: usize = deflate::MAX_CHUNK;
const LEADING_ZEROS: u32 = 19;
/// How far before the minimum hashing begins: a byte has left the hash after 64 more.
const GEAR_WINDOW: usize = 64;

/// As much input as is gathered before its chunks are compressed. With one chunk begun, their outputs and
/// about 4 MiB of tables to a thread that is less than 64 MiB on up to 8 threads.
const BATCH: usize = 16 << 20;

/// One chunk of a layer: a row of its chunk table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// The sha256 of the bytes before compression.
    pub input: Digest,
    /// Their number.
    pub input_len: u64,
    /// Where the compressed bytes begin in the gzip, counted from its first byte.
    pub offset: u64,
    /// The number of compressed bytes, the empty stored block that closes the chunk included.
    pub len: u64,
}

/// Gives the compressed bytes of a chunk (sha256 and number of its input bytes) from an earlier layer, if it
/// has them. It answers for their being what encoding 1 makes of that chunk.
pub type Reuse<'a> = &'a (dyn Fn(&Digest, u64) -> Option<Vec<u8>> + Sync);

/// Where a chunk ends in the bytes that follow the last cut; [`Cutter::scan`] may be fed them bit by bit.
struct Cutter {
    gear: [u64; 256],
    hash: u64,
    seen: usize,
}

impl Cutter {
    fn new() -> Self {
        let mut gear = [0; 256];
        for (byte, entry) in (0_u8..=255).zip(&mut gear) {
            let digest: [u8; 32] = Sha256::digest([byte]).into();
            *entry = digest[..8].iter().fold(0, |sum, &digit| sum << 8 | u64::from(digit));
        }
        Self { gear, hash: 0, seen: 0 }
    }

    /// How many of the next `bytes` belong to the chunk, if it ends in them.
    fn scan(&mut self, bytes: &[u8]) -> Option<usize> {
        let skip = (MIN_CHUNK - GEAR_WINDOW).saturating_sub(self.seen).min(bytes.len());
        let warm = MIN_CHUNK.saturating_sub(self.seen + 1).clamp(skip, bytes.len());
        let upto = (MAX_CHUNK - self.seen).min(bytes.len());
        let mut hash = self.hash;
        for &byte in &bytes[skip..warm] {
            hash = (hash << 1).wrapping_add(self.gear[usize::from(byte)]);
        }
        for (i, &byte) in bytes[..upto].iter().enumerate().skip(warm) {
            hash = (hash << 1).wrapping_add(self.gear[usize::from(byte)]);
            if hash.leading_zeros() >= LEADING_ZEROS {
                return Some(self.end(i + 1));
            }
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

/// Compresses what is written to it; the gzip goes to `W` in order. [`Encoder::finish`] must be called.
pub struct Encoder<'a, W: Write> {
    inner: W,
    reuse: Option<Reuse<'a>>,
    cutter: Cutter,
    /// Input not yet compressed: whole chunks, then the beginning of one.
    pending: Vec<u8>,
    /// Ends of the whole chunks in `pending`.
    ends: Vec<usize>,
    /// Allocations of the compressor, one to a thread.
    states: Mutex<Vec<deflate::State>>,
    crc: Crc,
    offset: u64,
    table: Vec<Chunk>,
}

/// What a worker makes of a chunk.
struct Done {
    input: Digest,
    bytes: Vec<u8>,
    crc: Crc,
}

impl<'a, W: Write> Encoder<'a, W> {
    /// Writes the gzip header to `inner`.
    ///
    /// # Errors
    /// Those of `inner`.
    pub fn new(mut inner: W, reuse: Option<Reuse<'a>>) -> io::Result<Self> {
        inner.write_all(&HEADER)?;
        Ok(Self {
            inner,
            reuse,
            cutter: Cutter::new(),
            pending: Vec::new(),
            ends: Vec::new(),
            states: Mutex::new(Vec::new()),
            crc: Crc::new(),
            offset: HEADER.len() as u64,
            table: Vec::new(),
        })
    }

    /// Compresses what is left and ends the member; gives `inner` and the chunk table, in order of offset.
    ///
    /// # Errors
    /// Those of `inner`.
    pub fn finish(mut self) -> io::Result<(W, Vec<Chunk>)> {
        if self.ends.last().copied().unwrap_or(0) < self.pending.len() {
            self.ends.push(self.pending.len());
        }
        self.compress()?;
        self.inner.write_all(&END)?;
        self.inner.write_all(&self.crc.sum().to_le_bytes())?;
        // ISIZE: the length modulo 2^32, which is what this counts.
        self.inner.write_all(&self.crc.amount().to_le_bytes())?;
        Ok((self.inner, self.table))
    }

    /// Compresses the whole chunks that are pending, and writes them.
    fn compress(&mut self) -> io::Result<()> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let chunks: Vec<&[u8]> =
            starts.zip(&self.ends).map(|(start, &end)| &self.pending[start..end]).collect();
        let (reuse, states) = (self.reuse, &self.states);
        let done: Vec<Done> = chunks.par_iter().map(|chunk| work(chunk, reuse, states)).collect();
        for (chunk, done) in chunks.iter().zip(done) {
            self.inner.write_all(&done.bytes)?;
            self.crc.combine(&done.crc);
            let len = done.bytes.len() as u64;
            let input_len = chunk.len() as u64;
            self.table.push(Chunk { input: done.input, input_len, offset: self.offset, len });
            self.offset += len;
        }
        self.pending.drain(..self.ends.last().copied().unwrap_or(0));
        self.ends.clear();
        Ok(())
    }
}

fn work(chunk: &[u8], reuse: Option<Reuse<'_>>, states: &Mutex<Vec<deflate::State>>) -> Done {
    let input = Digest::of(chunk);
    let mut crc = Crc::new();
    crc.update(chunk);
    let known = reuse.and_then(|reuse| reuse(&input, chunk.len() as u64));
    let bytes = known.unwrap_or_else(|| {
        // A poisoned lock holds only allocations: whatever they contain doesn't reach the output.
        let locked = || states.lock().unwrap_or_else(|poison| poison.into_inner());
        let taken = locked().pop();
        let mut state = taken.unwrap_or_else(deflate::State::new);
        let mut bytes = Vec::with_capacity(chunk.len() / 2);
        deflate::chunk(chunk, &mut bytes, &mut state);
        locked().push(state);
        bytes
    });
    Done { input, bytes, crc }
}

impl<W: Write> Write for Encoder<'_, W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let room = (BATCH + MAX_CHUNK).saturating_sub(self.pending.len());
        let mut rest = &buffer[..buffer.len().min(room)];
        let taken = rest.len();
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at(
                self.cutter
                    .scan(rest)
                    .inspect(|length| {
                        self.ends.push(self.pending.len() + length);
                    })
                    .unwrap_or(rest.len()),
            );
            self.pending.extend_from_slice(chunk);
            rest = after;
        }
        if self.pending.len() >= BATCH {
            self.compress()?;
        }
        Ok(taken)
    }

    /// Does nothing: a chunk is compressed when it is whole, wherever the writer flushes.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Cuts `data` as [`Encoder`] does.
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
/// To be asked before the first layer is written; takes less than a millisecond (its tables are mostly untouched zero pages).
pub fn self_check() -> bool {
    check_digest().hex() == SELF_CHECK
}

fn check_digest() -> Digest {
    let mut encoded = HEADER.to_vec();
    deflate::chunk(&check_vector(), &mut encoded, &mut deflate::State::new());
    Digest::of(&encoded)
}

const SELF_CHECK: &str = "49a82773a49fee77ee75e909e2db12972a3a5fc8c770d45fe74d6e23fe87153b";

/// 24 KiB: words, a repetition, noise, four letters, one byte.
fn check_vector() -> Vec<u8> {
    const WORDS: [&str; 8] = ["barrel ", "stave ", "hoop\n", "head ", "the ", "of ", "croze, ", "bung "];
    let mut seed = 1_u32;
    let mut next = || {
        // Numerical Recipes' linear congruence; its high bits are the better ones.
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 24) as u8
    };
    let mut vector = Vec::with_capacity(25 << 10);
    while vector.len() < 8 << 10 {
        vector.extend_from_slice(WORDS[usize::from(next() & 7)].as_bytes());
    }
    vector.extend_from_within(1000..5000);
    vector.extend((0..6000).map(|_| next()));
    vector.extend((0..4000).map(|_| b"ACGT"[usize::from(next() & 3)]));
    vector.resize(24 << 10, 0);
    vector
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read;

    use proptest::prelude::*;

    use super::*;

    fn encode(data: &[u8], piece: usize, reuse: Option<Reuse<'_>>) -> (Vec<u8>, Vec<Chunk>) {
        let mut encoder = Encoder::new(Vec::new(), reuse).unwrap();
        for bytes in data.chunks(piece) {
            encoder.write_all(bytes).unwrap();
        }
        encoder.finish().unwrap()
    }

    /// Three decoders agree, there is one member, and the table says where each chunk lies.
    fn check(data: &[u8]) -> (Vec<u8>, Vec<Chunk>) {
        let (gzip, table) = encode(data, 1 << 16, None);
        let mut many = Vec::new();
        flate2::read::MultiGzDecoder::new(&gzip[..]).read_to_end(&mut many).unwrap();
        assert!(many == data);
        let mut one = flate2::bufread::GzDecoder::new(&gzip[..]);
        many.clear();
        one.read_to_end(&mut many).unwrap();
        assert!(many == data && one.into_inner().is_empty());
        let mut whole = vec![0; data.len()];
        let length = libdeflater::Decompressor::new().gzip_decompress(&gzip, &mut whole);
        assert!(length == Ok(data.len()) && whole == data);

        let (mut offset, mut at) = (10, 0);
        for (row, chunk) in table.iter().zip(split(data)) {
            assert_eq!(
                (row.offset, row.input_len, row.input),
                (offset, chunk.len() as u64, Digest::of(chunk))
            );
            assert!((MIN_CHUNK..=MAX_CHUNK).contains(&chunk.len()) || at + chunk.len() == data.len());
            let mut alone = Vec::new();
            deflate::chunk(chunk, &mut alone, &mut deflate::State::new());
            assert!(alone == gzip[offset as usize..][..row.len as usize]);
            (offset, at) = (offset + row.len, at + chunk.len());
        }
        assert_eq!((offset as usize + 13, at), (gzip.len(), data.len()));
        (gzip, table)
    }

    fn noise(length: usize, map: impl Fn(u8) -> u8) -> Vec<u8> {
        let mut seed = 0x1234_5678_9abc_def0_u64;
        let mut next = || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            (seed >> 32) as u8
        };
        (0..length).map(|_| map(next())).collect()
    }

    fn text(length: usize) -> Vec<u8> {
        let lines =
            (0_u32..).map(|i| format!("{i} {:x} the stave of barrel {}\n", i.wrapping_mul(40_503), i % 97));
        let mut text: Vec<u8> = lines.flat_map(String::into_bytes).take(length).collect();
        text.truncate(length);
        text
    }

    #[test]
    fn sizes_around_the_limits() {
        for length in
            [0, 1, 255, MIN_CHUNK - 1, MIN_CHUNK, MIN_CHUNK + 1, MAX_CHUNK - 1, MAX_CHUNK, MAX_CHUNK + 1]
        {
            check(&text(length));
            check(&vec![b'x'; length]);
        }
        assert_eq!(encode(&[], 1, None).0, [&HEADER[..], &END, &[0; 8]].concat());
    }

    #[test]
    fn kinds_of_bytes_and_their_golden_digests() {
        let kinds = [
            ("text", text(3 << 20)),
            ("noise", noise(3 << 20, |b| b)),
            ("acgt", noise(1 << 20, |b| b"ACGT"[usize::from(b & 3)])),
            ("hex", noise(1 << 20, |b| b"0123456789abcdef"[usize::from(b & 15)])),
            ("zeros", vec![0; 5 << 20]),
            ("runs", noise(40_000, |b| b).iter().flat_map(|&b| vec![b & 7; usize::from(b)]).collect()),
            ("mixed", [text(700_000), noise(300_000, |b| b), vec![7; 400_000], text(700_000)].concat()),
        ];
        let golden = [
            "text 751bd2edddfb",
            "noise 1dbd43e7a525",
            "acgt c83cc7180961",
            "hex b91aa109d25a",
            "zeros a3b67a55af08",
            "runs 4ead188e4cfc",
            "mixed 0774f96860c0",
        ];
        let digests = kinds.map(|(name, data)| format!("{name} {}", Digest::of(&check(&data).0).short()));
        assert_eq!(digests.each_ref().map(String::as_str), golden);
    }

    #[test]
    fn neither_writes_nor_threads_nor_reuse_reach_the_bytes() {
        let data = [text(5 << 20), noise(14 << 20, |b| b & 0x31), text(1 << 20)].concat();
        let (gzip, table) = encode(&data, data.len(), None);
        for (piece, threads) in [(1 << 20, 1), (4093, 2), (65536, 8)] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert!(pool.install(|| encode(&data, piece, None)) == (gzip.clone(), table.clone()));
        }
        let known: BTreeMap<Digest, Vec<u8>> = table
            .iter()
            .map(|row| (row.input, gzip[row.offset as usize..][..row.len as usize].to_vec()))
            .collect();
        let asked = Mutex::new(0);
        let reuse = |digest: &Digest, _: u64| {
            *asked.lock().unwrap() += 1;
            known.get(digest).cloned()
        };
        assert!(encode(&data, 1 << 16, Some(&reuse)) == (gzip, table.clone()));
        assert_eq!(*asked.lock().unwrap(), table.len());
    }

    #[test]
    fn a_change_moves_few_chunks() {
        let data = noise(12 << 20, |b| b & 0x5f);
        let mut changed = data.clone();
        changed.splice(5 << 20..5 << 20, *b"an insertion");
        let (before, after) = (encode(&data, 1 << 16, None).1, encode(&changed, 1 << 16, None).1);
        let new = after.iter().filter(|row| before.iter().all(|old| old.input != row.input)).count();
        assert!(before.len() > 8 && new <= 2, "{new} of {}", before.len());
    }

    #[test]
    fn one_byte_at_a_time() {
        let data = noise(MIN_CHUNK + 900_000, |b| b);
        assert!(encode(&data, 1, None) == encode(&data, data.len(), None));
    }

    #[test]
    fn the_built_in_vector_gives_its_bytes() {
        assert_eq!(check_vector().len(), 24 << 10);
        assert_eq!(check_digest().hex(), SELF_CHECK);
        assert!(self_check());
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_structure_comes_back(
            parts in prop::collection::vec((any::<u8>(), 0_usize..60_000, any::<u8>(), 1_usize..40_000), 0..12)
        ) {
            let mut data = Vec::new();
            for (kind, length, byte, back) in parts {
                match kind % 4 {
                    0 => data.extend(noise(length, |b| b & byte)),
                    1 => data.resize(data.len() + length, byte),
                    2 => data.extend(text(length)),
                    _ => {
                        for _ in 0..length.min(data.len()) {
                            data.push(data[data.len() - back.min(data.len())]);
                        }
                    }
                }
            }
            check(&data);
        }
    }
}
