//! One table of aliases, many recipients, and hands that write down what they are asked to do.

use super::*;
use crate::agent::Source;
use bstr::ByteSlice;
use std::{
    collections::HashMap,
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};
use types::AddressClass;
use world::TableOwner;

struct Aliases(HashMap<&'static str, &'static str>, TableOwner);

impl Table for Aliases {
    fn name(&self) -> &str {
        "inline:aliases"
    }
    fn lookup<'a>(&'a self, key: &'a [u8]) -> Answer<'a, Lookup> {
        Answer::ready(match key.to_str().ok().and_then(|key| self.0.get(key)) {
            Some(&"TROUBLE") => Lookup::TryAgain(types::Trouble::new("table is broken")),
            Some(value) => Lookup::Found(value.as_bytes().to_vec()),
            None => Lookup::Absent,
        })
    }
    fn owner(&self) -> TableOwner {
        self.1
    }
}

fn entry(name: &str, uid: u32) -> UserEntry {
    let home = if uid == 0 { "/root".into() } else { format!("/home/{name}").into() };
    UserEntry { name: name.into(), uid, gid: uid, gecos: String::new(), home, shell: "/bin/sh".into() }
}

const PEOPLE: [(&str, u32); 4] = [("root", 0), ("joe", 1000), ("jane", 1001), ("list", 1002)];

struct People;

impl Users for People {
    fn by_name<'a>(&'a self, name: &'a str) -> Answer<'a, Lookup<UserEntry>> {
        let found = PEOPLE.iter().find(|(known, _)| *known == name);
        Answer::ready(found.map_or(Lookup::Absent, |(name, uid)| Lookup::Found(entry(name, *uid))))
    }
    fn by_uid(&self, uid: u32) -> Answer<'_, Lookup<UserEntry>> {
        let found = PEOPLE.iter().find(|(_, known)| *known == uid);
        Answer::ready(found.map_or(Lookup::Absent, |(name, uid)| Lookup::Found(entry(name, *uid))))
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

/// Forward and include files by name; whatever is done is written down.
#[derive(Default)]
struct Scribe {
    files: HashMap<&'static str, &'static str>,
    done: RefCell<Vec<String>>,
}

impl Scribe {
    fn note(&self, text: String) {
        self.done.borrow_mut().push(text);
    }

