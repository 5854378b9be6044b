//! Proxies, and who is reached without one, as curl reads them from an environment.
//!
//! Owns the choice alone: it opens no connection, and never shows what stands before the `@` of a proxy's URL.

use std::fmt;
use std::net::IpAddr;

use super::{Cause, Url};

/// Names of variables, the first that is set counts. Docker and curl have them in both cases.
const HTTPS: [&str; 4] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
const HTTP: [&str; 4] = ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"];
const NO: [&str; 2] = ["no_proxy", "NO_PROXY"];

/// The proxies of an environment.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    https: Option<Proxy>,
    http: Option<Proxy>,
    except: Vec<Except>,
}

/// A proxy, and the variable that names it.
#[derive(Clone)]
pub(super) struct Proxy {
    variable: &'static str,
    text: String,
}

/// Who is reached without a proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Except {
    All,
    /// A domain with everything below it, or an address; perhaps of one port only.
    Host(String, Option<String>),
    /// The bits at the beginning of an address.
    Net(IpAddr, u8),
}

impl Proxies {
    /// Reads variables. What names no proxy is told when it is needed.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Self {
        let first = |names: &[&'static str]| {
            let set = names.iter().find_map(|&name| Some((name, variable(name)?)));
            // Set to nothing, it stands for none, and hides the others.
            set.map(|(name, text)| (name, text.trim().to_owned())).filter(|(_, text)| !text.is_empty())
        };
        let proxy = |(variable, text)| Proxy { variable, text };
        let listed = first(&NO).map(|(_, text)| text).unwrap_or_default();
        let except = listed.split(|c: char| c == ',' || c.is_whitespace()).filter_map(Except::read);
        Self { https: first(&HTTPS).map(proxy), http: first(&HTTP).map(proxy), except: except.collect() }
    }

    /// The proxy for a URL. This machine itself is never reached through one.
    pub(super) fn of(&self, url: &Url) -> Option<&Proxy> {
        let proxy = if url.is_tls() { self.https.as_ref() } else { self.http.as_ref() };
        proxy.filter(|_| !url.is_loopback() && !self.except.iter().any(|except| except.holds(url)))
    }
}

impl Except {
    /// One word of the list; nothing where it names nobody.
    fn read(word: &str) -> Option<Self> {
        if word == "*" {
            return Some(Self::All);
        }
        if let Some((address, bits)) = word.split_once('/') {
            let address = bare(address).parse::<IpAddr>().ok()?.to_canonical();
            let bits =
                bits.parse::<u8>().ok().filter(|bits| *bits <= if address.is_ipv4() { 32 } else { 128 });
            return Some(Self::Net(address, bits?));
        }
        let (host, port) = match word.rsplit_once(':') {
            // More colons without brackets are an address.
            Some((host, port)) if !port.contains(']') && (!host.contains(':') || host.ends_with(']')) => {
                (host, Some(port))
            }
            _ => (word, None),
        };
        if port.is_some_and(|port| port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit())) {
            return None;
        }
        // `*.example.com`, `.example.com` and `example.com.` are example.com.
        let host = bare(host).trim_start_matches('*').trim_matches('.').to_ascii_lowercase();
        (!host.is_empty()).then(|| Self::Host(host, port.map(str::to_owned)))
    }

    fn holds(&self, url: &Url) -> bool {
        let host = url.host();
        let host = host.trim_end_matches('.');
        let address = host.parse::<IpAddr>().ok().map(|address| address.to_canonical());
        match self {
            Self::All => true,
            Self::Host(_, Some(port)) if port != url.port() => false,
            Self::Host(own, _) => match (address, own.parse::<IpAddr>()) {
                (Some(address), own) => own.is_ok_and(|own| own.to_canonical() == address),
                (None, _) => {
                    host.strip_suffix(own.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
                }
            },
            Self::Net(net, bits) => match (net, address) {
                (IpAddr::V4(net), Some(IpAddr::V4(own))) => {
                    (net.to_bits() ^ own.to_bits()).leading_zeros() >= u32::from(*bits)
                }
                (IpAddr::V6(net), Some(IpAddr::V6(own))) => {
                    (net.to_bits() ^ own.to_bits()).leading_zeros() >= u32::from(*bits)
                }
                _ => false,
            },
        }
    }
}

fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

impl Proxy {
    /// What tells it from others.
    pub(super) const fn key(&self) -> &'static str {
        self.variable
    }

    /// As connections take it.
    pub(super) fn open(&self) -> Result<ureq::Proxy, Cause> {
        let wrong = |why: &str| Cause::Request(format!("{self} is no proxy: {why}"));
        let proxy = ureq::Proxy::new(&self.text).map_err(|_| wrong("it takes http://HOST:PORT"))?;
        match proxy.protocol() {
            ureq::ProxyProtocol::Http | ureq::ProxyProtocol::Https => Ok(proxy),
            _ => Err(wrong("cooper speaks HTTP to proxies, not SOCKS")),
        }
    }

    /// What a failure amounts to that is the proxy's: none of it, where the proxy did what it should.
    pub(super) fn blamed(&self, error: &ureq::Error) -> Option<Cause> {
        use std::io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
        let why = match error {
            ureq::Error::HostNotFound => "there is no such host".to_owned(),
            ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => "no answer".to_owned(),
            ureq::Error::ConnectProxyFailed(why) => why.clone(),
            ureq::Error::ConnectionFailed => error.to_string(),
            ureq::Error::Io(error)
                if matches!(error.kind(), ConnectionRefused | HostUnreachable | NetworkUnreachable)
                    || is_lookup(error) =>
            {
                error.to_string()
            }
            _ => return None,
        };
        Some(Cause::Proxy { proxy: self.to_string(), why })
    }
}

