//! `soft_bounce = yes`: nothing fails for good, beside Debian's Postfix.

use crate::{
    network::{alone, fates, submit},
    sink::Sink,
};
use compliance::{
    client::Client,
    system::{System, Which},
};
use std::{collections::BTreeMap, fs, process::Stdio};

const ZONE: &str = "
choosy.test A 127.0.0.5
closed.test A 127.0.0.4
good.test A 127.0.0.2
choosy-next.test MX 10 choosy.test
choosy-next.test MX 20 good.test
all-closed.test MX 10 closed.test
loops.test MX 10 mx.test
mx.test A 127.0.0.1
";

const SETTINGS: &str = "soft_bounce = yes\nminimal_backoff_time = 1000s\nqueue_run_delay = 300s\n\
    transport_maps = inline:{ { refused.test = error:5.7.1 we are closed } { bare.test = error:closed } \
     { hard.test = hard:[choosy.test] } }\n\
    alias_maps = texthash:$B/etc/aliases\nmail_spool_directory = $B/mail/\nlocal_recipient_maps =\n\
    virtual_mailbox_domains = home.test\nvirtual_mailbox_base = $B/mail\nvirtual_mailbox_maps = inline:{known@home.test=known/}\n\
    virtual_uid_maps = static:65534\nvirtual_gid_maps = static:65534\nsmtp_skip_5xx_greeting = no\n\
    smtpd_reject_unlisted_recipient = no\nmessage_size_limit = 20000\nmailbox_size_limit = 20000\nvirtual_mailbox_limit = 20000\n";

const RECIPIENTS: &[&[&str]] = &[
    &["unknown@choosy.test", "later@choosy.test", "fine@choosy.test"],
    &["unknown@choosy-next.test"],
    &["user@all-closed.test"],
    &["user@loops.test"],
    &["user@refused.test"],
    &["user@bare.test"],
    &["unknown@home.test", "known@home.test"],
    &["no-such-user@mx.test"],
    &["both@mx.test"],
    &["user@nowhere.test"],
    // A service for which it is off.
    &["unknown@hard.test"],
];

fn start(which: Which, settings: &str) -> System {
    let system = System::prepare(which, settings);
    fs::write(system.path("etc/aliases"), "both nobody, no-such-user\n").unwrap();
    system.add_services("hard unix - - n - - smtp -o soft_bounce=no\n");
    system.run();
    system
}

fn servers() -> [Sink; 3] {
    [
        Sink::start("127.0.0.2:25", &[]),
        Sink::start("127.0.0.4:25", &["GREETING => 554 5.3.2 not here"]),
        Sink::start(
            "127.0.0.5:25",
            &["RCPT TO:<unknown@ => 550 5.1.1 no such user", "RCPT TO:<later@ => 450 4.2.0 not now"],
        ),
    ]
}

fn outcome(which: Which) -> BTreeMap<String, Vec<String>> {
    let system = start(which, SETTINGS);
    for recipients in RECIPIENTS {
        submit(&system, "s@client.test", recipients, "Subject: x\r\n\r\nbody");
    }
    let ours = || {
        let mut fates = fates(&system.log());
        fates.retain(|recipient, _| !recipient.ends_with("@client.test"));
        fates
    };
    // The alias is two, one of which is there already.
    let expected = RECIPIENTS.iter().map(|recipients| recipients.len()).sum::<usize>() + 1;
    system.wait_until("each recipient has a fate", || {
        ours().values().map(Vec::len).sum::<usize>() >= expected && system.queued("active") == 0
    });
    let mut fates = ours();
    fates.values_mut().for_each(|lines| lines.sort());
    let counts = ["deferred", "bounce", "defer"].map(|queue| format!("{queue}: {}", system.queued(queue)));
    fates.insert("queues".to_owned(), counts.into());
    fates
}

#[test]
fn failures_are_logged_as_soft_and_kept() {
    alone("soft::failures_are_logged_as_soft_and_kept", ZONE, || {
        let _servers = servers();
        let (theirs, ours) = (outcome(Which::Postfix), outcome(Which::Posthaste));
        let text = format!("{theirs:?}");
        assert!(
            text.contains("dsn=4.1.1, status=SOFTBOUNCE (host choosy.test[127.0.0.5] said: 550 5.1.1"),
            "{text}"
        );
        assert_eq!(ours, theirs);
    });
}

