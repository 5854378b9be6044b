//! A Compose file: what Docker Compose 1.29 and later take alike.
//!
//! So without `name`, which 1.29 refuses (the project is named by `-p`), and without `create_host_path`, likewise:
//! whoever writes the file looks whether the sources are there.

use std::collections::{BTreeMap, BTreeSet};

use super::yaml::Yaml;
use super::{Stack, Unit, Written, duration, env, job_name, texts};
use crate::recipe::{After, Check, Job, Secret, Spanned};

/// The variable that says where secrets lie, and where they lie without it: beside the file.
const SECRETS: &str = "${COOPER_SECRETS:-./secrets}";

/// The file `compose.yaml`.
pub fn compose(stack: &Stack) -> Written {
    let (mut services, mut volumes, mut secrets) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    for unit in &stack.units {
        services.push((unit.name.clone(), unit.service()));
        for (name, job) in &unit.service.jobs {
            services.push((job_name(&unit.name, name), unit.job(job)));
        }
        volumes.extend(unit.service.volumes.keys().map(|name| unit.volume(name)));
        secrets
            .extend(unit.service.secrets.iter().filter(|(_, secret)| is_file(secret)).map(|(name, _)| name));
    }
    let mut document = Yaml::map([("services", Yaml::Map(services))]);
    // A volume without settings.
    document.put("volumes", Yaml::Map(volumes.into_iter().map(|name| (name, Yaml::map([]))).collect()));
    let secret =
        |name: &String| (name.clone(), Yaml::map([("file", Yaml::text(format!("{SECRETS}/{name}")))]));
    document.put("secrets", Yaml::Map(secrets.into_iter().map(secret).collect()));
    let text = format!(
        "# {stack}, {variant}: made by `{command}`. Don't edit it: what a site changes goes into an\n\
         # override file beside it. Run with the project's name: docker compose -p {stack} up\n{body}",
        stack = stack.name,
        variant = stack.variant,
        command = stack.command,
        body = document.document(),
    );
    Written { files: BTreeMap::from([("compose.yaml".to_owned(), text)]), left_out: Vec::new() }
}

fn is_file(secret: &Secret) -> bool {
    matches!(secret, Secret::File(_))
}

/// What reaches the container as it is: Compose would fill in `$`.
fn literal(text: &str) -> String {
    text.replace('$', "$$")
}

/// What Compose fills in, `${NAME}`, and nothing else: it would take `$NAME` too, and `$$` for one.
fn filled_in(text: &str) -> String {
    let mut parts = text.split("${");
    let first = parts.next().map(literal).unwrap_or_default();
    parts.fold(first, |out, part| out + "${" + &literal(part))
}

fn command(texts_: &[Spanned<String>]) -> Yaml {
    Yaml::List(texts(texts_).into_iter().map(|text| Yaml::Text(literal(text))).collect())
}

impl Unit {
    fn volume(&self, name: &str) -> String {
        format!("{}-{name}", self.name)
    }

    fn service(&self) -> Yaml {
        let service = &self.service;
        let mut out = self.common(&env(service, None));
        let ports = service.ports.iter().flatten().map(|port| Yaml::Text(filled_in(port)));
        out.put("ports", Yaml::List(ports.collect()));
        out.put("depends_on", depends(&service.after));
        out.put(
            "healthcheck",
            service.health.as_ref().map_or(Yaml::map([]), |health| healthcheck(&health.check)),
        );
        let labels = service.labels.iter().map(|(name, value)| (name.clone(), Yaml::text(filled_in(value))));
        out.put("labels", Yaml::Map(labels.collect()));
        self.pass_through(&mut out);
        out
    }

