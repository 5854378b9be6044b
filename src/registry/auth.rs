//! Who we say we are: basic credentials, and tokens as the distribution project's token specification has them.
//!
//! Credentials go to the registry that they are for, and to where it hands out its tokens if that is the same host, a
//! neighbour in a domain of its own, or one that the site's configuration names. A domain below which anybody can have a name
//! is nobody's own.

use std::time::{Duration, Instant};

use super::client::Client;
use super::credentials::Credential;
use crate::http::{self, Authorize, Body, Cause, Request, Url, shown};
use crate::oci::{base64, json};

/// A token is good for so many seconds at least, whatever its server says (the token specification).
const LEAST_LIFE: u64 = 60;
/// Tokens are larger than one thinks.
const MAX_ANSWER: u64 = 1 << 20;

/// A repository that is about to be asked for something.
pub(super) struct Asking<'r> {
    pub(super) client: &'r Client,
    /// As in references.
    pub(super) host: &'r str,
    pub(super) path: &'r str,
    pub(super) scope: String,
}

impl Asking<'_> {
    fn key(&self) -> (String, String) {
        (self.host.to_owned(), self.scope.clone())
    }

    fn place(&self) -> (String, String) {
        (self.host.to_owned(), self.path.to_owned())
    }

    fn credential(&self, url: &Url) -> Result<Option<Credential>, http::Error> {
        let found = self.client.credentials.of(self.host, self.path);
        found.map_err(|why| http::Error::new("GET", url.clone(), Cause::Request(why)))
    }

    /// The repository's own URL.
    fn url(&self) -> Result<Url, http::Error> {
        self.client.url(self.host, self.path, "")
    }

    /// Gets a token where a challenge says.
    fn token(&self, challenge: &Challenge) -> Result<(), http::Error> {
        let own = self.url()?;
        let failed = |why: String| http::Error::new("GET", own.clone(), Cause::Answer(why));
        let realm = challenge.parameter("realm").unwrap_or_default();
        let wrong = |why| failed(format!("it wants a token of {:?}: {why}", shown(realm)));
        let realm = own.resolve(realm).map_err(wrong)?;
        let credential = self.credential(&own)?;
        if let Some(Credential::Bearer(token)) = credential {
            self.keep(token, LEAST_LIFE);
            return Ok(());
        }
        if credential.is_some() && !self.is_neighbour(&realm, &own) {
            return Err(failed(format!(
                "it wants the credentials of {} sent to {}, another host; if that is right, say token-hosts = [{:?}] \
                 for it in cooper's configuration",
                self.host,
                realm.authority(),
                realm.authority(),
            )));
        }
        // What a registry wants for a question may be less than what an upload after it takes: a token that is asked for
        // all of it at once spares sending a body that is refused.
        let asked = challenge.parameter("scope").filter(|asked| !covers(&self.scope, asked));
        let scope = asked.unwrap_or(&self.scope);
        let service = challenge.parameter("service");
        let form;
        let request = match &credential {
            Some(Credential::Identity(token)) => {
                form = refresh_form(token, scope, service);
                let headers = vec![("content-type", "application/x-www-form-urlencoded".to_owned())];
                let body = Body::Bytes(form.as_bytes());
                Request { headers, body, secret: true, ..Request::new("POST", realm) }
            }
            other => {
                let mut request = Request::get(question(realm, scope, service));
                if let Some(Credential::Basic { user, password }) = other {
                    request.headers.push(("authorization", basic(user, password)));
                    request.secret = true;
                }
                request
            }
        };
        let response = self.client.http.send(&request)?;
        if response.status != 200 {
            return Err(response.refused());
        }
        let (token, life) = token_of(&response.bytes(MAX_ANSWER)?).map_err(failed)?;
        // Renewed before its end, not after it.
        self.keep(token, (life - life / 8).min(86_400));
        Ok(())
    }

    /// Keeps a token that is good for so many seconds.
    fn keep(&self, token: String, life: u64) {
        let until = Instant::now() + Duration::from_secs(life);
        self.client.tokens(|tokens| tokens.bearer.insert(self.key(), (token, until)));
    }

    /// Whether credentials for the registry may be shown to a token server.
    fn is_neighbour(&self, realm: &Url, own: &Url) -> bool {
        let (there, here) = (realm.host(), own.host());
        let within = |domain: &str| {
            let below = there.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
            !is_shared(domain) && (there == domain || below)
        };
        let domain = here.split_once('.').map(|(_, domain)| domain);
        let named = self.client.http.settings().host(self.host);
        let numeric = here.parse::<std::net::IpAddr>().is_ok();
        there == here
            || (!numeric && (within(&here) || domain.is_some_and(within)))
            || named.is_some_and(|host| {
                host.token_hosts.iter().any(|name| name == realm.authority() || *name == there)
            })
    }
}

