//! What is said in a session with a server that is watched (`debug_peer_list`, `-v` in master.cf), as Postfix logs it: `> SERVER: command`,
//! `< SERVER: reply`, the latter up to 100 characters. Content is not logged.

use bstr::ByteSlice;
use maillog::{Logger, Severity, printable};

const REPLY_CHARACTERS_MAX: usize = 100;

/// Logs lines as they come and go, if that is wanted.
pub(super) struct Watch<'a> {
    target: Option<(&'a Logger, String)>,
    /// How much of what waits to be written was logged, or is content.
    shown: usize,
    /// The beginning of a line.
    partial: Vec<u8>,
}

impl<'a> Watch<'a> {
    /// `target`: where to, and the server's name.
    pub(super) fn new(target: Option<(&'a Logger, String)>) -> Self {
        Self { target, shown: 0, partial: Vec::new() }
    }

    /// What waits to be written, whole commands.
    pub(super) fn said(&mut self, output: &[u8]) {
        let new = output.get(self.shown..).unwrap_or_default();
        new.lines().for_each(|line| self.log(">", &printable(line)));
        self.shown = output.len();
    }

    /// So many bytes of what waits to be written are none of our business.
    pub(super) fn skip(&mut self, count: usize) {
        self.shown = count;
    }

    /// What was read.
    pub(super) fn heard(&mut self, bytes: &[u8]) {
        if self.target.is_none() {
            return;
        }
        for line in bytes.lines_with_terminator() {
            // A line is complete with its end, and long enough with what is shown of it.
            if self.partial.len() < REPLY_CHARACTERS_MAX * 4 {
                self.partial.extend_from_slice(line);
            }
            if line.ends_with(b"\n") {
                let whole = std::mem::take(&mut self.partial);
                let text: String = printable(whole.trim_end_with(|c| matches!(c, '\r' | '\n')))
                    .chars()
                    .take(REPLY_CHARACTERS_MAX)
                    .collect();
                self.log("<", &text);
            }
        }
    }

    fn log(&self, direction: &str, text: &str) {
        if let Some((logger, server)) = &self.target {
            logger.write(Severity::Info, &format!("{direction} {server}: {text}"));
        }
    }
}
