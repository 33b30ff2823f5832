//! A message from standard input, as records to postdrop.

use super::{Fatal, Sendmail};
use config::params as p;
use config_files::reason;
use message::{
    HeaderRole, Part, Scanner, ScannerLimits, Step,
    tok822::{self, Token},
};
use queue_format::{RecordType, Sizes};
use std::io::{self, BufRead, BufReader, Read};
use submit::{Answer, Submission};
use sys::credentials;
use types::SendOptions;

/// `trace_flags` of `-bv` and `-v`.
const TRACE_VERIFY: u32 = 512;
const TRACE_RECORD: u32 = 1024;

/// Sends the message that stands on standard input.
pub(super) fn enqueue(sendmail: &Sendmail) -> Result<i32, Fatal> {
    let uid = credentials::real_uid();
    let account = credentials::account_by_uid(uid).ok().flatten();
    let sender = match (&sendmail.options.sender, &account) {
        (Some(sender), _) => {
            let found = addresses(sender);
            if found.len() > 1 {
                let shown = String::from_utf8_lossy(sender);
                sendmail.warn(&format!("-f option specified malformed sender: {shown}"));
            }
            found.into_iter().next().unwrap_or_default()
        }
        (None, Some(account)) => account.name.clone().into_bytes(),
        (None, None) => return Err(Fatal(format!("no login name found for user ID {uid}"))),
    };
    let who = format!("{}({uid})", String::from_utf8_lossy(&sender));
    let options = &sendmail.options;
    if options.verp.is_some() && sender.is_empty() {
        return Err(Fatal(format!("{who}: -V option requires non-null sender address")));
    }
    let full_name = options.full_name.clone().or_else(|| std::env::var("NAME").ok());
    let full_name =
        full_name.or_else(|| account.as_ref().map(|account| gecos_name(&account.gecos, &account.name)));
    let mut message = Message::begin(sendmail, who)?;
    let envelope = Envelope { sender: &sender, full_name: full_name.as_deref() };
    message.envelope(sendmail, &envelope)?;
    let extracted =
        if options.verify { message.probe(sendmail, &sender)? } else { message.content(sendmail)? };
    message.record(RecordType::EXTRACTED, b"")?;
    for recipient in &extracted {
        message.recipient(options.dsn_notify, recipient)?;
    }
    if message.recipients == 0 {
        let why = if options.extract_recipients {
            "No recipient addresses found in message header"
        } else {
            "Recipient addresses must be specified on the command line or via the -t option"
        };
        return Err(message.fatal(why));
    }
    let trace = options.verify || options.verbose == 1;
    message.finish()?;
    if trace {
        println!("Mail Delivery Status Report will be mailed to <{}>.", String::from_utf8_lossy(&sender));
    }
    Ok(0)
}

struct Envelope<'a> {
    sender: &'a [u8],
    full_name: Option<&'a str>,
}

/// All addresses of an address list, in internal form.
fn addresses(text: &[u8]) -> Vec<Vec<u8>> {
    let internal = |token: &Token<'_>| {
        let Token::Address(address) = token else { return None };
        let mut out = Vec::new();
        tok822::internalize(&mut out, address);
        Some(out)
    };
    tok822::parse(text).iter().filter_map(internal).collect()
}

/// The name in a gecos field: up to the first comma, `&` stands for the login name with a capital.
fn gecos_name(gecos: &str, login: &str) -> String {
    let name = gecos.split([',', ';', '%']).next().unwrap_or("");
    let mut capital = login.to_owned();
    if let Some(first) = capital.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    name.replace('&', &capital)
}

/// The message on its way.
struct Message {
    who: String,
    submission: Submission,
    recipients: u32,
    line_length_limit: usize,
}

impl Message {
    fn begin(sendmail: &Sendmail, who: String) -> Result<Self, Fatal> {
        let mut command = sendmail.program("postdrop");
        command.arg("-r");
        let program = command.get_program().to_string_lossy().into_owned();
        let submission = Submission::begin(command)
            .map_err(|error| Fatal(format!("{who}: unable to execute {program} -r: {error}")))?;
        let limit = usize::try_from(sendmail.values.int(p::line_length_limit)).unwrap_or(2048).max(1);
        Ok(Self { who, submission, recipients: 0, line_length_limit: limit })
    }

    fn fatal(&self, why: &str) -> Fatal {
        Fatal(format!("{}: {why}", self.who))
    }

    fn record(&mut self, kind: RecordType, data: &[u8]) -> Result<(), Fatal> {
        let written = self.submission.record(kind, data);
        written.map_err(|error| self.fatal(&format!("error writing queue file: {}", reason(&error))))
    }

