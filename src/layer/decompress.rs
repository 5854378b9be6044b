//! From a blob's bytes to the tar inside.
//!
//! Owns which compressions exist, how a media type or the first bytes name one, and that a damaged, cut or prolonged
//! stream is an error. xz and bzip2 are here for archives from elsewhere; no layer has them. Memory is bounded: zstd
//! windows beyond 32 MiB are refused, xz dictionaries beyond what the caller allows.

use std::cell::Cell;
use std::io::{self, BufRead, Read};
use std::rc::Rc;

use bzip2::bufread::MultiBzDecoder;
use flate2::bufread::MultiGzDecoder;
use lzma_rust2::XzReader;

use super::error::ReadError;
use crate::oci::Compression;

/// 2^25 bytes: what encoders use up to level 22 without `--ultra` or `--long`.
const ZSTD_WINDOW_LOG: u32 = 25;

impl Compression {
    /// The compression that the first bytes of a stream (four are enough) show.
    pub fn sniff(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            _ => Self::None,
        }
    }

    /// Opens a compressed stream. It must be read to its end to know that nothing was missing or follows.
    ///
    /// # Errors
    /// The zstd decoder can't be made.
    pub fn open<R: BufRead>(self, input: R) -> io::Result<Decompressed<R>> {
        let (input, failed) = watched(input);
        Ok(match self {
            Self::None => Decompressed::new("", Decoder::None(input), failed),
            Self::Gzip => {
                Decompressed::new("gzip", Decoder::Gzip(Box::new(MultiGzDecoder::new(input))), failed)
            }
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(input)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG)?;
                Decompressed::new("zstd", Decoder::Zstd(Box::new(decoder)), failed)
            }
        })
    }
}

/// What an LZMA2 decoder takes besides its dictionary, in KiB, rounded up.
const XZ_OVERHEAD: u64 = 128;

/// Opens an xz file whose dictionaries have at most so many bytes.
pub fn xz<R: BufRead>(input: R, dictionary: u64) -> Decompressed<R> {
    let memory = u32::try_from(dictionary / 1024 + XZ_OVERHEAD).unwrap_or(u32::MAX);
    let (input, failed) = watched(input);
    Decompressed::new("xz", Decoder::Xz(Box::new(XzReader::new_mem_limit(input, true, memory))), failed)
}

/// Opens a bzip2 file; its blocks have at most 900 kB.
pub fn bzip2<R: BufRead>(input: R) -> Decompressed<R> {
    let (input, failed) = watched(input);
    Decompressed::new("bzip2", Decoder::Bzip2(Box::new(MultiBzDecoder::new(input))), failed)
}

/// The uncompressed bytes. Whether a failure to read them is the stream's own fault is asked of
/// [`take_fault`](Self::take_fault).
pub struct Decompressed<R: BufRead> {
    compression: &'static str,
    decoder: Decoder<Watched<R>>,
    /// Whether the source has failed.
    failed: Rc<Cell<bool>>,
    fault: Option<ReadError>,
}

enum Decoder<R: BufRead> {
    None(R),
    Gzip(Box<MultiGzDecoder<R>>),
    Zstd(Box<zstd::stream::read::Decoder<'static, R>>),
    Xz(Box<XzReader<R>>),
    Bzip2(Box<MultiBzDecoder<R>>),
}

impl<R: BufRead> Decompressed<R> {
    fn new(compression: &'static str, decoder: Decoder<Watched<R>>, failed: Rc<Cell<bool>>) -> Self {
        Self { compression, decoder, failed, fault: None }
    }

