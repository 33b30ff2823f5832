//! What is known from the connection and HELO or EHLO.

use crate::{EhloKeywords, Grants};
use bstr::{BStr, BString, ByteSlice};

#[derive(Debug, Default)]
pub(super) struct Greeting {
    /// The name that the client gave, made printable and harmless for log lines and headers.
    pub(super) helo: Option<BString>,
    is_esmtp: bool,
    pub(super) discard: EhloKeywords,
    /// What to discard could not be looked up.
    pub(super) is_discard_unknown: bool,
    /// `smtpd_forbid_bare_newline_exclusions` matches the client.
    pub(super) bare_newlines_allowed: bool,
    /// What the client may use.
    pub(super) grants: Grants,
}

impl Greeting {
    /// What a client has said for another, whose name was taken before.
    pub(super) fn of(helo: Option<BString>, is_esmtp: bool, grants: Grants) -> Self {
        Self { helo, is_esmtp, grants, ..Self::default() }
    }

    pub(super) fn helo(&self) -> Option<&BStr> {
        self.helo.as_ref().map(|name| name.as_slice().as_bstr())
    }

    pub(super) fn protocol(&self) -> &'static str {
        if self.is_esmtp { "ESMTP" } else { "SMTP" }
    }

    pub(super) fn is_esmtp(&self) -> bool {
        self.is_esmtp
    }

    /// Takes a name. HELO after EHLO leaves the protocol as it was: the client knows of pipelining.
    pub(super) fn set(&mut self, name: &[u8], is_ehlo: bool) {
        self.helo = Some(harmless(name));
        self.is_esmtp |= is_ehlo;
    }
}

/// Replaces what is unprintable or has a meaning in headers and log lines by `?`; UTF-8 stays.
pub(super) fn harmless(name: &[u8]) -> BString {
    let text = String::from_utf8_lossy(name);
    let clean = text.chars().map(|c| match c {
        ' ' | '<' | '>' | '(' | ')' | '\\' | '"' | ';' | '@' | '\u{fffd}' => '?',
        c if c.is_control() => '?',
        c => c,
    });
    clean.collect::<String>().into()
}
