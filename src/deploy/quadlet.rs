//! Podman's Quadlet: units that systemd makes services of.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::check::{Error, Fault};
use super::container::{no_new_privileges, seconds, word as word_of};
use super::{Stack, Unit, Written, duration, env, job_name, texts};
use crate::recipe::{After, Check, Job, Reload, Secret, Spanned};

/// Keys of `[service.container]` that have a counterpart.
const KNOWN: [&str; 13] = [
    "read_only",
    "tmpfs",
    "cap_drop",
    "cap_add",
    "init",
    "security_opt",
    "stop_grace_period",
    "shm_size",
    "restart",
    "mem_limit",
    "cpus",
    "pids_limit",
    // systemd's journal, which podman writes to, bounds itself.
    "logging",
];

/// A `.container` for each service and job, a `.volume` for each volume, and the stack's `.network`.
///
/// # Errors
/// What needs Compose.
pub fn quadlet(stack: &Stack) -> Result<Written, Vec<Error>> {
    let mut written = Written::default();
    let mut errors = Vec::new();
    let head = format!(
        "# {stack}, {variant}: made by `{command}`\n",
        stack = stack.name,
        variant = stack.variant,
        command = stack.command,
    );
    let awaited = stack.awaited();
    let mut add = |name: String, text: String| drop(written.files.insert(name, format!("{head}{text}")));
    add(format!("{}.network", stack.name), format!("[Network]\nNetworkName={}\n", stack.name));
    for unit in &stack.units {
        let service = &unit.service;
        let env = service.env.values().chain(service.jobs.values().flat_map(|job| job.env.values()));
        let ports = service.ports.iter().flatten();
        for text in env.chain(service.labels.values()).chain(ports).filter(|text| text.contains("${")) {
            errors.push(Error::at(&text.at, Fault::Substitution { text: text.value.clone() }));
        }
        errors.extend(unit.unsayable());
        for name in service.volumes.keys() {
            add(format!("{}.volume", full(stack, &format!("{}-{name}", unit.name))), "[Volume]\n".to_owned());
        }
        add(format!("{}.container", full(stack, &unit.name)), unit.service_unit(stack, &awaited));
        for (name, job) in &service.jobs {
            let name = job_name(&unit.name, name);
            add(format!("{}.container", full(stack, &name)), unit.job_unit(stack, &name, job));
        }
    }
    for unit in &stack.units {
        written.left_out.extend(unit.container_left_out(&KNOWN, |key, text| match key {
            "stop_grace_period" => seconds(text).is_none(),
            "restart" => restart(text).is_none(),
            _ => false,
        }));
    }
    if errors.is_empty() { Ok(written) } else { Err(errors) }
}

fn full(stack: &Stack, name: &str) -> String {
    format!("{}-{name}", stack.name)
}

/// A line of the unit; systemd fills in `%`, and `$` in the command line that Quadlet makes of it.
fn line(out: &mut String, key: &str, value: &str) {
    let value = one_line(value);
    let _ = writeln!(out, "{key}={}", value.replace('%', "%%").replace('$', "$$"));
}

/// Whatever else becomes of a text, it never begins a line of its own, nor swallows the next one, as a `\` at its end would.
/// What a recipe says in such a way is refused before: see [`unsayable`].
fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ").trim().trim_end_matches('\\').to_owned()
}

/// What of a text has no place behind a key that takes one value as it stands: there nothing can be quoted or escaped.
/// `parts` are characters that end a part of such a value.
fn unsayable(text: &str, parts: &[char]) -> Option<&'static str> {
    if text.contains(unseen) {
        Some("a line end or another character that can't be seen")
    } else if text.ends_with('\\') {
        Some("a backslash at its end")
    } else if text.trim() != text {
        Some("a blank at its beginning or end")
    } else if text.contains(parts) {
        Some("a colon or comma")
    } else {
        None
    }
}

