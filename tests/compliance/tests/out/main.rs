//! Everything on the way out, on running systems: real DNS packets, real servers on port 25 of addresses of
//! loopback, in a network that each test has for itself. Where the answer should be equal, Debian's Postfix is
//! asked the same.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot do its work fails"
)]

mod aliases;
mod bounces;
mod dsn;
mod etrn;
mod fast_flush;
mod generic;
mod handshake;
mod lmtp;
mod network;
mod records;
mod retry;
mod reuse;
mod routes;
mod sink;
mod soft;
mod source;
mod statuses;
mod success;
mod traffic;
mod verp;
