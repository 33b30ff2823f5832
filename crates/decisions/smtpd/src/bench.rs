//! What the judge's tests have in common: quiet surroundings, and the question at RCPT.

use crate::{Ask, Judge, Peer, Question, Resolve, Standing, Surroundings, Transaction, Verdict};
use maillog::Logger;
use rewrite::Rewriter;
use std::rc::Rc;
use types::{Address, Instant};
use world::{Answer, Dns, DnsAnswer, RecordType, testing};

/// A DNS without names.
pub(crate) struct NoNames;

impl Dns for NoNames {
    fn query<'a>(&'a self, _: &'a str, _: RecordType) -> Answer<'a, DnsAnswer> {
        Answer::ready(DnsAnswer::NoName)
    }
}

/// Tables, and nobody else to ask; a test replaces what it is about.
pub(crate) fn surroundings<'a>(tables: &'a testing::FakeTables, rewriter: &Rewriter) -> Surroundings<'a> {
    Surroundings {
        tables,
        policies: Rc::new(crate::NoPolicyServers),
        flush: Rc::new(crate::NoFlushService),
        local_time: Rc::new(String::new),
        dns: Rc::new(NoNames),
        host_names: Rc::new(NoNames),
        local: rewriter.locality(),
        own_addresses: Rc::new([]),
        free_bytes: Rc::new(|| 1 << 40),
        verify: Rc::new(crate::NoVerify),
        clock: Rc::new(crate::NoClock),
    }
}

/// What is said of a recipient to a client without a name.
pub(crate) fn recipient<R: Resolve>(
    judge: &Judge<R>,
    sender: &str,
    recipient: &str,
    log: &Logger,
) -> Verdict {
    let peer = Peer::unknown([192, 0, 2, 7].into(), 1, [192, 0, 2, 1].into(), 25);
    let transaction = Transaction::new(Address::new(sender));
    let ask = Ask::Rcpt { recipient: Address::new(recipient), address_only: false };
    testing::now(judge.answer(Question {
        size_bytes: 0,
        ask: &ask,
        peer: &peer,
        helo: Some("client.example".into()),
        protocol: "ESMTP",
        place: "RCPT",
        transaction: Some(&transaction),
        queue_id: None,
        has_improper_pipelining: false,
        standing: &Standing::default(),
        now: Instant::from_nanos(0),
        log,
    }))
}
