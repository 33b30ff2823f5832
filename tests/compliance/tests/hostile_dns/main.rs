//! Name servers that mean harm, or are broken: what clients are told is what they are told by Postfix, whose resolver is
//! the C library's, and others are served meanwhile.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod differences;
mod faults;
mod server;

use compliance::{
    network::inside,
    system::{System, Which, free_port},
    wire::{Footprint, Talk, wait_for},
};
use differences::{BY_CHANCE, DEFERS, OTHERWISE, is_chosen};
use faults::cases;
use server::Server;
use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::Mutex,
    thread,
};

/// What is asked about a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Check {
    Sender,
    Helo,
    Exchangers,
    List,
    /// The name that the client's address has.
    Name,
    /// The address that the client's name has.
    Address,
}

const CHECKS: [(Check, &str); 6] = [
    (Check::Sender, "smtpd_sender_restrictions=reject_unknown_sender_domain"),
    (Check::Helo, "smtpd_helo_restrictions=reject_unknown_helo_hostname"),
    (Check::Exchangers, "{smtpd_sender_restrictions=check_sender_mx_access inline:{192.0.2.66=REJECT} }"),
    (Check::List, "{smtpd_client_restrictions=reject_rbl_client list.bad}"),
    (Check::Name, "{smtpd_client_restrictions=reject_unknown_client_hostname} -o smtpd_peername_lookup=yes"),
    (
        Check::Address,
        "{smtpd_client_restrictions=reject_unknown_client_hostname} -o smtpd_peername_lookup=yes",
    ),
];

const SETTINGS: &str = "mynetworks = 10.0.0.0/8\nlocal_recipient_maps = inline:{u=x}\nsmtpd_peername_lookup = no\n\
    unknown_address_reject_code = 550\nunknown_hostname_reject_code = 551\nunknown_client_reject_code = 552\n\
    smtpd_client_connection_count_limit = 0\ndefault_process_limit = 400\nlocal_transport = discard:\n";

/// A system with a service for each check.
fn start(which: Which) -> (System, [SocketAddr; 6]) {
    let system = System::prepare(which, SETTINGS);
    let addresses = CHECKS.map(|_| SocketAddr::from(([127, 0, 0, 1], free_port())));
    for ((check, setting), address) in CHECKS.iter().zip(&addresses) {
        system
            .add_services(&format!("{address} inet n - n - - smtpd -o syslog_name={check:?} -o {setting}\n"));
    }
    system.run();
    (system, addresses)
}

/// Who asks about a case.
fn client(check: Check, case: usize) -> Ipv4Addr {
    let third = match check {
        Check::Name => 1,
        Check::Address => 2,
        Check::List => 3,
        Check::Sender | Check::Helo | Check::Exchangers => 9,
    };
    Ipv4Addr::new(127, 0, third, u8::try_from(case).unwrap())
}

/// The reply to RCPT in a session about one case.
fn ask(check: Check, case: usize, server: SocketAddr) -> String {
    let mut talk = Talk::from(client(check, case), server).unwrap();
    talk.reply();
    let own = format!("c{case}.bad");
    talk.say(&format!("HELO {}", if check == Check::Helo { &own } else { "x" }));
    let domain = if [Check::Sender, Check::Exchangers].contains(&check) { &own } else { "mail.good.test" };
    talk.say(&format!("MAIL FROM:<a@{domain}>"));
    let reply = talk.say("RCPT TO:<u@mx.test>");
    talk.say("QUIT");
    reply
}

/// What all clients are told, asked some at a time.
fn replies(addresses: &[SocketAddr; 6], cases: &[usize]) -> BTreeMap<(usize, Check), String> {
    let questions = cases
        .iter()
        .copied()
        .flat_map(|case| CHECKS.iter().zip(addresses).map(move |(check, to)| (case, check.0, *to)));
    let questions = Mutex::new(questions.collect::<Vec<_>>());
    let replies = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        for _ in 0..60 {
            scope.spawn(|| {
                loop {
                    let next = questions.lock().unwrap().pop();
                    let Some((case, check, server)) = next else { return };
                    let reply = ask(check, case, server);
                    replies.lock().unwrap().insert((case, check), reply);
                }
            });
        }
    });
    replies.into_inner().unwrap()
}

/// Who connected, by address.
fn names(system: &System) -> BTreeMap<String, String> {
    let log = system.log();
    let clients =
        log.lines().filter_map(|line| line.split_once("]: connect from ").map(|(_, client)| client));
    let pairs = clients.filter_map(|client| client.split_once('['));
    pairs.map(|(name, address)| (address.trim_end_matches(']').to_owned(), name.to_owned())).collect()
}

