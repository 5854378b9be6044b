//! The one tar reader, strict: layers, image archives and unpacked sources all come through it.
//!
//! Owns how an archive's bytes become [`Entry`] values and contents. It agrees with GNU tar or refuses: whatever two
//! readers in the field take differently (repeated or conflicting headers, content behind a link, data after the end)
//! is an error. It keeps at most one extended header in memory, and must not know what entries mean in a layer.

mod header;
mod input;
mod pax;
mod sparse;

use std::collections::BTreeMap;
use std::io::{self, Read};

use self::header::{BLOCK, Dialect, HeaderBlock};
use self::input::{Input, Trouble};
use self::pax::Pax;
use self::sparse::{Extent, MapParser, SparseMap};
use super::error::{ReadError, TarFault};

/// Zeros behind the end: GNU tar fills up to a record, 10 KiB unless it is told otherwise.
const MOST_PADDING: u64 = 16 << 20;

/// How much an archive may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Entries in the archive.
    pub entries: u64,
    /// Bytes of one extended header, long name or sparse map.
    pub extension: u64,
    /// Bytes of the archive, and of all contents once holes are filled.
    pub bytes: u64,
}

impl Default for Limits {
    /// A million entries, 1 MiB per extended header, 128 GiB.
    fn default() -> Self {
        Self { entries: 1_000_000, extension: 1 << 20, bytes: 128 << 30 }
    }
}

