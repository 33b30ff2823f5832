//! A single-threaded executor with a clock of its own: time passes only when every task waits.

use crate::{Chance, SimDisk, SimStream, pipe};
use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, VecDeque},
    future::{Future, poll_fn},
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    pin::{Pin, pin},
    rc::Rc,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};
use types::{Instant, WallTime};
use world::{Endpoint, Walk, World};

type Task = Pin<Box<dyn Future<Output = ()>>>;
type Acceptor = Rc<dyn Fn(SimStream)>;
type NameServer = Rc<dyn Fn(SocketAddr, &[u8]) -> Vec<Vec<u8>>>;

/// The simulation: owns tasks and clock.
pub struct Simulation {
    world: SimWorld,
}

/// The world as tasks see it. Clones share everything.
#[derive(Clone)]
pub struct SimWorld {
    inner: Rc<Inner>,
}

struct Inner {
    start: WallTime,
    now: Cell<Instant>,
    chance: RefCell<Chance>,
    tasks: RefCell<BTreeMap<u64, Task>>,
    next_task: Cell<u64>,
    ready: Arc<ReadyList>,
    timers: RefCell<BTreeMap<(Instant, u64), Waker>>,
    next_timer: Cell<u64>,
    next_port: Cell<u16>,
    acceptors: RefCell<Vec<(Endpoint, Acceptor)>>,
    name_server: RefCell<Option<NameServer>>,
    disk: SimDisk,
}

#[derive(Default)]
struct ReadyList(Mutex<VecDeque<u64>>);

impl ReadyList {
    fn push(&self, task: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(task);
    }

    fn pop(&self) -> Option<u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

struct TaskWaker {
    task: u64,
    ready: Arc<ReadyList>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.ready.push(self.task);
    }
}

impl Simulation {
    /// A world from a seed, whose calendar starts in 2026.
    #[must_use]
    pub fn new(seed: u64, disk: SimDisk) -> Self {
        let inner = Inner {
            start: WallTime::new(1_780_000_000, 0),
            now: Cell::new(Instant::default()),
            chance: RefCell::new(Chance::new(seed)),
            tasks: RefCell::default(),
            next_task: Cell::new(0),
            ready: Arc::default(),
            timers: RefCell::default(),
            next_timer: Cell::new(0),
            next_port: Cell::new(20_000),
            acceptors: RefCell::default(),
            name_server: RefCell::new(None),
            disk,
        };
        Self { world: SimWorld { inner: Rc::new(inner) } }
    }

    /// The world for tasks.
    #[must_use]
    pub fn world(&self) -> SimWorld {
        self.world.clone()
    }

    /// Runs until `main` is done; `None` when everybody waits for something that cannot come.
    pub fn run<T: 'static>(&self, main: impl Future<Output = T> + 'static) -> Option<T> {
        let result = Rc::new(RefCell::new(None));
        let slot = Rc::clone(&result);
        self.world.spawn(async move {
            let value = main.await;
            *slot.borrow_mut() = Some(value);
        });
        while result.borrow().is_none() {
            if !self.world.inner.turn() {
                break;
            }
        }
        result.take()
    }
}

impl Drop for Simulation {
    fn drop(&mut self) {
        // Tasks hold the world that holds them.
        let tasks = std::mem::take(&mut *self.world.inner.tasks.borrow_mut());
        drop(tasks);
    }
}

impl Inner {
    /// Runs one ready task, or lets time pass until one is ready; false when nothing can happen any more.
    fn turn(&self) -> bool {
        if let Some(id) = self.ready.pop() {
            let task = self.tasks.borrow_mut().remove(&id);
            if let Some(mut task) = task {
                let waker = Waker::from(Arc::new(TaskWaker { task: id, ready: Arc::clone(&self.ready) }));
                if task.as_mut().poll(&mut Context::from_waker(&waker)).is_pending() {
                    self.tasks.borrow_mut().insert(id, task);
                }
            }
            return true;
        }
        let Some(((at, _), waker)) = self.timers.borrow_mut().pop_first() else { return false };
        self.now.set(self.now.get().max(at));
        waker.wake();
        true
    }
}

impl SimWorld {
    /// Whoever connects to `endpoint` reaches `accept`.
    pub fn listen(&self, endpoint: Endpoint, accept: impl Fn(SimStream) + 'static) {
        let mut acceptors = self.inner.acceptors.borrow_mut();
        acceptors.retain(|(known, _)| *known != endpoint);
        acceptors.push((endpoint, Rc::new(accept)));
    }

    /// Answers DNS queries: every datagram that comes back for a query, in order; none is a timeout.
    pub fn serve_names(&self, answer: impl Fn(SocketAddr, &[u8]) -> Vec<Vec<u8>> + 'static) {
        *self.inner.name_server.borrow_mut() = Some(Rc::new(answer));
    }
}

impl World for SimWorld {
    type Stream = SimStream;
    type Disk = SimDisk;
    type Walk<T: Send + 'static> = SimWalk<T>;

    fn now(&self) -> Instant {
        self.inner.now.get()
    }

    fn wall(&self) -> WallTime {
        self.inner.start + self.now().since(Instant::default())
    }

