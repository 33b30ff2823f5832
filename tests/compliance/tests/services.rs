//! How many deliveries a service does at once, and what ends when the mail system does, as an administrator sees it:
//! beside Debian's.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use compliance::{
    machine::{INTERNET_SITE, Machine},
    smtp::Sink,
    system::{Which, files},
};
use std::{fs, os::unix::fs::PermissionsExt, thread};

/// A machine with a slow server and a command that waits to be let go.
struct Story {
    machine: Machine,
    sink: Sink,
}

/// Notes its own number, waits until somebody writes to a fifo of its own, and notes that it has ended.
const SLOW: &str = "#!/bin/sh\ncat >/dev/null\ncd \"${0%/*}\"\nmkfifo gate.$$\necho $$ >> begun\nread line < gate.$$\necho $$ >> ended\n";

impl Story {
    /// `rows` take the place of master.cf's rows of these names.
    fn begin(which: Which, settings: &str, rows: &[&str]) -> Self {
        let machine = Machine::new(which, INTERNET_SITE);
        let sink = machine.inside(|| Sink::start().expect("a port"));
        let slow = machine.path("slow");
        fs::create_dir(&slow).expect("a fresh directory");
        fs::set_permissions(&slow, fs::Permissions::from_mode(0o777)).expect("our own directory");
        fs::write(slow.join("run"), SLOW).expect("space");
        fs::set_permissions(slow.join("run"), fs::Permissions::from_mode(0o755)).expect("our own file");
        let aliases = format!("postmaster: root\nroot: alice\nslow: \"|{}\"\n", slow.join("run").display());
        fs::write(machine.path("etc/aliases"), aliases).expect("space");
        machine.command("/usr/sbin/postalias", &["hash:/etc/aliases"]);
        let main_cf = machine.path("etc/postfix/main.cf");
        let text = fs::read_to_string(&main_cf).expect("our own file");
        let port = sink.address.port();
        let route = format!("transport_maps = inline:{{ {{slow.test = slow:[127.0.0.1]:{port}}} }}\n");
        fs::write(&main_cf, format!("{text}{route}{settings}")).expect("space");
        let master_cf = machine.path("etc/postfix/master.cf");
        let text = fs::read_to_string(&master_cf).expect("our own file");
        let name = |row: &str| row.split_whitespace().next().unwrap_or_default().to_owned();
        let is_kept = |line: &&str| !rows.iter().any(|row| name(row) == name(line));
        let rows = text.lines().filter(is_kept).chain(rows.iter().copied());
        let rows: String = rows.flat_map(|line| [line, "\n"]).collect();
        fs::write(master_cf, rows).expect("space");
        machine.command("postfix", &["start"]);
        machine.wait_until("port 25 answers", || machine.connect().is_some());
        Self { machine, sink }
    }

    fn submit(&self, to: &str) {
        let mut command = self.machine.program_as("alice", "sendmail");
        command.args(["-f", "alice@debian.test", to]);
        let output = self.machine.feed(command, "Subject: x\n\nbody\n");
        assert!(output.status.success(), "{output:?}");
    }

    fn queued(&self, queue: &str) -> usize {
        files(&self.machine.path("spool").join(queue)).len()
    }

    /// Numbers of the commands that have begun, or ended.
    fn commands(&self, what: &str) -> Vec<u32> {
        let text = fs::read_to_string(self.machine.path("slow").join(what)).unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    }

    /// Numbers of the processes that deliver to local users.
    fn deliverers(&self) -> Vec<u32> {
        let pid = fs::read_to_string(self.machine.path("spool/pid/master.pid")).expect("it runs");
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", pid.trim()));
        let delivers = |pid: &u32| {
            let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let name = line.split('\0').next().unwrap_or_default();
            ["local", "agent"].iter().any(|program| name.ends_with(program))
        };
        let numbers = children.unwrap_or_default();
        numbers.split_whitespace().filter_map(|pid| pid.parse().ok()).filter(delivers).collect()
    }

    /// Sends alice so many messages, one after the other.
    fn deliver_to_alice(&self, count: usize) {
        let mailbox = self.machine.path("mail/alice");
        let arrived = || fs::read_to_string(&mailbox).unwrap_or_default().matches("\nSubject: ").count();
        let goal = arrived() + count;
        for _ in 0..count {
            let before = arrived();
            self.submit("alice@debian.test");
            self.machine.wait_until("alice's mail is there", || arrived() > before);
            self.machine.wait_until("it is done with", || self.queued("active") == 0);
        }
        assert_eq!(arrived(), goal);
    }