    /// What is wrong with the stream, if that is why reading it failed; otherwise it was the source that failed.
    pub fn take_fault(&mut self) -> Option<ReadError> {
        self.fault.take()
    }
}

impl<R: BufRead> Read for Decompressed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // The xz decoder would take nothing for the end of a block.
        if buffer.is_empty() {
            return Ok(0);
        }
        self.failed.set(false);
        let read = match &mut self.decoder {
            Decoder::None(input) => return input.read(buffer),
            Decoder::Gzip(decoder) => decoder.read(buffer),
            Decoder::Zstd(decoder) => decoder.read(buffer),
            Decoder::Xz(decoder) => decoder.read(buffer),
            Decoder::Bzip2(decoder) => decoder.read(buffer),
        };
        read.map_err(|error| {
            if self.failed.get() || error.kind() == io::ErrorKind::Interrupted {
                return error;
            }
            let fault = ReadError::Compression { compression: self.compression, why: error.to_string() };
            let shown = io::Error::other(fault.to_string());
            self.fault = Some(fault);
            shown
        })
    }
}

/// A source that tells when it has failed: all else that a decoder says is about the bytes.
struct Watched<R> {
    inner: R,
    failed: Rc<Cell<bool>>,
}

fn watched<R>(inner: R) -> (Watched<R>, Rc<Cell<bool>>) {
    let failed = Rc::new(Cell::new(false));
    (Watched { inner, failed: Rc::clone(&failed) }, failed)
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer).inspect_err(|_| self.failed.set(true))
    }
}

impl<R: BufRead> BufRead for Watched<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf().inspect_err(|_| self.failed.set(true))
    }

    fn consume(&mut self, count: usize) {
        self.inner.consume(count);
    }
}

/// As much as a compressed layer of `size` bytes may become: what people pack shrinks to a third, text to a tenth, zeros
/// to a thousandth.
pub const fn most(size: u64) -> u64 {
    size.saturating_mul(100).saturating_add(4 << 30)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn plain(compression: Compression, data: &[u8]) -> Result<Vec<u8>, String> {
        let mut out = Vec::new();
        let mut reader = compression.open(data).unwrap();
        reader.read_to_end(&mut out).map_err(|error| error.to_string())?;
        Ok(out)
    }

    #[test]
    fn several_members_and_frames() {
        let gz = [gzip(b"bar"), gzip(b""), gzip(b"rel")].concat();
        assert_eq!(plain(Compression::Gzip, &gz).unwrap(), b"barrel");
        let frame = |data: &[u8]| zstd::stream::encode_all(data, 3).unwrap();
        let zst = [frame(b"bar"), b"\x50\x2a\x4d\x18\x02\0\0\0xx".to_vec(), frame(b"rel")].concat();
        assert_eq!(plain(Compression::Zstd, &zst).unwrap(), b"barrel");
    }

    #[test]
    fn damage() {
        for (compression, whole) in [
            (Compression::Gzip, gzip(b"barrel")),
            (Compression::Zstd, {
                let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).unwrap();
                encoder.include_checksum(true).unwrap();
                encoder.write_all(b"barrel").unwrap();
                encoder.finish().unwrap()
            }),
        ] {
            for cut in 1..whole.len() {
                plain(compression, &whole[..cut]).unwrap_err();
            }
            for junk in [&b"\0"[..], b"junk and more junk", &[0; 1024]] {
                plain(compression, &[&whole, junk].concat()).unwrap_err();
            }
            let mut flipped = whole.clone();
            let crc = whole.len() - if compression == Compression::Gzip { 8 } else { 4 };
            flipped[crc] ^= 1;
            plain(compression, &flipped).unwrap_err();
        }
    }

    #[test]
    fn wide_zstd_windows_are_refused() {
        for (log, fits) in [(25, true), (26, false)] {
            let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
            encoder.window_log(log).unwrap();
            encoder.write_all(&vec![7; 1 << 16]).unwrap();
            let zst = encoder.finish().unwrap();
            assert_eq!(plain(Compression::Zstd, &zst).is_ok(), fits, "{log}");
        }
    }

    #[test]
    fn sniffing() {
        let zst = zstd::stream::encode_all(&b"barrel"[..], 3).unwrap();
        for data in [b"barrel".to_vec(), gzip(b"barrel"), zst] {
            assert_eq!(plain(Compression::sniff(&data), &data).unwrap(), b"barrel");
        }
    }
}
