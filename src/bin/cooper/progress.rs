//! Progress on a terminal: one line that says what is being done, for how long, and how many bytes went by.

use std::sync::{Mutex, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use cooperage::progress::{Event, Progress};
use indicatif::{ProgressBar, ProgressStyle};

use crate::shell::escape;

/// The line. It is cleared when this is dropped.
pub(crate) struct Line {
    bar: ProgressBar,
    /// What each thread is at; the latest is shown.
    doing: Mutex<Vec<(ThreadId, String)>>,
}

impl Line {
    /// An empty line on standard error.
    pub(crate) fn new() -> Self {
        let style = ProgressStyle::with_template("{spinner} {wide_msg} {decimal_bytes} {elapsed}");
        let bar =
            ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        // Nobody needs a line for what takes no time: the first is drawn with the first tick.
        bar.enable_steady_tick(Duration::from_millis(120));
        Self { bar, doing: Mutex::new(Vec::new()) }
    }

    fn change(&self, change: impl FnOnce(&mut Vec<(ThreadId, String)>)) {
        let mut doing = self.doing.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut doing);
        self.bar.set_message(doing.last().map(|(_, text)| text.clone()).unwrap_or_default());
    }
}

impl Progress for Line {
    fn event(&self, event: Event<'_>) {
        let me = thread::current().id();
        match event {
            Event::Begin { what, name } => {
                self.change(|doing| doing.push((me, format!("{} {}", escape(what), escape(name)))));
            }
            Event::Bytes(bytes) => self.bar.inc(bytes),
            Event::End => self.change(|doing| {
                if let Some(at) = doing.iter().rposition(|(thread, _)| *thread == me) {
                    doing.remove(at);
                }
            }),
            _ => {}
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
