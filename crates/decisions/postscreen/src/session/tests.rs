use super::{tests_support::Lines, *};
use config::Values;
use types::WallTime;
use world::{
    Answer,
    testing::{FakeTables, now},
};

const CLIENT: &str = "192.0.2.1:4000";
const SERVER: &str = "198.51.100.1:25";
const EPOCH: i64 = 1_700_000_000;

/// A service, and its cache.
struct Bench {
    screening: Rc<Screening>,
    cache: std::cell::RefCell<std::collections::HashMap<String, String>>,
    seconds: std::cell::Cell<u64>,
}

impl Results for Bench {
    fn lookup<'a>(&'a self, client: &'a str) -> Answer<'a, Option<Vec<u8>>> {
        Answer::ready(self.cache.borrow().get(client).map(|entry| entry.clone().into_bytes()))
    }
}

/// A session on it.
struct Guest<'a> {
    bench: &'a Bench,
    session: Session,
    course: Course,
    lines: Rc<Lines>,
}

impl Bench {
    fn new(settings: &[(&str, &str)]) -> Self {
        let mut all = vec![
            ("compatibility_level", "3.6"),
            ("myhostname", "mx.test"),
            ("mynetworks", "127.0.0.0/8"),
            ("smtpd_client_connection_count_limit", "50"),
            ("postscreen_allowlist_interfaces", "0.0.0.0/0"),
        ];
        all.extend(settings);
        let tables = FakeTables::new(&[
            ("hash:lists", "secret.test", "a list"),
            ("hash:discard", "192.0.2.1", "silent-discard etrn"),
        ]);
        let screening =
            Screening::open(&Values::for_tests(&all), &tables, |at| at.seconds.to_string()).unwrap();
        Self { screening: Rc::new(screening), cache: Default::default(), seconds: Default::default() }
    }

    fn moment(&self) -> Moment {
        let seconds = self.seconds.get();
        Moment {
            now: Instant::from_nanos(0) + Duration::from_secs(seconds),
            wall: WallTime::new(EPOCH + i64::try_from(seconds).unwrap(), 0),
        }
    }

    fn pass(&self, seconds: u64) {
        self.seconds.set(self.seconds.get() + seconds);
    }

    fn connect(&self, client: &str) -> Guest<'_> {
        let (log, lines) = Lines::logger();
        let ends = (client.parse().unwrap(), SERVER.parse().unwrap());
        let mut session = Session::new(Rc::clone(&self.screening), ends, log, self.moment().now);
        let course = now(session.judge(self.moment(), self));
        let mut guest = Guest { bench: self, session, course, lines };
        guest.remember();
        guest
    }
}

impl Guest<'_> {
    fn remember(&mut self) {
        if let Some(record) = self.session.take_record() {
            self.bench.cache.borrow_mut().insert(self.session.client.ip().to_string(), record);
        }
    }

    fn follow(&mut self, course: Course) {
        self.course = course;
        self.remember();
    }

    fn says_early(&mut self, text: &str) {
        let course = now(self.session.spoke(self.bench.moment(), text.as_bytes(), None));
        self.follow(course);
    }

    fn says(&mut self, text: &str) {
        let course = now(self.session.commands(self.bench.moment(), text.as_bytes()));
        self.follow(course);
    }

    fn lists(&mut self, total: i64, ttl_seconds: i64) {
        let score = Score { total, ttl_seconds: Some(ttl_seconds), domain: Some(0) };
        let course = now(self.session.lists_answered(self.bench.moment(), score));
        self.follow(course);
    }

    fn waits(&mut self) {
        let Course::Early { deadline, .. } = self.course else { panic!("{:?}", self.course) };
        self.bench.pass(deadline.since(self.bench.moment().now).as_secs());
        let course = now(self.session.time_is_up(self.bench.moment(), None));
        self.follow(course);
    }

    fn hears(&mut self) -> String {
        let bytes = now(self.session.take_output(self.bench.moment()));
        String::from_utf8(bytes).unwrap().replace("\r\n", "|")
    }

    /// The log without `[192.0.2.1]:4000`.
    fn logged(&self) -> String {
        self.lines.text().replace(" [192.0.2.1]:4000", "").replace('\n', "|")
    }
}

