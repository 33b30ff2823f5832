use crate::{Answer as Said, Clock, Judge, SmtpdSettings, Surroundings, Verify, bench};
use config::Values;
use maillog::{Line, Logger, Sink};
use rewrite::{RewriteSettings, Rewriter};
use std::{cell::Cell, rc::Rc, time::Duration};
use types::Address;
use wire::verify::{AddressStatus, Verified};
use world::{Answer, testing};

struct Nowhere;

impl Sink for Nowhere {
    fn write(&self, _: Line<'_>) {}
}

/// Says what the local part asks for. A `slow` address is known when it was asked for the third time.
#[derive(Default)]
struct Told {
    asked: Cell<u32>,
    slept: Cell<u64>,
}

impl Verify for Told {
    fn query<'a>(&'a self, address: &'a Address) -> Answer<'a, Option<Verified>> {
        self.asked.set(self.asked.get() + 1);
        let of = |status, reason: &str| Some(Verified { status, reason: reason.into() });
        let local: &[u8] = address.localpart();
        Answer::ready(match local {
            b"good" => of(AddressStatus::Deliverable, "250 2.1.5 Ok"),
            b"slow" if self.asked.get() == 3 => of(AddressStatus::Deliverable, "250 2.1.5 Ok"),
            b"bad" => of(AddressStatus::Undeliverable, "no such user"),
            b"later" => of(AddressStatus::Deferred, "come back"),
            b"long" => of(AddressStatus::Deferred, &"x".repeat(300)),
            b"dead" => None,
            _ => of(AddressStatus::InProgress, "Address verification in progress"),
        })
    }
}

impl Clock for Told {
    fn sleep(&self, span: Duration) -> Answer<'_, ()> {
        self.slept.set(self.slept.get() + span.as_secs());
        Answer::ready(())
    }

    fn wall_seconds(&self) -> i64 {
        1_000_000
    }
}

/// The refusal of a recipient, or nothing; and how long it took.
fn rcpt(settings: &[(&str, &str)], sender: &str, recipient: &str) -> (String, u64) {
    let rules = [
        ("myhostname", "mx.test"),
        ("mydestination", "mx.test"),
        ("relay_domains", "far.test"),
        ("local_recipient_maps", ""),
        ("alias_maps", ""),
        ("smtpd_relay_restrictions", "reject_unauth_destination"),
        ("smtpd_sender_restrictions", "reject_unverified_sender"),
        ("smtpd_recipient_restrictions", "reject_unverified_recipient"),
    ];
    let values = Values::for_tests(&[&rules[..], settings].concat());
    let tables = testing::FakeTables::default();
    let settings = Rc::new(SmtpdSettings::load(&values).unwrap());
    let rewriter = Rc::new(Rewriter::new(RewriteSettings::load(&values).unwrap(), &tables));
    let told = Rc::new(Told::default());
    let around = Surroundings {
        verify: Rc::clone(&told) as Rc<dyn Verify>,
        clock: Rc::clone(&told) as Rc<dyn Clock>,
        ..bench::surroundings(&tables, &rewriter)
    };
    let judge = Judge::new(settings, &values, rewriter, &around);
    let log = Logger::new(Rc::new(Nowhere), "postfix/smtpd", 1);
    let verdict = bench::recipient(&judge, sender, recipient, &log);
    let said = match verdict.answer {
        Said::Accept => String::new(),
        Said::AcceptAs(address) => format!("as {address}"),
        Said::Refuse(reply) => reply.to_string(),
        other => format!("{other:?}"),
    };
    (said, told.slept.get())
}

#[track_caller]
fn check(settings: &[(&str, &str)], sender: &str, recipient: &str, expected: &str) {
    assert_eq!(rcpt(settings, sender, recipient).0, expected, "{settings:?} {sender} {recipient}");
}

const FOR_GOOD: &[(&str, &str)] =
    &[("unverified_recipient_reject_code", "550"), ("unverified_sender_reject_code", "551")];

#[test]
fn what_probes_find_out_is_the_reply() {
    let refused = "<bad@far.test>: Recipient address rejected:";
    check(&[], "good@far.test", "good@far.test", "");
    check(&[], "", "good@far.test", "");
    check(&[], "", "bad@far.test", &format!("450 4.1.1 {refused} unverified address: no such user"));
    check(FOR_GOOD, "", "bad@far.test", &format!("550 5.1.1 {refused} undeliverable address: no such user"));
    let sender = "551 5.1.7 <bad@far.test>: Sender address rejected: undeliverable address: no such user";
    check(FOR_GOOD, "bad@far.test", "good@far.test", sender);
    let later = "450 4.1.1 <later@far.test>: Recipient address rejected: unverified address: come back";
    check(FOR_GOOD, "", "later@far.test", later);
    let dead = "450 4.1.1 <dead@far.test>: Recipient address rejected: address verification problem";
    check(FOR_GOOD, "", "dead@far.test", dead);
    let long = format!(
        "450 4.1.1 <long@far.test>: Recipient address rejected: unverified address: {}",
        "x".repeat(250)
    );
    check(&[], "", "long@far.test", &long);
}

#[test]
fn codes_and_reasons_may_be_the_administrators() {
    let reason = ("unverified_recipient_reject_reason", "Address lookup failed");
    let said =
        "550 5.1.1 <bad@far.test>: Recipient address rejected: undeliverable address: Address lookup failed";
    check(&[FOR_GOOD, &[reason]].concat(), "", "bad@far.test", said);
    check(&[("unverified_recipient_defer_code", "250")], "", "later@far.test", "");
    let softly = ("unverified_sender_tempfail_action", "defer_if_permit");
    let said = "550 5.1.1 <bad@far.test>: Recipient address rejected: undeliverable address: no such user";
    check(&[FOR_GOOD, &[softly]].concat(), "later@far.test", "bad@far.test", said);
    let said = "450 4.1.7 <later@far.test>: Sender address rejected: unverified address: come back";
    check(&[softly], "later@far.test", "good@far.test", said);
}

#[test]
fn an_answer_is_waited_for_as_long_as_the_settings_say() {
    let polls = |count| [("address_verify_poll_count", count), ("address_verify_poll_delay", "7s")];
    assert_eq!(rcpt(&polls("3"), "", "slow@far.test"), (String::new(), 14));
    let (said, slept) = rcpt(&polls("2"), "", "slow@far.test");
    assert!(said.ends_with("unverified address: Address verification in progress"), "{said}");
    assert_eq!(slept, 7);
    assert_eq!(rcpt(&polls("1"), "", "slow@far.test").1, 0);
}

#[test]
fn the_sender_of_our_probes_exists() {
    let own = [("address_verify_sender", "probe@mx.test"), ("address_verify_sender_ttl", "100s")];
    check(&own, "dead@far.test", "probeBDL@mx.test", "as probe@mx.test");
    assert!(rcpt(&own, "", "probe@mx.test").0.starts_with("450 "), "the time is over");
    check(&[], "dead@far.test", "double-bounce@mx.test", "as double-bounce@mx.test");
}
