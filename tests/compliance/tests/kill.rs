//! A 250 is a promise: under load each process is killed in turn, again and again, and at the end every message
//! that was accepted is there, and none is there twice without cause.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use compliance::{
    smtp::{Client, Sink, queue_id},
    system::{System, Which, files},
};
use std::{
    collections::HashMap,
    fs,
    net::SocketAddr,
    os::unix::fs::MetadataExt,
    path::PathBuf,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// How often somebody is killed, and how much time there is between.
const KILLS: usize = 16;
const PAUSE: Duration = Duration::from_millis(350);

/// How many sessions send, and how many messages all of them together send at most.
const SESSIONS: usize = 4;
const MESSAGES_MAX: usize = 1500;

/// A message that was accepted: its number and queue id.
#[derive(Debug)]
struct Promise {
    number: usize,
    id: String,
}

/// Who hears of it when a message cannot be delivered.
const SENDER: &str = "back@relay.test";

/// Where message `number` goes: to one of the three destinations, to all of them, or nowhere: then it comes back.
fn recipients(number: usize) -> &'static [&'static str] {
    const ALL: &[&str] = &["joe@virtual.test", "games@mx.test", "ann@relay.test"];
    match number % 5 {
        4 => &["nobody@fail.test"],
        3 => ALL,
        one => &ALL[one..=one],
    }
}

/// In whose mail the message is to be found in the end.
fn readers(number: usize) -> &'static [&'static str] {
    if number % 5 == 4 { &[SENDER] } else { recipients(number) }
}

fn message(number: usize) -> String {
    let filling = "What was accepted is delivered.\r\n".repeat(number % 50);
    format!("From: a@client.test\r\nMessage-ID: <{number}@client.test>\r\n\r\n{filling}end of {number}.")
}

/// Sends until told to stop; a connection that breaks is opened again.
fn send(to: SocketAddr, next: &AtomicUsize, is_over: &AtomicBool, promises: &Mutex<Vec<Promise>>) {
    let mut client = None;
    while !is_over.load(Ordering::Relaxed) {
        let Some(session) = &mut client else {
            client = Client::connect(to).ok();
            thread::yield_now();
            continue;
        };
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= MESSAGES_MAX {
            return;
        }
        match session.send(SENDER, recipients(number), &message(number)) {
            Ok(reply) if reply.starts_with("250") => {
                let id = queue_id(&reply).expect("the reply names the queue id");
                promises.lock().unwrap().push(Promise { number, id });
            }
            Ok(reply) if reply.starts_with("421") => client = None,
            Ok(reply) => assert!(reply.starts_with('4'), "{reply}"),
            Err(_) => client = None,
        }
    }
}

fn kill(pid: u32) {
    // One that has just ended by itself is as good.
    let _ = Command::new("kill").args(["-KILL", &pid.to_string()]).output();
}

/// Kills one process. False when there is none of that name now.
fn strike(system: &System, victim: &str) -> bool {
    let master = system.master();
    let family = system.children();
    if victim == "master" {
        kill(master);
        system.wait_until("the children of a dead master are gone", || {
            family.iter().all(|(pid, _)| !fs::exists(format!("/proc/{pid}")).unwrap_or(false))
        });
        system.command("postfix", &["start"]);
        return true;
    }
    let found = family.iter().find(|(_, name)| name == victim);
    found.inspect(|(pid, _)| kill(*pid)).is_some()
}

/// Complete messages in a queue. What a killed `receive` was writing (mode 0600) was promised to nobody.
fn complete(system: &System, queue: &str) -> usize {
    let is_complete = |path: &PathBuf| fs::metadata(path).is_ok_and(|status| status.mode() & 0o100 != 0);
    files(&system.path("spool").join(queue)).iter().filter(|path| is_complete(path)).count()
}

/// How many whole copies of each message a text holds.
fn count(text: &str, into: &mut HashMap<usize, usize>) {
    for line in text.lines() {
        let number = line.strip_prefix("end of ").and_then(|rest| rest.strip_suffix('.'));
        if let Some(number) = number.and_then(|number| number.parse().ok()) {
            *into.entry(number).or_default() += 1;
        }
    }
}

fn copies(system: &System, sink: &Sink) -> HashMap<&'static str, HashMap<usize, usize>> {
    let mut copies: HashMap<&str, HashMap<usize, usize>> = HashMap::new();
    for path in files(&system.path("mail/inbox/new")) {
        let text = fs::read_to_string(path).expect("a delivered message");
        let mut one = HashMap::new();
        count(&text, &mut one);
        assert_eq!(one.len(), 1, "part of a message was delivered: {text}");
        count(&text, copies.entry("joe@virtual.test").or_default());
    }
    let mailbox = fs::read_to_string(system.path("mail/games")).expect("a mailbox");
    count(&mailbox, copies.entry("games@mx.test").or_default());
    for taken in sink.taken() {
        let reader = if taken.recipients == [SENDER] { SENDER } else { "ann@relay.test" };
        count(&taken.text, copies.entry(reader).or_default());
    }
    copies
}

