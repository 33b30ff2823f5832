//! What happened, in order, for the one task that tells the scheduler.

use qmgr::Event;
use std::{
    cell::RefCell,
    collections::VecDeque,
    future::poll_fn,
    rc::Rc,
    task::{Poll, Waker},
};
use types::Instant;
use world::World;

/// A queue of events. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Events(Rc<RefCell<Inner>>);

#[derive(Default)]
struct Inner {
    waiting: VecDeque<Event>,
    waker: Option<Waker>,
}

impl Events {
    pub(crate) fn push(&self, event: Event) {
        let mut inner = self.0.borrow_mut();
        inner.waiting.push_back(event);
        if let Some(waker) = inner.waker.take() {
            waker.wake();
        }
    }

    /// An event that is there already.
    pub(crate) fn pop(&self) -> Option<Event> {
        self.0.borrow_mut().waiting.pop_front()
    }

    /// The next event; [`Event::Timer`] when `wake_at` comes first.
    pub(crate) async fn next(&self, world: &impl World, wake_at: Option<Instant>) -> Event {
        if let Some(event) = self.pop() {
            return event;
        }
        let next = poll_fn(|context| match self.pop() {
            Some(event) => Poll::Ready(event),
            None => {
                self.0.borrow_mut().waker = Some(context.waker().clone());
                Poll::Pending
            }
        });
        match wake_at {
            None => next.await,
            Some(at) => world.timeout(at.since(world.now()), next).await.unwrap_or(Event::Timer),
        }
    }
}
