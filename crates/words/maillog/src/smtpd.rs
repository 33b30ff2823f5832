//! Lines of smtpd(8).

use crate::address::External;
use bstr::BStr;
use std::fmt;
use types::{Address, Dsn, QueueId, Reply};

/// The client as log lines name it: `name[address]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Verified host name, or `unknown`.
    pub name: String,
    /// Address in text form, without brackets.
    pub address: String,
    /// Port, where it is to be logged (postconf(5) `smtpd_client_port_logging`).
    pub port: Option<String>,
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.name, self.address)?;
        match &self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

/// How often each command was given, successful and in all, in the order of the server's command table.
#[derive(Clone, Debug, Default)]
pub struct CommandCounts {
    /// Name, successful, all; unused ones are left out of the line.
    pub commands: Vec<(&'static str, u32, u32)>,
    /// A line ended in LF without CR (`smtpd_forbid_bare_newline = note`).
    pub has_bare_newline: bool,
}

impl fmt::Display for CommandCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |f: &mut fmt::Formatter<'_>, name: &str, good: u32, all: u32| {
            if good == all && all > 0 {
                write!(f, " {name}={all}")
            } else {
                write!(f, " {name}={good}/{all}")
            }
        };
        for (name, good, all) in self.commands.iter().filter(|(_, _, all)| *all > 0) {
            count(f, name, *good, *all)?;
        }
        let good = self.commands.iter().map(|c| c.1).sum();
        let all = self.commands.iter().map(|c| c.2).sum();
        count(f, "commands", good, all)?;
        if self.has_bare_newline { f.write_str(" notes=bare_lf") } else { Ok(()) }
    }
}

/// Why a session ended before QUIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionEnd {
    /// The client closed the connection.
    LostConnection,
    /// The client was silent, or slow, for too long.
    Timeout,
    /// `smtpd_hard_error_limit` was exceeded.
    TooManyErrors,
}

impl SessionEnd {
    /// As the log has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LostConnection => "lost connection",
            Self::Timeout => "timeout",
            Self::TooManyErrors => "too many errors",
        }
    }
}

/// Who has logged in, as log lines have it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sasl<'a> {
    /// How, and as whom.
    pub login: Option<(&'a str, &'a str)>,
    /// For whom a client says that it sends: MAIL's AUTH parameter (RFC 4954 section 5), in xtext.
    pub sender: Option<&'a BStr>,
}

