//! Messages of a session into maildrop, through postdrop: what `sendmail -bs` takes from a local user.

use crate::session::{Attendant, write_error};
use cleanup::{SmtpClient, SmtpServer};
use config::{NotifyClasses, Values, params as p};
use maillog::Logger;
use process::Zone;
use queue_format::RecordType;
use smtpd::{Envelope, Notice, Question, Refused, StandAlone, Verdict};
use std::{io, path::PathBuf};
use submit::{Answer, Submission};
use types::{Address, BodyEncoding, Dsn, DsnReturn, QueueId, Recipient, Reply, WallTime};
use world::World;

/// One session's way into maildrop.
pub(crate) struct Submitting<W> {
    world: W,
    judge: StandAlone,
    values: Values,
    config_directory: PathBuf,
    line_length_limit: usize,
    zone: Zone,
    logger: Logger,
    message: Option<Message>,
}

/// A message that postdrop is given.
struct Message {
    submission: Submission,
    /// When its transaction began.
    arrival: WallTime,
    lines: Lines,
    /// Why it will not be complete.
    failure: Option<io::Error>,
}

impl Message {
    fn record(&mut self, kind: RecordType, data: &[u8]) {
        if self.failure.is_none() {
            self.failure = self.submission.record(kind, data).err();
        }
    }

    fn attribute(&mut self, name: &str, value: &[u8]) {
        self.record(RecordType::ATTRIBUTE, &[name.as_bytes(), b"=", value].concat());
    }

    fn recipient(&mut self, recipient: &Recipient) {
        if recipient.dsn_notify.0 != 0 {
            self.attribute("notify_flags", recipient.dsn_notify.0.to_string().as_bytes());
        }
        if !recipient.dsn_orcpt.is_empty() {
            self.attribute("dsn_orig_rcpt", &recipient.dsn_orcpt);
        }
        self.record(RecordType::RECIPIENT, recipient.address.as_bytes());
    }
}

impl<W: World> Submitting<W> {
    pub(crate) fn new(
        world: W,
        judge: StandAlone,
        (values, config_directory): (Values, PathBuf),
        logger: Logger,
    ) -> Self {
        let line_length_limit = usize::try_from(values.int(p::line_length_limit)).unwrap_or(2048).max(1);
        let zone = Zone::new(None);
        Self { world, judge, values, config_directory, line_length_limit, zone, logger, message: None }
    }

    /// The envelope's last records, and the Received: header that the SMTP server puts before the content.
    fn envelope(&self, message: &mut Message, envelope: &Envelope<'_>) {
        let (transaction, peer) = (envelope.transaction, envelope.peer);
        message.record(RecordType::SENDER, transaction.sender.as_bytes());
        match transaction.encoding {
            BodyEncoding::Unknown => {}
            BodyEncoding::SevenBit => message.attribute("encoding", b"7bit"),
            BodyEncoding::EightBit => message.attribute("encoding", b"8bit"),
        }
        if let Some(delimiters) = &transaction.verp {
            message.record(RecordType::VERP, delimiters.as_bytes());
        }
        transaction.recipients.iter().for_each(|recipient| message.recipient(recipient));
        message.record(RecordType::CONTENT, b"");
        let client = SmtpClient {
            name: &peer.client.name,
            reverse_name: &peer.reverse_name,
            address: &peer.client.address,
            port: "0",
            origin: "",
            server_address: "",
            server_port: "",
            helo: envelope.helo,
            protocol: if transaction.is_smtputf8 { "UTF8SMTP" } else { envelope.protocol },
            is_local_rewrite: true,
            encoding: transaction.encoding,
            dsn_return: DsnReturn::Unset,
            dsn_envid: None,
            verp: None,
            login: None,
            sasl_sender: None,
            forwarded: None,
            ident: None,
        };
        let server = SmtpServer {
            myhostname: self.values.text(p::myhostname),
            mail_name: self.values.text(p::mail_name),
            smtpd_hide_client_session: self.values.bool(p::smtpd_hide_client_session),
        };
        let sole: Option<&Address> = match &transaction.recipients[..] {
            [only] => Some(&only.address),
            _ => None,
        };
        let at = (message.arrival, &self.zone.at(message.arrival));
        let header = server.received(&client, message.submission.id(), sole, at);
        for line in header.split(|byte| *byte == b'\n') {
            message.record(RecordType::LINE, line);
        }
    }

    /// The message is complete.
    fn finish(&mut self) -> Result<(), Reply> {
        let Some(mut message) = self.message.take() else { return Err(write_error()) };
        let lines = std::mem::take(&mut message.lines);
        lines.end(self.line_length_limit, &mut |kind, line| message.record(kind, line));
        message.record(RecordType::EXTRACTED, b"");
        if message.failure.is_some() {
            return Err(write_error());
        }
        let answer = message.submission.finish().map_err(|_| write_error())?;
        match answer.status {
            0 => Ok(()),
            status if status & Answer::BAD != 0 => Err(internal_error(status)),
            status if status & Answer::SIZE != 0 => {
                Err(Reply::new(552, Dsn::permanent(3, 4), "Error: message file too big"))
            }
            status if status & Answer::WRITE != 0 => Err(write_error()),
            status => Err(internal_error(status)),
        }
    }
}

