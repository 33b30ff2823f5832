//! The logs in `bounce`, `defer` and `trace`: blocks of text, one for each failed (or reported) recipient,
//! separated by empty lines.

use crate::{ReadError, Source, record::leading_number, split_attribute};
use bstr::{BString, ByteSlice};
use message::{QuoteOptions, quote_822_local};
use types::{DsnNotify, Recipient, Status};

/// One recipient's block. Addresses are in external form, as they stand in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogEntry {
    /// `recipient=`; empty for the null address.
    pub recipient: BString,
    /// `original_recipient=`, empty when the same or not known.
    pub original: BString,
    /// `offset=` of the recipient's record in the queue file, 0 when not known.
    pub offset: u64,
    /// `dsn_orig_rcpt=`
    pub dsn_orcpt: BString,
    /// `notify_flags=`
    pub dsn_notify: DsnNotify,
    /// `status=`, such as `4.4.1`.
    pub status: BString,
    /// `action=`: `delayed`, `failed`, `delivered`, `relayed`, `expanded`.
    pub action: BString,
    /// `diag_type=`, such as `smtp`.
    pub diag_type: BString,
    /// `diag_text=`
    pub diag_text: BString,
    /// `mta_type=`, such as `dns`.
    pub mta_type: BString,
    /// `mta_mname=`
    pub mta_name: BString,
    /// `reason=`
    pub reason: BString,
}

impl LogEntry {
    /// The block for a recipient's status.
    #[must_use]
    pub fn new(recipient: &Recipient, status: &Status, action: &str) -> Self {
        let address = recipient.address.as_bytes();
        let original = recipient.original.as_bytes();
        let is_same = original.is_empty() || original.eq_ignore_ascii_case(address);
        let (diag_type, diag_text) = status.diagnostic.clone().unwrap_or_default();
        let remote = status.remote_mta.as_deref().and_then(|mta| mta.split_once(';')).unwrap_or_default();
        Self {
            recipient: external(address),
            original: if is_same { BString::default() } else { external(original) },
            offset: recipient.offset,
            dsn_orcpt: recipient.dsn_orcpt.clone(),
            dsn_notify: recipient.dsn_notify,
            status: status.dsn.to_string().into(),
            action: action.into(),
            diag_type: diag_type.into(),
            diag_text,
            mta_type: remote.0.trim().into(),
            mta_name: remote.1.trim().into(),
            reason: status.reason.clone(),
        }
    }

    /// Appends the block as bounce(8) writes it; `old_style` is `backwards_bounce_logfile_compatibility`, which
    /// puts a line in the older format first.
    pub fn encode(&self, old_style: bool, log: &mut Vec<u8>) {
        log.push(b'\n');
        if old_style {
            let parts: [&[u8]; 4] = [b"<", &self.recipient, b">: ", &self.reason];
            push_line(log, &parts);
        }
        let recipient: &[u8] = if self.recipient.is_empty() { b"<>" } else { &self.recipient };
        push_line(log, &[b"recipient=", recipient]);
        push_unless_empty(log, "original_recipient", &self.original);
        if self.offset > 0 {
            push_line(log, &[b"offset=", self.offset.to_string().as_bytes()]);
        }
        push_unless_empty(log, "dsn_orig_rcpt", &self.dsn_orcpt);
        if self.dsn_notify.0 != 0 {
            push_line(log, &[b"notify_flags=", self.dsn_notify.0.to_string().as_bytes()]);
        }
        push_unless_empty(log, "status", &self.status);
        push_unless_empty(log, "action", &self.action);
        if !self.diag_type.is_empty() && !self.diag_text.is_empty() {
            push_unless_empty(log, "diag_type", &self.diag_type);
            push_unless_empty(log, "diag_text", &self.diag_text);
        }
        if !self.mta_type.is_empty() && !self.mta_name.is_empty() {
            push_unless_empty(log, "mta_type", &self.mta_type);
            push_unless_empty(log, "mta_mname", &self.mta_name);
        }
        push_unless_empty(log, "reason", &self.reason);
        log.push(b'\n');
    }

    /// Takes one line of a block; lines that make no sense are passed over, as bounce(8) does.
    fn take_line(&mut self, line: &[u8]) {
        if !line.first().is_some_and(u8::is_ascii_alphanumeric) {
            let Some((recipient, reason)) =
                line.strip_prefix(b"<").and_then(|rest| rest.split_once_str(">: "))
            else {
                return;
            };
            self.recipient = or_null_name(recipient);
            self.reason = reason.trim_ascii_start().into();
            return;
        }
        let Ok((name, value)) = split_attribute(line) else { return };
        match name {
            b"recipient" => self.recipient = or_null_name(value),
            b"original_recipient" => self.original = or_null_name(value),
            b"dsn_orig_rcpt" => self.dsn_orcpt = value.into(),
            b"notify_flags" => {
                let flags = u8::try_from(leading_number(value)).ok().filter(|flags| *flags < 16);
                self.dsn_notify = DsnNotify(flags.unwrap_or(0));
            }
            b"offset" => self.offset = u64::try_from(leading_number(value)).unwrap_or(0),
            b"status" => self.status = value.into(),
            b"action" => self.action = value.into(),
            b"diag_type" => self.diag_type = value.into(),
            b"diag_text" => self.diag_text = value.into(),
            b"mta_type" => self.mta_type = value.into(),
            b"mta_mname" => self.mta_name = value.into(),
            b"reason" => self.reason = value.into(),
            _ => {}
        }
    }