/// What the SMTP server logs.
#[derive(Clone, Debug)]
pub enum SmtpdEvent<'a> {
    /// A client connected.
    Connect(&'a Client),
    /// A client is gone.
    Disconnect(&'a Client, &'a CommandCounts),
    /// A message has a queue file.
    ClientOf {
        /// The message.
        id: QueueId,
        /// Who.
        client: &'a Client,
        /// Who has logged in.
        sasl: Sasl<'a>,
        /// The message's id where the client has it from.
        orig_queue_id: Option<&'a BStr>,
        /// Where the client has it from.
        orig_client: Option<&'a str>,
    },
    /// A command was refused.
    Reject {
        /// The message, if it has an id already.
        id: Option<QueueId>,
        /// `reject`, or `reject_warning` after `warn_if_reject`.
        what: &'a str,
        /// `CONNECT`, `HELO`, `MAIL`, `RCPT`, `DATA`, `END-OF-MESSAGE`, `VRFY`.
        stage: &'a str,
        /// Who.
        client: &'a Client,
        /// What we answered; code 0 is left out.
        reply: &'a Reply,
        /// MAIL FROM, when there was one.
        sender: Option<&'a Address>,
        /// RCPT TO, when there was one.
        recipient: Option<&'a Address>,
        /// `SMTP` or `ESMTP`, when greeted.
        protocol: Option<&'a str>,
        /// HELO argument, when greeted.
        helo: Option<&'a BStr>,
        /// Who has logged in.
        sasl: Sasl<'a>,
    },
    /// A table has changed a refusal: what it was asked for (`in`), and what it said (`out`).
    ReplyFilter {
        /// The message, if it has an id already.
        id: Option<QueueId>,
        /// `in` or `out`
        way: &'a str,
        /// The reply.
        text: &'a str,
    },
    /// A table of ours that cannot be read ends the session.
    LocalDataError {
        /// The message, if it has an id already.
        id: Option<QueueId>,
        /// The command.
        place: &'a str,
        /// Who.
        client: &'a Client,
        /// What we answered.
        reply: &'a Reply,
    },
    /// The session ended without QUIT.
    Ended {
        /// The message, if it has an id already.
        id: Option<QueueId>,
        /// Why.
        end: SessionEnd,
        /// The last command (or `CONNECT`, `END-OF-MESSAGE`).
        place: &'a str,
        /// After DATA and BDAT: content bytes so far.
        bytes: Option<u64>,
        /// Who.
        client: &'a Client,
    },
    /// The client sent this before it could know our reply.
    ImproperPipelining {
        /// The command whose reply it did not wait for.
        place: &'a str,
        /// Who.
        client: &'a Client,
        /// The start of what it sent.
        sample: &'a [u8],
    },
    /// The client does not speak SMTP; a warning.
    NotSmtp {
        /// Who.
        client: &'a Client,
        /// What it said.
        sample: &'a [u8],
    },
    /// A status code of a table that does not fit what is refused.
    FittedStatus {
        /// What the table has.
        given: Dsn,
        /// What is refused: `Sender address`.
        class: &'a str,
        /// What is answered.
        fitting: Dsn,
    },
    /// `smtpd_command_filter` has replaced a command.
    ReplacedCommand {
        /// Who.
        client: &'a Client,
        /// What it said.
        old: &'a BStr,
        /// What is carried out.
        new: &'a BStr,
    },
    /// Keywords that are left out of an EHLO reply.
    DiscardingEhloKeywords(&'a str),
}

/// How much of a client's words is logged.
pub(crate) const SAMPLE_MAX: usize = 100;

/// No more than [`SAMPLE_MAX`] characters.
pub(crate) struct Start<T>(pub(crate) T);

impl<T: fmt::Display> fmt::Display for Start<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        text.chars().take(SAMPLE_MAX).try_for_each(|c| fmt::Write::write_char(f, c))
    }
}

impl fmt::Display for SmtpdEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(client) => write!(f, "connect from {client}"),
            Self::Disconnect(client, counts) => write!(f, "disconnect from {client}{counts}"),
            Self::ClientOf { id, client, sasl, orig_queue_id, orig_client } => {
                write!(f, "{id}: client={client}")?;
                sasl.write(f, ", ")?;
                optional(f, ", orig_queue_id=", orig_queue_id.as_ref(), "")?;
                optional(f, ", orig_client=", orig_client.as_ref(), "")
            }
            Self::ReplyFilter { id, way, text } => {
                write_id(f, *id)?;
                write!(f, "reply filter {way}: {text}")
            }
            Self::LocalDataError { id, place, client, reply } => {
                write_id(f, *id)?;
                write!(f, "reject: {place} from {client}: {reply}")
            }
            Self::Ended { id, end, place, bytes, client } => {
                let what = end.as_str();
                write_id(f, *id)?;
                write!(f, "{what} after {place}")?;
                if let Some(bytes) = bytes {
                    write!(f, " ({bytes} bytes)")?;
                }
                write!(f, " from {client}")
            }
            Self::ImproperPipelining { place, client, sample } => {
                write!(f, "improper command pipelining after {place} from {client}: {}", Escaped(sample))
            }
            Self::NotSmtp { client, sample } => {
                write!(f, "non-SMTP command from {client}: {}", Escaped(sample))
            }
            Self::FittedStatus { given, class, fitting } => {
                write!(f, "mapping DSN status {given} into {class} status {fitting}")
            }
            Self::ReplacedCommand { client, old, new } => {
                write!(f, "{client}: replacing command \"{}\" with \"{}\"", Start(old), Start(new))
            }
            Self::DiscardingEhloKeywords(keywords) => write!(f, "discarding EHLO keywords: {keywords}"),
            Self::Reject { .. } => self.write_reject(f),
        }
    }
}

