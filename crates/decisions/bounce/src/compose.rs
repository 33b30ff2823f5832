//! The text of a notification, line by line.

use bstr::{BStr, ByteSlice};
use message::{LocalZone, QuoteOptions, header_name_len, mail_date, quote_822_local};
use queue_format::LogEntry;
use types::{BodyEncoding, MessageAttributes, QueueId, SendOptions, WallTime};

use crate::{
    plan::{Audience, Kind, Notification, Returns},
    settings::BounceSettings,
    template::Template,
};

/// A piece of a line of content. Long lines come in several pieces, as queue files have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Without line end.
    pub bytes: &'a [u8],
    /// The line ends here.
    pub is_complete: bool,
}

/// What is known of the message that a notification is about.
#[derive(Clone, Copy, Debug)]
pub struct Original<'a> {
    /// Its queue id.
    pub queue_id: QueueId,
    /// Its attributes (sender, arrival, encoding, ENVID, send options, content size).
    pub message: &'a MessageAttributes,
    /// Its Message-ID with angle brackets, if known: for enable_threaded_bounces.
    pub message_id: Option<&'a BStr>,
    /// Whether its content can be read.
    pub has_content: bool,
}

/// Where output goes.
type Out<'o> = dyn FnMut(Line<'_>) + 'o;

/// Makes one notification.
pub struct Composer<'a> {
    settings: &'a BounceSettings,
    notification: &'a Notification,
    original: Original<'a>,
    zone: &'a LocalZone,
    boundary: Boundary,
    encoding: Option<&'static str>,
    /// The next piece of the original begins a line.
    is_line_start: bool,
    is_over: bool,
}

impl<'a> Composer<'a> {
    /// `now` is part of the MIME boundary.
    #[must_use]
    pub fn new(
        now: WallTime,
        zone: &'a LocalZone,
        settings: &'a BounceSettings,
        notification: &'a Notification,
        original: Original<'a>,
    ) -> Self {
        let encoding = match original.message.encoding {
            _ if settings.smtputf8_enable => Some("8bit"),
            BodyEncoding::EightBit => Some("8bit"),
            BodyEncoding::SevenBit => Some("7bit"),
            BodyEncoding::Unknown => None,
        };
        let boundary =
            Boundary::new(format!("{}.{}/{}", original.queue_id, now.seconds, settings.myhostname));
        Self {
            settings,
            notification,
            original,
            zone,
            boundary,
            encoding,
            is_line_start: true,
            is_over: false,
        }
    }

    /// How much of the original will be returned.
    #[must_use]
    pub fn returns(&self) -> Returns {
        let limit = self.settings.bounce_size_limit;
        let size = self.original.message.content_bytes;
        if limit > 0 && (size == 0 || size > limit) { Returns::Headers } else { self.notification.returns }
    }

    /// Shows a piece of the original before anything is written, so that the MIME boundary will be one that the original
    /// does not have. Without this the boundary is as Postfix makes it, which strangers can hardly foresee.
    pub fn check(&mut self, line: Line<'_>) {
        if self.is_line_start {
            self.boundary.check(line.bytes);
        }
        self.note_line_start(line);
    }

    /// An empty piece leaves the place where it is: a line that only seems to go on may begin with anything.
    fn note_line_start(&mut self, line: Line<'_>) {
        self.is_line_start = line.is_complete || (self.is_line_start && line.bytes.is_empty());
    }

