//! Values that a program cannot use: what Postfix and Posthaste say of them, and what stands still because of them.

use compliance::{
    smtp::Client,
    system::{System, Which, free_port},
};
use std::{
    fmt::Write as _,
    io::Read as _,
    net::{Ipv4Addr, TcpStream},
};

/// Settings of smtpd(8), and why it does not start with them.
const SERVERS: &[(&str, &str)] = &[
    ("smtpd_timeout=5x", "parameter smtpd_timeout: bad time value or unit: 5x"),
    ("smtpd_soft_error_limit=0", "invalid smtpd_soft_error_limit parameter value 0 < 1"),
    ("smtpd_delay_reject=maybe", "bad boolean configuration: smtpd_delay_reject = maybe"),
    ("receive_override_options=no_x", "unknown receive_override_options value \"no_x\" in \"no_x\""),
    ("unknown_address_tempfail_action=x", "bad configuration: unknown_address_tempfail_action = x"),
    ("reject_tempfail_action=x", "bad configuration: unknown_helo_hostname_tempfail_action = x"),
    ("smtpd_tls_security_level=x", "Invalid TLS level \"x\""),
    ("inet_protocols=foo", "unknown inet_protocols value \"foo\" in \"foo\""),
];

/// Programs that deliver, their settings, and why they do not start with them.
const AGENTS: &[(&str, &str, &str)] = &[
    ("smtp", "smtp_connect_timeout=x", "parameter smtp_connect_timeout: bad time value or unit: x"),
    ("smtp", "smtp_address_preference=x", "bad smtp_address_preference value: x"),
    ("smtp", "smtp_host_lookup=x", "unknown smtp_host_lookup value \"x\" in \"x\""),
    ("smtp", "smtp_dns_support_level=x", "invalid smtp_dns_support_level: \"x\""),
    ("smtp", "smtp_address_verify_target=x", "bad protocol stage: \"smtp_address_verify_target = x\""),
    ("smtp", "smtp_dns_resolver_options=x", "unknown smtp_dns_resolver_options value \"x\" in \"x\""),
    (
        "smtp",
        "smtp_sasl_auth_enable=yes",
        "specify a password table via the `smtp_sasl_password_maps' configuration parameter",
    ),
    ("lmtp", "lmtp_address_preference=x", "bad lmtp_address_preference value: x"),
    ("local", "mailbox_delivery_lock=x", "unknown mailbox_delivery_lock value \"x\" in \"x\""),
    (
        "local",
        "mailbox_delivery_lock=,",
        "parameter mailbox_delivery_lock specifies no applicable mailbox locking method",
    ),
    ("local", "allow_mail_to_files=x", "unknown allow_mail_to_files value \"x\" in \"x\""),
    ("local", "prepend_delivered_header=x", "unknown prepend_delivered_header value \"x\" in \"x\""),
    (
        "local",
        "mailbox_size_limit=5",
        "configuration error: mailbox_size_limit is smaller than message_size_limit",
    ),
    (
        "virtual",
        "virtual_mailbox_limit=5",
        "configuration error: virtual_mailbox_limit is smaller than message_size_limit",
    ),
];

/// Services that are out of order do nothing, say why, and stand beside others that work.
#[test]
fn a_value_stops_the_services_that_read_it() {
    for which in [Which::Postfix, Which::Posthaste] {
        let ports: Vec<u16> = SERVERS.iter().map(|_| free_port()).collect();
        let mut rows = String::new();
        for ((setting, _), port) in SERVERS.iter().zip(&ports) {
            let _ = writeln!(rows, "127.0.0.1:{port} inet n - n - - smtpd -o {setting}");
        }
        let mut routes = String::new();
        for (at, (program, setting, _)) in AGENTS.iter().enumerate() {
            let _ = writeln!(rows, "t{at} unix - n n - - {program} -o {{ {} }}", setting.replace('=', " = "));
            let _ = write!(routes, "{{t{at}.test=t{at}:}}, ");
        }
        rows.push_str("good unix - - n - - discard\n");
        let settings = format!(
            "transport_maps = inline:{{ {routes} {{good.test=good:}} }}\nvirtual_mailbox_base = $B/mail\n\
             virtual_uid_maps = static:1000\nvirtual_gid_maps = static:1000\n"
        );
        let system = System::prepare(which, &settings);
        system.add_services(&rows);
        system.run();
        let connect = |port| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("master listens");
        let mut waiting: Vec<TcpStream> = ports.into_iter().map(connect).collect();
        let mut recipients: Vec<String> = (0..AGENTS.len()).map(|at| format!("a@t{at}.test")).collect();
        recipients.push("a@good.test".to_owned());
        let recipients: Vec<&str> = recipients.iter().map(String::as_str).collect();
        let mut client = Client::connect(system.address()).expect("the stock service works");
        let said = client.send("me@mx.test", &recipients, "Subject: x\n\nx").expect("a reply");
        assert!(said.starts_with("250 "), "{which:?} {said}");
        let words = || SERVERS.iter().map(|(_, why)| why).chain(AGENTS.iter().map(|(_, _, why)| why));
        system
            .wait_until("each service says what is wrong", || words().all(|why| system.log().contains(why)));
        system.wait_until("the good service delivers", || system.log().contains("status=sent (good.test)"));
        if which == Which::Posthaste {
            // Postfix leaves the clients waiting.
            for stream in &mut waiting {
                let mut said = String::new();
                stream.read_to_string(&mut said).expect("closed, not torn down");
                assert_eq!(said, "");
            }
        }
        // In Postfix, the others' mail stays in the active queue until the transports are tried again, after minutes.
        if which == Which::Posthaste {
            let count = || system.log().matches("dsn=4.3.0, status=deferred").count();
            system.wait_until("all other mail is deferred", || count() == AGENTS.len());
        }
        assert_eq!(system.log().matches("status=sent").count(), 1, "{which:?}");
        assert!(!system.log().contains("status=bounced"), "{which:?}");
    }
}