    fn job(&self, job: &Job) -> Yaml {
        let mut out = self.common(&env(&self.service, Some(job)));
        out.put("entrypoint", job.entrypoint.as_deref().map_or(Yaml::map([]), command));
        out.put("command", job.cmd.as_deref().map_or(Yaml::map([]), command));
        out.put("depends_on", depends(&job.after));
        self.pass_through(&mut out);
        if let Yaml::Map(members) = &mut out {
            // They would be the service's, which runs beside it.
            members.retain(|(key, _)| !["restart", "hostname", "container_name"].contains(&key.as_str()));
        }
        out.put("restart", Yaml::text("no"));
        out
    }

    /// What a service and its jobs have in common.
    fn common(&self, env: &BTreeMap<&str, &Spanned<String>>) -> Yaml {
        let mut out = Yaml::map([("image", Yaml::text(&self.image))]);
        if self.called != self.image {
            // An engine's own ID: no registry has it.
            out.put("x-image", Yaml::text(&self.called));
            out.put("pull_policy", Yaml::text("never"));
        }
        let mut environment: Vec<(String, Yaml)> =
            env.iter().map(|(name, value)| ((*name).to_owned(), Yaml::text(filled_in(value)))).collect();
        let (mut secrets, mut mounts) = (Vec::new(), Vec::new());
        for (name, secret) in &self.service.secrets {
            match secret {
                Secret::File(path) => secrets
                    .push(Yaml::map([("source", Yaml::text(name)), ("target", Yaml::text(literal(path)))])),
                Secret::Env(variable) => {
                    let value = format!("${{{name}:?the secret {name} is not set}}");
                    environment.push((variable.value.clone(), Yaml::text(value)));
                }
            }
        }
        for (name, path) in &self.service.volumes {
            mounts.push(Yaml::map([
                ("type", Yaml::text("volume")),
                ("source", Yaml::text(self.volume(name))),
                ("target", Yaml::text(literal(path))),
            ]));
        }
        for mount in &self.mounts {
            let mut bind = Yaml::map([
                ("type", Yaml::text("bind")),
                ("source", Yaml::text(literal(&mount.source))),
                ("target", Yaml::text(literal(&mount.target))),
            ]);
            if mount.read_only {
                bind.put("read_only", Yaml::plain(true));
            }
            mounts.push(bind);
        }
        out.put("environment", Yaml::Map(environment));
        out.put("secrets", Yaml::List(secrets));
        out.put("volumes", Yaml::List(mounts));
        out
    }

    /// `[service.container]`: the recipe's own keys come last, and win.
    fn pass_through(&self, out: &mut Yaml) {
        for (key, value) in self.service.container.iter().flat_map(|table| &table.value) {
            if let Yaml::Map(members) = out {
                members.retain(|(known, _)| known != key);
                members.push((key.clone(), Yaml::of(value, &filled_in)));
            }
        }
    }
}

fn depends(after: &BTreeMap<String, Spanned<After>>) -> Yaml {
    let condition = |state: &After| match state {
        After::Started => "service_started",
        After::Healthy => "service_healthy",
        After::Done => "service_completed_successfully",
    };
    let one = |(name, state): (&String, &Spanned<After>)| {
        (name.clone(), Yaml::map([("condition", Yaml::text(condition(&state.value)))]))
    };
    Yaml::Map(after.iter().map(one).collect())
}

fn healthcheck(check: &Check) -> Yaml {
    let mut out = Yaml::map([]);
    // Without a command there is nothing that an engine could do.
    let Some(cmd) = &check.cmd else { return out };
    let test = std::iter::once(Yaml::text("CMD")).chain(cmd.iter().map(|text| Yaml::Text(literal(text))));
    out.put("test", Yaml::List(test.collect()));
    let times = [("interval", check.interval), ("timeout", check.timeout), ("start_period", check.start)];
    for (key, time) in times.into_iter().filter_map(|(key, time)| Some((key, time?))) {
        out.put(key, Yaml::text(duration(time)));
    }
    if let Some(retries) = check.retries {
        out.put("retries", Yaml::plain(retries));
    }
    out
}