    /// Writes everything up to the original. False if no recipient wants a notification: drop what was written.
    pub fn begin(&mut self, entries: &[LogEntry], out: &mut Out<'_>) -> bool {
        self.is_line_start = true;
        let wanted = |entry: &&LogEntry| {
            entry.dsn_notify.0 == 0 || entry.dsn_notify.0 & self.notification.notify.0 != 0
        };
        if !entries.is_empty() && !entries.iter().any(|entry| wanted(&entry)) {
            return false;
        }
        if entries.is_empty() && self.notification.kind != Kind::Failure {
            return false;
        }
        self.header(out);
        let template = self.template();
        if self.notification.audience == Audience::Sender {
            template.expanded.iter().for_each(|line| put(out, line));
        }
        if entries.is_empty() {
            put(out, b"");
            put(out, b"\t--- Delivery report unavailable ---");
        }
        for entry in entries.iter().filter(wanted) {
            put(out, b"");
            let mut text = format_bytes(&[b"<", &entry.recipient, b">"]);
            if !entry.original.is_empty() {
                text.extend_from_slice(&format_bytes(&[b" (expanded from <", &entry.original, b">)"]));
            }
            text.extend_from_slice(b": ");
            text.extend_from_slice(&entry.reason);
            wrap(&text, out);
        }
        self.status_header(out);
        for entry in entries.iter().filter(wanted) {
            self.status(entry, out);
        }
        self.original_header(out);
        true
    }

