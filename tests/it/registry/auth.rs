//! Who may do what: Basic, or Bearer with tokens from `/token` (Docker's token and OAuth 2 specifications).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;

use super::api::error;
use super::http::{Request, Response, form};
use super::store::State;

/// What a request must prove.
#[derive(Debug, Clone)]
pub(crate) enum Auth {
    /// Nothing.
    None,
    /// User and password with each request.
    Basic(String, String),
    /// A token.
    Bearer(Bearer),
}

/// How tokens are given: `Bearer { uses: Some(3), ..Bearer::new("me", "secret") }`.
#[derive(Debug, Clone)]
pub(crate) struct Bearer {
    pub(crate) user: String,
    pub(crate) password: String,
    /// An identity token, which POST takes in place of user and password, and gives to who asks for offline access.
    pub(crate) refresh: String,
    /// Who tells no user gets tokens to pull with.
    pub(crate) anonymous_pull: bool,
    /// Where the challenge sends clients, if not to `/token` here.
    pub(crate) realm: Option<String>,
    /// How many requests a token is good for; clients aren't told.
    pub(crate) uses: Option<usize>,
    /// How long a token is good; clients are told whole seconds.
    pub(crate) lifetime: Option<Duration>,
    /// `/token` takes POST; otherwise it answers 405.
    pub(crate) post: bool,
    /// Makes tokens that another registry believes, of what lies in the directory.
    pub(crate) make: Option<(PathBuf, Make)>,
}

impl Bearer {
    /// Tokens for this user only, without limits.
    pub(crate) fn new(user: &str, password: &str) -> Self {
        Self {
            user: user.to_owned(),
            password: password.to_owned(),
            refresh: "a-refresh-token".to_owned(),
            anonymous_pull: false,
            realm: None,
            uses: None,
            lifetime: None,
            post: true,
            make: None,
        }
    }
}

/// Actions by repository.
pub(crate) type Scopes = BTreeMap<String, BTreeSet<String>>;

/// Makes a token that is good for this.
pub(crate) type Make = fn(&Path, &Scopes) -> String;

/// A token that was given.
pub(super) struct Token {
    scopes: Scopes,
    uses: usize,
    until: Option<Instant>,
}

/// Of `repository:a/b:pull,push repository:c:pull`.
fn scopes<'a>(words: impl Iterator<Item = &'a str>) -> Scopes {
    let mut scopes = Scopes::new();
    for scope in words.flat_map(str::split_whitespace) {
        if let Some((name, actions)) =
            scope.strip_prefix("repository:").and_then(|scope| scope.rsplit_once(':'))
        {
            scopes.entry(name.to_owned()).or_default().extend(actions.split(',').map(str::to_owned));
        }
    }
    scopes
}

fn written(scopes: &Scopes) -> String {
    let scope = |(name, actions): (&String, &BTreeSet<String>)| {
        format!("repository:{name}:{}", actions.iter().map(String::as_str).collect::<Vec<_>>().join(","))
    };
    scopes.iter().map(scope).collect::<Vec<_>>().join(" ")
}

/// What a request to a repository must be allowed.
fn needed(request: &Request, name: &str) -> Scopes {
    let actions = match request.method.as_str() {
        "GET" | "HEAD" => "pull",
        "DELETE" => "delete",
        _ => "pull,push",
    };
    let own = (!name.is_empty()).then(|| format!("repository:{name}:{actions}"));
    let from = request.query("from").map(|from| format!("repository:{from}:pull"));
    scopes(own.as_deref().into_iter().chain(from.as_deref()))
}

/// Refuses a request that doesn't prove what it must.
pub(super) fn check(state: &mut State, host: &str, request: &Request, name: &str) -> Result<(), Response> {
    let given = request.header("authorization");
    let refusal = |challenge: String| {
        Err(error(401, "UNAUTHORIZED", "authentication required").with("www-authenticate", challenge))
    };
    match &state.settings.auth {
        Auth::None => Ok(()),
        Auth::Basic(user, password) => match basic(given) {
            Some(told) if told == (user.clone(), password.clone()) => Ok(()),
            _ => refusal("Basic realm=\"registry\"".to_owned()),
        },
        Auth::Bearer(bearer) => {
            let needed = needed(request, name);
            let token = given.and_then(|given| given.strip_prefix("Bearer "));
            let why = match token.map(|token| state.tokens.get_mut(token)) {
                None => "",
                Some(Some(token)) if token.live() => match token.covers(&needed) {
                    true => {
                        token.uses -= 1;
                        return Ok(());
                    }
                    false => ",error=\"insufficient_scope\"",
                },
                Some(_) => ",error=\"invalid_token\"",
            };
            let realm = bearer.realm.clone().unwrap_or_else(|| format!("http://{host}/token"));
            let scope = match written(&needed) {
                none if none.is_empty() => none,
                scope => format!(",scope=\"{scope}\""),
            };
            refusal(format!("Bearer realm=\"{realm}\",service=\"{host}\"{scope}{why}"))
        }
    }
}

