//! Podman's Quadlet: units that systemd makes services of.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::check::{Error, Fault};
use super::kube::seconds;
use super::{Stack, Unit, Written, duration, env, job_name, port, texts};
use crate::recipe::{After, Job, Secret, Spanned};

/// Keys of `[service.container]` that have a counterpart.
const KNOWN: [&str; 9] = [
    "read_only",
    "tmpfs",
    "cap_drop",
    "cap_add",
    "init",
    "security_opt",
    "stop_grace_period",
    "shm_size",
    "restart",
];

/// A `.container` for each service and job, a `.volume` for each volume, and the stack's `.network`.
///
/// # Errors
/// What needs Compose.
pub fn quadlet(stack: &Stack) -> Result<Written, Vec<Error>> {
    let mut written = Written::default();
    let mut errors = Vec::new();
    let head = format!(
        "# {stack}, {variant}: made by `cooper compose {stack} --variant {variant} --quadlet`\n",
        stack = stack.name,
        variant = stack.variant
    );
    let mut add = |name: String, text: String| drop(written.files.insert(name, format!("{head}{text}")));
    add(format!("{}.network", stack.name), format!("[Network]\nNetworkName={}\n", stack.name));
    for unit in &stack.units {
        let service = &unit.service;
        let env = service.env.values().chain(service.jobs.values().flat_map(|job| job.env.values()));
        let ports = service.ports.iter().flatten();
        for text in env.chain(service.labels.values()).chain(ports).filter(|text| text.contains("${")) {
            let fault = Fault::Substitution { text: text.value.clone() };
            errors.push(Error { at: text.at.clone(), fault });
        }
        for name in service.volumes.keys() {
            add(format!("{}.volume", full(stack, &format!("{}-{name}", unit.name))), "[Volume]\n".to_owned());
        }
        add(format!("{}.container", full(stack, &unit.name)), unit.service_unit(stack));
        for (name, job) in &service.jobs {
            let name = job_name(&unit.name, name);
            add(format!("{}.container", full(stack, &name)), unit.job_unit(stack, &name, job));
        }
    }
    for unit in &stack.units {
        written
            .left_out
            .extend(unit.container_keys(&KNOWN).map(|key| format!("{}: container.{key}", unit.name)));
    }
    if errors.is_empty() { Ok(written) } else { Err(errors) }
}

fn full(stack: &Stack, name: &str) -> String {
    format!("{}-{name}", stack.name)
}

/// A line of the unit; systemd fills in `%`, and `$` in the command line that Quadlet makes of it.
fn line(out: &mut String, key: &str, value: &str) {
    let _ = writeln!(out, "{key}={}", value.replace('%', "%%").replace('$', "$$"));
}

