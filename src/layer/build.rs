//! A layer from its tree: tar, its digest, gzip, its digest, in one pass.
//!
//! Owns the wiring of the encoders and the check that they still are the encoders of their encoding. It
//! decides no byte itself.

use std::io::{self, Read, Write};
use std::sync::OnceLock;

use super::build_error::BuildError;
use super::chunks::{Chunk, Reuse};
use super::gzip::{Encoded, Encoder};
use super::v1;
use crate::digest::{DiffId, Encoding, HashingWriter, Known};
use crate::oci::Compression;
use crate::tree::{Content, FileTree};

/// What came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The digest of the tar stream. The blob's own is the writer's to know, who names it.
    pub diff_id: DiffId,
    /// What a later layer may copy of a gzip.
    pub chunks: Vec<Chunk>,
}

/// Writes the layer of `tree` to `out`; `open` gives each file's bytes and what is known of them, `reuse` compressed
/// chunks of earlier layers.
///
/// # Errors
/// See [`BuildError`].
pub fn build<R: Read, W: Write>(
    encoding: Encoding,
    compression: Compression,
    tree: &FileTree,
    open: &(impl Fn(&Content) -> io::Result<(R, Known)> + Sync),
    reuse: Option<Reuse>,
    out: W,
) -> Result<(W, Built), BuildError> {
    check(encoding)?;
    let (out, diff_id, chunks) = match compression {
        Compression::None => {
            let (out, digest, _) = v1::tar::write(tree, open, HashingWriter::new(out))?.finish();
            (out, DiffId(digest), Vec::new())
        }
        Compression::Gzip => {
            let gzip = Encoder::new(out, reuse).map_err(BuildError::Write)?;
            let gzip = v1::tar::write(tree, open, gzip)?;
            let Encoded { inner, input, chunks } = gzip.finish().map_err(BuildError::Write)?;
            (inner, DiffId(input), chunks)
        }
        other @ Compression::Zstd => return Err(BuildError::Compression(other)),
    };
    Ok((out, Built { diff_id, chunks }))
}

/// Encodes a built-in vector, once in a process, and compares.
///
/// A compiler, a dependency or a processor that changed a byte is found before it changes a digest.
fn check(encoding: Encoding) -> Result<(), BuildError> {
    static SOUND: OnceLock<bool> = OnceLock::new();
    let sound = match encoding {
        Encoding::V1 => SOUND.get_or_init(|| v1::tar::self_check() && v1::gzip::self_check()),
    };
    if *sound { Ok(()) } else { Err(BuildError::Encoder { encoding: encoding.number() }) }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::digest::{Blake3, Digest};
    use crate::tree::{Attributes, Kind, Node, TreePath};

    /// 3 MB in files that compress a little.
    fn contents() -> Vec<Vec<u8>> {
        let mut seed = 7_u32;
        let mut next = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            b"barrel, stave, hoop\n"[(seed >> 24) as usize % 20]
        };
        (0..6).map(|number| (0..number * 200_000).map(|_| next()).collect()).collect()
    }

    fn tree(contents: &[Vec<u8>]) -> FileTree {
        let node = |(number, bytes): (usize, &Vec<u8>)| {
            let kind = Kind::File(Content::of(bytes));
            let node = Node { kind, attributes: Attributes::new(0o644), mtime: 946_684_800 };
            (TreePath::root().join(number.to_string().as_bytes()), node)
        };
        contents.iter().enumerate().map(node).collect()
    }

    fn built(contents: &[Vec<u8>], how: Compression, reuse: Option<Reuse>) -> (Vec<u8>, Built) {
        let open = |content: &Content| {
            let bytes = contents.iter().find(|bytes| Content::of(bytes) == *content);
            bytes.map(|bytes| (&bytes[..], Known::Nothing)).ok_or_else(|| io::ErrorKind::NotFound.into())
        };
        build(Encoding::V1, how, &tree(contents), &open, reuse, Vec::new()).unwrap()
    }

    #[test]
    fn both_digests_are_those_of_the_bytes() {
        let contents = contents();
        let (tar, plain) = built(&contents, Compression::None, None);
        let (gzip, packed) = built(&contents, Compression::Gzip, None);
        assert_eq!((plain.diff_id, packed.diff_id), (DiffId(Digest::of(&tar)), plain.diff_id));
        let mut inflated = Vec::new();
        flate2::read::GzDecoder::new(&gzip[..]).read_to_end(&mut inflated).unwrap();
        assert!(inflated == tar);
        assert_eq!(Digest::of(&tar).short(), "829de364dd69");
        assert_eq!(Digest::of(&gzip).short(), "6223d36a67ca");
    }

    #[test]
    fn chunks_of_an_earlier_layer_are_copied() {
        let mut contents = contents();
        let (old, table) = built(&contents, Compression::Gzip, None);
        contents[0].push(b'!');
        let (fresh, built_fresh) = built(&contents, Compression::Gzip, None);
        let copied = Arc::new(AtomicUsize::new(0));
        let counts = Arc::clone(&copied);
        let reuse = Arc::new(move |input: &Blake3, length: u64| {
            let chunk = table.chunks.iter().find(|c| c.input == *input && c.input_len == length)?;
            counts.fetch_add(1, Ordering::Relaxed);
            Some((old[chunk.offset as usize..][..chunk.len as usize].to_vec(), chunk.output))
        });
        let (reused, built_reused) = built(&contents, Compression::Gzip, Some(reuse));
        assert!(reused == fresh && built_reused == built_fresh);
        assert!(copied.load(Ordering::Relaxed) > 0);
    }

    #[test]
    fn zstd_is_only_read() {
        let open = |_: &Content| Ok((io::empty(), Known::Nothing));
        let result = build(Encoding::V1, Compression::Zstd, &FileTree::new(), &open, None, Vec::new());
        assert!(matches!(result, Err(BuildError::Compression(Compression::Zstd))));
    }
}
