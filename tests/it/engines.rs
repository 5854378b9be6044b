//! Docker, Podman and other programs that tests meet: started, asked and ended here.
//!
//! What isn't installed skips the test, and says so by name on the real standard error: a passing test's captured
//! output is shown to nobody.

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// What images are loaded as here.
pub(crate) const PLATFORM: &str = if cfg!(target_arch = "aarch64") { "linux/arm64" } else { "linux/amd64" };

/// Says that the calling test is skipped.
pub(crate) fn skipped(why: &str) {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("a test");
    _ = writeln!(std::io::stderr(), "skipped: {why} ({name})");
}

/// Whether all programs are there; the first one that isn't is named.
pub(crate) fn installed(programs: &[&str]) -> bool {
    programs.iter().all(|program| {
        let there = std::env::var_os("PATH").is_some_and(|path| {
            std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
        });
        if !there {
            skipped(&format!("{program} is not installed"));
        }
        there
    })
}

/// Whether owners can be kept on disk.
pub(crate) fn root() -> bool {
    let root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    if !root {
        skipped("not run as root");
    }
    root
}

/// Runs a program that must succeed.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> Vec<u8> {
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().unwrap();
    let shown = || format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert!(status.success(), "{command:?}: {status}\n{}", shown());
    stdout
}

/// An engine with a directory of its own. It ends with this process, however that ends: a shell waits for the pipe
/// whose other end nobody else holds.
pub(crate) struct Engine {
    program: &'static str,
    directory: PathBuf,
    /// Another daemon than the one that runs in the directory.
    other: Option<String>,
    _end: std::process::Child,
}

/// Docker's daemon, one for all tests; without a network. `COOPER_TEST_DOCKER` (`unix:///…`) names one that runs already and
/// is used as it is; what tests load stays there.
pub(crate) fn docker() -> Option<&'static Engine> {
    static DOCKER: OnceLock<Result<Engine, String>> = OnceLock::new();
    let other = std::env::var("COOPER_TEST_DOCKER").ok();
    if !installed(if other.is_some() { &["docker"] } else { &["docker", "dockerd"] }) || !root() {
        return None;
    }
    told(DOCKER.get_or_init(|| {
        if let Some(other) = other {
            let engine = Engine { other: Some(other), ..Engine::begin("docker", "cat >/dev/null") };
            let answers = engine.succeeds(&["version"]);
            return if answers { Ok(engine) } else { Err(format!("no engine at {}", engine.host())) };
        }
        if run_quietly("pgrep", &["-x", "dockerd"]) {
            return Err("another dockerd is running".into());
        }
        let engine = Engine::begin(
            "docker",
            r#"dockerd --host "unix://$DIR/sock" --data-root "$DIR/data" --exec-root "$DIR/exec" \
                --pidfile "$DIR/pid" --bridge=none --iptables=false --ip-masq=false >"$DIR/log" 2>&1 &
            daemon=$!
            cat >/dev/null
            kill "$daemon"
            wait"#,
        );
        let begun = Instant::now();
        while !run_quietly("docker", &["--host", &engine.host(), "version"]) {
            let log = fs::read_to_string(engine.directory.join("log")).unwrap_or_default();
            if log.contains("failed to start daemon") || begun.elapsed() > Duration::from_secs(60) {
                let last = log.lines().last().unwrap_or("no log").to_owned();
                return Err(format!("dockerd does not start here: {last}"));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(engine)
    }))
}

/// Podman with storage of its own.
pub(crate) fn podman() -> Option<&'static Engine> {
    static PODMAN: OnceLock<Result<Engine, String>> = OnceLock::new();
    if !installed(&["podman", "runc"]) || !root() {
        return None;
    }
    told(PODMAN.get_or_init(|| {
        let engine = Engine::begin("podman", r#"cat >/dev/null; umount "$DIR/data/overlay" 2>/dev/null"#);
        let info = engine.command(&["info"]).output().unwrap();
        match info.status.success() {
            true => Ok(engine),
            false => Err(format!("podman does not start here: {}", String::from_utf8_lossy(&info.stderr))),
        }
    }))
}

fn told(engine: &'static Result<Engine, String>) -> Option<&'static Engine> {
    engine.as_ref().map_err(|why| skipped(why)).ok()
}

fn run_quietly(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

impl Engine {
    fn begin(program: &'static str, script: &str) -> Self {
        // Short: a socket's path has at most 107 bytes.
        let directory = std::env::temp_dir().join(format!("cooper-{program}-{}", std::process::id()));
        fs::create_dir(&directory).unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", &format!("trap '' INT\n{script}\nrm -rf \"$DIR\"")]).env("DIR", &directory);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Self { program, _end: command.spawn().unwrap(), directory, other: None }
    }

    /// For `DOCKER_HOST`.
    pub(crate) fn host(&self) -> String {
        let own = || format!("unix://{}", self.directory.join("sock").display());
        self.other.clone().unwrap_or_else(own)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.program);
        let inside = |name: &str| self.directory.join(name).display().to_string();
        command.env("HOME", inside("home"));
        match self.program {
            // BuildKit is another program.
            "docker" => command
                .env("DOCKER_CONFIG", inside("home"))
                .env("DOCKER_BUILDKIT", "0")
                .args(["--host", &self.host()]),
            _ => command
                .args(["--root", &inside("data"), "--runroot", &inside("run")])
                .args(["--tmpdir", &inside("tmp"), "--events-backend", "file"])
                .args(["--runtime", "runc", "--cgroup-manager", "cgroupfs"]),
        };
        command.args(arguments);
        command
    }

    /// The engine's command line; what it prints.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        String::from_utf8(run(&mut self.command(arguments))).unwrap()
    }

    /// The name that an archive's image has once it is loaded.
    #[track_caller]
    pub(crate) fn load(&self, archive: &Path) -> String {
        let told = self.run(&["load", "-i", archive.to_str().unwrap()]);
        let name = told.lines().find_map(|line| line.strip_prefix("Loaded image: "));
        name.unwrap_or_else(|| panic!("{told}")).to_owned()
    }

    /// Whether the command line says yes.
    pub(crate) fn succeeds(&self, arguments: &[&str]) -> bool {
        self.command(arguments).output().is_ok_and(|output| output.status.success())
    }

    /// Runs an image as it is, without a network; the container's id.
    #[track_caller]
    pub(crate) fn start(&self, image: &str) -> String {
        let mut arguments = vec!["run", "--detach", "--network", "none"];
        if self.program == "podman" {
            // Its defaults are more than some machines allow.
            arguments.extend(["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"]);
        }
        arguments.push(image);
        self.run(&arguments).trim().to_owned()
    }

    /// A tar of the files that a container of the image would see.
    #[track_caller]
    pub(crate) fn files(&self, image: &str) -> Vec<u8> {
        let id = self.run(&["create", "--network", "none", image, "/nothing"]);
        let tar = run(&mut self.command(&["export", id.trim()]));
        self.run(&["rm", id.trim()]);
        tar
    }
}
