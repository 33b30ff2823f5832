//! Lines of postscreen(8) and dnsblog(8).

use crate::{
    address::External,
    delivery::Seconds,
    smtpd::{Escaped, SAMPLE_MAX, Start},
};
use bstr::BStr;
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};
use types::{Address, Reply};

/// What happened to a client of postscreen.
#[derive(Clone, Debug)]
pub struct PostscreenEvent<'a> {
    /// Who.
    pub client: SocketAddr,
    /// What.
    pub what: Screened<'a>,
}

/// Which limit a client has reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandLimit {
    /// postconf(5) `line_length_limit`
    Length,
    /// postconf(5) `postscreen_command_count_limit`
    Count,
    /// postconf(5) `postscreen_command_time_limit`
    Time,
}

/// See [`PostscreenEvent`].
#[derive(Clone, Debug)]
pub enum Screened<'a> {
    /// A client connected, to this address of ours.
    Connect(SocketAddr),
    /// It has too many connections, or there is no place for it: why.
    RejectConnect(&'a str),
    /// No more clients can be tested.
    ScreeningPortsBusy,
    /// postscreen_access_list has decided.
    Listed {
        /// Let through, or else turned away.
        is_allowed: bool,
        /// postconf(5) `respectful_logging`
        respectful_logging: bool,
    },
    /// It cannot pass at this address of ours.
    AllowlistVeto {
        /// postconf(5) `respectful_logging`
        respectful_logging: bool,
    },
    /// It has passed all tests; whether for the first time.
    Pass {
        /// Never before.
        is_new: bool,
    },
    /// It spoke before the greeting.
    Pregreet {
        /// Bytes that were there.
        size_bytes: usize,
        /// After the first half of the greeting.
        after: Duration,
        /// postconf(5) `delay_logging_resolution_limit`
        decimals_max: u8,
        /// What it said.
        sample: &'a [u8],
    },
    /// Its score on DNS lists is too high.
    DnsblRank(i64),
    /// It went away.
    HangUp {
        /// After the tests began.
        after: Duration,
        /// postconf(5) `delay_logging_resolution_limit`
        decimals_max: u8,
        /// Which tests.
        during: &'static str,
    },
    /// A line ended without CR; the line.
    BareNewline(&'a [u8]),
    /// It did not wait for the reply to a command.
    Pipelining {
        /// That command.
        command: &'a BStr,
        /// What came with it.
        sample: &'a [u8],
    },
    /// It does not speak SMTP.
    NonSmtp {
        /// The command before.
        after: &'static str,
        /// The first word.
        command: &'a BStr,
        /// The others.
        rest: &'a [u8],
    },
    /// It has reached a limit.
    Limit {
        /// Which.
        limit: CommandLimit,
        /// The last command.
        after: &'static str,
    },
    /// `DATA` or `BDAT`, though there was no recipient.
    WithoutRecipient(&'static str),
    /// A recipient was refused, as all are.
    RejectRcpt {
        /// What was answered.
        reply: &'a Reply,
        /// MAIL FROM
        sender: &'a Address,
        /// RCPT TO
        recipient: &'a Address,
        /// `SMTP` or `ESMTP`
        protocol: &'static str,
        /// HELO argument, or nothing.
        helo: &'a BStr,
    },
    /// postscreen_command_filter has replaced a command.
    ReplacedCommand(&'a BStr, &'a BStr),
    /// Keywords that are left out of an EHLO reply.
    DiscardingEhloKeywords(&'a str),
    /// The session is over, and was not passed on.
    Disconnect,
    /// So many are tested at once that time limits are shorter, or not any more.
    Stress {
        /// It begins.
        is_entered: bool,
        /// How many are tested.
        connections: usize,
    },
}

struct Place(SocketAddr);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}]:{}", self.0.ip(), self.0.port())
    }
}

fn sample(bytes: &[u8]) -> Escaped<'_> {
    Escaped(bytes.get(..SAMPLE_MAX).unwrap_or(bytes))
}

impl fmt::Display for PostscreenEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let client = Place(self.client);
        match &self.what {
            Screened::Connect(server) => write!(f, "CONNECT from {client} to {}", Place(*server)),
            Screened::RejectConnect(why) => write!(f, "NOQUEUE: reject: CONNECT from {client}: {why}"),
            Screened::ScreeningPortsBusy => {
                write!(f, "reject: connect from {client}: all screening ports busy")
            }
            Screened::Listed { is_allowed, respectful_logging } => {
                let word = match (is_allowed, respectful_logging) {
                    (true, true) => "ALLOWLISTED",
                    (true, false) => "WHITELISTED",
                    (false, true) => "DENYLISTED",
                    (false, false) => "BLACKLISTED",
                };
                write!(f, "{word} {client}")
            }
            Screened::AllowlistVeto { respectful_logging } => {
                write!(f, "{}LIST VETO {client}", if *respectful_logging { "ALLOW" } else { "WHITE" })
            }
            Screened::Pass { is_new } => write!(f, "PASS {} {client}", if *is_new { "NEW" } else { "OLD" }),
            Screened::Pregreet { size_bytes, after, decimals_max, sample } => {
                let after = Seconds { delay: *after, decimals_max: *decimals_max };
                write!(f, "PREGREET {size_bytes} after {after} from {client}: {}", Start(Escaped(sample)))
            }
            Screened::DnsblRank(rank) => write!(f, "DNSBL rank {rank} for {client}"),
            Screened::HangUp { after, decimals_max, during } => {
                let after = Seconds { delay: *after, decimals_max: *decimals_max };
                write!(f, "HANGUP after {after} from {client} in {during}")
            }
            Screened::Disconnect => write!(f, "DISCONNECT {client}"),
            Screened::Stress { is_entered, connections } => {
                let word = if *is_entered { "entering" } else { "leaving" };
                write!(f, "{word} STRESS mode with {connections} connections")
            }
            other => self.during_commands(other, f),
        }
    }
}

