//! The ways of probes beside Debian's Postfix: `address_verify_relayhost` and its kin, the service that is asked, and how many
//! probes there are at once.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use compliance::{
    plain::{Plain, told_alike},
    sink::Sink,
    system::{System, Which},
    wire::Talk,
};
use std::{
    net::TcpListener,
    process::{Command, Stdio},
};

const BASE: &str = "relay_domains = relay.test\nvirtual_mailbox_domains = virtual.test\n\
    virtual_mailbox_maps = static:x\nlocal_recipient_maps =\nsmtpd_relay_restrictions = permit_mynetworks, reject\n\
    smtpd_recipient_restrictions = reject_unverified_recipient\nunverified_recipient_reject_code = 550\n\
    address_verify_poll_delay = 1s\naddress_verify_poll_count = 1\nsmtp_connection_cache_on_demand = no\n";

/// What became of probes and mail: `smtp: to=<a@b.test>, relay=..., status=...`, without what differs by nature.
fn results(system: &System, recipient: &str) -> Vec<String> {
    let log = system.log();
    let plain = Plain::new("");
    let of = |line: &str| {
        let line = plain.log_line(line)?;
        let (program, rest) = line.split_once(": ")?;
        let (_, rest) = rest.split_once(&format!("to=<{recipient}>"))?;
        rest.contains("status=").then(|| format!("{program}: {recipient}{}", rest.trim_end()))
    };
    log.lines().filter_map(of).collect()
}

/// What smtpd says of a recipient.
fn ask(system: &System, recipient: &str) -> String {
    let reply = Talk::rcpt(system.address(), recipient);
    assert!(!reply.is_empty(), "{:?}: {}", system.which, system.log());
    format!("{recipient}: {reply}")
}

/// What it says once the result of a probe is there, and what was logged of so many deliveries.
fn probe(system: &System, recipient: &str, deliveries: usize) -> Vec<String> {
    let mut reply = String::new();
    system.wait_until("the result is known", || {
        reply = ask(system, recipient);
        !reply.contains("verification in progress")
    });
    system.wait_until("the result is logged", || results(system, recipient).len() == deliveries);
    [vec![reply], results(system, recipient)].concat()
}

/// The way of mail, from a local user.
fn mail(system: &System, recipient: &str) -> Vec<String> {
    let before = results(system, recipient).len();
    let mut command = system.program("sendmail");
    command.args(["-f", "a@mx.test", recipient]).stdin(Stdio::null()).stderr(Stdio::null());
    assert!(command.status().expect("sendmail starts").success(), "{:?}", system.which);
    system.wait_until("it is delivered", || results(system, recipient).len() > before);
    results(system, recipient).split_off(before)
}

/// Each class of addresses has a transport of its own for mail, and one for probes. Who is asked is another service than
/// `verify`, with a cache of its own.
fn transports(which: Which) -> Vec<String> {
    let settings = "address_verify_service_name = other\nrelay_transport = discard:mail\n\
        virtual_transport = discard:mail\nlocal_transport = discard:mail\ndefault_transport = discard:mail\n\
        address_verify_relay_transport = error:5.1.2 probe of relay\n\
        address_verify_virtual_transport = error:5.1.3 probe of virtual\n\
        address_verify_local_transport = error:5.1.4 probe of local\n\
        address_verify_default_transport = error:5.1.5 probe of others\n";
    let system = System::prepare(which, &format!("{BASE}{settings}"));
    system.remove_service("verify");
    system.add_services(
        "other unix - - n - 1 verify -o address_verify_map=btree:$data_directory/other_cache\n",
    );
    system.run();
    let recipients = ["x@relay.test", "x@virtual.test", "x@mx.test", "x@far.test"];
    let mut told: Vec<String> = recipients.iter().map(|to| probe(&system, to, 1).join("\n")).collect();
    told.extend(recipients.iter().map(|to| mail(&system, to).join("\n")));
    told.push(probe(&system, "x@relay.test", 2).join("\n"));
    system.command("postfix", &["stop"]);
    let table = format!("btree:{}", system.path("data/other_cache").display());
    let output = Command::new("/usr/sbin/postmap").args(["-s", &table]).output().expect("postmap starts");
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    let known = |to: &&&str| shown.lines().any(|line| line.starts_with(**to) && line.contains("probe of"));
    told.push(format!("{} are remembered", recipients.iter().filter(known).count()));
    told
}

