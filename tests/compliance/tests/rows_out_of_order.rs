//! A row of master.cf whose settings cannot be used serves nobody and says why; the others serve. Beside Debian's Postfix.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use compliance::system::{PATIENCE, System, Which, free_port};
use std::{
    io::{self, Read},
    net::TcpStream,
    time::Duration,
};

/// Settings of a row, and what is said of it.
const ROWS: [(&str, &str); 6] = [
    (
        "-o smtpd_relay_restrictions=permit_mynetworks -o smtpd_recipient_restrictions=",
        "in parameter smtpd_relay_restrictions or smtpd_recipient_restrictions, specify at least one working instance \
         of: reject_unauth_destination, defer_unauth_destination, reject, defer, defer_if_permit or check_relay_domains",
    ),
    (
        "-o smtpd_restriction_classes=all -o { all = permit, reject } -o smtpd_relay_restrictions=all \
         -o { smtpd_recipient_restrictions = permit, reject }",
        "in parameter smtpd_relay_restrictions or smtpd_recipient_restrictions",
    ),
    ("-o smtpd_restriction_classes=none", "restriction class `none' needs a definition"),
    ("-o reject_code=abc", "bad numerical configuration: reject_code = abc"),
    ("-o smtpd_timeout=0", "invalid smtpd_timeout: 0 (min 1)"),
    ("-o reject_tempfail_action=later", "bad configuration: unknown_helo_hostname_tempfail_action = later"),
];

/// What a server says first; nothing where it closes the connection, or where nobody serves it.
fn greeting(port: u16, patience: Duration) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("master listens");
    stream.set_read_timeout(Some(patience)).expect("a socket");
    let mut said = [0; 200];
    let count = stream.read(&mut said).or_else(|error| match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::ConnectionReset => Ok(0),
        _ => Err(error),
    });
    String::from_utf8_lossy(&said[..count.expect("a socket")]).into_owned()
}

fn check(which: Which) {
    let system = System::prepare(which, "");
    let ports = ROWS.map(|_| free_port());
    let mut rows = String::new();
    for (at, (port, (settings, _))) in ports.iter().zip(ROWS).enumerate() {
        rows += &format!("127.0.0.1:{port} inet n - n - - smtpd -o syslog_name=row{at} {settings}\n");
    }
    system.add_services(&rows);
    system.run();
    for (at, (port, (_, why))) in ports.into_iter().zip(ROWS).enumerate() {
        assert_eq!(greeting(port, Duration::from_millis(500)), "", "{which:?}: row {at}");
        let is_said = |line: &str| line.contains(&format!(" row{at}/smtpd[")) && line.contains(why);
        system.wait_until("the log says why", || {
            system.log().lines().any(|line| line.contains("]: fatal: ") && is_said(line))
        });
    }
    let said = greeting(system.address().port(), PATIENCE);
    assert!(said.starts_with("220 "), "{which:?}: {said}\n{}", system.log());
}

#[test]
fn a_row_with_settings_that_cannot_be_used_serves_nobody_and_the_others_serve() {
    check(Which::Postfix);
    check(Which::Posthaste);
}
