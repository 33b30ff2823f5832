//! What was said to a server, and what was wrong with that, for the postmaster (postconf(5) `notify_classes`).

use super::{Ending, Session};
use crate::{Protocol, SmtpSettings};
use bstr::{BString, ByteSlice};
use config::NotifyClasses;
use std::collections::VecDeque;
use wire::{ReplyReader, Transcript};

/// What a session remembers.
#[derive(Debug, Default)]
pub(super) struct History {
    trouble: NotifyClasses,
    transcript: Transcript,
    /// Lines of the server that were taken for others, and those.
    replaced: VecDeque<(BString, BString)>,
}

/// A session that the postmaster is told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// `SMTP` or `LMTP`
    pub protocol: &'static str,
    /// The server, with its port.
    pub server: String,
    /// What went wrong.
    pub trouble: NotifyClasses,
    /// What was said.
    pub transcript: Transcript,
}

impl History {
    /// None where nobody wants to know.
    pub(super) fn of(settings: &SmtpSettings) -> Option<Box<Self>> {
        settings.tells_postmaster().then(Box::default)
    }

    pub(super) fn said(&mut self, commands: &[u8]) {
        self.transcript.said(commands);
    }

    fn heard(&mut self, lines: &[u8]) {
        for line in lines.lines() {
            match self.replaced.pop_front_if(|(_, by)| by.as_slice() == line) {
                Some((original, by)) => {
                    self.transcript.heard(&original);
                    self.transcript.replaced(&by);
                }
                None => self.transcript.heard(line),
            }
        }
    }
}

impl Session {
    /// A command goes out.
    pub(super) fn say(&mut self, command: &[u8]) {
        self.out.extend_from_slice(command);
        if let Some(history) = &mut self.history {
            history.said(command);
        }
    }

    /// Lines of the server.
    pub(super) fn remember(&mut self, lines: &[u8], is_disordered: bool) {
        if let Some(history) = &mut self.history {
            history.heard(lines);
        }
        if is_disordered {
            self.note_trouble(NotifyClasses::PROTOCOL);
        }
    }

    /// A line of the server that cannot be read for trouble of ours, after what may be the beginning of a reply.
    pub(crate) fn remember_unread(&mut self, line: &[u8]) {
        let (lines, is_disordered) = self.reader.unfinished();
        let lines = lines.to_vec();
        self.remember(&lines, is_disordered);
        self.remember(line, false);
        self.reader = ReplyReader::new(self.settings.line_length_limit);
    }

    /// The connection is gone: what came before was no whole reply.
    pub(super) fn remember_unfinished(&mut self, ending: Ending) {
        if ending == Ending::DataError {
            self.note_trouble(NotifyClasses::DATA);
        }
        if self.history.is_some() {
            let (lines, is_disordered) = self.reader.unfinished();
            let lines = lines.to_vec();
            self.remember(&lines, is_disordered);
        }
    }

    pub(crate) fn note_trouble(&mut self, trouble: NotifyClasses) {
        if let Some(history) = &mut self.history {
            history.trouble = history.trouble.with(trouble);
        }
    }

    /// A line of the server that comes next is read as another one.
    pub(crate) fn line_replaced(&mut self, line: &BString, by: &BString) {
        if let Some(history) = &mut self.history {
            history.replaced.push_back((line.clone(), by.clone()));
        }
    }

    /// What the postmaster is to be told; all is forgotten then, for the next message.
    pub(crate) fn take_notice(&mut self) -> Option<Notice> {
        let history = std::mem::take(self.history.as_deref_mut()?);
        let is_wanted = history.trouble.has_any(self.settings.notify_classes);
        (is_wanted && !history.transcript.is_empty()).then(|| Notice {
            protocol: match self.settings.protocol {
                Protocol::Smtp => "SMTP",
                Protocol::Lmtp => "LMTP",
            },
            server: self.peer.with_port(),
            trouble: history.trouble,
            transcript: history.transcript,
        })
    }
}

#[cfg(test)]
mod tests;