#[test]
fn each_class_has_a_transport_for_probes() {
    let told = told_alike(transports);
    let ways = ["relay", "virtual", "local", "others"];
    for (step, way) in told.iter().zip(ways) {
        assert!(step.contains("550 5.1.") && step.contains(&format!("probe of {way}")), "{told:?}");
    }
    assert!(told[4..8].iter().all(|step| step.contains("discard: ")), "{told:?}");
    assert_eq!(told.last().map(String::as_str), Some("4 are remembered"), "{told:?}");
}

/// Where probes go, with relayhosts of mail and of probes; and where mail goes.
fn relayed(which: Which, more: &str) -> Vec<String> {
    let start = || Sink::start(&["PIPELINING"]).expect("a port");
    let (of_mail, of_probes, of_sender) = (start(), start(), start());
    let settings = format!(
        "relayhost = [127.0.0.1]:{}\naddress_verify_relayhost = [127.0.0.1]:{}\n{}",
        of_mail.port,
        of_probes.port,
        more.replace("SENDERS", &format!("[127.0.0.1]:{}", of_sender.port))
    );
    let system = System::start(which, &format!("{BASE}{settings}"));
    let mut told =
        vec![probe(&system, "x@far.test", 1).join("\n"), probe(&system, "refused@far.test", 1).join("\n")];
    told.push(mail(&system, "y@far.test").join("\n"));
    let name = |text: String| {
        let text = text.replace(&format!(":{}", of_mail.port), ":MAIL");
        text.replace(&format!(":{}", of_probes.port), ":PROBES")
            .replace(&format!(":{}", of_sender.port), ":SENDERS")
    };
    told.into_iter().map(name).collect()
}

#[test]
fn probes_have_a_relayhost_of_their_own() {
    let told = told_alike(|which| relayed(which, ""));
    assert!(told[0].contains("250 2.1.5") && told[0].contains(":PROBES"), "{told:?}");
    assert!(told[2].contains(":MAIL"), "{told:?}");
}

/// The sender of probes is looked up, not that of the mail.
#[test]
fn the_sender_of_probes_has_a_relayhost() {
    let told = told_alike(|which| {
        relayed(
            which,
            "address_verify_sender_dependent_relayhost_maps = inline:{{double-bounce@mx.test=SENDERS}}\n\
             sender_dependent_relayhost_maps = inline:{{double-bounce@mx.test=[127.0.0.1]:1}}\n",
        )
    });
    assert!(told[0].contains("250 2.1.5") && told[0].contains(":SENDERS"), "{told:?}");
    assert!(told[2].contains(":MAIL"), "{told:?}");
}

/// One probe waits for a server that says nothing; one more is put off, and mail is not.
fn pending(which: Which) -> Vec<String> {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("it has one").port();
    let settings = format!(
        "address_verify_pending_request_limit = 1\ndefault_transport = discard:\n\
         address_verify_transport_maps = inline:{{silent.test=smtp:[127.0.0.1]:{port}}}\n\
         address_verify_default_transport = error:5.1.5 probe\n"
    );
    let system = System::start(which, &format!("{BASE}{settings}"));
    let mut told = vec![ask(&system, "x@silent.test")];
    assert!(told[0].contains("450 4.1.1"), "{told:?}");
    let (_held, _) = silent.accept().expect("the probe arrives");
    told.extend(["a@far.test", "b@far.test"].map(|recipient| probe(&system, recipient, 1).join("\n")));
    told.push(ask(&system, "x@silent.test"));
    told.push(mail(&system, "c@far.test").join("\n"));
    told
}

#[test]
fn more_probes_than_may_be_pending_are_put_off() {
    let told = told_alike(pending);
    assert!(told[1].contains("Too many address verification requests"), "{told:?}");
    assert!(told[4].contains("status=sent"), "{told:?}");
}