    fn answer(&self, rights: &Rights, request: &Request) -> AgentAnswer {
        let user = &request.names.user;
        let who = match rights {
            Rights::Default => "nobody".to_owned(),
            Rights::User(user) => user.name.clone(),
        };
        let sent = |text: &str| {
            let status = Status::new(Dsn::success(0, 0), text);
            AgentAnswer::Done { outcome: Outcome::Sent, status, mailbox_end: None }
        };
        match &request.task {
            Task::Local { forward, mailbox } => {
                let path = format!("/home/{user}/.forward");
                match self.files.get(path.as_str()).filter(|_| *forward) {
                    Some(text) => AgentAnswer::List {
                        path: path.into(),
                        is_extension_used: false,
                        text: (*text).into(),
                    },
                    None if *mailbox => {
                        self.note(format!("mailbox {user} via {}", request.delivered_to));
                        sent("delivered to mailbox")
                    }
                    None => AgentAnswer::Nothing,
                }
            }
            Task::Include { path, .. } if path == "/owned" && who == "nobody" => {
                AgentAnswer::Owner { uid: 1001 }
            }
            Task::Include { path, .. } => AgentAnswer::List {
                path: path.clone(),
                is_extension_used: false,
                text: self.files[path.to_str().unwrap()].into(),
            },
            Task::File { origin, path } => {
                self.note(format!("file {path} as {who} of {origin}", origin = shown(origin)));
                sent("delivered to file")
            }
            Task::Command { command, .. } if command == "fail" => {
                let status = Status::new(Dsn::permanent(3, 0), "failed");
                AgentAnswer::Done { outcome: Outcome::Bounced, status, mailbox_end: None }
            }
            Task::Command { command, .. } if command == "later" => {
                let status = Status::new(Dsn::temporary(3, 0), "later");
                AgentAnswer::Done { outcome: Outcome::Deferred, status, mailbox_end: None }
            }
            Task::Command { origin, command, .. } => {
                self.note(format!("command {command} as {who} of {origin}", origin = shown(origin)));
                sent("delivered to command")
            }
            Task::Virtual { .. } => AgentAnswer::Nothing,
        }
    }
}

fn shown(origin: &Origin) -> String {
    let mut text = match &origin.source {
        Source::Alias(name) => format!("alias {name}"),
        Source::Forward => "forward".to_owned(),
        Source::Mailbox => "mailbox".to_owned(),
    };
    origin.includes.iter().for_each(|path| text.push_str(&format!(" {path}")));
    text
}

impl Hands for Scribe {
    fn agent<'a>(&'a self, rights: &'a Rights, request: &'a Request) -> Answer<'a, Reply> {
        Answer::ready(Reply::new(self.answer(rights, request)))
    }
    fn pass<'a>(
        &'a self,
        to: &'a (Transport, Nexthop),
        recipient: &'a Recipient,
    ) -> Answer<'a, MemberReport> {
        let status = Status::new(Dsn::success(0, 0), format!("by {} to {}", to.0, to.1));
        Answer::ready(MemberReport::new(recipient.clone(), Outcome::Sent, status))
    }
    fn forward<'a>(&'a self, f: &'a Forward) -> Answer<'a, (Outcome, Status)> {
        let to: Vec<_> = f.recipients.iter().map(|recipient| recipient.address.to_string()).collect();
        self.note(format!("{} sends to {} via {}", f.sender, to.join(" "), f.delivered_to));
        Answer::ready((Outcome::Sent, Status::new(Dsn::success(0, 0), "forwarded as ID")))
    }
    fn notify<'a>(&'a self, owner: &'a Address, to: &'a Recipient, _: &'a Status) -> Answer<'a, bool> {
        self.note(format!("{owner} hears of {}", to.address));
        Answer::ready(true)
    }
    fn biff(&self, _user: &BStr, _offset: u64) {}
    fn inform(&self, _text: &str) {}
    fn warn(&self, text: &str) {
        self.note(format!("warning: {text}"));
    }
}

fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a look-up at hand must not wait"),
    }
}

const ALIASES: &[(&str, &str)] = &[
    ("postmaster", "root"),
    ("root", "joe"),
    ("two", "joe, jane"),
    ("twice", "joe, two, joe"),
    ("mixed", "joe, jim@away, ann@away"),
    ("self", "self, jane"),
    ("jane", "jane"),
    ("list", "jane, x@away"),
    ("owner-list", "joe"),
    ("broken", "TROUBLE"),
    ("pipe", "\"|cat -u\""),
    ("file", "/var/archive"),
    ("tilde", "~/archive"),
    ("lists", ":include:/list"),
    ("owned", ":include:/owned"),
    ("nested", ":include:/nested"),
    ("relative", ":include:list"),
    ("nobodies", ":include:/empty"),
    ("empty", " , "),
    ("loop1", "loop2"),
    ("loop2", "loop1"),
    ("failing", "\"|fail\""),
    ("owner-failing", "joe"),
    ("late", "x@away, \"|later\", jane"),
];

struct Case {
    settings: &'static [(&'static str, &'static str)],
    owner: TableOwner,
    files: &'static [(&'static str, &'static str)],
    trace: TraceFlags,
}

const FILES: &[(&str, &str)] = &[
    ("/list", "# friends\nx@away, jane\n\"|cat\"\n"),
    ("/owned", "x@away\n"),
    ("/nested", ":include:/list\n:include:/nested\n"),
    ("/empty", "# nobody\n"),
];

const PLAIN: Case = Case { settings: &[], owner: TableOwner::Trusted, files: FILES, trace: TraceFlags(0) };