impl Token {
    fn live(&self) -> bool {
        self.uses > 0 && self.until.is_none_or(|until| Instant::now() < until)
    }

    fn covers(&self, needed: &Scopes) -> bool {
        let all = |given: &BTreeSet<String>, actions| given.contains("*") || given.is_superset(actions);
        needed.iter().all(|(name, actions)| self.scopes.get(name).is_some_and(|given| all(given, actions)))
    }
}

/// `/token`: GET with Basic, or POST of a form.
pub(super) fn token(state: &mut State, request: &Request) -> Response {
    let Auth::Bearer(bearer) = state.settings.auth.clone() else {
        return error(404, "UNKNOWN", "no tokens here");
    };
    let posted = form(&String::from_utf8_lossy(&request.body));
    let (fields, user) = match request.method.as_str() {
        "GET" => (&request.query, basic(request.header("authorization"))),
        "POST" if bearer.post => {
            let field = |name: &str| posted.iter().find(|(key, _)| key == name).map(|(_, v)| v.clone());
            let user = match field("grant_type").as_deref() {
                Some("password") => field("username").zip(field("password")),
                Some("refresh_token") if field("refresh_token").as_ref() == Some(&bearer.refresh) => {
                    Some((bearer.user.clone(), bearer.password.clone()))
                }
                Some("refresh_token") => None,
                _ => return error(400, "UNSUPPORTED", "unknown grant_type"),
            };
            if user.is_none() || field("service").is_none() || field("client_id").is_none() {
                return error(401, "UNAUTHORIZED", "no credentials, service or client_id");
            }
            (&posted, user)
        }
        _ => return error(405, "UNSUPPORTED", "method not allowed"),
    };
    let mut scopes = scopes(fields.iter().filter(|(key, _)| key == "scope").map(|(_, v)| v.as_str()));
    match user {
        Some(user) if user == (bearer.user.clone(), bearer.password.clone()) => {}
        None if bearer.anonymous_pull => {
            scopes.values_mut().for_each(|actions| actions.retain(|action| action == "pull"));
            scopes.retain(|_, actions| !actions.is_empty());
        }
        _ => return error(401, "UNAUTHORIZED", "incorrect username or password"),
    }
    let is = |name: &str, value: &str| fields.iter().any(|(key, it)| key == name && it == value);
    let token = match &bearer.make {
        Some((directory, make)) => make(directory, &scopes),
        None => format!("token-{}", state.next()),
    };
    let seconds = bearer.lifetime.map_or(300, |lifetime| lifetime.as_secs());
    let mut answer = json!({ "access_token": token, "expires_in": seconds, "scope": written(&scopes) });
    if request.method == "GET" {
        answer["token"] = token.as_str().into();
    }
    if is("offline_token", "true") || is("access_type", "offline") {
        answer["refresh_token"] = bearer.refresh.into();
    }
    let until = bearer.lifetime.map(|lifetime| Instant::now() + lifetime);
    state.tokens.insert(token, Token { scopes, uses: bearer.uses.unwrap_or(usize::MAX), until });
    Response::new(200).with("content-type", "application/json").body(answer.to_string().into_bytes())
}

/// User and password.
fn basic(given: Option<&str>) -> Option<(String, String)> {
    let text = String::from_utf8(base64(given?.strip_prefix("Basic ")?)?).ok()?;
    text.split_once(':').map(|(user, password)| (user.to_owned(), password.to_owned()))
}

fn base64(text: &str) -> Option<Vec<u8>> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut out, mut held, mut bits) = (Vec::new(), 0_u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        let digit = DIGITS.iter().position(|digit| *digit == byte)?;
        (held, bits) = ((held << 6 | u32::try_from(digit).ok()?) & 0xffff, bits + 6);
        if bits >= 8 {
            bits -= 8;
            out.push((held >> bits & 0xff) as u8);
        }
    }
    Some(out)
}