/// Whether anybody can have a name below a domain. The public suffix list knows more of them; it would cost the first
/// build a fifteenth of its time, and whoever is led to one of the rest is a registry's own choice.
fn is_shared(domain: &str) -> bool {
    const KINDS: &str = " ac asn co com edu firm gen go gob gouv gov govt gv id ind ltd me mil ne net nhs nom or org plc sch web ";
    const HOSTS: &str = " azurecr.io azurewebsites.net cloudfront.net duckdns.org fly.dev github.io gitlab.io \
        herokuapp.com netlify.app ngrok.io onrender.com pages.dev run.app vercel.app web.app workers.dev ";
    let is_one_of = |list: &str, name: &str| list.contains(&format!(" {name} "));
    match domain.split_once('.') {
        None => true,
        Some((kind, country)) if !country.contains('.') => {
            (country.len() == 2 && is_one_of(KINDS, kind)) || is_one_of(HOSTS, domain)
        }
        // Each service and region of theirs has its own.
        Some(_) => domain.ends_with(".amazonaws.com") || domain.ends_with(".azure.com"),
    }
}

impl Authorize for Asking<'_> {
    fn header(&self) -> Option<String> {
        let (key, place) = (self.key(), self.place());
        self.client.tokens(|tokens| {
            let token = tokens.bearer.get(&key).filter(|(_, until)| Instant::now() < *until);
            token.map(|(token, _)| format!("Bearer {token}")).or_else(|| tokens.basic.get(&place).cloned())
        })
    }

    fn challenged(&self, challenges: &[String]) -> Result<bool, http::Error> {
        let challenges: Vec<Challenge> = challenges.iter().flat_map(|text| Challenge::parse(text)).collect();
        let is_bearer = |challenge: &&Challenge| {
            challenge.scheme == "bearer"
                && challenge.parameter("realm").is_some_and(|realm| !realm.is_empty())
        };
        if let Some(challenge) = challenges.iter().find(is_bearer) {
            return self.token(challenge).map(|()| true);
        }
        if !challenges.iter().any(|challenge| challenge.scheme == "basic") {
            return Ok(false);
        }
        let url = self.url()?;
        let Some(Credential::Basic { user, password }) = self.credential(&url)? else { return Ok(false) };
        let header = basic(&user, &password);
        let before = self.client.tokens(|tokens| tokens.basic.insert(self.place(), header.clone()));
        Ok(before.as_ref() != Some(&header))
    }
}

/// What asks for a token with one that `docker login` got.
fn refresh_form(token: &str, scope: &str, service: Option<&str>) -> String {
    let query = Url::default().with("grant_type", "refresh_token").with("client_id", "cooper");
    let query = query.with("refresh_token", token).with("scope", scope);
    let query = service.map_or(query.clone(), |service| query.with("service", service));
    query.as_str().trim_start_matches('?').to_owned()
}

/// What asks for a token with a password, or without one.
fn question(realm: Url, scope: &str, service: Option<&str>) -> Url {
    let url = service.map_or(realm.clone(), |service| realm.with("service", service));
    scope.split(' ').fold(url, |url, scope| url.with("scope", scope))
}

/// The token that a server gave, and for how many seconds.
fn token_of(answer: &[u8]) -> Result<(String, u64), String> {
    let answer = json::parse(answer).map_err(|error| format!("its token server: {error}"))?;
    let member = |name: &str| answer.as_object().and_then(|members| members.get(name));
    let sound = |token: &&str| !token.is_empty() && token.bytes().all(|b| b.is_ascii_graphic());
    let token = ["token", "access_token"].into_iter().find_map(|name| member(name)?.as_str().filter(sound));
    let token = token.ok_or("its token server gave no token")?;
    let life = member("expires_in").and_then(json::Value::as_u64).unwrap_or_default();
    Ok((token.to_owned(), life.max(LEAST_LIFE)))
}