/// What a client is told, and what the log says of refusals.
fn replies(which: Which) -> Vec<String> {
    let settings = "smtpd_recipient_restrictions = reject_non_fqdn_recipient, permit_mynetworks, reject\n\
        smtpd_error_sleep_time = 0\nsmtpd_helo_required = yes\n";
    let system = start(which, &format!("{SETTINGS}{settings}"));
    let mut client = Client::connect(system.address()).unwrap();
    let mut told: Vec<String> = [
        "NOSUCHCOMMAND",
        "RCPT TO:<early@mx.test>",
        "MAIL FROM:<bad",
        "MAIL FROM:<s@client.test> SIZE=999999",
        // Debian's Postfix remembers the size of a refused MAIL until then.
        "RSET",
        "MAIL FROM:<s@client.test>",
        "RCPT TO:<refused@mx>",
        "DATA now",
        "DATA",
        "RCPT TO:<nobody@mx.test>",
        "VRFY x y z <",
        "RSET",
    ]
    .iter()
    .map(|line| {
        client.say(format!("{line}\r\n").as_bytes()).unwrap_or_else(|error| panic!("{line}: {error}"))
    })
    .collect();
    client.envelope("MAIL FROM:<s@client.test>", &["nobody@mx.test".to_owned()], b"DATA\r\n").unwrap();
    told.push(client.content(&b"x\r\n".repeat(10_000)).unwrap());
    told.push(client.say(b"QUIT\r\n").unwrap());
    system.wait_until("the session is over", || system.log().contains("disconnect from"));
    let log = system.log();
    told.extend(log.lines().filter_map(|line| Some(line.split_once(" reject: ")?.1.to_owned())));
    told
}

#[test]
fn clients_are_told_to_come_back() {
    alone("soft::clients_are_told_to_come_back", ZONE, || {
        let (theirs, ours) = (replies(Which::Postfix), replies(Which::Posthaste));
        assert!(theirs.iter().all(|reply| !reply.starts_with('5')), "{theirs:?}");
        assert_eq!(ours, theirs);
    });
}

/// A message too large, submitted on this machine: what the command says, and what is kept.
fn too_large(which: Which) -> (Option<i32>, bool, usize) {
    let system = start(which, SETTINGS);
    let mut child = system
        .program("sendmail")
        .args(["-f", "s@home.test", "known@home.test"])
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), &b"y\n".repeat(15_000)).unwrap();
    let status = child.wait().unwrap();
    (status.code(), system.log().contains("status="), system.queued("maildrop"))
}

#[test]
fn local_mail_that_is_too_large_is_refused_at_once() {
    alone("soft::local_mail_that_is_too_large_is_refused_at_once", ZONE, || {
        assert_eq!(too_large(Which::Posthaste), too_large(Which::Postfix));
    });
}

/// The log's story of mail that is too old.
fn expired(which: Which) -> Vec<String> {
    let system = start(which, &format!("{SETTINGS}maximal_queue_lifetime = 0\nbounce_queue_lifetime = 0\n"));
    let id = submit(&system, "known@home.test", &["unknown@choosy.test"], "Subject: x\r\n\r\nbody");
    system.wait_until("it is removed", || system.log().contains(&format!("{id}: removed")));
    system.wait_until("its sender was told", || system.queued("incoming") + system.queued("active") == 0);
    let log = system.log();
    let of_it = log.lines().filter_map(|line| line.split_once(&format!(": {id}: ")));
    of_it
        .filter(|(before, _)| !before.contains("smtpd") && !before.contains("cleanup"))
        .map(|(_, text)| {
            match (text.split_once(", delay="), text.find("dsn="), text.split_once("notification: ")) {
                (Some((start, _)), Some(end), _) => format!("{start} {}", &text[end..]),
                (_, _, Some((kind, _))) => kind.to_owned(),
                // The Received header has the queue id, which is longer or shorter.
                _ => {
                    text.split(", ").filter(|part| !part.starts_with("size=")).collect::<Vec<_>>().join(", ")
                }
            }
        })
        .collect()
}

#[test]
fn mail_that_is_too_old_is_returned_all_the_same() {
    alone("soft::mail_that_is_too_old_is_returned_all_the_same", ZONE, || {
        let _servers = servers();
        assert_eq!(expired(Which::Posthaste), expired(Which::Postfix));
    });
}
