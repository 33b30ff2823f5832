//! A single-threaded executor with a clock of its own: time passes only when every task waits. Tasks belong to
//! processes of hosts: one that exits takes its tasks with it, and so does a host that crashes.

use crate::{Chance, SimDisk, SimWorld, network::Network};
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    future::{Future, poll_fn},
    net::IpAddr,
    pin::Pin,
    rc::Rc,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};
use types::{Instant, WallTime};

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// Turns without a moment of time between them, after which the system is taken to run in a circle.
const TURNS_IN_A_MOMENT_MAX: u32 = 200_000;

/// Owns tasks, clock and network.
pub struct Simulation {
    pub(crate) inner: Rc<Inner>,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    /// What was waited for has come.
    Done,
    /// Everybody waits for something that cannot come.
    Quiet,
    /// Tasks wake each other, and time does not pass.
    Circle,
}

/// Whose a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) host: u32,
    pub(crate) process: u32,
}

pub(crate) struct Inner {
    start: WallTime,
    now: Cell<Instant>,
    chance: RefCell<Chance>,
    tasks: RefCell<BTreeMap<u64, (Owner, Task)>>,
    next_task: Cell<u64>,
    ready: Arc<ReadyList>,
    timers: RefCell<BTreeMap<(Instant, u64), Waker>>,
    next_timer: Cell<u64>,
    turns: Cell<u32>,
    next_owner: Cell<u32>,
    disks: RefCell<Vec<SimDisk>>,
    pub(crate) network: Network,
}

#[derive(Default)]
struct ReadyList(Mutex<Vec<u64>>);

impl ReadyList {
    fn lock(&self) -> MutexGuard<'_, Vec<u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct TaskWaker {
    task: u64,
    ready: Arc<ReadyList>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.ready.lock().push(self.task);
    }
}

impl Simulation {
    /// A world from a seed, whose calendar starts in 2026.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let inner = Inner {
            start: WallTime::new(1_780_000_000, 0),
            now: Cell::new(Instant::default()),
            chance: RefCell::new(Chance::new(seed)),
            tasks: RefCell::default(),
            next_task: Cell::new(0),
            ready: Arc::default(),
            timers: RefCell::default(),
            next_timer: Cell::new(0),
            turns: Cell::new(0),
            next_owner: Cell::new(0),
            disks: RefCell::default(),
            network: Network::default(),
        };
        Self { inner: Rc::new(inner) }
    }

    /// A machine that has just come up.
    #[must_use]
    pub fn host(&self, address: IpAddr, disk: SimDisk) -> SimWorld {
        let number = self.inner.next_owner();
        disk.set_now(self.inner.now());
        let mut disks = self.inner.disks.borrow_mut();
        if !disks.iter().any(|known| known.is_same(&disk)) {
            disks.push(disk.clone());
        }
        SimWorld {
            inner: Rc::clone(&self.inner),
            owner: Owner { host: number, process: number },
            address,
            disk,
        }
    }

    /// Time, as all hosts see it.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.inner.now()
    }

    /// A machine stops: its tasks are gone, and nobody listens there any more. What becomes of its disk is the
    /// disk's affair.
    pub fn crash(&self, world: &SimWorld) {
        self.inner.end_tasks(|owner| owner.host == world.owner.host);
        let deaf = self.inner.network.forget(world.owner.host);
        drop(deaf);
    }

    /// Runs until `is_done`.
    pub fn run_until(&self, mut is_done: impl FnMut() -> bool) -> Run {
        while !is_done() {
            if self.inner.turns.get() > TURNS_IN_A_MOMENT_MAX {
                return Run::Circle;
            }
            if !self.inner.turn() {
                return Run::Quiet;
            }
        }
        Run::Done
    }

    /// Runs until `is_over`, for some time at the most.
    ///
    /// # Errors
    /// Tasks run in a circle.
    pub fn live(&self, at_most: Duration, mut is_over: impl FnMut() -> bool) -> Result<(), String> {
        let end = self.now() + at_most;
        match self.run_until(|| is_over() || self.now() >= end) {
            Run::Circle => Err("tasks run in a circle".to_owned()),
            Run::Done | Run::Quiet => Ok(()),
        }
    }

    /// Runs until `main`, on a host, is done; `None` when everybody waits for something that cannot come.
    pub fn run<T: 'static>(&self, world: &SimWorld, main: impl Future<Output = T> + 'static) -> Option<T> {
        let result = Rc::new(RefCell::new(None));
        let slot = Rc::clone(&result);
        self.inner.spawn(world.owner, async move {
            let value = main.await;
            *slot.borrow_mut() = Some(value);
        });
        self.run_until(|| result.borrow().is_some());
        result.take()
    }

    /// Runs `with` the network's settings for connections that are made from now on.
    pub fn set_weather(&self, weather: crate::Weather) {
        self.inner.network.weather.set(weather);
    }
}

