//! mailq(1), postqueue(1), postcat(1) and postsuper(1) on a running system, with mail in every queue, as root and as a
//! user, beside Debian's: what they say, and what becomes of the mail.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use compliance::{
    machine::{INTERNET_SITE, Machine},
    plain::{Plain, difference, told_alike},
    smtp::Sink,
    system::{Which, files},
};
use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, SystemTime},
};

const QUEUES: [&str; 7] = ["maildrop", "incoming", "active", "deferred", "hold", "defer", "bounce"];

/// A machine with a slow server, and all that was said and seen.
struct Story {
    machine: Machine,
    sink: Sink,
    told: Vec<String>,
}

impl Story {
    /// With a server for all mail to `later.test` and `slow.test`. These are lines of main.cf.
    fn begin(which: Which, settings: &[&str]) -> Self {
        let machine = Machine::new(which, INTERNET_SITE);
        let sink = machine.inside(|| Sink::start().expect("a port"));
        let story = Self { machine, sink, told: Vec::new() };
        let server = format!("smtp:[127.0.0.1]:{}", story.sink.address.port());
        story.set(&format!(
            "transport_maps = inline:{{ {{later.test = {server}}} {{slow.test = {server}}} }}"
        ));
        story.set("virtual_alias_maps = hash:/etc/postfix/virtual");
        settings.iter().for_each(|setting| story.set(setting));
        story.rewrite("");
        // What was put back into maildrop is looked at when a test wants it.
        let master_cf = story.machine.path("etc/postfix/master.cf");
        let text = fs::read_to_string(&master_cf).expect("our own file");
        let quiet = |line: &str| match line.split_whitespace().next() {
            Some("pickup") => "pickup unix n - y 0 1 pickup\n".to_owned(),
            _ => format!("{line}\n"),
        };
        fs::write(master_cf, text.lines().map(quiet).collect::<String>()).expect("space");
        story.machine.command("postfix", &["start"]);
        story.machine.wait_until("port 25 answers", || story.machine.connect().is_some());
        story
    }

    /// What virtual_alias_maps say from now on.
    fn rewrite(&self, rules: &str) {
        fs::write(self.machine.path("etc/postfix/virtual"), rules).expect("space");
        self.machine.command("postmap", &["hash:/etc/postfix/virtual"]);
    }

    fn set(&self, setting: &str) {
        let path = self.machine.path("etc/postfix/main.cf");
        let text = fs::read_to_string(&path).expect("our own file");
        let name = |line: &str| line.split('=').next().unwrap_or_default().trim().to_owned();
        let kept: String =
            text.lines().filter(|line| name(line) != name(setting)).flat_map(|line| [line, "\n"]).collect();
        fs::write(&path, format!("{kept}{setting}\n")).expect("space");
        // Postfix waits until a file that is being edited is some seconds old.
        let file = fs::File::options().write(true).open(path).expect("our own file");
        file.set_modified(SystemTime::now() - Duration::from_secs(60)).expect("our own file");
    }

    /// A message of this name.
    fn submit(&self, name: &str, recipients: &[&str]) {
        let mut command = self.machine.program_as("alice", "sendmail");
        command.args(["-f", "alice@debian.test"]).args(recipients);
        let message = format!("Message-ID: <{name}@names.test>\nSubject: {name}\n\nbody\n");
        let output = self.machine.feed(command, &message);
        assert!(output.status.success(), "{output:?}");
    }

    /// The names of messages by their queue ids, of which a message may have had several.
    fn names(&self) -> BTreeMap<String, String> {
        let mut names = BTreeMap::new();
        for line in self.machine.events() {
            let found = line.strip_prefix("postfix/cleanup: ").and_then(|rest| {
                let (id, rest) = rest.split_once(": message-id=<")?;
                Some((id.to_owned(), rest.strip_suffix("@names.test>")?.to_owned()))
            });
            names.extend(found);
        }
        names
    }

