//! What the queue file and the Received: header say of a client that a trusted one speaks for (XCLIENT), and of one that it
//! forwards for (XFORWARD), beside Debian's Postfix.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use compliance::{
    system::{System, Which},
    wire::Talk,
};

const SETTINGS: &str = "smtpd_authorized_xclient_hosts = 127.0.0.1, 192.0.2.7\n\
     smtpd_authorized_xforward_hosts = 127.0.0.1\nsmtpd_peername_lookup = no\nlocal_recipient_maps =\n\
     inet_protocols = all\ninet_interfaces = 127.0.0.1\nsmtpd_sasl_auth_enable = yes\n\
     smtpd_recipient_restrictions = check_recipient_access static:HOLD\n\
     smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination\n";

/// What is said before each message.
const CASES: &[&[&str]] = &[
    &["EHLO filter.test"],
    &["XCLIENT NAME=mail.example.com ADDR=192.0.2.7 PORT=4711 HELO=greeting.example.com PROTO=ESMTP"],
    &[
        "XCLIENT NAME=[UNAVAILABLE] REVERSE_NAME=mail.example.com ADDR=IPV6:2001:db8::7 DESTADDR=192.0.2.25 DESTPORT=587",
    ],
    &[
        "XCLIENT ADDR=[UNAVAILABLE] PORT=[UNAVAILABLE] DESTADDR=[UNAVAILABLE] DESTPORT=[UNAVAILABLE] HELO=[UNAVAILABLE]",
    ],
    &["XCLIENT ADDR=192.0.2.9 LOGIN=carol", "HELO x"],
    &[
        "EHLO filter.test",
        "XFORWARD NAME=mail.example.com ADDR=192.0.2.7 PORT=4711",
        "XFORWARD PROTO=ESMTP HELO=x.example.com IDENT=4ABC SOURCE=REMOTE",
    ],
    &["EHLO filter.test", "XFORWARD ADDR=IPv6:2001:db8::7 SOURCE=LOCAL"],
    &["EHLO filter.test", "XFORWARD IDENT=4ABC+20def"],
    &[
        "XCLIENT NAME=a.example.com ADDR=192.0.2.8",
        "EHLO filter.test",
        "XFORWARD NAME=b.example.com HELO=[UNAVAILABLE]",
    ],
];

/// The envelope and the Received: header of each message.
fn kept(which: Which) -> Vec<String> {
    let system = System::start(which, SETTINGS);
    let mut kept = Vec::new();
    for case in CASES {
        let mut talk = Talk::to(system.address());
        let _ = talk.reply();
        for line in *case {
            let reply = talk.say(line);
            assert!(reply.starts_with('2'), "{which:?}: {line}: {reply}");
        }
        for (line, code) in
            [("MAIL FROM:<a@example.com>", "250"), ("RCPT TO:<b@mx.test>", "250"), ("DATA", "354")]
        {
            let reply = talk.say(line);
            assert!(reply.starts_with(code), "{which:?}: {case:?} {line}: {reply}");
        }
        let reply = talk.say("Subject: x\r\n\r\nbody\r\n.");
        let id = reply.rsplit(' ').next().unwrap().to_owned();
        assert_eq!(talk.say("QUIT"), "221 2.0.0 Bye");
        let output = system.command("postcat", &["-e", "-h", "-q", &id]);
        let text = String::from_utf8_lossy(&output.stdout).replace(&id, "ID");
        kept.push(format!("{case:?}\n{}", essence(&text, system.address().port())));
    }
    kept
}

/// Without what depends on the moment.
fn essence(text: &str, port: u16) -> String {
    let text = text.replace(&format!("server_port={port}"), "server_port=PORT");
    let wanted = |line: &&str| {
        let is_attribute = line.starts_with("named_attribute: ") && !line.contains("create_time=")
            // 3.7 has no such attribute.
            && !line.contains("message_id=");
        // The port of a client of the test's own is the system's choice.
        let is_chosen =
            line.contains("client_port=") && !line.ends_with("=4711") && !line.ends_with("=unknown");
        is_attribute && !is_chosen
            || line.starts_with("Received: ")
            || line.starts_with("\tby ")
            || line.starts_with("\t(")
    };
    let lines: Vec<&str> = text.lines().filter(wanted).collect();
    lines.join("\n")
}

#[test]
fn queue_files_say_whom_a_message_comes_from() {
    let (postfix, posthaste) = (kept(Which::Postfix), kept(Which::Posthaste));
    assert_eq!(postfix.join("\n\n"), posthaste.join("\n\n"));
    assert!(postfix[5].contains("log_message_origin=mail.example.com[192.0.2.7]"), "{}", postfix[5]);
    assert!(postfix[5].contains("client_address=127.0.0.1"), "{}", postfix[5]);
}