#[test]
fn patience_is_remembered_until_it_runs_out() {
    let bench = Bench::new(&[]);
    let mut guest = bench.connect(CLIENT);
    assert_eq!(guest.hears(), "220-mx.test ESMTP Postfix|");
    guest.waits();
    assert_eq!(guest.course, Course::HandOver);
    assert_eq!(guest.logged(), "CONNECT from to [198.51.100.1]:25|PASS NEW");
    assert_eq!(guest.hears(), "");
    drop(guest);
    let until = EPOCH + 6 + 86_400;
    assert_eq!(bench.cache.borrow()["192.0.2.1"], format!("{until};1;1;1;1"));
    bench.pass(86_400);
    let again = bench.connect(CLIENT);
    assert_eq!((again.course, again.logged().ends_with("PASS OLD")), (Course::HandOver, true));
    drop(again);
    bench.pass(1);
    let mut late = bench.connect(CLIENT);
    assert!(matches!(late.course, Course::Early { listens: true, .. }));
    late.waits();
    assert!(late.logged().ends_with("PASS OLD"));
}

#[test]
fn who_speaks_too_early_is_ignored_refused_or_dropped() {
    let check = |action: &str, course: &str, heard: &str| {
        let bench = Bench::new(&[("postscreen_greet_action", action)]);
        let mut guest = bench.connect(CLIENT);
        guest.hears();
        bench.pass(1);
        guest.says_early("HELO x\r\n");
        assert_eq!(format!("{:?}", guest.course).split(' ').next(), Some(course), "{action}");
        assert_eq!(guest.hears(), heard, "{action}");
        assert!(bench.cache.borrow().is_empty(), "{action}");
        let logged = guest.logged();
        assert!(logged.contains("PREGREET 8 after 1 from: HELO x\\r\\n"), "{logged}");
    };
    check("ignore", "HandOver", "");
    check("continue", "HandOver", "");
    check("enforce", "Commands", "");
    check("drop", "Close", "521 5.5.1 Protocol error|");
}

#[test]
fn smtpd_reads_what_was_said_too_early() {
    let bench = Bench::new(&[]);
    let mut guest = bench.connect(CLIENT);
    guest.says_early("HELO x\r\n");
    assert_eq!((guest.course, guest.session.take_unread()), (Course::HandOver, b"HELO x\r\n".to_vec()));
}

#[test]
fn lists_end_the_wait_when_nothing_else_is_waited_for() {
    let settings = [
        ("postscreen_greet_banner", ""),
        ("postscreen_dnsbl_sites", "secret.test"),
        ("postscreen_dnsbl_action", "enforce"),
        ("postscreen_dnsbl_reply_map", "hash:lists"),
    ];
    let bench = Bench::new(&settings);
    let mut guest = bench.connect(CLIENT);
    assert!(matches!(guest.course, Course::Early { listens: false, .. }));
    assert!(guest.session.wants_score());
    guest.lists(0, 5);
    assert_eq!(guest.course, Course::HandOver);
    drop(guest);
    // The least time counts.
    assert_eq!(bench.cache.borrow()["192.0.2.1"], format!("1;{};1;1;1", EPOCH + 60));
    let mut listed = bench.connect("192.0.2.2:4000");
    listed.lists(1, 5);
    assert_eq!(listed.hears(), "220 mx.test ESMTP Postfix|");
    listed.says("HELO x\r\n");
    listed.says("MAIL FROM:<>\r\n");
    listed.says("RCPT TO:<bob@mx.test>\r\n");
    let refusal = "550 5.7.1 Service unavailable; client [192.0.2.2] blocked using a list|";
    assert_eq!(listed.hears(), format!("250 mx.test|250 2.1.0 Ok|{refusal}"));
    assert!(listed.lines.text().contains("DNSBL rank 1 for [192.0.2.2]:4000"));
}

#[test]
fn a_list_that_may_not_be_named_is_not_named_by_mistake() {
    let settings = [
        ("postscreen_greet_banner", ""),
        ("postscreen_dnsbl_sites", "secret.test"),
        ("postscreen_dnsbl_action", "drop"),
        ("postscreen_dnsbl_reply_map", "fail:lists"),
    ];
    let bench = Bench::new(&settings);
    let mut guest = bench.connect(CLIENT);
    guest.lists(9, 5);
    assert_eq!(
        (guest.course, guest.hears().as_str()),
        (Course::Close, "421 4.3.2 Service currently unavailable|")
    );
}

