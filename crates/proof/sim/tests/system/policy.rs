//! A policy server (SMTPD_POLICY_README) that is not always well.

use crate::moody::Speech;
use bstr::ByteSlice;
use std::time::Duration;

/// It refuses `c@relay.test`.
pub(crate) const POLICY: Speech = Speech {
    request_end: b"\n\n",
    answer: |request| match request.contains_str("\nrecipient=c@relay.test\n") {
        true => "action=REJECT not c\n\n",
        false => "action=DUNNO\n\n",
    },
    nonsense: b"action\n\nresult=OK\n\n\0\xff",
    filler: b'x',
    more: "action=REJECT nobody asked\n\n",
    slowness: (Duration::from_secs(1), true),
    not_now: None,
};
