//! What a repository has: its tags, and what refers to an image.

use super::{Error, MANIFESTS, Repository};
use crate::digest::Digest;
use crate::http::{self, Cause, Request, Url};
use crate::oci::{Descriptor, Document, Index, MAX_DOCUMENT, MediaType, json};

/// Nobody looks through more; a registry that goes on and on is not followed.
const MOST_PAGES: usize = 100;

impl Repository {
    /// The digest that a tag means now, asked once and not again; nothing where it isn't there or isn't told.
    ///
    /// # Errors
    /// When it can't be asked.
    pub fn peek(&self, tag: &str) -> Result<Option<Digest>, Error> {
        let mut request = Request::new("HEAD", self.url(&format!("manifests/{tag}"))?);
        request.headers.push(("accept", MANIFESTS.to_owned()));
        let asking = self.asking(format!("repository:{}:pull", self.path));
        request.auth = Some(&asking);
        let response = self.client.http.send_upto(&request, 1)?;
        let digest = response.header("docker-content-digest").and_then(|text| text.parse().ok());
        Ok(digest.filter(|_| response.status == 200))
    }

    /// All tags, as the registry sorts them; none where there is no such repository.
    ///
    /// # Errors
    /// When they can't be asked for, or the answer is none.
    pub fn tags(&self) -> Result<Vec<String>, Error> {
        let mut tags = Vec::new();
        self.pages(self.url("tags/list")?.with("n", "1000"), |url, bytes| {
            let value = json::parse(&bytes).map_err(|error| odd(url, error.to_string()))?;
            let page = value.as_object().and_then(|members| members.get("tags"));
            let page = page.and_then(json::Value::as_array).unwrap_or_default();
            tags.extend(page.iter().filter_map(|tag| tag.as_str().map(str::to_owned)));
            Ok(())
        })?;
        Ok(tags)
    }

    /// What says that it belongs to a manifest or index: signatures, attestations and the like, of one kind or of all. Of a
    /// registry that doesn't know of them, what is kept under the tag that stands in for it (`sha256-HEX`).
    ///
    /// # Errors
    /// When they can't be asked for, or the answer is none.
    pub fn referrers(&self, subject: Digest, kind: Option<&str>) -> Result<Vec<Descriptor>, Error> {
        let mut url = self.url(&format!("referrers/{subject}"))?;
        if let Some(kind) = kind {
            url = url.with("artifactType", kind);
        }
        let mut found = Vec::new();
        let known = self.pages(url, |url, bytes| {
            found.extend(index(url, &bytes)?.manifests);
            Ok(())
        })?;
        if !known {
            found = self.fallback(subject)?.manifests;
        }
        // Not every registry filters.
        let is_kind = |of: &Descriptor| of.rest.get("artifactType").and_then(json::Value::as_str) == kind;
        found.retain(|of| kind.is_none() || is_kind(of));
        Ok(found)
    }

    /// Puts a manifest that belongs to another one (its `subject`), under its digest. Where the registry doesn't keep a list
    /// of these, it is added to the one under the tag that stands in for it.
    ///
    /// # Errors
    /// When the registry doesn't take it.
    pub fn put_referrer(&self, subject: Digest, of: &Descriptor, bytes: &[u8]) -> Result<(), Error> {
        if self.put_document(&of.digest.to_string(), &of.media_type, bytes)? {
            return Ok(());
        }
        let mut list = self.fallback(subject)?;
        if list.manifests.iter().any(|known| known.digest == of.digest) {
            return Ok(());
        }
        list.manifests.push(of.clone());
        self.put_manifest(&fallback_tag(subject), &MediaType::Index.to_string(), &list.to_bytes())
    }

    /// The list that clients keep themselves (distribution specification, "Referrers Tag Schema").
    fn fallback(&self, subject: Digest) -> Result<Index, Error> {
        let none = Index { manifests: Vec::new(), annotations: std::collections::BTreeMap::new() };
        let tag = fallback_tag(subject);
        let Some(found) = self.manifest(&tag)? else { return Ok(none) };
        index(&self.url(&format!("manifests/{tag}"))?, &found.bytes)
    }

    /// Follows a list from page to page; whether the registry has it at all.
    fn pages(
        &self,
        mut url: Url,
        mut take: impl FnMut(&Url, Vec<u8>) -> Result<(), Error>,
    ) -> Result<bool, Error> {
        for page in 0..MOST_PAGES {
            let response = self.send(Request::get(url.clone()), "pull")?;
            match response.status {
                200 => {}
                404 | 405 if page == 0 => return Ok(false),
                _ => return Err(response.refused().into()),
            }
            let answered = response.url().clone();
            let next = response.headers("link").iter().find_map(|link| next(link).map(str::to_owned));
            let next = next.map(|next| answered.resolve(&next).map_err(|why| odd(&url, why))).transpose()?;
            take(&url, response.bytes(MAX_DOCUMENT)?)?;
            match next {
                // Of whomever it names, whoever was asked goes on (skopeo does so, too): behind a proxy registries don't know
                // their own names, and credentials go nowhere else.
                Some(next) => url = url.join(next.path()),
                None => return Ok(true),
            }
        }
        Err(odd(&url, format!("the list goes on after {MOST_PAGES} pages")))
    }
}

fn fallback_tag(subject: Digest) -> String {
    format!("sha256-{}", subject.hex())
}

fn odd(url: &Url, why: String) -> Error {
    http::Error::new("GET", url.clone(), Cause::Answer(why)).into()
}

fn index(url: &Url, bytes: &[u8]) -> Result<Index, Error> {
    match Document::parse(bytes, &MediaType::Index.to_string()) {
        Ok(Document::Index(index)) => Ok(index),
        Ok(Document::Manifest(_)) => Err(odd(url, "it is a manifest where a list should be".to_owned())),
        Err(error) => Err(odd(url, error.to_string())),
    }
}

/// The target of `<…>; rel="next"` (RFC 8288).
fn next(link: &str) -> Option<&str> {
    let is_next = |parameter: &str| {
        let (name, value) = parameter.split_once('=').unwrap_or_default();
        name.trim().eq_ignore_ascii_case("rel")
            && value.trim().trim_matches('"').split(' ').any(|word| word.eq_ignore_ascii_case("next"))
    };
    let mut rest = link;
    loop {
        let (target, after) = rest.trim_start_matches([' ', ',']).strip_prefix('<')?.split_once('>')?;
        let end = after.find(", <").or_else(|| after.find(",<")).unwrap_or(after.len());
        if after[..end].split(';').any(is_next) {
            return Some(target);
        }
        rest = &after[end..];
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn links() {
        let next = super::next;
        assert_eq!(next("</v2/a/tags/list?last=b&n=2>; rel=\"next\""), Some("/v2/a/tags/list?last=b&n=2"));
        for link in [
            "<x>; title=y; rel=next",
            "<w>; rel=\"prev\", <x>; Rel = \"last Next\"",
            "<x>;rel=next,<y>;rel=a",
        ] {
            assert_eq!(next(link), Some("x"), "{link}");
        }
        for other in ["", "<x>", "x; rel=next", "<x; rel=next", "<x>; rel=\"prev\""] {
            assert_eq!(next(other), None, "{other}");
        }
    }
}