#[test]
fn a_good_name_makes_up_for_all_other_tests() {
    let settings = [
        ("postscreen_dnsbl_sites", "secret.test*-5"),
        ("postscreen_dnsbl_allowlist_threshold", "-2"),
        ("postscreen_pipelining_enable", "yes"),
    ];
    let bench = Bench::new(&settings);
    let mut guest = bench.connect(CLIENT);
    guest.lists(-5, 600);
    assert_eq!(guest.course, Course::HandOver);
    assert!(guest.logged().ends_with("PASS NEW"));
    let until = EPOCH + 600;
    assert_eq!(bench.cache.borrow()["192.0.2.1"], format!("{until};{until};{until};{until};{until}"));
}

#[test]
fn good_clients_come_back_and_are_served() {
    let settings = [("postscreen_greet_banner", ""), ("postscreen_pipelining_enable", "yes")];
    let bench = Bench::new(&settings);
    let mut guest = bench.connect(CLIENT);
    for line in ["EHLO x\r\n", "MAIL FROM:<a@b.test>\r\n", "RCPT TO:<c@mx.test>\r\n"] {
        guest.says(line);
    }
    assert!(guest.hears().ends_with("450 4.3.2 Service currently unavailable|"));
    guest.says("QUIT\r\n");
    assert_eq!((guest.course, guest.hears().as_str()), (Course::Close, "221 2.0.0 Bye|"));
    assert!(guest.logged().ends_with("PASS NEW|DISCONNECT"));
    drop(guest);
    assert_eq!(bench.connect(CLIENT).course, Course::HandOver);
}

#[test]
fn commands_in_pieces_are_commands() {
    let settings = [("postscreen_greet_banner", ""), ("postscreen_pipelining_enable", "yes")];
    let bench = Bench::new(&settings);
    let mut guest = bench.connect(CLIENT);
    guest.hears();
    for byte in "HELO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<c@mx.test>\r\n".chars() {
        guest.says(&byte.to_string());
    }
    assert_eq!(guest.hears(), "250 mx.test|250 2.1.0 Ok|450 4.3.2 Service currently unavailable|");
}

#[test]
fn a_line_without_end_is_no_command() {
    let bench = Bench::new(&[("postscreen_greet_banner", ""), ("postscreen_bare_newline_enable", "yes")]);
    let mut guest = bench.connect(CLIENT);
    guest.says("HELO x\r\n");
    guest.hears();
    for _ in 0..3 {
        guest.says(&"x".repeat(1000));
    }
    assert_eq!(guest.course, Course::Close);
    assert_eq!(guest.hears(), "421 mx.test Service unavailable - try again later|");
    assert!(guest.logged().contains("COMMAND LENGTH LIMIT from after HELO"));
}

#[test]
fn places_run_out() {
    let settings = [("smtpd_client_connection_count_limit", "2"), ("postscreen_pre_queue_limit", "10")];
    let bench = Bench::new(&settings);
    let _first = bench.connect(CLIENT);
    let second = bench.connect(CLIENT);
    let mut third = bench.connect(CLIENT);
    assert_eq!(
        (third.course, third.hears().as_str()),
        (Course::Close, "421 4.7.0 Error: too many connections|")
    );
    assert!(third.logged().contains("NOQUEUE: reject: CONNECT from: too many connections"));
    drop((second, third));
    let others: Vec<_> = (2..10).map(|last| bench.connect(&format!("192.0.2.{last}:1"))).collect();
    let told: Vec<String> = others.iter().map(|guest| guest.lines.text()).collect();
    assert!(told[7].contains("entering STRESS mode with 9 connections"), "{told:?}");
    // Under stress nobody waits long.
    let Course::Early { deadline, .. } = others[7].course else { panic!() };
    assert_eq!(deadline.since(bench.moment().now), Duration::from_secs(2));
    let mut last = bench.connect("192.0.2.99:1");
    assert_eq!(last.hears(), "421 4.3.2 All screening ports are busy|");
    let passing: Vec<_> = (0..100).map(|_| others[0].session.passing()).collect();
    let mut refused = bench.connect("192.0.2.98:1");
    assert_eq!(refused.hears(), "421 4.3.2 All server ports are busy|");
    drop((last, refused, passing));
    let lines: Vec<_> = others.iter().map(|guest| Rc::clone(&guest.lines)).collect();
    drop(others);
    assert!(lines.iter().any(|lines| lines.text().contains("leaving STRESS mode with 7 connections")));
    assert_eq!(bench.screening.connections(), 1);
}

