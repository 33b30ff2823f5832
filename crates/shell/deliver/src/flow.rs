//! What the queue manager answers when it is asked whether it keeps up with new mail ([`process::flow`]).
//!
//! Nothing is counted for anybody, and nobody is woken, while nobody asks.

use qmgr::Intaken;
use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    task::{Poll, Waker},
};

/// How far the queue manager has come with new mail, for those who ask.
#[derive(Default)]
pub(crate) struct Flow {
    last: Cell<Intaken>,
    /// One for each of [`Self::last`].
    serial: Cell<u64>,
    asking: Cell<usize>,
    wakers: RefCell<Vec<Waker>>,
}

impl Flow {
    /// Whether anybody wants to hear.
    pub(crate) fn is_asked(&self) -> bool {
        self.asking.get() > 0
    }

    /// The state of things, to whom it interests.
    pub(crate) fn tell(&self, state: Intaken) {
        self.last.set(state);
        self.serial.set(self.serial.get() + 1);
        self.wakers.take().into_iter().for_each(Waker::wake);
    }

    /// Somebody asks. What is told from now on is news.
    pub(crate) fn ask(&self) -> Asker<'_> {
        self.asking.set(self.asking.get() + 1);
        Asker { flow: self, serial: self.serial.get(), taken: None }
    }
}

/// Somebody who was not told yet that everything was taken up.
pub(crate) struct Asker<'a> {
    flow: &'a Flow,
    serial: u64,
    /// How many messages he knows of; none before the first news.
    taken: Option<u64>,
}

impl Drop for Asker<'_> {
    fn drop(&mut self) {
        self.flow.asking.set(self.flow.asking.get().saturating_sub(1));
    }
}

impl Asker<'_> {
    /// How many more messages were taken up, and whether there are more that wait.
    pub(crate) async fn news(&mut self) -> (u64, bool) {
        poll_fn(|context| {
            let Intaken { count, is_behind } = self.flow.last.get();
            if self.serial != self.flow.serial.get() {
                self.serial = self.flow.serial.get();
                let known = self.taken.replace(count).unwrap_or(count);
                if count > known || !is_behind {
                    return Poll::Ready((count - known, is_behind));
                }
            }
            let mut wakers = self.flow.wakers.borrow_mut();
            if !wakers.iter().any(|waker| waker.will_wake(context.waker())) {
                wakers.push(context.waker().clone());
            }
            Poll::Pending
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use process::first;
    use std::{future::Future, pin::pin, task::Context};

    /// What an asker hears now.
    fn heard(asker: &mut Asker<'_>) -> Option<(u64, bool)> {
        let news = pin!(first(asker.news(), std::future::ready(())));
        match news.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(news) => news.ok(),
            Poll::Pending => None,
        }
    }

    #[test]
    fn an_asker_hears_what_was_taken_since_he_was_told_last() {
        let flow = Flow::default();
        let tell = |count, is_behind| flow.tell(Intaken { count, is_behind });
        tell(7, false);
        assert!(!flow.is_asked());
        let mut asker = flow.ask();
        assert!(flow.is_asked());
        // That was before he asked.
        assert_eq!(heard(&mut asker), None);
        tell(9, true);
        assert_eq!(heard(&mut asker), None);
        tell(10, true);
        tell(12, true);
        assert_eq!(heard(&mut asker), Some((3, true)));
        assert_eq!(heard(&mut asker), None);
        tell(12, true);
        assert_eq!(heard(&mut asker), None);
        tell(12, false);
        assert_eq!(heard(&mut asker), Some((0, false)));
        drop(asker);
        assert!(!flow.is_asked());
    }
}
