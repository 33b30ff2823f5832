//! Directories, name by name: a thread walks, the scheduler takes as many names as it wants.

use crate::shared::Shared;
use qmgr::{Event, Found};
use std::{cell::RefCell, collections::HashMap, rc::Rc};
use types::QueueName;
use world::{Walk, World};

/// Names that a walk may be ahead.
const AHEAD_MAX: usize = 1_000;

type Names<W> = <W as World>::Walk<Found>;

/// The walks under way, one for each queue.
pub(crate) struct Scans<W: World>(RefCell<HashMap<QueueName, Rc<Names<W>>>>);

impl<W: World> Scans<W> {
    pub(crate) fn new() -> Self {
        Self(RefCell::default())
    }

    /// Answers with the next names of a queue.
    pub(crate) fn scan(&self, shared: &Rc<Shared<W>>, queue: QueueName, restart: bool, names_max: usize) {
        let names = {
            let mut walks = self.0.borrow_mut();
            if restart {
                walks.remove(&queue);
            }
            Rc::clone(walks.entry(queue).or_insert_with(|| Rc::new(walk(shared, queue))))
        };
        let events = shared.events.clone();
        shared.world.spawn(async move {
            let (found, finished) = names.take(names_max).await;
            events.push(Event::Scanned { queue, found, finished });
        });
    }
}

/// Starts to walk; ends when nobody listens any more.
fn walk<W: World>(shared: &Shared<W>, name: QueueName) -> Names<W> {
    let queue = shared.queue.clone();
    shared.world.walk(AHEAD_MAX, move |give: &mut dyn FnMut(Found) -> bool| {
        let _ = queue.scan(name, &mut |entry| {
            let found = Found { id: entry.id, next_try: entry.next_try() };
            !entry.is_ready() || give(found)
        });
    })
}
