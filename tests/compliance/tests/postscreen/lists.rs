//! DNS lists: how long what they say counts, which of them is named, who is looked up under which name; and what clients say
//! while lists are waited for.

use crate::{
    MAIL, RCPT, entry_of, sorted,
    talk::{
        Conversation, End, Hear, Say, Send, Talk, Until, connect, converse, log_of, run, screened,
        settled_log,
    },
};
use compliance::{
    network,
    plain::told_alike,
    system::{System, Which, free_port},
    wire,
};
use std::{
    net::{SocketAddr, TcpStream},
    time::{SystemTime, UNIX_EPOCH},
};

const QUIT: &str = "QUIT\r\n";

/// Clients from 171 on.
const ZONE: &str = "\
171.0.0.127.first.test A 127.0.0.2
171.0.0.127.second.test A 127.0.0.2
172.0.0.127.first.test A 127.0.0.2
172.0.0.127.second.test A 127.0.0.9
173.0.0.127.good.test A 127.0.0.2
173.0.0.127.first.test A 127.0.0.2
174.0.0.127.second.test A 127.0.0.4
177.0.0.127.second.test A 127.0.0.2
174.0.0.127.second.test A 127.0.0.5
175.0.0.127.good.test A 127.0.0.2
176.0.0.127.first.test DROP
178.0.0.127.first.test A 127.255.255.254
178.0.0.127.second.test A 127.0.0.2
179.0.0.127.first.test A 203.0.113.9
1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.first.test A 127.0.0.2
";

const SITES: &str = "postscreen_dnsbl_action = enforce\npostscreen_dnsbl_threshold = 3\n\
    postscreen_dnsbl_sites = first.test*3 second.test=127.0.0.2*3 second.test=127.0.0.[4..5]*2, second.test=127.0.0.5 good.test*-4\n\
    postscreen_dnsbl_allowlist_threshold = -4\npostscreen_dnsbl_timeout = 20s\n";

const LISTED: &[Conversation] = &[
    // What is in one list, and in none of the other's answers that count.
    (172, &[Hear, Say("EHLO x\r\n"), Say(MAIL), Say(RCPT), Say(QUIT), End]),
    // Good and bad together.
    (173, &[Hear, Say(QUIT), End]),
    // Two answers of one list, of which one counts twice.
    (174, &[Hear, Say("EHLO x\r\n"), Say(MAIL), Say(RCPT), Say(QUIT), End]),
    // Well spoken of, and too early.
    (175, &[Send("EHLO x\r\n"), Until("250"), Say(QUIT), End]),
];

fn listed(which: Which) -> Vec<String> {
    let settings = format!("{SITES}postscreen_greet_action = enforce");
    let system = screened(which, &settings);
    run(&system);
    converse(&system, LISTED).iter().map(|text| sorted(text)).collect()
}

#[test]
fn answers_count_by_filter_and_weight() {
    network::alone("lists::answers_count_by_filter_and_weight", ZONE, |_| {
        let told = told_alike(listed).join("\n");
        for line in
            ["DNSBL rank 3 for [127.0.0.172]", "DNSBL rank 3 for [127.0.0.174]", "blocked using second.test"]
        {
            assert!(told.contains(line), "{line} is missing in\n{told}");
        }
    });
}

/// A client that speaks too early, and goes on while a list is waited for.
fn impatient(which: Which) -> Vec<String> {
    let settings = format!(
        "{SITES}postscreen_greet_action = enforce\npostscreen_pipelining_enable = yes\npostscreen_greet_wait = 3s"
    );
    let system = screened(which, &settings);
    run(&system);
    let mut talk = Talk::new(connect(&system, 176));
    talk.act(Send("EHLO x\r\n"));
    system.wait_until("that is seen", || log_of(&system, 176).iter().any(|line| line.contains("PREGREET")));
    [Send("MAIL FROM:<a@example.com>\r\n"), Until("250 2.1.0"), Say(RCPT), Say(QUIT), End]
        .into_iter()
        .for_each(|step| talk.act(step));
    let log = settled_log(&system, 176).into_iter().filter(|line| line.starts_with("postscreen: "));
    vec![talk.text.join("\n"), log.collect::<Vec<_>>().join("\n")]
}

#[test]
fn what_is_said_before_the_greeting_is_read_at_once() {
    network::alone("lists::what_is_said_before_the_greeting_is_read_at_once", ZONE, |_| {
        let told = told_alike(impatient).join("\n");
        let line = "COMMAND PIPELINING from [127.0.0.176]:PORT after EHLO: MAIL FROM:<a@example.com>\\r\\n";
        assert!(told.contains(line), "{line} is missing in\n{told}");
    });
}

/// A client that comes again and again while it waits: whether lists are asked anew as soon as they have answered.
fn again(which: Which) -> Vec<String> {
    let settings = format!("{SITES}postscreen_greet_wait = 6s");
    let system = screened(which, &settings);
    run(&system);
    let mut talks = Vec::new();
    let lines = |what: &str| {
        let log = log_of(&system, 177);
        log.iter().enumerate().filter(|(_, line)| line.contains(what)).map(|(at, _)| at).collect::<Vec<_>>()
    };
    system.wait_until("lists are asked again", || {
        talks.push(connect(&system, 177));
        lines("addr 127.0.0.177 listed").len() > 1
    });
    system.wait_until("the first wait is over", || !lines("DNSBL rank").is_empty());
    vec![(lines("addr 127.0.0.177 listed")[1] < lines("DNSBL rank")[0]).to_string()]
}