/// Control characters, and what turns the direction of writing.
fn unseen(char: char) -> bool {
    char.is_control() || super::yaml::is_unseen(char)
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
            '\t' => out.push_str("\\t"),
            // In UTF-8, as systemd wants it.
            other if unseen(other) => {
                other.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| {
                    let _ = write!(out, "\\x{byte:02x}");
                });
            }
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
    fn service_unit(&self, stack: &Stack, awaited: &BTreeSet<&str>) -> String {
        let service = &self.service;
        let mut out = head(stack, &self.name, &service.after);
        let env = env(service, None);
        self.container_lines(stack, &self.name, &env, &mut out);
        for text in service.ports.iter().flatten() {
            line(&mut out, "PublishPort", text);
        }
        let mut timeout = None;
        if let Some(health) = &service.health
            && let Some(cmd) = &health.check.cmd
        {
            line(&mut out, "HealthCmd", &health_command(&texts(cmd)));
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
            if awaited.contains(self.name.as_str()) {
                // So that systemd begins what waits for it only then.
                line(&mut out, "Notify", "healthy");
                timeout = Some(longest_start(&health.check));
            }
        }
        let _ = writeln!(out, "\n[Service]");
        if let Some(timeout) = timeout {
            line(&mut out, "TimeoutStartSec", &timeout.to_string());
        }
        // Where it has none, systemd's reload-or-restart starts it anew.
        if let Some(Reload::Command(reload)) = &service.reload {
            let podman = format!("/usr/bin/podman exec {} ", full(stack, &self.name));
            line(&mut out, "ExecReload", &(podman + &words(reload)));
        }
        let restart = self.container_texts("restart").first().and_then(|text| restart(text));
        line(&mut out, "Restart", restart.unwrap_or("on-failure"));
        let _ = writeln!(out, "\n[Install]\nWantedBy=default.target");
        out
    }

    /// Texts that a unit has no way to write.
    fn unsayable(&self) -> Vec<Error> {
        let service = &self.service;
        let programs = service.jobs.values().filter_map(|job| job.entrypoint.as_ref()?.first());
        let whole = programs.chain(service.ports.iter().flatten()).map(|text| (text, &[][..]));
        let secrets = service.secrets.values().map(|secret| match secret {
            Secret::Env(text) | Secret::File(text) => (text, &[','][..]),
        });
        let volumes = service.volumes.values().map(|path| (path, &[':'][..]));
        let own = whole.chain(secrets).chain(volumes);
        let own = own.map(|(text, parts)| (text.value.as_str(), Some(&text.at), parts));
        let container = service.container.iter().flat_map(|table| {
            // Those are written as words, or not at all.
            let words = ["security_opt", "mem_limit", "cpus", "pids_limit", "logging"];
            let keys = KNOWN.iter().filter(move |key| !words.contains(key));
            keys.flat_map(|key| self.container_texts(key)).map(|text| (text, Some(&table.at), &[][..]))
        });
        let mounts = self.mounts.iter().flat_map(|mount| [&mount.source, &mount.target]);
        let mounts = mounts.map(|path| (path.as_str(), None, &[':'][..]));
        own.chain(container)
            .chain(mounts)
            .filter_map(|(text, at, parts)| {
                let fault = Fault::Unsayable { text: text.to_owned(), what: unsayable(text, parts)? };
                Some(Error { at: at.cloned(), fault })
            })
            .collect()
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
            let _ = writeln!(out, "# {}", one_line(&self.called));
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
            match no_new_privileges(text) {
                Some(true) => line(out, "NoNewPrivileges", "true"),
                _ => line(out, "PodmanArgs", &word(&format!("--security-opt={text}"))),
            }
        }
        limits(self, out);
    }
}

/// How much it may have, and how long it may take to its end.
fn limits(unit: &Unit, out: &mut String) {
    if let Some(size) = unit.container_texts("shm_size").first() {
        line(out, "ShmSize", size);
    }
    // As arguments: Quadlet has keys for them in its later versions only.
    for (option, own) in [("memory", "mem_limit"), ("cpus", "cpus"), ("pids-limit", "pids_limit")] {
        if let Some(limit) = word_of(unit, own) {
            line(out, "PodmanArgs", &word(&format!("--{option}={limit}")));
        }
    }
    if let Some(seconds) = unit.container_texts("stop_grace_period").first().and_then(|text| seconds(text)) {
        line(out, "StopTimeout", &seconds.to_string());
    }
}

/// As podman reads it: two words and more it runs as they are, one alone it gives to a shell. After `CMD` it would split
/// at blanks, even within a word.
fn health_command(words: &[&str]) -> String {
    match words {
        [word] if !word.contains(|char: char| char.is_whitespace() || "\"'\\".contains(char)) => {
            format!("CMD {word}")
        }
        [word] => format!("[{}]", json_word(&format!("'{}'", word.replace('\'', "'\\''")))),
        _ => format!("[{}]", words.iter().map(|word| json_word(word)).collect::<Vec<_>>().join(", ")),
    }
}

/// JSON's string.
fn json_word(text: &str) -> String {
    let mut out = String::from('"');
    for char in text.chars() {
        match char {
            '"' | '\\' => out.extend(['\\', char]),
            '\n' => out.push_str("\\n"),
            other if unseen(other) => {
                let _ = write!(out, "\\u{:04x}", u32::from(other));
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

/// How long it may take in seconds until a service is healthy or given up, by podman's own defaults; systemd would end
/// it after 90.
fn longest_start(check: &Check) -> u64 {
    const HALF_MINUTE: u64 = 30_000_000_000;
    let times = check.interval.unwrap_or(HALF_MINUTE).saturating_add(check.timeout.unwrap_or(HALF_MINUTE));
    let tries = u64::from(check.retries.unwrap_or(3));
    let all = check.start.unwrap_or(0).saturating_add(tries.saturating_mul(times));
    all.div_ceil(1_000_000_000).max(90)
}

/// Compose's word as systemd has it.
fn restart(text: &str) -> Option<&'static str> {
    match text {
        "no" => Some("no"),
        "always" | "unless-stopped" => Some("always"),
        "on-failure" => Some("on-failure"),
        _ => None,
    }
}

fn head(stack: &Stack, name: &str, after: &BTreeMap<String, Spanned<After>>) -> String {
    let mut out = format!("[Unit]\nDescription={} {name} ({})\n", stack.name, stack.variant);
    for other in after.keys() {
        let service = format!("{}.service", full(stack, other));
        let _ = writeln!(out, "Requires={service}\nAfter={service}");
    }
    out
}
