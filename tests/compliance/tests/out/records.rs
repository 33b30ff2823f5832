//! Records of the DNS that are ignored (`smtp_dns_reply_filter`): beside Debian's Postfix.

use crate::{
    network::{alone, fates, submit},
    sink::Sink,
};
use compliance::system::{System, Which};
use std::fs;

const ZONE: &str = "
two.test MX 10 first.test
two.test MX 20 second.test
first.test A 127.0.0.2
second.test A 127.0.0.3
gone.test MX 10 second.test
noaddress.test MX 10 unwanted.test
unwanted.test A 127.0.0.9
plain.test A 127.0.0.2
wrong.test A 127.0.0.2
six.test A 127.0.0.3
six.test AAAA ::9
";

const FILTER: &str = "/^first\\.test\\. [0-9]+ IN A 127\\.0\\.0\\.2$/ IGNORE\n/ MX 10 second\\.test\\.$/ ignore\n\
    /^unwanted\\./ IGNORE this\n/^wrong\\.test/ REJECT it\n/ IN AAAA / IGNORE\n";

fn run(which: Which, settings: &str) -> Vec<String> {
    let system = System::prepare(which, &format!("minimal_backoff_time = 1000s\n{settings}"));
    fs::write(system.path("etc/filter"), FILTER).unwrap();
    system.run();
    let mut seen = Vec::new();
    for domain in ["two.test", "gone.test", "noaddress.test", "plain.test", "wrong.test", "six.test"] {
        let recipient = format!("u@{domain}");
        submit(&system, "s@client.test", &[&recipient], "Subject: x\r\n\r\nbody");
        system.wait_until("it has a fate", || fates(&system.log()).contains_key(&recipient));
        seen.extend(fates(&system.log()).remove(&recipient).unwrap());
    }
    let log = system.log();
    let told = log.lines().filter(|line| line.contains("/smtp["));
    let told = told.filter_map(|line| Some(line.split_once("]: ")?.1.to_owned()));
    seen.extend(told.filter(|text| text.contains("DNS") && !text.contains("status=")));
    seen
}

#[test]
fn hosts_are_known_by_the_names_behind_their_aliases() {
    let zone =
        "web.test CNAME real.test\nreal.test A 127.0.0.2\nmail.test MX 10 web.test\nplain.test A 127.0.0.2\n";
    alone("records::hosts_are_known_by_the_names_behind_their_aliases", zone, || {
        let _server = Sink::start("127.0.0.2:25", &[]);
        for setting in ["no", "yes"] {
            let relays = |which| {
                let system = System::start(which, &format!("smtp_cname_overrides_servername = {setting}\n"));
                let recipients = ["u@web.test", "u@mail.test", "u@plain.test"];
                recipients.map(|recipient| {
                    submit(&system, "s@client.test", &[recipient], "Subject: x\r\n\r\nbody");
                    system.wait_until("it has a fate", || fates(&system.log()).contains_key(recipient));
                    fates(&system.log()).remove(recipient)
                })
            };
            assert_eq!(relays(Which::Posthaste), relays(Which::Postfix), "{setting}");
        }
    });
}

#[test]
fn unwanted_records_are_ignored() {
    alone("records::unwanted_records_are_ignored", ZONE, || {
        let _servers = [Sink::start("127.0.0.2:25", &[]), Sink::start("127.0.0.3:25", &[])];
        let settings = "smtp_dns_reply_filter = regexp:$B/etc/filter\n";
        for more in
            ["", "inet_protocols = all\ninet_interfaces = loopback-only\nsmtp_address_preference = ipv6\n"]
        {
            let settings = format!("{settings}{more}");
            let (theirs, ours) = (run(Which::Postfix, &settings), run(Which::Posthaste, &settings));
            assert_eq!(ours, theirs, "{settings}");
            let text = ours.join("\n");
            assert!(text.contains("relay=second.test[127.0.0.3]:25, dsn=2.0.0"), "{text}");
            assert!(
                text.contains("dsn=4.7.0, status=deferred") && text.contains("drops all results"),
                "{text}"
            );
        }
    });
}
