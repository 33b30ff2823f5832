//! A published guide to Postfix on a server of one's own, all its rules together: names of clients, HELO and senders, block
//! lists, SPF by spawn(8), greylisting by postgrey, limits; and what it says that one sees then.

use crate::delegates::{Postgrey, mail, session, start};
use compliance::{
    machine::{INTERNET_SITE, Machine},
    plain::{Plain, told_alike},
    system::{PATIENCE, Which, files},
};
use dns::testing::Server;
use std::{
    fs,
    time::{Duration, Instant},
};

/// The guide's settings, in its order.
const GUIDE: &str = "\
myhostname = example.com
mydomain = $myhostname
myorigin = $mydomain
inet_interfaces = all
inet_protocols = all
mydestination = $mydomain, localhost
mynetworks_style = host
home_mailbox = Maildir/
smtpd_banner = $myhostname ESMTP Why, hello there!
smtpd_client_restrictions = reject_unknown_client_hostname, permit
smtpd_helo_required = yes
smtpd_helo_restrictions = reject_unknown_helo_hostname, reject_non_fqdn_helo_hostname, reject_invalid_helo_hostname, permit
smtpd_sender_login_maps = pcre:/etc/postfix/login_maps.pcre
smtpd_sender_restrictions = reject_non_fqdn_sender, reject_sender_login_mismatch, reject_unknown_sender_domain, permit
smtpd_recipient_restrictions =
  permit_sasl_authenticated,
  reject_invalid_hostname,
  reject_non_fqdn_sender,
  reject_non_fqdn_recipient,
  reject_unauth_destination,
  reject_rbl_client zen.spamhaus.org,
  reject_rbl_client psbl.surriel.com,
  reject_rbl_client bl.spamcop.net,
  check_policy_service unix:private/policy-spf,
  check_policy_service unix:postgrey/socket,
  permit
policy_time_limit = 3600
policy-spf_time_limit = 3600
anvil_rate_time_unit = 120s
smtpd_client_connection_rate_limit = 2400
smtpd_client_message_rate_limit = 12000
smtpd_error_sleep_time = 60
alias_maps = hash:/etc/aliases
smtpd_discard_ehlo_keywords = silent-discard, starttls, etrn, dsn
";

const ROWS: &str = "\
submission inet n - n - - smtpd
policy-spf unix - n n - 0 spawn
  user=nobody argv=/usr/bin/perl /usr/sbin/postfix-policyd-spf-perl
";

/// Clients: one with a name, one without, two on lists.
const CLIENTS: [&str; 4] = ["192.0.2.7", "192.0.2.8", "192.0.2.9", "192.0.2.10"];

const ZONE: &str = "
7.2.0.192.in-addr.arpa PTR mail.internet.com
mail.internet.com A 192.0.2.7
internet.com A 192.0.2.7
internet.com TXT v=spf1 ip4:192.0.2.7 -all
forged.com A 192.0.2.77
forged.com TXT v=spf1 -all
9.2.0.192.in-addr.arpa PTR dialup.listed.com
dialup.listed.com A 192.0.2.9
9.2.0.192.zen.spamhaus.org A 127.0.0.10
9.2.0.192.zen.spamhaus.org TXT http://www.spamhaus.org/query/bl?ip=192.0.2.9
10.2.0.192.in-addr.arpa PTR other.listed.com
other.listed.com A 192.0.2.10
10.2.0.192.psbl.surriel.com A 127.0.0.2
";

fn prepare(which: Which) -> Machine {
    let name = |line: &str| line.split_once('=').map(|(name, _)| name.trim().to_owned());
    let own: Vec<_> = GUIDE.lines().filter_map(name).collect();
    let is_kept = |line: &&str| name(line).is_none_or(|of| of != "mynetworks" && !own.contains(&of));
    let kept: String = INTERNET_SITE.lines().filter(is_kept).flat_map(|line| [line, "\n"]).collect();
    let machine = Machine::new(which, &format!("{kept}{GUIDE}"));
    for client in CLIENTS {
        machine.command("/usr/sbin/ip", &["address", "add", client, "dev", "lo"]);
    }
    fs::write(machine.path("etc/postfix/login_maps.pcre"), "/^(.*)@example.com$/ ${1}\n").unwrap();
    let path = machine.path("etc/postfix/master.cf");
    let rows = fs::read_to_string(&path).unwrap();
    fs::write(path, rows + ROWS).unwrap();
    machine
}