/// Whether all that `less` names is in `scope` (`repository:a/b:pull,push repository:c:pull`).
fn covers(scope: &str, less: &str) -> bool {
    let split = |text| str::rsplit_once(text, ':').unwrap_or((text, ""));
    less.split_whitespace().map(split).all(|(name, actions)| {
        let mut own = scope.split(' ').map(split).filter(|(own, _)| *own == name);
        own.any(|(_, own)| actions.split(',').all(|action| own.split(',').any(|own| own == action)))
    })
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", base64(format!("{user}:{password}").as_bytes()))
}

/// One challenge of `WWW-Authenticate` (RFC 9110, 11.6.1).
#[derive(Debug, PartialEq, Eq)]
struct Challenge {
    /// In lower case.
    scheme: String,
    parameters: Vec<(String, String)>,
}

impl Challenge {
    fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// All challenges of one header.
    fn parse(text: &str) -> Vec<Self> {
        let mut found: Vec<Self> = Vec::new();
        let mut rest = text;
        loop {
            // Semicolons part nothing by the norm, but for some servers they do.
            rest = rest.trim_start_matches([' ', '\t', ',', ';']);
            if rest.is_empty() {
                break;
            }
            let end = rest.find([' ', '\t', '=', ',']).unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            rest = after.trim_start();
            if let Some(value) = rest.strip_prefix('=') {
                let (value, after) = unquote(value.trim_start());
                if let Some(challenge) = found.last_mut() {
                    challenge.parameters.push((word.to_ascii_lowercase(), value));
                }
                rest = after;
                continue;
            }
            let challenge = Self { scheme: word.to_ascii_lowercase(), parameters: Vec::new() };
            // What follows a comma is no parameter of this one: it is a scheme alone, or the rest of a scope without quotes.
            let at = if rest.is_empty() || rest.starts_with(',') { 0 } else { found.len() };
            found.insert(at, challenge);
        }
        found
    }
}

