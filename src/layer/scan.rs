//! One pass over a layer's blob: verified on both sides of the decompression, indexed, captured.
//!
//! Owns that nothing read from a blob is believed before the blob's end: every byte is hashed, compressed and plain,
//! and the first thing that is reported of a blob with wrong bytes is that it has wrong bytes.

use std::io::{self, BufReader, Read};

use super::captured::Captured;
use super::decompress;
use super::error::ReadError;
use super::index::LayerIndex;
use super::tar::{Entry, Limits, Reader};
use crate::digest::{DiffId, Digest, HashingReader};
use crate::oci::Compression;

/// What manifest and config say of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// The digest of the compressed blob.
    pub digest: Digest,
    /// How many bytes the compressed blob has.
    pub size: u64,
    /// The compression that its media type says.
    pub compression: Compression,
    /// What the image config says, when it is at hand.
    pub diff_id: Option<DiffId>,
}

/// All that is kept of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerScan {
    /// The digest of the compressed blob.
    pub digest: Digest,
    /// How many bytes the compressed blob has.
    pub size: u64,
    /// The digest of the tar.
    pub diff_id: DiffId,
    /// Every entry's header.
    pub index: LayerIndex,
    /// Contents that facts and package lists need.
    pub captured: Captured,
}

/// What hangs on to the reader that a visitor is given: the current entry's content.
pub type ContentReader<'a> = &'a mut dyn Read;

