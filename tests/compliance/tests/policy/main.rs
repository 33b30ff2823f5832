//! Policy servers (SMTPD_POLICY_README): what they are asked over which connection, and what those that mean harm lead to.
//! Where the answer should be equal, Debian's Postfix is asked the same.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot do its work fails"
)]

mod connections;
mod delegates;
mod guide;
mod hostile;
