//! As much of a URL (RFC 3986) as requests need.

use std::fmt;
use std::net::IpAddr;
use std::ops::Range;

/// An absolute http or https URL.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Url {
    text: String,
    /// Where the path begins.
    path: usize,
}

impl Url {
    /// Reads an absolute URL.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.bytes().any(|byte| !byte.is_ascii_graphic()) {
            return Err("characters that a URL can't have".into());
        }
        let (scheme, rest) = text.split_once("://").unwrap_or_default();
        let scheme = scheme.to_ascii_lowercase();
        if !matches!(scheme.as_str(), "http" | "https") {
            return Err("neither http:// nor https://".into());
        }
        let rest = rest.split('#').next().unwrap_or(rest);
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let authority = &rest[..end];
        if authority.is_empty() {
            return Err("no host".into());
        }
        if authority.contains('@') {
            return Err("a user or password in front of the host, which is sent to nobody".into());
        }
        Ok(Self { path: scheme.len() + 3 + end, text: format!("{scheme}://{rest}") })
    }

    /// All of it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is https.
    pub fn is_tls(&self) -> bool {
        self.text.starts_with("https:")
    }

    /// Host and port, as written.
    pub fn authority(&self) -> &str {
        self.text[..self.path].split_once("//").map_or("", |(_, authority)| authority)
    }

    /// The host alone, in lower case.
    pub fn host(&self) -> String {
        let (host, _) = self.split_authority();
        host.trim_matches(['[', ']']).to_ascii_lowercase()
    }

    /// The port, or that of the scheme.
    pub fn port(&self) -> &str {
        let (_, port) = self.split_authority();
        let usual = if self.is_tls() { "443" } else { "80" };
        port.filter(|port| !port.is_empty()).unwrap_or(usual)
    }

    fn split_authority(&self) -> (&str, Option<&str>) {
        let authority = self.authority();
        match authority.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, Some(port)),
            _ => (authority, None),
        }
    }

    /// Host and port, in the same way however they are written.
    pub(super) fn server(&self) -> String {
        let host = self.host();
        let host = host.trim_end_matches('.');
        let address = host.parse::<IpAddr>().map(|address| address.to_canonical().to_string());
        format!("{}:{}", address.as_deref().unwrap_or(host), self.port().trim_start_matches('0'))
    }

    /// Whether the host is this machine itself.
    pub fn is_loopback(&self) -> bool {
        let host = self.host();
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// Scheme, host and port are the same, however they are written.
    pub fn same_origin(&self, other: &Self) -> bool {
        let origin = |url: &Self| (url.is_tls(), url.host(), url.port().to_owned());
        origin(self) == origin(other)
    }

    /// Another path (with query, if any) on the same server.
    #[must_use]
    pub fn join(&self, path: &str) -> Self {
        Self { text: format!("{}{path}", &self.text[..self.path]), path: self.path }
    }

    /// All behind the authority: path and query.
    pub fn path(&self) -> &str {
        &self.text[self.path..]
    }

    /// The root of another server, spoken to in the same way.
    pub(super) fn with_authority(&self, authority: &str) -> Result<Self, String> {
        Self::parse(&format!("{}://{authority}/", if self.is_tls() { "https" } else { "http" }))
    }

    /// With one more parameter, which is encoded.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut text = self.text.clone();
        match text.contains('?') {
            true if text.ends_with(['?', '&']) => {}
            true => text.push('&'),
            false => text.push('?'),
        }
        text.push_str(name);
        text.push('=');
        text.push_str(&encode(value));
        Self { text, path: self.path }
    }

    /// What a `Location` header means, of an answer from here (RFC 3986, 5.2).
    ///
    /// # Errors
    /// When it is no URL.
    pub fn resolve(&self, location: &str) -> Result<Self, String> {
        let location = location.trim();
        let location = location.split('#').next().unwrap_or(location);
        let own = &self.text[self.path..];
        let path = own.split('?').next().unwrap_or(own);
        let found = if has_scheme(location) {
            Self::parse(location)
        } else if location.starts_with("//") {
            let scheme = if self.is_tls() { "https" } else { "http" };
            Self::parse(&format!("{scheme}:{location}"))
        } else if location.is_empty() {
            Ok(self.clone())
        } else if location.starts_with('/') {
            Self::parse(self.join(location).as_str())
        } else if location.starts_with('?') {
            Self::parse(self.join(&format!("{path}{location}")).as_str())
        } else {
            let directory = path.rfind('/').map_or("/", |at| &path[..=at]);
            Self::parse(self.join(&format!("{directory}{location}")).as_str())
        };
        found.map(Self::without_dots)
    }

    /// The same without `.` and `..` in its path (RFC 3986, 5.2.4).
    fn without_dots(self) -> Self {
        let own = &self.text[self.path..];
        let (path, query) = own.split_at(own.find('?').unwrap_or(own.len()));
        let Some(inner) = path.strip_prefix('/') else { return self };
        let mut kept: Vec<&str> = Vec::new();
        let mut parts = inner.split('/').peekable();
        while let Some(part) = parts.next() {
            if part == ".." {
                kept.pop();
            } else if part != "." {
                kept.push(part);
                continue;
            }
            // What ends in dots is a directory.
            if parts.peek().is_none() {
                kept.push("");
            }
        }
        self.join(&format!("/{}{query}", kept.join("/")))
    }
}

