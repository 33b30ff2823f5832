//! `postfix reload` under load: nobody is refused, nobody is cut, what was promised is delivered once, and one slow
//! delivery does not hold up the rest.

#![expect(clippy::expect_used, reason = "a test may fail")]

use compliance::{
    smtp::{Client, Sink},
    system::{System, Which, files},
};
use std::{
    collections::HashMap,
    fs,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    thread,
};

const QUICK: &str = "smtpd_error_sleep_time = 0\nsmtpd_peername_lookup = no\nlocal_recipient_maps =\n\
    smtpd_client_connection_count_limit = 0\nin_flow_delay = 0\nrelay_domains = dest.test\n";

/// With a sink for dest.test, and mailboxes, one file a message, for box.test.
fn start(sink: &Sink, settings: &str) -> System {
    let system = System::prepare(
        Which::Posthaste,
        &format!(
            "{QUICK}relayhost = [127.0.0.1]:{}\nvirtual_mailbox_domains = box.test\n\
             virtual_mailbox_base = $B/mail\nvirtual_mailbox_maps = static:box/\n\
             virtual_uid_maps = static:65534\nvirtual_gid_maps = static:65534\n{settings}",
            sink.address.port()
        ),
    );
    system.run();
    system
}

/// Reloads and waits until the new generation answers.
fn reload(system: &System, round: u32) {
    set(system, "smtpd_banner", &format!("round {round}"));
    system.command("postfix", &["reload"]);
    system
        .wait_until("the new configuration is in force", || greeting(system) == format!("220 round {round}"));
}

fn set(system: &System, name: &str, value: &str) {
    let path = system.path("etc/main.cf");
    let text = fs::read_to_string(&path).expect("main.cf was prepared");
    let kept: String =
        text.lines().filter(|line| !line.starts_with(name)).flat_map(|line| [line, "\n"]).collect();
    // In one breath: a reload that comes before may still be reading it.
    let new = system.path("etc/main.cf.new");
    fs::write(&new, format!("{kept}{name} = {value}\n")).expect("space");
    fs::rename(new, path).expect("the same directory");
}

fn greeting(system: &System) -> String {
    use std::io::{BufRead, BufReader};
    let stream = std::net::TcpStream::connect(system.address()).expect("no connection is refused");
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).expect("a greeting");
    line.trim_end().to_owned()
}

/// Clients that send for as long as they are let, each message once, to recipients of both kinds.
struct Load {
    is_over: Arc<AtomicBool>,
    promised: Arc<Mutex<Vec<u32>>>,
    clients: Vec<thread::JoinHandle<()>>,
}

impl Load {
    fn start(system: &System, count: usize) -> Self {
        let next = Arc::new(AtomicU32::new(0));
        let (is_over, promised) = (Arc::<AtomicBool>::default(), Arc::<Mutex<Vec<u32>>>::default());
        let clients = (0..count).map(|_| {
            let (next, is_over, promised) = (next.clone(), is_over.clone(), promised.clone());
            let address = system.address();
            thread::spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    let mut client = Client::connect(address).expect("no connection is refused");
                    for _ in 0..5 {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        let to = if number % 2 == 0 { "user@dest.test" } else { "user@box.test" };
                        let text = format!("Subject: number {number}\r\n\r\nx");
                        let reply = client.send("a@b.test", &[to], &text).expect("no session is cut");
                        assert!(reply.starts_with("250 "), "{reply}");
                        promised.lock().expect("no panic").push(number);
                    }
                    client.command("QUIT").expect("no session is cut");
                }
            })
        });
        let clients = clients.collect();
        Self { is_over, clients, promised }
    }

    fn promised(&self) -> usize {
        self.promised.lock().expect("no panic").len()
    }

    fn end(self) -> Vec<u32> {
        self.is_over.store(true, Ordering::Relaxed);
        self.clients.into_iter().for_each(|client| client.join().expect("no client was let down"));
        std::mem::take(&mut *self.promised.lock().expect("no panic"))
    }
}

