//! Writing the tars that engines load: regular files and directories with nothing of the machine in them.
//!
//! Not for layers, whose bytes are `layer::v1`'s. Owns the framing only: names, sizes, one block after another.
//! Callers bring entries in the order that they want them in; every entry is 0:0, at the epoch, 0644 or 0755.

use std::io::{self, Read, Write};

use super::v1::{self, tar::Plain};

const BLOCK: u64 = 512;
/// As much as is copied at once.
const PIECE: usize = 64 << 10;

/// Why an archive could not be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The archive itself.
    #[error("cannot write the archive: {0}")]
    Write(#[source] io::Error),
    /// What should go into it.
    #[error("{name}: {source}")]
    Read {
        /// The entry.
        name: String,
        /// Why its bytes could not be had.
        source: io::Error,
    },
    /// A name that a plain ustar header can't hold.
    #[error("{name:?} can't be an entry's name")]
    Name {
        /// The name.
        name: String,
    },
    /// More or fewer bytes than announced.
    #[error("{name} has not the {size} bytes that were announced")]
    Size {
        /// The entry.
        name: String,
        /// What was announced.
        size: u64,
    },
}

/// Writes an archive, entry by entry.
pub struct Writer<W> {
    inner: W,
}

impl<W: Write> Writer<W> {
    /// An archive without entries yet.
    pub fn new(inner: W) -> Self {
        Self { inner }
    }

    /// A directory; `name` ends in `/`.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn directory(&mut self, name: &str) -> Result<(), Error> {
        self.header(name, Plain::Directory, 0)
    }

    /// A file of exactly `size` bytes.
    ///
    /// # Errors
    /// When it can't be written, or its bytes can't be had.
    pub fn file(&mut self, name: &str, size: u64, content: &mut dyn Read) -> Result<(), Error> {
        self.header(name, Plain::File, size)?;
        let mut piece = vec![0; PIECE.min(usize::try_from(size).unwrap_or(PIECE).max(1))];
        let mut written = 0;
        loop {
            let count = match content.read(&mut piece) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(Error::Read { name: name.to_owned(), source }),
            };
            written += count as u64;
            if written > size {
                break;
            }
            self.inner.write_all(&piece[..count]).map_err(Error::Write)?;
        }
        if written != size {
            return Err(Error::Size { name: name.to_owned(), size });
        }
        let padding = (BLOCK - size % BLOCK) % BLOCK;
        self.inner.write_all(&[0; BLOCK as usize][..padding as usize]).map_err(Error::Write)
    }

    /// Ends the archive.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn finish(mut self) -> Result<W, Error> {
        self.inner.write_all(&[0; 2 * BLOCK as usize]).map_err(Error::Write)?;
        Ok(self.inner)
    }

    fn header(&mut self, name: &str, kind: Plain, size: u64) -> Result<(), Error> {
        let header = v1::tar::plain_header(name.as_bytes(), kind, size);
        let header = header.ok_or_else(|| Error::Name { name: name.to_owned() })?;
        self.inner.write_all(&header).map_err(Error::Write)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_bytes_for_ever() {
        let mut writer = Writer::new(Vec::new());
        writer.directory("d/").unwrap();
        writer.file("d/f", 3, &mut &b"abc"[..]).unwrap();
        let bytes = writer.finish().unwrap();
        let expected = "sha256:6d3e59c8ec5575d190e10616e0522975520c54f26449a313e0eeb291b0d6fd11";
        assert_eq!(bytes.len(), 5 * 512);
        assert_eq!(crate::digest::Digest::of(&bytes).to_string(), expected);
        let mut archive = tar::Archive::new(&bytes[..]);
        let names: Vec<_> =
            archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().into_owned()).collect();
        assert_eq!(names, [std::path::Path::new("d/"), "d/f".as_ref()]);
    }

    #[test]
    fn announced_sizes_are_kept() {
        for content in [&b"ab"[..], b"abcd"] {
            let error = Writer::new(Vec::new()).file("f", 3, &mut &*content).unwrap_err();
            assert!(matches!(error, Error::Size { size: 3, .. }));
        }
        assert!(matches!(Writer::new(Vec::new()).directory(&"x".repeat(101)), Err(Error::Name { .. })));
    }
}
