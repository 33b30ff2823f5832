//! DNS block and allow lists (RFC 5782), for smtpd(8) and postscreen(8) alike: what a configuration says of a list, and
//! what a list's answer means.
//!
//! A list answers with addresses in 127.0.0.0/8. One that is asked too often, or through a public resolver, says so
//! in 127.255.255.0/24; one whose domain has been sold answers with the address of a web server. Neither is a listing:
//! who takes it for one refuses all mail.

mod answer;
mod list;

pub use answer::{Answers, Complaints, Listing};
pub use list::{AddressFilter, DnsList};
