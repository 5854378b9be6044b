//! Sparse files: GNU's old format `S` and PAX formats 0.0, 0.1 and 1.0 all come down to a list of extents.

use super::header::{decimal, number};
use crate::layer::error::TarFault;

/// A run of stored bytes, and where it lies in the expanded file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) start: u64,
    pub(super) end: u64,
}

/// The `GNU.sparse.*` records of an `x` header.
#[derive(Default)]
pub(super) struct SparseRecords {
    pub(super) name: Option<Vec<u8>>,
    major: Option<u64>,
    minor: Option<u64>,
    size: Option<u64>,
    real_size: Option<u64>,
    blocks: Option<u64>,
    map: Option<Vec<u64>>,
    pairs: Vec<u64>,
    any: bool,
}

/// Where the map of a file in one of the PAX formats is.
pub(super) enum SparseMap {
    Here(Vec<u64>),
    BeforeContent,
}

impl SparseRecords {
    pub(super) fn take(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        self.any = true;
        let place = match key {
            b"name" => {
                self.name = Some(value.to_vec()).filter(|name| !name.is_empty() && !name.contains(&0));
                return self.name.is_some().then_some(());
            }
            b"map" => {
                self.map = Some(value.split(|&byte| byte == b',').map(decimal).collect::<Option<_>>()?);
                return Some(());
            }
            b"offset" | b"numbytes" => {
                let expected = if key == b"offset" { 0 } else { 1 };
                self.pairs.push(decimal(value)?);
                return (self.pairs.len() % 2 == 1 - expected).then_some(());
            }
            b"major" => &mut self.major,
            b"minor" => &mut self.minor,
            b"size" => &mut self.size,
            b"realsize" => &mut self.real_size,
            b"numblocks" => &mut self.blocks,
            _ => return None,
        };
        *place = Some(decimal(value)?);
        Some(())
    }

    /// The expanded size and the map; none if the file isn't sparse.
    pub(super) fn layout(self) -> Result<Option<(u64, SparseMap)>, TarFault> {
        if !self.any {
            return Ok(None);
        }
        let layout = match (self.major, self.minor, self.map, self.pairs) {
            (Some(1), Some(0), None, pairs) if pairs.is_empty() && self.size.is_none() => {
                self.real_size.map(|size| (size, SparseMap::BeforeContent))
            }
            (None, None, Some(map), pairs) | (Some(0), Some(1), Some(map), pairs) if pairs.is_empty() => {
                self.size.map(|size| (size, SparseMap::Here(map)))
            }
            (None, None, None, pairs) | (Some(0), Some(0), None, pairs) => {
                self.size.map(|size| (size, SparseMap::Here(pairs)))
            }
            _ => None,
        };
        let layout = layout.ok_or(TarFault::Sparse)?;
        if let (SparseMap::Here(map), Some(blocks)) = (&layout.1, self.blocks)
            && map.len() as u64 != blocks.saturating_mul(2)
        {
            return Err(TarFault::Sparse);
        }
        Ok(Some(layout))
    }
}

/// Checks that the runs are in order, inside `size`, and use exactly the `stored` bytes.
pub(super) fn extents(map: &[u64], size: u64, stored: u64) -> Result<Vec<Extent>, TarFault> {
    let (pairs, []) = map.as_chunks::<2>() else { return Err(TarFault::Sparse) };
    let (mut at, mut used) = (0, 0_u64);
    let mut extents = Vec::with_capacity(pairs.len());
    for &[start, length] in pairs {
        let end = start.checked_add(length).filter(|&end| start >= at && end <= size);
        let end = end.ok_or(TarFault::Sparse)?;
        at = end;
        used = used.checked_add(length).ok_or(TarFault::Sparse)?;
        extents.push(Extent { start, end });
    }
    if used == stored { Ok(extents) } else { Err(TarFault::Sparse) }
}

/// Adds the places of an old GNU header or its continuation to `map`; an unused place ends them.
pub(super) fn old_places(places: &[u8], map: &mut Vec<u64>) -> Result<(), TarFault> {
    for place in places.chunks_exact(24) {
        if place[0] == 0 {
            return if place[12] == 0 { Ok(()) } else { Err(TarFault::Sparse) };
        }
        for field in [&place[..12], &place[12..]] {
            let value = number(field).and_then(|n| i64::try_from(n).ok()).and_then(|n| u64::try_from(n).ok());
            map.push(value.ok_or(TarFault::Sparse)?);
        }
    }
    Ok(())
}

/// The map of format 1.0, a decimal number per line: how many runs, then start and length of each.
#[derive(Default)]
pub(super) struct MapParser {
    digits: Vec<u8>,
    count: Option<u64>,
    pub(super) map: Vec<u64>,
}

impl MapParser {
    /// Takes one block; true when the map is complete.
    pub(super) fn take(&mut self, block: &[u8]) -> Result<bool, TarFault> {
        for &byte in block {
            if byte != b'\n' {
                self.digits.push(byte);
                if self.digits.len() > 19 {
                    return Err(TarFault::Sparse);
                }
                continue;
            }
            let number = decimal(&self.digits).ok_or(TarFault::Sparse)?;
            self.digits.clear();
            match self.count {
                None => self.count = Some(number.checked_mul(2).ok_or(TarFault::Sparse)?),
                Some(_) => self.map.push(number),
            }
            if self.count == Some(self.map.len() as u64) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
