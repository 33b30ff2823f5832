//! A user database that gives no answer.

use crate::story::{open_place, sent, write};
use compliance::{
    machine::{INTERNET_SITE, Machine},
    system::Which,
};
use rustix::fs::{CWD, FileType, Mode, mknodat, rename};
use std::fs;

#[test]
fn master_waits_for_nobody_while_the_user_database_hangs() {
    let settings = "lookup_time_limit = 1s\nlocal_recipient_maps =\nlocal_transport = local\n";
    let machine = Machine::new(Which::Posthaste, &format!("{INTERNET_SITE}{settings}"));
    open_place(&machine);
    write(&machine, "etc/aliases", "command: \"|cat > $M/home/open/got\"\nready: ready@far.test\n");
    machine.command("newaliases", &[]);
    machine.command("postfix", &["start"]);
    machine.wait_until("port 25 answers", || machine.connect().is_some());
    // All processes are at work.
    sent(&machine, "ready@debian.test");
    machine.wait_for_line("to=<ready@debian.test>, relay=local");

    // Whoever opens it waits for somebody who writes.
    let (passwd, kept, fifo) =
        (machine.path("etc/passwd"), machine.path("etc/kept"), machine.path("etc/fifo"));
    mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR | Mode::ROTH, 0).expect("a free name");
    rename(&passwd, &kept).expect("one file system");
    rename(&fifo, &passwd).expect("one file system");
    sent(&machine, "command@debian.test");
    machine.wait_for_line("the user database gave no answer within 1s (lookup_time_limit)");
    machine.wait_for_line("to=<command@debian.test>, relay=local");
    let pid = fs::read_to_string(machine.path("spool/pid/master.pid")).expect("it runs");
    machine.command("/bin/kill", &["-HUP", pid.trim()]);
    machine.wait_for_line(
        "user postfix: the user database gave no answer within 1s; the old configuration stays in force",
    );

    rename(&kept, &passwd).expect("one file system");
    machine.command("postqueue", &["-f"]);
    machine.wait_for_line("status=sent (delivered to command");
    let got = fs::read_to_string(machine.path("home/open/got")).expect("a file");
    assert!(got.contains("Subject: hello"), "{got}");
}
