//! One 512-byte header block: which fields it has and how its numbers are spelt.

use crate::layer::error::TarFault;

pub(super) const BLOCK: usize = 512;

/// A block whose checksum is right.
pub(super) struct HeaderBlock([u8; BLOCK]);

/// Who wrote a block: it decides what lies behind byte 257.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    V7,
    Ustar,
    Gnu,
}

impl HeaderBlock {
    pub(super) fn parse(block: [u8; BLOCK]) -> Result<Self, TarFault> {
        let recorded = number(&block[148..156]).and_then(|sum| i64::try_from(sum).ok());
        let recorded = recorded.ok_or(TarFault::Number { field: "checksum" })?;
        // Old writers summed signed bytes; the field itself counts as eight spaces.
        let (mut unsigned, mut signed) = (256_i64, 256_i64);
        for byte in block[..148].iter().chain(&block[156..]) {
            unsigned += i64::from(*byte);
            signed += i64::from(byte.cast_signed());
        }
        if recorded != unsigned && recorded != signed {
            return Err(TarFault::Checksum { recorded, computed: unsigned });
        }
        Ok(Self(block))
    }

    pub(super) const fn flag(&self) -> u8 {
        self.0[156]
    }

    pub(super) fn dialect(&self) -> Dialect {
        match &self.0[257..265] {
            b"ustar  \0" => Dialect::Gnu,
            [b'u', b's', b't', b'a', b'r', 0, ..] => Dialect::Ustar,
            _ => Dialect::V7,
        }
    }

    /// The name with its ustar prefix.
    pub(super) fn name(&self) -> Result<Vec<u8>, TarFault> {
        let name = text(&self.0[..100]);
        let prefix = match self.dialect() {
            // star ends its prefix at byte 131, everybody else at 155; refused where that makes two names.
            Dialect::Ustar if &self.0[508..] == b"tar\0" && self.0[475] != 0 => {
                return Err(TarFault::Conflict { field: "name" });
            }
            Dialect::Ustar => text(&self.0[345..500]),
            Dialect::V7 | Dialect::Gnu => b"",
        };
        Ok(if prefix.is_empty() { name.to_vec() } else { [prefix, name].join(&b'/') })
    }

    pub(super) fn link(&self) -> Vec<u8> {
        text(&self.0[157..257]).to_vec()
    }

    /// Without the type bits that some writers put there.
    pub(super) fn mode(&self) -> Result<u32, TarFault> {
        self.field("mode", 100, 8).and_then(|mode: u64| to("mode", mode & 0o7777))
    }

    pub(super) fn uid(&self) -> Result<u32, TarFault> {
        self.field("uid", 108, 8)
    }

    pub(super) fn gid(&self) -> Result<u32, TarFault> {
        self.field("gid", 116, 8)
    }

    pub(super) fn size(&self) -> Result<u64, TarFault> {
        if self.0[124..136].iter().all(|byte| matches!(byte, 0 | b' ')) {
            return Err(TarFault::Number { field: "size" });
        }
        self.field("size", 124, 12).and_then(|size: i64| to("size", size))
    }

    pub(super) fn mtime(&self) -> Result<i64, TarFault> {
        self.field("mtime", 136, 12)
    }

    /// Major and minor number; v7 has no place for them.
    pub(super) fn device(&self) -> Result<(u32, u32), TarFault> {
        if self.dialect() == Dialect::V7 {
            return Err(TarFault::Number { field: "device" });
        }
        Ok((self.field("device", 329, 8)?, self.field("device", 337, 8)?))
    }

    /// The four places, the mark that more follow, and the size of an old GNU sparse file.
    pub(super) fn sparse(&self) -> Result<(&[u8], bool, u64), TarFault> {
        let size = self.field("sparse size", 483, 12).and_then(|size: i64| to("sparse size", size))?;
        Ok((&self.0[386..482], self.0[482] != 0, size))
    }

    fn field<T: TryFrom<i128>>(&self, field: &'static str, at: usize, width: usize) -> Result<T, TarFault> {
        number(&self.0[at..at + width]).and_then(|n| T::try_from(n).ok()).ok_or(TarFault::Number { field })
    }
}

fn to<T, N: TryInto<T>>(field: &'static str, number: N) -> Result<T, TarFault> {
    number.try_into().map_err(|_| TarFault::Number { field })
}

/// Up to the first NUL.
fn text(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// Octal between spaces and NULs (nothing means 0), or GNU's base 256.
pub(super) fn number(field: &[u8]) -> Option<i128> {
    match field {
        [0x80, rest @ ..] => Some(base256(0, rest)),
        [0xff, rest @ ..] => Some(base256(-1, rest)),
        _ => {
            // One NUL in front is a habit of old BSD tars.
            let field = field.strip_prefix(b"\0").unwrap_or(field);
            let digits = field.trim_ascii_start();
            let end = digits.iter().position(|byte| !(b'0'..=b'7').contains(byte)).unwrap_or(digits.len());
            let (digits, rest) = digits.split_at(end);
            let clean = rest.iter().all(|byte| matches!(byte, 0 | b' '));
            clean.then(|| digits.iter().fold(0, |n, digit| n * 8 + i128::from(digit - b'0')))
        }
    }
}

/// At most 11 bytes: far inside an i128.
fn base256(start: i128, bytes: &[u8]) -> i128 {
    bytes.iter().fold(start, |n, byte| n * 256 + i128::from(*byte))
}

/// Digits only, below 2^63.
pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    let zeros = text.iter().take_while(|&&digit| digit == b'0').count();
    if text.is_empty() || text.len() - zeros > 19 || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // Nineteen digits fit a u64.
    let number = text.iter().fold(0_u64, |n, digit| n.wrapping_mul(10).wrapping_add(u64::from(digit - b'0')));
    i64::try_from(number).is_ok().then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for (field, expected) in [
            (&b"0000644\0"[..], Some(0o644)),
            (b"   644 \0", Some(0o644)),
            (b"\x00000644 ", Some(0o644)),
            (b"77777777", Some(0o7777_7777)),
            (b"\0\0\0\0\0\0\0\0", Some(0)),
            (b"        ", Some(0)),
            (b"\x80\0\0\0\0\x20\0\0", Some(1 << 21)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xfe", Some(-2)),
            (b"-000644\0", None),
            (b"0000648\0", None),
            (b"0x0644\0\0", None),
            (b"644\0junk", None),
            (b"\x81\0\0\0\0\0\0\0", None),
        ] {
            assert_eq!(number(field), expected, "{}", field.escape_ascii());
        }
    }
}
