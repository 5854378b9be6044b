//! What is known of bytes besides their digest, so that reading them again costs no second SHA-256.
//!
//! Owns [`Blake3`]. It is for what Cooper alone reads: no lock, document or derivation may hold one.

use std::io::{self, Read};

use super::hasher::Hasher;
use super::{Digest, ParseDigestError};

/// The BLAKE3 of some bytes: nobody finds others that have it either, and it takes a tenth of the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Blake3([u8; 32]);

impl Blake3 {
    /// That of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        blake3::hash(bytes).into()
    }

    /// As text.
    pub fn hex(&self) -> String {
        Digest::from_bytes(self.0).hex()
    }

    /// Reads the text back.
    ///
    /// # Errors
    /// When it isn't 64 hexadecimal digits.
    pub fn from_hex(hex: &str) -> Result<Self, ParseDigestError> {
        Digest::from_hex(hex).map(|digest| Self(*digest.as_bytes()))
    }
}

impl From<blake3::Hash> for Blake3 {
    fn from(hash: blake3::Hash) -> Self {
        Self(hash.into())
    }
}

/// What is known of bytes that have to have a digest, and are read for a layer or the like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// Nothing: whoever reads them computes the digest.
    Nothing,
    /// This process computed the digest, and this one beside it. A file may have changed since.
    Blake3(Blake3),
    /// This process computed the digest, and has kept the bytes in its memory.
    Unchanged,
}

/// Computes both at once.
pub struct Survey {
    sha256: Hasher,
    blake3: blake3::Hasher,
    length: u64,
}

impl Survey {
    /// Of nothing yet.
    #[expect(clippy::new_without_default, reason = "like its readers and writers")]
    pub fn new() -> Self {
        Self { sha256: Hasher::new(), blake3: blake3::Hasher::new(), length: 0 }
    }

    /// Goes on.
    pub fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.blake3.update(bytes);
        self.length += bytes.len() as u64;
    }

    /// The digest, the number of the bytes, and what is known of them from now on.
    pub fn finish(self) -> (Digest, u64, Known) {
        let blake3 = Blake3::from(self.blake3.finalize());
        (Digest::from_bytes(self.sha256.finish()), self.length, Known::Blake3(blake3))
    }

    /// The same of all that a reader gives.
    ///
    /// # Errors
    /// When it fails.
    pub fn of(mut reader: impl Read) -> io::Result<(Digest, u64, Known)> {
        let mut survey = Self::new();
        // Enough for the widest vectors.
        let mut buffer = [0; 1 << 15];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok(survey.finish()),
                Ok(count) => survey.update(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}
