//! SHA-256, by the code that is the fastest on this processor.
//!
//! Owns whose code that is, and how many bytes went through it. The sum is the same with each; nobody outside `digest`
//! may depend on which one it was.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use ring::digest::{Context, SHA256};
use sha2::{Digest as _, Sha256};

/// Whose code computes SHA-256. Without the processor's instructions for it, ring's assembly is almost twice as fast as
/// what a compiler makes of portable code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Implementation {
    /// The crate `sha2`.
    Sha2,
    /// The crate `ring`.
    Ring,
}

static TAKEN: OnceLock<Implementation> = OnceLock::new();
static HASHED: AtomicU64 = AtomicU64::new(0);

impl Implementation {
    /// The one of this process.
    pub fn taken() -> Self {
        *TAKEN.get_or_init(|| {
            let assembly = cfg!(any(target_arch = "x86_64", target_arch = "aarch64", target_arch = "arm"));
            if assembly && !has_instructions() { Self::Ring } else { Self::Sha2 }
        })
    }

    /// Makes it the one of this process, for benchmarks and tests; too late when something was hashed already.
    pub fn take(self) -> bool {
        *TAKEN.get_or_init(|| self) == self
    }
}

/// How many bytes this process has hashed so far.
pub fn hashed() -> u64 {
    HASHED.load(Ordering::Relaxed)
}

/// Whether the processor computes SHA-256 itself; what `sha2` looks for, and ring too.
fn has_instructions() -> bool {
    // `RUSTFLAGS='--cfg sha2_256_backend="soft"'` leaves sha2 nothing but its portable code, for benchmarks.
    if cfg!(sha2_256_backend = "soft") {
        return false;
    }
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    return std::arch::is_x86_feature_detected!("sha") && std::arch::is_x86_feature_detected!("sse4.1");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("sha2");
    #[cfg(not(any(target_arch = "x86", target_arch = "x86_64", target_arch = "aarch64")))]
    false
}

impl FromStr for Implementation {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "sha2" => Ok(Self::Sha2),
            "ring" => Ok(Self::Ring),
            _ => Err(()),
        }
    }
}

/// As somebody who compares wants to know it.
impl fmt::Display for Implementation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self, has_instructions()) {
            (Self::Sha2, true) => "sha2, with the processor's instructions",
            (Self::Sha2, false) => "sha2, portable code",
            (Self::Ring, true) => "ring, with the processor's instructions",
            (Self::Ring, false) => "ring, without instructions for it",
        })
    }
}

/// The sum as far as it has got.
#[derive(Clone)]
pub(crate) enum Hasher {
    Sha2(Sha256),
    Ring(Context),
}

impl Hasher {
    pub(crate) fn new() -> Self {
        match Implementation::taken() {
            Implementation::Sha2 => Self::Sha2(Sha256::new()),
            Implementation::Ring => Self::Ring(Context::new(&SHA256)),
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        HASHED.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        match self {
            Self::Sha2(hash) => hash.update(bytes),
            Self::Ring(hash) => hash.update(bytes),
        }
    }

    pub(crate) fn finish(self) -> [u8; 32] {
        match self {
            Self::Sha2(hash) => hash.finalize().into(),
            Self::Ring(hash) => {
                let mut sum = [0; 32];
                sum.copy_from_slice(hash.finish().as_ref());
                sum
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever this processor has, both must say what FIPS 180-4 does, however the bytes come.
    #[test]
    fn both_give_the_same_sum() {
        let bytes: Vec<u8> = (0..200_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for length in [0, 1, 55, 56, 63, 64, 65, 119, 128, 4096, 65_537, 200_000] {
            for piece in [1.max(length / 3), 61, 64, 1 << 16] {
                let sums =
                    [Hasher::Sha2(Sha256::new()), Hasher::Ring(Context::new(&SHA256))].map(|mut hash| {
                        bytes[..length].chunks(piece).for_each(|piece| hash.update(piece));
                        let again = hash.clone();
                        assert_eq!(again.finish(), hash.clone().finish());
                        hash.finish()
                    });
                assert_eq!(sums[0], sums[1], "{length} in pieces of {piece}");
            }
        }
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        for mut hash in [Hasher::Sha2(Sha256::new()), Hasher::Ring(Context::new(&SHA256))] {
            hash.update(b"abc");
            assert_eq!(hash.finish().map(|byte| format!("{byte:02x}")).concat(), known);
        }
    }

    #[test]
    fn it_is_chosen_once() {
        let taken = Implementation::taken();
        assert!(taken.take());
        let other = if taken == Implementation::Ring { "sha2" } else { "ring" };
        assert!(!other.parse::<Implementation>().unwrap().take());
        assert_eq!(Implementation::taken(), taken);
        assert!("openssl".parse::<Implementation>().is_err());
        let before = hashed();
        Hasher::new().update(&[7; 1000]);
        assert!(hashed() >= before + 1000);
    }
}
