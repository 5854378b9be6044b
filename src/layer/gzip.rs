//! The gzip of a layer as it is made: chunks compressed in parallel or copied, joined in order.
//!
//! Owns the threads, the memory that they take, and the chunk table that lets a later layer copy what it shares with
//! this one (design.md, 5.1). What decides a byte is `v1::gzip`'s. Must not let the number of threads, the sizes of the
//! writes or what was reused reach the output.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::time::Duration;

use flate2::Crc;

use super::chunks::{Chunk, Reuse};
use super::v1::gzip::{Cutter, HEADER, deflated, end};
use crate::digest::{Aside, Blake3, Digest, Hasher};

/// A guess for allocations only.
const AVERAGE_CHUNK: usize = 1 << 20;
/// As much input as may wait for its chunks to be compressed and written. With one chunk begun, their outputs
/// and about 4 MiB of tables to a thread that is less than 64 MiB on up to 8 threads.
const IN_FLIGHT: usize = 12 << 20;

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

/// What becomes of a chunk.
struct Done {
    input: Blake3,
    bytes: Vec<u8>,
    output: Blake3,
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
            input: InputHash::Here(Hasher::new()),
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
        self.inner.write_all(&end(&self.crc))?;
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

fn lost() -> io::Error {
    io::Error::other("a thread that compressed a part of the layer died")
}

fn make(chunk: &[u8], reuse: Option<&Reuse>) -> Done {
    let input = Blake3::of(chunk);
    let mut crc = Crc::new();
    crc.update(chunk);
    let (bytes, output) = reuse.and_then(|reuse| reuse(&input, chunk.len() as u64)).unwrap_or_else(|| {
        let bytes = deflated(chunk);
        let output = Blake3::of(&bytes);
        (bytes, output)
    });
    Done { input, bytes, output, crc }
}

/// The digest of all that was written: one long sum, so a thread of its own where there is work for several.
enum InputHash {
    Here(Hasher),
    Elsewhere { sum: Aside<Arc<Vec<u8>>>, last: Vec<u8> },
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
            match Aside::start(hash, 2) {
                Some(sum) => *self = Self::Elsewhere { sum, last: Vec::new() },
                None => return hash.update(chunk),
            }
        }
        if let Self::Elsewhere { sum, .. } = self {
            sum.update(Arc::clone(chunk));
        }
    }

    fn finish(self) -> io::Result<Digest> {
        let hash = match self {
            Self::Here(hash) => hash,
            Self::Elsewhere { sum, last } => {
                let mut hash = sum.finish().ok_or_else(lost)?;
                hash.update(&last);
                hash
            }
        };
        Ok(Digest::from_bytes(hash.finish()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read;
    use std::sync::Mutex;

    use proptest::prelude::*;

    use super::super::v1::deflate;
    use super::super::v1::gzip::tests::{noise, text};
    use super::super::v1::gzip::{MAX_CHUNK, MIN_CHUNK, split};
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
                (offset, chunk.len() as u64, Blake3::of(chunk))
            );
            assert!((MIN_CHUNK..=MAX_CHUNK).contains(&chunk.len()) || at + chunk.len() == data.len());
            let mut alone = Vec::new();
            deflate::chunk(chunk, &mut alone, &mut deflate::State::new());
            assert!(alone == gzip[offset as usize..][..row.len as usize]);
            assert_eq!(row.output, Blake3::of(&alone));
            (offset, at) = (offset + row.len, at + chunk.len());
        }
        assert_eq!((offset as usize + 13, at), (gzip.len(), data.len()));
        (gzip, table)
    }

    #[test]
    fn sizes_around_the_limits() {
        for length in
            [0, 1, 255, MIN_CHUNK - 1, MIN_CHUNK, MIN_CHUNK + 1, MAX_CHUNK - 1, MAX_CHUNK, MAX_CHUNK + 1]
        {
            check(&text(length));
            check(&vec![b'x'; length]);
        }
        assert_eq!(encode(&[], 1, None).0, [&HEADER[..], &[1, 0, 0, 0xff, 0xff], &[0; 8]].concat());
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
        let known: BTreeMap<Blake3, (Vec<u8>, Blake3)> =
            table.iter().map(|row| (row.input, (bytes(row), row.output))).collect();
        let asked = Arc::new(Mutex::new(0));
        let counts = Arc::clone(&asked);
        let reuse = Arc::new(move |input: &Blake3, _: u64| {
            *counts.lock().unwrap() += 1;
            known.get(input).cloned()
        });
        assert!(encode(&data, 1 << 16, Some(reuse)) == (gzip, table.clone()));
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
