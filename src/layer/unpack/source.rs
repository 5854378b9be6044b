//! Where an archive's bytes come from, and which format they show.

use std::io::{BufReader, Cursor, Read};

use super::error::UnpackError;
use super::walk::Seekable;
use super::{ar, zip};
use crate::oci::Compression;
use crate::tree::Format;

/// Where an archive's bytes come from.
pub(super) enum Source<'a> {
    /// The fetched file.
    Whole(&'a mut dyn Seekable),
    /// A member of another archive.
    Stream(Box<dyn Read + 'a>),
}

impl<'a> Source<'a> {
    pub(super) fn stream(self) -> Box<dyn Read + 'a> {
        match self {
            Self::Whole(source) => Box::new(source),
            Self::Stream(source) => source,
        }
    }

    pub(super) fn buffered(self) -> BufReader<Box<dyn Read + 'a>> {
        BufReader::with_capacity(1 << 16, self.stream())
    }

    /// Lets something read from any place; what can't be gets into memory first.
    pub(super) fn seekable(
        self,
        limit: u64,
        then: impl FnOnce(&mut dyn Seekable) -> Result<(), UnpackError>,
    ) -> Result<(), UnpackError> {
        match self {
            Self::Whole(source) => then(source),
            Self::Stream(source) => {
                let mut data = Vec::new();
                source.take(limit.saturating_add(1)).read_to_end(&mut data).map_err(UnpackError::Io)?;
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
                read.map_err(UnpackError::Io)?;
                Ok((start, Self::Whole(source)))
            }
            Self::Stream(mut source) => {
                (&mut source).take(512).read_to_end(&mut start).map_err(UnpackError::Io)?;
                let again = Cursor::new(start.clone()).chain(source);
                Ok((start, Self::Stream(Box::new(again))))
            }
        }
    }

    /// The format, if need be by the first bytes.
    pub(super) fn sniffed(self, format: Format) -> Result<(Format, Self), UnpackError> {
        if format != Format::Any {
            return Ok((format, self));
        }
        let (start, source) = self.start()?;
        let mut source = source;
        let format = match (&start[..], &mut source) {
            ([b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..], _) => Some(Format::Zip),
            (start, _) if start.starts_with(ar::MAGIC) => Some(Format::Deb),
            (start, source) => match (tar_format(start), source) {
                // A script may stand in front of a zip.
                (None, Self::Whole(source)) => {
                    zip::ends_as_one(*source).map_err(UnpackError::Io)?.then_some(Format::Zip)
                }
                (format, _) => format,
            },
        };
        let formats = "zip, deb, tar, tar.gz, tar.xz, tar.zst, tar.bz2";
        Ok((format.ok_or(UnpackError::Unknown { formats })?, source))
    }

    /// The compression of a tar, by the first bytes.
    pub(super) fn tar(self) -> Result<(Format, Self), UnpackError> {
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
