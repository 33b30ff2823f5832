//! What is said in the session of a client that is watched (`debug_peer_list`, `-v` in master.cf), as Postfix logs it: `< CLIENT: command`,
//! `> CLIENT: reply`. Content is not logged, nor what follows the mechanism of AUTH.

use super::Session;
use bstr::ByteSlice;
use maillog::{Severity, printable};

impl Session {
    /// A command line, without its end.
    pub(super) fn note_command(&self, line: &[u8]) {
        if !self.peer.is_watched {
            return;
        }
        let text = printable(line);
        let words: Vec<&str> = text.split_ascii_whitespace().take(3).collect();
        let shown = match words.as_slice() {
            [verb, mechanism, _] if verb.eq_ignore_ascii_case("AUTH") => format!("{verb} {mechanism} ..."),
            _ => text,
        };
        self.note("<", &shown);
    }

    /// Whole lines of a reply.
    pub(super) fn note_reply(&self, lines: &[u8]) {
        lines.lines().for_each(|line| self.note(">", &printable(line)));
    }

    fn note(&self, direction: &str, text: &str) {
        self.log.write(Severity::Info, &format!("{direction} {}: {text}", self.peer.client));
    }
}
