//! Readers of bytes that were asked for by their digest.
//!
//! Owns [`Mismatch`], and that other bytes end in an error.

use std::io::{self, Read};
use std::sync::OnceLock;
use std::thread::available_parallelism;

use super::Digest;
use super::aside::Aside;
use super::hasher::Hasher;
use super::known::{Blake3, Known};

/// Bytes that are not those of the descriptor by which they were asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// More or fewer bytes. Those beyond the promised size are not counted.
    #[error("{digest} should have {size} bytes; there are {}", if *.found > *.size { "more".into() } else { .found.to_string() })]
    Size {
        /// What was asked for.
        digest: Digest,
        /// What was promised.
        size: u64,
        /// What came; `size + 1` for any number above.
        found: u64,
    },
    /// Other bytes.
    #[error("{digest} has the bytes of {found}")]
    Digest {
        /// What was asked for.
        digest: Digest,
        /// What came.
        found: Digest,
    },
    /// Other bytes than those that had the digest when they were read before.
    #[error("{digest} has other bytes now")]
    Changed {
        /// What was asked for.
        digest: Digest,
    },
    /// Nobody knows: the thread that compared them died.
    #[error("{digest} could not be verified: a thread died")]
    Lost {
        /// What was asked for.
        digest: Digest,
    },
}

impl Mismatch {
    /// The mismatch in an I/O error, where a [`VerifyingReader`] put one.
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }
}

/// Passes bytes on and fails (with a [`Mismatch`] inside the I/O error) where they turn out to be others than
/// those promised. The last of them are held back until digest and size are known to be right, so that even
/// whoever stops reading at the promised size has seen only what was asked for, or an error.
pub struct VerifyingReader<R> {
    inner: R,
    state: State,
    digest: Digest,
    size: u64,
    left: u64,
}

enum State {
    Reading(Check),
    Right,
    Wrong(Mismatch),
}

impl<R: Read> VerifyingReader<R> {
    /// Expects `size` bytes with that digest.
    pub fn new(inner: R, digest: Digest, size: u64) -> Self {
        Self::knowing(inner, digest, size, Known::Nothing)
    }

    /// The same, for the price that what is known of them allows.
    pub fn knowing(inner: R, digest: Digest, size: u64, known: Known) -> Self {
        Self { inner, state: State::Reading(Check::new(known, size)), digest, size, left: size }
    }

    fn at_end(&mut self) -> State {
        let State::Reading(check) = std::mem::replace(&mut self.state, State::Right) else {
            return State::Right;
        };
        let (digest, size) = (self.digest, self.size);
        // A failure to read on past the end is no reason to refuse bytes that are right.
        if matches!(self.inner.read(&mut [0]), Ok(1)) {
            return State::Wrong(Mismatch::Size { digest, size, found: size.saturating_add(1) });
        }
        check.finish(digest).map_or_else(State::Wrong, |()| State::Right)
    }
}

impl<R: Read> Read for VerifyingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut count = 0;
        if let State::Reading(check) = &mut self.state {
            let most = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
            if most == 0 && self.left > 0 {
                return Ok(0);
            }
            if most > 0 {
                count = self.inner.read(&mut buffer[..most])?;
            }
            check.update(&buffer[..count]);
            self.left -= count as u64;
            if self.left == 0 {
                self.state = self.at_end();
            } else if count == 0 {
                let (digest, size, found) = (self.digest, self.size, self.size - self.left);
                self.state = State::Wrong(Mismatch::Size { digest, size, found });
            }
        }
        match &self.state {
            State::Wrong(mismatch) => Err(io::Error::new(io::ErrorKind::InvalidData, mismatch.clone())),
            _ => Ok(count),
        }
    }
}

/// How the bytes that pass are compared.
enum Check {
    Digest(Hasher),
    /// The same, while the bytes go on: with the piece that has begun.
    Aside(Aside<Vec<u8>>, Vec<u8>),
    Blake3(Box<blake3::Hasher>, Blake3),
    Nothing,
}

/// From so many bytes on, a thread that computes their digest is started sooner than it is computed.
const WORTH_A_THREAD: u64 = 1 << 20;
/// Small enough to be taken from memory that was used before.
const PIECE: usize = 64 << 10;
/// So many pieces wait for that thread.
const WAITING: usize = 16;

impl Check {
    fn new(known: Known, size: u64) -> Self {
        static SEVERAL: OnceLock<bool> = OnceLock::new();
        let several = || *SEVERAL.get_or_init(|| available_parallelism().is_ok_and(|cores| cores.get() > 1));
        match known {
            Known::Nothing => {
                let hash = Hasher::new();
                let aside = (size >= WORTH_A_THREAD && several()).then(|| Aside::start(&hash, WAITING));
                aside.flatten().map_or(Self::Digest(hash), |aside| Self::Aside(aside, Vec::new()))
            }
            Known::Blake3(blake3) => Self::Blake3(Box::default(), blake3),
            Known::Unchanged => Self::Nothing,
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Digest(hash) => hash.update(bytes),
            Self::Aside(sum, piece) => {
                piece.extend_from_slice(bytes);
                if piece.len() >= PIECE {
                    sum.update(std::mem::replace(piece, Vec::with_capacity(PIECE)));
                }
            }
            Self::Blake3(hash, _) => _ = hash.update(bytes),
            Self::Nothing => {}
        }
    }

