//! A layer's scan as one blob: what the store keeps by the layer's digest, so that a layer is read once.

use std::ops::Range;

use super::captured::Captured;
use super::error::ReadError;
use super::index::LayerIndex;
use super::scan::LayerScan;
use crate::digest::{DiffId, Digest};

const VERSION: &str = "layer-scan 1";

impl LayerScan {
    /// A line of numbers, then the texts of the header index and of the captured files.
    pub fn to_bytes(&self) -> Vec<u8> {
        let Self { digest, size, diff_id, .. } = self;
        // Of a large layer it has megabytes: it is there once.
        let mut text = self.index.to_text();
        let head = format!("{VERSION} {digest} {size} {diff_id} {}\n", text.len());
        text.push_str(&self.captured.to_text());
        text.insert_str(0, &head);
        text.into_bytes()
    }

    /// Reads it back; `None` when it is of another version or damaged: then the layer is scanned again.
    ///
    /// # Errors
    /// Texts that aren't what their first line promises.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, ReadError> {
        let Some((digest, size, diff_id, index)) = parts(bytes) else { return Ok(None) };
        let captured = Captured::parse(&bytes[index.end..])?;
        Ok(Some(Self { digest, size, diff_id, index: LayerIndex::parse(&bytes[index])?, captured }))
    }
}

/// Where the header index lies in a kept scan of this version that begins with `first` and has `size` bytes.
pub(super) fn header_index_of(first: &[u8], size: usize) -> Option<Range<usize>> {
    parts_of(first, size).map(|(.., index)| index)
}

type Parts = (Digest, u64, DiffId, Range<usize>);

fn parts(bytes: &[u8]) -> Option<Parts> {
    parts_of(bytes, bytes.len())
}

fn parts_of(bytes: &[u8], total: usize) -> Option<Parts> {
    let line = bytes.split(|&byte| byte == b'\n').next()?;
    let (digest, size, diff_id, length) = numbers(line)?;
    let start = line.len() + 1;
    let end = start.checked_add(length).filter(|end| *end <= total)?;
    Some((digest, size, diff_id, start..end))
}

fn numbers(line: &[u8]) -> Option<(Digest, u64, DiffId, usize)> {
    let line = std::str::from_utf8(line).ok()?.strip_prefix(VERSION)?;
    let fields: Vec<&str> = line.split(' ').skip(1).collect();
    let [digest, size, diff_id, length] = fields.as_slice() else { return None };
    Some((digest.parse().ok()?, size.parse().ok()?, DiffId(diff_id.parse().ok()?), length.parse().ok()?))
}
