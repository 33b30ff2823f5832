//! Syncs, in groups: what is to be durable goes to a thread once a turn, and that it is durable is heard once for all
//! that ended together.
//!
//! On a quick disk a wake-up and the switch of threads behind it cost about as much as the sync of a small file, so
//! one thread takes what a turn has collected, one after the other. Where syncs are slow they must reach the disk side
//! by side. So as many threads take part as it needs for nobody to wait longer than [`PATIENCE`] for his turn, going by
//! how long the last ones took.

use crate::pool::{Job, Pool};
use std::{
    any::Any,
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::poll_fn,
    mem,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
    time::{Duration, Instant},
};

/// How long work may stand behind other work while there are threads for it, and a result wait for the next one.
const PATIENCE: Duration = Duration::from_millis(1);

/// How much of the running mean of how long work takes is what went before.
const MEAN_WEIGHT: u32 = 7;

/// What a turn has collected, and what became of it.
#[derive(Default)]
pub(crate) struct Commits {
    shared: Arc<Shared>,
    collected: RefCell<Vec<Arc<dyn Commit>>>,
    /// Wakes the task that hands over; none as long as there is no such task.
    attendant: RefCell<Option<Waker>>,
    is_attended: Cell<bool>,
}

/// One piece of work, its result, and who waits for it.
struct Piece<T, F> {
    stage: Mutex<Stage<T, F>>,
    waiter: Mutex<Option<Waker>>,
}

enum Stage<T, F> {
    Work(F),
    Running,
    Ended(Result<T, Box<dyn Any + Send>>),
}

trait Commit: Send + Sync {
    fn run(&self);
    fn wake(&self);
}

#[derive(Default)]
struct Shared(Mutex<State>);

struct State {
    waiting: VecDeque<Arc<dyn Commit>>,
    ended: Vec<Arc<dyn Commit>>,
    /// Threads that take what waits until nothing does.
    serving: usize,
    /// How long a piece of work takes.
    mean: Duration,
    /// Told once of all that has ended since it last looked.
    attendant: Option<Waker>,
}

impl Default for State {
    fn default() -> Self {
        // Of a disk that nobody knows yet it is not assumed that it is quick.
        Self { waiting: VecDeque::new(), ended: Vec::new(), serving: 0, mean: PATIENCE, attendant: None }
    }
}

/// No lock is held while foreign code runs, so what it guards is whole even if a thread panicked elsewhere.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: Send, F: FnOnce() -> T + Send> Piece<T, F> {
    fn poll(&self, waker: &Waker) -> Poll<T> {
        let mut stage = lock(&self.stage);
        match mem::replace(&mut *stage, Stage::Running) {
            Stage::Ended(Ok(value)) => Poll::Ready(value),
            Stage::Ended(Err(panic)) => {
                drop(stage);
                resume_unwind(panic)
            }
            other => {
                *stage = other;
                *lock(&self.waiter) = Some(waker.clone());
                Poll::Pending
            }
        }
    }
}

impl<T: Send, F: FnOnce() -> T + Send> Commit for Piece<T, F> {
    fn run(&self) {
        let work = mem::replace(&mut *lock(&self.stage), Stage::Running);
        if let Stage::Work(work) = work {
            let ended = catch_unwind(AssertUnwindSafe(work));
            *lock(&self.stage) = Stage::Ended(ended);
        }
    }

    fn wake(&self) {
        // Whoever waited may be gone (its session was cut): the work was done all the same.
        if let Some(waiter) = lock(&self.waiter).take() {
            waiter.wake();
        }
    }
}

impl State {
    /// How many threads should take part for the last one that waits not to wait longer than [`PATIENCE`].
    fn wanted(&self) -> usize {
        let pieces = self.waiting.len() + self.serving;
        let all = self.mean.saturating_mul(u32::try_from(pieces).unwrap_or(u32::MAX));
        let threads = all.as_nanos().div_ceil(PATIENCE.as_nanos());
        usize::try_from(threads).unwrap_or(usize::MAX).clamp(1, pieces.max(1))
    }

    fn took(&mut self, span: Duration) {
        self.mean = self.mean.saturating_mul(MEAN_WEIGHT).saturating_add(span) / (MEAN_WEIGHT + 1);
    }
}

impl Shared {
    /// Takes what waits until nothing does.
    fn serve(&self) {
        let mut reported = Instant::now();
        let mut begun = reported;
        let mut state = lock(&self.0);
        while let Some(piece) = state.waiting.pop_front() {
            drop(state);
            piece.run();
            let now = Instant::now();
            state = lock(&self.0);
            state.took(now.saturating_duration_since(begun));
            state.ended.push(piece);
            begun = now;
            let is_last = state.waiting.is_empty();
            if (is_last || now.saturating_duration_since(reported) >= PATIENCE)
                && let Some(attendant) = state.attendant.take()
            {
                drop(state);
                attendant.wake();
                reported = now;
                state = lock(&self.0);
            }
        }
        state.serving -= 1;
    }
}

