//! What floods may make the system hold: clients that send without end, whatever they are in the middle of. In a process
//! of its own, because the memory of a process is what is looked at.
#![allow(clippy::expect_used, clippy::panic, dead_code, reason = "tests, with a part of a module")]

#[path = "system/machine.rs"]
mod machine;

use machine::{Machine, smtp_endpoint};
use sim::{Limits, SimDisk, SimWorld, Simulation};
use std::{cell::Cell, io, rc::Rc, time::Duration};
use world::{Stream, World};

const SESSIONS_MAX: usize = 12;
const FLOOD_BYTES: usize = 2 << 20;
/// A mebibyte a session, with what the disk has of it; all floods together are nearly three times as much.
const MEMORY_BYTES_MAX: usize = 12 << 20;
const MAIN_CF: &str = "
mynetworks = 10.1.0.0/16
message_size_limit = 200000
smtpd_peername_lookup = no
smtpd_hard_error_limit = 1000000
smtpd_soft_error_limit = 1000000
";

/// What is said before the flood, and what the flood is made of.
const FLOODS: [(&[&str], &str); 6] = [
    (&[], "a command without end "),
    (&["MAIL FROM:<a@sim.test>"], "RCPT TO:<r@relay.test>\r\n"),
    (&["MAIL FROM:<a@sim.test>", "RCPT TO:<r@relay.test>", "DATA"], "lines without end\r\n"),
    (&["MAIL FROM:<a@sim.test>", "RCPT TO:<r@relay.test>", "DATA"], "one line without end "),
    (&["MAIL FROM:<a@sim.test>", "RCPT TO:<r@relay.test>", "DATA"], "X-Header:\r\n without end\r\n"),
    (&["MAIL FROM:<a@sim.test>", "RCPT TO:<r@relay.test>", "BDAT 400000000"], "a chunk without end\r\n"),
];

#[test]
fn floods_are_held_in_bounded_memory_by_as_many_sessions_as_there_may_be() {
    let simulation = Simulation::new(1);
    let machine = Machine::new(MAIN_CF, &format!("smtp inet n - n - {SESSIONS_MAX} smtpd\n"));
    let outside = simulation.host([10, 1, 0, 1].into(), SimDisk::new());
    let up = machine.boot(&simulation, None);
    let (before, sent) = (resident_bytes(), Rc::new(Cell::new(0)));
    for n in 0..SESSIONS_MAX + 4 {
        let (world, sent) = (outside.clone(), Rc::clone(&sent));
        outside.spawn(async move {
            let (words, flood) = FLOODS[n % FLOODS.len()];
            // That it is thrown out in the middle is as it should be.
            let _ = pour(&world, words, flood, &sent).await;
        });
    }
    let mut limits = Limits::new(SESSIONS_MAX, MEMORY_BYTES_MAX);
    let (end, mut turns) = (simulation.now() + Duration::from_secs(2_000), 0_u32);
    simulation.run_until(|| {
        turns = turns.wrapping_add(1);
        let memory = if turns.is_multiple_of(200) { resident_bytes().saturating_sub(before) } else { 0 };
        limits.observe(up.receive.sessions(), memory);
        simulation.now() >= end
    });
    assert_eq!(limits.check(), Ok(()));
    assert_eq!(limits.sessions_seen(), SESSIONS_MAX, "all places were taken");
    assert!(sent.get() > 2 * FLOOD_BYTES, "{} bytes were taken in", sent.get());
}

async fn pour(world: &SimWorld, words: &[&str], flood: &str, sent: &Cell<usize>) -> io::Result<()> {
    let mut stream = world.connect(&smtp_endpoint(), None, Duration::from_secs(30)).await?;
    let mut buffer = [0; 1024];
    for word in ["EHLO flood.sim.test"].iter().chain(words) {
        stream.read(&mut buffer).await?;
        stream.write_all(format!("{word}\r\n").as_bytes()).await?;
    }
    stream.read(&mut buffer).await?;
    let piece = flood.repeat(4096 / flood.len());
    for _ in 0..FLOOD_BYTES / piece.len() {
        while stream.try_read(&mut buffer).is_ok_and(|count| count > 0) {}
        let writing = world.timeout(Duration::from_secs(60), stream.write_all(piece.as_bytes())).await;
        writing.unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into()))?;
        sent.set(sent.get() + piece.len());
    }
    Ok(())
}

/// proc(5) statm: the second number is the pages in memory.
fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("Linux has it");
    let pages = statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<usize>().ok());
    pages.expect("it is a number") * 4096
}