    async fn sleep_until(&self, at: Instant) {
        let number = self.inner.next_timer.get();
        self.inner.next_timer.set(number + 1);
        let key = (at, number);
        let _forget = ForgetTimer { world: self, key };
        poll_fn(|context| {
            if self.now() >= at {
                return Poll::Ready(());
            }
            self.inner.timers.borrow_mut().insert(key, context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        let id = self.inner.next_task.get();
        self.inner.next_task.set(id + 1);
        self.inner.tasks.borrow_mut().insert(id, Box::pin(task));
        self.inner.ready.push(id);
    }

    async fn connect(&self, to: &Endpoint, from: Option<IpAddr>, _: Duration) -> io::Result<SimStream> {
        let acceptor = {
            let acceptors = self.inner.acceptors.borrow();
            acceptors.iter().find(|(known, _)| known == to).map(|(_, accept)| Rc::clone(accept))
        };
        let Some(accept) = acceptor else { return Err(io::ErrorKind::ConnectionRefused.into()) };
        let port = self.inner.next_port.get();
        self.inner.next_port.set(port.wrapping_add(1).max(1024));
        let (near, far) = match to {
            Endpoint::Inet(server) => {
                let address = from.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
                pipe(Some(SocketAddr::new(address, port)), Some(*server))
            }
            Endpoint::Unix(_) => pipe(None, None),
        };
        accept(far);
        Ok(near)
    }

    async fn exchange(
        &self,
        server: SocketAddr,
        query: &[u8],
        accept: impl Fn(&[u8]) -> bool,
        limit: Duration,
    ) -> io::Result<Vec<u8>> {
        let answer = self.inner.name_server.borrow().clone();
        let answers = answer.map(|answer| answer(server, query)).unwrap_or_default();
        if let Some(datagram) = answers.into_iter().find(|datagram| accept(datagram)) {
            return Ok(datagram);
        }
        self.sleep(limit).await;
        Err(io::ErrorKind::TimedOut.into())
    }

    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        work()
    }

    fn walk<T: Send + 'static>(
        &self,
        _: usize,
        work: impl FnOnce(&mut dyn FnMut(T) -> bool) + Send + 'static,
    ) -> SimWalk<T> {
        let mut items = VecDeque::new();
        work(&mut |item| {
            items.push_back(item);
            true
        });
        SimWalk(RefCell::new(items))
    }

    fn disk(&self) -> &SimDisk {
        &self.inner.disk
    }

    fn random(&self) -> u64 {
        self.inner.chance.borrow_mut().number()
    }

    async fn timeout<T>(&self, limit: Duration, task: impl Future<Output = T>) -> Option<T> {
        let (mut task, mut end) = (pin!(task), pin!(self.sleep(limit)));
        poll_fn(|context| match task.as_mut().poll(context) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending => end.as_mut().poll(context).map(|()| None),
        })
        .await
    }
}

/// What a walk found, all of it at its beginning.
pub struct SimWalk<T>(RefCell<VecDeque<T>>);

impl<T: 'static> Walk<T> for SimWalk<T> {
    async fn take(&self, items_max: usize) -> (Vec<T>, bool) {
        let mut items = self.0.borrow_mut();
        let count = items.len().min(items_max);
        (items.drain(..count).collect(), items.is_empty())
    }
}

/// Takes a timer out when nobody waits for it any more, so that it does not move the clock.
struct ForgetTimer<'a> {
    world: &'a SimWorld,
    key: (Instant, u64),
}

impl Drop for ForgetTimer<'_> {
    fn drop(&mut self) {
        self.world.inner.timers.borrow_mut().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;
    use world::Stream;

    #[test]
    fn time_passes_only_when_everybody_waits() {
        let simulation = Simulation::new(1, SimDisk::new());
        let world = simulation.world();
        let order = simulation.run(async move {
            let order = Rc::new(RefCell::new(Vec::new()));
            for delay in [3u64, 1, 2] {
                let (world, order) = (world.clone(), Rc::clone(&order));
                world.clone().spawn(async move {
                    world.sleep(Duration::from_secs(delay)).await;
                    order.borrow_mut().push((delay, world.now().as_nanos() / 1_000_000_000));
                });
            }
            world.sleep(Duration::from_secs(10)).await;
            order.take()
        });
        assert_eq!(order, Some(vec![(1, 1), (2, 2), (3, 3)]));
    }

    #[test]
    fn peers_talk_and_silence_times_out() {
        let simulation = Simulation::new(1, SimDisk::new());
        let world = simulation.world();
        let endpoint = Endpoint::Unix(PathBuf::from("public/echo"));
        let server = world.clone();
        world.listen(endpoint.clone(), move |mut stream| {
            server.spawn(async move {
                let mut buffer = [0; 16];
                while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                    let _ = stream.write_all(&buffer[..count]).await;
                }
            });
        });
        let got = simulation.run(async move {
            let limit = Duration::from_secs(5);
            let mut stream = world.connect(&endpoint, None, limit).await.unwrap();
            stream.write_all(b"hello").await.unwrap();
            let mut buffer = [0; 16];
            let count = stream.read(&mut buffer).await.unwrap();
            let silence = world.timeout(limit, stream.read(&mut [0; 16])).await.is_none();
            (buffer[..count].to_vec(), silence, world.now().as_nanos())
        });
        assert_eq!(got, Some((b"hello".to_vec(), true, 5_000_000_000)));
    }
}
