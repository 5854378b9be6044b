//! The gzip of a layer (RFC 1952): one member of content-defined chunks, deflated in parallel.
//!
//! Owns where a stream is cut, how its chunks are joined, and the chunk table that lets a later layer copy
//! what it shares with this one (design.md, 5.1). What a chunk becomes is [`deflate`]'s. Must not let
//! the number of threads, the sizes of the writes or what was reused reach the output.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::mpsc::{self, Receiver, SyncSender, TryRecvError};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use flate2::Crc;
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
/// Stretches that are scanned side by side, and their length.
const LANES: usize = 4;
const LANE: usize = 2048;
/// A guess for allocations only.
const AVERAGE_CHUNK: usize = 1 << 20;
/// How far before the minimum hashing begins: a byte has left the hash after 64 more.
const GEAR_WINDOW: usize = 64;

/// As much input as may wait for its chunks to be compressed and written. With one chunk begun, their outputs
/// and about 4 MiB of tables to a thread that is less than 64 MiB on up to 8 threads.
const IN_FLIGHT: usize = 12 << 20;

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
    /// The sha256 of the compressed bytes: whoever copies them sees that they are whole.
    pub output: Digest,
}

/// Gives the compressed bytes of a chunk (sha256 and number of its input bytes) from an earlier layer, if it
/// has them, and their sha256. It answers for their being what encoding 1 makes of that chunk.
pub type Reuse = Arc<dyn Fn(&Digest, u64) -> Option<(Vec<u8>, Digest)> + Send + Sync>;

/// Where a chunk ends in the bytes that follow the last cut; [`Cutter::scan`] may be fed them bit by bit.
struct Cutter {
    hash: u64,
    seen: usize,
}

impl Cutter {
    const fn new() -> Self {
        Self { hash: 0, seen: 0 }
    }

