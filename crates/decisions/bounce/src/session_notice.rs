//! What the postmaster is told of a session in which something went wrong: mail of a form of its own, with what was said.

use crate::compose::{LINE_END_MARKS, wrapped};
use config::{NotifyClasses, Values, params as p};
use wire::Transcript;

/// Lines of a transcript that are longer are broken at blanks.
const LINE_LENGTH: usize = 78;

/// The parameters of such mail, as the service has them whose session it was.
#[derive(Clone, Debug)]
pub struct NoticeSettings {
    /// `error_notice_recipient`
    error_notice_recipient: String,
    /// `bounce_notice_recipient`
    bounce_notice_recipient: String,
    /// `mail_name`
    mail_name: String,
    /// `header_from_format` is `obsolete`.
    is_obsolete: bool,
    /// `smtputf8_enable`
    smtputf8_enable: bool,
    myhostname: String,
    double_bounce_sender: String,
}

/// Whose session it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role<'a> {
    /// The SMTP server's.
    Server {
        /// `name[address]`
        client: &'a str,
        /// Why the session ended before its time.
        reason: Option<&'a str>,
    },
    /// The SMTP or LMTP client's.
    Client {
        /// `SMTP` or `LMTP`
        protocol: &'a str,
        /// `name[address]:port`
        server: &'a str,
    },
}

/// A session that the postmaster is told of.
#[derive(Clone, Copy, Debug)]
pub struct SessionNotice<'a> {
    /// Whose it was.
    pub role: Role<'a>,
    /// What went wrong.
    pub trouble: NotifyClasses,
    /// What was said.
    pub transcript: &'a Transcript,
}

impl NoticeSettings {
    /// Reads the parameters.
    #[must_use]
    pub fn load(values: &Values) -> Self {
        let myhostname = values.text(p::myhostname).to_owned();
        Self {
            error_notice_recipient: values.text(p::error_notice_recipient).to_owned(),
            bounce_notice_recipient: values.text(p::bounce_notice_recipient).to_owned(),
            mail_name: values.text(p::mail_name).to_owned(),
            is_obsolete: values.text(p::header_from_format).eq_ignore_ascii_case("obsolete"),
            smtputf8_enable: values.bool(p::smtputf8_enable),
            double_bounce_sender: format!("{}@{myhostname}", values.text(p::double_bounce_sender)),
            myhostname,
        }
    }

    /// Envelope sender: what cannot be delivered is not returned.
    #[must_use]
    pub fn sender(&self) -> &str {
        &self.double_bounce_sender
    }
}

impl SessionNotice<'_> {
    /// Envelope recipient: who hears of mail that is not taken also hears of the session in which that happened. In the
    /// header it is always `error_notice_recipient`.
    #[must_use]
    pub fn recipient<'s>(&self, settings: &'s NoticeSettings) -> &'s str {
        let is_bounce =
            matches!(self.role, Role::Server { .. }) && self.trouble.has_any(NotifyClasses::BOUNCE);
        if is_bounce { &settings.bounce_notice_recipient } else { &settings.error_notice_recipient }
    }

    /// The lines after `Date:`.
    #[must_use]
    pub fn lines(&self, settings: &NoticeSettings) -> Vec<Vec<u8>> {
        let NoticeSettings { mail_name, error_notice_recipient, .. } = settings;
        let from = format!("MAILER-DAEMON@{}", settings.myhostname);
        let mut lines = Lines(Vec::new());
        if settings.is_obsolete {
            lines.push(format!("From: {from} (Mail Delivery System)"));
            lines.push(format!("To: {error_notice_recipient} (Postmaster)"));
        } else {
            lines.push(format!("From: Mail Delivery System <{from}>"));
            lines.push(format!("To: Postmaster <{error_notice_recipient}>"));
        }
        match self.role {
            Role::Server { client, .. } => {
                lines.push(format!("Subject: {mail_name} SMTP server: errors from {client}"));
                lines.push("");
            }
            Role::Client { protocol, server } => {
                lines.push(format!("Subject: {mail_name} {protocol} client: errors from {server}"));
                lines.push("");
                lines.push(format!("Unexpected response from {server}."));
                lines.push("");
            }
        }
        lines.push("Transcript of session follows.");
        lines.push("");
        for line in self.transcript.lines() {
            let line = if settings.smtputf8_enable { line } else { ascii(line) };
            // Nothing that a stranger says stands at the beginning of a line.
            wrapped(&line, LINE_LENGTH, |text, indent| lines.push([b" ", indent, text].concat()));
        }
        lines.push("");
        if let Role::Server { reason, .. } = self.role {
            if let Some(reason) = reason {
                lines.push(format!("Session aborted, reason: {reason}"));
            }
            lines.push("");
        }
        lines.push("For other details, see the local mail logfile");
        lines.0
    }
}