    /// Which messages are in which queue, and logs of which.
    fn places(&self) -> BTreeMap<&'static str, Vec<String>> {
        let names = self.names();
        let mut places = BTreeMap::new();
        for queue in QUEUES {
            let all = files(&self.machine.path("spool").join(queue));
            let name = |path: &std::path::PathBuf| {
                let id = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                names.get(&id).cloned().unwrap_or(id)
            };
            let mut found: Vec<String> = all.iter().map(name).collect();
            found.sort();
            if !found.is_empty() {
                places.insert(queue, found);
            }
        }
        places
    }

    fn wait_for(&self, queue: &str, expected: &[&str]) {
        self.machine.wait_until(&format!("{queue} holds {expected:?}"), || {
            self.places().get(queue).map_or(expected.is_empty(), |found| found == expected)
        });
    }

    /// Waits until no message is in any queue. Of one that was removed while it was put off a log stays behind.
    fn wait_for_the_end(&mut self) {
        self.machine.wait_until("no message is left", || {
            self.places().keys().all(|queue| ["defer", "bounce"].contains(queue))
        });
        self.look();
    }

    /// Waits until it is logged of each that it is removed: the file goes before that is said.
    fn wait_for_removal(&self, names: &[&str]) {
        let is_said = |name: &&str| self.log_of(name).iter().any(|line| line.contains(">: removed\n"));
        self.machine.wait_until(&format!("{names:?} are removed"), || names.iter().all(is_said));
    }

    /// Waits until so many lines contain this text.
    fn wait_for_lines(&self, count: usize, text: &str) {
        self.machine.wait_until(&format!("{text} is logged {count} times"), || {
            self.log_of("").iter().filter(|line| line.contains(text)).count() >= count
        });
    }

    /// With names in the place of ids, and without what changes from run to run.
    fn plain(&self, text: &str) -> String {
        let port = format!("]:{},", self.sink.address.port());
        let mut text = text.replace(&port, "]:PORT,").replace("/usr/sbin/", "");
        for (id, name) in self.names() {
            text = text.replace(&id, &format!("<{name}>"));
        }
        for name in ["\"arrival_time\": ", "\"message_size\": "] {
            text = text.split(name).enumerate().fold(String::new(), |text, (n, part)| match n {
                0 => text + part,
                _ => text + name + part.trim_start_matches(|c: char| c.is_ascii_digit()),
            });
        }
        // Newer than 3.7.
        while let Some((before, after)) = text.split_once("\"orig_address\": \"") {
            text = format!("{before}{}", after.split_once("\", ").expect("an address ends").1);
        }
        text.lines().map(|line| Plain::default().text(&squeezed(&without_use(line))) + "\n").collect()
    }

    /// The listing's order is that of the directories.
    fn sorted(&self, text: &str) -> String {
        let text = self.plain(text);
        let is_json = text.starts_with('{');
        let mut parts: Vec<&str> =
            if is_json { text.lines().collect() } else { text.split("\n\n").collect() };
        parts.sort_unstable();
        parts.join("\n")
    }

    /// Runs `WHO command words`, in which `@name` stands for the queue id of the message, and remembers what was said.
    fn run(&mut self, step: &str) {
        self.run_with(step, &[]);
    }

    /// The same, with these words as lines of its standard input.
    fn run_with(&mut self, step: &str, input: &[&str]) {
        let before = self.machine.events().len();
        let names = self.names();
        let id = |word: &str| match word.strip_prefix('@') {
            // The last one that it got is the one that it has.
            Some(name) => {
                let places = QUEUES.iter().flat_map(|queue| files(&self.machine.path("spool").join(queue)));
                let mut ids =
                    places.filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()));
                let found = ids.find(|id| names.get(id).is_some_and(|found| found == name));
                found.expect("the message is in a queue")
            }
            None if word == "''" => String::new(),
            None => word.to_owned(),
        };
        let words: Vec<&str> = step.split(' ').collect();
        let [who, program, rest @ ..] = &words[..] else { unreachable!("who does what") };
        let mut command = self.machine.program_as(who, program);
        command.args(rest.iter().map(|word| id(word)));
        let input: String = input.iter().map(|word| id(word) + "\n").collect();
        let output = self.machine.feed(command, &input);
        let said = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
        let mut told = format!(
            "--- {step}\n{:?}\n{}{}",
            output.status.code(),
            self.sorted(&said[0]),
            self.plain(&said[1])
        );
        for line in self.machine.events().split_off(before) {
            let tags =
                ["postfix/postsuper: ", "postfix/postqueue: ", "postfix/sendmail: ", "postfix/postcat: "];
            if tags.iter().any(|tag| line.starts_with(tag)) {
                told += &format!("log: {}", self.plain(&line));
            }
        }
        self.told.push(told);
    }

    /// Remembers where everything is.
    fn look(&mut self) {
        self.told.push(format!("{:#?}", self.places()));
    }

    /// What the mail system (not its commands) logged of a message; of all if it has no name.
    fn log_of(&self, name: &str) -> Vec<String> {
        let events = self.machine.events();
        let is_told = |line: &&String| {
            let tags = ["postfix/postsuper: ", "postfix/postqueue: ", "postfix/sendmail: "];
            !tags.iter().any(|tag| line.starts_with(tag))
        };
        let lines = events.iter().filter(is_told).map(|line| self.plain(line));
        lines.filter(|line| name.is_empty() || line.contains(&format!("<{name}>"))).collect()
    }

    /// What was said and seen, and what became of these messages.
    fn end(mut self, names: &[&str]) -> Vec<String> {
        for name in names {
            let mut lines: Vec<String> =
                self.log_of(name).into_iter().filter(|line| is_known_to_3_7(line)).collect();
            // Recipients of one attempt are served in any order.
            let is_result = |line: &String| line.contains(": to=<");
            lines.chunk_by_mut(|one, other| is_result(one) && is_result(other)).for_each(<[String]>::sort);
            let lines = lines.concat();
            let mark = format!("<{name}@");
            let taken = self.sink.taken().iter().filter(|taken| taken.text.contains(&mark)).count();
            self.told.push(format!("--- {name}: taken {taken} times\n{lines}"));
        }
        self.told
    }
}

