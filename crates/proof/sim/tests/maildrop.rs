//! What local users submitted, under crashes: the machine stops before each call of the disk in turn. A submission is in
//! maildrop until its copy, or the notification that it cannot be accepted, is on stable storage.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use cleanup::{CleanupService, CleanupSettings};
use config::Values;
use maillog::{Line, Sink};
use message::LocalZone;
use process::{CleanupRow, Injector, Log, Notifier, Stop, Zone};
use queue::{Queue, QueueSettings};
use queue_format::{Reader, RecordType};
use receive::Maildrop;
use rewrite::{RewriteSettings, Rewriter};
use sim::{Chance, SimDisk, SimWorld, Simulation, submit};
use std::{cell::RefCell, collections::BTreeMap, net::IpAddr, rc::Rc};
use types::{Lookup, QueueName};
use world::{Answer, Table, Tables};

const SEEDS: u64 = 3;

/// Marks in the content, whether cleanup refuses the message, and how it ends.
const SUBMISSIONS: [(&str, bool); 4] =
    [("first-good", false), ("first-looping", true), ("second-good", false), ("second-looping", true)];

struct NoTable;

impl Table for NoTable {
    fn name(&self) -> &str {
        "none"
    }

    fn lookup<'a>(&'a self, _: &'a [u8]) -> Answer<'a, Lookup> {
        Answer::ready(Lookup::Absent)
    }
}

impl Tables for NoTable {
    fn open(&self, _: &str) -> Rc<dyn Table> {
        Rc::new(NoTable)
    }
}

#[derive(Default)]
struct Lines(RefCell<Vec<String>>);

impl Sink for Lines {
    fn write(&self, line: Line<'_>) {
        self.0.borrow_mut().push(format!("{}{}", line.severity.prefix(), line.text));
    }
}

fn settings() -> QueueSettings {
    QueueSettings { pool_files: 0, ..QueueSettings::default() }
}

fn maildrop(world: &SimWorld, disk: &SimDisk) -> Maildrop<SimWorld> {
    let values = Values::for_tests(&[
        ("myhostname", "mx.test"),
        ("myorigin", "mx.test"),
        ("mydestination", "mx.test"),
        ("hopcount_limit", "3"),
        ("alias_maps", ""),
    ]);
    let rewriter = Rc::new(Rewriter::new(RewriteSettings::load(&values).expect("defaults"), &NoTable));
    let cleanup = CleanupSettings::load(&values).expect("defaults");
    let service = Rc::new(CleanupService::new(cleanup, (&rewriter.clone(), rewriter), &NoTable));
    let cleanup = CleanupRow { service, tag: "cleanup".to_owned(), values: values.clone() };
    let queue = Queue::new(disk.clone(), settings());
    let log = Log::new(Rc::new(Lines::default()));
    let around_log = || (log.clone(), Zone::new(Some(LocalZone::utc())));
    let around = || (world.clone(), queue.clone());
    let injector = Injector::new(around(), around_log(), cleanup.clone(), &values, |_| {});
    let notifier = Notifier::load(&values, &log, Rc::new(injector));
    Maildrop::new(around(), around_log(), &values, cleanup, notifier)
}

fn leave(disk: &SimDisk, number: usize, mark: &str, is_looping: bool) {
    let received = vec![b"Received: by some.where".to_vec(); if is_looping { 5 } else { 1 }];
    let rest = [format!("Subject: {mark}").into_bytes(), Vec::new(), b"text".to_vec()];
    submit(disk, number, ("joe@mx.test", &["ann@mx.test".to_owned()]), &[received, rest.into()].concat());
}

/// How many complete messages of a queue hold each mark.
fn marks(queue: &Queue<SimDisk>, name: QueueName) -> BTreeMap<&'static str, usize> {
    let mut found = BTreeMap::new();
    let mut ids = Vec::new();
    let listed = queue.scan(name, &mut |entry| {
        ids.extend(entry.is_ready().then_some(entry.id));
        true
    });
    listed.expect("fair weather");
    for id in ids {
        let file = queue.open_for_reading(name, &id).expect("fair weather").expect("it was listed");
        let mut reader = Reader::new(&file);
        let mut is_whole = false;
        let mut mark = None;
        while let Ok(Some(record)) = reader.next_record() {
            is_whole |= record.record_type == RecordType::END;
            let text = String::from_utf8_lossy(record.data).into_owned();
            let subject = SUBMISSIONS.iter().map(|(mark, _)| *mark).find(|m| text == format!("Subject: {m}"));
            mark = mark.or(subject);
        }
        if let Some(mark) = mark.filter(|_| is_whole) {
            *found.entry(mark).or_default() += 1;
        }
    }
    found
}

/// Runs up to a crash before call `stop_at`, and again; true when there was no crash.
fn run(seed: u64, stop_at: u64) -> bool {
    let disk = SimDisk::new();
    let queue = Queue::new(disk.clone(), settings());
    queue.make_directories().expect("fair weather");
    for (number, (mark, is_looping)) in SUBMISSIONS.into_iter().enumerate() {
        leave(&disk, number, mark, is_looping);
    }
    let take_all = || {
        let simulation = Simulation::new(seed);
        let world = simulation.host(IpAddr::from([192, 0, 2, 1]), disk.clone());
        let maildrop = maildrop(&world, &disk);
        let done = simulation.run(&world, async move { maildrop.take_all(&Stop::default()).await });
        assert!(done.is_some(), "seed {seed}, call {stop_at}: it hangs");
    };
    disk.stop_after(stop_at);
    take_all();
    let is_whole = !disk.is_stopped();
    disk.restart(&mut Chance::new(seed));
    let (waiting, queued) = (marks(&queue, QueueName::Maildrop), marks(&queue, QueueName::Incoming));
    for (mark, _) in SUBMISSIONS {
        let is_there = waiting.contains_key(mark) || queued.contains_key(mark);
        assert!(is_there, "seed {seed}, call {stop_at}: {mark} is lost");
    }
    take_all();
    assert_eq!(marks(&queue, QueueName::Maildrop), BTreeMap::new(), "seed {seed}, call {stop_at}");
    let queued = marks(&queue, QueueName::Incoming);
    for (mark, _) in SUBMISSIONS {
        // What was committed just before the crash may be taken again; more than that would be a loop.
        let count = queued.get(mark).copied().unwrap_or(0);
        assert!((1..=2).contains(&count), "seed {seed}, call {stop_at}: {mark} is there {count} times");
    }
    is_whole
}

#[test]
fn no_crash_loses_a_submission_or_its_notification() {
    for seed in 0..SEEDS {
        let calls = (0..).find(|stop_at| run(seed, *stop_at));
        assert!(calls.is_some_and(|calls| calls > 40), "{calls:?} calls are too few to be all");
    }
}
