//! "Look again": a word that may be said many times before it is heard once.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    future::poll_fn,
    rc::Rc,
    task::{Poll, Waker},
};

/// A flag that one task waits for and any may pull.
#[derive(Clone, Debug, Default)]
pub struct Trigger(Rc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    is_pulled: Cell<bool>,
    waiting: RefCell<Option<Waker>>,
}

impl Trigger {
    /// Says the word.
    pub fn pull(&self) {
        self.0.is_pulled.set(true);
        if let Some(waker) = self.0.waiting.take() {
            waker.wake();
        }
    }

    /// Waits for it, and forgets it.
    pub async fn wait(&self) {
        poll_fn(|context| {
            if self.0.is_pulled.replace(false) {
                return Poll::Ready(());
            }
            self.0.waiting.replace(Some(context.waker().clone()));
            Poll::Pending
        })
        .await;
    }
}

/// The triggers of services, pulled when the wake-up time of master.cf comes.
#[derive(Clone, Debug, Default)]
pub struct Wakeups(Rc<RefCell<HashMap<String, Trigger>>>);

impl Wakeups {
    /// The trigger of a service.
    #[must_use]
    pub fn trigger(&self, service: &str) -> Trigger {
        self.0.borrow_mut().entry(service.to_owned()).or_default().clone()
    }

    /// The time of a service has come.
    pub fn pull(&self, service: &str) {
        if let Some(trigger) = self.0.borrow().get(service) {
            trigger.pull();
        }
    }
}
