//! Services that don't fit together.

use cooperage::deploy::{self, Fault};

use super::problem::Problem;
use super::recipe::did_you_mean;
use crate::exit::Exit;

pub(super) fn problem(error: deploy::Error) -> Problem {
    let problem = Problem::new("service", Exit::Input, error.to_string()).at(error.at, None);
    match error.fault {
        Fault::NoService { suggestion, known, .. } => {
            problem.hints(did_you_mean(suggestion.as_ref())).hint(format!("it has {}", known.join(", ")))
        }
        Fault::NoHealth { .. } => problem.hint(
            "give it [service.health] with cmd, which an engine runs in it; http and tcp are for Kubernetes",
        ),
        Fault::NeverSo { .. } => problem.hint("services are started or healthy, jobs are done"),
        Fault::Circle { .. } => problem.hint("one of them must come first"),
        Fault::Port { .. } => {
            problem.hint("as Compose writes it: \"8080\", \"80:8080\", \"127.0.0.1:53:53/udp\"")
        }
        Fault::Substitution { .. } => problem.hint("give a value here, or a secret, or use the Compose file"),
        Fault::Secret { .. } => {
            problem.hint("[service] secrets gives it when the container starts; ${NAME} leaves it to Compose")
        }
        Fault::Hidden { .. } => problem.hint(
            "put it elsewhere; a file that is meant for a volume that is new says below-volume = \"ok\"",
        ),
        Fault::Twice { .. } => problem.hint("give one of them another name"),
        Fault::NoLabel { .. } => problem
            .hint("rename its directory below recipes/ (the job, the volume), or run the stack by Compose"),
        Fault::Command { .. } => {
            problem.hint("[config] of the recipe, or of its variant, says what the image runs")
        }
        Fault::Unsayable { .. } => {
            problem.hint("choose another name or path; what runs it can be written into a file of the image")
        }
        Fault::Mounted { .. } => {
            problem.hint("a variant without mount-in copies it into the image: --variant prod")
        }
    }
}
