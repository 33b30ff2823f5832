//! More clients than can be tested, and clients that do not wait to be: descriptors and memory are bounded
//! (`postscreen_pre_queue_limit`, `postscreen_post_queue_limit`, `cache_memory_entry_limit`), and others are served.

use super::{
    MAIL, RCPT,
    talk::{Hear, Say, Talk, log_of, run, screened},
};
use compliance::{
    network,
    plain::told_alike,
    system::{System, Which},
    wire::{self, Footprint},
};
use std::{
    fs,
    io::{BufRead, BufReader},
    net::{Ipv4Addr, TcpStream},
    time::{Duration, Instant},
};

/// Queue files that are made ahead of time, and as many threads' worth of descriptors again.
const POOL: usize = 64;

fn address(number: u32) -> Ipv4Addr {
    let [_, _, c, d] = number.to_be_bytes();
    Ipv4Addr::new(127, 9, c, d)
}

/// A client that has read the first half of the greeting, or that it is not welcome.
fn first_line(system: &System, number: u32) -> (String, BufReader<TcpStream>) {
    let talk = wire::Talk::from(address(number), system.address()).unwrap();
    let mut input = BufReader::new(talk.into_stream());
    let mut line = String::new();
    input.read_line(&mut line).unwrap();
    (line, input)
}

/// Speaks at once; what it hears until the end.
fn speak(system: &System, number: u32) -> String {
    let mut talk = wire::Talk::from(address(number), system.address()).unwrap();
    talk.send(b"EHLO spam.test\r\n");
    String::from_utf8_lossy(&talk.rest()).into_owned()
}

/// A good client that has waited before is served.
fn serves(system: &System, client: u8) -> Vec<String> {
    let mut talk = Talk::new(super::talk::connect(system, client));
    for step in [Hear, Say("EHLO client.test\r\n"), Say(MAIL), Say(RCPT), Say("QUIT\r\n")] {
        talk.act(step);
    }
    talk.text
}

fn pregreeters(which: Which, count: u32) -> Vec<String> {
    let system = screened(which, "postscreen_greet_action = drop\npostscreen_greet_wait = 1s\n");
    run(&system);
    let mut told = serves(&system, 201);
    let before = (which == Which::Posthaste).then(|| Footprint::of(system.process("receive")));
    let mut heard: Vec<String> = (1..=count).map(|number| speak(&system, number)).collect();
    if let Some(before) = before {
        let after = Footprint::of(system.process("receive"));
        assert!(after.memory_kib < before.memory_kib + 4 * 1024, "{before:?}, then {after:?}");
        assert!(after.descriptors < before.descriptors + POOL, "{before:?}, then {after:?}");
    }
    heard.dedup();
    told.extend(heard);
    told.extend(serves(&system, 201));
    told.extend(log_of(&system, 201).into_iter().filter(|line| line.contains("PASS")));
    told
}

#[test]
fn a_thousand_that_speak_too_early_are_let_go() {
    let expected = pregreeters(Which::Postfix, 50);
    assert_eq!(pregreeters(Which::Posthaste, 1000), expected);
    assert!(expected.iter().any(|told| told.contains("521 5.5.1 Protocol error")), "{expected:?}");
}

/// Clients that go at once leave questions behind that nobody answers.
#[test]
fn clients_that_come_and_go_leave_few_questions_behind() {
    const CLIENTS: u32 = 500;
    const LIMIT: usize = 20;
    let silent = |number| {
        let [a, b, c, d] = address(number).octets();
        format!("{d}.{c}.{b}.{a}.silent.test DROP\n")
    };
    let zone: String = (1..=CLIENTS).map(silent).collect();
    network::alone("flood::clients_that_come_and_go_leave_few_questions_behind", &zone, |_| {
        // Nobody gives up early.
        fs::write("/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:30 attempts:1\n").unwrap();
        let settings = "postscreen_dnsbl_sites = silent.test\npostscreen_dnsbl_timeout = 30s\npostscreen_greet_wait = 1s\n\
            postscreen_pre_queue_limit = 20\npostscreen_access_list = permit_mynetworks\nmynetworks = 127.0.0.201\n";
        let system = screened(Which::Posthaste, settings);
        run(&system);
        serves(&system, 201);
        let receive = system.process("receive");
        let before = Footprint::of(receive).descriptors;
        let begun = Instant::now();
        for number in 1..=CLIENTS {
            let (_, input) = first_line(&system, number);
            wire::Talk::over(input.into_inner()).reset();
        }
        // The questions, and clients that are being tested.
        let bound = before + 2 * LIMIT + POOL;
        wire::wait_for("few questions are left, long before they have their time", || {
            let descriptors = Footprint::of(receive).descriptors;
            assert!(begun.elapsed() < Duration::from_secs(25), "{before} descriptors, then {descriptors}");
            descriptors <= bound
        });
        serves(&system, 201);
    });
}

const CROWD: u32 = 25;

/// As many as may be tested are; the others are told to come again.
fn crowd(which: Which) -> Vec<String> {
    let settings = "postscreen_pre_queue_limit = 20\npostscreen_greet_wait = 6s\npostscreen_access_list = permit_mynetworks\n\
        mynetworks = 127.0.0.201\n";
    let system = screened(which, settings);
    run(&system);
    let mut talks = Vec::new();
    let mut told = Vec::new();
    for number in 1..=CROWD {
        let mut input =
            BufReader::new(wire::Talk::from(address(number), system.address()).unwrap().into_stream());
        // The first half of the greeting, or the end.
        let mut line = String::new();
        input.read_line(&mut line).unwrap();
        told.push(line);
        talks.push(input);
    }
    told.extend(serves(&system, 201));
    told
}

#[test]
fn more_than_can_be_tested_are_told_to_come_again() {
    let told = told_alike(crowd);
    let busy = told.iter().filter(|line| line.contains("421 4.3.2 All screening ports are busy")).count();
    assert!((5..=6).contains(&busy), "{told:?}");
}
