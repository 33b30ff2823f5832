//! Messages that an older generation is still delivering when this one takes over the queue. Each is taken up as soon as
//! that generation has let go of it, however it ends.

use crate::shared::Shared;
use process::Trigger;
use qmgr::{Event, Triggers};
use queue::Progress;
use std::{cell::RefCell, collections::HashSet, rc::Rc, time::Duration};
use types::QueueId;
use world::World;

/// How often to look whether they are free: as long as what is left of such a message has to wait.
const PERIOD: Duration = Duration::from_millis(250);

/// As many as the older generation has deliveries under way.
#[derive(Clone, Default)]
pub(crate) struct Stragglers {
    ids: Rc<RefCell<HashSet<QueueId>>>,
    added: Trigger,
}

impl Stragglers {
    pub(crate) fn add(&self, id: QueueId) {
        self.ids.borrow_mut().insert(id);
        self.added.pull();
    }

    /// Looks after them for as long as the process lives.
    pub(crate) async fn run<W: World>(&self, shared: &Shared<W>) {
        loop {
            self.added.wait().await;
            while !self.ids.borrow().is_empty() {
                shared.world.sleep(PERIOD).await;
                self.look(shared);
            }
        }
    }

    fn look<W: World>(&self, shared: &Shared<W>) {
        let now = shared.world.wall();
        let before = self.ids.borrow().len();
        // What cannot be looked at is left to the next process.
        self.ids.borrow_mut().retain(|id| matches!(shared.queue.look_after(now, id), Ok(Progress::Busy)));
        if self.ids.borrow().len() < before {
            shared.events.push(Event::Trigger(Triggers::INCOMING));
        }
    }
}
