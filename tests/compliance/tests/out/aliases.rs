//! What the log says of mail to an alias: each address that it stands for, beside Debian's Postfix.

use crate::{
    network::{alone, fates, submit},
    sink::Sink,
};
use compliance::system::{System, Which};
use std::{collections::BTreeMap, fs};

const ZONE: &str = "away.test A 127.0.0.2\n";

/// The fates, and whether each delivery's lines share one number in brackets.
fn outcome(which: Which, recipient: &str) -> BTreeMap<String, Vec<String>> {
    let settings = "local_recipient_maps =\nalias_maps = texthash:$B/etc/aliases\nmail_spool_directory = $B/mail/\n\
        virtual_mailbox_domains = home.test\nvirtual_mailbox_base = $B/mail\nvirtual_mailbox_maps = static:inbox/\n\
        virtual_uid_maps = static:65534\nvirtual_gid_maps = static:65534\n";
    let system = System::prepare(which, settings);
    let aliases = "list nobody, user@away.test, no-such-user\nnested list, nobody\nboth nobody, no-such-user\n\
        far user@away.test\nrenamed nobody\n";
    fs::write(system.path("etc/aliases"), aliases).unwrap();
    system.command("postfix", &["start"]);
    system.wait_until("the SMTP port answers", || std::net::TcpStream::connect(system.address()).is_ok());
    submit(&system, "s@home.test", &[recipient], "Subject: x\r\n\r\nbody");
    system.wait_until("all mail has gone", || {
        let log = system.log();
        let begun = log.matches("(queue active)").count();
        begun > 0 && log.matches(": removed").count() == begun && system.queued("incoming") == 0
    });
    let mut fates = fates(&system.log());
    fates.values_mut().for_each(|lines| lines.sort());
    fates
}

#[test]
fn each_member_of_an_alias_has_its_line() {
    alone("aliases::each_member_of_an_alias_has_its_line", ZONE, || {
        let _sink = Sink::start("127.0.0.2:25", &[]);
        for recipient in ["list@mx.test", "nested@mx.test", "both@mx.test", "far@mx.test", "renamed@mx.test"]
        {
            let (ours, theirs) = (outcome(Which::Posthaste, recipient), outcome(Which::Postfix, recipient));
            assert_eq!(ours, theirs, "{recipient}");
        }
    });
}
