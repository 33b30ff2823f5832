//! Prints what showq(8) says, as mailq or as JSON, while it comes.

use super::client::Client;
use std::{
    collections::VecDeque,
    fmt::Write as _,
    io::{self, Write},
};
use sys::clock::LocalTime;

/// How the listing looks.
#[derive(Clone, Copy)]
pub(super) struct Style {
    pub(super) is_json: bool,
    pub(super) has_long_ids: bool,
}

/// Why the listing ends early.
pub(super) enum Trouble {
    /// The server said something else than a listing.
    Malformed,
    /// Standard output does not take it, or the server cannot be read.
    Output(io::Error),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// Reads a listing to its end and prints it.
pub(super) fn show(client: &mut Client, style: Style, out: &mut dyn Write) -> Result<(), Trouble> {
    let mut printer = Printer::new(style);
    let mut buffer = [0; 16 * 1024];
    loop {
        match client.read(&mut buffer) {
            Ok(0) => return printer.finish(out),
            Ok(count) => printer.take(buffer.get(..count).unwrap_or_default(), out)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Err(Trouble::Malformed),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Expect {
    Protocol,
    Message,
    Recipient,
    Nothing,
}

/// Turns the stream of attributes into lines.
pub(super) struct Printer {
    style: Style,
    expect: Expect,
    /// Complete strings that are not used yet.
    strings: VecDeque<String>,
    partial: Vec<u8>,
    messages: u64,
    bytes: u64,
    recipients: u64,
    reason: String,
}

/// Attributes of a message, a name and a value each.
const MESSAGE_ATTRIBUTES: usize = 6;
/// Longest string: no attribute of a listing is longer.
const STRING_BYTES_MAX: usize = 64 * 1024;

impl Printer {
    pub(super) fn new(style: Style) -> Self {
        Self {
            style,
            expect: Expect::Protocol,
            strings: VecDeque::new(),
            partial: Vec::new(),
            messages: 0,
            bytes: 0,
            recipients: 0,
            reason: String::new(),
        }
    }

    /// Takes the next bytes of the stream.
    pub(super) fn take(&mut self, bytes: &[u8], out: &mut dyn Write) -> Result<(), Trouble> {
        for piece in bytes.split_inclusive(|b| *b == 0) {
            match piece.split_last() {
                Some((0, rest)) => {
                    self.partial.extend_from_slice(rest);
                    let string = printable(&self.partial);
                    self.partial.clear();
                    self.strings.push_back(string);
                    self.step(out)?;
                }
                _ => self.partial.extend_from_slice(piece),
            }
            if self.partial.len() > STRING_BYTES_MAX {
                return Err(Trouble::Malformed);
            }
        }
        Ok(())
    }

    /// The stream has ended.
    pub(super) fn finish(&mut self, out: &mut dyn Write) -> Result<(), Trouble> {
        if self.expect != Expect::Nothing {
            return Err(Trouble::Malformed);
        }
        if self.style.is_json {
            return Ok(());
        }
        match self.messages {
            0 => writeln!(out, "Mail queue is empty")?,
            count => {
                let plural = if count == 1 { "" } else { "s" };
                writeln!(out, "\n-- {} Kbytes in {count} Request{plural}.", self.bytes / 1024)?;
            }
        }
        Ok(())
    }

    /// Does what can be done with the strings at hand.
    fn step(&mut self, out: &mut dyn Write) -> Result<(), Trouble> {
        let is_end = self.strings.front().is_some_and(String::is_empty);
        match self.expect {
            Expect::Protocol if self.strings.len() == 3 => {
                let greeting: Vec<String> = self.strings.drain(..).collect();
                if greeting != ["protocol", "mail_queue_list_protocol", ""] {
                    return Err(Trouble::Malformed);
                }
                self.expect = Expect::Message;
            }
            Expect::Message if is_end => {
                self.strings.clear();
                self.expect = Expect::Nothing;
            }
            Expect::Message if self.strings.len() == 2 * MESSAGE_ATTRIBUTES => self.message(out)?,
            Expect::Recipient if is_end => {
                self.strings.clear();
                self.expect = Expect::Message;
                if self.style.is_json {
                    writeln!(out, "]}}")?;
                }
                out.flush()?;
            }
            // The reason is the last attribute.
            Expect::Recipient if self.is_at_value_of("reason") => self.recipient(out)?,
            Expect::Recipient if self.strings.len() > 8 => return Err(Trouble::Malformed),
            Expect::Nothing => return Err(Trouble::Malformed),
            _ => {}
        }
        Ok(())
    }

    fn is_at_value_of(&self, name: &str) -> bool {
        let count = self.strings.len();
        count >= 2 && count.is_multiple_of(2) && self.strings.get(count - 2).is_some_and(|last| last == name)
    }

    /// The value that comes next, which must have this name.
    fn value(&mut self, name: &str) -> Result<String, Trouble> {
        let found = self.strings.pop_front();
        let value = self.strings.pop_front();
        value.filter(|_| found.as_deref() == Some(name)).ok_or(Trouble::Malformed)
    }

    /// The value that comes next if it has this name: servers before Postfix 3.11 say less.
    fn optional(&mut self, name: &str) -> Result<Option<String>, Trouble> {
        match self.strings.front() {
            Some(next) if next == name => self.value(name).map(Some),
            _ => Ok(None),
        }
    }

    fn number(&mut self, name: &str) -> Result<i64, Trouble> {
        self.value(name)?.parse().map_err(|_| Trouble::Malformed)
    }

    fn message(&mut self, out: &mut dyn Write) -> Result<(), Trouble> {
        let message = Message {
            queue: self.value("queue_name")?,
            id: self.value("queue_id")?,
            time: self.number("time")?,
            size: self.number("size")?,
            is_expired: self.number("forced_expire")? != 0,
            sender: self.value("sender")?,
        };
        self.expect = Expect::Recipient;
        self.recipients = 0;
        self.reason.clear();
        self.bytes = self.bytes.saturating_add(u64::try_from(message.size).unwrap_or(0));
        self.messages += 1;
        if self.style.is_json {
            return Ok(message.write_json(out)?);
        }
        let heading = match (self.messages, self.style.has_long_ids) {
            (1, true) => "----Queue ID----- --Size-- ---Arrival Time---- --Sender/Recipient------",
            (1, false) => "-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------",
            _ => "",
        };
        writeln!(out, "{heading}")?;
        Ok(message.write(self.style, out)?)
    }

    fn recipient(&mut self, out: &mut dyn Write) -> Result<(), Trouble> {
        let recipient = Recipient {
            original: self.optional("original_recipient")?,
            address: self.value("recipient")?,
            log_class: self.optional("log_class")?,
            reason: self.value("reason")?,
        };
        if self.style.is_json {
            let comma = if self.recipients > 0 { ", " } else { "" };
            write!(out, "{comma}")?;
            self.recipients += 1;
            return Ok(recipient.write_json(out)?);
        }
        if recipient.reason != self.reason {
            recipient.write_reason(out)?;
            self.reason.clone_from(&recipient.reason);
        }
        Ok(recipient.write(self.style, out)?)
    }
}

/// A message as the server describes it.
struct Message {
    queue: String,
    id: String,
    /// Seconds since the epoch.
    time: i64,
    /// Bytes.
    size: i64,
    is_expired: bool,
    sender: String,
}

impl Message {
    /// Up to its recipients.
    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        write!(
            out,
            "{{\"queue_name\": {}, \"queue_id\": {}, \"arrival_time\": {}, \"message_size\": {}, \
             \"forced_expire\": {}, \"sender\": {}, \"recipients\": [",
            json(&self.queue),
            json(&self.id),
            self.time,
            self.size,
            self.is_expired,
            json(&self.sender)
        )
    }

    fn write(&self, style: Style, out: &mut dyn Write) -> io::Result<()> {
        let mark = match self.queue.as_str() {
            "active" => "*",
            "hold" => "!",
            _ => "",
        };
        let id = format!("{}{mark}{}", self.id, if self.is_expired { "#" } else { "" });
        let time = LocalTime::at(self.time).asctime();
        let (size, sender) = (self.size, &self.sender);
        if style.has_long_ids {
            let short = time.get(..19).unwrap_or(&time);
            writeln!(out, "{id:<17} {size:>8} {short:>19} {sender}")
        } else {
            let short = time.get(..20).unwrap_or(&time);
            writeln!(out, "{id:<11} {size:>7} {short:>20} {sender}")
        }
    }
}

/// A recipient, with the reason why it has no mail yet, which may be empty.
struct Recipient {
    original: Option<String>,
    address: String,
    log_class: Option<String>,
    reason: String,
}

impl Recipient {
    fn write_json(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut fields = Vec::new();
        if let Some(original) = &self.original {
            fields.push(format!("\"orig_address\": {}", json(original)));
        }
        fields.push(format!("\"address\": {}", json(&self.address)));
        if !self.reason.is_empty() {
            let name = match self.log_class.as_deref() {
                None | Some("defer") => "delay_reason",
                Some("bounce") => "bounce_reason",
                Some(_) => "other_reason",
            };
            fields.push(format!("\"{name}\": {}", json(&self.reason)));
        }
        write!(out, "{{{}}}", fields.join(", "))
    }

    fn write_reason(&self, out: &mut dyn Write) -> io::Result<()> {
        let shown = if self.reason.is_empty() { "reason unavailable" } else { &self.reason };
        let padding = 76usize.saturating_sub(shown.len());
        writeln!(out, "{:padding$}({shown})", "")
    }

    fn write(&self, style: Style, out: &mut dyn Write) -> io::Result<()> {
        let address = &self.address;
        if style.has_long_ids {
            writeln!(out, "{:<17} {:>8} {:<19} {address}", "", "", "")
        } else {
            writeln!(out, "{:<11} {:>7} {:<20} {address}", "", "", "")
        }
    }
}

/// Text without control characters: a listing cannot forge lines.
fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars()
        .map(|c| if c.is_ascii_control() || c == char::REPLACEMENT_CHARACTER { '?' } else { c })
        .collect()
}

/// A JSON string.
fn json(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(c);
            }
            c if c.is_control() => {
                // Writing to a string cannot fail.
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
