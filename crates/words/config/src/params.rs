//! The parameter table: one row for each parameter of main.cf, grouped by what it is about.
//!
//! `params::NAME` is the number of the parameter NAME, the key of every accessor of [`crate::Values`].
//! A row says how the value is read, its bounds, its default expression, which programs of Postfix read it,
//! and whether a setting has its effect here. To mark a parameter as honoured, replace the word `NotYet` in its row by
//! `Honoured("your-crate")`, look whether its last field, one sentence of our own, says what it is for, and run `cargo xtask params`.

mod bounce;
mod cleanup;
mod commands;
mod flush;
mod global;
mod lmtp;
mod local;
mod log;
mod master;
mod milter;
mod paths;
mod postscreen;
mod qmgr;
mod qmqpd;
mod rewrite;
mod row;
mod services;
mod smtp;
mod smtpd;
mod tables;
mod tls;
mod tls_lmtp;
mod tls_postscreen;
mod tls_smtp;
mod tls_smtpd;
mod tlsproxy;
mod verify;
mod virtual_mailbox;

pub use row::{COMPUTED, Id, Kind, Row, Status};

pub use bounce::*;
pub use cleanup::*;
pub use commands::*;
pub use flush::*;
pub use global::*;
pub use lmtp::*;
pub use local::*;
pub use log::*;
pub use master::*;
pub use milter::*;
pub use paths::*;
pub use postscreen::*;
pub use qmgr::*;
pub use qmqpd::*;
pub use rewrite::*;
pub use services::*;
pub use smtp::*;
pub use smtpd::*;
pub use tables::*;
pub use tls::*;
pub use tls_lmtp::*;
pub use tls_postscreen::*;
pub use tls_smtp::*;
pub use tls_smtpd::*;
pub use tlsproxy::*;
pub use verify::*;
pub use virtual_mailbox::*;

const GROUPS: &[&[Row]] = &[
    bounce::ROWS,
    cleanup::ROWS,
    commands::ROWS,
    flush::ROWS,
    global::ROWS,
    lmtp::ROWS,
    local::ROWS,
    log::ROWS,
    master::ROWS,
    milter::ROWS,
    paths::ROWS,
    postscreen::ROWS,
    qmgr::ROWS,
    qmqpd::ROWS,
    rewrite::ROWS,
    services::ROWS,
    smtp::ROWS,
    smtpd::ROWS,
    tables::ROWS,
    tls::ROWS,
    tls_lmtp::ROWS,
    tls_postscreen::ROWS,
    tls_smtp::ROWS,
    tls_smtpd::ROWS,
    tlsproxy::ROWS,
    verify::ROWS,
    virtual_mailbox::ROWS,
];

/// How many parameters there are.
pub const COUNT: usize = virtual_mailbox::END as usize;

/// All rows, by number.
pub static ALL: [&Row; COUNT] = all();

/// The numbers of all rows in the order of their names, byte by byte.
pub static BY_NAME: [Id; COUNT] = by_name();

const fn all() -> [&'static Row; COUNT] {
    let mut rows = [&GROUPS[0][0]; COUNT];
    let (mut at, mut group) = (0, 0);
    while group < GROUPS.len() {
        let mut row = 0;
        while row < GROUPS[group].len() {
            rows[at] = &GROUPS[group][row];
            at += 1;
            row += 1;
        }
        group += 1;
    }
    rows
}

/// Sorted by the compiler, so that a start of a program costs nothing: a merge sort of runs of 1, 2, 4, ...
const fn by_name() -> [Id; COUNT] {
    let mut from = [Id(0); COUNT];
    let mut number: u16 = 0;
    while (number as usize) < COUNT {
        from[number as usize] = Id(number);
        number += 1;
    }
    let mut width = 1;
    while width < COUNT {
        from = merged(&from, width);
        width *= 2;
    }
    from
}

const fn merged(from: &[Id; COUNT], width: usize) -> [Id; COUNT] {
    let mut to = *from;
    let mut start = 0;
    while start < COUNT {
        let middle = if start + width < COUNT { start + width } else { COUNT };
        let end = if start + 2 * width < COUNT { start + 2 * width } else { COUNT };
        let (mut left, mut right, mut at) = (start, middle, start);
        while at < end {
            if left < middle && (right >= end || !less(from[right], from[left])) {
                to[at] = from[left];
                left += 1;
            } else {
                to[at] = from[right];
                right += 1;
            }
            at += 1;
        }
        start = end;
    }
    to
}

const fn less(a: Id, b: Id) -> bool {
    let (a, b) = (ALL[a.index()].name.as_bytes(), ALL[b.index()].name.as_bytes());
    let mut at = 0;
    while at < a.len() && at < b.len() {
        if a[at] != b[at] {
            return a[at] < b[at];
        }
        at += 1;
    }
    a.len() < b.len()
}

/// The number of the parameter of this name.
#[must_use]
pub fn by_spelling(name: &str) -> Option<Id> {
    BY_NAME.binary_search_by(|id| id.name().cmp(name)).ok().map(|at| BY_NAME[at])
}