/// Warnings are each system's own, and of what comes from maildrop and is not queued 3.7 does not say that it is removed.
fn is_known_to_3_7(line: &str) -> bool {
    !line.contains("warning: ") && !line.contains("removed (canceled)")
}

/// Without how often the connection was used, which is a matter of moments.
fn without_use(line: &str) -> String {
    match line.split_once("conn_use=").and_then(|(before, rest)| Some((before, rest.split_once(", ")?.1))) {
        Some((before, rest)) => format!("{before}{rest}"),
        None => line.to_owned(),
    }
}

/// Without the widths of columns, sizes and the times of mailq.
fn squeezed(line: &str) -> String {
    const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
    let mut words: Vec<&str> = line.split_whitespace().collect();
    if let Some(at) =
        words.iter().position(|word| DAYS.contains(word)).filter(|at| *at > 0 && at + 4 <= words.len())
    {
        words.drain(at - 1..at + 4);
    }
    if words.first() == Some(&"--") && words.get(2) == Some(&"Kbytes") {
        words.remove(1);
    }
    words.join(" ")
}

/// `late`, `two`, `held` and `gone` are put off, the last but one of them is held; `slow` waits for a server, and
/// `new` for room in the active queue.
fn with_mail_everywhere(which: Which) -> Story {
    let mut story = Story::begin(which, &["qmgr_message_active_limit = 1"]);
    let later = ["a", "b", "c", "d", "e", "f"].map(|name| format!("{name}@later.test"));
    story.sink.put_off(&later.each_ref().map(String::as_str));
    for (name, recipients) in [
        ("late", &["a@later.test"][..]),
        ("two", &["b@later.test", "c@later.test"]),
        ("held", &["d@later.test"]),
        ("gone", &["e@later.test"]),
    ] {
        story.submit(name, recipients);
        story.machine.wait_until("it is put off", || {
            story.places().get("deferred").is_some_and(|found| found.iter().any(|found| found == name))
        });
    }
    story.run("root postsuper -h @held");
    story.sink.stall(&["s@slow.test"]);
    story.submit("slow", &["s@slow.test"]);
    story.machine.wait_until("the server is asked", || story.sink.waiting() == ["s@slow.test"]);
    story.submit("new", &["n@slow.test"]);
    story.wait_for("incoming", &["new"]);
    story.wait_for("maildrop", &[]);
    story
}

