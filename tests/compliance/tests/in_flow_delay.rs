//! New mail is held back while more comes in than the queue manager takes up (postconf(5) in_flow_delay).

#![expect(clippy::expect_used, reason = "a test may fail")]

use compliance::{
    smtp::{Client, Sink},
    system::{System, Which},
};
use std::{
    process::Command,
    sync::mpsc::{RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

const SETTINGS: &str = "smtpd_error_sleep_time = 0\nsmtpd_peername_lookup = no\nlocal_recipient_maps =\n\
    smtpd_client_connection_count_limit = 0\n";

fn signal(name: &str, pid: u32) {
    let status = Command::new("kill").args([format!("-{name}"), pid.to_string()]).status();
    assert!(status.expect("kill starts").success());
}

/// Sends a message; how long it took.
fn send(client: &mut Client) -> Duration {
    let begin = Instant::now();
    let reply = client.send("a@b.test", &["user@mx.test"], "Subject: x\r\n\r\nx").expect("it answers");
    assert!(reply.starts_with("250 "), "{reply}");
    begin.elapsed()
}

/// How long messages wait whose queue manager stands still; then it goes on, and all goes on.
fn with_a_queue_manager_that_stands_still(
    which: Which,
    in_flow_delay: u64,
    messages: usize,
) -> Vec<Duration> {
    let system = System::start(
        which,
        &format!(
            "{SETTINGS}local_transport = discard:\ndefault_process_limit = 2\nin_flow_delay = {in_flow_delay}\n"
        ),
    );
    let mut client = Client::connect(system.address()).expect("it listens");
    let removed = || system.log().matches(": removed").count();
    // It is there and has nothing to do.
    send(&mut client);
    system.wait_until("a message is delivered", || removed() == 1);
    let name = if which == Which::Postfix { "qmgr" } else { "deliver" };
    let pid = system.children().into_iter().find(|(_, child)| child == name).expect("it has delivered").0;
    signal("STOP", pid);
    let waits = (0..messages).map(|_| send(&mut client)).collect();
    signal("CONT", pid);
    system.wait_until("all is delivered", || removed() == messages + 1);
    assert!(send(&mut client) < Duration::from_secs(in_flow_delay.max(PATIENT)), "{}", system.log());
    waits
}

/// Seconds within which a message is taken that nobody holds back.
const PATIENT: u64 = 3;

#[test]
fn a_queue_manager_that_stands_still_costs_each_message_in_flow_delay() {
    for which in [Which::Postfix, Which::Posthaste] {
        let waits = with_a_queue_manager_that_stands_still(which, PATIENT, 4);
        let held: Vec<_> = waits.iter().map(|wait| *wait >= Duration::from_secs(PATIENT)).collect();
        // Two may come in without, as default_process_limit says; of ours the answer to the first may still be on its way.
        assert!(!held[0] && held[2..].iter().all(|is_held| *is_held), "{which:?}: {waits:?}");
    }
}

#[test]
fn a_delay_of_zero_holds_nothing_back() {
    for which in [Which::Postfix, Which::Posthaste] {
        let waits = with_a_queue_manager_that_stands_still(which, 0, 5);
        assert!(waits.iter().all(|wait| *wait < Duration::from_secs(PATIENT)), "{which:?}: {waits:?}");
    }
}

/// Nothing is let in before something has gone out, and then it is at once.
#[test]
fn what_goes_out_makes_room_for_what_comes_in() {
    const HELD: u64 = 10;
    let sink = Sink::start().expect("a port");
    sink.stall(&["user@mx.test"]);
    let system = System::start(
        Which::Posthaste,
        &format!(
            "{SETTINGS}local_transport = smtp:[127.0.0.1]:{}\ndefault_process_limit = 4\n\
             qmgr_message_active_limit = 1\nin_flow_delay = {HELD}\n",
            sink.address.port()
        ),
    );
    let (tell, told) = channel();
    let mut client = Client::connect(system.address()).expect("it listens");
    let sending = thread::spawn(move || {
        for number in 1..=8 {
            let wait = send(&mut client);
            let _ = tell.send((number, wait));
        }
    });
    // Four as default_process_limit says, and for the first one there may have been an answer already.
    let mut accepted = 0;
    let silence = loop {
        let patience = Duration::from_secs(if accepted < 4 { 60 } else { 2 });
        match told.recv_timeout(patience) {
            Ok((number, _)) => accepted = number,
            Err(silence) => break silence,
        }
    };
    assert_eq!(silence, RecvTimeoutError::Timeout);
    assert!((4..=6).contains(&accepted), "{accepted}");
    sink.stall(&[]);
    let rest: Vec<_> = told.iter().collect();
    sending.join().expect("all were accepted");
    let limit = Duration::from_secs(HELD);
    assert!(rest.iter().all(|(_, wait)| *wait < limit), "{rest:?}\n{}", system.log());
    system.wait_until("all is delivered", || sink.taken().len() == 8);
}