/// Reads a whole layer blob and shows each entry to `visit`, which may read its content; gives the diff_id.
///
/// What `visit` saw counts only if this returns `Ok`.
///
/// # Errors
/// Digest, size or diff_id differ; the archive is refused; `visit` fails; the source fails.
pub fn scan(
    blob: impl Read,
    expected: &Expected,
    limits: Limits,
    visit: impl FnMut(&Entry, ContentReader<'_>) -> Result<(), ReadError>,
) -> Result<DiffId, ReadError> {
    // One byte more shows that there are more.
    let mut blob = HashingReader::new(blob.take(expected.size.saturating_add(1)));
    let most =
        if expected.compression == Compression::None { u64::MAX } else { decompress::most(expected.size) };
    let limits = Limits { bytes: limits.bytes.min(most), ..limits };
    let outcome = unpack(&mut blob, expected.compression, limits, visit);
    io::copy(&mut blob, &mut io::sink()).map_err(ReadError::Io)?;
    let (digest, size) = blob.finish();
    if size != expected.size {
        return Err(ReadError::Size { digest: expected.digest, expected: expected.size, actual: size });
    }
    if digest != expected.digest {
        return Err(ReadError::Digest { expected: expected.digest, actual: digest });
    }
    let actual = outcome?;
    match expected.diff_id {
        Some(expected) if expected != actual => Err(ReadError::DiffId { blob: digest, expected, actual }),
        _ => Ok(actual),
    }
}

fn unpack(
    blob: impl Read,
    compression: Compression,
    limits: Limits,
    mut visit: impl FnMut(&Entry, ContentReader<'_>) -> Result<(), ReadError>,
) -> Result<DiffId, ReadError> {
    let blob = BufReader::with_capacity(1 << 16, blob);
    let mut plain = compression.open(blob).map_err(ReadError::Io)?;
    let mut hashed = HashingReader::new(&mut plain);
    let read = show_entries(&mut Reader::new(&mut hashed, limits), &mut visit);
    let (diff_id, _) = hashed.finish();
    match read {
        Ok(()) => Ok(DiffId(diff_id)),
        // Whatever is said above a damaged stream comes of that.
        Err(error) => Err(plain.take_fault().unwrap_or(error)),
    }
}

fn show_entries<R: Read>(
    tar: &mut Reader<R>,
    visit: &mut impl FnMut(&Entry, ContentReader<'_>) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    // The reader ends only where the stream does.
    while let Some(entry) = tar.next_entry()? {
        visit(&entry, tar).map_err(|error| tar.take_fault().unwrap_or(error))?;
    }
    Ok(())
}

/// Reads a whole layer blob and keeps what will be asked of it.
///
/// # Errors
/// As [`scan`], and entries that can't be part of a layer.
pub fn scan_layer(blob: impl Read, expected: &Expected, limits: Limits) -> Result<LayerScan, ReadError> {
    let mut index = LayerIndex::default();
    let mut captured = Captured::default();
    let diff_id = scan(blob, expected, limits, |entry, content| match index.add(entry)? {
        Some(path) => captured.offer(&path, entry, content),
        None => Ok(()),
    })?;
    index.check()?;
    Ok(LayerScan { digest: expected.digest, size: expected.size, diff_id, index, captured })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::error::TarFault;
    use super::super::tar::build::tar;
    use super::*;

    fn archive() -> Vec<u8> {
        tar().dir("etc/").file("etc/passwd", b"root:x:0:0\n").file("a", &[7; 3000]).end()
    }

    fn blob(compression: Compression, tar: &[u8]) -> Vec<u8> {
        match compression {
            Compression::None => tar.to_vec(),
            Compression::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(tar).unwrap();
                encoder.finish().unwrap()
            }
            Compression::Zstd => zstd::stream::encode_all(tar, 1).unwrap(),
        }
    }

    fn expected(compression: Compression, blob: &[u8], tar: &[u8]) -> Expected {
        let diff_id = Some(DiffId(Digest::of(tar)));
        Expected { digest: Digest::of(blob), size: blob.len() as u64, compression, diff_id }
    }

    #[test]
    fn every_compression() {
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let tar = archive();
            let blob = blob(compression, &tar);
            let scan = scan_layer(&blob[..], &expected(compression, &blob, &tar), Limits::default()).unwrap();
            assert_eq!(scan.index.to_text().lines().count(), 4);
            assert_eq!(scan.captured.to_text(), "captured 1\nfile /etc/passwd\n|root:x:0:0\n|\n");
            assert_eq!(scan.diff_id, DiffId(Digest::of(&tar)));
        }
    }

    #[test]
    fn wrong_bytes_are_the_first_thing_said() {
        for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
            let tar = archive();
            let whole = blob(compression, &tar);
            let want = expected(compression, &whole, &tar);
            let scan = |blob: &[u8], want: &Expected| scan_layer(blob, want, Limits::default()).unwrap_err();
            for at in (0..whole.len()).step_by(97) {
                let mut bad = whole.clone();
                bad[at] ^= 0x20;
                let error = scan(&bad, &want);
                let named = matches!(error, ReadError::Digest { expected, actual }
                    if expected == want.digest && actual == Digest::of(&bad));
                assert!(named, "{at}: {error}");
            }
            let error = scan(&whole[..whole.len() - 1], &want);
            assert!(matches!(error, ReadError::Size { actual, .. } if actual == want.size - 1), "{error}");
            let error = scan(&[&whole[..], &[0; 4000]].concat(), &want);
            assert!(matches!(error, ReadError::Size { actual, .. } if actual == want.size + 1), "{error}");
            let other = DiffId(Digest::of(b""));
            let error = scan(&whole, &Expected { diff_id: Some(other), ..want });
            let named = matches!(error, ReadError::DiffId { blob, expected, actual }
                if blob == want.digest && expected == other && Some(actual) == want.diff_id);
            assert!(named, "{error}");
        }
    }

    #[test]
    fn an_intact_blob_of_a_bad_archive() {
        let tar = [archive(), b"junk".to_vec()].concat();
        let blob = blob(Compression::Gzip, &tar);
        let error =
            scan_layer(&blob[..], &expected(Compression::Gzip, &blob, &tar), Limits::default()).unwrap_err();
        assert!(matches!(error, ReadError::Tar { fault: TarFault::AfterEnd, .. }), "{error}");
        let whole = self::blob(Compression::Gzip, &archive());
        let cut = &whole[..whole.len() - 5];
        let error = scan_layer(cut, &expected(Compression::Gzip, cut, &tar), Limits::default()).unwrap_err();
        assert_eq!(error.to_string(), "the gzip is damaged: unexpected end of file");
        let error =
            scan_layer(&tar[..], &expected(Compression::Gzip, &tar, &tar), Limits::default()).unwrap_err();
        assert_eq!(error.to_string(), "the gzip is damaged: invalid gzip header");
    }

    #[test]
    fn a_visitor_may_stop() {
        let tar = archive();
        let error =
            scan(&tar[..], &expected(Compression::None, &tar, &tar), Limits::default(), |entry, _| {
                Err(ReadError::Io(io::Error::other(entry.path.escape_ascii().to_string())))
            });
        assert!(matches!(error, Err(ReadError::Io(inner)) if inner.to_string() == "etc/"));
    }
}