/// Whether a name wasn't found: the kind of such an error can't be named, and only the proxy's own name is looked up here.
fn is_lookup(error: &std::io::Error) -> bool {
    error.raw_os_error().is_none() && error.to_string().starts_with("failed to lookup address")
}

/// Variable, host and port: what else stands there may be secret.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.text.rsplit_once('@').map_or(self.text.as_str(), |(_, place)| place);
        let place = place.split_once("://").map_or(place, |(_, place)| place);
        let place = place.split(['/', '?', '#']).next().unwrap_or(place);
        write!(f, "{place} ({})", self.variable)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)], url: &str) -> Option<String> {
        let read =
            |name: &str| pairs.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).to_owned());
        Proxies::read(read).of(&Url::parse(url).unwrap()).map(ToString::to_string)
    }

    #[test]
    fn by_scheme() {
        let both = [("HTTPS_PROXY", "http://u:p@s:1/x"), ("http_proxy", "h:2"), ("HTTP_PROXY", "no:3")];
        assert_eq!(of(&both, "https://a.example/").unwrap(), "s:1 (HTTPS_PROXY)");
        assert_eq!(of(&both, "http://a.example/").unwrap(), "h:2 (http_proxy)");
        assert_eq!(of(&both[..1], "http://a.example/"), None);
        assert_eq!(of(&[("ALL_PROXY", "a:1")], "http://a.example/").unwrap(), "a:1 (ALL_PROXY)");
        assert_eq!(of(&[("https_proxy", ""), ("HTTPS_PROXY", "a:1")], "https://a.example/"), None);
        for here in ["http://127.0.0.1:5000/", "http://localhost/", "http://[::1]/"] {
            assert_eq!(of(&both, here), None, "{here}");
        }
    }

    #[test]
    fn exceptions() {
        for (list, url, around) in [
            ("*", "https://a.example/", true),
            ("x, *", "https://a.example/", true),
            ("a.example", "https://a.example/", true),
            ("a.example", "https://b.A.example:5000/", true),
            (".a.example", "https://a.example/", true),
            (" .a.example ", "https://b.a.example/", true),
            ("*.a.example", "https://b.a.example/", true),
            ("a.example.", "https://a.example/", true),
            ("x.example,a.example", "https://a.example./", true),
            ("x.example a.example\ty", "https://a.example/", true),
            ("a.example", "https://nota.example/", false),
            ("b.a.example", "https://a.example/", false),
            ("a.example:5000", "https://a.example:5000/", true),
            ("a.example:5000", "https://b.a.example:5000/", true),
            ("a.example:5000", "https://a.example/", false),
            ("a.example:443", "https://a.example/", true),
            ("a.example:80", "https://a.example/", false),
            ("10.0.0.0/8", "https://10.1.2.3/", true),
            ("10.9.9.9/8", "https://10.1.2.3:5000/", true),
            ("10.0.0.0/8", "https://11.1.2.3/", false),
            ("10.1.2.0/23", "https://10.1.3.255/", true),
            ("10.1.2.0/23", "https://10.1.4.0/", false),
            ("0.0.0.0/0", "https://10.1.4.0/", true),
            ("0.0.0.0/0", "https://[2001:db8::1]/", false),
            ("2001:db8::/32", "https://[2001:db8:ffff::1]/", true),
            ("[2001:db8::]/32", "https://[2001:db9::1]/", false),
            ("10.0.0.0/8", "https://[::ffff:10.0.0.1]/", true),
            ("10.0.0.0/33", "https://10.0.0.0/", false),
            ("10.0.0.0/8", "https://10.example/", false),
            ("10.1.2.3", "https://10.1.2.3/", true),
            ("10.1.2.3:5000", "https://10.1.2.3:5000/", true),
            ("2.3", "https://10.1.2.3/", false),
            ("[2001:db8::1]:5000", "https://[2001:db8:0::1]:5000/", true),
            ("2001:db8::1", "https://[2001:db8::1]/", true),
            (",, ,:,.,/8", "https://a.example/", false),
        ] {
            let found = of(&[("https_proxy", "p:1"), ("NO_PROXY", list)], url);
            assert_eq!(found.is_none(), around, "{list:?} {url}");
        }
        let pairs = [("https_proxy", "p:1"), ("no_proxy", "b.example"), ("NO_PROXY", "a.example")];
        assert!(of(&pairs, "https://a.example/").is_some());
    }

    #[test]
    fn what_is_none() {
        for (text, shown) in [
            ("socks5://u:secret@p:1", "p:1 (HTTPS_PROXY) is no proxy: cooper speaks HTTP"),
            ("ftp://u:secret@p:1", "it takes http://HOST:PORT"),
            ("http://u:secret@", "it takes http://HOST:PORT"),
            ("http://u:secret@p p", "it takes http://HOST:PORT"),
        ] {
            let told = Proxy { variable: "HTTPS_PROXY", text: text.into() }.open().unwrap_err().to_string();
            assert!(told.contains(shown) && !told.contains("secret"), "{told}");
        }
        for good in ["p", "p:1", "http://p:1/", "HTTP://u:p@p:1", "https://p"] {
            assert!(Proxy { variable: "HTTPS_PROXY", text: good.into() }.open().is_ok(), "{good}");
        }
    }
}
