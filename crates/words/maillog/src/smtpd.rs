//! Lines of smtpd(8).

use bstr::BStr;
use std::fmt;
use types::{Address, QueueId, Reply};

/// The client as log lines name it: `name[address]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Verified host name, or `unknown`.
    pub name: String,
    /// Address in text form, without brackets.
    pub address: String,
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}]", self.name, self.address)
    }
}

/// How often each command was given, successful and in all, in the order of the server's command table.
#[derive(Clone, Debug, Default)]
pub struct CommandCounts(pub Vec<(&'static str, u32, u32)>);

impl fmt::Display for CommandCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |f: &mut fmt::Formatter<'_>, name: &str, good: u32, all: u32| {
            if good == all { write!(f, " {name}={all}") } else { write!(f, " {name}={good}/{all}") }
        };
        for (name, good, all) in self.0.iter().filter(|(_, _, all)| *all > 0) {
            count(f, name, *good, *all)?;
        }
        let good = self.0.iter().map(|c| c.1).sum();
        let all = self.0.iter().map(|c| c.2).sum();
        count(f, "commands", good, all)
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

/// What the SMTP server logs.
#[derive(Clone, Debug)]
pub enum SmtpdEvent<'a> {
    /// A client connected.
    Connect(&'a Client),
    /// A client is gone.
    Disconnect(&'a Client, &'a CommandCounts),
    /// A message has a queue file.
    ClientOf(QueueId, &'a Client),
    /// A command was refused.
    Reject {
        /// The message, if it has an id already.
        id: Option<QueueId>,
        /// `CONNECT`, `HELO`, `MAIL`, `RCPT`, `DATA`, `END-OF-MESSAGE`, `VRFY`.
        stage: &'a str,
        /// Who.
        client: &'a Client,
        /// What we answered.
        reply: &'a Reply,
        /// MAIL FROM, when there was one.
        sender: Option<&'a Address>,
        /// RCPT TO, when there was one.
        recipient: Option<&'a BStr>,
        /// `SMTP` or `ESMTP`, when greeted.
        protocol: Option<&'a str>,
        /// HELO argument, when greeted.
        helo: Option<&'a BStr>,
    },
    /// The session ended without QUIT after this command (or `CONNECT`, `DATA`).
    Ended(SessionEnd, &'a str, &'a Client),
}

impl fmt::Display for SmtpdEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(client) => write!(f, "connect from {client}"),
            Self::Disconnect(client, counts) => write!(f, "disconnect from {client}{counts}"),
            Self::ClientOf(id, client) => write!(f, "{id}: client={client}"),
            Self::Ended(end, stage, client) => {
                let what = match end {
                    SessionEnd::LostConnection => "lost connection",
                    SessionEnd::Timeout => "timeout",
                    SessionEnd::TooManyErrors => "too many errors",
                };
                write!(f, "{what} after {stage} from {client}")
            }
            Self::Reject { id, stage, client, reply, sender, recipient, protocol, helo } => {
                match id {
                    Some(id) => write!(f, "{id}: ")?,
                    None => f.write_str("NOQUEUE: ")?,
                }
                write!(f, "reject: {stage} from {client}: {reply};")?;
                if let Some(sender) = sender {
                    write!(f, " from=<{sender}>")?;
                }
                if let Some(recipient) = recipient {
                    write!(f, " to=<{recipient}>")?;
                }
                if let Some(protocol) = protocol {
                    write!(f, " proto={protocol}")?;
                }
                if let Some(helo) = helo {
                    write!(f, " helo=<{helo}>")?;
                }
                Ok(())
            }
        }
    }
}