/// How often each number has arrived.
fn arrived(system: &System, sink: &Sink) -> HashMap<u32, usize> {
    let boxes = files(&system.path("mail/box/new"));
    let texts = boxes.iter().map(|path| fs::read_to_string(path).expect("a delivered message"));
    let mut counts = HashMap::new();
    for text in sink.taken().into_iter().map(|taken| taken.text).chain(texts) {
        let number = text.split("Subject: number ").nth(1).and_then(|rest| rest.lines().next());
        if let Some(number) = number.and_then(|number| number.parse().ok()) {
            *counts.entry(number).or_insert(0) += 1;
        }
    }
    counts
}

fn smtp_source(system: &System, sessions: usize, messages: usize) -> Child {
    Command::new("/usr/sbin/smtp-source")
        .args(["-s", &sessions.to_string(), "-m", &messages.to_string(), "-l", "5000"])
        .args(["-f", "source@b.test", "-t", "source@dest.test", &system.address().to_string()])
        .stdout(Stdio::null())
        .spawn()
        .expect("the postfix package is installed")
}

#[test]
fn under_load_nobody_is_refused_or_cut_and_all_is_delivered_once() {
    const FROM_SOURCE: usize = 1_000;
    let sink = Sink::start().expect("a port");
    let system = start(&sink, "");
    let load = Load::start(&system, 6);
    let mut source = smtp_source(&system, 20, FROM_SOURCE);
    // These are in the middle of their content at every reload.
    let mut slow: Vec<Client> =
        (0..4).map(|_| Client::connect(system.address()).expect("it listens")).collect();
    for client in &mut slow {
        for line in ["MAIL FROM:<slow@b.test>", "RCPT TO:<slow@dest.test>", "DATA"] {
            assert!(client.command(line).expect("it answers").starts_with(['2', '3']));
        }
        client.send_part("Subject: slow\r\n\r\n").expect("it reads");
    }
    for round in 0..6 {
        let before = load.promised();
        // Every other time twice in one breath.
        if round % 2 == 1 {
            system.command("postfix", &["reload"]);
        }
        reload(&system, round);
        slow.iter_mut().for_each(|client| client.send_part("a line\r\n").expect("no session is cut"));
        system.wait_until("mail goes on", || load.promised() > before + 20);
    }
    for client in &mut slow {
        let reply = client.command(".").expect("no session is cut");
        assert!(reply.starts_with("250 "), "{reply}");
    }
    assert!(source.wait().expect("a child").success(), "smtp-source was let down");
    let promised = load.end();
    system.wait_until("the queue is empty", || {
        ["incoming", "active", "deferred"].iter().all(|queue| system.queued(queue) == 0)
    });
    let arrived = arrived(&system, &sink);
    let wrong: Vec<_> = promised.iter().filter(|number| arrived.get(number) != Some(&1)).collect();
    assert!(wrong.is_empty(), "not delivered once: {wrong:?}\n{}", system.log());
    assert_eq!(arrived.len(), promised.len());
    let of = |who: &str| sink.taken().iter().filter(|taken| taken.recipients == [who]).count();
    assert_eq!((of("source@dest.test"), of("slow@dest.test")), (FROM_SOURCE, 4));
    drop(slow);
    system.wait_until("old generations are gone", || {
        let names: Vec<_> = system.children().into_iter().map(|(_, name)| name).collect();
        ["receive", "deliver"].iter().all(|one| names.iter().filter(|name| name == one).count() == 1)
    });
    let warnings: Vec<_> =
        system.log().lines().filter(|line| line.contains("warning:")).map(str::to_owned).collect();
    assert!(warnings.is_empty(), "{warnings:#?}");
}