#[test]
fn the_queue_is_listed_as_by_debian() {
    told_alike(|which| {
        let mut story = with_mail_everywhere(which);
        story.look();
        for who in ["root", "alice"] {
            for command in ["mailq", "sendmail -bp", "postqueue -p", "postqueue -j"] {
                story.run(&format!("{who} {command}"));
            }
            for id in ["@held", "@late", "@slow", "NOSUCH", "bad/id", "''"] {
                story.run(&format!("{who} postqueue -i {id}"));
            }
            for site in ["later.test", "debian.test", "[127.0.0.1]", "bad..site", "''"] {
                story.run(&format!("{who} postqueue -s {site}"));
            }
        }
        story.run("alice postcat -q @late");
        story.run("alice postcat -q NOSUCH");
        story.look();
        story.sink.stall(&[]);
        story.wait_for("incoming", &[]);
        story.wait_for("active", &[]);
        story.look();
        story.wait_for_removal(&["slow", "new"]);
        story.end(&["held", "slow", "new"])
    });
}

/// Each file as the two programs print it.
#[test]
fn postcat_prints_what_debian_s_prints_of_a_running_queue() {
    let story = with_mail_everywhere(Which::Posthaste);
    let names = story.names();
    for (id, name) in &names {
        for options in
            ["-q", "-bq", "-hq", "-eq", "-bhq", "-beq", "-ohq", "-dq", "-doq", "-ehq", "-rq", "-vq"]
        {
            let run = |program: &str| {
                let output =
                    story.machine.program(program).args([options, id]).output().expect("nsenter starts");
                assert!(output.status.success(), "{program} {options} {name}: {output:?}");
                String::from_utf8_lossy(&output.stdout).into_owned()
            };
            let (ours, theirs) = (run("postcat"), run("/usr/sbin/postcat"));
            assert_eq!(difference(&ours, &theirs), None, "{options} {name}");
            assert!(!ours.is_empty(), "{options} {name}");
        }
    }
    assert_eq!(names.len(), 6);
}

#[test]
fn what_is_not_there_or_not_allowed_is_said_as_by_debian() {
    told_alike(|which| {
        let mut story = with_mail_everywhere(which);
        for step in [
            "alice postsuper -d ALL",
            "alice postsuper -h @late",
            "alice postsuper",
            "alice postsuper -s",
            "root postsuper -x",
            "root postsuper -d",
            "root postsuper -c relative -s",
            "root postsuper -s nosuch",
            "root postsuper -h @late nosuch",
            "root postsuper -s",
            "root postsuper",
            "root postsuper -p",
        ] {
            story.run(step);
        }
        for action in ["-d", "-h", "-H", "-r", "-e", "-f"] {
            for id in ["0123456789", "3yxW5M0qYSz1Jf", "bad/id", "../active", "''", "late"] {
                story.run(&format!("root postsuper {action} {id}"));
            }
            story.run_with(&format!("root postsuper {action} -"), &["0123456789", "", "bad/id", "late two"]);
            story.run_with(&format!("root postsuper {action} -"), &[]);
            // Where it is not looked for it is not found.
            story.run(&format!("root postsuper {action} @late incoming hold"));
        }
        story.look();
        story.sink.stall(&[]);
        story.wait_for("active", &[]);
        story.wait_for_removal(&["slow", "new"]);
        story.end(&["slow", "new"])
    });
}