    /// A word for each byte, made when a layer is large enough to need them.
    fn gear() -> &'static [u64; 256] {
        static GEAR: OnceLock<[u64; 256]> = OnceLock::new();
        GEAR.get_or_init(|| {
            let mut gear = [0; 256];
            for (byte, entry) in (0_u8..=255).zip(&mut gear) {
                let digest: [u8; 32] = Sha256::digest([byte]).into();
                *entry = digest[..8].iter().fold(0, |sum, &digit| sum << 8 | u64::from(digit));
            }
            gear
        })
    }

    /// How many of the next `bytes` belong to the chunk, if it ends in them.
    fn scan(&mut self, bytes: &[u8]) -> Option<usize> {
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

/// Compresses what is written to it; the gzip goes to `W` in order. [`Encoder::finish`] must be called.
///
/// Chunks are compressed by rayon's threads while the next ones are written and cut here. A layer of one chunk,
/// as most are, never leaves this thread.
pub struct Encoder<W: Write> {
    inner: W,
    cutter: Cutter,
    /// The chunk that has begun.
    current: Vec<u8>,
    reuse: Option<Reuse>,
    /// Chunks that were given away, in order, with the numbers of their bytes.
    given: VecDeque<(usize, Receiver<Done>)>,
    in_flight: usize,
    input: InputHash,
    crc: Crc,
    offset: u64,
    table: Vec<Chunk>,
}

/// What the encoder took and gave.
pub struct Encoded<W> {
    /// The writer.
    pub inner: W,
    /// The sha256 of all that was written.
    pub input: Digest,
    /// The chunk table, in order of offset.
    pub chunks: Vec<Chunk>,
}

/// Allocations of the compressor, one to a thread, for all layers of the process.
static STATES: Mutex<Vec<deflate::State>> = Mutex::new(Vec::new());

/// Deflates a chunk.
fn deflated(chunk: &[u8]) -> Vec<u8> {
    // A poisoned lock holds only allocations: whatever they contain doesn't reach the output.
    let states = || STATES.lock().unwrap_or_else(PoisonError::into_inner);
    let taken = states().pop();
    let mut state = taken.unwrap_or_else(deflate::State::new);
    let mut bytes = Vec::with_capacity(chunk.len() / 2);
    deflate::chunk(chunk, &mut bytes, &mut state);
    states().push(state);
    bytes
}

/// What becomes of a chunk.
struct Done {
    input: Digest,
    bytes: Vec<u8>,
    output: Digest,
    crc: Crc,
}

impl<W: Write> Encoder<W> {
    /// Writes the gzip header to `inner`.
    ///
    /// # Errors
    /// Those of `inner`.
    pub fn new(mut inner: W, reuse: Option<Reuse>) -> io::Result<Self> {
        inner.write_all(&HEADER)?;
        Ok(Self {
            inner,
            cutter: Cutter::new(),
            current: Vec::new(),
            reuse,
            given: VecDeque::new(),
            in_flight: 0,
            input: InputHash::Here(Sha256::new()),
            crc: Crc::new(),
            offset: HEADER.len() as u64,
            table: Vec::new(),
        })
    }

    /// Compresses what is left and ends the member.
    ///
    /// # Errors
    /// Those of `inner`.
    pub fn finish(mut self) -> io::Result<Encoded<W>> {
        let last = std::mem::take(&mut self.current);
        self.input.update(&last);
        while self.in_flight > 0 {
            self.take_oldest()?;
        }
        if !last.is_empty() {
            let done = make(&last, self.reuse.as_ref());
            self.append(last.len(), &done)?;
        }
        self.inner.write_all(&END)?;
        self.inner.write_all(&self.crc.sum().to_le_bytes())?;
        // ISIZE: the length modulo 2^32, which is what this counts.
        self.inner.write_all(&self.crc.amount().to_le_bytes())?;
        Ok(Encoded { inner: self.inner, input: self.input.finish()?, chunks: self.table })
    }

    /// The chunk that has begun is whole.
    fn cut(&mut self) -> io::Result<()> {
        let chunk = std::mem::replace(&mut self.current, Vec::with_capacity(AVERAGE_CHUNK));
        if rayon::current_num_threads() == 1 {
            self.input.update(&chunk);
            let done = make(&chunk, self.reuse.as_ref());
            return self.append(chunk.len(), &done);
        }
        let chunk = Arc::new(chunk);
        self.input.update_elsewhere(&chunk);
        while self.in_flight > 0 && self.in_flight + chunk.len() > IN_FLIGHT {
            self.take_oldest()?;
        }
        let (sender, receiver) = mpsc::sync_channel(1);
        self.given.push_back((chunk.len(), receiver));
        self.in_flight += chunk.len();
        let reuse = self.reuse.clone();
        // An encoder that failed has gone, and nobody waits for what becomes of its chunks.
        rayon::spawn_fifo(move || drop(sender.send(make(&chunk, reuse.as_ref()))));
        while let Some((length, receiver)) = self.given.front() {
            let (length, Ok(done)) = (*length, receiver.try_recv()) else { break };
            self.given.pop_front();
            self.in_flight -= length;
            self.append(length, &done)?;
        }
        Ok(())
    }

    /// Waits for the chunk that was given away first.
    fn take_oldest(&mut self) -> io::Result<()> {
        let Some((length, receiver)) = self.given.pop_front() else { return Ok(()) };
        let done = loop {
            match receiver.try_recv() {
                Ok(done) => break done,
                Err(TryRecvError::Disconnected) => return Err(lost()),
                // One of rayon's own threads must not sleep: what it waits for may be its own to do.
                Err(TryRecvError::Empty) => match rayon::yield_now() {
                    None => break receiver.recv().map_err(|_| lost())?,
                    Some(rayon::Yield::Executed) => {}
                    Some(rayon::Yield::Idle) => std::thread::sleep(Duration::from_micros(50)),
                },
            }
        };
        self.in_flight -= length;
        self.append(length, &done)
    }

    fn append(&mut self, input_len: usize, done: &Done) -> io::Result<()> {
        self.inner.write_all(&done.bytes)?;
        self.crc.combine(&done.crc);
        let (input_len, len) = (input_len as u64, done.bytes.len() as u64);
        let Done { input, output, .. } = *done;
        self.table.push(Chunk { input, input_len, offset: self.offset, len, output });
        self.offset += len;
        Ok(())
    }
}

fn lost() -> io::Error {
    io::Error::other("a thread that compressed a part of the layer died")
}

fn make(chunk: &[u8], reuse: Option<&Reuse>) -> Done {
    let input = Digest::of(chunk);
    let mut crc = Crc::new();
    crc.update(chunk);
    let (bytes, output) = reuse.and_then(|reuse| reuse(&input, chunk.len() as u64)).unwrap_or_else(|| {
        let bytes = deflated(chunk);
        let output = Digest::of(&bytes);
        (bytes, output)
    });
    Done { input, bytes, output, crc }
}

/// The digest of all that was written: one long sum, so a thread of its own where there is work for several.
enum InputHash {
    Here(Sha256),
    Elsewhere { chunks: SyncSender<Arc<Vec<u8>>>, thread: JoinHandle<Sha256>, last: Vec<u8> },
}

impl InputHash {
    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Here(hash) => hash.update(bytes),
            // Only the end of the stream, which is not a whole chunk, comes this way.
            Self::Elsewhere { last, .. } => last.extend_from_slice(bytes),
        }
    }

    fn update_elsewhere(&mut self, chunk: &Arc<Vec<u8>>) {
        if let Self::Here(hash) = self {
            let mut own = hash.clone();
            let (chunks, received) = mpsc::sync_channel::<Arc<Vec<u8>>>(2);
            let run = move || {
                received.iter().for_each(|chunk| own.update(&**chunk));
                own
            };
            match std::thread::Builder::new().spawn(run) {
                Ok(thread) => *self = Self::Elsewhere { chunks, thread, last: Vec::new() },
                Err(_) => return hash.update(&**chunk),
            }
        }
        if let Self::Elsewhere { chunks, .. } = self {
            // A thread that died is found when it is joined.
            let _ = chunks.send(Arc::clone(chunk));
        }
    }

    fn finish(self) -> io::Result<Digest> {
        let hash = match self {
            Self::Here(hash) => hash,
            Self::Elsewhere { chunks, thread, last } => {
                drop(chunks);
                let mut hash = thread.join().map_err(|_| lost())?;
                hash.update(&last);
                hash
            }
        };
        Ok(Digest::from_bytes(hash.finalize().into()))
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let mut rest = buffer;
        while !rest.is_empty() {
            let end = self.cutter.scan(rest);
            let (part, after) = rest.split_at(end.unwrap_or(rest.len()));
            self.current.extend_from_slice(part);
            if end.is_some() {
                self.cut()?;
            }
            rest = after;
        }
        Ok(buffer.len())
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
/// To be asked before the first layer is written; takes some 0.1 ms.
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
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read;

    use proptest::prelude::*;

    use super::*;

    fn encode(data: &[u8], piece: usize, reuse: Option<Reuse>) -> (Vec<u8>, Vec<Chunk>) {
        let mut encoder = Encoder::new(Vec::new(), reuse).unwrap();
        for bytes in data.chunks(piece) {
            encoder.write_all(bytes).unwrap();
        }
        let Encoded { inner, input, chunks } = encoder.finish().unwrap();
        assert_eq!(input, Digest::of(data));
        (inner, chunks)
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
            assert_eq!(row.output, Digest::of(&alone));
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
        let bytes = |row: &Chunk| gzip[row.offset as usize..][..row.len as usize].to_vec();
        let known: BTreeMap<Digest, (Vec<u8>, Digest)> =
            table.iter().map(|row| (row.input, (bytes(row), row.output))).collect();
        let asked = Arc::new(Mutex::new(0));
        let counts = Arc::clone(&asked);
        let reuse = Arc::new(move |digest: &Digest, _: u64| {
            *counts.lock().unwrap() += 1;
            known.get(digest).cloned()
        });
        assert!(encode(&data, 1 << 16, Some(reuse)) == (gzip, table.clone()));
        assert_eq!(*asked.lock().unwrap(), table.len());
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
        assert_eq!(check_vector().len(), 4 << 10);
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
