//! What a URL gives: by digest where that is known, from the store, from `vendor`, or from where it says.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::digest::{self, Digest, Survey};
use crate::disk;
use crate::http::shown;
use crate::progress::{Counting, Event};
use crate::substitute;
use crate::tree::Content;
use crate::work::Error;
use crate::work::bytes::{Supply, vendored};

/// A file that is at hand.
pub(crate) struct Located {
    pub(crate) path: PathBuf,
    pub(super) content: Known,
}

/// What is known of its bytes.
pub(super) enum Known {
    /// They were hashed, or the store has them by that name.
    Content(Content),
    /// They were hashed by an earlier command.
    Unverified(Content),
    /// They are yet to be hashed, and should be these.
    Unread(Option<Digest>),
}

impl Located {
    /// Whether it is known to have this content.
    pub(super) fn is(&self, content: Content) -> bool {
        matches!(self.content, Known::Content(own) | Known::Unverified(own) if own == content)
    }

    /// The bytes, hashed if they weren't, and compared with what they should be; and what is known of them then.
    pub(crate) fn content(&self, name: &str) -> Result<(Content, digest::Known), Error> {
        let wanted = match self.content {
            Known::Content(content) => return Ok((content, digest::Known::Nothing)),
            Known::Unverified(content) => Some(content.digest),
            Known::Unread(wanted) => wanted,
        };
        let read = Survey::of(disk::open(&self.path)?.0);
        let (digest, size, known) = read.map_err(disk::failed("read", &self.path))?;
        match wanted {
            Some(wanted) if wanted != digest => Err(differs(name, Some(wanted), digest)),
            _ => Ok((Content { digest, size }, known)),
        }
    }
}

/// The file that a URL gives. Nobody is asked for what is known by its digest and is at hand.
pub(crate) fn fetch(
    supply: &Supply<'_>,
    url: &str,
    pinned: Option<Content>,
    sha256: Option<Digest>,
) -> Result<Located, Error> {
    if let Some(content) = pinned
        && let Some(path) = supply.transaction()?.path_of(content.digest, content.size)?
    {
        return Ok(Located { path, content: Known::Content(content) });
    }
    let wanted = pinned.map(|content| content.digest).or(sha256);
    if let Some(digest) = wanted {
        let path = vendored(&supply.checkout)?.join(digest.hex());
        if disk::regular_size(&path)?.is_some() {
            return Ok(Located { path, content: Known::Unread(wanted) });
        }
    }
    if let Some(path) = url.strip_prefix("file://") {
        let path = PathBuf::from(OsString::from_vec(unescaped(path.as_bytes())));
        let path = supply.checkout.readable(path)?;
        // Here, where it is known who asks for it.
        return match disk::open(&path) {
            Ok(_) => Ok(Located { path, content: Known::Unread(wanted) }),
            Err(error) if error.is_missing() => Err(Error::Nowhere { name: url.to_owned(), made_by: None }),
            Err(error) => Err(error.into()),
        };
    }
    if supply.checkout.env.offline {
        return Err(Error::Offline { reference: url.to_owned() });
    }
    if url.starts_with("http://") && wanted.is_none() {
        let why = "over plain HTTP only what is known by its digest is fetched: say sha256 = \"…\"";
        return Err(Error::foreign(url, why));
    }
    download(supply, url, pinned, wanted)
}

fn download(
    supply: &Supply<'_>,
    url: &str,
    pinned: Option<Content>,
    wanted: Option<Digest>,
) -> Result<Located, Error> {
    let env = supply.checkout.env;
    env.progress.event(Event::Begin { what: "fetching", name: &shown(url) });
    let client = env.registries.client().map_err(substitute::Error::from)?;
    let opened = client.fetch(url, pinned.map(|content| content.size)).map_err(substitute::Error::from)?;
    let gone = || Error::Nowhere { name: url.to_owned(), made_by: None };
    let mut reader = Counting::new(opened.ok_or_else(gone)?, Arc::clone(&env.progress));
    let transaction = supply.transaction()?;
    let mut writer = transaction.writer()?;
    io::copy(&mut reader, &mut writer).map_err(|source| Error::foreign(url, source))?;
    let (digest, size) = writer.finish_if(wanted)?.map_err(|found| differs(url, wanted, found))?;
    env.progress.event(Event::End);
    let content = Content { digest, size };
    let path = transaction.path_of(digest, size)?;
    let path = path.ok_or_else(|| Error::foreign(url, "it was lost"))?;
    Ok(Located { path, content: Known::Content(content) })
}

/// A URL's path with each `%20` as what it stands for.
fn unescaped(mut path: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    while let [first, rest @ ..] = path {
        let digits =
            rest.get(..2).filter(|digits| *first == b'%' && digits.iter().all(u8::is_ascii_hexdigit));
        let text = digits.and_then(|digits| str::from_utf8(digits).ok());
        let byte = text.and_then(|text| u8::from_str_radix(text, 16).ok());
        out.push(byte.unwrap_or(*first));
        path = if byte.is_some() { &rest[2..] } else { rest };
    }
    out
}

fn differs(url: &str, wanted: Option<Digest>, found: Digest) -> Error {
    let wanted = wanted.map(|digest| digest.to_string()).unwrap_or_default();
    Error::foreign(url, format!("it is {found} now, not {wanted}"))
}