/// Asks one system about all cases but those that its resolver would wait for without end.
fn outcome(which: Which) -> Outcome {
    let (system, addresses) = start(which);
    let all = cases();
    let is_asked = |case: &usize| which == Which::Posthaste || !faults::hangs(&all[*case]);
    let replies = replies(&addresses, &(0..all.len()).filter(is_asked).collect::<Vec<_>>());
    if which == Which::Posthaste {
        let footprint = Footprint::of(system.process("receive"));
        assert!(footprint.memory_kib < 64 * 1024, "{footprint:?}");
    }
    Outcome { replies, names: names(&system) }
}

struct Outcome {
    replies: BTreeMap<(usize, Check), String>,
    names: BTreeMap<String, String>,
}

impl Outcome {
    /// What Postfix says to the clients of a case; where it would wait without end, what it says where there is silence.
    fn expected(&self, case: usize, check: Check) -> String {
        let all = cases();
        let silence = all.iter().position(|case| case.what == "silence").unwrap();
        let same = if faults::hangs(&all[case]) { silence } else { case };
        let reply = self.replies[&(same, check)].replace(&format!("c{same}.bad"), &format!("c{case}.bad"));
        let (own, other) = (client(check, case).to_string(), client(check, same).to_string());
        reply.replace(&format!("[{other}]"), &format!("[{own}]"))
    }
}

#[test]
fn clients_are_told_what_postfix_tells_them() {
    inside("clients_are_told_what_postfix_tells_them", "timeout:2 attempts:1", || {
        let _server = Server::start(cases());
        let (ours, theirs) = (outcome(Which::Posthaste), outcome(Which::Postfix));
        let cases = cases();
        let (mut unexpected, mut chosen) = (Vec::new(), Vec::new());
        for ((case, check), reply) in &ours.replies {
            let (what, expected) = (cases[*case].what, theirs.expected(*case, *check));
            let address = client(*check, *case).to_string();
            let (name, expected_name) = (ours.names.get(&address), theirs.names.get(&address));
            let is_named = [Check::Name, Check::Address].contains(check);
            if *reply != expected && is_chosen(what, *check, reply, &expected) {
                chosen.push((what, *check));
            } else if *reply != expected {
                unexpected.push(format!("{what}, {check:?}:\n  Postfix   {expected}\n  Posthaste {reply}"));
            } else if is_named && expected_name.is_some() && name != expected_name {
                unexpected.push(format!("{what}, {check:?}: Postfix {expected_name:?}, Posthaste {name:?}"));
            }
        }
        let named =
            OTHERWISE.iter().flat_map(|(what, checks, _)| checks.iter().map(move |check| (*what, *check)));
        let unneeded = named
            .filter(|difference| !chosen.contains(difference))
            .map(|difference| format!("{difference:?}"));
        let unneeded = unneeded.chain(
            DEFERS
                .iter()
                .filter(|what| !BY_CHANCE.contains(what) && !chosen.iter().any(|(case, _)| case == *what))
                .map(ToString::to_string),
        );
        unexpected.extend(unneeded.map(|difference| format!("no difference: {difference}")));
        assert!(unexpected.is_empty(), "{}", unexpected.join("\n"));
    });
}

/// Clients that wait for a silent name server keep nobody else waiting.
#[test]
fn others_are_served_while_a_name_server_is_silent() {
    let name = "others_are_served_while_a_name_server_is_silent";
    inside(name, "timeout:30 attempts:2", || {
        let server = Server::start(cases());
        let (system, addresses) = start(Which::Posthaste);
        let silence = cases().iter().position(|case| case.what == "silence").unwrap();
        let waiting: Vec<Talk> = (0..200)
            .map(|_| {
                let mut talk = Talk::to(addresses[0]);
                talk.reply();
                talk.say("HELO x");
                talk.say(&format!("MAIL FROM:<a@c{silence}.bad>"));
                talk.send(b"RCPT TO:<u@mx.test>\r\n");
                talk
            })
            .collect();
        wait_for("all of them are asked for", || server.queries() >= waiting.len());
        let good = faults::GOOD_CASE;
        for (check, address) in CHECKS.iter().zip(&addresses) {
            let reply = ask(check.0, good, *address);
            let is_refused = [Check::Exchangers, Check::List].contains(&check.0);
            assert!(reply.starts_with(if is_refused { "554 5.7.1 " } else { "250 2.1.5 " }), "{reply}");
        }
        // Those who wait have waited all the time: their name server has half a minute.
        let footprint = Footprint::of(system.process("receive"));
        assert!(footprint.memory_kib < 64 * 1024, "{footprint:?}");
        assert_eq!(system.log().matches("NOQUEUE: reject: RCPT from unknown[127.0.0.1]").count(), 0);
        waiting.into_iter().for_each(Talk::reset);
    });
}
