//! A server of tables (tcp_table(5)) that is not always well.

use crate::moody::Speech;
use std::time::Duration;

/// It refuses `c@relay.test`.
pub(crate) const TABLE: Speech = Speech {
    request_end: b"\n",
    answer: |request| match request {
        b"get c@relay.test\n" => "200 REJECT\n",
        _ => "500 nothing\n",
    },
    nonsense: b"OK\n\0\xff\n",
    filler: b'2',
    more: "500 nobody asked\n",
    slowness: (Duration::from_secs(20), false),
    not_now: Some("400 not now\n"),
};
