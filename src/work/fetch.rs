//! What a URL gives: by digest where that is known, from the store, from `vendor`, or from where it says.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::digest::{self, Digest, Survey};
use crate::disk;
use crate::http::{Cause, Url, shown};
use crate::progress::{Counting, Event};
use crate::registry::{self, Download};
use crate::store::Transaction;
use crate::substitute;
use crate::tree::Content;
use crate::work::{Env, Error};
use crate::workspace::Workspace;

/// So often what broke comes from its beginning again, where it can't go on.
const MOST_ANEW: u32 = 2;

/// Where `vendor` puts what was fetched, inputs and layers of bases, each file by its digest.
pub(crate) fn vendored(workspace: &Workspace) -> Result<PathBuf, Error> {
    let directory = workspace.root().join("vendor/sha256");
    workspace.check(&directory)?;
    Ok(directory)
}

/// What a recipe or lock names of the disk, if it lies in the workspace, or where the site lets recipes read.
pub(crate) fn readable(env: &Env<'_>, workspace: &Workspace, path: PathBuf) -> Result<PathBuf, Error> {
    match workspace.holds(&path) {
        Ok(()) => Ok(path),
        Err(error) if error.leads_out() => {
            let allowed = env.registries.may_read(&path).map_err(substitute::Error::from)?;
            if allowed { Ok(path) } else { Err(error.into()) }
        }
        Err(error) => Err(error.into()),
    }
}

/// A file that is at hand.
pub(crate) struct Located {
    pub(crate) path: PathBuf,
    pub(crate) content: Known,
}

/// What is known of its bytes.
pub(crate) enum Known {
    /// They were hashed, or the store has them by that name.
    Content(Content),
    /// They were hashed by an earlier command.
    Unverified(Content),
    /// They are yet to be hashed, and should be these.
    Unread(Option<Digest>),
}

impl Located {
    /// Whether it is known to have this content.
    pub(crate) fn is(&self, content: Content) -> bool {
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
    (env, workspace): (&Env<'_>, &Workspace),
    transaction: &Transaction,
    url: &str,
    pinned: Option<Content>,
    sha256: Option<Digest>,
) -> Result<Located, Error> {
    if let Some(content) = pinned
        && let Some(path) = transaction.path_of(content.digest, content.size)?
    {
        return Ok(Located { path, content: Known::Content(content) });
    }
    let wanted = pinned.map(|content| content.digest).or(sha256);
    if let Some(digest) = wanted {
        let path = vendored(workspace)?.join(digest.hex());
        if let Some(size) = disk::regular_size(&path)? {
            bounded(env, url, pinned, size)?;
            return Ok(Located { path, content: Known::Unread(wanted) });
        }
        if disk::is_there(&path)? {
            return Err(disk::Error::NotRegular { path }.into());
        }
    }
    if let Some(path) = url.strip_prefix("file://") {
        let path = PathBuf::from(OsString::from_vec(unescaped(path.as_bytes())));
        let path = readable(env, workspace, path)?;
        // Here, where it is known who asks for it.
        return match disk::open(&path) {
            Ok((_, size)) => {
                bounded(env, url, pinned, size).map(|()| Located { path, content: Known::Unread(wanted) })
            }
            Err(disk::Error::NotRegular { .. }) => Err(Error::foreign(
                url,
                "only a regular file can be fetched; this is a directory, device, FIFO or socket",
            )),
            Err(error) if error.is_missing() => Err(Error::Nowhere { name: url.to_owned(), made_by: None }),
            Err(error) => Err(error.into()),
        };
    }
    if env.offline {
        return Err(Error::Offline { reference: url.to_owned() });
    }
    if url.starts_with("http://") && wanted.is_none() {
        let why = "over plain HTTP only what is known by its digest is fetched: say sha256 = \"…\"";
        return Err(Error::foreign(url, why));
    }
    download(env, transaction, url, pinned, wanted)
}

fn download(
    env: &Env<'_>,
    transaction: &Transaction,
    url: &str,
    pinned: Option<Content>,
    wanted: Option<Digest>,
) -> Result<Located, Error> {
    Url::parse(url).map_err(|why| Error::foreign(url, why))?;
    env.progress.event(Event::Begin { what: "fetching", name: &shown(url) });
    let client = env.registries.client().map_err(substitute::Error::from)?;
    let mut anew = 0;
    let content = loop {
        match once((env, transaction), &client, url, pinned, wanted, anew < MOST_ANEW)? {
            Some(content) => break content,
            None => anew += 1,
        }
    };
    env.progress.event(Event::End);
    let path = transaction.path_of(content.digest, content.size)?;
    let path = path.ok_or_else(|| Error::foreign(url, "it was lost"))?;
    Ok(Located { path, content: Known::Content(content) })
}

/// What comes; nothing where it `may` come anew, and better does: it broke, and its parts aren't, or may not be, of one file.
fn once(
    (env, transaction): (&Env<'_>, &Transaction),
    client: &Arc<registry::Client>,
    url: &str,
    pinned: Option<Content>,
    wanted: Option<Digest>,
    may: bool,
) -> Result<Option<Content>, Error> {
    let size = pinned.map(|content| content.size);
    let opened = client.fetch(url, size, wanted.is_some()).map_err(substitute::Error::from)?;
    let gone = || Error::Nowhere { name: url.to_owned(), made_by: None };
    let mut reader = Counting::new(opened.ok_or_else(gone)?, Arc::clone(&env.progress));
    let mut writer = transaction.writer()?;
    if let Err(error) = io::copy(&mut reader, &mut writer) {
        return match Download::failure(&error) {
            Some(failed) if may && matches!(failed.cause, Cause::Changed(_)) => Ok(None),
            Some(failed) => Err(substitute::Error::from(registry::Error::from(failed.clone())).into()),
            None => Err(disk::failed("keep", Path::new(&shown(url)))(error).into()),
        };
    }
    match writer.finish_if(wanted)? {
        Ok((digest, size)) => Ok(Some(Content { digest, size })),
        Err(_) if may && reader.into_inner().was_joined() => Ok(None),
        Err(found) => Err(differs(url, wanted, found)),
    }
}

/// Refuses a local file that is larger than what a URL may give, of which no lock says the size.
fn bounded(env: &Env<'_>, url: &str, pinned: Option<Content>, size: u64) -> Result<(), Error> {
    if pinned.is_none() {
        let cap = env.registries.max_size().map_err(substitute::Error::from)?;
        if size > cap {
            return Err(Error::foreign(url, Cause::Endless { cap }));
        }
    }
    Ok(())
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
