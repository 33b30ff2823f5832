//! A service to test, and records as lines of text.
#![allow(dead_code, reason = "each test uses its part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test says so by ending")]

use cleanup::{Cleanup, CleanupService, CleanupSettings, ClientSettings, Source, Start};
use config::Values;
use maillog::{Line, Logger, Sink};
use message::LocalZone;
use queue_format::Reader;
use rewrite::{RewriteSettings, Rewriter};
use std::{cell::RefCell, rc::Rc};
use types::{QueueId, WallTime};
use world::testing::FakeTables;
pub(crate) use world::testing::now;

#[derive(Default)]
pub(crate) struct Log(pub(crate) RefCell<Vec<String>>);

impl Sink for Log {
    fn write(&self, line: Line<'_>) {
        self.0.borrow_mut().push(format!("{}{}", line.severity.prefix(), line.text));
    }
}

/// cleanup, and the settings of its clients.
pub(crate) type Service = (Rc<CleanupService>, Rc<ClientSettings>);

pub(crate) fn service(settings: &[(&str, &str)]) -> Service {
    let values = Values::for_tests(settings);
    let tables = FakeTables::default();
    let rewriter = Rc::new(Rewriter::new(RewriteSettings::load(&values).unwrap(), &tables));
    let settings = CleanupSettings::load(&values).unwrap();
    let service = CleanupService::new(settings, (&rewriter.clone(), rewriter), &tables);
    (Rc::new(service), Rc::new(ClientSettings::load(&values)))
}

pub(crate) fn start(
    (service, client): &Service,
    id: &str,
    source: Source,
    arrival: WallTime,
    created: WallTime,
) -> (Cleanup, Rc<Log>) {
    let log = Rc::new(Log::default());
    let id: QueueId = id.parse().unwrap();
    let logger = Logger::new(Rc::clone(&log) as Rc<dyn Sink>, "postfix/cleanup", 1);
    let zone = LocalZone::utc();
    let client = Rc::clone(client);
    let start = Start { arrival, created, zone, id, source, client, is_smtputf8: false, logger };
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
