//! PAX extended headers: records with a length, not lines, and nothing that two readers take differently.

use std::collections::{BTreeMap, BTreeSet};

use super::header::decimal;
use super::sparse::SparseRecords;
use crate::layer::error::TarFault;

/// What an `x` header says about the entry after it.
#[derive(Default)]
pub(super) struct Pax {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) mtime: Option<i64>,
    pub(super) xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(super) sparse: SparseRecords,
}

const XATTR: &[u8] = b"SCHILY.xattr.";
const SPARSE: &[u8] = b"GNU.sparse.";

impl Pax {
    pub(super) fn parse(data: &[u8]) -> Result<Self, TarFault> {
        let mut pax = Self::default();
        let mut seen = BTreeSet::new();
        for record in Records(data) {
            let (key, value) = record?;
            // Sparse format 0.0 repeats these two by design.
            let repeats = matches!(key, b"GNU.sparse.offset" | b"GNU.sparse.numbytes");
            if !seen.insert(key) && !repeats {
                return Err(TarFault::DuplicateRecord { key: key.to_vec() });
            }
            pax.take(key, value)?;
        }
        Ok(pax)
    }

    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<(), TarFault> {
        let bad = || TarFault::RecordValue { key: key.to_vec() };
        match key {
            b"path" => self.path = Some(name("path", key, value)?),
            b"linkpath" => self.link = Some(name("link target", key, value)?),
            b"size" => self.size = Some(decimal(value).ok_or_else(bad)?),
            b"uid" => self.uid = Some(id(value).ok_or_else(bad)?),
            b"gid" => self.gid = Some(id(value).ok_or_else(bad)?),
            b"mtime" => self.mtime = Some(seconds(value).ok_or_else(bad)?),
            _ => {
                if let Some(xattr) = key.strip_prefix(XATTR) {
                    if xattr.is_empty() {
                        return Err(bad());
                    }
                    self.xattrs.insert(xattr.to_vec(), value.to_vec());
                } else if let Some(sparse) = key.strip_prefix(SPARSE) {
                    self.sparse.take(sparse, value).ok_or_else(bad)?;
                }
            }
        }
        Ok(())
    }
}

/// A `g` header may carry comments (git archives do); GNU tar obeys the rest, Go ignores it.
pub(super) fn check_global(data: &[u8]) -> Result<(), TarFault> {
    for record in Records(data) {
        let (key, _) = record?;
        let obeyed = matches!(key, b"path" | b"linkpath" | b"size" | b"uid" | b"gid" | b"mtime");
        if obeyed || key.starts_with(XATTR) || key.starts_with(SPARSE) {
            return Err(TarFault::GlobalRecord { key: key.to_vec() });
        }
    }
    Ok(())
}

pub(super) fn name(field: &'static str, key: &[u8], value: &[u8]) -> Result<Vec<u8>, TarFault> {
    if value.contains(&0) {
        return Err(TarFault::Nul { field });
    }
    if value.is_empty() {
        return Err(TarFault::RecordValue { key: key.to_vec() });
    }
    Ok(value.to_vec())
}

fn id(text: &[u8]) -> Option<u32> {
    decimal(text).and_then(|id| u32::try_from(id).ok())
}

/// Whole seconds, rounded down.
fn seconds(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix(b"-") {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (whole, fraction) = match digits.iter().position(|&byte| byte == b'.') {
        Some(dot) => (&digits[..dot], &digits[dot + 1..]),
        None => (digits, &b""[..]),
    };
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let whole = i64::try_from(decimal(whole)?).ok()?;
    let further = i64::from(negative && fraction.iter().any(|&digit| digit != b'0'));
    if negative { (-whole).checked_sub(further) } else { Some(whole) }
}

struct Records<'a>(&'a [u8]);

impl<'a> Iterator for Records<'a> {
    type Item = Result<(&'a [u8], &'a [u8]), TarFault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let record = record(self.0);
        self.0 = record.map_or(&[], |(_, _, rest)| rest);
        Some(record.map(|(key, value, _)| (key, value)).ok_or(TarFault::Record))
    }
}

/// `LENGTH KEY=VALUE\n`, where the length counts all of it.
fn record(data: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = data.iter().take(20).position(|&byte| byte == b' ')?;
    let length = usize::try_from(decimal(&data[..space])?).ok()?;
    let (record, rest) = data.split_at_checked(length)?;
    let body = record.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = body.iter().position(|&byte| byte == b'=')?;
    let (key, value) = (&body[..equals], &body[equals + 1..]);
    (!key.is_empty() && !key.contains(&0)).then_some((key, value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_round_down() {
        for (text, expected) in [
            (&b"12"[..], Some(12)),
            (b"12.9", Some(12)),
            (b"-1", Some(-1)),
            (b"-1.0", Some(-1)),
            (b"-1.5", Some(-2)),
            (b"-0.5", Some(-1)),
            (b"", None),
            (b".5", None),
            (b"1.x", None),
            (b"+1", None),
            (b"000000000000000000000012", Some(12)),
            (b"9223372036854775808", None),
            (b"99999999999999999999", None),
        ] {
            assert_eq!(seconds(text), expected, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn malformed_records() {
        for data in [
            &b"5 a=b"[..],
            b"7 a=b\n",
            b"5 a=b\n",
            b"6 a=bc",
            b"6 abc\n",
            b"5 =b\n",
            b"0 a=b\n",
            b"2 a=b\n",
            b"-6 a=b\n",
            b" 6 a=b\n",
            b"6 a=b\n\0",
            b"99999999999999999999 a=b\n",
        ] {
            assert!(matches!(Pax::parse(data), Err(TarFault::Record)), "{}", data.escape_ascii());
        }
    }
}
