//! Content addresses: what everything else is named by.
//!
//! Owns [`Digest`], [`DiffId`], the number of the [`Encoding`], readers and writers that hash what passes through them, and
//! whose code does. Pure: it opens nothing and knows no path.
//!
//! Only sha256 exists here. The OCI image specification registers sha512 too; no base in the field uses
//! it, and a second algorithm would give one blob two names. [`Blake3`] names nothing: it tells Cooper alone that bytes
//! which it read before are the same.

mod aside;
mod encoding;
mod hasher;
mod known;
mod verify;

use std::fmt;
use std::io::{self, Read, Write};
use std::str::FromStr;

pub(crate) use aside::Aside;
pub use encoding::Encoding;
pub(crate) use hasher::Hasher;
#[doc(hidden)]
pub use hasher::{Implementation, hashed};
pub use known::{Blake3, Known, Survey};
pub use verify::{Mismatch, VerifyingReader};

/// The sha256 of some bytes, written `sha256:<64 hex digits>`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// The text is not a digest that Cooper understands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a digest: expected sha256: and 64 lower-case hexadecimal digits")]
pub struct ParseDigestError {
    /// What was read, cut to 100 characters.
    pub text: String,
}

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let mut hash = Hasher::new();
        hash.update(bytes);
        Self(hash.finish())
    }

    /// Takes 32 bytes that are a sha256 already.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 64 hexadecimal digits, as a blob's file is named.
    pub fn hex(&self) -> String {
        let mut text = String::with_capacity(64);
        for byte in self.0 {
            text.push(char::from(HEX[usize::from(byte >> 4)]));
            text.push(char::from(HEX[usize::from(byte & 15)]));
        }
        text
    }

    /// The first 12 hexadecimal digits, for people.
    pub fn short(&self) -> String {
        let mut hex = self.hex();
        hex.truncate(12);
        hex
    }

    /// Parses 64 hexadecimal digits.
    ///
    /// # Errors
    /// When there are not 64 of them, or one is not in `0-9a-f`.
    pub fn from_hex(hex: &str) -> Result<Self, ParseDigestError> {
        let bad = || ParseDigestError { text: hex.chars().take(100).collect() };
        let digits = hex.as_bytes();
        if digits.len() != 64 {
            return Err(bad());
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = value(pair[0]).ok_or_else(bad)? << 4 | value(pair[1]).ok_or_else(bad)?;
        }
        Ok(Self(bytes))
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

fn value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, ParseDigestError> {
        let bad = || ParseDigestError { text: text.chars().take(100).collect() };
        Self::from_hex(text.strip_prefix("sha256:").ok_or_else(bad)?).map_err(|_| bad())
    }
}

/// The digest of a layer's uncompressed tar stream (OCI image config, `rootfs.diff_ids`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DiffId(pub Digest);

impl fmt::Display for DiffId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Hashes and counts what is read through it.
pub struct HashingReader<R> {
    inner: R,
    hash: Hasher,
    length: u64,
}

impl<R: Read> HashingReader<R> {
    /// Starts with nothing read.
    pub fn new(inner: R) -> Self {
        Self { inner, hash: Hasher::new(), length: 0 }
    }

    /// The digest and number of the bytes read so far.
    pub fn finish(self) -> (Digest, u64) {
        (Digest(self.hash.finish()), self.length)
    }

    /// The same of all that there is.
    ///
    /// # Errors
    /// When the reader fails.
    pub fn drain(mut self) -> io::Result<(Digest, u64)> {
        // Four times what `io::copy` takes: a quarter of its system calls.
        let mut buffer = [0; 1 << 15];
        loop {
            match self.read(&mut buffer) {
                Ok(0) => return Ok(self.finish()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hash.update(&buffer[..count]);
        self.length += count as u64;
        Ok(count)
    }
}

/// Hashes and counts what is written through it.
pub struct HashingWriter<W> {
    inner: W,
    hash: Hasher,
    length: u64,
}

impl<W: Write> HashingWriter<W> {
    /// Starts with nothing written.
    pub fn new(inner: W) -> Self {
        Self { inner, hash: Hasher::new(), length: 0 }
    }

    /// The inner writer, and the digest and number of the bytes that it took.
    pub fn finish(self) -> (W, Digest, u64) {
        (self.inner, Digest(self.hash.finish()), self.length)
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(buffer)?;
        self.hash.update(&buffer[..count]);
        self.length += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn text_and_back() {
        assert_eq!(Digest::of(b"").to_string(), EMPTY);
        assert_eq!(EMPTY.parse::<Digest>(), Ok(Digest::of(b"")));
        for bad in
            ["", "sha256:", "sha512:00", &EMPTY.to_uppercase(), &EMPTY[..70], "sha256:../../etc/passwd"]
        {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
    }

    #[test]
    fn hashing_streams_agree_with_the_whole() {
        let mut reader = HashingReader::new(&b"barrel"[..]);
        let mut writer = HashingWriter::new(Vec::new());
        io::copy(&mut reader, &mut writer).unwrap();
        assert_eq!(reader.finish(), (Digest::of(b"barrel"), 6));
        assert_eq!(writer.finish(), (b"barrel".to_vec(), Digest::of(b"barrel"), 6));
    }
}