    /// Waits until all of this mail is in the active queue and whatever can be done at once is being done: mail that came
    /// later, for others, has arrived.
    fn settle(&self, active: usize) {
        self.machine.wait_until("all mail is active", || self.queued("active") == active);
        let mailbox = self.machine.path("mail/bob");
        let count = || fs::read_to_string(&mailbox).unwrap_or_default().matches("\nSubject: ").count();
        let before = count();
        self.submit("bob@debian.test");
        self.machine.wait_until("bob's mail is there", || count() > before);
        self.machine.wait_until("bob's mail is done with", || {
            self.queued("active") == active && self.queued("incoming") + self.queued("maildrop") == 0
        });
    }

    /// Lets a command that waits go on.
    fn let_go(&self, command: u32) {
        // Opening it waits for the command.
        fs::write(self.machine.path(&format!("slow/gate.{command}")), "go\n").expect("a fifo");
        self.machine.wait_until("the command has ended", || self.commands("ended").contains(&command));
    }
}

fn compare<T: PartialEq + std::fmt::Debug + Send>(story: impl Fn(Which) -> T + Sync) -> T {
    let (theirs, ours) = thread::scope(|scope| {
        let theirs = scope.spawn(|| story(Which::Postfix));
        let ours = story(Which::Posthaste);
        (theirs.join().expect("no panic"), ours)
    });
    assert_eq!(ours, theirs);
    ours
}

/// Five messages to one destination: so many are on their way at once and no more, also when two are done.
fn at_once(settings: &str, row: &str, limit: usize) {
    compare(|which| {
        let story = Story::begin(which, settings, &[row]);
        let addresses = ["a", "b", "c", "d", "e"].map(|name| format!("{name}@slow.test"));
        let mut stalled: Vec<&str> = addresses.iter().map(String::as_str).collect();
        story.sink.stall(&stalled);
        stalled.iter().for_each(|address| story.submit(address));
        story.machine.wait_until("the server is asked", || story.sink.waiting().len() >= limit);
        story.settle(5);
        let first = story.sink.waiting();
        assert_eq!(first.len(), limit, "{which:?}");
        let done = first.len().min(2);
        for address in &first[..done] {
            stalled.retain(|stalled| stalled != address);
            story.sink.stall(&stalled);
            story.machine.wait_until("it is taken", || {
                story.sink.taken().iter().any(|taken| taken.recipients == [address.clone()])
            });
        }
        let left = limit.min(5 - done);
        story.machine.wait_until("others are on their way", || story.sink.waiting().len() >= left);
        story.settle(5 - done);
        assert_eq!(story.sink.waiting().len(), left, "{which:?}");
        story.sink.stall(&[]);
        story.machine.wait_until("all is taken", || story.sink.taken().len() == 5);
    });
}

#[test]
fn a_destination_gets_no_more_deliveries_at_once_than_default_destination_concurrency_limit() {
    at_once("default_destination_concurrency_limit = 3\n", "slow unix - - n - - smtp", 3);
}

#[test]
fn a_destination_gets_no_more_deliveries_at_once_than_the_limit_of_its_transport() {
    let settings = "initial_destination_concurrency = 1\nslow_destination_concurrency_limit = 1\n";
    at_once(settings, "slow unix - - n - - smtp", 1);
}

#[test]
fn a_transport_does_no_more_deliveries_at_once_than_its_row_says() {
    at_once("", "slow unix - - n - 2 smtp", 2);
}

/// Three messages to one command: so many run at once and no more, also when one has ended.
fn commands_at_once(settings: &str, row: &str, limit: usize) {
    compare(|which| {
        let story = Story::begin(which, settings, &[row]);
        (0..3).for_each(|_| story.submit("slow@debian.test"));
        story.machine.wait_until("commands have begun", || story.commands("begun").len() >= limit);
        story.settle(3);
        assert_eq!(story.commands("begun").len(), limit, "{which:?}");
        story.let_go(story.commands("begun")[0]);
        story.machine.wait_until("the next has begun", || story.commands("begun").len() > limit);
        story.settle(2);
        assert_eq!(story.commands("begun").len(), limit + 1, "{which:?}");
        for number in 1..3 {
            story.machine.wait_until("it has begun", || story.commands("begun").len() > number);
            story.let_go(story.commands("begun")[number]);
        }
        story.machine.wait_until("all is done", || story.queued("active") == 0);
    });
}

