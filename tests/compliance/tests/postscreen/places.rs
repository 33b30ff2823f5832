//! Limits, and the way to smtpd: commands that are too long or too many, places that run out, stress, and which row of
//! master.cf serves those who have passed.

use crate::{
    MAIL, RCPT,
    talk::{
        Conversation, End, Hear, Say, Send, Talk, Until, all_logged, connect, converse, log_of, run,
        run_alone, screened,
    },
};
use compliance::{
    plain::told_alike,
    system::{System, Which},
};

const QUIT: &str = "QUIT\r\n";

fn limits(which: Which) -> Vec<String> {
    let settings = "postscreen_greet_banner =\nline_length_limit = 512\npostscreen_command_count_limit = 4\n\
        postscreen_pipelining_enable = yes\npostscreen_pipelining_action = ignore\n\
        postscreen_bare_newline_enable = yes\npostscreen_bare_newline_action = ignore";
    let system = screened(which, settings);
    run(&system);
    let line =
        |count: usize, end: &str| -> &'static str { format!("NOOP {}{end}", "x".repeat(count)).leak() };
    let conversations: Vec<Conversation> = vec![
        (111, vec![Hear, Say(line(400, "\r\n")), Say(line(600, "\r\n")), End].leak()),
        (112, vec![Hear, Say(line(3000, "")), End].leak()),
        (113, vec![Hear, Say("NOOP\r\n"), Say("NOOP\r\n"), Say("NOOP\r\n"), Say("NOOP\r\n"), Say("NOOP\r\n"), End].leak()),
        // The end is no command too many.
        (114, vec![Hear, Say("NOOP\r\n"), Say("NOOP\r\n"), Say("NOOP\r\n"), Say("NOOP\r\n"), Say(QUIT), End].leak()),
        (115, vec![Hear, Send("NOOP\r\nNOOP\r\nNOOP\r\nNOOP\r\nNOOP\r\nQUIT\r\n"), End].leak()),
        // What is shown of a text that is not plain, and of a long one.
        (116, vec![Hear, Say("EHLO \u{e9}\t\\\x01x\n"), Say(QUIT), End].leak()),
        (117, vec![Hear, Say(line(200, "\n")), Say(QUIT), End].leak()),
        (118, vec![Hear, Send(line(1, "\r\nNOOP \\\u{e9}\t\x7fxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n")), Hear, Hear, Say(QUIT), End].leak()),
    ];
    converse(&system, &conversations)
}

#[test]
fn commands_are_limited_in_length_and_number() {
    let told = told_alike(limits).join("\n");
    for line in [
        "COMMAND LENGTH LIMIT from [127.0.0.111]:PORT after NOOP",
        "COMMAND LENGTH LIMIT from [127.0.0.112]:PORT after CONNECT",
        "COMMAND COUNT LIMIT from [127.0.0.113]:PORT after NOOP",
        "COMMAND PIPELINING from [127.0.0.115]:PORT after NOOP: NOOP\\r\\nNOOP\\r\\n",
    ] {
        assert!(told.contains(line), "{line} is missing in\n{told}");
    }
}

fn old_words(which: Which) -> Vec<String> {
    let settings = "compatibility_level = 3.5\npostscreen_denylist_action = drop\n\
        postscreen_access_list = inline:{ {127.0.0.121 = reject} {127.0.0.122 = permit} }\n\
        postscreen_whitelist_interfaces = !127.0.0.1 static:all";
    let system = screened(which, settings);
    run(&system);
    let conversations: [Conversation; 3] = [
        (121, &[End]),
        (122, &[Hear, Say(QUIT), End]),
        (123, &[Hear, Say("EHLO x\r\n"), Say(MAIL), Say(RCPT), Say(QUIT), End]),
    ];
    let mut told: Vec<String> =
        conversations.iter().flat_map(|one| converse(&system, std::slice::from_ref(one))).collect();
    let notes = system
        .log()
        .matches("using backwards-compatible default setting respectful_logging=no for client [")
        .count();
    told.push(format!("{notes} note"));
    told
}

/// postconf(5) `respectful_logging`, and the parameters' old names.
#[test]
fn old_words_are_logged_below_their_level() {
    let told = told_alike(old_words).join("\n");
    for line in [
        "BLACKLISTED [127.0.0.121]:PORT",
        "WHITELISTED [127.0.0.122]:PORT",
        "WHITELIST VETO [127.0.0.123]:PORT",
    ] {
        assert!(told.contains(line), "{line} is missing in\n{told}");
    }
}

