//! The bytes of many files in one temporary file of the store, one behind the other: never a tree on the disk.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};

use crate::digest::{Known, Survey};
use crate::disk::Temporary;
use crate::tree::Content;

/// Where contents begin in a file, and what is known of each.
pub(super) type Places = BTreeMap<Content, (u64, Known)>;

/// What is written is the content of the file that [`Spool::end_file`] ends.
pub(crate) struct Spool {
    out: BufWriter<Temporary>,
    survey: Survey,
    places: Places,
    at: u64,
}

impl Spool {
    pub(crate) fn new(file: Temporary) -> Self {
        let out = BufWriter::with_capacity(1 << 18, file);
        Self { out, survey: Survey::new(), places: BTreeMap::new(), at: 0 }
    }

    /// What was written since the last one.
    pub(crate) fn end_file(&mut self) -> Content {
        let (digest, size, known) = std::mem::replace(&mut self.survey, Survey::new()).finish();
        let content = Content { digest, size };
        self.places.insert(content, (self.at, known));
        self.at += size;
        content
    }

    /// The temporary file, and where each content begins in it, with what is known of that.
    pub(super) fn finish(self) -> io::Result<(Temporary, Places)> {
        let file = self.out.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok((file, self.places))
    }
}

impl Write for Spool {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let count = self.out.write(buffer)?;
        self.survey.update(&buffer[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
