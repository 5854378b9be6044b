//! Chunk tables: what of a layer's blob a later layer may copy, as a value and as a text.
//!
//! Owns the text that the store keeps beside a layer. It must not read blobs: where the bytes lie is the caller's.

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