/// A client that has connected, as the log says.
fn arrived(system: &System, client: u8) -> Talk {
    let talk = Talk::new(connect(system, client));
    system.wait_until("it is there", || log_of(system, client).iter().any(|line| line.contains("CONNECT")));
    talk
}

fn stress(which: Which) -> Vec<String> {
    let settings = "postscreen_pre_queue_limit = 10\npostscreen_greet_wait = ${stress?{2}:{7}}s";
    let system = screened(which, settings);
    run_alone(&system);
    let mut talks: Vec<Talk> = (131..=140).map(|client| arrived(&system, client)).collect();
    let mut refused = talks.remove(9);
    refused.act(End);
    for talk in talks.iter_mut().rev() {
        [Until("220 "), Say(QUIT), End].into_iter().for_each(|step| talk.act(step));
    }
    system.wait_until("the stress is over", || system.log().contains("leaving STRESS mode"));
    let mut told: Vec<String> = talks.iter().map(|talk| talk.text.join("\n")).collect();
    told.push(refused.text.join("\n"));
    // Those who have waited as long as each other pass in any order.
    let mut lines = all_logged(&system);
    lines.sort();
    told.extend(lines);
    told
}

#[test]
fn many_clients_are_stress_and_more_are_refused() {
    let told = told_alike(stress).join("\n");
    for line in [
        "entering STRESS mode with 9 connections",
        "reject: connect from [127.0.0.140]:PORT: all screening ports busy",
        "421 4.3.2 All screening ports are busy",
        "leaving STRESS mode with 7 connections",
    ] {
        assert!(told.contains(line), "{line} is missing in\n{told}");
    }
}

fn queue_for_smtpd(which: Which) -> Vec<String> {
    let settings =
        "postscreen_post_queue_limit = 5\nsmtpd_service_name = one\npostscreen_access_list = static:permit";
    let system = screened(which, settings);
    system.add_services("one pass - - n - 1 smtpd -o smtpd_banner=one\n");
    run_alone(&system);
    let mut first = arrived(&system, 151);
    first.act(Hear);
    let mut waiting: Vec<Talk> = (152..=156).map(|client| arrived(&system, client)).collect();
    let mut refused = arrived(&system, 157);
    refused.act(End);
    [Say(QUIT), End].into_iter().for_each(|step| first.act(step));
    for talk in &mut waiting {
        [Hear, Say(QUIT), End].into_iter().for_each(|step| talk.act(step));
    }
    let mut told: Vec<String> =
        [vec![first, refused], waiting].into_iter().flatten().map(|talk| talk.text.join("\n")).collect();
    told.push(all_logged(&system).join("\n"));
    told
}

#[test]
fn so_many_wait_for_smtpd_and_no_more() {
    let told = told_alike(queue_for_smtpd).join("\n");
    for line in [
        "421 4.3.2 All server ports are busy",
        "NOQUEUE: reject: CONNECT from [127.0.0.157]:PORT: all server ports busy",
        "220 one",
    ] {
        assert!(told.contains(line), "{line} is missing in\n{told}");
    }
}

fn nowhere(which: Which) -> Vec<String> {
    let settings = "smtpd_service_name = nowhere\npostscreen_access_list = inline:{ {127.0.0.161 = permit} }";
    let system = screened(which, settings);
    run(&system);
    let mut told = converse(
        &system,
        &[
            (161, &[End]),
            (162, &[Hear, Say("EHLO x\r\n"), End]),
            (163, &[Hear, Say(QUIT), End]),
            (164, &[Hear, Send("NOOP\r\nNOOP\r\n"), End]),
        ],
    );
    let mut again = Talk::new(connect(&system, 162));
    again.act(End);
    told.push(again.text.join("\n"));
    let warning = "warning: cannot connect to service private/nowhere: No such file or directory";
    system.wait_until("each is warned of", || system.log().matches(warning).count() == 5);
    told.push(log_of(&system, 162).join("\n"));
    told
}

#[test]
fn without_a_row_for_smtpd_clients_come_back_later() {
    let told = told_alike(nowhere).join("\n");
    for line in ["421 4.3.2 No system resources", "421 4.3.2 All server ports are busy"] {
        assert!(told.contains(line), "{line} is missing in\n{told}");
    }
}