impl SmtpdEvent<'_> {
    fn write_reject(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Reject { id, what, stage, client, reply, sender, recipient, protocol, helo, sasl } = self
        else {
            return Ok(());
        };
        write_id(f, *id)?;
        write!(f, "{what}: {stage} from {client}: ")?;
        match reply.code {
            0 => write!(f, "{};", reply.text)?,
            _ => write!(f, "{reply};")?,
        }
        optional(f, " from=<", sender.map(External), ">")?;
        optional(f, " to=<", recipient.map(External), ">")?;
        optional(f, " proto=", protocol.as_ref(), "")?;
        optional(f, " helo=<", helo.as_ref(), ">")?;
        sasl.write(f, " ")
    }
}

impl Sasl<'_> {
    fn write(&self, f: &mut fmt::Formatter<'_>, separator: &str) -> fmt::Result {
        if let Some((method, username)) = self.login {
            write!(f, "{separator}sasl_method={method}{separator}sasl_username={username}")?;
        }
        match self.sender {
            Some(sender) => write!(f, "{separator}sasl_sender={sender}"),
            None => Ok(()),
        }
    }
}

/// A part that is left out where nothing is known.
fn optional(
    f: &mut fmt::Formatter<'_>,
    before: &str,
    value: Option<impl fmt::Display>,
    after: &str,
) -> fmt::Result {
    match value {
        Some(value) => write!(f, "{before}{value}{after}"),
        None => Ok(()),
    }
}

fn write_id(f: &mut fmt::Formatter<'_>, id: Option<QueueId>) -> fmt::Result {
    match id {
        Some(id) => write!(f, "{id}: "),
        None => f.write_str("NOQUEUE: "),
    }
}

/// Bytes of a peer for a log line: printable ASCII as it is, the rest as C escapes.
#[must_use]
pub fn escaped(bytes: &[u8]) -> String {
    Escaped(bytes).to_string()
}

pub(crate) struct Escaped<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| match byte {
            b'\\' => f.write_str("\\\\"),
            b' '..=b'~' => write!(f, "{}", char::from(*byte)),
            0x07 => f.write_str("\\a"),
            0x08 => f.write_str("\\b"),
            0x0c => f.write_str("\\f"),
            b'\n' => f.write_str("\\n"),
            b'\r' => f.write_str("\\r"),
            b'\t' => f.write_str("\\t"),
            0x0b => f.write_str("\\v"),
            other => write!(f, "\\{other:03o}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client() -> Client {
        Client { name: "unknown".into(), address: "192.0.2.1".into(), port: None }
    }

    fn check(event: &SmtpdEvent<'_>, text: &str) {
        assert_eq!(event.to_string(), text);
    }

    #[test]
    fn session_ends_are_logged_as_postfix_logs_them() {
        let client = client();
        let ended = |end, place, bytes| SmtpdEvent::Ended { id: None, end, place, bytes, client: &client };
        check(
            &ended(SessionEnd::LostConnection, "RCPT", None),
            "NOQUEUE: lost connection after RCPT from unknown[192.0.2.1]",
        );
        check(
            &ended(SessionEnd::Timeout, "DATA", Some(17)),
            "NOQUEUE: timeout after DATA (17 bytes) from unknown[192.0.2.1]",
        );
        let counts = CommandCounts {
            commands: vec![("ehlo", 1, 1), ("mail", 0, 2), ("rcpt", 0, 0)],
            has_bare_newline: true,
        };
        check(
            &SmtpdEvent::Disconnect(&client, &counts),
            "disconnect from unknown[192.0.2.1] ehlo=1 mail=0/2 commands=1/3 notes=bare_lf",
        );
        check(
            &SmtpdEvent::Disconnect(&client, &CommandCounts::default()),
            "disconnect from unknown[192.0.2.1] commands=0/0",
        );
    }

    #[test]
    fn what_a_client_sent_is_escaped() {
        let client = client();
        check(
            &SmtpdEvent::ImproperPipelining { place: "HELO", client: &client, sample: b"a\\b\r\n\x00\xff" },
            "improper command pipelining after HELO from unknown[192.0.2.1]: a\\\\b\\r\\n\\000\\377",
        );
    }
}
