//! Chunk tables: what of a layer's blob a later layer may copy, as a value and as a text.
//!
//! Owns the text that the store keeps beside a layer, and the proof that a table is that of a blob. It must not open
//! blobs: where the bytes lie is the caller's.

use std::io::Read;
use std::sync::Arc;

use flate2::{Decompress, FlushDecompress};

use crate::digest::Blake3;

/// One chunk of a layer: a row of its chunk table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// The BLAKE3 of the bytes before compression.
    pub input: Blake3,
    /// Their number.
    pub input_len: u64,
    /// Where the compressed bytes begin in the gzip, counted from its first byte.
    pub offset: u64,
    /// The number of compressed bytes, the empty stored block that closes the chunk included.
    pub len: u64,
    /// The BLAKE3 of the compressed bytes: whoever copies them sees that they are whole.
    pub output: Blake3,
}

/// Gives the compressed bytes of a chunk (BLAKE3 and number of its input bytes) from an earlier layer, if it
/// has them, and their BLAKE3. It answers for their being what encoding 1 makes of that chunk.
pub type Reuse = Arc<dyn Fn(&Blake3, u64) -> Option<(Vec<u8>, Blake3)> + Send + Sync>;

/// Version 1 had SHA-256, which took longer than all else that is done with a chunk but compressing it.
const VERSION: &str = "chunk-table 2";

/// One line per chunk: BLAKE3 and number of the input bytes, offset and number of the compressed bytes, their BLAKE3.
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
            && Blake3::of(&plain) == chunk.input
            && Blake3::of(&compressed) == chunk.output
    })
}

/// No chunk has more bytes, on either side.
const MOST: u64 = 4 << 20;

fn chunk(line: &str) -> Option<Chunk> {
    let fields: Vec<&str> = line.split(' ').collect();
    let [input, input_len, offset, len, output] = fields.as_slice() else { return None };
    Some(Chunk {
        input: Blake3::from_hex(input).ok()?,
        input_len: input_len.parse().ok()?,
        offset: offset.parse().ok()?,
        len: len.parse().ok()?,
        output: Blake3::from_hex(output).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        let row = |number: u64| Chunk {
            input: Blake3::of(&[1]),
            input_len: number,
            offset: 10 + number,
            len: 7,
            output: Blake3::of(&[2]),
        };
        let rows = vec![row(1), row(u64::MAX - 10)];
        assert_eq!(parse(to_text(&rows).as_bytes()), Some(rows.clone()));
        assert_eq!(parse(b"chunk-table 2\n"), Some(Vec::new()));
        let old = to_text(&rows[..1]).replace("table 2", "table 1");
        for bad in ["", "chunk-table 1\n", &old, "chunk-table 3\n", "chunk-table 2\nx\n", "chunk-table 2\n\n"]
        {
            assert_eq!(parse(bad.as_bytes()), None, "{bad:?}");
        }
    }
}
