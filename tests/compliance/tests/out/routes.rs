//! Which server mail goes to, and what is said when there is none: beside Debian's Postfix, line by line.

use crate::{
    network::{alone, fates, sendmail, submit},
    sink::Sink,
};
use compliance::system::{System, Which};
use std::{collections::BTreeMap, fs};

const ZONE: &str = "
good.test A 127.0.0.2
busy.test A 127.0.0.3
unwilling.test A 127.0.0.4
choosy.test A 127.0.0.5
fussy.test A 127.0.0.6
refused.test A 127.0.0.7
refused2.test A 127.0.0.7
sender-hater.test A 127.0.0.8
rude.test A 127.0.0.9
mx.test A 127.0.0.1
mx.test MX 10 mx.test
six.test AAAA ::1

plain.test MX 10 good.test
address-only.test A 127.0.0.2
six-only.test MX 10 six.test
null-mx.test MX 0 .
next.test MX 10 refused.test
next.test MX 20 good.test
busy-next.test MX 10 busy.test
busy-next.test MX 20 good.test
unwilling-next.test MX 10 unwilling.test
unwilling-next.test MX 20 good.test
all-busy.test MX 10 busy.test
all-unwilling.test MX 10 unwilling.test
all-refused.test MX 10 refused.test
all-refused.test MX 20 refused2.test
choosy-domain.test MX 10 choosy.test
fussy-domain.test MX 10 fussy.test
fussy-next.test MX 10 fussy.test
fussy-next.test MX 20 good.test
hater-domain.test MX 10 sender-hater.test
rude-domain.test MX 10 rude.test
alias.test CNAME plain.test
mx-alias.test MX 10 good-alias.test
good-alias.test CNAME good.test
servfail.test SERVFAIL
denied.test REFUSED
silent.test DROP
garbage.test GARBAGE
truncated.test TRUNCATE
truncated.test MX 10 good.test
loop.test MX 10 mx.test
loop-above.test MX 10 good.test
loop-above.test MX 20 mx.test
loop-below.test MX 10 mx.test
loop-below.test MX 20 good.test
nowhere.test MX 10 does-not-exist.test
half-nowhere.test MX 10 does-not-exist.test
half-nowhere.test MX 20 good.test
mx-servfail.test MX 10 servfail.test
nothing.test TXT here
numeric.test MX 10 127.0.0.2
";

/// Starts the servers that both systems meet.
fn servers() -> Vec<Sink> {
    vec![
        Sink::start("127.0.0.2:25", &[]),
        Sink::start("127.0.0.2:2525", &[]),
        Sink::start("[::1]:25", &[]),
        Sink::start("127.0.0.3:25", &["GREETING => 421 4.3.2 too busy"]),
        Sink::start("127.0.0.4:25", &["GREETING => 554 5.3.2 not here"]),
        Sink::start(
            "127.0.0.5:25",
            &[
                "RCPT TO:<unknown@ => 550 5.1.1 no such user",
                "RCPT TO:<later@ => 450 4.2.0 not now",
                "RCPT TO:<bare@ => 550 go away",
                "RCPT TO:<many@ => 550-5.7.1 one\r\n550 5.7.1 two",
            ],
        ),
        Sink::start("127.0.0.6:25", &[". => 554 5.6.0 do not like it"]),
        Sink::start("127.0.0.8:25", &["MAIL => 550 5.1.8 who are you"]),
        Sink::start("127.0.0.9:25", &["DATA => HANGUP"]),
    ]
}

/// One message for each recipient list, and what the log says of every recipient.
fn outcome(
    which: Which,
    settings: &str,
    transports: &str,
    by_smtp: &[&[&str]],
    by_command: &[&str],
) -> BTreeMap<String, Vec<String>> {
    // Which messages share a connection is a matter of the moment.
    let system = System::prepare(which, &format!("{settings}smtp_connection_cache_on_demand = no\n"));
    fs::write(system.path("etc/transport"), transports).unwrap();
    system.command("postfix", &["start"]);
    system.wait_until("the SMTP port answers", || std::net::TcpStream::connect(system.address()).is_ok());
    for recipients in by_smtp {
        submit(&system, "sender@client.test", recipients, "Subject: x\r\n\r\nbody");
    }
    for recipient in by_command {
        sendmail(&system, "sender@client.test", &[recipient], "Subject: x\n\nbody\n");
    }
    let expected = by_smtp.iter().map(|list| list.len()).sum::<usize>() + by_command.len();
    system.wait_until("every recipient has a fate", || {
        let fates = fates(&system.log());
        let of_ours = fates.keys().filter(|recipient| !recipient.ends_with("@client.test"));
        of_ours.count() >= expected
    });
    let mut fates = fates(&system.log());
    // Notifications of what failed are the business of other tests.
    fates.retain(|recipient, _| !recipient.ends_with("@client.test"));
    fates
}