#[test]
fn one_slow_delivery_does_not_hold_up_the_rest() {
    let sink = Sink::start().expect("a port");
    // One delivery at a time and two recipients in each: the rest of a message waits behind the slow ones.
    let system = start(
        &sink,
        "relay_destination_concurrency_limit = 1\ninitial_destination_concurrency = 1\n\
         relay_destination_recipient_limit = 2\n",
    );
    let mut client = Client::connect(system.address()).expect("it listens");
    let mut send = |to: &[&str], text: &str| {
        let reply = client.send("a@b.test", to, &format!("Subject: {text}\r\n\r\nx")).expect("it answers");
        assert!(reply.starts_with("250 "), "{reply}");
    };
    sink.stall(&["a@dest.test"]);
    send(&["a@dest.test", "b@dest.test", "c@dest.test", "d@dest.test"], "first");
    send(&["e@dest.test"], "second");
    system.wait_until("the first is being delivered", || system.queued("active") == 2);
    let old = system.process("deliver");
    reload(&system, 1);
    let count = |text: &str| sink.taken().iter().filter(|taken| taken.text.contains(text)).count();
    system.wait_until("the second is delivered by the new generation", || count("Subject: second") == 1);
    send(&["f@dest.test"], "third");
    system.wait_until("new mail is delivered", || count("Subject: third") == 1);
    // The old generation has what it began and nothing else.
    assert!(fs::exists(format!("/proc/{old}")).expect("/proc"), "{}", system.log());
    assert_eq!((count("Subject: first"), system.queued("active")), (0, 1));
    reload(&system, 2);
    sink.stall(&[]);
    system.wait_until("the rest of the first is delivered", || count("Subject: first") == 2);
    let mut recipients: Vec<String> = sink.taken().into_iter().flat_map(|taken| taken.recipients).collect();
    recipients.sort();
    let all = ["a", "b", "c", "d", "e", "f"].map(|name| format!("{name}@dest.test"));
    assert_eq!(recipients, all, "each once");
    system.wait_until("the old generation is gone", || !fs::exists(format!("/proc/{old}")).expect("/proc"));
    system.wait_until("the queue is empty", || system.queued("active") + system.queued("incoming") == 0);
}

#[test]
fn the_old_generation_ends_within_its_bound() {
    let sink = Sink::start().expect("a port");
    let system = start(&sink, "reload_drain_time_limit = 2s\n");
    sink.stall(&["a@dest.test"]);
    let mut client = Client::connect(system.address()).expect("it listens");
    let reply = client.send("a@b.test", &["a@dest.test"], "Subject: number 1\r\n\r\nx").expect("it answers");
    assert!(reply.starts_with("250 "), "{reply}");
    system.wait_until("it is being delivered", || system.queued("active") == 1);
    let old = system.receive_and_deliver();
    reload(&system, 1);
    assert!(client.command("NOOP").expect("the session goes on").starts_with("250 "));
    system.wait_until("the old generation is gone", || {
        old.iter().all(|(pid, _)| !fs::exists(format!("/proc/{pid}")).expect("/proc"))
    });
    assert!(client.command("NOOP").is_err(), "the session has ended with its process");
    // What it was delivering is taken up by the new one.
    sink.stall(&[]);
    system.wait_until("it is delivered", || arrived(&system, &sink).get(&1) == Some(&1));
    assert!(!system.log().contains("killed by signal"), "{}", system.log());
}

#[test]
fn drain_lets_everybody_finish_and_a_new_start_is_not_held_up() {
    let sink = Sink::start().expect("a port");
    let system = start(&sink, "");
    sink.stall(&["a@dest.test"]);
    let mut client = Client::connect(system.address()).expect("it listens");
    let reply = client.send("a@b.test", &["a@dest.test"], "Subject: number 1\r\n\r\nx").expect("it answers");
    assert!(reply.starts_with("250 "), "{reply}");
    system.wait_until("it is being delivered", || system.queued("active") == 1);
    let old = system.receive_and_deliver();
    system.command("postfix", &["drain"]);
    system.wait_until("nobody listens", || std::net::TcpStream::connect(system.address()).is_err());
    let reply = client.send("a@b.test", &["b@dest.test"], "Subject: number 2\r\n\r\nx").expect("it goes on");
    assert!(reply.starts_with("250 "), "{reply}");
    system.command("postfix", &["start"]);
    system.wait_until("the new one delivers what the old one took", || {
        arrived(&system, &sink).contains_key(&2)
    });
    assert!(!arrived(&system, &sink).contains_key(&1));
    sink.stall(&[]);
    system.wait_until("the old one delivers what it had begun", || arrived(&system, &sink).contains_key(&1));
    client.command("QUIT").expect("a farewell");
    system.wait_until("the old generation is gone", || {
        old.iter().all(|(pid, _)| !fs::exists(format!("/proc/{pid}")).expect("/proc"))
    });
    assert!(arrived(&system, &sink).values().all(|count| *count == 1));
    let Some(line) = system.log().lines().find(|line| line.contains("panic")).map(str::to_owned) else {
        return;
    };
    panic!("{line}");
}