    fn template(&self) -> &'a Template {
        self.settings.templates.of(self.notification.template())
    }

    fn header(&self, out: &mut Out<'_>) {
        let template = self.template();
        let kind = self.notification.template();
        field(out, "From", self.settings.templates.from_of(kind).as_bytes());
        let subject = match (&template.postmaster_subject, self.notification.audience) {
            (Some(subject), Audience::Postmaster) => subject,
            _ => &template.subject,
        };
        field(out, "Subject", subject.as_bytes());
        let to = self.notification.recipient.as_bytes();
        field(out, "To", &quote_822_local(to, QuoteOptions::default()));
        if let Some(id) = self.original.message_id.filter(|_| self.settings.enable_threaded_bounces) {
            field(out, "References", id);
            field(out, "In-Reply-To", id);
        }
        let submitted = match self.notification.audience {
            Audience::Sender => "auto-replied",
            Audience::Postmaster => "auto-generated",
        };
        field(out, "Auto-Submitted", submitted.as_bytes());
        field(out, "MIME-Version", b"1.0");
        field(out, "Content-Type", b"multipart/report; report-type=delivery-status;");
        put(out, format!("\tboundary=\"{}\"", self.boundary.text()).as_bytes());
        match self.encoding {
            Some("7bit") => {
                let encoding: &[u8] = if template.is_eight_bit { b"8bit" } else { b"7bit" };
                field(out, "Content-Transfer-Encoding", encoding);
            }
            Some(encoding) => field(out, "Content-Transfer-Encoding", encoding.as_bytes()),
            None => {}
        }
        put(out, b"");
        put(out, b"This is a MIME-encapsulated message.");
        self.part(out, "Notification");
        let is_seven_bit = self.eight_bit().is_none();
        let charset = if !template.charset.eq_ignore_ascii_case("us-ascii") {
            &template.charset
        } else if is_seven_bit {
            "us-ascii"
        } else {
            "utf-8"
        };
        field(out, "Content-Type", format!("text/plain; charset={charset}").as_bytes());
        self.part_encoding(out);
        put(out, b"");
    }

    fn part(&self, out: &mut Out<'_>, description: &str) {
        put(out, b"");
        put(out, format!("--{}", self.boundary.text()).as_bytes());
        field(out, "Content-Description", description.as_bytes());
    }

    /// The encoding if it must be said for each part.
    fn eight_bit(&self) -> Option<&'static str> {
        self.encoding.filter(|encoding| *encoding != "7bit")
    }

    fn part_encoding(&self, out: &mut Out<'_>) {
        if let Some(encoding) = self.eight_bit() {
            field(out, "Content-Transfer-Encoding", encoding.as_bytes());
        }
    }

    fn is_utf8_requested(&self) -> bool {
        self.original.message.send_options.has(SendOptions::SMTPUTF8_REQUESTED)
    }

    fn address_type(&self, address: &[u8]) -> &'static [u8] {
        let all = SendOptions::SMTPUTF8_REQUESTED
            | SendOptions::SMTPUTF8_HEADER
            | SendOptions::SMTPUTF8_SENDER
            | SendOptions::SMTPUTF8_RECIPIENT;
        let is_utf8 = !address.is_ascii() && address.to_str().is_ok();
        if is_utf8 && self.original.message.send_options.has(all) { b"utf-8; " } else { b"rfc822; " }
    }

    /// The original's sender in external form.
    fn sender(&self) -> Vec<u8> {
        let sender = &self.original.message.sender;
        let sender =
            if sender.is_null() { self.settings.mailer_daemon.as_bytes() } else { sender.as_bytes() };
        quote_822_local(sender, QuoteOptions::default()).into_owned()
    }

    fn status_header(&self, out: &mut Out<'_>) {
        self.part(out, "Delivery report");
        if self.is_utf8_requested() {
            field(out, "Content-Type", b"message/global-delivery-status");
            self.part_encoding(out);
        } else {
            field(out, "Content-Type", b"message/delivery-status");
        }
        put(out, b"");
        let name = &self.settings.mail_name;
        field(out, "Reporting-MTA", format!("dns; {}", self.settings.myhostname).as_bytes());
        let message = self.original.message;
        if !message.dsn_envid.is_empty() {
            field(out, "Original-Envelope-Id", &message.dsn_envid);
        }
        field(out, &format!("X-{name}-Queue-ID"), self.original.queue_id.as_str().as_bytes());
        let sender = self.sender();
        field(out, &format!("X-{name}-Sender"), &[self.address_type(&sender), &sender].concat());
        if message.arrival.seconds > 0 {
            field(out, "Arrival-Date", mail_date(message.arrival, self.zone).as_bytes());
        }
    }

    fn status(&self, entry: &LogEntry, out: &mut Out<'_>) {
        put(out, b"");
        let address = |bytes: &[u8]| [self.address_type(bytes), bytes].concat();
        field(out, "Final-Recipient", &address(&entry.recipient));
        if !entry.dsn_orcpt.is_empty() {
            field(out, "Original-Recipient", &entry.dsn_orcpt);
        } else if !entry.original.is_empty() {
            field(out, "Original-Recipient", &address(&entry.original));
        }
        let is_failure = self.notification.kind == Kind::Failure;
        field(out, "Action", if is_failure { b"failed" } else { &entry.action });
        field(out, "Status", &entry.status);
        if !entry.mta_type.is_empty() && !entry.mta_name.is_empty() {
            wrap(&format_bytes(&[b"Remote-MTA: ", &entry.mta_type, b"; ", &entry.mta_name]), out);
        }
        let own = format!("X-{}", self.settings.mail_name);
        let (kind, text): (&[u8], &[u8]) = if entry.diag_type.is_empty() || entry.diag_text.is_empty() {
            (own.as_bytes(), &entry.reason)
        } else {
            (&entry.diag_type, &entry.diag_text)
        };
        wrap(&format_bytes(&[b"Diagnostic-Code: ", kind, b"; ", text]), out);
        if self.notification.kind == Kind::Delay {
            let until = self.original.message.arrival + self.settings.maximal_queue_lifetime;
            field(out, "Will-Retry-Until", mail_date(until, self.zone).as_bytes());
        }
    }

    fn original_header(&mut self, out: &mut Out<'_>) {
        let has_only_headers = self.returns() == Returns::Headers;
        let is_success = matches!(self.notification.kind, Kind::Success | Kind::Report);
        let undelivered = if is_success { "" } else { "Undelivered " };
        let what = if has_only_headers { "Message Headers" } else { "Message" };
        self.part(out, &format!("{undelivered}{what}"));
        let kind = match (self.is_utf8_requested(), has_only_headers) {
            (true, true) => "message/global-headers",
            (true, false) => "message/global",
            (false, true) => "text/rfc822-headers",
            (false, false) => "message/rfc822",
        };
        field(out, "Content-Type", kind.as_bytes());
        self.part_encoding(out);
        put(out, b"");
        if self.original.has_content {
            put(out, &format_bytes(&[b"Return-Path: <", &self.sender(), b">"]));
        } else {
            put(out, b"\t--- Undelivered message unavailable ---");
            self.is_over = true;
        }
    }

    /// Takes a piece of the original; false when no more is wanted.
    pub fn original(&mut self, line: Line<'_>, out: &mut Out<'_>) -> bool {
        if self.is_over {
            return false;
        }
        if self.is_line_start && self.returns() == Returns::Headers && !is_header(line.bytes) {
            self.is_over = true;
            return false;
        }
        self.note_line_start(line);
        out(line);
        true
    }

    /// Ends the notification.
    pub fn end(self, out: &mut Out<'_>) {
        put(out, b"");
        put(out, format!("--{}--", self.boundary.text()).as_bytes());
    }
}