/// A value, with or without quotes, and what comes after it.
fn unquote(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let (mut value, mut escaped) = (String::new(), false);
    for (at, c) in quoted.char_indices() {
        match c {
            _ if escaped => (value, escaped) = (value + &c.to_string(), false),
            '\\' => escaped = true,
            '"' => return (value, &quoted[at + 1..]),
            c => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::credentials::NoCredentials;
    use super::*;

    #[test]
    fn challenges() {
        let text = r#"Bearer realm="https://auth.example/t?x=\"y\"",service=a, scope="repository:a/b:pull,push", Basic realm=x"#;
        let found = Challenge::parse(text);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].parameter("realm"), Some("https://auth.example/t?x=\"y\""));
        assert_eq!(found[0].parameter("service"), Some("a"));
        assert_eq!(found[0].parameter("scope"), Some("repository:a/b:pull,push"));
        assert_eq!((found[1].scheme.as_str(), found[1].parameter("realm")), ("basic", Some("x")));
        for (text, service) in [
            ("bearer Realm = \"r\" ,\tSERVICE= \"s\"", "s"),
            ("Negotiate, Bearer realm=r,service=s", "s"),
            ("Negotiate abc==, NTLM, BEARER realm=r,scope=repository:a:pull,push,service=s", "s"),
            ("Bearer realm=\"r\";service=\"s, t\"; x", "s, t"),
        ] {
            let found = Challenge::parse(text);
            let bearer = found.iter().find(|challenge| challenge.scheme == "bearer").unwrap();
            let both = (bearer.parameter("realm"), bearer.parameter("service"));
            assert_eq!(both, (Some("r"), Some(service)), "{text}");
        }
        for odd in ["", ",,", "=", "Basic", "a=b", "Bearer realm=\"", "Bearer =x, =", ";", "a = ", "ä \t=ö"]
        {
            Challenge::parse(odd);
        }
    }

    #[test]
    fn answers() {
        for (answer, token, life) in [
            (r#"{"token":"t"}"#, "t", 60),
            (r#"{"token":"t","access_token":"a","expires_in":300}"#, "t", 300),
            (r#"{"access_token":"a","expires_in":59}"#, "a", 60),
            (r#"{"token":"","access_token":"a","expires_in":0}"#, "a", 60),
            (r#"{"token":null,"access_token":"a","expires_in":-1}"#, "a", 60),
            (r#"{"token":"t","expires_in":null}"#, "t", 60),
            (r#"{"token":"t","expires_in":"300"}"#, "t", 60),
        ] {
            assert_eq!(token_of(answer.as_bytes()), Ok((token.to_owned(), life)), "{answer}");
        }
        for none in ["", "[]", "{}", r#"{"token":""}"#, r#"{"token":"a b"}"#, r#"{"token":7}"#] {
            assert!(token_of(none.as_bytes()).is_err(), "{none}");
        }
    }

    #[test]
    fn scopes() {
        let own = "repository:a/b:pull,push repository:c:pull";
        for less in ["", "repository:a/b:pull", "repository:c:pull  repository:a/b:push,pull"] {
            assert!(covers(own, less), "{less}");
        }
        for other in ["repository:c:push", "repository:a:pull", "repository:a/b:*", "a", "repository:a/b"] {
            assert!(!covers(own, other), "{other}");
        }
    }

    #[test]
    fn neighbours() {
        let host = http::Host { token_hosts: vec!["strange.example".into()], ..http::Host::default() };
        let hosts = BTreeMap::from([("named.example.org".to_owned(), host)]);
        let settings = http::Settings { hosts, ..http::Settings::default() };
        let client = Client::new(settings, Box::new(NoCredentials));
        let may = |host: &str, realm: &str| {
            let own = Url::parse(&format!("https://{host}/v2/")).unwrap();
            let asking = Asking { client: &client, host, path: "a", scope: String::new() };
            asking.is_neighbour(&Url::parse(realm).unwrap(), &own)
        };
        for (host, realm) in [
            ("registry-1.docker.io", "https://auth.docker.io/token"),
            ("registry.gitlab.com", "https://gitlab.com/jwt/auth"),
            ("ghcr.io", "https://ghcr.io/token"),
            ("a.example.org:5000", "https://a.example.org/token"),
            ("named.example.org", "https://strange.example/token"),
            ("127.0.0.1:5000", "http://127.0.0.1:6000/token"),
            ("registry.example.co.uk", "https://gitlab.example.co.uk/jwt/auth"),
            ("registry.example.com", "https://gitlab.example.com/jwt/auth"),
            ("registry.corp.internal", "https://login.corp.internal/"),
            ("quay.io", "https://quay.io/v2/auth"),
            ("eu.gcr.io", "https://eu.gcr.io/v2/token"),
            (
                "registry.redhat.io",
                "https://registry.redhat.io/auth/realms/rhcc/protocol/redhat-docker-v2/auth",
            ),
            ("public.ecr.aws", "https://public.ecr.aws/token/"),
            ("me.github.io", "https://token.me.github.io/"),
            ("registry", "https://registry/token"),
        ] {
            assert!(may(host, realm), "{host} {realm}");
        }
        for (host, realm) in [
            ("ghcr.io", "https://evil.io/token"),
            ("registry.example.org", "https://notexample.org/"),
            ("registry.example.org", "https://strange.example/token"),
            ("10.0.0.1", "https://9.0.0.1/"),
            ("a.co", "https://b.co/"),
            ("registry.co.uk", "https://evil.co.uk/"),
            ("registry.co.uk", "https://co.uk/"),
            ("registry.com.au", "https://auth.com.au/token"),
            ("registry.or.jp", "https://login.evil.or.jp/"),
            ("me.github.io", "https://you.github.io/token"),
            ("registry.fly.dev", "https://auth.fly.dev/"),
            ("r.s3.amazonaws.com", "https://x.s3.amazonaws.com/"),
            ("registry", "https://auth.registry/token"),
            ("co.uk", "https://evil.co.uk/"),
        ] {
            assert!(!may(host, realm), "{host} {realm}");
        }
    }
}
