//! Clients that make errors wait (postconf(5) `smtpd_error_sleep_time`), as at Debian's.

use compliance::{
    system::{System, Which},
    wire::Talk,
};
use std::time::{Duration, Instant};

/// Behind the error that reaches the soft limit each reply waits, those to good commands too; the hard limit ends the session.
#[test]
fn behind_the_soft_limit_replies_wait() {
    let settings = "smtpd_peername_lookup = no\nsmtpd_banner = hello\nsmtpd_error_sleep_time = 1s\n\
        smtpd_soft_error_limit = 2\nsmtpd_hard_error_limit = 3\n";
    for which in [Which::Postfix, Which::Posthaste] {
        let system = System::start(which, settings);
        let mut talk = Talk::to(system.address());
        talk.reply();
        let mut slow = Vec::new();
        let mut say = |line: &str, code: &str| {
            let begun = Instant::now();
            let reply = talk.say(line);
            assert!(reply.starts_with(code), "{which:?}: {line}: {reply}");
            slow.push(begun.elapsed() >= Duration::from_millis(950));
        };
        for (line, code) in
            [("FOO", "500 5.5.2"), ("FOO", "500 5.5.2"), ("NOOP", "250 2.0.0"), ("FOO", "500 5.5.2")]
        {
            say(line, code);
        }
        assert_eq!(slow[2..], [true; 2], "{which:?}");
        let rest = String::from_utf8_lossy(&talk.rest()).into_owned();
        assert_eq!(rest, "421 4.7.0 mx.test Error: too many errors\r\n", "{which:?}");
    }
}
