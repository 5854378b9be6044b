//! What git may have done to a file on its way into the checkout.

use crate::digest::Digest;

/// Whether `bytes` are not what `expected` names, but would be with other line endings: git converted them.
pub fn differs_by_crlf_only(bytes: &[u8], expected: Digest) -> bool {
    let (mut lf, mut crlf) = (Vec::with_capacity(bytes.len()), Vec::with_capacity(bytes.len()));
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        let (line, [unix, dos]) = match line.strip_suffix(b"\n") {
            Some(line) => (line.strip_suffix(b"\r").unwrap_or(line), [&b"\n"[..], b"\r\n"]),
            None => (line, [&b""[..]; 2]),
        };
        lf.extend_from_slice(line);
        lf.extend_from_slice(unix);
        crlf.extend_from_slice(line);
        crlf.extend_from_slice(dos);
    }
    [lf, crlf].iter().any(|other| other != bytes && Digest::of(other) == expected)
}
