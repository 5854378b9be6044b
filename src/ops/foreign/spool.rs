//! The bytes of many files in one temporary file of the store, one behind the other: never a tree on the disk.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::sync::Arc;

use crate::digest::HashingWriter;
use crate::disk::{self, Temporary};
use crate::ops::error::Error;
use crate::ops::session::Session;
use crate::tree::Content;
use crate::workspace::Contents;

/// What is written is the content of the file that [`Spool::end_file`] ends.
pub(in crate::ops) struct Spool {
    out: HashingWriter<BufWriter<Temporary>>,
    /// Where each begins.
    places: BTreeMap<Content, u64>,
    at: u64,
}

impl Spool {
    pub(in crate::ops) fn new(file: Temporary) -> Self {
        let out = HashingWriter::new(BufWriter::with_capacity(1 << 18, file));
        Self { out, places: BTreeMap::new(), at: 0 }
    }

    /// What was written since the last one.
    pub(in crate::ops) fn end_file(&mut self) -> Content {
        let (digest, size) = self.out.part();
        let content = Content { digest, size };
        self.places.insert(content, self.at);
        self.at += size;
        content
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

impl Session<'_> {
    /// The files of a spool, to be read as long as the session lasts.
    pub(in crate::ops) fn spooled(&self, spool: Spool) -> Result<Contents, Error> {
        let Spool { out, places, .. } = spool;
        let failed = |error: io::IntoInnerError<_>| {
            disk::failed("write", "a temporary file".as_ref())(error.into_error())
        };
        let file = out.finish().0.into_inner().map_err(failed)?;
        let opened = Arc::new(disk::open(file.path())?.0);
        self.scratch.borrow_mut().push(file);
        let mut contents = Contents::default();
        for (content, at) in places {
            contents.put_section(content, &opened, at);
        }
        Ok(contents)
    }
}