#[test]
fn held_mail_stays_and_released_mail_goes() {
    told_alike(|which| {
        let mut story = with_mail_everywhere(which);
        story.run("root postsuper -h @held");
        story.run("root postsuper -h @late");
        story.run("root postsuper -h @new");
        story.run_with("root postsuper -h -", &["@gone", "0123456789", "@two"]);
        story.run("root postsuper -H @two");
        story.run("root postsuper -h ALL deferred");
        story.look();
        story.sink.stall(&[]);
        story.wait_for("active", &[]);
        // Nobody tries it, whoever asks.
        story.run("root postqueue -f");
        story.run("root postqueue -i @held");
        story.submit("after", &["f@later.test"]);
        story.wait_for("deferred", &["after"]);
        story.look();
        story.run("root postqueue -p");
        story.sink.put_off(&[]);
        story.run("root postsuper -H @held");
        story.run("root postsuper -H @late -H @new");
        story.run_with("root postsuper -H -", &["@two", "@held"]);
        story.run("root postsuper -e @gone");
        story.run("root postsuper -H ALL");
        story.run("root postqueue -f");
        story.wait_for_the_end();
        story.wait_for_removal(&["held", "late", "new", "two", "slow", "after", "gone"]);
        story.end(&["held", "late", "new", "two", "slow", "after"])
    });
}

#[test]
fn requeued_mail_is_rewritten_again() {
    told_alike(|which| {
        let mut story = with_mail_everywhere(which);
        story.rewrite("b@later.test bob\nc@later.test alice, b@later.test\n");
        story.run("root postsuper -r @two");
        story.run_with("root postsuper -r -", &["@held", "0123456789", "@late"]);
        story.run("root postsuper -r @new -e @gone");
        story.look();
        story.sink.stall(&[]);
        story.wait_for("active", &[]);
        // Until somebody says that there is something, pickup does not look.
        story.look();
        story.run("root postqueue -i @gone");
        story.submit("wake", &["w@slow.test"]);
        story.machine.wait_until("all is tried", || {
            let places = story.places();
            places.keys().eq(&["defer", "deferred"]) && places["deferred"] == ["held", "late"]
        });
        story.run("root postsuper -r ALL");
        story.submit("wake", &["w@slow.test"]);
        story.machine.wait_until("all is tried", || {
            let places = story.places();
            places.keys().eq(&["defer", "deferred"]) && places["deferred"] == ["held", "late"]
        });
        story.run("root postsuper -r ALL deferred");
        story.look();
        story.run("root postqueue -j");
        let lines = |user: &str| {
            let mailbox = fs::read_to_string(story.machine.path(&format!("mail/{user}"))).unwrap_or_default();
            let is_told = |line: &&str| {
                ["To: ", "X-Original-To: ", "Delivered-To: ", "Subject: "]
                    .iter()
                    .any(|name| line.starts_with(name))
            };
            let mails = mailbox
                .split("\nFrom ")
                .map(|mail| mail.lines().filter(is_told).collect::<Vec<_>>().join("\n"));
            let mut mails: Vec<String> = mails.collect();
            mails.sort();
            mails.join("\n")
        };
        let told = format!("bob: {}\nalice: {}", lines("bob"), lines("alice"));
        story.told.push(told);
        story.wait_for_removal(&["two", "new"]);
        story.end(&["two", "held", "late", "new"])
    });
}

#[test]
fn deleted_mail_is_gone() {
    told_alike(|which| {
        let mut story = with_mail_everywhere(which);
        story.run("root postsuper -d @late");
        story.run("root postsuper -d @new");
        story.run_with("root postsuper -d -", &["@two", "0123456789", ""]);
        story.look();
        story.run("root postsuper -d ALL hold");
        story.look();
        story.run("root postsuper -d ALL maildrop");
        story.run("root postsuper -d ALL deferred");
        story.look();
        story.run("alice mailq");
        story.run("root postsuper -d ALL");
        story.look();
        story.sink.stall(&[]);
        story.submit("after", &["f@later.test"]);
        story.wait_for("deferred", &["after"]);
        story.run("root postsuper -d ALL");
        story.run("alice mailq");
        story.look();
        story.end(&["late", "two", "held", "gone", "new"])
    });
}