/// Settings of main.cf with which nothing starts, and why.
const FATAL: &[(&str, &str)] = &[
    ("compatibility_level = x", "malformed compatibility level syntax: \"x\""),
    ("inet_protocols = ipv4, foo", "unknown inet_protocols value \"foo\" in \"ipv4, foo\""),
    ("inet_interfaces = ALL", "config variable inet_interfaces: host not found: ALL"),
    ("inet_interfaces = 127.0.0.1 [::1]", "config variable inet_interfaces: host not found: [::1]"),
    ("inet_interfaces = 192.0.2.99", "parameter inet_interfaces: no local interface found for 192.0.2.99"),
    ("syslog_facility = x", "parameter syslog_facility: unrecognized value: x"),
    ("myhostname = mx-.test", "parameter myhostname: bad parameter value: mx-.test"),
    ("soft_bounce = maybe", "bad boolean configuration: soft_bounce = maybe"),
    ("hash_queue_depth = 0", "invalid hash_queue_depth parameter value 0 < 1"),
    ("relayhost = MX.test", "myhostname and relayhost parameter settings must not be identical: mx.test"),
    ("myorigin = a, b", "myorigin parameter setting must not contain multiple values: a, b"),
    (
        "default_verp_delimiters = =*",
        "parameters default_verp_delimiters and verp_delimiter_filter: bad second VERP delimiter character",
    ),
];

/// Names, brackets and protocols: a service without a host of its own listens where inet_interfaces says.
#[test]
fn services_listen_on_the_chosen_interfaces() {
    let check = |settings: &str, expected: &[&str]| {
        for which in [Which::Postfix, Which::Posthaste] {
            let system = System::prepare(which, settings);
            let port = free_port();
            system.add_services(&format!("{port} inet n - n - - smtpd\n"));
            system.run();
            let answers = |host: &&str| TcpStream::connect(format!("{host}:{port}")).is_ok();
            let answering: Vec<&str> =
                ["127.0.0.1", "127.0.0.2", "[::1]"].into_iter().filter(answers).collect();
            assert_eq!(answering, expected, "{which:?} {settings}");
        }
    };
    check("inet_interfaces = all\ninet_protocols = all", &["127.0.0.1", "127.0.0.2", "[::1]"]);
    check("inet_interfaces = all\ninet_protocols = ipv4", &["127.0.0.1", "127.0.0.2"]);
    check("inet_interfaces = loopback-only\ninet_protocols = all", &["127.0.0.1", "[::1]"]);
    check("inet_interfaces = localhost\ninet_protocols = ipv4", &["127.0.0.1"]);
    check("inet_interfaces = [127.0.0.1], [::1] 127.0.0.1\ninet_protocols = all", &["127.0.0.1", "[::1]"]);
    check("inet_interfaces = 127.1", &["127.0.0.1"]);
}

#[test]
fn without_protocols_there_are_no_services_of_the_network() {
    for which in [Which::Postfix, Which::Posthaste] {
        let system = System::prepare(which, "inet_protocols =\n");
        system.command("postfix", &["start"]);
        let text = "warning: disabling all type \"inet\" services in master.cf";
        system.wait_until("master says so", || system.log().contains(text));
        assert!(TcpStream::connect(system.address()).is_err(), "{which:?}");
    }
}

/// `postfix start` of Postfix has no words for a standard error that is no terminal, but its other programs have.
#[test]
fn a_value_that_every_program_reads_stops_the_start() {
    let check = |settings: &str, why: &str| {
        for which in [Which::Postfix, Which::Posthaste] {
            let system = System::prepare(which, settings);
            let started = system.program("postfix").arg("start").output().expect("postfix starts");
            let mut said = started.stderr;
            assert_eq!(started.status.code(), Some(1), "{which:?} {settings}");
            if which == Which::Postfix {
                let asked = system.program("postmap").args(["-q", "x", "static:y"]).output();
                said = asked.expect("postmap starts").stderr;
            }
            let said = String::from_utf8_lossy(&said);
            assert!(said.contains(why), "{which:?} {settings}: {said}");
        }
    };
    // Postfix takes seconds to give up.
    std::thread::scope(|scope| {
        for (settings, why) in FATAL {
            scope.spawn(|| check(settings, why));
        }
    });
}