#[test]
fn every_message_that_got_a_250_survives_the_death_of_any_process() {
    let sink = Sink::start().expect("a port");
    let port = sink.address.port();
    // An agent that is killed leaves its `.lock` file, which counts for stale_lock_time.
    let system = System::start(
        Which::Posthaste,
        &format!(
            "virtual_mailbox_domains = virtual.test\nvirtual_mailbox_base = $B/mail\n\
             virtual_mailbox_maps = static:inbox/\nvirtual_uid_maps = static:65534\nvirtual_gid_maps = static:65534\n\
             mail_spool_directory = $B/mail\nlocal_recipient_maps =\n\
             relay_domains = relay.test, fail.test\n\
             transport_maps = inline:{{ relay.test=smtp:[127.0.0.1]:{port}, fail.test=smtp:[127.0.0.1]:{port} }}\n\
             minimal_backoff_time = 1s\nmaximal_backoff_time = 2s\nqueue_run_delay = 1s\ntransport_retry_time = 1s\n\
             service_throttle_time = 1s\nstale_lock_time = 1s\n"
        ),
    );
    let promises = Arc::new(Mutex::new(Vec::new()));
    let (next, is_over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let senders: Vec<_> = (0..SESSIONS)
        .map(|_| {
            let (to, next, is_over) = (system.address(), Arc::clone(&next), Arc::clone(&is_over));
            let promises = Arc::clone(&promises);
            thread::spawn(move || send(to, &next, &is_over, &promises))
        })
        .collect();
    let victims = ["deliver", "receive", "posthaste-agent", "master"];
    let mut kills: HashMap<&str, usize> = HashMap::new();
    for victim in victims.iter().cycle().take(KILLS) {
        // Not synchronisation: the load between two blows.
        thread::sleep(PAUSE);
        let deadline = Instant::now() + Duration::from_secs(3);
        while !strike(&system, victim) && Instant::now() < deadline {
            thread::yield_now();
        }
        *kills.entry(victim).or_default() += 1;
    }
    is_over.store(true, Ordering::Relaxed);
    senders.into_iter().for_each(|sender| sender.join().expect("a sender that met no surprise"));
    system.wait_until("the queue has drained", || {
        ["maildrop", "incoming", "active", "deferred"].iter().all(|queue| complete(&system, queue) == 0)
    });
    check(&system, &sink, &promises.lock().unwrap(), &kills);
}

fn check(system: &System, sink: &Sink, promises: &[Promise], kills: &HashMap<&str, usize>) {
    let (copies, log) = (copies(system, sink), system.log());
    // Two lines of the log for one delivery: the blow fell between the line and the mark, which follows at once.
    let blows = kills.get("deliver").unwrap_or(&0) + kills.get("master").unwrap_or(&0);
    let (mut doubles, mut known_doubles) = (0, 0);
    for promise in promises {
        for recipient in readers(promise.number) {
            let count = copies.get(recipient).and_then(|of| of.get(&promise.number)).copied().unwrap_or(0);
            assert!(
                count > 0,
                "{promise:?} to {recipient} was accepted and is lost\n{}",
                about(&log, promise)
            );
            if count > 1 {
                doubles += count - 1;
                let lines = about(&log, promise);
                let known = lines.lines().filter(|line| {
                    line.contains(&format!("to=<{recipient}>")) && line.contains("status=sent")
                });
                known_doubles += known.count().saturating_sub(1);
            }
        }
    }
    eprintln!("{} accepted, {doubles} delivered again, {kills:?}", promises.len());
    assert!(promises.len() > KILLS, "hardly anything was accepted: {}\n{log}", promises.len());
    assert!(known_doubles <= blows, "{known_doubles} deliveries were repeated although they were on record");
    // At most what was in flight: default_destination_concurrency_limit for each of three destinations.
    assert!(
        doubles <= blows * 60 + kills.get("posthaste-agent").unwrap_or(&0),
        "{doubles} were delivered again"
    );
    for queue in ["bounce", "defer", "corrupt", "hold"] {
        assert_eq!(system.queued(queue), 0, "something is left in {queue}\n{log}");
    }
    assert!(!log.contains("panic:"), "{log}");
    let returned = copies.get(SENDER).into_iter().flatten();
    for (number, _) in returned {
        assert_eq!(readers(*number), [SENDER], "message {number} has not failed, and came back all the same");
    }
}

fn about(log: &str, promise: &Promise) -> String {
    let lines: Vec<&str> = log.lines().filter(|line| line.contains(&promise.id)).collect();
    lines.join("\n")
}