/// While a server has the message. What it takes is delivered, whatever was done to the file; it is not delivered again.
#[test]
fn mail_that_is_being_delivered_can_be_held_deleted_requeued_and_expired() {
    told_alike(|which| {
        let mut story = Story::begin(which, &[]);
        let addresses = ["h", "d", "r", "e", "x", "p"].map(|name| format!("{name}@slow.test"));
        let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
        story.sink.stall(&addresses);
        story.sink.put_off(&["p@slow.test", "x@slow.test"]);
        let names = ["held", "deleted", "requeued", "expired", "refused", "postponed"];
        for (name, address) in names.iter().zip(&addresses).take(4) {
            story.submit(name, &[address]);
        }
        story.machine.wait_until("the server is asked for each", || story.sink.waiting().len() == 4);
        story.look();
        for step in ["-h @held", "-d @deleted", "-r @requeued", "-e @expired"] {
            story.run(&format!("root postsuper {step}"));
        }
        story.look();
        story.run("root mailq");
        story.sink.stall(&[]);
        story.machine.wait_until("all is taken", || story.sink.taken().len() == 4);
        story.wait_for("active", &[]);
        story.look();
        story.run("root postsuper -H @held");
        story.run("root postqueue -f");
        story.wait_for_the_end();
        // The same with mail that is not taken.
        story.sink.stall(&addresses);
        for (name, address) in names.iter().zip(&addresses).skip(4) {
            story.submit(name, &[address]);
        }
        story.machine.wait_until("the server is asked for each", || story.sink.waiting().len() == 2);
        story.run("root postsuper -d @refused");
        story.run("root postsuper -h @postponed");
        story.sink.stall(&[]);
        story.wait_for_lines(2, "status=deferred");
        story.wait_for("active", &[]);
        story.look();
        story.sink.put_off(&[]);
        story.run("root postsuper -H @postponed");
        story.run("root postqueue -f");
        story.machine.wait_until("the rest is taken", || story.sink.taken().len() == 5);
        story.wait_for_the_end();
        story.wait_for_removal(&["held", "expired", "postponed"]);
        story.end(&names)
    });
}

/// Mail that waits for its turn in the active queue is not delivered any more when it is not there.
#[test]
fn mail_that_waits_its_turn_can_be_taken_away() {
    told_alike(|which| {
        let mut story = Story::begin(
            which,
            &["initial_destination_concurrency = 1", "smtp_destination_concurrency_limit = 1"],
        );
        story.sink.stall(&["s@slow.test"]);
        story.submit("slow", &["s@slow.test"]);
        story.machine.wait_until("the server is asked", || story.sink.waiting() == ["s@slow.test"]);
        let names = ["deleted", "held", "requeued"];
        for name in names {
            story.submit(name, &[&format!("{name}@slow.test")]);
        }
        story.wait_for("active", &["deleted", "held", "requeued", "slow"]);
        for step in ["-d @deleted", "-h @held", "-r @requeued"] {
            story.run(&format!("root postsuper {step}"));
        }
        story.sink.stall(&[]);
        story.wait_for("active", &[]);
        // Postfix warns of the first one, does not use the transport for a while, and puts the others off.
        let is_over = |name: &str| {
            let marks = ["warning: open active", "status=deferred"];
            story.log_of(name).iter().any(|line| marks.iter().any(|mark| line.contains(mark)))
        };
        story
            .machine
            .wait_until("the queue manager has let go of each", || names.iter().all(|name| is_over(name)));
        story.look();
        story.run("root postsuper -H @held");
        story.run("root postqueue -f");
        story.wait_for_the_end();
        for name in names {
            let taken = story.sink.taken();
            let count =
                taken.iter().filter(|taken| taken.recipients == [format!("{name}@slow.test")]).count();
            story.told.push(format!("{name} was taken {count} times"));
        }
        story.told
    });
}