/// What kind of thing an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntryKind {
    /// A file with content.
    Regular,
    /// Another name of an earlier entry.
    HardLink {
        /// That entry's name, as written.
        target: Vec<u8>,
    },
    /// A symbolic link.
    Symlink {
        /// As written.
        target: Vec<u8>,
    },
    /// A character device.
    Char {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A block device.
    Block {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
}

/// One entry's header, extended headers applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name as written: not empty, without NUL, otherwise any bytes.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: EntryKind,
    /// 0 to 0o7777.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// Seconds since 1970, fractions cut.
    pub mtime: i64,
    /// Bytes of content, holes included; 0 for everything but regular files.
    pub size: u64,
    /// From `SCHILY.xattr.` records, the only ones that engines obey.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// Pulls entries out of a stream; reading from it gives the content of the current entry.
pub struct Reader<R> {
    input: Input<R>,
    limits: Limits,
    entries: u64,
    expanded: u64,
    body: Body,
    path: Vec<u8>,
    state: Phase,
    /// Why reading content failed, until somebody asks.
    fault: Option<ReadError>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    Ended,
    Failed,
}

/// What is left of the current entry.
#[derive(Default)]
struct Body {
    /// Stored bytes not read yet, and the padding behind them.
    stored: u64,
    padding: u64,
    /// Bytes of the expanded file.
    size: u64,
    at: u64,
    /// None: all of it is stored.
    extents: Option<Vec<Extent>>,
    extent: usize,
}

/// Headers that stand before the entry that they speak of.
#[derive(Default)]
struct Ahead {
    pax: Option<Pax>,
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
}

impl<R: Read> Reader<R> {
    /// Reads nothing yet.
    pub fn new(input: R, limits: Limits) -> Self {
        Self {
            input: Input::new(input, limits.bytes),
            limits,
            entries: 0,
            expanded: 0,
            body: Body::default(),
            path: Vec::new(),
            state: Phase::Open,
            fault: None,
        }
    }

    /// What is wrong with the archive, if that is why reading content failed; otherwise it was the source that failed.
    pub fn take_fault(&mut self) -> Option<ReadError> {
        self.fault.take()
    }

    /// Where the current entry's content lies in the stream, if it is stored there as it is: not a sparse file's.
    /// To be asked before any of it is read.
    pub fn content_offset(&self) -> Option<u64> {
        self.body.extents.is_none().then(|| self.input.offset())
    }

    /// The next entry, skipping what is left of the current one. None only after the stream was read to its end.
    ///
    /// # Errors
    /// The source fails, or the archive is refused; the reader then stays unusable.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, ReadError> {
        let next = match self.state {
            Phase::Open => self.advance(),
            Phase::Ended => Ok(None),
            Phase::Failed => Err(TarFault::AfterError.into()),
        };
        next.map_err(|trouble| self.fail(trouble))
    }

    fn fail(&mut self, trouble: Trouble) -> ReadError {
        self.state = Phase::Failed;
        match trouble {
            Trouble::Io(error) => ReadError::Io(error),
            Trouble::Fault(fault) => {
                ReadError::Tar { path: self.path.clone(), offset: self.input.offset(), fault }
            }
        }
    }

    fn advance(&mut self) -> Result<Option<Entry>, Trouble> {
        let body = std::mem::take(&mut self.body);
        self.input.skip(body.stored)?;
        self.input.skip(body.padding)?;
        let mut ahead = Ahead::default();
        loop {
            let Some(header) = self.header()? else {
                if ahead.pax.is_some() || ahead.name.is_some() || ahead.link.is_some() {
                    return Err(TarFault::Dangling.into());
                }
                self.state = Phase::Ended;
                return Ok(None);
            };
            self.path = header.name()?;
            match header.flag() {
                b'x' => put(&mut ahead.pax, "entry", Pax::parse(&self.extension(&header)?)?)?,
                b'g' => pax::check_global(&self.extension(&header)?)?,
                // That size could be taken for the long name's.
                b'L' | b'K' if ahead.pax.as_ref().is_some_and(|pax| pax.size.is_some()) => {
                    return Err(TarFault::Conflict { field: "size" }.into());
                }
                b'L' => put(&mut ahead.name, "name", self.long_name(&header)?)?,
                b'K' => put(&mut ahead.link, "link target", self.long_name(&header)?)?,
                _ => return self.entry(&header, ahead).map(Some),
            }
        }
    }

    /// The next block; none at the end, after looking at everything behind it.
    fn header(&mut self) -> Result<Option<HeaderBlock>, Trouble> {
        let Some(block) = self.input.block()? else { return Ok(None) };
        if block.iter().any(|&byte| byte != 0) {
            return Ok(Some(HeaderBlock::parse(block)?));
        }
        self.input.expect_zeros(MOST_PADDING)?;
        Ok(None)
    }

    /// The content of an extended header.
    fn extension(&mut self, header: &HeaderBlock) -> Result<Vec<u8>, Trouble> {
        let (size, limit) = (header.size()?, self.limits.extension);
        if size > limit {
            return Err(TarFault::ExtensionTooLarge { size, limit }.into());
        }
        let data = self.input.take(size)?;
        self.input.skip(padding(size))?;
        Ok(data)
    }

    fn long_name(&mut self, header: &HeaderBlock) -> Result<Vec<u8>, Trouble> {
        let mut name = self.extension(header)?;
        let end = name.iter().rposition(|&byte| byte != 0).map_or(0, |at| at + 1);
        name.truncate(end);
        if name.contains(&0) {
            return Err(TarFault::Nul { field: "long name" }.into());
        }
        if name.is_empty() { Err(TarFault::EmptyName.into()) } else { Ok(name) }
    }

    fn entry(&mut self, header: &HeaderBlock, ahead: Ahead) -> Result<Entry, Trouble> {
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(TarFault::TooManyEntries { limit: self.limits.entries }.into());
        }
        let mut pax = ahead.pax.unwrap_or_default();
        let sparse = std::mem::take(&mut pax.sparse);
        let path = either("name", pax.path.take(), ahead.name)?;
        let path = sparse.name.clone().or(path).map_or_else(|| header.name(), Ok)?;
        if path.is_empty() {
            return Err(TarFault::EmptyName.into());
        }
        self.path.clone_from(&path);
        let target = either("link target", pax.link.take(), ahead.link)?.unwrap_or_else(|| header.link());
        let stored = pax.size.map_or_else(|| header.size(), Ok)?;
        let sparse = sparse.layout()?;
        let kind = kind(header, target, sparse.is_none() && path.ends_with(b"/"))?;
        if header.flag() == b'S' && pax.size.is_some() {
            return Err(TarFault::Conflict { field: "size" }.into());
        }
        self.body = self.body(header, &kind, sparse, stored)?;
        self.expand(self.body.size)?;
        Ok(Entry {
            path,
            kind,
            mode: header.mode()?,
            uid: pax.uid.map_or_else(|| header.uid(), Ok)?,
            gid: pax.gid.map_or_else(|| header.gid(), Ok)?,
            mtime: pax.mtime.map_or_else(|| header.mtime(), Ok)?,
            size: self.body.size,
            xattrs: pax.xattrs,
        })
    }

    /// Gets ready to read the content.
    fn body(
        &mut self,
        header: &HeaderBlock,
        kind: &EntryKind,
        sparse: Option<(u64, SparseMap)>,
        stored: u64,
    ) -> Result<Body, Trouble> {
        match (kind, sparse) {
            (EntryKind::Regular, None) if header.flag() == b'S' => self.old_sparse(header, stored),
            (EntryKind::Regular, None) => Ok(Body::new(stored, stored, stored, None)),
            (EntryKind::Regular, Some((size, map))) if header.flag() != b'S' => {
                self.pax_sparse(size, map, stored)
            }
            (_, Some(_)) => Err(TarFault::Sparse.into()),
            // Readers disagree on whether content follows.
            _ if stored != 0 => Err(TarFault::HasContent { size: stored }.into()),
            _ => Ok(Body::default()),
        }
    }

    fn expand(&mut self, size: u64) -> Result<(), TarFault> {
        let limit = self.limits.bytes;
        let expanded = self.expanded.checked_add(size).filter(|&sum| sum <= limit);
        self.expanded = expanded.ok_or(TarFault::TooLarge { limit })?;
        Ok(())
    }

    /// Format `S`: four places in the header, then blocks of 21 that the size doesn't count.
    fn old_sparse(&mut self, header: &HeaderBlock, stored: u64) -> Result<Body, Trouble> {
        if header.dialect() != Dialect::Gnu {
            return Err(TarFault::Type { flag: b'S' }.into());
        }
        let mut map = Vec::new();
        let (places, mut more, size) = header.sparse()?;
        sparse::old_places(places, &mut map)?;
        let mut read = BLOCK as u64;
        while more {
            let block = self.input.block()?.ok_or(TarFault::Truncated)?;
            read = self.map_block(read)?;
            sparse::old_places(&block[..504], &mut map)?;
            more = block[504] != 0;
        }
        Ok(Body::new(stored, stored, size, Some(sparse::extents(&map, size, stored)?)))
    }

    fn pax_sparse(&mut self, size: u64, map: SparseMap, stored: u64) -> Result<Body, Trouble> {
        let mut read = 0;
        let map = match map {
            SparseMap::Here(map) => map,
            SparseMap::BeforeContent => {
                let mut parser = MapParser::default();
                let mut complete = false;
                while !complete {
                    read = self.map_block(read)?;
                    if read > stored {
                        return Err(TarFault::Sparse.into());
                    }
                    complete = parser.take(&self.input.block()?.ok_or(TarFault::Truncated)?)?;
                }
                parser.map
            }
        };
        let content = stored.saturating_sub(read);
        Ok(Body::new(content, stored, size, Some(sparse::extents(&map, size, content)?)))
    }

    fn map_block(&self, read: u64) -> Result<u64, TarFault> {
        let (size, limit) = (read + BLOCK as u64, self.limits.extension);
        if size > limit { Err(TarFault::ExtensionTooLarge { size, limit }) } else { Ok(size) }
    }

    fn content(&mut self, buffer: &mut [u8]) -> Result<usize, Trouble> {
        let (in_hole, room) = self.body.run();
        let room = usize::try_from(room).unwrap_or(usize::MAX).min(buffer.len());
        if room == 0 {
            return Ok(0);
        }
        let count = if in_hole {
            buffer[..room].fill(0);
            room
        } else {
            let count = self.input.read(&mut buffer[..room])?;
            if count == 0 {
                return Err(TarFault::Truncated.into());
            }
            self.body.stored -= count as u64;
            count
        };
        self.body.at += count as u64;
        Ok(count)
    }
}