    /// Fills in what a block left out.
    fn complete(mut self, is_defer: bool) -> Self {
        let (status, action) = if is_defer { ("4.0.0", "delayed") } else { ("5.0.0", "failed") };
        for (field, default) in [
            (&mut self.recipient, "(recipient address unavailable)"),
            (&mut self.status, status),
            (&mut self.action, action),
            (&mut self.reason, "(description unavailable)"),
        ] {
            if field.is_empty() {
                *field = default.into();
            }
        }
        self
    }
}

/// The external form; the null address stays empty.
fn external(address: &[u8]) -> BString {
    if address.is_empty() {
        return BString::default();
    }
    quote_822_local(address, QuoteOptions::default()).into_owned().into()
}

fn or_null_name(value: &[u8]) -> BString {
    if value.is_empty() { "(MAILER-DAEMON)".into() } else { value.into() }
}

fn push_unless_empty(log: &mut Vec<u8>, name: &str, value: &[u8]) {
    if !value.is_empty() {
        push_line(log, &[name.as_bytes(), b"=", value]);
    }
}

/// No value can end its line early: control characters become `?`.
fn push_line(log: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        log.extend(part.iter().map(|b| if b.is_ascii_control() { b'?' } else { *b }));
    }
    log.push(b'\n');
}

/// Reads a log block by block.
pub struct LogReader<S> {
    source: S,
    is_defer: bool,
    offset: u64,
    buffer: Vec<u8>,
    is_at_end: bool,
}

impl<S: Source> LogReader<S> {
    /// Longest line that is kept; the rest of a longer one is dropped.
    const LINE_BYTES_MAX: usize = 64 * 1024;
    const READ_BYTES: usize = 8 * 1024;

    /// `is_defer` says which defaults a block in the older format has.
    pub fn new(source: S, is_defer: bool) -> Self {
        Self { source, is_defer, offset: 0, buffer: Vec::new(), is_at_end: false }
    }

    /// The next block; `None` at the end. A block that the file ends in the middle of is dropped, as Postfix
    /// does: its append was interrupted and its recipient is still to be done.
    pub fn next_entry(&mut self) -> Result<Option<LogEntry>, ReadError> {
        let mut entry = None;
        while let Some(line) = self.line()? {
            if line.is_empty() {
                if let Some(entry) = entry.take() {
                    return Ok(Some(LogEntry::complete(entry, self.is_defer)));
                }
                continue;
            }
            entry.get_or_insert_with(LogEntry::default).take_line(&line);
        }
        Ok(None)
    }

    fn line(&mut self) -> Result<Option<Vec<u8>>, ReadError> {
        let mut searched = 0;
        loop {
            if let Some(end) = self.buffer[searched..].find_byte(b'\n').map(|at| searched + at) {
                let rest = self.buffer.split_off(end + 1);
                let mut line = std::mem::replace(&mut self.buffer, rest);
                line.pop();
                for byte in &mut line {
                    if byte.is_ascii_control() {
                        *byte = b'?';
                    }
                }
                return Ok(Some(line));
            }
            if self.is_at_end {
                return Ok(None);
            }
            if self.buffer.len() > Self::LINE_BYTES_MAX {
                self.buffer.truncate(Self::LINE_BYTES_MAX);
            }
            searched = self.buffer.len();
            self.fill()?;
        }
    }

    fn fill(&mut self) -> Result<(), ReadError> {
        let old = self.buffer.len();
        self.buffer.resize(old + Self::READ_BYTES, 0);
        let count = match self.source.read_at(self.offset, &mut self.buffer[old..]) {
            Ok(count) => count.min(Self::READ_BYTES),
            Err(error) => return Err(ReadError::Io { offset: self.offset, error }),
        };
        self.buffer.truncate(old + count);
        self.offset += count as u64;
        self.is_at_end = count == 0;
        Ok(())
    }
}

impl LogEntry {
    /// The whole of a short log.
    #[must_use]
    pub fn parse_all(log: &[u8], is_defer: bool) -> Vec<Self> {
        let mut reader = LogReader::new(log, is_defer);
        std::iter::from_fn(|| reader.next_entry().ok().flatten()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bstr::ByteVec;

    #[test]
    fn writes_what_bounce_writes_and_reads_it_back() {
        let entry = LogEntry {
            recipient: "a@example.com".into(),
            offset: 545,
            dsn_orcpt: "rfc822;a@example.com".into(),
            status: "4.4.1".into(),
            action: "delayed".into(),
            mta_type: "dns".into(),
            mta_name: "mx.example.com".into(),
            reason: "connect to mx: refused\nrecipient=forged@x".into(),
            ..LogEntry::default()
        };
        let mut log = Vec::new();
        entry.encode(true, &mut log);
        let expected = "\n<a@example.com>: connect to mx: refused?recipient=forged@x\nrecipient=a@example.com\n\
            offset=545\ndsn_orig_rcpt=rfc822;a@example.com\nstatus=4.4.1\naction=delayed\nmta_type=dns\n\
            mta_mname=mx.example.com\nreason=connect to mx: refused?recipient=forged@x\n\n";
        assert_eq!(log.as_bstr(), expected);
        let mut twice = log.clone();
        twice.push_str("\n<b@c>: old style\n\n\nrecipient=torn@x\nreason=never fin");
        let read = LogEntry::parse_all(&twice, true);
        assert_eq!(read.len(), 2);
        assert_eq!(read[0].offset, 545);
        assert_eq!(read[0].mta_name, "mx.example.com");
        assert_eq!((read[1].recipient.as_bstr(), read[1].status.as_bstr()), ("b@c".into(), "4.0.0".into()));
    }
}