/// Whether a reference is no relative one: a colon stands before all that parts a path, and a scheme's name before it.
fn has_scheme(text: &str) -> bool {
    let end = text.find([':', '/', '?']).unwrap_or(text.len());
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    text[end..].starts_with(':')
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text[..end].bytes().all(letters)
}

/// For a query (RFC 3986's unreserved characters, and those that registries have in scopes).
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:/,".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// A text with the URLs in it as they may be shown: without user and password, and without the query, where signatures and
/// tokens stand.
pub fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for range in secrets(text) {
        out.push_str(&text[at..range.start]);
        // Nor is it shown that there was one.
        at = range.end + usize::from(text[range.end..].starts_with('@'));
        if text[..range.start].ends_with(['?', '#']) {
            out.pop();
        }
    }
    out.push_str(&text[at..]);
    out
}

/// Where in a text there are secrets of URLs: user and password before an `@`, query and fragment behind their marks.
pub fn secrets(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let mark = at + text[at..].find("://")?;
        let begin = mark + "://".len();
        // In quotes even what is no URL ends with them: a blank may stand in a password.
        let scheme = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
        let quote = text[..mark].trim_end_matches(scheme).chars().next_back().filter(|c| "\"'".contains(*c));
        let ends = |c: char| match quote {
            Some(quote) => c == quote || (c.is_control() && c != '\t'),
            None => c.is_whitespace() || c.is_control() || "\"'`<>\\".contains(c),
        };
        let url = &text[begin..];
        let url = &url[..url.find(ends).unwrap_or(url.len())];
        at = begin + url.len();
        let authority = url.split(['/', '?', '#']).next().unwrap_or_default();
        // A password with a slash in it ends no authority: what would be its port is no number.
        let port =
            authority.rsplit_once(':').filter(|_| !authority.ends_with(']')).map_or("", |(_, port)| port);
        let odd = !port.bytes().all(|byte| byte.is_ascii_digit());
        let user = if odd { url.rfind('@') } else { authority.rfind('@') };
        let rest = user.map_or(0, |user| user + 1);
        let query = url[rest..].find(['?', '#']).map(|mark| begin + rest + mark + 1..begin + url.len());
        Some([user.map(|user| begin..begin + user), query].into_iter().flatten())
    })
    .flatten()
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.text))
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts() {
        let url = Url::parse("https://Registry.example:5000/v2/a?x=secret#f").unwrap();
        assert_eq!((url.authority(), url.host().as_str()), ("Registry.example:5000", "registry.example"));
        assert_eq!(url.to_string(), "https://Registry.example:5000/v2/a");
        assert!(url.is_tls() && !url.is_loopback() && url.same_origin(&url.join("/y")));
        assert_eq!(
            url.with("b", "a b&c").as_str(),
            "https://Registry.example:5000/v2/a?x=secret&b=a%20b%26c"
        );
        for local in ["http://127.0.0.1:5000/", "http://[::1]:5000", "http://localhost/x", "http://127.9.9.9"]
        {
            assert!(Url::parse(local).unwrap().is_loopback(), "{local}");
        }
        for bad in ["ftp://x/", "x", "http://", "http://a@b/", "https://a b/", "https://ä/", "/x"] {
            assert!(Url::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn where_secrets_are() {
        for (text, expected) in [
            ("fetch = \"https://me:pw@a.example/x?sig=s#f\" # http://b?c", vec!["me:pw", "sig=s#f", "c"]),
            ("docker://me:pw@host/x https://a/b", vec!["me:pw"]),
            ("https://a?", vec![""]),
            ("x = \"https://me:p w@a/x y?q z\" # b", vec!["me:p w", "q z"]),
            ("'https://a/ ?q\nb' c", vec!["q"]),
            ("no url me@host", vec![]),
        ] {
            let found: Vec<&str> = secrets(text).map(|range| &text[range]).collect();
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn what_is_shown() {
        for (text, expected) in [
            ("https://me:pw@a.example/x?sig=s#f", "https://a.example/x"),
            ("https://tok@a.example", "https://a.example"),
            ("https://me:p@ss@a.example:8443/x", "https://a.example:8443/x"),
            ("https://me:p/w@a.example/x", "https://a.example/x"),
            ("https://me:p?w#@a.example/x", "https://a.example/x"),
            ("https://me:@[::1]:5000/x?a", "https://[::1]:5000/x"),
            ("https://[::1]/@a", "https://[::1]/@a"),
            ("https://a.example/@scope/x@1.tgz", "https://a.example/@scope/x@1.tgz"),
            ("docker://a.example:5000/b@sha256:00", "docker://a.example:5000/b@sha256:00"),
            ("get \"https://u:p@a/?q\": no (http://v:w@b?q=1 d)", "get \"https://a/\": no (http://b d)"),
            ("no URL: a?b @ c://", "no URL: a?b @ c://"),
            ("", ""),
        ] {
            assert_eq!(shown(text), expected);
        }
    }

    #[test]
    fn locations() {
        let at = Url::parse("http://a.example/v2/x/y?z=1").unwrap();
        for (location, expected) in [
            ("/q?w", "http://a.example/q?w"),
            ("https://b.example/c", "https://b.example/c"),
            ("HTTPS://B.example/c#f", "https://B.example/c"),
            ("//b.example/c", "http://b.example/c"),
            ("next?a=b", "http://a.example/v2/x/next?a=b"),
            ("next?to=https://b.example/../c", "http://a.example/v2/x/next?to=https://b.example/../c"),
            ("../w/./u/?d=..", "http://a.example/v2/w/u/?d=.."),
            ("../../../../w", "http://a.example/w"),
            ("/a/b/..", "http://a.example/a/"),
            ("//b.example/c/../d/.", "http://b.example/d/"),
            ("?q", "http://a.example/v2/x/y?q"),
            ("./up:load", "http://a.example/v2/x/up:load"),
            ("", "http://a.example/v2/x/y?z=1"),
            ("#f", "http://a.example/v2/x/y?z=1"),
            ("..", "http://a.example/v2/"),
        ] {
            assert_eq!(at.resolve(location).unwrap().as_str(), expected, "{location}");
        }
        for none in ["file:///etc/passwd", "up:load", "http:x", "https://", "//", "http://a@b/", "a b"] {
            assert!(at.resolve(none).is_err(), "{none}");
        }
        assert!(!at.same_origin(&at.resolve("https://a.example/").unwrap()));
    }

    #[test]
    fn origins() {
        let url = |text| Url::parse(text).unwrap();
        for (one, other, same) in [
            ("https://a.example/x", "https://A.example:443/y", true),
            ("http://a.example:80", "HTTP://a.example:/", true),
            ("https://[::1]:443/", "https://[::1]/", true),
            ("https://a.example:80/", "https://a.example/", false),
            ("http://a.example:443/", "https://a.example/", false),
            ("https://a.example.org/", "https://a.example/", false),
        ] {
            assert_eq!(url(one).same_origin(&url(other)), same, "{one} {other}");
        }
        for (text, server) in [
            ("https://A.Example./x", "a.example:443"),
            ("https://a.example:00443", "a.example:443"),
            ("http://a.example:/", "a.example:80"),
            ("https://[::FFFF:127.0.0.1]:5000/", "127.0.0.1:5000"),
            ("https://[2001:DB8:0:0::1]/", "2001:db8::1:443"),
        ] {
            assert_eq!(url(text).server(), server, "{text}");
        }
        for (text, expected) in [
            ("http://a/b", "http://a/b?x=1"),
            ("http://a/b?", "http://a/b?x=1"),
            ("http://a/?c&", "http://a/?c&x=1"),
        ] {
            assert_eq!(url(text).with("x", "1").as_str(), expected);
        }
    }
}