/// Gives the content of the current entry, holes as zeros.
impl<R: Read> Read for Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match self.state {
            Phase::Open => self.content(buffer),
            Phase::Ended => Ok(0),
            Phase::Failed => Err(TarFault::AfterError.into()),
        };
        read.map_err(|trouble| match self.fail(trouble) {
            ReadError::Io(error) => error,
            fault => {
                let shown = io::Error::other(fault.to_string());
                self.fault = Some(fault);
                shown
            }
        })
    }
}

impl Body {
    /// `stored` bytes of content; `whole` is what the header's size counts, the padding follows from it.
    fn new(stored: u64, whole: u64, size: u64, extents: Option<Vec<Extent>>) -> Self {
        Self { stored, padding: padding(whole), size, at: 0, extents, extent: 0 }
    }

    /// Whether the next bytes are a hole, and how many of the same sort there are.
    fn run(&mut self) -> (bool, u64) {
        let Some(extents) = &self.extents else { return (false, self.stored) };
        while extents.get(self.extent).is_some_and(|extent| extent.end <= self.at) {
            self.extent += 1;
        }
        match extents.get(self.extent) {
            Some(extent) if extent.start <= self.at => (false, extent.end - self.at),
            Some(extent) => (true, extent.start - self.at),
            None => (true, self.size - self.at),
        }
    }
}

