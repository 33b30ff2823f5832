//! How far the building of a large table is: one line on a terminal, which goes when it is done. Whoever reads standard
//! error otherwise sees nothing of it.

use super::Console;
use std::{
    io::IsTerminal as _,
    time::{Duration, Instant},
};

/// The clock is looked at once for so many entries.
const EVERY: usize = 8192;
/// What is done sooner needs no line, and no line changes faster.
const PAUSE: Duration = Duration::from_millis(200);

/// A line that says how many entries have been read.
pub(super) struct Progress {
    console: Console,
    table: String,
    /// When the line was shown last; `None` where there is no terminal.
    shown: Option<Instant>,
    is_there: bool,
}

impl Progress {
    pub(super) fn new(console: &Console, map_type: &str, path: &str) -> Self {
        let shown = std::io::stderr().is_terminal().then(Instant::now);
        Self { console: console.clone(), table: format!("{map_type}:{path}"), shown, is_there: false }
    }

    /// Says that there are `count` entries now.
    pub(super) fn at(&mut self, count: usize) {
        if !count.is_multiple_of(EVERY) || self.shown.is_none_or(|shown| shown.elapsed() < PAUSE) {
            return;
        }
        self.show(&format!("{count} entries"));
        self.shown = Some(Instant::now());
    }

    /// Says that all entries are read, if anything was said before.
    pub(super) fn writing(&mut self, count: usize) {
        if self.is_there {
            self.show(&format!("writing {count} entries"));
        }
    }

    fn show(&mut self, text: &str) {
        self.console.show_unfinished(&format!("{}: {text}", self.table));
        self.is_there = true;
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_there {
            self.console.show_unfinished("");
        }
    }
}
