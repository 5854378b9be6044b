//! Archives from elsewhere, taken apart.
//!
//! Owns the way from an archive's bytes and the [`Step`]s of a recipe to a list of members that are safe to put in one
//! directory: every one lies inside it, none lies below a link or a file, and no two are one for any file system.
//! Whatever is not plainly so is refused, by name. It keeps names in memory, a dictionary, and at most one zip that
//! lies in another archive. It must not write files or follow links; owners, times and extended attributes are not
//! its concern.

mod ar;
mod error;
mod names;
mod walk;
mod zip;

use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom};
use std::ops::Range;

pub use error::{UnpackError, UnpackFault};

use self::walk::{Found, Walk};
use super::decompress;
use super::error::{ReadError, TarFault};
use super::tar::{EntryKind, Limits as TarLimits, Reader};
use crate::oci::Compression;
use crate::tree::{Format, Step, TreePath, check_steps};

/// How much an archive may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Entries in each archive.
    pub entries: u64,
    /// Plain bytes of each archive; less where the fetched file is small, by [`decompress::most`].
    pub bytes: u64,
    /// Bytes of one file.
    pub file: u64,
    /// Bytes of an xz dictionary.
    pub dictionary: u64,
    /// Bytes of a zip inside another archive: it is kept in memory.
    pub inside: u64,
    /// Names that differ by case alone are two; otherwise they are refused.
    pub case: bool,
}

impl Default for Limits {
    /// A million entries, 64 GiB, 4 GiB for a file; 256 and 64 MiB of memory.
    fn default() -> Self {
        Self {
            entries: 1_000_000,
            bytes: 64 << 30,
            file: 4 << 30,
            dictionary: 256 << 20,
            inside: 64 << 20,
            case: false,
        }
    }
}

/// One member of an archive.
pub struct Member<'a> {
    /// Where it belongs, leading components dropped; never the root.
    pub path: TreePath,
    /// Permission bits with setuid, setgid and sticky: 0 to 0o7777.
    pub mode: u32,
    /// What it is.
    pub what: What<'a>,
}

/// What a member is.
pub enum What<'a> {
    /// A directory; those above a member need not be members themselves.
    Directory,
    /// A file.
    File {
        /// Which may be left unread.
        content: &'a mut dyn Read,
        /// Where it lies in the fetched file, if it is there as it is.
        at: Option<Range<u64>>,
    },
    /// A symbolic link and its target, as written: it may lead anywhere.
    Symlink(Vec<u8>),
    /// Another name of a file that was shown before; never of another hard link.
    HardLink(TreePath),
}

/// Is shown the members.
pub type Visit<'v> = &'v mut dyn FnMut(Member<'_>) -> io::Result<()>;

/// Shows `visit` the members of the archive at the end of `steps` (none: what the first bytes say), in the order of
/// the archive, without the first `strip` components of their paths; those with no more than that are left out. A last
/// step with a member shows only that file.
///
/// What `visit` saw counts only if this returns `Ok`.
///
/// # Errors
/// The archive is refused, `visit` fails, or the source does.
pub fn unpack<R: Read + Seek>(
    archive: R,
    steps: &[Step],
    strip: usize,
    visit: Visit<'_>,
) -> Result<(), UnpackError> {
    unpack_within(archive, steps, strip, Limits::default(), visit)
}

/// As [`unpack`], with other limits.
///
/// # Errors
/// As [`unpack`].
pub fn unpack_within<R: Read + Seek>(
    mut archive: R,
    steps: &[Step],
    strip: usize,
    limits: Limits,
    visit: Visit<'_>,
) -> Result<(), UnpackError> {
    check_steps(steps)?;
    let size = archive.seek(SeekFrom::End(0)).map_err(UnpackError::from_io)?;
    archive.rewind().map_err(UnpackError::from_io)?;
    let limits = Limits { bytes: limits.bytes.min(decompress::most(size)), ..limits };
    let any = [Step::whole(Format::Any)];
    let steps = if steps.is_empty() { &any } else { steps };
    open(Source::Whole(&mut archive), steps, &Rules { limits, strip }, visit)
}

/// What holds on the whole way.
struct Rules {
    limits: Limits,
    /// At its end.
    strip: usize,
}

/// Reads an archive and goes on with the next step.
fn open(source: Source<'_>, steps: &[Step], rules: &Rules, visit: Visit<'_>) -> Result<(), UnpackError> {
    let Some((step, later)) = steps.split_first() else { return Ok(()) };
    let (format, source) = source.sniffed(step.format)?;
    let inner = |content: &mut dyn Read, format: Format, visit: Visit<'_>| {
        let source = Source::Stream(Box::new(content));
        let (format, source) = if format == Format::Any { source.tar()? } else { (format, source) };
        walk(source, format, rules.limits, rules.strip, visit)
    };
    match (&step.member, format) {
        (Some(member), _) => {
            let chosen = |path: &TreePath| path.as_bytes() == member.as_bytes();
            choose(source, format, rules.limits, member, &chosen, &mut |file, content| {
                if !later.is_empty() {
                    return open(Source::Stream(Box::new(content)), later, rules, visit);
                }
                let Some(path) = names::stripped(&file.path, rules.strip) else { return Ok(()) };
                visit(Member { path, mode: file.mode, what: What::File { content, at: None } })
                    .map_err(UnpackError::from_io)
            })
        }
        (None, Format::Deb) => {
            let chosen =
                |path: &TreePath| path.as_bytes() == b"data.tar" || path.as_bytes().starts_with(b"data.tar.");
            choose(source, format, rules.limits, "data.tar", &chosen, &mut |_, content| {
                inner(content, Format::Any, visit)
            })
        }
        (None, Format::Gem) => {
            let chosen = |path: &TreePath| path.as_bytes() == b"data.tar.gz";
            choose(source, format, rules.limits, "data.tar.gz", &chosen, &mut |_, content| {
                inner(content, Format::TarGz, visit)
            })
        }
        (None, _) => walk(source, format, rules.limits, rules.strip, visit),
    }
}

