//! Tables, a runner for ready futures, and records as lines of text.
#![allow(dead_code, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says so by ending")]

use cleanup::{Cleanup, CleanupService, CleanupSettings, Source, Start};
use config::Values;
use maillog::{Line, Logger, Sink};
use message::LocalZone;
use queue_format::Reader;
use rewrite::{RewriteSettings, Rewriter};
use std::{
    cell::RefCell,
    collections::HashMap,
    future::Future,
    pin::pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};
use types::{Lookup, QueueId, Trouble, WallTime};
use world::{Answer, Table, Tables};

pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("an answer was not at hand"),
    }
}

/// `inline:{ {key = value} {key = value} }`, as Postfix spells it.
struct Inline(String, HashMap<Vec<u8>, Vec<u8>>);

impl Table for Inline {
    fn name(&self) -> &str {
        &self.0
    }

    fn lookup<'a>(&'a self, key: &'a [u8]) -> Answer<'a, Lookup> {
        if self.0 == "fail:" {
            return Answer::ready(Lookup::TryAgain(Trouble::new("always")));
        }
        Answer::ready(self.1.get(key).map_or(Lookup::Absent, |value| Lookup::Found(value.clone())))
    }
}

struct InlineTables;

impl Tables for InlineTables {
    fn open(&self, name: &str) -> Rc<dyn Table> {
        let mut map = HashMap::new();
        for entry in name.split('{').skip(2) {
            if let Some((key, value)) = entry.split('}').next().and_then(|entry| entry.split_once(" = ")) {
                map.insert(key.trim().into(), value.trim().into());
            }
        }
        Rc::new(Inline(name.into(), map))
    }
}

#[derive(Default)]
pub(crate) struct Log(pub(crate) RefCell<Vec<String>>);

impl Sink for Log {
    fn write(&self, line: Line<'_>) {
        self.0.borrow_mut().push(format!("{}{}", line.severity.prefix(), line.text));
    }
}

pub(crate) fn service(settings: &[(&str, &str)]) -> Rc<CleanupService> {
    let values = Values::for_tests(settings);
    let rewriter = Rc::new(Rewriter::new(RewriteSettings::load(&values).unwrap(), &InlineTables));
    Rc::new(CleanupService::new(CleanupSettings::load(&values).unwrap(), rewriter, &InlineTables))
}

pub(crate) fn start(
    service: &Rc<CleanupService>,
    id: &str,
    source: Source,
    arrival: WallTime,
    created: WallTime,
) -> (Cleanup, Rc<Log>) {
    let log = Rc::new(Log::default());
    let id: QueueId = id.parse().unwrap();
    let logger = Logger::new(Rc::clone(&log) as Rc<dyn Sink>, "postfix/cleanup", 1);
    let zone = LocalZone::utc();
    let start = Start { arrival, created, zone, id, source, is_smtputf8: false, logger };
    (Cleanup::new(Rc::clone(service), start), log)
}

/// The records of a queue file, `type data`, one each; bytes escaped.
pub(crate) fn records(file: &[u8]) -> Vec<String> {
    let mut reader = Reader::new(file);
    let mut lines = Vec::new();
    while let Ok(Some(record)) = reader.next_record() {
        lines.push(format!("{} {}", char::from(record.record_type.0), record.data.escape_ascii()));
    }
    lines
}
