//! `ar`, as far as a Debian package has it: short names, one after the other.

use std::io::{self, Read};

use super::error::UnpackError;
use super::walk::{RawEntry, Walk};

pub(super) const MAGIC: &[u8; 8] = b"!<arch>\n";
const HEADER: usize = 60;

/// Shows every member.
pub(super) fn walk(mut source: impl Read, walk: &mut Walk<'_>) -> Result<(), UnpackError> {
    let mut magic = Vec::new();
    (&mut source).take(MAGIC.len() as u64).read_to_end(&mut magic).map_err(UnpackError::Io)?;
    let mut offset = 0;
    if magic != MAGIC {
        return Err(UnpackError::Ar { offset, why: "it does not begin as one" });
    }
    offset += MAGIC.len() as u64;
    loop {
        let damaged = |why| UnpackError::Ar { offset, why };
        let mut header = Vec::new();
        (&mut source).take(HEADER as u64).read_to_end(&mut header).map_err(UnpackError::Io)?;
        if header.is_empty() {
            return Ok(());
        }
        if header.len() < HEADER || !header.ends_with(b"`\n") {
            return Err(damaged("no header of a member is here"));
        }
        let mode = number(&header[40..48], 8).ok_or_else(|| damaged("the mode is not a number"))?;
        let size = number(&header[48..58], 10).ok_or_else(|| damaged("the size is not a number"))?;
        let name = header[..16].trim_ascii_end();
        // GNU: `/` is a table of symbols, `//` and `/12` are long names; BSD: `#1/12`.
        if name.starts_with(b"/") || name.starts_with(b"#1/") {
            return Err(damaged("long names and tables of symbols are not supported"));
        }
        let name = name.strip_suffix(b"/").unwrap_or(name);
        let mut content = (&mut source).take(size);
        walk.show(
            name,
            (mode as u32 & 0o7777).into(),
            RawEntry::File { size, content: &mut content, at: None },
        )?;
        io::copy(&mut content, &mut io::sink()).map_err(UnpackError::Io)?;
        if content.limit() > 0 {
            return Err(damaged("the archive ends in the middle of this member"));
        }
        // A filler, mostly a line feed, which nobody looks at; some writers leave it out at the end.
        io::copy(&mut (&mut source).take(size % 2), &mut io::sink()).map_err(UnpackError::Io)?;
        offset += HEADER as u64 + size + size % 2;
    }
}

/// Digits, then spaces; at most ten, so it fits.
fn number(field: &[u8], radix: u32) -> Option<u64> {
    let digits = str::from_utf8(field.trim_ascii_end()).ok()?;
    let clean = digits.bytes().all(|byte| byte.is_ascii_digit());
    if clean { u64::from_str_radix(digits, radix).ok() } else { None }
}
