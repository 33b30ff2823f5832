//! Something that changes now and then, and those who wait for it.

use std::{
    cell::RefCell,
    future::poll_fn,
    task::{Poll, Waker},
};

/// Wakes those who wait whenever it is said that something has changed.
#[derive(Default)]
pub(crate) struct Changed(RefCell<Vec<Waker>>);

impl Changed {
    /// Something has changed.
    pub(crate) fn wake(&self) {
        self.0.take().into_iter().for_each(Waker::wake);
    }

    /// Waits until it is as `is` says.
    pub(crate) async fn until(&self, is: impl Fn() -> bool) {
        poll_fn(|context| {
            if is() {
                return Poll::Ready(());
            }
            let mut waiting = self.0.borrow_mut();
            if !waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                waiting.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await;
    }
}
