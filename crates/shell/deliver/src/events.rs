//! What happened, in order, for the one task that tells the scheduler.
//!
//! Answers are as many as the scheduler has asked for. Words from outside are bounded here: as many arrivals as the active
//! queue has places (qmgr_message_active_limit), and each request of a trigger once.

use qmgr::{Event, Triggers};
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
#[derive(Clone)]
pub(crate) struct Events(Rc<RefCell<Inner>>);

struct Inner {
    waiting: VecDeque<Event>,
    arrivals: usize,
    arrivals_max: usize,
    /// What triggers have asked for since the last [`Event::Trigger`] was taken out; its place in the order does not
    /// matter, as requests add up.
    triggers: Option<Triggers>,
    waker: Option<Waker>,
}

impl Inner {
    fn pop(&mut self) -> Option<Event> {
        if let Some(triggers) = self.triggers.take() {
            return Some(Event::Trigger(triggers));
        }
        let event = self.waiting.pop_front();
        self.arrivals -= usize::from(matches!(event, Some(Event::Arrived(_))));
        event
    }

    fn push(&mut self, event: Event) {
        match event {
            Event::Trigger(triggers) => self.trigger(triggers),
            // A scan of the directory finds it.
            Event::Arrived(_) if self.arrivals >= self.arrivals_max => self.trigger(Triggers::INCOMING),
            event => {
                self.arrivals += usize::from(matches!(event, Event::Arrived(_)));
                self.waiting.push_back(event);
            }
        }
    }

    fn trigger(&mut self, triggers: Triggers) {
        self.triggers = Some(self.triggers.unwrap_or_default().with(triggers));
    }
}

impl Events {
    /// With room for so many arrivals.
    pub(crate) fn new(arrivals_max: usize) -> Self {
        let inner =
            Inner { waiting: VecDeque::new(), arrivals: 0, arrivals_max, triggers: None, waker: None };
        Self(Rc::new(RefCell::new(inner)))
    }

    pub(crate) fn push(&self, event: Event) {
        let mut inner = self.0.borrow_mut();
        inner.push(event);
        if let Some(waker) = inner.waker.take() {
            waker.wake();
        }
    }

    /// An event that is there already.
    pub(crate) fn pop(&self) -> Option<Event> {
        self.0.borrow_mut().pop()
    }

    /// Whether arrivals wait that the scheduler does not know of.
    pub(crate) fn has_arrivals(&self) -> bool {
        self.0.borrow().arrivals > 0
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_from_outside_are_bounded_and_none_is_lost() {
        let id = |n: usize| format!("M{n}").parse().map(Event::Arrived).unwrap();
        let events = Events::new(3);
        for n in 0..10 {
            events.push(id(n));
            events.push(Event::Trigger(Triggers { deferred: n == 7, ..Triggers::default() }));
        }
        let all = Triggers { incoming: true, deferred: true, ..Triggers::default() };
        assert!(matches!(events.pop(), Some(Event::Trigger(found)) if found == all));
        for n in 0..3 {
            assert!(matches!(events.pop(), Some(Event::Arrived(id)) if id.as_str() == format!("M{n}")));
        }
        assert!(events.pop().is_none());
        events.push(id(11));
        assert!(matches!(events.pop(), Some(Event::Arrived(_))));
    }
}