fn story(which: Which) -> Vec<String> {
    let machine = prepare(which);
    let _names = machine.inside(|| Server::start_at("127.0.0.1:53".parse().unwrap(), ZONE).unwrap());
    let _postgrey = Postgrey::start(&machine);
    start(&machine);
    let mut told = Vec::new();
    let mut tell = |client: &str, lines: &[&str]| {
        let lines: Vec<String> = lines.iter().map(|&line| line.to_owned()).collect();
        let replies = session(&machine, client, &lines);
        told.push(format!("{client} {}\n{}", lines.join(" / "), replies.join("\n")));
    };
    let [named, nameless, listed, other] = CLIENTS;
    let to = "RCPT TO: alice@example.com";
    tell(
        named,
        &[
            "MAIL FROM: testuser@internet.com",
            "HELO mail.internet.com",
            "MAIL FROM:<testuser@internet.com>",
            to,
        ],
    );
    tell(
        named,
        &["EHLO mail.internet.com", "MAIL FROM: postmaster@internet.com", "RCPT TO: nonexistent@example.com"],
    );
    tell(
        named,
        &[
            "EHLO mail.internet.com",
            "MAIL FROM: testuser@internet.com",
            "RCPT TO: someone@elsewhere.com",
            "RCPT TO: me",
        ],
    );
    tell(named, &["EHLO mail.internet.com", "MAIL FROM: askljdas@lksjdklfsdjf.com", to]);
    tell(named, &["EHLO mail.internet.com", "MAIL FROM: askljdas", to]);
    tell(named, &["EHLO mail.internet.com", "MAIL FROM: me@example.com", to]);
    tell(named, &["EHLO mail.internet.com", "MAIL FROM: someone@forged.com", to]);
    for helo in ["blarghhh", "no.such.name", "-bad-", "[192.0.2.7]"] {
        tell(named, &[&format!("HELO {helo}"), "MAIL FROM: other@internet.com", to]);
    }
    tell(nameless, &["EHLO mail.internet.com", "MAIL FROM: testuser@internet.com", to]);
    for client in [listed, other] {
        tell(client, &["EHLO mail.internet.com", "MAIL FROM: testuser@internet.com", to]);
    }
    machine.wait_until("all is logged", || {
        let events = machine.events();
        let count = |text: &str| events.iter().filter(|event| event.contains(text)).count();
        count("smtpd: disconnect from") == count("smtpd: connect from")
    });
    let events = machine.events();
    let is_wanted = |event: &&String| event.contains("reject:") || event.contains("warning: Illegal");
    let plain = Plain::new("");
    told.extend(events.iter().filter(is_wanted).map(|event| plain.text(event)));
    told.push(format!("taken\n{}", delivered(&machine, named)));
    told
}

/// Sends until it is not greylisted any more; what the message has above the sender's own lines, in the Maildir.
fn delivered(machine: &Machine, client: &str) -> String {
    let commands: Vec<String> = mail("testuser@internet.com", &["alice"])
        .iter()
        .map(|line| {
            line.replace("client.pass.test", "mail.internet.com").replace("debian.test", "example.com")
        })
        .collect();
    let until = Instant::now() + PATIENCE;
    while !session(machine, client, &commands)[2].starts_with("250") {
        assert!(Instant::now() < until, "the mail is refused for ever");
        std::thread::sleep(Duration::from_millis(200));
    }
    let new = machine.path("home/alice/Maildir/new");
    machine.wait_until("it is delivered", || files(&new).len() == 1);
    let path = &files(&new)[0];
    let text = fs::read_to_string(path).unwrap();
    let names = ["Return-Path: ", "X-Original-To: ", "Delivered-To: ", "Received-SPF: ", "Subject: "];
    let lines = text.lines().filter(|line| names.iter().any(|name| line.starts_with(name)));
    lines.collect::<Vec<_>>().join("\n")
}

/// seed: S015, S016, S018, S083, S084, S085, S087, S088, S089, S142, S143
#[test]
fn a_guides_rules_refuse_what_it_says_and_take_the_rest() {
    let told = told_alike(story);
    let text = told.join("\n");
    for reply in [
        "450 4.1.8 <askljdas@lksjdklfsdjf.com>: Sender address rejected: Domain not found",
        "450 4.7.1 <blarghhh>: Helo command rejected: Host not found",
        "554 5.7.1 Service unavailable; Client host [192.0.2.9] blocked using zen.spamhaus.org; http://www.spamhaus.org/query/bl?ip=192.0.2.9",
        "503 5.5.1 Error: send HELO/EHLO first",
        "Greylisted",
        "Received-SPF: ",
    ] {
        assert!(text.contains(reply), "{reply} is missing in\n{text}");
    }
}
