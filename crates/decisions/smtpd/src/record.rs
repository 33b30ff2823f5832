//! The record of an evaluation: which restriction was asked, which table with which key, what it said and what came of
//! it. Log lines are made from it, and whoever watches a [`crate::Judge`] sees all of it. It is borrowed from the
//! evaluation, so that it costs nothing when nobody watches.

use crate::Restriction;
use bstr::BStr;
use dnsbl::Listing;
use types::{Lookup, Reply};

/// One thing that happened, in the order in which it did.
#[derive(Clone, Copy, Debug)]
pub enum Step<'s> {
    /// A restriction is evaluated.
    Rule {
        /// The restriction.
        rule: &'s Restriction,
        /// The command, as log lines name it.
        place: &'static str,
        /// Whom it is about.
        name: &'s BStr,
        /// What that is: `Client host`, `Sender address`.
        class: &'static str,
    },
    /// An access table was asked for a host, a network or an address.
    Asked {
        /// `type:name`
        table: &'s str,
        /// The whole key; tables with fixed keys are then asked for its parts.
        key: &'s BStr,
        /// What was found for it or for a part of it.
        answer: &'s Lookup,
    },
    /// A DNS list answered.
    Listed {
        /// The name that was asked.
        query: &'s BStr,
        /// What the answer means.
        listing: Listing,
    },
    /// Something that the log tells.
    Said {
        /// `reject`, `reject_warning`, `hold`, `info` and so on: the first word of the log line.
        what: &'s str,
        /// The reply; code 0 where there is only text.
        reply: &'s Reply,
    },
}

/// Watches evaluations.
pub trait Witness {
    /// Is told each step while it lasts.
    fn see(&self, step: Step<'_>);
}

#[cfg(test)]
mod tests;