    fn finish(self, digest: Digest) -> Result<(), Mismatch> {
        let compared = |hash: Hasher| match Digest::from_bytes(hash.finish()) {
            found if found == digest => Ok(()),
            found => Err(Mismatch::Digest { digest, found }),
        };
        match self {
            Self::Digest(hash) => compared(hash),
            Self::Aside(sum, piece) => {
                sum.update(piece);
                compared(sum.finish().ok_or(Mismatch::Lost { digest })?)
            }
            Self::Blake3(hash, known) if Blake3::from(hash.finalize()) != known => {
                Err(Mismatch::Changed { digest })
            }
            Self::Blake3(..) | Self::Nothing => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Survey;
    use super::*;

    #[test]
    fn other_bytes_never_reach_an_end() {
        let read = |bytes: &[u8], of: &[u8], size| {
            let mut all = Vec::new();
            VerifyingReader::new(bytes, Digest::of(of), size).read_to_end(&mut all).map(|_| all)
        };
        assert_eq!(read(b"barrel", b"barrel", 6).unwrap(), b"barrel");
        assert_eq!(read(b"", b"", 0).unwrap(), b"");
        for (bytes, size, message) in [
            (&b"barren"[..], 6, "has the bytes of"),
            (b"barrels", 6, "should have 6 bytes; there are more"),
            (b"barre", 6, "there are 5"),
            (b"barrel", 7, "there are 6"),
            (b"barrel", 0, "there are more"),
        ] {
            let error = read(bytes, b"barrel", size).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
        let mut reader = VerifyingReader::new(&b"barren"[..], Digest::of(b"barrel"), 6);
        assert!(reader.read_exact(&mut [0; 6]).is_err());
        assert!(reader.read(&mut [0; 6]).is_err());
    }

    /// Around the size from which another thread compares, whatever the pieces are.
    #[test]
    fn many_bytes_are_compared_aside() {
        struct Fails<R>(R);
        impl<R: Read> Read for Fails<R> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                match self.0.read(buffer)? {
                    0 => Err(io::ErrorKind::ConnectionReset.into()),
                    count => Ok(count),
                }
            }
        }
        let least = usize::try_from(WORTH_A_THREAD).unwrap();
        for length in [least - 1, least, least + 1, least + PIECE, 3 * least + 7] {
            let right: Vec<u8> = (0..length).map(|i| (i * 7 + i / 251) as u8).collect();
            let (digest, size) = (Digest::of(&right), length as u64);
            let read = |bytes: &[u8], piece| {
                let (mut reader, mut all) = (VerifyingReader::new(bytes, digest, size), Vec::new());
                let mut buffer = vec![0; piece];
                loop {
                    match reader.read(&mut buffer) {
                        Ok(0) => return (all, None),
                        Ok(count) => all.extend_from_slice(&buffer[..count]),
                        Err(error) => return (all, Mismatch::of(&error).cloned()),
                    }
                }
            };
            for piece in [1000, PIECE, PIECE + 1, least / 2, 2 * length] {
                assert!(read(&right, piece) == (right.clone(), None), "{length} {piece}");
                for at in [0, length / 2, length - 1] {
                    let mut wrong = right.clone();
                    wrong[at] ^= 1;
                    let (given, mismatch) = read(&wrong, piece);
                    // The last of them are held back.
                    assert!(given.len() < length && matches!(mismatch, Some(Mismatch::Digest { .. })));
                }
                for wrong in [&right[1..], &[&right[..], b"!"].concat()] {
                    let (given, mismatch) = read(wrong, piece);
                    assert!(given.len() < length && matches!(mismatch, Some(Mismatch::Size { .. })));
                }
            }
            let mut broken = VerifyingReader::new(Fails(&right[..length / 2]), digest, size);
            let error = io::copy(&mut broken, &mut io::sink()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
            // Left in the middle: its thread ends by itself.
            let mut left = VerifyingReader::new(&right[..], digest, size);
            left.read_exact(&mut vec![0; length / 2]).unwrap();
        }
    }

    #[test]
    fn what_is_known_spares_no_check_but_that_of_memory() {
        let all = [b"barrel".repeat(30_000), b"x".to_vec(), Vec::new()];
        for bytes in &all {
            let (digest, size, known) = Survey::of(&bytes[..]).unwrap();
            assert_eq!((digest, size), (Digest::of(bytes), bytes.len() as u64));
            assert_eq!(known, Known::Blake3(Blake3::of(bytes)));
            for how in [Known::Nothing, known, Known::Unchanged] {
                let read = |bytes: &[u8]| {
                    let mut all = Vec::new();
                    VerifyingReader::knowing(bytes, digest, size, how).read_to_end(&mut all).map(|_| all)
                };
                assert!(read(bytes).unwrap() == *bytes);
                // A size is always looked at.
                assert!(read(&[&bytes[..], b"!"].concat()).is_err());
                if let Some((last, rest)) = bytes.split_last() {
                    assert!(read(rest).is_err());
                    let other = read(&[rest, &[last ^ 1]].concat());
                    assert_eq!(other.is_err(), how != Known::Unchanged, "{how:?}");
                    let Err(error) = other else { continue };
                    let changed = matches!(Mismatch::of(&error), Some(Mismatch::Changed { .. }));
                    assert_eq!(changed, how != Known::Nothing);
                }
            }
        }
    }
}
