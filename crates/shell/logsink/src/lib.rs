//! Where rendered log lines go: to syslog, to `maillog_file`, to standard output.
//!
//! Postfix's processes send their lines to postlogd(8), which owns the file. Here master opens the file once, as
//! whoever it was started by, and hands each process a descriptor for appending; a line, or a [`Batch`] of
//! whole lines, is one `write`, which the kernel appends as a whole. Programs that a user runs cannot open the file and send their lines to
//! `public/postlog`, as in Postfix.
//!
//! Diagnostics: nothing here fails, or waits for long. What could not be written is counted, and the count is written as
//! a warning before the next line that gets through.

mod batch;
mod diagnostics;
mod peer;
mod settings;

#[cfg(test)]
mod tests;

pub use batch::Batch;
pub use diagnostics::Diagnostics;
pub use settings::{Destination, Facility, Format, LogSettings};

use maillog::{Line, Severity, Sink};
use peer::Peer;
use std::{
    cell::{Cell, RefCell},
    fmt::Write as _,
    fs::File,
    io::{self, Write},
    os::{fd::OwnedFd, unix::fs::OpenOptionsExt},
    time::{SystemTime, UNIX_EPOCH},
};
use sys::clock::LocalTime;

/// The system's log socket.
const DEV_LOG: &str = "/dev/log";

/// The longest text of a line, as in Postfix.
const TEXT_BYTES_MAX: usize = 2000;

/// The longest line, so that a datagram and a pipe take it whole.
const LINE_BYTES_MAX: usize = 4000;

/// Writes lines to one destination.
#[derive(Debug)]
pub struct LogSink {
    target: Target,
    format: Format,
    facility: Facility,
    host: String,
    has_utf8: bool,
    dropped: Cell<u64>,
    stamp: RefCell<Stamp>,
    /// A line being made; kept for its memory.
    text: RefCell<String>,
}

/// The text of a second: lines come much more often than seconds.
#[derive(Debug, Default)]
struct Stamp {
    seconds: u64,
    time: LocalTime,
    text: String,
}

#[derive(Debug)]
enum Target {
    /// A file or terminal that takes whole lines.
    Stream(File),
    /// A file whose lines wait for the end of a turn.
    Batched(Batch),
    /// The system's logger.
    Syslog(Peer),
    /// postlogd's socket.
    Postlog(Peer),
}

impl LogSink {
    /// For a process that master started: `file` is the log file, from [`open_file`], when the destination is one.
    pub fn new(settings: &LogSettings, file: Option<OwnedFd>) -> io::Result<Self> {
        let target = match (&settings.destination, file) {
            (Destination::Syslog, _) => return Ok(Self::to_syslog(settings)),
            (Destination::Stdout, _) => Target::Stream(duplicate_stdout()?),
            (Destination::File(_), Some(file)) => Target::Stream(File::from(file)),
            (Destination::File(_), None) => {
                Target::Postlog(Peer::new(&settings.postlog_socket, settings.wait_limit))
            }
        };
        Ok(Self::with(target, settings))
    }

    /// For programs: opens the file itself where it may, and goes through postlog where not. The standard output that is
    /// meant is the mail system's: only where there is none, the program's own stands in.
    pub fn open(settings: &LogSettings) -> io::Result<Self> {
        match &settings.destination {
            Destination::Syslog => Ok(Self::to_syslog(settings)),
            Destination::File(_) => Self::new(settings, open_file(settings).ok().flatten()),
            Destination::Stdout => {
                let peer = Peer::new(&settings.postlog_socket, settings.wait_limit);
                if peer.is_there() {
                    Ok(Self::with(Target::Postlog(peer), settings))
                } else {
                    Self::new(settings, None)
                }
            }
        }
    }

    fn to_syslog(settings: &LogSettings) -> Self {
        Self::with(Target::Syslog(Peer::new(DEV_LOG, settings.wait_limit)), settings)
    }

    fn with(target: Target, settings: &LogSettings) -> Self {
        Self {
            target,
            format: settings.format,
            facility: settings.facility,
            host: settings.host.clone(),
            has_utf8: settings.has_utf8,
            dropped: Cell::new(0),
            stamp: RefCell::default(),
            text: RefCell::default(),
        }
    }

    /// For an event loop that calls [`Batch::flush`] before it waits: the lines of one turn are one write. `None`
    /// when the destination is no file. Warnings, and what is worse, are written at once.
    pub fn batched(&mut self) -> Option<Batch> {
        let Target::Stream(file) = &self.target else { return None };
        let batch = Batch::new(file.try_clone().ok()?);
        self.target = Target::Batched(batch.clone());
        Some(batch)
    }

    fn render(&self, into: &mut String, line: Line<'_>) {
        let Line { severity, tag, session, text } = line;
        let text = text.get(..text.floor_char_boundary(TEXT_BYTES_MAX)).unwrap_or(text);
        let plain = (!self.has_utf8 && !text.is_ascii()).then(|| without_utf8(text));
        let line = Line { text: plain.as_deref().unwrap_or(text), ..line };
        let text = line.text;
        let (prefix, host) = (severity.prefix(), &self.host);
        self.renew_stamp();
        let stamp = self.stamp.borrow();
        // A String takes all that is written to it.
        let _ = match (&self.target, self.format) {
            (Target::Syslog(_), _) => {
                let priority = self.facility.code() * 8 + level(severity);
                write!(into, "<{priority}>{} {tag}[{session}]: {prefix}{text}", stamp.text)
            }
            (_, Format::Json) => into.write_str(&json(&stamp.time, line, host)),
            (_, Format::Postfix) => {
                write!(into, "{} {host} {tag}[{session}]: {prefix}{text}", stamp.text)
            }
        };
        if into.len() > LINE_BYTES_MAX && self.format == Format::Postfix {
            into.truncate(into.floor_char_boundary(LINE_BYTES_MAX));
        }
        if matches!(self.target, Target::Stream(_) | Target::Batched(_)) {
            into.push('\n');
        }
    }

