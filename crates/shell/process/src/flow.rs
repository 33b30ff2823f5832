//! How new mail is held back while more comes in than the queue manager takes up (postconf(5) in_flow_delay).
//!
//! A message that is let in costs a token. There are as many as `default_process_limit` says; when half of them are gone
//! the queue manager is asked for more, over the connection on which it hears of arrivals. It answers at once that it has
//! taken up everything, which fills them up but for what was let in after the question, or else, one by one, that it has
//! taken up this much of what had come. Where no token is left, a message waits for one for `in_flow_delay`, and is then let in without.

use config::{Values, params as p};
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::poll_fn,
    rc::{Rc, Weak},
    task::{Poll, Waker},
    time::Duration,
};
use world::World;

/// The request for an answer; Postfix's requests of qmgr(8) are other letters.
pub const ASK: u8 = b'?';

/// The answer of a queue manager that has taken up everything. Any other byte is a number of messages.
const ALL: u8 = 0;

/// Most messages that one answer tells of: no limit on processes is near it.
const TOLD_MAX: u64 = 64 * 1024;

/// What a queue manager answers: how many messages it has taken up since the last answer, and whether there are more.
#[must_use]
pub fn answer(taken: u64, is_behind: bool) -> Vec<u8> {
    let (mut left, mut bytes) = (taken.min(TOLD_MAX), Vec::new());
    while let Some(part) = u8::try_from(left.min(u8::MAX.into())).ok().filter(|part| *part > 0) {
        bytes.push(part);
        left -= u64::from(part);
    }
    if !is_behind {
        bytes.push(ALL);
    }
    bytes
}

/// The tokens of a process.
pub(crate) struct Flow {
    /// `in_flow_delay`; zero: nothing is held back.
    in_flow_delay: Cell<Duration>,
    tokens_max: u32,
    tokens: Cell<u32>,
    /// The queue manager was asked, and has not said that it has taken up everything.
    is_asked: Cell<bool>,
    /// Messages that were let in since it was asked, with the one for which it was: an answer that all is taken up does not tell
    /// of them.
    since_asked: Cell<u32>,
    /// Messages that wait for a token, the oldest first. All wait equally long, so that those that were let in without
    /// stand in front.
    waiting: RefCell<VecDeque<Weak<Place>>>,
}

