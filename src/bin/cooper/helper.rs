//! A program that is asked one question. What it answers is taken within a time and up to a size: it may hang, or never end
//! to talk.

use std::fmt;
use std::io::{self, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

/// A token is some kilobytes.
const MOST: u64 = 1 << 20;
/// What it says of a failure comes at once, if at all: whoever it started may keep the pipe open.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What it said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) success: bool,
    pub(crate) out: Vec<u8>,
    pub(crate) err: Vec<u8>,
}

/// Why nothing was heard.
#[derive(Debug)]
pub(crate) enum Unheard {
    /// It can't be run.
    Unstarted(io::Error),
    /// It took longer than that.
    Late(Duration),
    /// It said too much.
    Loud,
    /// It can't be listened to.
    Broken(io::Error),
}

impl fmt::Display for Unheard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unstarted(error) => write!(f, "it can't be run: {error}"),
            Self::Late(within) => write!(f, "it gave no answer in {} seconds", within.as_secs()),
            Self::Loud => write!(f, "it said more than {MOST} bytes"),
            Self::Broken(error) => write!(f, "it can't be listened to: {error}"),
        }
    }
}

/// Runs a command, tells it something, and takes what it says. It is killed when that takes too long, or too much.
pub(crate) fn ask(command: &mut Command, question: &str, within: Duration) -> Result<Said, Unheard> {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(Unheard::Unstarted)?;
    let said = listen(&mut child, question, within);
    if said.is_err() {
        // It may have ended meanwhile.
        _ = child.kill();
        _ = child.wait();
    }
    said
}

fn listen(child: &mut Child, question: &str, within: Duration) -> Result<Said, Unheard> {
    let begun = Instant::now();
    let late = || Unheard::Late(within);
    let (out, err) = (child.stdout.take().map(hear), child.stderr.take().map(hear));
    if let Some(mut stdin) = child.stdin.take() {
        // One that doesn't read answers all the same.
        _ = stdin.write_all(question.as_bytes());
    }
    let left = || within.saturating_sub(begun.elapsed());
    let heard = |pipe: Option<Receiver<io::Result<Vec<u8>>>>, within| pipe?.recv_timeout(within).ok();
    let out = heard(out, left()).ok_or_else(late)?.map_err(Unheard::Broken)?;
    if out.len() as u64 > MOST {
        return Err(Unheard::Loud);
    }
    let status = ended(child, left).map_err(Unheard::Broken)?.ok_or_else(late)?;
    let err = if status.success() { None } else { heard(err, left().min(LAST_WORDS)) };
    Ok(Said { success: status.success(), out, err: err.and_then(Result::ok).unwrap_or_default() })
}

/// Reads in a thread of its own, which ends with the pipe.
fn hear(pipe: impl Read + Send + 'static) -> Receiver<io::Result<Vec<u8>>> {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = pipe.take(MOST + 1).read_to_end(&mut bytes);
        // Perhaps nobody waits any more.
        _ = tell.send(read.map(|_| bytes));
    });
    told
}

/// Who has closed its output ends soon; nothing when it doesn't.
fn ended(child: &mut Child, left: impl Fn() -> Duration) -> io::Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if left().is_zero() {
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(2));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(script: &str) -> Result<Said, String> {
        ask(Command::new("sh").args(["-c", script]), "registry.example", Duration::from_secs(2))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_said_is_taken() {
        let said = run("read -r host; echo \"$host\"; echo oops >&2").unwrap();
        assert_eq!((said.success, said.out), (true, b"registry.example\n".to_vec()));
        let said = run("echo none; echo why >&2; exit 1").unwrap();
        assert_eq!((said.success, said.out, said.err), (false, b"none\n".to_vec(), b"why\n".to_vec()));
        // One that doesn't listen, and one whose own child keeps its error output open.
        assert!(run("exec <&-; echo x").unwrap().success);
        assert!(run("sleep 60 >&- & echo x").unwrap().success);
    }

    #[test]
    fn nothing_is_waited_for_without_end() {
        for (script, why) in [
            ("exec sleep 60", "no answer in 2 seconds"),
            // Says something, and goes on.
            ("echo x; exec sleep 60", "no answer in 2 seconds"),
            ("exec >&-; exec sleep 60", "no answer in 2 seconds"),
            ("sleep 60 & echo x", "no answer in 2 seconds"),
            ("while echo x; do sleep 0.1; done", "no answer in 2 seconds"),
            ("exec cat /dev/zero", "more than 1048576 bytes"),
        ] {
            let begun = Instant::now();
            let said = run(script).unwrap_err();
            assert!(said.contains(why), "{script}: {said}");
            assert!(begun.elapsed() < Duration::from_secs(20), "{script}");
        }
        let missing = ask(&mut Command::new("/no/such/program"), "", Duration::from_secs(1));
        assert!(missing.unwrap_err().to_string().contains("can't be run"));
    }
}
