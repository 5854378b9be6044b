//! Chunk tables: what of a layer's blob a later layer may copy, as a value and as a text.
//!
//! Owns the text that the store keeps beside a layer, and the proof that a table is that of a blob. It must not open
//! blobs: where the bytes lie is the caller's.

use std::io::Read;

use flate2::{Decompress, FlushDecompress};

use super::v1::gzip::Chunk;
use crate::digest::Digest;

const VERSION: &str = "chunk-table 1";

/// One line per chunk: sha256 and number of the input bytes, offset and number of the compressed bytes, their sha256.
pub fn to_text(chunks: &[Chunk]) -> String {
    let mut text = format!("{VERSION}\n");
    for Chunk { input, input_len, offset, len, output } in chunks {
        text.push_str(&format!("{} {input_len} {offset} {len} {}\n", input.hex(), output.hex()));
    }
    text
}

/// Reads it back; none when it is of another version or damaged: then nothing is copied.
pub fn parse(text: &[u8]) -> Option<Vec<Chunk>> {
    let mut lines = std::str::from_utf8(text).ok()?.lines();
    lines.next().filter(|line| *line == VERSION)?;
    lines.map(chunk).collect()
}

/// Whether each row says of `blob` what is in it: a table that somebody else made counts only then.
pub fn is_of(chunks: &[Chunk], mut blob: impl Read) -> bool {
    let (mut at, mut compressed, mut plain) = (0, Vec::new(), Vec::new());
    chunks.iter().all(|chunk| {
        let small = chunk.len <= MOST && chunk.input_len <= MOST;
        let Some(skip) = chunk.offset.checked_sub(at).filter(|_| small) else { return false };
        at = chunk.offset + chunk.len;
        compressed.clear();
        let skipped = std::io::copy(&mut blob.by_ref().take(skip), &mut std::io::sink());
        let read = blob.by_ref().take(chunk.len).read_to_end(&mut compressed);
        if !(skipped.is_ok_and(|count| count == skip) && read.is_ok_and(|count| count as u64 == chunk.len)) {
            return false;
        }
        plain.clear();
        // One byte more shows that there are more.
        plain.reserve(chunk.input_len as usize + 1);
        let inflated = Decompress::new(false).decompress_vec(&compressed, &mut plain, FlushDecompress::Sync);
        inflated.is_ok()
            && plain.len() as u64 == chunk.input_len
            && Digest::of(&plain) == chunk.input
            && Digest::of(&compressed) == chunk.output
    })
}

/// No chunk has more bytes, on either side.
const MOST: u64 = 4 << 20;

fn chunk(line: &str) -> Option<Chunk> {
    let fields: Vec<&str> = line.split(' ').collect();
    let [input, input_len, offset, len, output] = fields.as_slice() else { return None };
    Some(Chunk {
        input: Digest::from_hex(input).ok()?,
        input_len: input_len.parse().ok()?,
        offset: offset.parse().ok()?,
        len: len.parse().ok()?,
        output: Digest::from_hex(output).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        let row = |number: u64| Chunk {
            input: Digest::of(&[1]),
            input_len: number,
            offset: 10 + number,
            len: 7,
            output: Digest::of(&[2]),
        };
        let rows = vec![row(1), row(u64::MAX - 10)];
        assert_eq!(parse(to_text(&rows).as_bytes()), Some(rows));
        assert_eq!(parse(b"chunk-table 1\n"), Some(Vec::new()));
        for bad in ["", "chunk-table 2\n", "chunk-table 1\nx\n", "chunk-table 1\n\n"] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad:?}");
        }
    }
}