impl Commits {
    /// Collects `work` and waits for its result; its panic goes on in the caller. `attend` starts
    /// [`Self::attend`] as a task, once.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
        attend: impl FnOnce(),
    ) -> T {
        let piece = Arc::new(Piece { stage: Mutex::new(Stage::Work(work)), waiter: Mutex::new(None) });
        self.collected.borrow_mut().push(Arc::clone(&piece) as Arc<dyn Commit>);
        if !self.is_attended.replace(true) {
            attend();
        } else if let Some(attendant) = self.attendant.borrow_mut().take() {
            // It comes after all that can go on now: what they commit goes with this.
            attendant.wake();
        }
        poll_fn(|context| piece.poll(context.waker())).await
    }

    /// Hands over what is collected and tells of what has ended, for ever. Where a thread does not come round to what waits,
    /// because its piece takes unusually long, another one takes part.
    pub(crate) async fn attend(&self, pool: &Pool) {
        let mut is_late = false;
        loop {
            let is_behind = self.hand_over(pool, is_late);
            for piece in self.ended() {
                piece.wake();
            }
            is_late = match is_behind {
                true => tokio::time::timeout(PATIENCE, self.more()).await.is_err(),
                false => {
                    self.more().await;
                    false
                }
            };
        }
    }

    /// Sees that enough threads take part; true when more could, should these not come round to all that waits.
    fn hand_over(&self, pool: &Pool, is_late: bool) -> bool {
        let mut state = lock(&self.shared.0);
        state.waiting.extend(self.collected.borrow_mut().drain(..));
        let wanted = if is_late { state.serving + 1 } else { state.wanted() }.min(pool.threads_max());
        let started = wanted.saturating_sub(state.serving).min(state.waiting.len());
        state.serving += started;
        let is_behind = started < state.waiting.len() && state.serving < pool.threads_max();
        drop(state);
        for _ in 0..started {
            let shared = Arc::clone(&self.shared);
            let serve: Job = Box::new(move || shared.serve());
            if let Err(serve) = pool.hand_over(serve) {
                // Not one thread can be had: slow is better than stuck.
                serve();
            }
        }
        is_behind
    }

    fn ended(&self) -> Vec<Arc<dyn Commit>> {
        mem::take(&mut lock(&self.shared.0).ended)
    }

    /// Waits until there is something to hand over, or to tell.
    async fn more(&self) {
        poll_fn(|context| {
            let mut state = lock(&self.shared.0);
            if !self.collected.borrow().is_empty() || !state.ended.is_empty() {
                return Poll::Ready(());
            }
            state.attendant = Some(context.waker().clone());
            *self.attendant.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(waiting: usize, serving: usize, mean: Duration) -> usize {
        let work = Piece { stage: Mutex::new(Stage::Work(|| ())), waiter: Mutex::new(None) };
        let work: Arc<dyn Commit> = Arc::new(work);
        State { waiting: vec![work; waiting].into(), serving, mean, ..State::default() }.wanted()
    }

    #[test]
    fn quick_work_is_one_thread_s_and_slow_work_goes_side_by_side() {
        let (quick, slow) = (Duration::from_micros(100), Duration::from_millis(8));
        assert_eq!(wanted(1, 0, quick), 1);
        assert_eq!(wanted(10, 0, quick), 1);
        assert_eq!(wanted(15, 0, quick), 2);
        assert_eq!(wanted(10, 1, quick), 2);
        assert_eq!(wanted(1, 0, slow), 1);
        assert_eq!(wanted(10, 0, slow), 10);
        assert_eq!(wanted(1, 9, slow), 10);
        assert_eq!(wanted(5, 0, Duration::ZERO), 1);
        assert_eq!(wanted(5, 0, Duration::MAX), 5);
        // A disk that nobody knows yet.
        assert_eq!(wanted(5, 0, State::default().mean), 5);
    }

    #[test]
    fn the_mean_follows_the_disk() {
        let mut state = State::default();
        (0..60).for_each(|_| state.took(Duration::from_micros(50)));
        assert!(state.mean < Duration::from_micros(60), "{:?}", state.mean);
        (0..60).for_each(|_| state.took(Duration::from_millis(5)));
        assert!(state.mean > Duration::from_millis(4), "{:?}", state.mean);
    }
}