/// A file that was chosen.
struct Chosen {
    path: TreePath,
    mode: u32,
}

/// Hands the one file that `chosen` means to `then`, and reads the archive to its end.
fn choose(
    source: Source<'_>,
    format: Format,
    limits: Limits,
    member: &str,
    chosen: &dyn Fn(&TreePath) -> bool,
    then: &mut dyn FnMut(Chosen, &mut dyn Read) -> Result<(), UnpackError>,
) -> Result<(), UnpackError> {
    let (mut found, mut names) = (false, Vec::new());
    walk(source, format, limits, 0, &mut |entry| {
        let Member { path, mode, what: What::File { content, .. } } = entry else { return Ok(()) };
        if !chosen(&path) {
            // A few show how the archive is built.
            if names.len() < 5 {
                names.push(path.as_bytes().to_vec());
            }
            return Ok(());
        }
        if found {
            return Err(UnpackError::entry(path.as_bytes(), UnpackFault::SecondData).into_io());
        }
        found = true;
        then(Chosen { path, mode }, content).map_err(UnpackError::into_io)
    })?;
    if found { Ok(()) } else { Err(UnpackError::NoMember { member: member.into(), names }) }
}

/// Shows the entries of one archive; `deb` and `gem` are what they are on the outside.
fn walk(
    source: Source<'_>,
    format: Format,
    limits: Limits,
    strip: usize,
    visit: Visit<'_>,
) -> Result<(), UnpackError> {
    let mut walk = Walk::new(limits, strip, visit);
    match format {
        Format::Zip => source.seekable(limits.inside, |source| zip::walk(source, &mut walk)),
        Format::Deb => ar::walk(source.buffered(), &mut walk),
        Format::TarGz => walk_tar(Compression::Gzip.open(source.buffered())?, "gzip", false, &mut walk),
        Format::TarZst => walk_tar(Compression::Zstd.open(source.buffered())?, "zstd", false, &mut walk),
        Format::TarXz => {
            walk_tar(decompress::xz(source.buffered(), limits.dictionary), "xz", false, &mut walk)
        }
        Format::TarBz2 => walk_tar(decompress::bzip2(source.buffered()), "bzip2", false, &mut walk),
        Format::Any | Format::Tar | Format::Gem => {
            let whole = matches!(source, Source::Whole(_));
            walk_tar(source.stream(), "", whole, &mut walk)
        }
    }
}

/// `compression` is for messages, empty where there is none; `whole` says that the source is the fetched file itself.
fn walk_tar(
    source: impl Read,
    compression: &'static str,
    whole: bool,
    walk: &mut Walk<'_>,
) -> Result<(), UnpackError> {
    let Limits { entries, bytes, .. } = walk.limits;
    let mut tar = Reader::new(source, TarLimits { entries, bytes, ..TarLimits::default() });
    while let Some(entry) = tar.next_entry().map_err(|error| no_tar(error, compression))? {
        let refused = |what| Err(UnpackError::entry(&entry.path, UnpackFault::Type { what }));
        let found = match entry.kind {
            EntryKind::Regular => match tar.content_offset() {
                Some(at) => {
                    let at = whole.then(|| at..at.saturating_add(entry.size));
                    Found::File { size: entry.size, content: &mut tar, at }
                }
                None => return refused("a sparse file"),
            },
            EntryKind::Directory => Found::Directory,
            EntryKind::Symlink { target } => Found::Symlink(target),
            EntryKind::HardLink { target } => Found::HardLink(target),
            EntryKind::Char { .. } | EntryKind::Block { .. } => return refused("a device"),
            EntryKind::Fifo => return refused("a named pipe"),
        };
        walk.show(&entry.path, entry.mode, found)?;
    }
    Ok(())
}

