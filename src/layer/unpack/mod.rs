//! Archives from elsewhere, taken apart.
//!
//! Owns the way from an archive's bytes and the [`Step`]s of a recipe to a list of members that are safe to put in one
//! directory: every one lies inside it, none lies below a link or a file, and no two are one for any file system.
//! Whatever is not plainly so is refused, by name. It keeps names in memory, a dictionary, and at most one zip that
//! lies in another archive. It must not write files or follow links; owners, times and extended attributes are not
//! its concern.

mod ar;
mod error;
mod member;
mod names;
mod source;
mod walk;
mod zip;

use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};

pub use error::{UnpackError, UnpackFault};
pub use member::{Limits, Member, Visit, What};

use self::source::Source;
use self::walk::{RawAttributes, RawEntry, Seekable, Show, Walk, Wanted};
use super::decompress::{self, Decompressed};
use super::error::{ReadError, TarFault};
use super::tar::{EntryKind, Limits as TarLimits, Reader, is_start};
use crate::oci::Compression;
use crate::tree::{Format, Step, TreePath, check_steps};

/// Shows `visit` the members of the archive at the end of `steps` (none: what the first bytes say), in the order of
/// the archive, without the first `strip` components of their paths; those with no more than that are left out. A last
/// step with a member shows only that file. Only what `wanted` says yes to, by the path that is shown, has to be what can
/// be unpacked: what else is no file, directory or link, or stands on a path twice, is passed over.
///
/// What `visit` saw counts only if this returns `Ok`.
///
/// # Errors
/// The archive is refused, `visit` fails, or the source does.
pub fn unpack<R: Read + Seek>(
    mut archive: R,
    steps: &[Step],
    strip: usize,
    limits: Limits,
    wanted: &dyn Fn(&TreePath) -> bool,
    visit: Visit<'_>,
) -> Result<(), UnpackError> {
    check_steps(steps)?;
    let size = archive.seek(SeekFrom::End(0)).map_err(UnpackError::Io)?;
    archive.rewind().map_err(UnpackError::Io)?;
    let limits = Limits { bytes: limits.bytes.min(decompress::most(size)), ..limits };
    let any = [Step::whole(Format::Any)];
    let steps = if steps.is_empty() { &any } else { steps };
    let show = &mut |member: Member<'_>| visit(member).map_err(UnpackError::Io);
    open(Source::Whole(&mut archive), steps, &Rules { limits, strip, wanted }, show)
}

/// What holds on the whole way.
struct Rules<'w> {
    limits: Limits,
    /// At its end, as is `wanted`.
    strip: usize,
    wanted: Wanted<'w>,
}

/// Reads an archive and goes on with the next step.
fn open(source: Source<'_>, steps: &[Step], rules: &Rules<'_>, show: Show<'_>) -> Result<(), UnpackError> {
    let Some((step, later)) = steps.split_first() else { return Ok(()) };
    let (mut format, mut source) = source.sniffed(step.format)?;
    if let (Format::Any, None, Source::Whole(whole)) = (step.format, &step.member, &mut source) {
        format = only_compressed(format, *whole, rules.limits)?;
    }
    let inner = |content: &mut dyn Read, format: Format, show: Show<'_>| {
        let source = Source::Stream(Box::new(content));
        let (format, source) = if format == Format::Any { source.tar()? } else { (format, source) };
        walk(source, format, rules, show)
    };
    match (&step.member, format) {
        (Some(member), _) => {
            let chosen = |path: &TreePath| path.as_bytes() == member.as_bytes();
            choose(source, format, rules.limits, member, &chosen, &mut |file, content| {
                if !later.is_empty() {
                    return open(Source::Stream(Box::new(content)), later, rules, show);
                }
                let Some(path) = names::stripped(&file.path, rules.strip) else { return Ok(()) };
                let Chosen { mode, owner, .. } = file;
                show(Member { path, mode, owner, what: What::File { content, at: None } })
            })
        }
        (None, Format::Deb) => {
            let chosen =
                |path: &TreePath| path.as_bytes() == b"data.tar" || path.as_bytes().starts_with(b"data.tar.");
            choose(source, format, rules.limits, "data.tar", &chosen, &mut |_, content| {
                inner(content, Format::Any, show)
            })
        }
        (None, Format::Gem) => {
            let chosen = |path: &TreePath| path.as_bytes() == b"data.tar.gz";
            choose(source, format, rules.limits, "data.tar.gz", &chosen, &mut |_, content| {
                inner(content, Format::TarGz, show)
            })
        }
        (None, _) => walk(source, format, rules, show),
    }
}