#[track_caller]
fn same(settings: &str, transports: &str, by_smtp: &[&[&str]], by_command: &[&str]) {
    let expected = outcome(Which::Postfix, settings, transports, by_smtp, by_command);
    let found = outcome(Which::Posthaste, settings, transports, by_smtp, by_command);
    let differ: Vec<_> = expected
        .iter()
        .filter(|(recipient, lines)| found.get(*recipient) != Some(lines))
        .map(|(recipient, lines)| format!("Postfix   {lines:#?}\nPosthaste {:#?}", found.get(recipient)))
        .collect();
    assert!(differ.is_empty(), "{} of {} differ:\n{}", differ.len(), expected.len(), differ.join("\n"));
    assert_eq!(found.len(), expected.len());
}

/// seed: S026, S077
#[test]
fn mail_finds_its_server_or_says_why_not() {
    alone("routes::mail_finds_its_server_or_says_why_not", ZONE, || {
        let _servers = servers();
        let domains = [
            "plain",
            "address-only",
            "null-mx",
            "next",
            "busy-next",
            "unwilling-next",
            "all-busy",
            "all-unwilling",
            "all-refused",
            "fussy-domain",
            "fussy-next",
            "hater-domain",
            "rude-domain",
            "alias",
            "mx-alias",
            "servfail",
            "denied",
            "silent",
            "truncated",
            "loop",
            "loop-above",
            "loop-below",
            "nowhere",
            "half-nowhere",
            "mx-servfail",
            "nothing",
            "does-not-exist",
            "numeric",
            "six-only",
        ];
        let recipients: Vec<String> = domains.iter().map(|domain| format!("user@{domain}.test")).collect();
        let singles: Vec<[&str; 1]> = recipients.iter().map(|recipient| [recipient.as_str()]).collect();
        let mut messages: Vec<&[&str]> = singles.iter().map(<[&str; 1]>::as_slice).collect();
        // One transaction with every kind of answer.
        messages.push(&[
            "fine@choosy-domain.test",
            "unknown@choosy-domain.test",
            "later@choosy-domain.test",
            "bare@choosy-domain.test",
            "many@choosy-domain.test",
        ]);
        let settings = "smtpd_recipient_restrictions = permit_mynetworks, reject\ninet_protocols = ipv4\n";
        same(settings, "", &messages, &[]);
        let both = "inet_protocols = all\ninet_interfaces = loopback-only\nsmtp_address_preference = any\n";
        let messages: [&[&str]; 4] =
            [&["user@six-only.test"], &["user@plain.test"], &["user@null-mx.test"], &["user@nothing.test"]];
        same(both, "", &messages, &[]);
    });
}

#[test]
fn transport_maps_and_relay_hosts_of_every_form() {
    alone("routes::transport_maps_and_relay_hosts_of_every_form", ZONE, || {
        let _servers = servers();
        let transports = "literal.test smtp:[127.0.0.2]\nport.test smtp:[127.0.0.2]:2525\n\
            named.test smtp:plain.test\nhost.test smtp:[good.test]\nlist.test smtp:[refused.test],[good.test]\n\
            list-mx.test smtp:all-refused.test, plain.test\n.sub.test smtp:[127.0.0.2]:2525\n\
            user@person.test smtp:[good.test]\nnexthop-only.test :[good.test]\ntransport-only.test discard:\n\
            refuse.test error:5.1.2 no mail for us\nbare-refuse.test error:no code at all\n\
            later.test retry:4.7.1 come back\nthrown.test discard:not wanted\nno-such-host.test smtp:[nowhere.invalid]\n\
            unknown.test nosuchservice:x\n";
        let recipients = [
            "user@literal.test",
            "user@port.test",
            "user@named.test",
            "user@host.test",
            "user@list.test",
            "user@list-mx.test",
            "user@a.sub.test",
            "user@person.test",
            "other@person.test",
            "user@nexthop-only.test",
            "user@transport-only.test",
            "user@refuse.test",
            "user@bare-refuse.test",
            "user@later.test",
            "user@thrown.test",
            "user@no-such-host.test",
            "user@unknown.test",
        ];
        let maps = "transport_maps = texthash:$B/etc/transport\n";
        same(maps, transports, &[], &recipients);
        eprintln!("maps done");
        let some: [&[&str]; 1] = [&["user@anywhere.test"]];
        for relay in [
            "relayhost = [good.test]",
            "relayhost = good.test",
            "relayhost = [127.0.0.2]:2525",
            "relayhost = plain.test",
            "relayhost = [no-such.test]",
            "relayhost = [refused.test]\nsmtp_fallback_relay = [good.test]",
            "smtp_fallback_relay = [refused.test], [good.test]:2525",
            "smtp_fallback_relay = [no-such.test]",
            "defer_transports = smtp",
            "default_transport = error:5.7.1 closed",
            "relay_transport = smtp:[good.test]",
        ] {
            same(
                &format!("{relay}\n"),
                "",
                &some[..usize::from(!relay.contains("error:"))],
                if relay.contains("error:") { &["user@anywhere.test"] } else { &[] },
            );
        }
    });
}