#[test]
fn without_smtpd_clients_are_told_after_the_greeting() {
    let bench = Bench::new(&[]);
    let mut guest = bench.connect(CLIENT);
    guest.waits();
    guest.hears();
    let course = guest.session.cannot_pass(bench.moment(), "No such file or directory");
    guest.follow(course);
    assert_eq!(guest.hears(), "220 mx.test ESMTP Postfix|");
    guest.says("EHLO x\r\n");
    assert_eq!((guest.course, guest.hears().as_str()), (Course::Close, "421 4.3.2 No system resources|"));
    assert!(guest.logged().contains("cannot connect to service private/smtpd: No such file or directory"));
    drop(guest);
    let mut again = bench.connect(CLIENT);
    let course = again.session.cannot_pass(bench.moment(), "No such file or directory");
    again.follow(course);
    assert_eq!(
        (again.course, again.hears().as_str()),
        (Course::Close, "421 4.3.2 All server ports are busy|")
    );
}

#[test]
fn a_table_that_fails_lets_nobody_through_and_ends_nothing_but_the_session() {
    let check = |name: &str, says: &[&str], heard: &str| {
        let bench = Bench::new(&[
            ("postscreen_greet_banner", ""),
            (name, "fail:x"),
            ("postscreen_pipelining_enable", "yes"),
        ]);
        let mut guest = bench.connect(CLIENT);
        guest.hears();
        says.iter().for_each(|line| guest.says(line));
        assert_eq!(guest.hears(), heard, "{name}");
    };
    let later = "421 mx.test Service unavailable - try again later|";
    check("postscreen_command_filter", &["HELO x\r\n"], later);
    check("postscreen_discard_ehlo_keyword_address_maps", &["EHLO x\r\n"], later);
    check("postscreen_reject_footer_maps", &["WHAT\r\n"], "502 5.5.2 Error: command not recognized|");
    check("postscreen_forbidden_commands", &["WHAT\r\n"], "502 5.5.2 Error: command not recognized|");
    let bench = Bench::new(&[("postscreen_allowlist_interfaces", "fail:x")]);
    let mut guest = bench.connect(CLIENT);
    guest.waits();
    assert!(matches!(guest.course, Course::Commands { .. }));
    assert!(guest.logged().contains("ALLOWLIST VETO"));
}

#[test]
fn entries_are_kept_for_a_while_after_they_have_run_out() {
    let bench = Bench::new(&[]);
    let entry = format!("{EPOCH};1;1;1;1");
    assert!(bench.screening.keeps(entry.as_bytes(), EPOCH + 7 * 86_400));
    assert!(!bench.screening.keeps(entry.as_bytes(), EPOCH + 7 * 86_400 + 1));
}

#[test]
fn old_names_are_heard_and_old_words_logged_below_their_level() {
    let check = |settings: &[(&str, &str)], expected: &str| {
        let bench = Bench::new(&[&[("postscreen_access_list", "reject")], settings].concat());
        let (one, two) = (bench.connect(CLIENT), bench.connect("192.0.2.2:1"));
        assert_eq!(one.logged(), expected);
        assert!(!two.lines.text().contains("backwards"));
    };
    check(
        &[("postscreen_blacklist_action", "drop")],
        "CONNECT from to [198.51.100.1]:25|DENYLISTED|DISCONNECT",
    );
    check(
        &[("postscreen_denylist_action", "drop"), ("compatibility_level", "3.5")],
        "CONNECT from to [198.51.100.1]:25|BLACKLISTED|using backwards-compatible default setting \
         respectful_logging=no for client|DISCONNECT",
    );
}

proptest::proptest! {
    #[test]
    fn no_client_makes_it_panic(
        pieces in proptest::collection::vec(proptest::collection::vec(proptest::prelude::any::<u8>(), 1..40), 1..20),
        verbs in proptest::collection::vec("(EHLO|MAIL FROM:|RCPT TO:|VRFY|ETRN|Subject:|BDAT)[ -~]{0,20}\r?\n", 0..20),
    ) {
        let bench = Bench::new(&[
            ("postscreen_greet_banner", ""), ("postscreen_bare_newline_enable", "yes"),
            ("postscreen_pipelining_enable", "yes"), ("postscreen_non_smtp_command_enable", "yes"),
            ("postscreen_non_smtp_command_action", "enforce"),
        ]);
        let mut guest = bench.connect(CLIENT);
        for piece in pieces.into_iter().chain(verbs.into_iter().map(String::into_bytes)) {
            if guest.course == Course::Close {
                break;
            }
            let course = now(guest.session.commands(bench.moment(), &piece));
            guest.follow(course);
        }
        let heard = guest.hears();
        proptest::prop_assert!(heard.split_terminator('|').all(|line| line.len() >= 3 && line.is_char_boundary(3)));
    }
}
