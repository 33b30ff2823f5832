//! A client that means no harm: whatever others do, it is served.

#![expect(clippy::expect_used, reason = "a fixture that cannot do its work fails the test")]

use crate::{system::System, wire::Talk};
use std::net::{Ipv4Addr, SocketAddr};

/// Whom nothing is held against.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 9, 9, 9);

/// Hands in one message, which is taken.
pub fn hand_in(system: &System, recipient: &str) {
    hand_in_at(system, (system.address(), ""), recipient);
}

/// The same at another port of the system, with something to say first (a proxy's header).
///
/// # Panics
/// The message was not taken.
pub fn hand_in_at(system: &System, (server, first): (SocketAddr, &str), recipient: &str) {
    let mut talk = Talk::from(ADDRESS, server).expect("the server listens");
    talk.send(first.as_bytes());
    let greeting = talk.reply().unwrap_or_default();
    assert!(greeting.starts_with("220"), "{greeting}\n{}", system.log());
    let recipient = format!("RCPT TO:<{recipient}>");
    for line in ["EHLO ok.test", "MAIL FROM:<ok@ok.test>", &recipient] {
        let reply = talk.say(line);
        assert!(reply.starts_with("250"), "{line}: {reply}\n{}", system.log());
    }
    assert!(talk.say("DATA").starts_with("354"));
    let reply = talk.say("Subject: ok\r\n\r\nok\r\n.");
    assert!(reply.starts_with("250"), "{reply}\n{}", system.log());
    assert!(talk.say("QUIT").starts_with("221"));
}