struct Lines(Vec<Vec<u8>>);

impl Lines {
    /// Nothing in a line can end it.
    fn push(&mut self, line: impl Into<Vec<u8>>) {
        let mut line = line.into();
        line.iter_mut().filter(|byte| LINE_END_MARKS.contains(byte)).for_each(|byte| *byte = b'?');
        self.0.push(line);
    }
}

fn ascii(mut line: Vec<u8>) -> Vec<u8> {
    line.iter_mut().filter(|byte| !byte.is_ascii()).for_each(|byte| *byte = b'?');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(own: &[(&str, &str)]) -> NoticeSettings {
        let base = [("myhostname", "mx.test"), ("error_notice_recipient", "errors")];
        NoticeSettings::load(&Values::for_tests(&[&base, own].concat()))
    }

    fn text(notice: &SessionNotice<'_>, settings: &NoticeSettings) -> String {
        let lines = notice.lines(settings);
        lines.iter().map(|line| String::from_utf8_lossy(line).into_owned() + "\n").collect()
    }

    #[test]
    fn a_server_shows_its_session() {
        let mut transcript = Transcript::default();
        transcript.said(b"220 mx.test ESMTP Postfix\r\n");
        transcript.heard(b"");
        transcript.said(format!("500 {}\r\n", "word ".repeat(20)).as_bytes());
        transcript.heard("h\u{e9}lo".as_bytes());
        let role = Role::Server { client: "c.test[192.0.2.1]", reason: Some("lost connection") };
        let notice = SessionNotice { role, trouble: NotifyClasses::PROTOCOL, transcript: &transcript };
        let expected = "From: Mail Delivery System <MAILER-DAEMON@mx.test>\nTo: Postmaster <errors>\n\
            Subject: Postfix SMTP server: errors from c.test[192.0.2.1]\n\nTranscript of session follows.\n\n \
            Out: 220 mx.test ESMTP Postfix\n In:\n \
            Out: 500 word word word word word word word word word word word word word word\n     \
            word word word word word word\n In:  h??lo\n\nSession aborted, reason: lost connection\n\n\
            For other details, see the local mail logfile\n";
        let own = settings(&[("smtputf8_enable", "no"), ("bounce_notice_recipient", "bounces")]);
        assert_eq!(text(&notice, &own), expected);
        assert_eq!((notice.recipient(&own), own.sender()), ("errors", "double-bounce@mx.test"));
        let trouble = NotifyClasses::PROTOCOL.with(NotifyClasses::BOUNCE);
        assert_eq!(SessionNotice { trouble, ..notice }.recipient(&own), "bounces");
    }

    #[test]
    fn a_client_shows_its_session() {
        let mut transcript = Transcript::default();
        transcript.heard(b"220 x");
        let role = Role::Client { protocol: "LMTP", server: "s.test[192.0.2.1]:24" };
        let notice = SessionNotice { role, trouble: NotifyClasses::PROTOCOL, transcript: &transcript };
        let expected = "From: MAILER-DAEMON@mx.test (Mail Delivery System)\nTo: errors (Postmaster)\n\
            Subject: Postfix LMTP client: errors from s.test[192.0.2.1]:24\n\n\
            Unexpected response from s.test[192.0.2.1]:24.\n\nTranscript of session follows.\n\n In:  220 x\n\n\
            For other details, see the local mail logfile\n";
        assert_eq!(text(&notice, &settings(&[("header_from_format", "obsolete")])), expected);
    }
}
