//! The bytes of many files in one temporary file of the store, one behind the other: never a tree on the disk.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};

use crate::digest::HashingWriter;
use crate::disk::Temporary;
use crate::tree::Content;

/// What is written is the content of the file that [`Spool::end_file`] ends.
pub(crate) struct Spool {
    out: HashingWriter<BufWriter<Temporary>>,
    /// Where each begins.
    places: BTreeMap<Content, u64>,
    at: u64,
}

impl Spool {
    pub(crate) fn new(file: Temporary) -> Self {
        let out = HashingWriter::new(BufWriter::with_capacity(1 << 18, file));
        Self { out, places: BTreeMap::new(), at: 0 }
    }

    /// What was written since the last one.
    pub(crate) fn end_file(&mut self) -> Content {
        let (digest, size) = self.out.part();
        let content = Content { digest, size };
        self.places.insert(content, self.at);
        self.at += size;
        content
    }

    /// The temporary file, and where each content begins in it.
    pub(super) fn finish(self) -> io::Result<(Temporary, BTreeMap<Content, u64>)> {
        let file = self.out.finish().0.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok((file, self.places))
    }
}

impl Write for Spool {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.out.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
