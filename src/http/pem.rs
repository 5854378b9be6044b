//! Certificates and keys in files (PEM, RFC 7468).

use std::path::Path;

use ureq::tls::{Certificate, PemItem, PrivateKey, parse_pem};

use super::Cause;
use crate::disk;

fn items(path: &Path) -> Result<Vec<PemItem<'static>>, Cause> {
    let bytes = disk::read(path, 4 << 20).map_err(|error| Cause::Request(error.to_string()))?;
    let items: Result<_, _> = parse_pem(&bytes).collect();
    items.map_err(|error| Cause::Request(format!("{}: {error}", path.display())))
}

pub(super) fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>, Cause> {
    let found = items(path)?.into_iter();
    let found: Vec<_> =
        found.filter_map(|item| if let PemItem::Certificate(c) = item { Some(c) } else { None }).collect();
    let none = || Cause::Request(format!("{} holds no certificate in PEM", path.display()));
    if found.is_empty() { Err(none()) } else { Ok(found) }
}

pub(super) fn private_key(path: &Path) -> Result<PrivateKey<'static>, Cause> {
    let mut found = items(path)?.into_iter();
    found
        .find_map(|item| if let PemItem::PrivateKey(key) = item { Some(key) } else { None })
        .ok_or_else(|| Cause::Request(format!("{} holds no private key in PEM", path.display())))
}
