use super::*;
use crate::{Answer, Judge, SmtpdSettings, Surroundings, Verdict, bench};
use config::Values;
use maillog::{Line, Logger, Sink};
use rewrite::{RewriteSettings, Rewriter};
use std::{cell::RefCell, rc::Rc};
use world::{Dns, DnsAnswer, Record, RecordData, RecordType, testing};

/// What was seen, a line for each step, and what was logged.
#[derive(Default)]
struct Notes {
    seen: RefCell<Vec<String>>,
    logged: RefCell<Vec<String>>,
}

impl Witness for Notes {
    fn see(&self, step: Step<'_>) {
        self.seen.borrow_mut().push(match step {
            Step::Rule { rule, place, name, class } => {
                let rule = format!("{rule:?}");
                let rule = rule.split([' ', '(']).next().unwrap_or_default();
                format!("{place}, {class} <{name}>: {rule}")
            }
            Step::Asked { table, key, answer: Lookup::Found(value) } => {
                format!("{table}: {key} = {}", String::from_utf8_lossy(value))
            }
            Step::Asked { table, key, answer } => format!("{table}: {key}: {answer:?}"),
            Step::Listed { query, listing } => format!("{query}: {listing:?}"),
            Step::Said { what, reply } => format!("{what}: {reply}"),
        });
    }
}

impl Sink for Notes {
    fn write(&self, line: Line<'_>) {
        self.logged.borrow_mut().push(line.text.to_owned());
    }
}

/// A list that has everybody.
struct Listed;

impl Dns for Listed {
    fn query<'a>(&'a self, name: &'a str, record_type: RecordType) -> world::Answer<'a, DnsAnswer> {
        if record_type != RecordType::A || !name.ends_with("list.example") {
            return world::Answer::ready(DnsAnswer::NoName);
        }
        let data = RecordData::A([127, 0, 0, 9].into());
        let records = vec![Record { name: name.to_owned(), ttl_seconds: 60, data }];
        world::Answer::ready(DnsAnswer::Records { records, is_authentic: false })
    }
}

const CONFIG: &[(&str, &str)] = &[
    ("compatibility_level", "3.6"),
    ("myhostname", "mx.test"),
    ("mydestination", "mx.test"),
    ("mynetworks", "127.0.0.0/8"),
    ("local_recipient_maps", ""),
    ("alias_maps", ""),
    ("smtpd_restriction_classes", "greedy"),
    ("greedy", "check_recipient_access hash:/greedy"),
    ("smtpd_client_restrictions", "permit_mynetworks, check_client_access hash:/clients"),
    ("smtpd_helo_restrictions", "reject_invalid_helo_hostname"),
    ("smtpd_sender_restrictions", "check_sender_access hash:/senders"),
    ("smtpd_relay_restrictions", "reject_unauth_destination"),
    (
        "smtpd_recipient_restrictions",
        "reject_rbl_client list.example=127.0.0.2, warn_if_reject reject_rbl_client list.example, greedy, permit",
    ),
];

fn judge(notes: &Rc<Notes>) -> Judge<Rc<Rewriter>> {
    let tables = testing::FakeTables::new(&[
        ("hash:/clients", "192.0.2", "DUNNO"),
        ("hash:/senders", "example.org", "INFO known"),
        ("hash:/greedy", "bob@mx.test", "REJECT enough"),
    ]);
    let values = Values::for_tests(CONFIG);
    let settings = Rc::new(SmtpdSettings::load(&values).unwrap());
    let rewriter = Rc::new(Rewriter::new(RewriteSettings::load(&values).unwrap(), &tables));
    let around = Surroundings { dns: Rc::new(Listed), ..bench::surroundings(&tables, &rewriter) };
    Judge::new(settings, &values, rewriter, &around).watched_by(Rc::clone(notes) as Rc<dyn Witness>)
}

fn recipient(judge: &Judge<Rc<Rewriter>>, notes: &Rc<Notes>, recipient: &str) -> Verdict {
    let log = Logger::new(Rc::clone(notes) as Rc<dyn Sink>, "postfix/smtpd", 1);
    bench::recipient(judge, "a@example.org", recipient, &log)
}

#[test]
fn all_that_is_evaluated_for_a_recipient_is_told_in_order() {
    let notes = Rc::new(Notes::default());
    let judge = judge(&notes);
    let verdict = recipient(&judge, &notes, "bob@mx.test");
    let seen = notes.seen.take();
    let expected = [
        "RCPT, Client host <unknown[192.0.2.7]>: PermitMynetworks",
        "RCPT, Client host <unknown[192.0.2.7]>: Access",
        "hash:/clients: unknown: Absent",
        "hash:/clients: 192.0.2.7 = DUNNO",
        "RCPT, Helo command <client.example>: RejectInvalidHeloHostname",
        "RCPT, Sender address <a@example.org>: Access",
        "hash:/senders: a@example.org = INFO known",
        "info: 0 known",
        "RCPT, Recipient address <bob@mx.test>: RejectUnauthDestination",
        "RCPT, Recipient address <bob@mx.test>: DnsList",
        "7.2.0.192.list.example: NotListed",
        "RCPT, Recipient address <bob@mx.test>: DnsList",
        "7.2.0.192.list.example: Listed",
        "reject_warning: 554 5.7.1 Service unavailable; Client host [192.0.2.7] blocked using list.example",
        "RCPT, Recipient address <bob@mx.test>: Class",
        "RCPT, Recipient address <bob@mx.test>: Access",
        "hash:/greedy: bob@mx.test = REJECT enough",
        "reject: 554 5.7.1 <bob@mx.test>: Recipient address rejected: enough",
    ];
    assert_eq!(seen, expected);
    // The last step is the verdict, and what was said is what the log has.
    let Answer::Refuse(reply) = verdict.answer else { panic!("{:?}", verdict.answer) };
    assert_eq!(seen.last(), Some(&format!("reject: {reply}")));
    let said = seen
        .iter()
        .filter_map(|line| line.split_once(": "))
        .filter(|(what, _)| ["info", "reject", "reject_warning"].contains(what));
    let logged = notes.logged.take();
    assert_eq!(said.count(), logged.len());
    assert!(
        logged[1].starts_with("NOQUEUE: reject_warning: RCPT from unknown[192.0.2.7]: 554 5.7.1 Service")
    );
}

#[test]
fn what_is_not_evaluated_is_not_told() {
    let notes = Rc::new(Notes::default());
    let judge = judge(&notes);
    let verdict = recipient(&judge, &notes, "someone@elsewhere.example");
    assert!(matches!(verdict.answer, Answer::Refuse(_)));
    let seen = notes.seen.take();
    let last = "reject: 554 5.7.1 <someone@elsewhere.example>: Relay access denied";
    assert_eq!(seen.last().map(String::as_str), Some(last));
    assert!(!seen.iter().any(|line| line.contains("list.example") || line.contains("greedy")), "{seen:#?}");
    // Everybody may write to the postmaster: nothing is evaluated.
    assert_eq!(recipient(&judge, &notes, "postmaster").answer, Answer::Accept);
    assert_eq!(notes.seen.take(), [""; 0]);
}
