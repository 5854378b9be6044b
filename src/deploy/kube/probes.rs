//! A recipe's health as the kubelet asks for it.

use super::parts::command;
use crate::deploy::yaml::Yaml;
use crate::deploy::{number, port};
use crate::recipe::{Health, Probe};

/// The API's defaults, in seconds and failures, where a recipe says nothing.
const PERIOD: u64 = 10;
const FAILURES: u64 = 3;
/// A service that has stopped to answer for so many times longer than it may is started again.
const PATIENCE: u64 = 3;
const SECOND: u64 = 1_000_000_000;

/// A probe that waits for the start, one for whether others may call it, and one for whether it lives at all.
pub(super) fn probes(health: &Health) -> Option<[(&'static str, Yaml); 3]> {
    let connect = |number: u16| ("tcpSocket", Yaml::map([("port", Yaml::plain(number))]));
    let outside = health.probe.as_ref().and_then(|probe| match probe {
        // What a service answers may depend on others; starting it again would mend nothing.
        Probe::Http(url) => http(url).map(|(number, get)| (("httpGet", get), connect(number))),
        Probe::Tcp(text) => port(text).map(|(number, _)| (connect(number), connect(number))),
    });
    let inside = || {
        let run = ("exec", Yaml::map([("command", command(health.check.cmd.as_ref()?))]));
        Some((run.clone(), run))
    };
    let (ready, alive) = outside.or_else(inside)?;
    let seconds = |time: Option<u64>, default: u64| time.map_or(default, |time| time.div_ceil(SECOND).max(1));
    let period = seconds(health.check.interval, PERIOD);
    let failures = health.check.retries.map_or(FAILURES, u64::from);
    let probe = |(how, what): &(&str, Yaml), failures: u64| {
        Yaml::map([
            (*how, what.clone()),
            ("periodSeconds", Yaml::plain(period)),
            ("timeoutSeconds", Yaml::plain(seconds(health.check.timeout, 1))),
            ("failureThreshold", Yaml::plain(failures)),
        ])
    };
    // What doesn't count while it starts, and what counts then.
    let start = seconds(health.check.start, 1).div_ceil(period) + failures;
    Some([
        ("startupProbe", probe(&ready, start)),
        ("readinessProbe", probe(&ready, failures)),
        ("livenessProbe", probe(&alive, failures.saturating_mul(PATIENCE).min(i32::MAX as u64))),
    ])
}

/// `http://127.0.0.1:8080/ready`: a pod is asked at its own address. With the port.
pub(super) fn http(url: &str) -> Option<(u16, Yaml)> {
    let (scheme, rest) = url.split_once("://")?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let default = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    // The colons of an IPv6 address are in brackets.
    let host = authority.rfind(']').map_or(0, |end| end + 1);
    let colon = authority[host..].rfind(':').map(|colon| host + colon);
    let number = colon.map_or(Some(default), |colon| number(&authority[colon + 1..]))?;
    if authority[..colon.unwrap_or(authority.len())].is_empty() {
        return None;
    }
    let mut out = Yaml::map([("path", Yaml::text(format!("/{path}"))), ("port", Yaml::plain(number))]);
    if scheme == "https" {
        out.put("scheme", Yaml::text("HTTPS"));
    }
    Some((number, out))
}
