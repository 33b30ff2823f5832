//! `*.dialogue` files: configuration, world, conversation and evidence in one readable text.
//!
//! ```text
//! # What the manual states.
//! seed: S009
//! only: 3.12 why Debian's Postfix cannot show it
//! config  name = value
//!         name = value
//! dns     mail.example.com A 192.0.2.7
//! policy  action=DUNNO
//! connect 192.0.2.7 mail.example.com
//! S: 220 mx.test ESMTP ~
//! C: EHLO mail.example.com
//! S: 250-mx.test
//! S: 250 ~
//! C> raw bytes with \r \n \t \0 \\ \xff and no line end of their own
//! wait 301s
//! close
//! S: (closed)
//! log: ~improper command pipelining~
//! asked: recipient=alice@mx.test
//! queue: 1
//! ```
//!
//! `~` stands for any text. The policy server that gives the answers is `unix:policy/NAME`, with the file's name. Client lines without server lines between them are sent together. A file is run
//! against the session machine with virtual time ([`run_session`]) or over TCP ([`run_tcp`]).

mod expectation;
mod parse;
mod policy_of;
mod session;
mod tcp;
mod world_of;

pub use expectation::{Evidence, Mismatch, matches};
pub use parse::{Dialogue, ParseError, Step, parse};
pub use policy_of::Script;
pub use session::{Delivery, run_session};
pub use tcp::{Patience, observe_tcp, run_tcp};

/// Settings that every dialogue starts from, on both sides: a small host `mx.test` with the local users alice and
/// bob that trusts 127.0.0.0/8 and looks no names up.
pub const BASE: &[(&str, &str)] = &[
    ("compatibility_level", "3.6"),
    ("myhostname", "mx.test"),
    ("mydomain", "test"),
    ("mydestination", "mx.test, localhost"),
    ("mynetworks", "127.0.0.0/8"),
    ("inet_protocols", "ipv4"),
    ("local_recipient_maps", "inline:{alice=x, bob=x}"),
    ("alias_maps", ""),
    ("append_dot_mydomain", "no"),
    ("smtpd_peername_lookup", "no"),
    ("smtpd_error_sleep_time", "0"),
    ("smtpd_forbid_bare_newline", "normalize"),
    ("smtpd_forbid_bare_newline_exclusions", ""),
    ("smtpd_forbid_unauth_pipelining", "yes"),
    ("smtpd_discard_ehlo_keywords", "silent-discard, etrn, dsn"),
];