#[derive(Default)]
struct Place {
    has_token: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Flow {
    pub(crate) fn load(values: &Values) -> Self {
        let tokens_max = u32::try_from(values.int(p::default_process_limit)).unwrap_or(1).max(1);
        Self::new(values.time(p::in_flow_delay), tokens_max)
    }

    fn new(in_flow_delay: Duration, tokens_max: u32) -> Self {
        Self {
            in_flow_delay: Cell::new(in_flow_delay),
            tokens_max,
            tokens: Cell::new(tokens_max),
            is_asked: Cell::new(false),
            since_asked: Cell::new(0),
            waiting: RefCell::default(),
        }
    }

    /// Takes a token; false if there is none, and [`Self::wait`] is next.
    pub(crate) fn take(&self) -> bool {
        if self.in_flow_delay.get().is_zero() {
            return true;
        }
        let left = self.tokens.get().checked_sub(1);
        self.tokens.set(left.unwrap_or(0));
        let before = if self.is_asked.get() { self.since_asked.get() } else { 0 };
        self.since_asked.set(before.saturating_add(u32::from(left.is_some())));
        left.is_some()
    }

    /// Whether the queue manager is to be asked now. From then on [`Self::is_asked`].
    pub(crate) fn wants_answer(&self) -> bool {
        !self.in_flow_delay.get().is_zero()
            && self.tokens.get() <= self.tokens_max / 2
            && !self.is_asked.replace(true)
    }

    /// Whether an answer is still to come.
    pub(crate) fn is_asked(&self) -> bool {
        self.is_asked.get()
    }

    /// Waits for a token, for `in_flow_delay` at most.
    pub(crate) async fn wait(&self, world: &impl World) {
        let place = Rc::new(Place::default());
        {
            let mut waiting = self.waiting.borrow_mut();
            while waiting.front().is_some_and(|first| first.strong_count() == 0) {
                waiting.pop_front();
            }
            waiting.push_back(Rc::downgrade(&place));
        }
        let token = poll_fn(|context| {
            if place.has_token.get() {
                return Poll::Ready(());
            }
            place.waker.replace(Some(context.waker().clone()));
            Poll::Pending
        });
        world.timeout(self.in_flow_delay.get(), token).await;
    }

    /// The queue manager's answer.
    pub(crate) fn heard(&self, answer: &[u8]) {
        for &byte in answer {
            match byte {
                ALL => {
                    self.is_asked.set(false);
                    let full = self.tokens_max.saturating_sub(self.since_asked.take());
                    self.add(full.saturating_sub(self.tokens.get()));
                }
                taken => self.add(taken.into()),
            }
        }
    }

    /// Nobody is there who could answer.
    pub(crate) fn unanswerable(&self) {
        self.since_asked.set(0);
        self.heard(&[ALL]);
    }

    /// Ends it all, also for those who wait.
    pub(crate) fn let_all_in(&self) {
        self.in_flow_delay.set(Duration::ZERO);
        self.add(u32::MAX);
    }

    /// Those who wait come first.
    fn add(&self, count: u32) {
        let mut left = count;
        let mut waiting = self.waiting.borrow_mut();
        while left > 0
            && let Some(place) = waiting.pop_front()
        {
            let Some(place) = place.upgrade() else { continue };
            place.has_token.set(true);
            left -= 1;
            if let Some(waker) = place.waker.take() {
                waker.wake();
            }
        }
        self.tokens.set(self.tokens.get().saturating_add(left).min(self.tokens_max));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sim::{SimDisk, SimWorld, Simulation};

    fn world() -> (Simulation, SimWorld) {
        let simulation = Simulation::new(1);
        let world = simulation.host([10, 0, 0, 1].into(), SimDisk::new());
        (simulation, world)
    }

    #[test]
    fn the_queue_manager_is_asked_when_half_of_the_tokens_are_gone_and_once() {
        let flow = Flow::new(Duration::from_secs(1), 4);
        let taken = |_| (flow.take(), flow.wants_answer());
        let found: Vec<_> = (0..5).map(taken).collect();
        assert_eq!(found, [(true, false), (true, true), (true, false), (true, false), (false, false)]);
        // The answer was on its way while more was let in: three messages are none that it tells of.
        flow.heard(&answer(0, false));
        assert!(!flow.is_asked());
        assert!(flow.wants_answer());
        assert_eq!([flow.take(), flow.take()], [true, false]);
        flow.heard(&answer(0, false));
        assert!(!flow.wants_answer());
        assert_eq!([flow.take(), flow.take(), flow.take(), flow.take()], [true, true, true, false]);
        assert!(flow.wants_answer());
        flow.heard(&answer(0, false));
        assert_eq!((0..3).map(taken).collect::<Vec<_>>(), [(true, false), (true, true), (true, false)]);
    }

    #[test]
    fn a_delay_of_zero_lets_everything_in_and_asks_for_nothing() {
        let flow = Flow::new(Duration::ZERO, 1);
        assert!((0..1_000).all(|_| flow.take() && !flow.wants_answer()));
    }

    #[test]
    fn an_answer_is_bytes_that_add_up() {
        assert!(answer(0, true).is_empty());
        assert_eq!(answer(0, false), [0]);
        assert_eq!(answer(3, true), [3]);
        assert_eq!(answer(600, false), [255, 255, 90, 0]);
        assert!(answer(u64::MAX, true).len() < 300);
    }

    #[test]
    fn in_the_end_all_are_let_in() {
        let (simulation, world) = world();
        let flow = Rc::new(Flow::new(Duration::from_secs(10), 1));
        assert!(flow.take() && !flow.take());
        let is_in = Rc::new(Cell::new(false));
        let (waits, waiting, done) = (Rc::clone(&flow), world.clone(), Rc::clone(&is_in));
        world.spawn(async move {
            waits.wait(&waiting).await;
            done.set(true);
        });
        let (later, end) = (world.clone(), Rc::clone(&flow));
        world.spawn(async move {
            later.sleep(Duration::from_secs(1)).await;
            end.let_all_in();
        });
        let begin = simulation.now();
        simulation.run_until(|| is_in.get());
        assert_eq!(simulation.now().since(begin).as_secs(), 1);
        assert!((0..100).all(|_| flow.take() && !flow.wants_answer()));
    }

    /// Never more tokens than there are, whatever the answer says.
    #[test]
    fn tokens_are_not_saved_up() {
        let flow = Flow::new(Duration::from_secs(1), 3);
        flow.heard(&[255, 255, 0, 7, 0]);
        assert_eq!((0..5).filter(|_| flow.take()).count(), 3);
    }

    #[test]
    fn a_message_waits_for_a_token_and_no_longer_than_in_flow_delay() {
        let (simulation, world) = world();
        let flow = Rc::new(Flow::new(Duration::from_secs(10), 1));
        assert!(flow.take());
        let begin = simulation.now();
        let ends = Rc::new(RefCell::new(Vec::new()));
        for name in 0..3 {
            let (flow, world, ends) = (Rc::clone(&flow), world.clone(), Rc::clone(&ends));
            world.clone().spawn(async move {
                world.sleep(Duration::from_secs(name)).await;
                assert!(!flow.take());
                flow.wait(&world).await;
                ends.borrow_mut().push((name, world.now().since(begin).as_secs()));
            });
        }
        let (later, answering) = (world.clone(), Rc::clone(&flow));
        world.spawn(async move {
            later.sleep(Duration::from_secs(5)).await;
            answering.heard(&answer(1, true));
            // The next answer comes when one has been let in without, and finds the other.
            later.sleep(Duration::from_millis(6_500)).await;
            answering.heard(&answer(1, true));
        });
        simulation.run_until(|| ends.borrow().len() == 3);
        assert_eq!(*ends.borrow(), [(0, 5), (1, 11), (2, 11)]);
        assert!(!flow.take());
    }
}
