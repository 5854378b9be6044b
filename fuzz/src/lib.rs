//! What the targets share: inputs cut into pieces, tars whose checksums are right, readers that trickle.

use std::io::Read;
use std::path::{Path, PathBuf};

/// Hands an input out piece by piece; what isn't there is zero or empty.
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    /// One byte.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// Four of them.
    pub fn number(&mut self) -> u32 {
        (0..4).fold(0, |sum, _| sum << 8 | u32::from(self.byte()))
    }

    /// As many as the next two say, little end first.
    pub fn bytes(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()) | usize::from(self.byte()) << 8;
        let (bytes, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        bytes
    }
}

/// Writes right checksums into what looks like a header: no fuzzer would find one.
pub fn sign(archive: &mut [u8]) {
    for block in archive.chunks_exact_mut(512) {
        if &block[257..262] == b"ustar" {
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
            block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        }
    }
}

/// Gives one to seven bytes at a time.
pub struct Trickle<R>(pub R, pub usize);

impl<R: Read> Read for Trickle<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.1 = self.1 % 7 + 1;
        let count = buffer.len().min(self.1);
        self.0.read(&mut buffer[..count])
    }
}

/// A directory of this process; cleared for each input.
pub fn scratch(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("cooper-fuzz-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).expect("a temporary directory");
    dir
}

/// Every path below a directory with its size and kind, to see that nothing was touched.
pub fn snapshot(dir: &Path) -> Vec<(PathBuf, u64, bool)> {
    let mut found = Vec::new();
    let mut left = vec![dir.to_owned()];
    while let Some(dir) = left.pop() {
        for entry in std::fs::read_dir(&dir).expect("readable").flatten() {
            let about = entry.path().symlink_metadata().expect("readable");
            if about.is_dir() {
                left.push(entry.path());
            }
            found.push((entry.path(), if about.is_dir() { 0 } else { about.len() }, about.is_dir()));
        }
    }
    found.sort();
    found
}
