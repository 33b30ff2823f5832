//! Connections that stay open for the next message, beside Debian's Postfix: `conn_use=` of the log tells which
//! message went over which connection.

use crate::{
    network::{alone, fates, submit},
    sink::Sink,
};
use compliance::system::{System, Which};

const ZONE: &str = "
one.test MX 10 shared.test
two.test MX 10 shared.test
shared.test A 127.0.0.2
dead.test MX 10 nobody.test
dead.test MX 20 backup.test
nobody.test A 127.0.0.7
backup.test A 127.0.0.3
both.test MX 10 first.test
both.test MX 10 second.test
first.test A 127.0.0.4
second.test A 127.0.0.4
bare.test A 127.0.0.5
";

/// Messages one after the other, each when the one before is gone; what the log says of each.
fn run(which: Which, settings: &str, recipients: &[&str]) -> Vec<String> {
    let common = "smtp_connection_cache_time_limit = 30s\nsmtp_connection_cache_on_demand = no\nsmtp_randomize_addresses = no\ntransport_maps = inline:{ \
        { literal.test = smtp:[127.0.0.2] } { port.test = smtp:[127.0.0.2]:25 } { named.test = smtp:[shared.test] } \
        { list.test = smtp:[nobody.test],[shared.test] } { other.test = other:one.test } }\n";
    let system = System::prepare(which, &format!("{common}{settings}"));
    system.add_services("other unix - - n - - smtp\n");
    system.run();
    for recipient in recipients {
        let id = submit(&system, "s@client.test", &[recipient], "Subject: x\r\n\r\nbody");
        system.wait_until("it is gone", || system.log().contains(&format!("{id}: removed")));
    }
    let log = system.log();
    let mut lines: Vec<String> =
        log.lines().filter(|line| line.contains(": connect to ")).map(connect).collect();
    lines.sort();
    for line in log.lines().filter(|line| line.contains("status=")) {
        lines.extend(fates(line).into_values().flatten());
    }
    lines
}

fn connect(line: &str) -> String {
    line.split_once("]: ").unwrap().1.to_owned()
}

#[track_caller]
fn same(settings: &str, recipients: &[&str], uses: &[u32]) {
    let (theirs, ours) =
        (run(Which::Postfix, settings, recipients), run(Which::Posthaste, settings, recipients));
    assert_eq!(ours, theirs, "{settings}{recipients:?}");
    let uses_of = |line: &String| {
        let (_, rest) = line.split_once("conn_use=").unwrap_or(("", "1"));
        rest.split(',').next().unwrap().parse::<u32>().unwrap()
    };
    let found: Vec<u32> = ours.iter().filter(|line| line.contains("status=")).map(uses_of).collect();
    assert_eq!(found, uses, "{settings}{ours:#?}");
}

#[test]
fn listed_destinations_share_connections_by_name_and_by_address() {
    let test = "reuse::listed_destinations_share_connections_by_name_and_by_address";
    alone(test, ZONE, || {
        let _servers = [
            Sink::start("127.0.0.2:25", &[]),
            Sink::start("127.0.0.3:25", &[]),
            Sink::start("127.0.0.4:25", &[]),
        ];
        let all = "smtp_connection_cache_destinations = static:all\n";
        let ten = ["u@one.test"; 6];
        same(all, &ten, &[1, 2, 3, 4, 5, 6]);
        same(&format!("{all}smtp_connection_reuse_count_limit = 2\n"), &ten, &[1, 2, 3, 1, 2, 3]);
        same(&format!("{all}smtp_connection_reuse_count_limit = 1\n"), &ten, &[1, 2, 1, 2, 1, 2]);
        let mixed =
            ["u@one.test", "u@two.test", "u@literal.test", "u@port.test", "u@named.test", "u@one.test"];
        same(all, &mixed, &[1, 2, 3, 4, 5, 6]);
        // Services never share.
        same(all, &["u@one.test", "u@other.test", "u@two.test", "u@other.test"], &[1, 1, 2, 2]);
        let listed = "smtp_connection_cache_destinations = !two.test, ONE.test, inline:{127.0.0.2=x}\n";
        same(listed, &["u@one.test", "u@two.test", "u@one.test", "u@two.test"], &[1, 1, 2, 1]);
        same(listed, &["u@literal.test", "u@port.test", "u@named.test"], &[1, 2, 1]);
        same(all, &["u@both.test", "u@both.test"], &[1, 2]);
    });
}

#[test]
fn hosts_that_do_not_answer_are_skipped_while_a_connection_is_open() {
    let test = "reuse::hosts_that_do_not_answer_are_skipped_while_a_connection_is_open";
    alone(test, ZONE, || {
        let _servers = [Sink::start("127.0.0.2:25", &[]), Sink::start("127.0.0.3:25", &[])];
        let all = "smtp_connection_cache_destinations = static:all\n";
        same(all, &["u@dead.test", "u@dead.test", "u@dead.test"], &[1, 2, 3]);
        same(all, &["u@list.test", "u@list.test"], &[1, 2]);
        let fallback = format!("{all}smtp_fallback_relay = [shared.test]\n");
        same(&fallback, &["u@nobody.test", "u@nobody.test", "u@two.test"], &[1, 2, 3]);
    });
}

#[test]
fn a_server_that_ends_a_connection_loses_no_mail() {
    let test = "reuse::a_server_that_ends_a_connection_loses_no_mail";
    alone(test, ZONE, || {
        let _servers =
            [Sink::start("127.0.0.5:25", &["QUIT => HANGUP", "RCPT TO:<refused@ => 501 5.5.4 what"])];
        let all = "smtp_connection_cache_destinations = static:all\nmaximal_queue_lifetime = 0\n";
        // A server that finds fault with our words is not spoken to again. The third line is the sender's notice.
        same(all, &["u@bare.test", "refused@bare.test", "u@bare.test"], &[1, 2, 1, 1]);
    });
}
