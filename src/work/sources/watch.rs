//! The secret guard over bytes that come by: of what is fetched, unpacked or made elsewhere.

use std::io::{self, Read};

use crate::recipe::secrets_in;

/// Larger files aren't searched, as those of the checkout aren't.
pub(super) const SEARCHED: usize = 1 << 20;

/// The bytes of one file so far, unless there are too many.
#[derive(Default)]
pub(super) struct Watch {
    bytes: Vec<u8>,
    too_large: bool,
}

impl Watch {
    /// Looks at the next bytes of the file.
    pub(super) fn add(&mut self, piece: &[u8]) {
        self.too_large |= self.bytes.len() + piece.len() > SEARCHED;
        if !self.too_large {
            self.bytes.extend_from_slice(piece);
        }
    }

    /// What the file looks like, if it looks like a secret. The next one begins.
    pub(super) fn end_file(&mut self) -> Option<&'static str> {
        let found = if self.too_large { None } else { secrets_in(&self.bytes) };
        self.bytes.clear();
        self.too_large = false;
        found
    }
}

/// A reader whose bytes are watched.
pub(super) struct Watched<'w, R> {
    pub(super) inner: R,
    pub(super) watch: &'w mut Watch,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.watch.add(&buffer[..count]);
        Ok(count)
    }
}