/// "The maximal number of parallel deliveries via the local mail delivery transport to the same recipient": 2.
#[test]
fn a_user_s_commands_run_two_at_a_time() {
    commands_at_once("", "slow unix - - n - - smtp", 2);
}

#[test]
fn a_user_s_commands_run_no_more_at_once_than_local_destination_concurrency_limit() {
    commands_at_once("local_destination_concurrency_limit = 1\n", "slow unix - - n - - smtp", 1);
}

/// The row's limit is for everybody: others wait, too.
#[test]
fn commands_run_no_more_at_once_than_the_row_of_local_says() {
    compare(|which| {
        let rows = ["local unix - n n - 1 local", "slow unix - - n - - smtp"];
        let story = Story::begin(which, "", &rows);
        (0..2).for_each(|_| story.submit("slow@debian.test"));
        story.machine.wait_until("a command has begun", || story.commands("begun").len() == 1);
        story.submit("bob@debian.test");
        story.machine.wait_until("all mail is active", || story.queued("active") == 3);
        // What another transport delivers shows that the queue manager has had its time.
        story.submit("z@slow.test");
        story.machine.wait_until("other mail is taken", || story.sink.taken().len() == 1);
        let mailbox = story.machine.path("mail/bob");
        assert_eq!((story.commands("begun").len(), mailbox.exists()), (1, false), "{which:?}");
        story.let_go(story.commands("begun")[0]);
        story.machine.wait_until("the next has begun", || story.commands("begun").len() == 2);
        story.let_go(story.commands("begun")[1]);
        story.machine.wait_until("all is done", || story.queued("active") == 0 && mailbox.exists());
    });
}

/// The command goes on or it does not, as in Debian's; nobody loses the mail, and a new start delivers it.
fn what_ends_with(verb: &str) {
    compare(|which| {
        let story = Story::begin(which, "", &["slow unix - - n - - smtp"]);
        story.sink.stall(&["a@slow.test"]);
        story.submit("slow@debian.test");
        story.submit("a@slow.test");
        story.machine.wait_until("a command has begun", || story.commands("begun").len() == 1);
        story.machine.wait_until("the server is asked", || story.sink.waiting().len() == 1);
        let pid = fs::read_to_string(story.machine.path("spool/pid/master.pid")).expect("it runs");
        story.machine.command("postfix", &[verb]);
        story
            .machine
            .wait_until("it has ended", || !fs::exists(format!("/proc/{}", pid.trim())).expect("/proc"));
        let command = story.commands("begun")[0];
        let lives = fs::exists(format!("/proc/{command}")).expect("/proc");
        let left = ["active", "incoming", "deferred"].map(|queue| story.queued(queue)).iter().sum::<usize>();
        story.sink.stall(&[]);
        if lives {
            story.let_go(command);
        }
        story.machine.command("postfix", &["start"]);
        story.machine.wait_until("the command runs again", || story.commands("begun").len() == 2);
        story.let_go(story.commands("begun")[1]);
        let is_empty = || ["active", "incoming", "deferred"].iter().all(|queue| story.queued(queue) == 0);
        story.machine.wait_until("all is done", is_empty);
        (lives, left, story.sink.taken().len())
    });
}

#[test]
fn what_ends_at_stop_while_deliveries_are_under_way() {
    what_ends_with("stop");
}

#[test]
fn what_ends_at_abort_while_deliveries_are_under_way() {
    what_ends_with("abort");
}

#[test]
fn a_process_serves_until_max_use_or_max_idle() {
    compare(|which| {
        let story = Story::begin(which, "max_use = 3\n", &[]);
        story.deliver_to_alice(1);
        let first = story.deliverers();
        story.deliver_to_alice(1);
        assert_eq!((first.len(), story.deliverers()), (1, first.clone()), "{which:?}: it is used again");
        story.deliver_to_alice(1);
        story.machine.wait_until("it ends after the third", || !story.deliverers().contains(&first[0]));
        story.deliver_to_alice(1);
        assert_eq!(story.deliverers().len(), 1, "{which:?}: another one has taken its place");
        let story = Story::begin(which, "max_idle = 1s\n", &[]);
        story.deliver_to_alice(1);
        story.machine.wait_until("it ends when nothing is left to do", || story.deliverers().is_empty());
        story.deliver_to_alice(1);
    });
}
