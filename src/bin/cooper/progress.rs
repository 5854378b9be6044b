//! Progress on a terminal: one line that says what is being done, how many bytes went by, and for how long.

use std::io::{self, Write as _};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle, ThreadId};
use std::time::{Duration, Instant};

use cooperage::progress::{Event, Progress};
use terminal_size::{Width, terminal_size_of};

use crate::text::{escape, size};

/// Nobody needs a line for what takes no time: the first is drawn with the first tick.
const TICK: Duration = Duration::from_millis(120);
const SPINNER: [char; 8] = ['⠁', '⠂', '⠄', '⡀', '⢀', '⠠', '⠐', '⠈'];
/// To the first column, and nothing in the line.
const CLEAR: &str = "\r\x1b[2K";

/// The line. It is cleared when this is dropped.
pub(crate) struct Line {
    state: Arc<Mutex<State>>,
    drawer: Option<(Sender<()>, JoinHandle<()>)>,
}

#[derive(Default)]
struct State {
    /// What each thread is at; the latest is shown.
    doing: Vec<(ThreadId, String)>,
    bytes: u64,
}

impl Line {
    /// An empty line on standard error.
    pub(crate) fn new() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let (stop, stopped) = mpsc::channel();
        let shown = Arc::clone(&state);
        let draw = move || {
            let begun = Instant::now();
            let mut ticks = 0;
            while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(TICK) {
                let tick = SPINNER[ticks % SPINNER.len()];
                ticks += 1;
                let width = terminal_size_of(io::stderr()).map_or(80, |(Width(width), _)| usize::from(width));
                let line = shown.lock().unwrap_or_else(PoisonError::into_inner).line(begun.elapsed(), width);
                _ = write!(io::stderr(), "{CLEAR}{tick} {line}");
            }
            if ticks > 0 {
                _ = write!(io::stderr(), "{CLEAR}");
            }
        };
        let drawer = thread::Builder::new().spawn(draw).ok().map(|thread| (stop, thread));
        Self { state, drawer }
    }
}

impl State {
    /// What is said in a terminal of `width` columns, behind the spinner: what doesn't fit is cut from the doing.
    fn line(&self, elapsed: Duration, width: usize) -> String {
        let doing = self.doing.last().map_or("", |(_, text)| text);
        let seconds = elapsed.as_secs();
        let spent = if seconds < 60 {
            format!("{seconds} s")
        } else {
            format!("{} min {} s", seconds / 60, seconds % 60)
        };
        let bytes = if self.bytes == 0 { String::new() } else { format!("{} ", size(self.bytes)) };
        let rest = format!(" {bytes}{spent}");
        // The spinner, a space, and the last column, which some terminals wrap behind.
        let room = width.saturating_sub(rest.len() + 3);
        doing.chars().take(room).chain(rest.chars()).take(width.saturating_sub(3)).collect()
    }
}

impl Progress for Line {
    fn event(&self, event: Event<'_>) {
        let me = thread::current().id();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Begin { what, name } => {
                state.doing.push((me, format!("{} {}", escape(what), escape(name))));
            }
            Event::Bytes(bytes) => state.bytes += bytes,
            Event::End => {
                if let Some(at) = state.doing.iter().rposition(|(thread, _)| *thread == me) {
                    state.doing.remove(at);
                }
            }
            _ => {}
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.drawer.take() {
            drop(stop);
            _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_fits_its_terminal() {
        let line = Line { state: Arc::default(), drawer: None };
        line.event(Event::Begin { what: "reading layer", name: "5f70bf18a086" });
        line.event(Event::Begin { what: "reading", name: "a\x1b[2Jb" });
        line.event(Event::End);
        assert_eq!(line.state.lock().unwrap().line(Duration::ZERO, 80), "reading layer 5f70bf18a086 0 s");
        line.event(Event::Bytes(1_500_000));
        let state = line.state.lock().unwrap();
        let said = |seconds, width| state.line(Duration::from_secs(seconds), width);
        assert_eq!(said(4, 80), "reading layer 5f70bf18a086 1.5 MB 4 s");
        assert_eq!(said(75, 32), "reading lay 1.5 MB 1 min 15 s");
        for width in 0..40 {
            assert!(said(75, width).chars().count() <= width.saturating_sub(3));
        }
    }
}