/// A file that was chosen.
struct Chosen {
    path: TreePath,
    mode: u32,
    owner: Option<(u32, u32)>,
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
    let all = Rules { limits, strip: 0, wanted: &|_| true };
    walk(source, format, &all, &mut |entry| {
        let Member { path, mode, owner, what: What::File { content, .. } } = entry else { return Ok(()) };
        if !chosen(&path) {
            // A few show how the archive is built.
            if names.len() < 5 {
                names.push(path.as_bytes().to_vec());
            }
            return Ok(());
        }
        if found {
            return Err(UnpackError::entry(path.as_bytes(), UnpackFault::SecondData));
        }
        found = true;
        then(Chosen { path, mode, owner }, content)
    })?;
    if found { Ok(()) } else { Err(UnpackError::NoMember { member: member.into(), names }) }
}

/// Shows the entries of one archive; `deb` and `gem` are what they are on the outside.
fn walk(source: Source<'_>, format: Format, rules: &Rules<'_>, show: Show<'_>) -> Result<(), UnpackError> {
    let &Rules { limits, strip, wanted } = rules;
    let mut walk = Walk::new(limits, strip, wanted, show);
    match format {
        Format::Zip => source.seekable(limits.inside, |source| zip::walk(source, &mut walk)),
        Format::Deb => ar::walk(source.buffered(), &mut walk),
        Format::TarGz | Format::TarZst | Format::TarXz | Format::TarBz2 => {
            let (mut plain, compression) = plain(format, source.buffered(), limits)?;
            let walked = walk_tar(&mut plain, compression, false, &mut walk);
            blamed(walked, &mut plain)
        }
        Format::Gz | Format::Zst | Format::Xz | Format::Bz2 => {
            let (mut plain, _) = plain(format, source.buffered(), limits)?;
            let shown = walk.lone(&mut plain);
            blamed(shown, &mut plain)
        }
        Format::Any | Format::Tar | Format::Gem => {
            let whole = matches!(source, Source::Whole(_));
            walk_tar(source.stream(), "", whole, &mut walk)
        }
    }
}

/// Opens a compressed stream, and says how it is compressed.
fn plain<R: BufRead>(
    format: Format,
    source: R,
    limits: Limits,
) -> Result<(Decompressed<R>, &'static str), UnpackError> {
    Ok(match format {
        Format::TarXz | Format::Xz => (decompress::xz(source, limits.dictionary), "xz"),
        Format::TarBz2 | Format::Bz2 => (decompress::bzip2(source), "bzip2"),
        Format::TarZst | Format::Zst => (Compression::Zstd.open(source).map_err(UnpackError::Io)?, "zstd"),
        _ => (Compression::Gzip.open(source).map_err(UnpackError::Io)?, "gzip"),
    })
}

/// Whatever is said above a damaged stream comes of that.
fn blamed<R: BufRead>(done: Result<(), UnpackError>, plain: &mut Decompressed<R>) -> Result<(), UnpackError> {
    done.map_err(|error| plain.take_fault().map_or(error, UnpackError::Read))
}

/// What one that was taken for a compressed tar is: that, or a file that is only compressed.
fn only_compressed(format: Format, source: &mut dyn Seekable, limits: Limits) -> Result<Format, UnpackError> {
    let lone = match format {
        Format::TarGz => Format::Gz,
        Format::TarXz => Format::Xz,
        Format::TarZst => Format::Zst,
        Format::TarBz2 => Format::Bz2,
        other => return Ok(other),
    };
    let mut start = Vec::new();
    let (plain, _) = plain(format, BufReader::new(&mut *source), limits)?;
    let read = plain.take(512).read_to_end(&mut start);
    source.rewind().map_err(UnpackError::Io)?;
    // What is damaged is said by whoever reads it.
    Ok(if read.is_err() || start.is_empty() || is_start(&start) { format } else { lone })
}

/// Shows the entries of a tar.
///
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
        let found = match entry.kind {
            EntryKind::Regular => {
                // A sparse file lies nowhere as it is.
                let at = tar.content_offset().filter(|_| whole).map(|at| at..at.saturating_add(entry.size));
                RawEntry::File { size: entry.size, content: &mut tar, at }
            }
            EntryKind::Directory => RawEntry::Directory,
            EntryKind::Symlink { target } => RawEntry::Symlink(target),
            EntryKind::HardLink { target } => RawEntry::HardLink(target),
            EntryKind::Char { .. } | EntryKind::Block { .. } | EntryKind::Fifo => {
                let what = if entry.kind == EntryKind::Fifo { "a named pipe" } else { "a device" };
                walk.refused(&entry.path, UnpackFault::Type { what })?;
                continue;
            }
        };
        let attributes = RawAttributes { mode: entry.mode, owner: Some((entry.uid, entry.gid)) };
        let shown = walk.show(&entry.path, attributes, found);
        shown.map_err(|error| tar.take_fault().map_or(error, UnpackError::Read))?;
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

#[cfg(test)]
mod tests;
