//! The repository is a workspace whose locks are committed: they hold here, and whatever may differ between machines
//! changes nothing.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::support::Test;

/// What the quick start needs, copied into a test's directory.
fn quick_start() -> Test {
    let mut test = Test::new();
    for path in ["cooper.toml", "recipes", "lockfiles", "fixtures/web-base/layout"] {
        test = copy(test, path);
    }
    test
}

fn copy(test: Test, path: &str) -> Test {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if from.is_file() {
        return test.file(path, fs::read(from).unwrap());
    }
    let names = fs::read_dir(from).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.fold(test, |test, name| copy(test, &format!("{path}/{name}")))
}

#[test]
fn the_quick_start_equals_its_locks() {
    let run = quick_start().run(["build", "quickstart", "--locked", "--offline"]).stderr("").status(0);
    assert!(run.out.lines().all(|line| line.ends_with("  equals the lock")), "{}", run.out);
    assert_eq!(run.out.lines().count(), 6, "{}", run.out);
}

/// Other directory (every test has its own), umask, modes, times of files, locale, time zone, time for locks, threads.
#[test]
fn what_differs_between_machines_changes_nothing() {
    let test = quick_start()
        .env("LC_ALL", "tr_TR.UTF-8")
        .env("TZ", "Pacific/Kiritimati")
        .env("SOURCE_DATE_EPOCH", "1234567890")
        .env("USER", "somebody");
    let recipes = test.path("recipes");
    let shell = |command: &str| {
        let done = Command::new("sh").args(["-c", command]).current_dir(&recipes).status().unwrap();
        assert!(done.success(), "{command}");
    };
    shell(
        "find . -type f -exec chmod 0666 {} + -exec touch -d 1999-12-31T23:59:59 {} + && find . -type d -exec chmod 0777 {} +",
    );
    let cooper = env!("CARGO_BIN_EXE_cooper");
    for (umask, jobs) in [("0077", "1"), ("0000", "7")] {
        let template = test.command([]);
        let mut command = Command::new("/bin/sh");
        command.env_clear().current_dir(test.path(""));
        command.envs(template.get_envs().filter_map(|(name, value)| Some((name, value?))));
        command.arg("-c").arg(format!(
            "umask {umask} && exec '{cooper}' build quickstart --locked --offline -j {jobs} --store store-{jobs}"
        ));
        let output = command.output().unwrap();
        let out = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{umask} {jobs}: {}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(out.lines().filter(|line| line.ends_with("  equals the lock")).count(), 6, "{out}");
    }
}