impl Drop for Simulation {
    fn drop(&mut self) {
        // Tasks and listeners hold the world that holds them.
        let tasks = std::mem::take(&mut *self.inner.tasks.borrow_mut());
        drop(tasks);
        let backlogs = self.inner.network.forget_all();
        drop(backlogs);
    }
}

impl Inner {
    pub(crate) fn now(&self) -> Instant {
        self.now.get()
    }

    pub(crate) fn wall(&self) -> WallTime {
        self.start + self.now().since(Instant::default())
    }

    pub(crate) fn chance<T>(&self, draw: impl FnOnce(&mut Chance) -> T) -> T {
        draw(&mut self.chance.borrow_mut())
    }

    pub(crate) fn next_owner(&self) -> u32 {
        self.next_owner.set(self.next_owner.get() + 1);
        self.next_owner.get()
    }

    pub(crate) fn end_tasks(&self, is_to_end: impl Fn(Owner) -> bool) {
        let mut tasks = self.tasks.borrow_mut();
        let gone: Vec<u64> =
            tasks.iter().filter(|(_, (owner, _))| is_to_end(*owner)).map(|(id, _)| *id).collect();
        let gone: Vec<_> = gone.iter().filter_map(|id| tasks.remove(id)).collect();
        drop(tasks);
        // They hold streams and files, whose ends others notice.
        drop(gone);
    }

    pub(crate) fn spawn(&self, owner: Owner, task: impl Future<Output = ()> + 'static) {
        let id = self.next_task.get();
        self.next_task.set(id + 1);
        self.tasks.borrow_mut().insert(id, (owner, Box::pin(task)));
        self.ready.lock().push(id);
    }

    /// Wakes at a point in time; the key takes the timer out again.
    pub(crate) fn wake_at(&self, at: Instant, waker: &Waker) -> (Instant, u64) {
        let number = self.next_timer.get();
        self.next_timer.set(number + 1);
        self.timers.borrow_mut().insert((at, number), waker.clone());
        (at, number)
    }

    pub(crate) fn forget_timer(&self, key: (Instant, u64)) {
        self.timers.borrow_mut().remove(&key);
    }

    pub(crate) async fn sleep_until(&self, at: Instant) {
        let mut timer = Timer { inner: self, key: None };
        poll_fn(|context| {
            if self.now() >= at {
                return Poll::Ready(());
            }
            timer.set(at, context.waker());
            Poll::Pending
        })
        .await;
    }

    /// Runs one ready task, any of them, or lets time pass until one is ready; false when nothing can happen any more.
    fn turn(&self) -> bool {
        if let Some(id) = self.pick() {
            self.turns.set(self.turns.get() + 1);
            let task = self.tasks.borrow_mut().remove(&id);
            if let Some((owner, mut task)) = task {
                let waker = Waker::from(Arc::new(TaskWaker { task: id, ready: Arc::clone(&self.ready) }));
                if task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
                    self.tasks.borrow_mut().insert(id, (owner, task));
                }
            }
            return true;
        }
        let Some(((at, _), waker)) = self.timers.borrow_mut().pop_first() else { return false };
        if at > self.now() {
            self.turns.set(0);
            self.now.set(at);
            self.disks.borrow().iter().for_each(|disk| disk.set_now(at));
        }
        waker.wake();
        true
    }

    fn pick(&self) -> Option<u64> {
        let mut ready = self.ready.lock();
        if ready.is_empty() {
            return None;
        }
        let index = self.chance.borrow_mut().below(ready.len());
        Some(ready.swap_remove(index))
    }
}

/// A timer that is taken out when nobody waits for it any more, so that it does not move the clock.
pub(crate) struct Timer<'a> {
    inner: &'a Inner,
    key: Option<(Instant, u64)>,
}

impl Timer<'_> {
    fn set(&mut self, at: Instant, waker: &Waker) {
        self.clear();
        self.key = Some(self.inner.wake_at(at, waker));
    }

    fn clear(&mut self) {
        if let Some(key) = self.key.take() {
            self.inner.forget_timer(key);
        }
    }
}

impl Drop for Timer<'_> {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests;