impl<W: World> Attendant for Submitting<W> {
    async fn answer(&self, question: Question<'_>) -> Verdict {
        self.judge.answer(question).await
    }

    async fn open(&mut self, _: &Envelope<'_>) -> Result<QueueId, Reply> {
        let command = submit::set_gid_command("postdrop", &self.values, &self.config_directory);
        let program = command.get_program().to_string_lossy().into_owned();
        match Submission::begin(command) {
            Ok(submission) => {
                let id = submission.id();
                let (arrival, lines) = (self.world.wall(), Lines::default());
                self.message = Some(Message { submission, arrival, lines, failure: None });
                Ok(id)
            }
            Err(error) => {
                self.logger.warning(&format!("unable to execute {program}: {error}"));
                Err(write_error())
            }
        }
    }

    async fn begin(&mut self, envelope: &Envelope<'_>) {
        if let Some(mut message) = self.message.take() {
            self.envelope(&mut message, envelope);
            self.message = Some(message);
        }
    }

    async fn content(&mut self, bytes: &[u8]) {
        let Some(message) = &mut self.message else { return };
        let mut lines = std::mem::take(&mut message.lines);
        lines.take(bytes, self.line_length_limit, &mut |kind, line| message.record(kind, line));
        message.lines = lines;
    }

    async fn end(&mut self, _: &Envelope<'_>) -> Result<(), Refused> {
        // The postmaster does not hear of sessions on standard input.
        self.finish().map_err(|reply| Refused { reply, trouble: NotifyClasses::default() })
    }

    fn abort(&mut self) {
        self.message = None;
    }

    async fn notify(&self, _: Notice) {}
}

fn internal_error(status: i32) -> Reply {
    Reply::new(451, Dsn::temporary(3, 0), format!("Error: internal error {status}"))
}

/// Content that comes cut anywhere, as records.
#[derive(Default)]
struct Lines(Vec<u8>);

type Put<'p> = dyn FnMut(RecordType, &[u8]) + 'p;

impl Lines {
    fn take(&mut self, chunk: &[u8], limit: usize, put: &mut Put<'_>) {
        for piece in chunk.split_inclusive(|byte| *byte == b'\n') {
            match piece.strip_suffix(b"\n") {
                Some(line) => {
                    self.0.extend_from_slice(line);
                    put_line(self.0.strip_suffix(b"\r").unwrap_or(&self.0), limit, put);
                    self.0.clear();
                }
                None => self.keep(piece, limit, put),
            }
        }
    }

    /// Keeps what may be the end of a line, and gives what is sure to be a piece of a long one.
    fn keep(&mut self, piece: &[u8], limit: usize, put: &mut Put<'_>) {
        self.0.extend_from_slice(piece);
        let mut done = 0;
        while let Some(piece) = self.0.get(done..done + limit).filter(|_| self.0.len() - done > limit) {
            put(RecordType::CONTINUED, piece);
            done += limit;
        }
        self.0.drain(..done);
    }

    fn end(self, limit: usize, put: &mut Put<'_>) {
        if !self.0.is_empty() {
            put_line(&self.0, limit, put);
        }
    }
}

fn put_line(line: &[u8], limit: usize, put: &mut Put<'_>) {
    let mut rest = line;
    while let Some((piece, more)) = rest.split_at_checked(limit) {
        put(RecordType::CONTINUED, piece);
        rest = more;
    }
    put(RecordType::LINE, rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// However the content is cut, the records are the same.
    #[test]
    fn lines_become_records_of_at_most_the_limit() {
        let check = |content: &str, expected: &str| {
            for size in 1..=content.len() {
                let mut found = String::new();
                let mut put = |kind: RecordType, line: &[u8]| {
                    found += &format!("{}{}|", char::from(kind.0), String::from_utf8_lossy(line));
                };
                let mut lines = Lines::default();
                content.as_bytes().chunks(size).for_each(|chunk| lines.take(chunk, 4, &mut put));
                lines.end(4, &mut put);
                assert_eq!(found, expected, "{content:?} in pieces of {size}");
            }
        };
        check("ab\r\nc\n\r\n", "Nab|Nc|N|");
        check("ab\r\r\nx", "Nab\r|Nx|");
        check("abcd\r\n", "Labcd|N|");
        check("abcde\r\n", "Labcd|Ne|");
        check("abcdefghi", "Labcd|Lefgh|Ni|");
    }
}
