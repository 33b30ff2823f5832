//! Mail that waits for a site, and a site that says that it is there: ETRN and `postqueue -s`, beside Debian's Postfix.

use crate::{
    network::{alone, submit},
    sink::Sink,
};
use compliance::{
    client::Client,
    system::{System, Which},
};

const ZONE: &str = "
first.test A 127.0.0.2
second.test A 127.0.0.2
other.test A 127.0.0.2
";

const SETTINGS: &str = "relay_domains = first.test, second.test\nminimal_backoff_time = 1000s\n\
    queue_run_delay = 1000s\nsmtpd_recipient_restrictions =\n";

/// What ETRN and its kin are told, and who has got mail after each.
fn run(which: Which, sink: &Sink) -> Vec<String> {
    let system = System::start(which, SETTINGS);
    sink.messages().clear();
    sink.obey(&["RCPT => 450 4.2.0 not here now"]);
    for site in ["first.test", "second.test", "other.test"] {
        submit(&system, "s@mx.test", &[&format!("u@{site}")], "Subject: x\r\n\r\nbody");
    }
    system.wait_until("all mail waits", || system.queued("deferred") == 3);
    sink.obey(&[]);
    let mut told = Vec::new();
    let mut client = Client::connect(system.address()).unwrap();
    let mut etrn = |site: &str| client.say(format!("ETRN {site}\r\n").as_bytes()).unwrap();
    let taken = |count: usize| {
        system.wait_until("mail is delivered", || sink.messages().len() == count);
        let messages = sink.messages();
        messages.iter().flat_map(|message| message.recipients.clone()).collect::<Vec<_>>().join(" ")
    };
    told.push(etrn("other.test"));
    told.push(etrn("sub.first.test"));
    told.push(etrn("#first.test"));
    told.push(taken(1));
    told.push(etrn("first.test"));
    system.command("postqueue", &["-s", "second.test"]);
    told.push(taken(2));
    assert_eq!(system.queued("deferred"), 1);
    let log = system.log();
    let warned = log.lines().filter_map(|line| line.split_once("warning: reject: ETRN "));
    told.extend(warned.map(|(_, text)| text.to_owned()));
    told
}

#[test]
fn a_site_gets_its_mail_when_it_asks() {
    alone("etrn::a_site_gets_its_mail_when_it_asks", ZONE, || {
        let sink = Sink::start("127.0.0.2:25", &[]);
        let postfix = run(Which::Postfix, &sink);
        assert_eq!(postfix, run(Which::Posthaste, &sink));
        assert_eq!(postfix[0], "459 <other.test>: service unavailable");
        assert_eq!(postfix[2], "250 Queuing started");
        assert!(postfix[3].contains("u@first.test"), "{postfix:?}");
    });
}