    fn attribute(&mut self, name: &str, value: &str) -> Result<(), Fatal> {
        self.record(RecordType::ATTRIBUTE, format!("{name}={value}").as_bytes())
    }

    fn envelope(&mut self, sendmail: &Sendmail, envelope: &Envelope<'_>) -> Result<(), Fatal> {
        let options = &sendmail.options;
        if options.smtputf8 {
            let sizes =
                Sizes { send_options: SendOptions(SendOptions::SMTPUTF8_REQUESTED), ..Sizes::default() };
            self.record(RecordType::SIZE, &sizes.encode())?;
        }
        if let Some(id) = &options.dsn_envelope_id {
            self.attribute("envelope_id", id)?;
        }
        if options.dsn_return != 0 {
            self.attribute("ret_flags", &options.dsn_return.to_string())?;
        }
        self.attribute("rewrite_context", if options.is_gateway { "remote" } else { "local" })?;
        if let Some(name) = envelope.full_name {
            self.record(RecordType::FULL_NAME, name.as_bytes())?;
        }
        self.record(RecordType::SENDER, envelope.sender)?;
        if let Some(encoding) = options.encoding {
            self.attribute("encoding", encoding)?;
        }
        let trace = match (options.verify, options.verbose) {
            (true, _) => TRACE_VERIFY,
            (false, 1) => TRACE_RECORD,
            _ => 0,
        };
        if trace != 0 {
            self.attribute("trace_flags", &trace.to_string())?;
        }
        if let Some(delimiters) = &options.verp {
            self.record(RecordType::VERP, delimiters.as_bytes())?;
        }
        for word in &options.recipients {
            // Each is read like a header: some programs pass lists, names and comments.
            let found = addresses(word);
            if found.is_empty() {
                self.recipient(options.dsn_notify, b"")?;
            }
            for address in &found {
                self.recipient(options.dsn_notify, address)?;
            }
        }
        self.record(RecordType::CONTENT, b"")
    }

    fn recipient(&mut self, dsn_notify: u8, address: &[u8]) -> Result<(), Fatal> {
        if dsn_notify != 0 {
            self.attribute("notify_flags", &dsn_notify.to_string())?;
        }
        self.recipients = self.recipients.saturating_add(1);
        self.record(RecordType::RECIPIENT, address)
    }

    /// `-bv`: a message of our own.
    fn probe(&mut self, sendmail: &Sendmail, sender: &[u8]) -> Result<Vec<Vec<u8>>, Fatal> {
        if !sender.is_empty() {
            self.record(RecordType::LINE, &[b"From: ", sender].concat())?;
        }
        self.record(RecordType::LINE, b"Subject: probe")?;
        let mut rest = sendmail.options.recipients.iter().peekable();
        self.record(RecordType::CONTINUED, b"To:")?;
        while let Some(recipient) = rest.next() {
            let comma: &[u8] = if rest.peek().is_some() { b"," } else { b"" };
            self.record(RecordType::LINE, &[b"\t", recipient.as_slice(), comma].concat())?;
        }
        Ok(Vec::new())
    }

    /// Copies the content; returns the recipients of its headers where `-t` asks for them.
    fn content(&mut self, sendmail: &Sendmail) -> Result<Vec<Vec<u8>>, Fatal> {
        let options = &sendmail.options;
        let header_size_limit = usize::try_from(sendmail.values.int(p::header_size_limit)).unwrap_or(102_400);
        let mut headers = options.extract_recipients.then(|| Headers::new(header_size_limit));
        // `strict`: as the first line ends, so do all.
        let written = sendmail.values.unexpanded(p::sendmail_fix_line_endings.name()).unwrap_or_default();
        let mut strip = match sendmail.values.expand(&written).as_str() {
            "always" => Some(true),
            "never" => Some(false),
            "strict" => None,
            // The default would do, but its administrator wanted something else.
            other => {
                let why = format!("invalid sendmail_fix_line_endings value: {other}");
                return Err(Fatal(why));
            }
        };
        let mut input = BufReader::new(io::stdin().lock());
        let (mut line, mut skip_from, mut was_complete) = (Vec::new(), true, true);
        while let Some(is_complete) = self.next_line(&mut input, &mut line)? {
            if strip.is_none() && is_complete {
                strip = Some(line.ends_with(b"\r"));
            }
            if skip_from {
                let from = line.iter().position(|byte| *byte != b'>').and_then(|at| line.get(at..));
                if is_complete && from.is_some_and(|text| text.starts_with(b"From ")) {
                    continue;
                }
                skip_from = false;
            }
            if strip == Some(true) && is_complete {
                line.truncate(line.len() - line.iter().rev().take_while(|byte| **byte == b'\r').count());
            }
            if options.dot_ends && was_complete && line == b"." {
                break;
            }
            was_complete = is_complete;
            if let Some(headers) = &mut headers
                && headers.take(&line, is_complete)
            {
                self.record(RecordType::LINE, b"")?;
            }
            self.record(if is_complete { RecordType::LINE } else { RecordType::CONTINUED }, &line)?;
        }
        Ok(headers.map(Headers::recipients).unwrap_or_default())
    }