/// Whether a tar may begin with these bytes: with a header, a damaged one too, or with its end.
pub fn is_start(start: &[u8]) -> bool {
    let Some(block) = start.first_chunk::<BLOCK>() else { return false };
    block.iter().all(|&byte| byte == 0)
        || block[257..].starts_with(b"ustar")
        || HeaderBlock::parse(*block).is_ok()
}

fn kind(header: &HeaderBlock, target: Vec<u8>, slash: bool) -> Result<EntryKind, TarFault> {
    let kind = match header.flag() {
        // Before type 5 existed a directory was a file whose name ends in a slash.
        0 | b'0' | b'7' if slash => EntryKind::Directory,
        0 | b'0' | b'7' | b'S' => EntryKind::Regular,
        b'1' | b'2' if target.is_empty() => return Err(TarFault::EmptyTarget),
        b'1' => EntryKind::HardLink { target },
        b'2' => EntryKind::Symlink { target },
        b'3' => header.device().map(|(major, minor)| EntryKind::Char { major, minor })?,
        b'4' => header.device().map(|(major, minor)| EntryKind::Block { major, minor })?,
        b'5' => EntryKind::Directory,
        b'6' => EntryKind::Fifo,
        flag => return Err(TarFault::Type { flag }),
    };
    Ok(kind)
}

fn put<T>(place: &mut Option<T>, field: &'static str, value: T) -> Result<(), TarFault> {
    if place.replace(value).is_some() { Err(TarFault::Conflict { field }) } else { Ok(()) }
}

fn either<T>(field: &'static str, pax: Option<T>, gnu: Option<T>) -> Result<Option<T>, TarFault> {
    if pax.is_some() && gnu.is_some() { Err(TarFault::Conflict { field }) } else { Ok(pax.or(gnu)) }
}

const fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}

#[cfg(test)]
pub(crate) mod build;
#[cfg(test)]
mod tests;