/// A header line or its continuation.
fn is_header(line: &[u8]) -> bool {
    line.first().is_some_and(|byte| matches!(byte, b' ' | b'\t')) || header_name_len(line).is_some()
}

fn format_bytes(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// What would end a line, for somebody.
pub(crate) const LINE_END_MARKS: [u8; 3] = [b'\n', b'\r', 0];

/// One line of our own making: nothing in it can end it.
fn put(out: &mut Out<'_>, text: &[u8]) {
    if text.iter().any(|byte| LINE_END_MARKS.contains(byte)) {
        let clean: Vec<u8> =
            text.iter().map(|byte| if LINE_END_MARKS.contains(byte) { b'?' } else { *byte }).collect();
        out(Line { bytes: &clean, is_complete: true });
    } else {
        out(Line { bytes: text, is_complete: true });
    }
}

fn field(out: &mut Out<'_>, name: &str, value: &[u8]) {
    put(out, &format_bytes(&[name.as_bytes(), b": ", value]));
}

/// Lines longer than this are broken at blanks.
const LINE_LENGTH: usize = 79;
const INDENT: &[u8] = b"    ";

/// Writes a text over several lines, all but the first indented.
fn wrap(text: &[u8], out: &mut Out<'_>) {
    wrapped(text, LINE_LENGTH, |line, indent| put(out, &format_bytes(&[indent, line])));
}

/// Breaks a text at blanks where it is longer than so many bytes; `emit` gets each line and what stands before it.
pub(crate) fn wrapped(text: &[u8], line_length: usize, mut emit: impl FnMut(&[u8], &'static [u8])) {
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let mut indent: &[u8] = b"";
    let (mut start, mut word) = (0, 0);
    loop {
        let end = text[word..].iter().position(is_blank).map_or(text.len(), |at| word + at);
        if word > start && end - start > line_length - indent.len() {
            emit(text[start..word].trim_ascii_end(), indent);
            while text.get(word).is_some_and(u8::is_ascii_whitespace) {
                word += 1;
            }
            indent = INDENT;
            start = word;
        }
        if end >= text.len() {
            break;
        }
        word = word.max(end + 1);
    }
    emit(text[start..].trim_ascii_end(), indent);
}

/// The separator of the parts: `QUEUEID.seconds/host`, with a number behind it if the original has that.
struct Boundary {
    base: String,
    /// Numbers of three digits that lines of the original have behind the base.
    taken: Vec<u16>,
    is_taken: bool,
}

impl Boundary {
    fn new(base: String) -> Self {
        Self { base, taken: Vec::new(), is_taken: false }
    }

    fn check(&mut self, line: &[u8]) {
        let Some(rest) = line.strip_prefix(b"--").and_then(|rest| rest.strip_prefix(self.base.as_bytes()))
        else {
            return;
        };
        self.is_taken = true;
        let number = rest.strip_prefix(b".").and_then(|rest| rest.get(..3)?.to_str().ok()?.parse().ok());
        if let Some(number) = number
            && let Err(at) = self.taken.binary_search(&number)
        {
            self.taken.insert(at, number);
        }
    }

    fn text(&self) -> String {
        let free = (100..1000).find(|number| self.taken.binary_search(number).is_err());
        match free {
            Some(number) if self.is_taken => format!("{}.{number}", self.base),
            _ => self.base.clone(),
        }
    }
}