impl PostscreenEvent<'_> {
    fn during_commands(&self, what: &Screened<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let client = Place(self.client);
        match what {
            Screened::BareNewline(line) => {
                write!(f, "BARE NEWLINE from {client} after {}", sample(line))
            }
            Screened::Pipelining { command, sample: text } => {
                write!(f, "COMMAND PIPELINING from {client} after {}: {}", Start(command), sample(text))
            }
            Screened::NonSmtp { after, command, rest } => {
                write!(f, "NON-SMTP COMMAND from {client} after {after}: {} {}", Start(command), sample(rest))
            }
            Screened::Limit { limit, after } => {
                let limit = match limit {
                    CommandLimit::Length => "LENGTH",
                    CommandLimit::Count => "COUNT",
                    CommandLimit::Time => "TIME",
                };
                write!(f, "COMMAND {limit} LIMIT from {client} after {after}")
            }
            Screened::WithoutRecipient(command) => {
                write!(f, "{command} without valid RCPT from {client}")
            }
            Screened::RejectRcpt { reply, sender, recipient, protocol, helo } => write!(
                f,
                "NOQUEUE: reject: RCPT from {client}: {reply}; from=<{}>, to=<{}>, proto={protocol}, helo=<{helo}>",
                External(sender),
                External(recipient)
            ),
            Screened::ReplacedCommand(old, new) => {
                write!(f, "{client}: replacing command \"{}\" with \"{}\"", Start(old), Start(new))
            }
            // Without a colon before the port, as Postfix has it.
            Screened::DiscardingEhloKeywords(keywords) => {
                let (address, port) = (self.client.ip(), self.client.port());
                write!(f, "[{address}]{port}: discarding EHLO keywords: {keywords}")
            }
            // The others are rendered by the caller.
            _ => Ok(()),
        }
    }
}

/// A DNS list has an address.
#[derive(Clone, Debug)]
pub struct DnsblogEvent<'a> {
    /// Whose.
    pub client: IpAddr,
    /// Which list.
    pub domain: &'a str,
    /// As what.
    pub listed_as: Ipv4Addr,
}

impl fmt::Display for DnsblogEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "addr {} listed by domain {} as {}", self.client, self.domain, self.listed_as)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::Dsn;

    fn check(what: Screened<'_>, text: &str) {
        let client = "192.0.2.1:1234".parse().unwrap();
        assert_eq!(PostscreenEvent { client, what }.to_string(), text);
    }

    #[test]
    fn lines_are_postfixs() {
        let server = "[2001:db8::1]:25".parse().unwrap();
        check(Screened::Connect(server), "CONNECT from [192.0.2.1]:1234 to [2001:db8::1]:25");
        check(
            Screened::Pregreet {
                size_bytes: 14,
                after: Duration::from_micros(1_234_000),
                decimals_max: 2,
                sample: b"EHLO spammer\r\n",
            },
            "PREGREET 14 after 1.2 from [192.0.2.1]:1234: EHLO spammer\\r\\n",
        );
        check(
            Screened::NonSmtp { after: "EHLO", command: BStr::new("Subject:"), rest: b"buy\tthis" },
            "NON-SMTP COMMAND from [192.0.2.1]:1234 after EHLO: Subject: buy\\tthis",
        );
        check(
            Screened::RejectRcpt {
                reply: &Reply::new(550, Dsn::permanent(7, 1), "Service unavailable"),
                sender: &Address::from("a b@example.com"),
                recipient: &Address::from("c@example.com"),
                protocol: "SMTP",
                helo: BStr::new("x"),
            },
            "NOQUEUE: reject: RCPT from [192.0.2.1]:1234: 550 5.7.1 Service unavailable; \
             from=<\"a b\"@example.com>, to=<c@example.com>, proto=SMTP, helo=<x>",
        );
        let listed = |is_allowed, respectful_logging| Screened::Listed { is_allowed, respectful_logging };
        check(listed(false, true), "DENYLISTED [192.0.2.1]:1234");
        check(listed(true, false), "WHITELISTED [192.0.2.1]:1234");
    }

    #[test]
    fn long_texts_are_cut() {
        let long = "x".repeat(150);
        let shown = "x".repeat(100);
        check(
            Screened::Pipelining { command: BStr::new(&long), sample: long.as_bytes() },
            &format!("COMMAND PIPELINING from [192.0.2.1]:1234 after {shown}: {shown}"),
        );
    }
}
