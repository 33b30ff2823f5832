//! How mail travels: recipients in one transaction, connections at once and one after the other, sizes, order.

use crate::{
    network::{alone, fates, submit},
    sink::Sink,
};
use compliance::system::{System, Which};
use std::time::Duration;

const ZONE: &str = "
good.test A 127.0.0.2
twin-a.test A 127.0.0.4
twin-b.test A 127.0.0.5
a.test MX 10 good.test
b.test MX 10 good.test
twins.test MX 10 twin-a.test
twins.test MX 10 twin-b.test
xn--bcher-kva.test MX 10 good.test
dead.test A 127.0.0.9
";

const CONTENT: &str = "Subject: x\r\n\r\nbody";

fn posthaste(settings: &str) -> System {
    System::start(Which::Posthaste, settings)
}

#[test]
fn recipients_share_transactions_up_to_the_limit() {
    alone("traffic::recipients_share_transactions_up_to_the_limit", ZONE, || {
        let sink = Sink::start("127.0.0.2:25", &[]);
        let split = |which, settings: &str| {
            sink.messages().clear();
            let system = System::start(which, settings);
            let recipients: Vec<String> = (0..7).map(|n| format!("r{n}@a.test")).collect();
            let mut recipients: Vec<&str> = recipients.iter().map(String::as_str).collect();
            recipients.push("other@b.test");
            submit(&system, "s@client.test", &recipients, CONTENT);
            system.wait_until("all are delivered", || {
                sink.messages().iter().map(|message| message.recipients.len()).sum::<usize>() == 8
            });
            let mut sizes: Vec<_> = sink.messages().iter().map(|message| message.recipients.len()).collect();
            sizes.sort_unstable();
            sizes
        };
        let limit = "smtp_destination_recipient_limit = 3\n";
        assert_eq!(split(Which::Posthaste, limit), split(Which::Postfix, limit));
        assert_eq!(split(Which::Posthaste, ""), [1, 7]);
        assert_eq!(split(Which::Posthaste, "smtp_destination_recipient_limit = 1\n"), [1; 8]);
    });
}

#[test]
fn no_destination_gets_more_sessions_than_its_limit() {
    alone("traffic::no_destination_gets_more_sessions_than_its_limit", ZONE, || {
        let sink = Sink::start("127.0.0.2:25", &[]);
        sink.pause(Duration::from_millis(30));
        // A new destination starts with initial_destination_concurrency and earns more by success.
        let system = posthaste(
            "smtp_destination_concurrency_limit = 3\ninitial_destination_concurrency = 2\n\
             smtp_connection_cache_on_demand = no\n",
        );
        for n in 0..30 {
            submit(&system, "s@client.test", &[&format!("r{n}@a.test")], CONTENT);
        }
        system.wait_until("all are delivered", || sink.messages().len() == 30);
        assert!((2..=3).contains(&sink.busy_max()), "{} messages at once", sink.busy_max());
    });
}

#[test]
fn connections_are_used_again_and_the_log_says_so() {
    alone("traffic::connections_are_used_again_and_the_log_says_so", ZONE, || {
        let sink = Sink::start("127.0.0.2:25", &[]);
        sink.pause(Duration::from_millis(20));
        let system = posthaste("smtp_destination_concurrency_limit = 1\n");
        for n in 0..20 {
            submit(&system, "s@client.test", &[&format!("r{n}@a.test")], CONTENT);
        }
        system.wait_until("all are delivered", || sink.messages().len() == 20);
        system.wait_until("all are logged", || fates(&system.log()).len() == 20);
        let log = system.log();
        let reused = log.lines().filter(|line| line.contains("]:25, conn_use=")).count();
        assert!(
            sink.sessions() <= 10 && reused >= 10,
            "{} sessions, {reused} reused\n{log}",
            sink.sessions()
        );
        assert_eq!(sink.sessions() + reused, 20, "{log}");
        system.wait_until("an idle connection is closed", || sink.open() == 0);
    });
}

#[test]
fn equal_servers_share_the_load_and_stand_in_for_each_other() {
    alone("traffic::equal_servers_share_the_load_and_stand_in_for_each_other", ZONE, || {
        let twins = [Sink::start("127.0.0.4:25", &[]), Sink::start("127.0.0.5:25", &[])];
        let system = posthaste("smtp_connection_cache_on_demand = no\n");
        for n in 0..30 {
            submit(&system, "s@client.test", &[&format!("r{n}@twins.test")], CONTENT);
        }
        let count = |n: usize| twins[n].messages().len();
        system.wait_until("all are delivered", || count(0) + count(1) == 30);
        // By chance none of thirty: once in five hundred million runs.
        assert!(count(0) > 0 && count(1) > 0, "{} and {}", count(0), count(1));
        twins[0].obey(&["GREETING => 421 4.3.2 closed"]);
        for n in 0..5 {
            submit(&system, "s@client.test", &[&format!("r{n}@twins.test")], CONTENT);
        }
        system.wait_until("the other one takes all", || count(0) + count(1) == 35);
        assert_eq!(system.queued("deferred"), 0);
    });
}

#[test]
fn big_messages_and_names_of_other_scripts() {
    alone("traffic::big_messages_and_names_of_other_scripts", ZONE, || {
        let sink = Sink::start("127.0.0.2:25", &[]);
        let system = posthaste("message_size_limit = 40000000\nsmtputf8_enable = yes\n");
        let line = "x".repeat(997);
        let body = [line.as_str(); 20_000].join("\r\n");
        submit(&system, "s@client.test", &["big@a.test"], &format!("Subject: big\r\n\r\n..first\r\n{body}"));
        system.wait_until("it is delivered", || sink.messages().len() == 1);
        let content = sink.messages()[0].content.clone();
        let (_, text) = content.split_once("\n\n").unwrap();
        assert_eq!(text, format!(".first\n{}\n", body.replace("\r\n", "\n")));
        let mut child = system.program("sendmail");
        let output = child
            .args(["-i", "-f", "s@client.test", "r@b\u{fc}cher.test"])
            .stdin(std::process::Stdio::piped());
        let mut running = output.spawn().unwrap();
        std::io::Write::write_all(&mut running.stdin.take().unwrap(), b"Subject: x\n\nbody\n").unwrap();
        assert!(running.wait().unwrap().success());
        system.wait_until("the domain was found by its ASCII name", || sink.messages().len() == 2);
    });
}

#[test]
fn a_dead_site_does_not_hold_up_other_mail() {
    alone("traffic::a_dead_site_does_not_hold_up_other_mail", ZONE, || {
        let dead = Sink::start("127.0.0.9:25", &["GREETING => 421 4.3.2 closed"]);
        let good = Sink::start("127.0.0.2:25", &[]);
        // The first failure is enough.
        let system = posthaste("initial_destination_concurrency = 1\n");
        for n in 0..25 {
            submit(&system, "s@client.test", &[&format!("r{n}@dead.test")], CONTENT);
            submit(&system, "s@client.test", &[&format!("r{n}@a.test")], CONTENT);
        }
        system.wait_until("the others are delivered", || good.messages().len() == 25);
        system.wait_until("the rest is put off", || system.queued("deferred") == 25);
        // One more finds the site dead, and is put off without a try.
        let tried = dead.sessions();
        submit(&system, "s@client.test", &["last@dead.test"], CONTENT);
        system.wait_until("it is put off too", || system.queued("deferred") == 26);
        let fate = &fates(&system.log())["last@dead.test"];
        assert!(fate[0].contains("(delivery temporarily suspended: "), "{fate:?}");
        assert_eq!(dead.sessions(), tried);
    });
}