    /// The next line or piece of a long line; whether it is complete; `None` at the end.
    fn next_line(&self, input: &mut impl BufRead, line: &mut Vec<u8>) -> Result<Option<bool>, Fatal> {
        line.clear();
        let limit = u64::try_from(self.line_length_limit).unwrap_or(2048);
        let got = input.take(limit).read_until(b'\n', line);
        got.map_err(|error| self.fatal(&format!("error reading input: {error}")))?;
        if line.is_empty() {
            return Ok(None);
        }
        let is_complete = line.last() == Some(&b'\n');
        if is_complete {
            line.pop();
        }
        Ok(Some(is_complete))
    }

    /// Waits for postdrop's word: only then is the message safe.
    fn finish(self) -> Result<(), Fatal> {
        let Self { who, submission, .. } = self;
        let unanswered = |_| Answer { status: Answer::WRITE, why: String::new() };
        let answer = submission.finish().unwrap_or_else(unanswered);
        if answer.status == 0 {
            return Ok(());
        }
        let why = if answer.why.is_empty() { answer.summary() } else { &answer.why };
        Err(Fatal(format!("{who}: {why}")))
    }
}

/// Recipients in the headers of a message.
struct Headers {
    scanner: Scanner,
    recipients: Vec<Vec<u8>>,
    resent: Option<Vec<Vec<u8>>>,
}

impl Headers {
    fn new(header_size_limit: usize) -> Self {
        let scanner = Scanner::new(ScannerLimits { header_size_limit, mime: None });
        Self { scanner, recipients: Vec::new(), resent: None }
    }

    /// Looks at a line; true when an empty line must stand before it, as headers and body are not separated.
    fn take(&mut self, line: &[u8], is_complete: bool) -> bool {
        let mut is_separator_missing = false;
        loop {
            match self.scanner.push(line, is_complete) {
                Step::Header => self.header(),
                Step::HeadersEnd { is_separator_missing: missing } => is_separator_missing = missing,
                Step::Kept | Step::Body | Step::Done => return is_separator_missing,
            }
        }
    }

    fn header(&mut self) {
        let (text, part, kind) = self.scanner.header();
        if let Some(kind) = kind.filter(|kind| kind.role() == HeaderRole::ExtractRecipient)
            && part == Part::Primary
        {
            let found = addresses(text.get(kind.name().len() + 1..).unwrap_or_default());
            if kind.is_resent() {
                self.resent.get_or_insert_default().extend(found);
            } else if self.resent.is_none() {
                self.recipients.extend(found);
            }
        }
        self.scanner.clear_header();
    }

    /// The recipients of the Resent- headers, where there are any.
    fn recipients(mut self) -> Vec<Vec<u8>> {
        while self.scanner.end() == Step::Header {
            self.header();
        }
        self.resent.unwrap_or(self.recipients)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipients_are_found_in_headers_only() {
        let check = |text: &str, expected: &[&str]| {
            let mut headers = Headers::new(1000);
            for line in text.lines() {
                headers.take(line.as_bytes(), true);
            }
            let found = headers.recipients();
            let found: Vec<_> = found.iter().map(|address| String::from_utf8_lossy(address)).collect();
            assert_eq!(found, expected, "{text}");
        };
        check("To: a@x, B <b@x>\nCc:\n c@x\nBcc: d@x\n\nTo: e@x", &["a@x", "b@x", "c@x", "d@x"]);
        check("To: a@x\nResent-To: r@x\n\n", &["r@x"]);
        check("Subject: none\n\n", &[]);
        check("To: \"a b\"@x\n", &["a b@x"]);
    }

    #[test]
    fn names_are_taken_from_gecos() {
        assert_eq!(gecos_name("& Smith,Room 1,,", "alice"), "Alice Smith");
        assert_eq!(gecos_name("", "alice"), "");
    }
}
