//! A registry's part in what went wrong.

use cooperage::http::Cause;
use cooperage::ops;
use cooperage::registry::{Download, Error};
use cooperage::{sink, substitute as place};

use super::problem::{Machine, Problem, Room};
use crate::exit::Exit;

/// Nothing where no registry has a part in it.
pub(super) fn problem(error: &ops::Error) -> Option<Problem> {
    let (exit, hint) = match part(error)? {
        Error::Settings(_) => (Exit::Usage, None),
        Error::NoSuchImage { suggestion: Some(tag), .. } => {
            (Exit::Missing, Some(format!("did you mean the tag {tag}?")))
        }
        Error::NoSuchImage { .. } => (
            Exit::Missing,
            Some(
                "a private one may not show itself: `docker login` or `podman login` says who you are".into(),
            ),
        ),
        Error::Http(error) => (ending(&error.cause), hint(&error.cause).map(str::to_owned)),
        Error::Unexpected { .. } => (Exit::Input, None),
    };
    Some(Problem::chain("registry", exit, error).hints(hint))
}

/// The registry's own error, however deep.
fn part(error: &ops::Error) -> Option<Error> {
    match error {
        ops::Error::Sink(sink::Error::Registry(found))
        | ops::Error::Substitute(place::Error::Registry(found))
        | ops::Error::Base { source: place::Error::Registry(found), .. } => Some(found.clone()),
        error => match error.machine()? {
            Machine::Io(error) => Download::failure(error).cloned().map(Error::Http),
            Machine::Disk(_) => None,
        },
    }
}

const fn ending(cause: &Cause) -> Exit {
    match cause {
        Cause::Answer(_) | Cause::Redirect(_) | Cause::TooLarge { .. } | Cause::Endless { .. } => Exit::Input,
        _ => Exit::System,
    }
}

const fn hint(cause: &Cause) -> Option<&'static str> {
    Some(match cause {
        Cause::Status { status: 401 | 403, .. } => {
            "`docker login` or `podman login` says who you are to a registry"
        }
        Cause::Untrusted(_) => "ca = \"FILE.pem\" for the host in cooper's configuration says whom to trust",
        Cause::Proxy { .. } => "NO_PROXY names hosts, domains and networks that are reached without a proxy",
        Cause::Plain => "plain-http = true in cooper's configuration allows it for a host",
        Cause::Connect(_) | Cause::Timeout(_) => {
            "can it be reached from here? HTTPS_PROXY, or a [[mirror]] in cooper's configuration, leads around"
        }
        _ => return None,
    })
}