/// One word of a list of words.
fn word(text: &str) -> String {
    let mut out = String::from('"');
    for char in text.chars() {
        match char {
            '"' | '\\' => {
                out.push('\\');
                out.push(char);
            }
            '\n' => out.push_str("\\n"),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

fn words(list: &[Spanned<String>]) -> String {
    texts(list).into_iter().map(word).collect::<Vec<_>>().join(" ")
}

impl Unit {
    fn service_unit(&self, stack: &Stack) -> String {
        let service = &self.service;
        let mut out = head(stack, &self.name, &service.after);
        let env = env(service, None);
        self.container_lines(stack, &self.name, &env, &mut out);
        for text in service.ports.iter().flatten() {
            // A port alone is one that the engine chooses; Quadlet writes it the same way.
            debug_assert!(port(text).is_some() || text.contains('-'));
            line(&mut out, "PublishPort", text);
        }
        if let Some(health) = &service.health
            && let Some(cmd) = &health.check.cmd
        {
            let cmd: Vec<String> = texts(cmd).into_iter().map(json_word).collect();
            line(&mut out, "HealthCmd", &format!("[\"CMD\", {}]", cmd.join(", ")));
            let times = [
                ("HealthInterval", health.check.interval),
                ("HealthTimeout", health.check.timeout),
                ("HealthStartPeriod", health.check.start),
            ];
            for (key, time) in times.into_iter().filter_map(|(key, time)| Some((key, time?))) {
                line(&mut out, key, &duration(time));
            }
            if let Some(retries) = health.check.retries {
                line(&mut out, "HealthRetries", &retries.to_string());
            }
            if stack.is_awaited(&self.name) {
                // So that systemd begins what waits for it only then.
                line(&mut out, "Notify", "healthy");
            }
        }
        if let Some(reload) = &service.reload {
            let podman = format!("/usr/bin/podman exec {} ", full(stack, &self.name));
            let _ = writeln!(out, "\n[Service]");
            line(&mut out, "ExecReload", &(podman + &words(reload)));
        } else {
            let _ = writeln!(out, "\n[Service]");
        }
        let _ = writeln!(out, "Restart=on-failure\n\n[Install]\nWantedBy=default.target");
        out
    }

    fn job_unit(&self, stack: &Stack, name: &str, job: &Job) -> String {
        let mut out = head(stack, name, &job.after);
        let env = env(&self.service, Some(job));
        self.container_lines(stack, name, &env, &mut out);
        if let Some((program, arguments)) = job.entrypoint.as_deref().and_then(<[_]>::split_first) {
            line(&mut out, "Entrypoint", program);
            let rest = job.cmd.as_deref().unwrap_or_default();
            line(&mut out, "Exec", format!("{} {}", words(arguments), words(rest)).trim());
        } else if let Some(cmd) = &job.cmd {
            line(&mut out, "Exec", &words(cmd));
        }
        let _ = writeln!(
            out,
            "\n[Service]\nType=oneshot\nRemainAfterExit=yes\nRestart=on-failure\n\n[Install]\nWantedBy=default.target"
        );
        out
    }

    fn container_lines(
        &self,
        stack: &Stack,
        name: &str,
        env: &BTreeMap<&str, &Spanned<String>>,
        out: &mut String,
    ) {
        let _ = writeln!(out, "\n[Container]");
        if self.called != self.image {
            let _ = writeln!(out, "# {}", self.called);
        }
        line(out, "Image", &self.image);
        line(out, "ContainerName", &full(stack, name));
        line(out, "Network", &format!("{}.network:alias={name}", stack.name));
        for (name, value) in env {
            line(out, "Environment", &word(&format!("{name}={}", value.value)));
        }
        for (name, secret) in &self.service.secrets {
            let secret = match secret {
                Secret::File(path) => format!("type=mount,target={}", path.value),
                Secret::Env(variable) => format!("type=env,target={}", variable.value),
            };
            line(out, "Secret", &format!("{},{secret}", full(stack, name)));
        }
        for (name, path) in &self.service.volumes {
            let volume = full(stack, &format!("{}-{name}.volume", self.name));
            line(out, "Volume", &format!("{volume}:{}", path.value));
        }
        for mount in &self.mounts {
            let mode = if mount.read_only { ":ro" } else { "" };
            line(out, "Volume", &format!("{}:{}{mode}", mount.source, mount.target));
        }
        for (label, value) in &self.service.labels {
            line(out, "Label", &word(&format!("{label}={}", value.value)));
        }
        for (key, own) in [("Tmpfs", "tmpfs"), ("AddCapability", "cap_add"), ("DropCapability", "cap_drop")] {
            for text in self.container_texts(own) {
                line(out, key, text);
            }
        }
        for (key, own) in [("ReadOnly", "read_only"), ("RunInit", "init")] {
            if self.container_flag(own) {
                line(out, key, "true");
            }
        }
        for text in self.container_texts("security_opt") {
            match text.strip_prefix("no-new-privileges") {
                Some("" | ":true" | "=true") => line(out, "NoNewPrivileges", "true"),
                _ => line(out, "PodmanArgs", &format!("--security-opt={text}")),
            }
        }
        if let Some(size) = self.container_texts("shm_size").first() {
            line(out, "ShmSize", size);
        }
        if let Some(seconds) =
            self.container_texts("stop_grace_period").first().and_then(|text| seconds(text))
        {
            line(out, "StopTimeout", &seconds.to_string());
        }
    }
}

/// JSON's string, as far as a command has such.
fn json_word(text: &str) -> String {
    word(text).replace('\t', "\\t")
}

fn head(stack: &Stack, name: &str, after: &BTreeMap<String, Spanned<After>>) -> String {
    let mut out = format!("[Unit]\nDescription={} {name} ({})\n", stack.name, stack.variant);
    for other in after.keys() {
        let service = format!("{}.service", full(stack, other));
        let _ = writeln!(out, "Requires={service}\nAfter={service}");
    }
    out
}
