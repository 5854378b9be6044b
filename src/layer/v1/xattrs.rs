//! Extended attributes that no layer has, encoding 1.

/// Whether an extended attribute belongs to the machine that a file once stood on and is never written into a layer.
pub fn never_emitted(xattr: &[u8]) -> bool {
    xattr == b"security.selinux" || xattr.windows(9).any(|part| part == b".overlay.")
}