/// What isn't a header where the first one should be is no damaged tar.
fn no_tar(error: ReadError, compression: &'static str) -> UnpackError {
    use TarFault::{Checksum, Number, Truncated};
    match error {
        ReadError::Tar {
            path,
            offset: ..=512,
            fault: Checksum { .. } | Number { field: "checksum" } | Truncated,
        } if path.is_empty() => UnpackError::NoTar { compression },
        other => other.into(),
    }
}

/// What can be read from any place.
trait Seekable: Read + Seek {}

impl<T: Read + Seek> Seekable for T {}

/// Where an archive's bytes come from.
enum Source<'a> {
    /// The fetched file.
    Whole(&'a mut dyn Seekable),
    /// A member of another archive.
    Stream(Box<dyn Read + 'a>),
}

impl<'a> Source<'a> {
    fn stream(self) -> Box<dyn Read + 'a> {
        match self {
            Self::Whole(source) => Box::new(source),
            Self::Stream(source) => source,
        }
    }

    fn buffered(self) -> BufReader<Box<dyn Read + 'a>> {
        BufReader::with_capacity(1 << 16, self.stream())
    }

    /// Lets something read from any place; what can't be gets into memory first.
    fn seekable(
        self,
        limit: u64,
        then: impl FnOnce(&mut dyn Seekable) -> Result<(), UnpackError>,
    ) -> Result<(), UnpackError> {
        match self {
            Self::Whole(source) => then(source),
            Self::Stream(source) => {
                let mut data = Vec::new();
                source.take(limit.saturating_add(1)).read_to_end(&mut data).map_err(UnpackError::from_io)?;
                if data.len() as u64 > limit {
                    return Err(UnpackError::ZipInside { limit });
                }
                then(&mut Cursor::new(data))
            }
        }
    }

    /// Looks at the first block and gives the source back as it was.
    fn start(self) -> Result<(Vec<u8>, Self), UnpackError> {
        let mut start = Vec::new();
        match self {
            Self::Whole(source) => {
                let read = (&mut *source).take(512).read_to_end(&mut start).and_then(|_| source.rewind());
                read.map_err(UnpackError::from_io)?;
                Ok((start, Self::Whole(source)))
            }
            Self::Stream(mut source) => {
                (&mut source).take(512).read_to_end(&mut start).map_err(UnpackError::from_io)?;
                let again = Cursor::new(start.clone()).chain(source);
                Ok((start, Self::Stream(Box::new(again))))
            }
        }
    }

    /// The format, if need be by the first bytes.
    fn sniffed(self, format: Format) -> Result<(Format, Self), UnpackError> {
        if format != Format::Any {
            return Ok((format, self));
        }
        let (start, source) = self.start()?;
        let format = match &start[..] {
            [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Some(Format::Zip),
            start if start.starts_with(ar::MAGIC) => Some(Format::Deb),
            start => tar_format(start),
        };
        let formats = "zip, deb, tar, tar.gz, tar.xz, tar.zst, tar.bz2";
        Ok((format.ok_or(UnpackError::Unknown { formats })?, source))
    }

    /// The compression of a tar, by the first bytes.
    fn tar(self) -> Result<(Format, Self), UnpackError> {
        let (start, source) = self.start()?;
        let formats = "tar, tar.gz, tar.xz, tar.zst, tar.bz2";
        Ok((tar_format(&start).ok_or(UnpackError::Unknown { formats })?, source))
    }
}

fn tar_format(start: &[u8]) -> Option<Format> {
    match (Compression::sniff(start), start) {
        (Compression::Gzip, _) => Some(Format::TarGz),
        (Compression::Zstd, _) => Some(Format::TarZst),
        (_, [0xfd, b'7', b'z', b'X', b'Z', 0, ..]) => Some(Format::TarXz),
        (_, [b'B', b'Z', b'h', b'1'..=b'9', ..]) => Some(Format::TarBz2),
        _ => start.get(257..).is_some_and(|magic| magic.starts_with(b"ustar")).then_some(Format::Tar),
    }
}

#[cfg(test)]
mod tests;
