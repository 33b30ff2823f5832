//! Plain threads for what blocks.
//!
//! Threads are started when work waits and none is idle, up to the limit, and stay. Handing work over costs
//! one allocation, a lock, and a wake-up only when a thread sleeps.

use std::{
    any::Any,
    collections::VecDeque,
    io,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};
use tokio::sync::oneshot;

pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// A bounded pool; threads end when it is dropped and its work is done.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    threads_max: usize,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Job>,
    idle: usize,
    threads: usize,
    is_closed: bool,
}

impl Shared {
    // A job never runs under the lock, so the state is whole even if a thread panicked elsewhere.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self) {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.waiting.pop_front() {
                drop(state);
                job();
                state = self.lock();
            } else if state.is_closed {
                return;
            } else {
                state.idle += 1;
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.idle -= 1;
            }
        }
    }
}

impl Pool {
    pub(crate) fn new(threads_max: usize) -> Self {
        Self { shared: Arc::default(), threads_max: threads_max.max(1) }
    }

    /// Runs `work` on a thread; its panic continues in the caller.
    pub(crate) async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let (sender, receiver) = oneshot::channel::<Result<T, Box<dyn Any + Send>>>();
        let job: Job = Box::new(move || {
            // The waiter may be gone (its session was cut): the work was done all the same.
            let _ = sender.send(catch_unwind(AssertUnwindSafe(work)));
        });
        if let Err(job) = self.hand_over(job) {
            // Not one thread can be had: slow is better than stuck.
            job();
        }
        match receiver.await {
            Ok(Ok(value)) => value,
            Ok(Err(panic)) => resume_unwind(panic),
            // The sender answers whatever the work does; a dropped one means that the process is ending.
            Err(_) => std::future::pending().await,
        }
    }

    /// The most threads that work at a time.
    pub(crate) fn threads_max(&self) -> usize {
        self.threads_max
    }

    /// Gives `job` back where not one thread can be had.
    pub(crate) fn hand_over(&self, job: Job) -> Result<(), Job> {
        let mut state = self.shared.lock();
        state.waiting.push_back(job);
        // A thread that was woken but has not run yet still counts as idle, and so does its work as waiting.
        if state.idle >= state.waiting.len() {
            drop(state);
            self.shared.work.notify_one();
            return Ok(());
        }
        if state.threads < self.threads_max {
            if self.start_thread().is_ok() {
                state.threads += 1;
            } else if state.threads == 0 {
                return state.waiting.pop_back().map_or(Ok(()), Err);
            }
        }
        Ok(())
    }

    fn start_thread(&self) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        thread::Builder::new().name("blocking".into()).stack_size(256 * 1024).spawn(move || {
            // What sessions wait for comes before what waits for the disk.
            sys::schedule::wait_for_a_free_processor();
            shared.serve();
        })?;
        Ok(())
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.lock().is_closed = true;
        self.shared.work.notify_all();
    }
}