    fn renew_stamp(&self) {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |span| span.as_secs());
        let mut stamp = self.stamp.borrow_mut();
        if stamp.seconds != seconds || stamp.text.is_empty() {
            let time = LocalTime::at(i64::try_from(seconds).unwrap_or(0));
            let text = match self.target {
                Target::Syslog(_) => time.syslog_stamp(),
                _ => time.file_stamp(),
            };
            *stamp = Stamp { seconds, time, text };
        }
    }

    fn send(&self, line: Line<'_>) -> bool {
        let mut text = self.text.borrow_mut();
        text.clear();
        self.render(&mut text, line);
        match &self.target {
            Target::Batched(batch) => {
                batch.add(text.as_bytes(), line.severity > Severity::Info);
                true
            }
            target => target.write(text.as_bytes()).is_ok(),
        }
    }
}

/// As Postfix shows text where smtputf8_enable is off.
fn without_utf8(text: &str) -> String {
    text.bytes().map(|byte| if byte.is_ascii() { char::from(byte) } else { '?' }).collect()
}

impl Sink for LogSink {
    fn write(&self, line: Line<'_>) {
        if let Target::Batched(batch) = &self.target {
            self.dropped.set(self.dropped.get().saturating_add(batch.take_lost()));
        }
        let dropped = self.dropped.get();
        if dropped > 0 {
            let text = format!("{dropped} log lines were lost, because the log could not take them in time");
            if !self.send(Line { severity: Severity::Warning, text: &text, ..line }) {
                return self.dropped.set(dropped.saturating_add(1));
            }
            self.dropped.set(0);
        }
        if !self.send(line) {
            self.dropped.set(self.dropped.get().saturating_add(1));
        }
    }
}

impl Target {
    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Stream(file) => {
                let mut file = file;
                file.write_all(bytes)
            }
            Self::Batched(batch) => {
                batch.add(bytes, true);
                Ok(())
            }
            Self::Syslog(peer) | Self::Postlog(peer) => peer.write(bytes),
        }
    }
}

fn duplicate_stdout() -> io::Result<File> {
    Ok(File::from(rustix::io::dup(rustix::stdio::stdout())?))
}

/// Opens `maillog_file` for appending, creating it with `maillog_file_permissions`; `None` when the destination is
/// no file. master does this at start and reload, and gives every process a copy.
pub fn open_file(settings: &LogSettings) -> io::Result<Option<OwnedFd>> {
    let Destination::File(path) = &settings.destination else { return Ok(None) };
    let file = File::options().append(true).create(true).mode(settings.permissions).open(path)?;
    Ok(Some(file.into()))
}

/// A descriptor for what came to `public/postlog`, where that is taken: of the file, or of standard output.
pub fn copy_for_others(settings: &LogSettings, file: Option<&OwnedFd>) -> io::Result<Option<OwnedFd>> {
    match (&settings.destination, file) {
        (Destination::File(_), Some(file)) => Ok(Some(file.try_clone()?)),
        (Destination::Stdout, _) => Ok(Some(duplicate_stdout()?.into())),
        _ => Ok(None),
    }
}

/// Appends what came to `public/postlog` to the log: postlogd's work. The datagram is a whole line without its
/// end; what is not printable in it was made so by someone who may not write to the log.
pub fn append_datagram(mut file: &File, datagram: &[u8]) -> io::Result<()> {
    let mut line = Vec::with_capacity(datagram.len() + 1);
    line.extend(datagram.iter().map(|&byte| if byte < b' ' || byte == 0x7f { b'?' } else { byte }));
    line.push(b'\n');
    file.write_all(&line)
}

/// Levels of syslog for Postfix's verbs.
fn level(severity: Severity) -> u8 {
    match severity {
        Severity::Info => 6,
        Severity::Warning => 4,
        Severity::Error => 3,
        Severity::Fatal | Severity::Panic => 2,
    }
}

fn json(time: &LocalTime, line: Line<'_>, host: &str) -> String {
    let severity = line.severity.prefix().trim_end_matches(": ");
    let mut text = String::from("{\"time\":");
    quote(&mut text, &time.rfc3339());
    for (name, value) in [("host", host), ("service", line.tag)] {
        text.push_str(",\"");
        text.push_str(name);
        text.push_str("\":");
        quote(&mut text, value);
    }
    text.push_str(&format!(",\"session\":{},\"severity\":", line.session));
    quote(&mut text, if severity.is_empty() { "info" } else { severity });
    text.push_str(",\"text\":");
    quote(&mut text, line.text);
    text.push('}');
    text
}

/// A JSON string (RFC 8259 section 7).
fn quote(into: &mut String, text: &str) {
    into.push('"');
    for c in text.chars() {
        match c {
            '"' => into.push_str("\\\""),
            '\\' => into.push_str("\\\\"),
            c if c < ' ' => into.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => into.push(c),
        }
    }
    into.push('"');
}
