//! Where we do not say what Postfix says to the clients of a broken name server: docs/differences.md has the reasons.

use crate::Check::{self, Address, Exchangers, Helo, List, Name, Sender};

/// Faults for which the C library reads behind the end of the packet, so that what Postfix says depends on what stood there
/// before: the difference shows in most runs, not in all.
pub(crate) const BY_CHANCE: &[&str] = &["half a question"];

/// Who is refused by Postfix for good is refused for now: the answer is neither a yes nor a no.
pub(crate) const DEFERS: &[&str] = &[
    "cut, and no answer by TCP",
    "cut by TCP, too",
    "cut, and less than its length by TCP",
    "cut, and nothing by TCP",
    "cut, and one byte by TCP",
    "cut, and the id of another by TCP",
    "cut, and SERVFAIL by TCP",
    "FORMERR",
    "YXDOMAIN",
    "NOTAUTH",
    "FORMERR with an answer",
    "the records of another",
    "another class",
    "a header",
    "half a question",
    "half a record",
    "fewer records than it says",
    "fewer records than it says by far",
    "no records, and says that there is one",
    "no data in a record",
    "a byte too few",
    "a byte too many",
    "an owner that points to itself",
    "an owner that points behind the end",
    "an owner with a label of 64",
    "data that point to themselves",
    "data that point behind the end",
    "data that point to the header",
    "a label of 64",
    "a label of an unknown kind",
    "a name over 255",
];

/// How our reply begins.
pub(crate) const OTHERWISE: &[(&str, &[Check], &str)] = &[
    // What is no answer to our question is not believed.
    ("a question", &[Sender], "450 4.1.8 "),
    ("a question", &[Helo], "450 4.7.1 "),
    ("a question", &[Exchangers, List], "250 2.1.5 "),
    ("a question", &[Name, Address], "450 4.7.25 "),
    ("the records of another", &[Sender], "450 4.1.8 "),
    ("the records of another", &[Helo], "450 4.7.1 "),
    ("the records of another", &[Exchangers, List], "250 2.1.5 "),
    ("the records of another beside ours", &[List], "554 5.7.1 "),
    // Nor is what cannot be read.
    ("fewer records than it says", &[Name], "450 4.7.25 "),
    ("fewer records than it says by far", &[Name], "450 4.7.25 "),
    ("a byte too many", &[Sender], "450 4.1.8 "),
    ("a byte too many", &[Helo], "450 4.7.1 "),
    ("a byte too many", &[Exchangers], "250 2.1.5 "),
    ("a byte too many", &[Name], "450 4.7.25 "),
    ("a bad record behind a good one", &[List], "554 5.7.1 "),
    ("a bad record before a good one", &[List], "554 5.7.1 "),
    ("a text longer than its record", &[List], "554 5.7.1 "),
    // One good record is enough for a client's name.
    ("a bad record before a good one", &[Name], "250 2.1.5 "),
    ("the root beside a name", &[Name], "250 2.1.5 "),
    ("a bad name beside a good one", &[Name], "250 2.1.5 "),
    // Aliases are followed to names and addresses as to other records.
    ("an alias without its record", &[Exchangers], "554 5.7.1 "),
    ("one alias, asked for one by one", &[Name, Address], "250 2.1.5 "),
    ("nine aliases, asked for one by one", &[Name, Address], "250 2.1.5 "),
    ("an alias beside a record", &[Name, Address], "250 2.1.5 "),
    // An address outside of 127.0.0.0/8 is no listing.
    ("an alias without its record", &[List], "250 2.1.5 "),
    // A reply has lines of 512 bytes.
    ("thousands of records", &[List], "554 5.7.1 "),
    ("hundreds of records in a datagram", &[List], "554 5.7.1 "),
    ("a hundred records, and one more", &[List], "554 5.7.1 "),
    ("64 KiB of one text", &[List], "554 5.7.1 "),
];

/// Whether our reply is one that we chose to give.
pub(crate) fn is_chosen(what: &str, check: Check, ours: &str, theirs: &str) -> bool {
    let is_listed = |(case, checks, start): &(&str, &[Check], &str)| {
        *case == what && checks.contains(&check) && ours.starts_with(start)
    };
    OTHERWISE.iter().any(is_listed) || (DEFERS.contains(&what) && ours == softened(theirs))
}

/// The same words, for now only.
fn softened(reply: &str) -> String {
    match reply.split_once(" 5.") {
        Some((_, rest)) => format!("450 4.{rest}"),
        None => reply.to_owned(),
    }
}