/// What was done, and what is reported.
fn outcome(case: &Case, recipient: &str) -> Vec<String> {
    let mut pairs = vec![("recipient_delimiter", "+")];
    pairs.extend_from_slice(case.settings);
    let settings = LocalSettings::load(&config::Values::for_tests(&pairs));
    let aliases: Vec<Rc<dyn Table>> = vec![Rc::new(Aliases(ALIASES.iter().copied().collect(), case.owner))];
    let scribe = Scribe { files: case.files.iter().copied().collect(), ..Scribe::default() };
    let none = Maps::none("none");
    let sender = Address::from("s@x");
    let delivery = Delivery {
        settings: &settings,
        aliases: &aliases,
        mailbox_transport_maps: &none,
        mailbox_command_maps: &none,
        fallback_transport_maps: &none,
        users: &People,
        router: &Here,
        hands: &scribe,
        delivered: &DeliveredTo::scan(b"Delivered-To: seen@here\n\n"),
        transport: &Transport::new("local"),
        nexthop: &Nexthop::new("here"),
        queue_id: "ABCDEF".parse().unwrap(),
        sender: &sender,
        trace: case.trace,
        environment: &[],
    };
    let recipient = Recipient { address: recipient.into(), ..Recipient::default() };
    let Delivered { members, is_settled } = now(deliver(&delivery, &recipient));
    let mut seen = scribe.done.take();
    seen.extend(members.iter().map(|member| {
        let Status { dsn, reason, .. } = &member.status;
        let notified = if member.is_notified { " (told)" } else { "" };
        format!("{:?} {}: {dsn} {reason}{notified}", member.outcome, member.recipient.address)
    }));
    if members.is_empty() {
        seen.push(format!("nothing, settled: {is_settled}"));
    }
    seen
}

#[track_caller]
fn check_in(case: &Case, recipient: &str, expected: &[&str]) {
    assert_eq!(outcome(case, recipient), expected, "{recipient}");
}

#[track_caller]
fn check(recipient: &str, expected: &[&str]) {
    check_in(&PLAIN, recipient, expected);
}

#[test]
fn users_and_aliases() {
    check("Joe+ext@here", &["mailbox joe via Joe+ext@here", "Sent Joe+ext@here: 2.0.0 delivered to mailbox"]);
    check(
        "postmaster@here",
        &["mailbox joe via postmaster@here", "Sent joe@here: 2.0.0 delivered to mailbox"],
    );
    let both = ["Sent joe@here: 2.0.0 delivered to mailbox", "Sent jane@here: 2.0.0 delivered to mailbox"];
    let two = ["mailbox joe via two@here", "mailbox jane via two@here"];
    check("two@here", &[&two[..], &both].concat());
    let twice = ["mailbox joe via twice@here", "mailbox jane via twice@here"];
    check("twice@here", &[&twice[..], &both].concat());
    let thawed = Case { settings: &[("frozen_delivered_to", "no")], ..PLAIN };
    let each = ["mailbox joe via joe@here", "mailbox jane via jane@here"];
    check_in(&thawed, "two@here", &[&each[..], &both].concat());
    check(
        "mixed@here",
        &[
            "mailbox joe via mixed@here",
            "s@x sends to jim@away ann@away via mixed@here",
            "Sent joe@here: 2.0.0 delivered to mailbox",
            "Sent mixed@here: 2.0.0 forwarded as ID",
        ],
    );
    check("nobody@here", &["Bounced nobody@here: 5.1.1 unknown user: \"nobody\""]);
    check(
        "mailer-daemon@here",
        &["warning: required alias not found: mailer-daemon", "Sent mailer-daemon@here: 2.0.0 discarded"],
    );
}

#[test]
fn an_owner_takes_over_the_envelope() {
    check(
        "list@here",
        &["owner-list@here sends to jane@here x@away via list@here", "Sent list@here: 2.0.0 forwarded as ID"],
    );
    check(
        "failing@here",
        &["owner-failing@here hears of failing@here", "Bounced failing@here: 5.3.0 failed (told)"],
    );
}

