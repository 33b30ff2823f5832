//! One table of aliases, many recipients.

use super::*;
use std::{
    collections::HashMap,
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};
use types::{AddressClass, Nexthop};
use world::UserEntry;

struct Aliases(HashMap<&'static str, &'static str>);

impl Table for Aliases {
    fn name(&self) -> &str {
        "inline:aliases"
    }
    fn lookup<'a>(&'a self, key: &'a [u8]) -> Answer<'a, Lookup> {
        let key = key.to_str().unwrap();
        Answer::ready(match self.0.get(key) {
            Some(&"TROUBLE") => Lookup::TryAgain(types::Trouble::new("table is broken")),
            Some(value) => Lookup::Found(value.as_bytes().to_vec()),
            None => Lookup::Absent,
        })
    }
}

struct People;

impl Users for People {
    fn by_name<'a>(&'a self, name: &'a str) -> Answer<'a, Lookup<UserEntry>> {
        Answer::ready(if ["joe", "jane", "list"].contains(&name) {
            Lookup::Found(UserEntry {
                name: name.into(),
                uid: 1000,
                gid: 1000,
                gecos: String::new(),
                home: "/home".into(),
                shell: "/bin/sh".into(),
            })
        } else {
            Lookup::Absent
        })
    }
    fn by_uid(&self, _uid: u32) -> Answer<'_, Lookup<UserEntry>> {
        Answer::ready(Lookup::Absent)
    }
}

struct Here;

impl Router for Here {
    fn route<'a>(&'a self, _sender: &'a Address, external: &'a [u8]) -> Answer<'a, Lookup<Resolved>> {
        let text = external.to_str().unwrap();
        let recipient = if text.contains('@') { text.to_owned() } else { format!("{text}@here") };
        let transport = Transport::new(if recipient.ends_with("@here") { "local" } else { "smtp" });
        Answer::ready(Lookup::Found(Resolved {
            transport,
            nexthop: Nexthop::default(),
            recipient: recipient.as_str().into(),
            class: AddressClass::Local,
            is_routed: false,
            is_error: false,
        }))
    }
}

fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a look-up at hand must not wait"),
    }
}

fn with_expansion<T>(run: impl FnOnce(&Expansion<'_, Here>) -> T) -> T {
    let aliases = HashMap::from([
        ("postmaster", "root"),
        ("root", "joe"),
        ("two", "joe, jane"),
        ("mixed", "joe, jim@away, ann@away"),
        ("self", "self, jane"),
        ("joe-self", "joe"),
        ("list", "jane, x@away"),
        ("owner-list", "joe"),
        ("broken", "TROUBLE"),
        ("pipe", "|/bin/cat"),
        ("empty", " , "),
        ("loop1", "loop2"),
        ("loop2", "loop1"),
    ]);
    let aliases: Vec<Rc<dyn Table>> = vec![Rc::new(Aliases(aliases))];
    let settings = LocalSettings::for_tests();
    let delivered = DeliveredTo::scan(b"Delivered-To: seen@here\n\n");
    run(&Expansion {
        settings: &settings,
        aliases: &aliases,
        users: &People,
        router: &Here,
        delivered: &delivered,
        transport: &Transport::new("local"),
    })
}

fn describe(steps: &[Step]) -> Vec<String> {
    let step = |step: &Step| match step {
        Step::Mailbox { recipient, user, mailbox_only: false, .. } => {
            format!("mailbox {user} for {recipient}")
        }
        Step::Mailbox { user, .. } => format!("only mailbox {user}"),
        Step::Forward(f) => format!("{} sends to {:?} via {}", f.sender, f.recipients, f.delivered_to),
        Step::Final { recipient, outcome, status } => {
            format!("{outcome:?} {recipient}: {} {}", status.dsn, status.reason)
        }
    };
    steps.iter().map(step).collect()
}

fn check(recipient: &str, expected: &[&str]) {
    let steps = with_expansion(|e| now(expand(e, &"s@x".into(), &recipient.into())));
    assert_eq!(describe(&steps), expected, "{recipient}");
}

#[test]
fn users_and_aliases() {
    check("joe@here", &["mailbox joe for joe@here"]);
    check("Joe+ext@here", &["mailbox joe for Joe+ext@here"]);
    check("postmaster@here", &["mailbox joe for joe@here"]);
    check("two@here", &["mailbox joe for joe@here", "mailbox jane for jane@here"]);
    check(
        "mixed@here",
        &["s@x sends to [<jim@away>, <ann@away>] via mixed@here", "mailbox joe for joe@here"],
    );
    check("nobody@here", &["Bounced nobody@here: 5.1.1 unknown user: \"nobody\""]);
    check("mailer-daemon@here", &["Sent mailer-daemon@here: 2.0.0 discarded"]);
}

#[test]
fn an_owner_takes_over_the_envelope() {
    check("list@here", &["owner-list@here sends to [<x@away>, <jane@here>] via list@here"]);
}

#[test]
fn trouble_defers_and_loops_end() {
    check("broken@here", &["Deferred broken@here: 4.3.0 alias database unavailable"]);
    check("empty@here", &["Deferred empty@here: 4.3.0 alias database unavailable"]);
    check(
        "pipe@here",
        &["Deferred pipe@here: 4.3.0 delivery to a command is not supported yet (alias pipe)"],
    );
    check("seen@here", &["Bounced seen@here: 5.4.6 mail forwarding loop for seen@here"]);
    check("@here", &["Bounced @here: 5.1.3 null username in \"@here\""]);
    check("loop1@here", &["Bounced loop2@here: 5.4.6 recipient nesting limit exceeded"]);
}

#[test]
fn forward_files_reach_others_by_new_mail_and_the_owner_by_mailbox() {
    let steps = with_expansion(|e| {
        now(expand_forward_file(
            e,
            &"s@x".into(),
            &"joe@here".into(),
            &"joe@here".into(),
            b"# mine\n\\joe, jane\njim@away\n",
        ))
    });
    assert_eq!(
        describe(&steps),
        [
            "s@x sends to [<jim@away>] via joe@here",
            "only mailbox joe",
            "s@x sends to [<jane@here>] via joe@here"
        ]
    );
}