#[test]
fn lists_are_asked_again_for_a_client_that_comes_again() {
    network::alone("lists::lists_are_asked_again_for_a_client_that_comes_again", ZONE, |_| {
        assert_eq!(told_alike(again), ["true"]);
    });
}

/// An answer's time to live, bounded.
fn bounded(which: Which) -> Vec<String> {
    let mut told = Vec::new();
    for (bounds, most) in [
        ("postscreen_dnsbl_min_ttl = 2h\npostscreen_dnsbl_max_ttl = 9h", 2),
        ("postscreen_dnsbl_ttl = 3\npostscreen_dnsbl_min_ttl = 5h", 3),
    ] {
        let sites = SITES.replace("_threshold = 3", "_threshold = 9");
        let settings = format!("{sites}postscreen_greet_banner =\n{bounds}");
        let system = screened(which, &settings);
        run(&system);
        converse(&system, &[(171, &[Hear, Say(QUIT), End]), (175, &[Hear, Say(QUIT), End])]);
        // Postfix's postscreen keeps the cache to itself while it runs.
        system.command("postfix", &["stop"]);
        for client in [171, 175] {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
            let entry = entry_of(&system, client);
            let until = |stamp: &str| stamp.parse::<u64>().unwrap();
            let hours = entry.split(';').map(until).map(|until| until.saturating_sub(now).div_ceil(3600));
            let hours: Vec<_> = hours.map(|hours| hours.to_string()).collect();
            assert_eq!(hours[1], most.to_string(), "{entry}");
            told.push(format!("{client}: {}", hours.join(" ")));
        }
    }
    told
}

#[test]
fn how_long_an_answer_counts_has_bounds() {
    network::alone("lists::how_long_an_answer_counts_has_bounds", ZONE, |_| {
        assert_eq!(told_alike(bounded)[..2], ["171: 0 2 0 0 0", "175: 2 2 2 2 2"]);
    });
}

/// A client of IPv6.
fn wide(which: Which) -> Vec<String> {
    let settings = format!(
        "{SITES}inet_protocols = all\nmynetworks = [::2]\npostscreen_access_list = permit_mynetworks"
    );
    let system = screened(which, &settings);
    let port = free_port();
    system.add_services(&format!("[::1]:{port} inet n - n - 1 postscreen -o postscreen_cache_map=\n"));
    run(&system);
    let server: SocketAddr = format!("[::1]:{port}").parse().unwrap();
    wire::wait_for("the other port answers", || TcpStream::connect(server).is_ok());
    let mut talk = Talk::new(TcpStream::connect(server).unwrap());
    [Hear, Say("EHLO x\r\n"), Say(MAIL), Say(RCPT), Say(QUIT), End]
        .into_iter()
        .for_each(|step| talk.act(step));
    let of_client = |system: &System| -> Vec<String> {
        let log = system.log();
        let lines = log.lines().filter(|line| line.contains("[::1]") && line.contains("/postscreen["));
        let port = talk.stream.local_addr().unwrap().port().to_string();
        lines
            .filter(|line| line.contains(&port))
            .filter_map(|line| line.split_once("]: "))
            .map(|(_, text)| text.replace(&port, "PORT").replace(&server.port().to_string(), "SERVER"))
            .collect()
    };
    system.wait_until("it has gone", || of_client(&system).iter().any(|line| line.contains("DISCONNECT")));
    let listed = system.log().contains("/dnsblog[")
        && system.log().contains("addr ::1 listed by domain first.test as 127.0.0.2");
    vec![talk.text.join("\n"), of_client(&system).join("\n"), listed.to_string()]
}

#[test]
fn addresses_of_ipv6_are_32_digits_to_lists() {
    network::alone("lists::addresses_of_ipv6_are_32_digits_to_lists", ZONE, |_| {
        let told = told_alike(wide).join("\n");
        for line in ["CONNECT from [::1]:PORT to [::1]:SERVER", "DNSBL rank 3 for [::1]:PORT", "\ntrue"] {
            assert!(told.contains(line), "{line} is missing in\n{told}");
        }
    });
}

const RUBBISH: &[Conversation] = &[
    (178, &[Hear, Say("EHLO x\r\n"), Say(MAIL), Say(RCPT), Say(QUIT), End]),
    (179, &[Hear, Say(QUIT), End]),
];

/// What is no answer of a list counts for nothing, and the list is named once. docs/differences.md
#[test]
fn rubbish_leaves_the_rank_as_it_is() {
    network::alone("lists::rubbish_leaves_the_rank_as_it_is", ZONE, |_| {
        let system = screened(Which::Posthaste, SITES);
        run(&system);
        let told = converse(&system, RUBBISH);
        assert!(told[0].contains("DNSBL rank 3 for [127.0.0.178]"), "{told:#?}");
        assert!(told[0].contains("blocked using second.test"), "{told:#?}");
        assert!(!told[1].contains("DNSBL rank"), "{told:#?}");
        let log = system.log();
        assert_eq!(log.matches("no listing: first.test").count(), 1, "{log}");
    });
}