#[test]
fn an_extension_goes_along_only_where_it_may() {
    let far = Case { settings: &[("propagate_unmatched_extensions", "alias")], ..PLAIN };
    let copy = "Sent mixed+e@here: 2.0.0 forwarded as ID";
    check_in(
        &far,
        "mixed+e@here",
        &[
            "mailbox joe via mixed+e@here",
            "s@x sends to jim+e@away ann+e@away via mixed+e@here",
            "Sent joe+e@here: 2.0.0 delivered to mailbox",
            copy,
        ],
    );
    check(
        "mixed+e@here",
        &[
            "mailbox joe via mixed+e@here",
            "s@x sends to jim@away ann@away via mixed+e@here",
            "Sent joe@here: 2.0.0 delivered to mailbox",
            copy,
        ],
    );
}

#[test]
fn commands_and_files_have_the_rights_of_who_wrote_them() {
    check(
        "pipe@here",
        &["command cat -u as nobody of alias pipe", "Sent pipe@here: 2.0.0 delivered to command"],
    );
    let joes = Case { owner: TableOwner::User(1000), ..PLAIN };
    check_in(
        &joes,
        "file@here",
        &["file /var/archive as joe of alias file", "Sent file@here: 2.0.0 delivered to file"],
    );
    check_in(
        &joes,
        "tilde@here",
        &["file ~/archive as joe of alias tilde", "Sent tilde@here: 2.0.0 delivered to file"],
    );
    check(
        "tilde@here",
        &[
            "warning: unknown home directory for: ~/archive",
            "Bounced tilde@here: 5.3.5 mail system configuration error",
        ],
    );
    let nobodys = Case { owner: TableOwner::Unknown, ..PLAIN };
    check_in(
        &nobodys,
        "two@here",
        &[
            "warning: no owner UID for alias database inline:aliases",
            "Deferred two@here: 4.3.0 mail system configuration error",
        ],
    );
    let strict =
        Case { settings: &[("allow_mail_to_commands", ""), ("allow_mail_to_files", "include")], ..PLAIN };
    check_in(&strict, "pipe@here", &["Bounced pipe@here: 5.7.1 mail to command is restricted"]);
    check_in(&strict, "file@here", &["Bounced file@here: 5.7.1 mail to file is restricted"]);
}

#[test]
fn lists_reach_everyone_by_new_mail() {
    check(
        "lists@here",
        &[
            "s@x sends to x@away jane@here via lists@here",
            "Bounced lists@here: 5.7.1 mail to command is restricted",
            "Sent lists@here: 2.0.0 forwarded as ID",
        ],
    );
    let open = Case { settings: &[("allow_mail_to_commands", "include")], ..PLAIN };
    check_in(
        &open,
        "nested@here",
        &[
            "command cat as nobody of alias nested /nested /list",
            "s@x sends to x@away jane@here via nested@here",
            "Sent nested@here: 2.0.0 delivered to command",
            "Sent nested@here: 2.0.0 forwarded as ID",
        ],
    );
    check("owned@here", &["s@x sends to x@away via owned@here", "Sent owned@here: 2.0.0 forwarded as ID"]);
    check(
        "relative@here",
        &[
            "warning: :include:list uses a relative path",
            "Bounced relative@here: 5.3.5 mail system configuration error",
        ],
    );
}

#[test]
fn trouble_defers_and_loops_end() {
    check(
        "broken@here",
        &[
            "warning: inline:aliases: lookup of 'broken' failed: table is broken",
            "Deferred broken@here: 4.3.0 alias database unavailable",
        ],
    );
    check(
        "empty@here",
        &[
            "warning: no recipient in alias lookup result for empty",
            "Deferred empty@here: 4.3.0 alias database unavailable",
        ],
    );
    check("seen@here", &["Bounced seen@here: 5.4.6 mail forwarding loop for seen@here"]);
    check("@here", &["Bounced @here: 5.1.3 null username in \"@here\""]);
    let warning = "warning: recipient nesting limit exceeded for loop2@here";
    check("loop1@here", &[warning, "Bounced loop2@here: 5.4.6 recipient nesting limit exceeded"]);
    // What is tried again as a whole has sent no copies yet.
    check(
        "late@here",
        &[
            "mailbox jane via late@here",
            "Deferred late@here: 4.3.0 later",
            "Sent jane@here: 2.0.0 delivered to mailbox",
        ],
    );
}

#[test]
fn forward_files_reach_others_by_new_mail_and_the_owner_by_mailbox() {
    let files = &[("/home/joe/.forward", "# mine\njoe, jane\njim@away, \"|cat\", ~/copy\n")];
    check_in(
        &Case { files, ..PLAIN },
        "joe@here",
        &[
            "mailbox joe via joe@here",
            "command cat as joe of forward",
            "file ~/copy as joe of forward",
            "s@x sends to jane@here jim@away via joe@here",
            "Sent joe@here: 2.0.0 delivered to mailbox",
            "Sent joe@here: 2.0.0 delivered to command",
            "Sent joe@here: 2.0.0 delivered to file",
            "Sent joe@here: 2.0.0 forwarded as ID",
        ],
    );
    let nothing = &[("/home/joe/.forward", "# nothing\n\n")];
    check_in(
        &Case { files: nothing, ..PLAIN },
        "joe@here",
        &["mailbox joe via joe@here", "Sent joe@here: 2.0.0 delivered to mailbox"],
    );
}

#[test]
fn other_ways_into_mailboxes() {
    let command = Case { settings: &[("mailbox_command", "procmail")], ..PLAIN };
    check_in(
        &command,
        "joe@here",
        &["command procmail as joe of mailbox", "Sent joe@here: 2.0.0 delivered to command"],
    );
    let passed = Case { settings: &[("mailbox_transport", "lmtp:unix:x")], ..PLAIN };
    check_in(&passed, "nobody@here", &["Sent nobody@here: 2.0.0 by lmtp to unix:x"]);
    let fallback = Case { settings: &[("fallback_transport", "old")], ..PLAIN };
    check_in(&fallback, "nobody@here", &["Sent nobody@here: 2.0.0 by old to here"]);
    check_in(
        &fallback,
        "joe@here",
        &["mailbox joe via joe@here", "Sent joe@here: 2.0.0 delivered to mailbox"],
    );
    let relay = Case { settings: &[("luser_relay", "joe+$local")], ..PLAIN };
    check_in(
        &relay,
        "no.body@here",
        &["mailbox joe via no.body@here", "Sent joe+no.body@here: 2.0.0 delivered to mailbox"],
    );
    let circle = Case { settings: &[("luser_relay", "$user@here")], ..PLAIN };
    check_in(&circle, "nobody@here", &["Bounced nobody@here: 5.1.1 unknown user: \"nobody\""]);
}

#[test]
fn a_list_of_nobody_is_done() {
    check("nobodies@here", &["nothing, settled: true"]);
}

#[test]
fn a_probe_says_what_would_be_done() {
    let server = Case { trace: TraceFlags(TraceFlags::SERVER_PROBE), ..PLAIN };
    let user = Case { trace: TraceFlags(TraceFlags::USER_PROBE), ..PLAIN };
    for case in [&server, &user] {
        check_in(case, "joe@here", &["Sent joe@here: 2.0.0 delivers to mailbox"]);
        check_in(case, "nobody@here", &["Bounced nobody@here: 5.1.1 unknown user: \"nobody\""]);
    }
    check_in(&server, "two@here", &["Sent two@here: 2.0.0 aliased to joe, jane"]);
    check_in(
        &user,
        "two@here",
        &["Sent joe@here: 2.0.0 delivers to mailbox", "Sent jane@here: 2.0.0 delivers to mailbox"],
    );
    check_in(
        &user,
        "list@here",
        &["Sent jane@here: 2.0.0 forwards to jane@here", "Sent x@away: 2.0.0 forwards to x@away"],
    );
    check_in(&user, "failing@here", &["Sent failing@here: 2.0.0 delivers to command: fail"]);
    let maildir = Case { settings: &[("home_mailbox", "Maildir/")], ..server };
    check_in(&maildir, "joe@here", &["Sent joe@here: 2.0.0 delivers to maildir"]);
}
