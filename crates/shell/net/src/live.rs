//! The real world.

use crate::{commits::Commits, contain, pool::Pool, stream::LiveStream, walk::LiveWalk};
use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    hash::{BuildHasher, RandomState},
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
    pin::pin,
    rc::Rc,
    task::{Poll, Waker},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::net::{TcpSocket, UdpSocket, UnixStream};
use types::{Instant, WallTime};
use world::{BindFailed, Disk, Endpoint, World};

/// What an executor is made of.
pub struct Builder<D> {
    disk: D,
    blocking_threads: usize,
    before_waiting: Option<Hook>,
}

type Hook = Box<dyn Fn() + Send + Sync>;

impl<D: Disk> Builder<D> {
    /// Threads for blocking work unless [`Self::blocking_threads`] says otherwise: enough that the syncs of
    /// twenty sessions reach the disk together.
    pub const BLOCKING_THREADS: usize = 16;

    /// An executor whose world has `disk`.
    pub fn new(disk: D) -> Self {
        Self { disk, blocking_threads: Self::BLOCKING_THREADS, before_waiting: None }
    }

    /// The most threads for [`World::blocking`], at least 1.
    #[must_use]
    pub fn blocking_threads(mut self, threads_max: usize) -> Self {
        self.blocking_threads = threads_max;
        self
    }

    /// Called at the end of each turn, when nothing is left to do but wait.
    #[must_use]
    pub fn before_waiting(mut self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        self.before_waiting = Some(Box::new(hook));
        self
    }
}

/// Runs `main` on an executor in this thread and returns its result; tasks that are then still there are dropped.
/// The error may be a panic in one of the tasks.
pub fn run<D: Disk, F: Future>(
    builder: Builder<D>,
    main: impl FnOnce(Live<D>) -> F,
) -> io::Result<F::Output> {
    let executor = Executor::new(builder)?;
    let live = executor.world().clone();
    executor.block_on(async move { main(live).await })
}

/// An executor in this thread that a program without one of its own waits on, once and again.
pub struct Executor<D> {
    live: Live<D>,
    runtime: tokio::runtime::LocalRuntime,
}

impl<D: Disk> Executor<D> {
    /// An executor whose tasks go on only while somebody waits.
    pub fn new(builder: Builder<D>) -> io::Result<Self> {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        if let Some(hook) = builder.before_waiting {
            runtime.on_thread_park(hook);
        }
        let runtime = runtime.enable_all().build_local(Default::default())?;
        let live = Live(Rc::new(Inner {
            disk: builder.disk,
            pool: Pool::new(builder.blocking_threads),
            commits: Commits::default(),
            secret: RandomState::new(),
            drawn: Cell::new(0),
            panic: Rc::default(),
        }));
        Ok(Self { live, runtime })
    }

    /// Its world.
    pub fn world(&self) -> &Live<D> {
        &self.live
    }

    /// Waits for `main`. The error may be a panic in one of the tasks.
    pub fn block_on<F: Future>(&self, main: F) -> io::Result<F::Output> {
        wait(&self.runtime, Rc::clone(&self.live.0.panic), main)
    }
}

fn wait<F: Future>(
    runtime: &tokio::runtime::LocalRuntime,
    panic: Rc<RefCell<Panic>>,
    main: F,
) -> io::Result<F::Output> {
    runtime.block_on(async move {
        let main = pin!(main);
        let mut main = pin!(contain(main));
        poll_fn(|context| {
            if let Poll::Ready(ended) = main.as_mut().poll(context) {
                return Poll::Ready(ended.map_err(|text| bug(&text)));
            }
            let mut panic = panic.borrow_mut();
            panic.waker = Some(context.waker().clone());
            panic.text.take().map_or(Poll::Pending, |text| Poll::Ready(Err(bug(&text))))
        })
        .await
    })
}

fn bug(text: &str) -> io::Error {
    io::Error::other(format!("panic: {text}"))
}

/// The first panic of a task that nobody contained.
#[derive(Default)]
struct Panic {
    text: Option<String>,
    waker: Option<Waker>,
}

/// Clocks, sockets, timers and threads of this system. Cheap to clone; stays in its thread.
pub struct Live<D>(Rc<Inner<D>>);

struct Inner<D> {
    disk: D,
    pool: Pool,
    commits: Commits,
    // A keyed hash of a counter: nobody who sees some of the numbers can tell the next.
    secret: RandomState,
    drawn: Cell<u64>,
    panic: Rc<RefCell<Panic>>,
}

impl<D> Clone for Live<D> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<D: Disk> Live<D> {
    async fn connect_inet(&self, to: SocketAddr, from: Option<IpAddr>) -> io::Result<LiveStream> {
        let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if let Some(address) = from {
            let bound = socket.bind(SocketAddr::new(address, 0));
            bound.map_err(|error| io::Error::new(error.kind(), BindFailed(error)))?;
        }
        Ok(LiveStream::tcp(socket.connect(to).await?))
    }

    async fn connect_unix(&self, path: &Path) -> io::Result<LiveStream> {
        loop {
            match UnixStream::connect(path).await {
                // The listener's backlog is full; the caller's limit ends this.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.sleep(Duration::from_millis(10)).await;
                }
                connected => return Ok(LiveStream::unix(connected?)),
            }
        }
    }

    async fn ask(server: SocketAddr, query: &[u8], accept: impl Fn(&[u8]) -> bool) -> io::Result<Vec<u8>> {
        let any: IpAddr =
            if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await?;
        // Connected: the kernel drops what comes from elsewhere, and reports an unreachable server.
        socket.connect(server).await?;
        socket.send(query).await?;
        let mut buffer = vec![0; 4096];
        loop {
            let size = socket.recv(&mut buffer).await?;
            if let Some(answer) = buffer.get(..size).filter(|answer| accept(answer)) {
                return Ok(answer.to_vec());
            }
        }
    }
}

impl<D: Disk> World for Live<D> {
    type Stream = LiveStream;
    type Disk = D;
    type Walk<T: Send + 'static> = LiveWalk<D, T>;

    fn now(&self) -> Instant {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
        Instant::from_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
    }

    fn wall(&self) -> WallTime {
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(span) => WallTime::default() + span,
            Err(before) => WallTime::default() - before.duration(),
        }
    }

    async fn sleep_until(&self, at: Instant) {
        let span = at.since(self.now());
        if !span.is_zero() {
            tokio::time::sleep(span).await;
        }
    }

    async fn give_way(&self) {
        tokio::task::yield_now().await;
    }

    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        let panic = Rc::clone(&self.0.panic);
        let mut task = Box::pin(task);
        drop(tokio::task::spawn_local(async move {
            if let Err(text) = contain(task.as_mut()).await {
                let mut panic = panic.borrow_mut();
                panic.text.get_or_insert(text);
                panic.waker.take().into_iter().for_each(Waker::wake);
            }
        }));
    }

    async fn connect(&self, to: &Endpoint, from: Option<IpAddr>, limit: Duration) -> io::Result<LiveStream> {
        let connecting = async {
            match to {
                Endpoint::Inet(address) => self.connect_inet(*address, from).await,
                Endpoint::Unix(path) => self.connect_unix(path).await,
            }
        };
        self.timeout(limit, connecting).await.unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into()))
    }

    async fn exchange(
        &self,
        server: SocketAddr,
        query: &[u8],
        accept: impl Fn(&[u8]) -> bool,
        limit: Duration,
    ) -> io::Result<Vec<u8>> {
        let asking = Self::ask(server, query, accept);
        self.timeout(limit, asking).await.unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into()))
    }

    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        self.0.pool.run(work).await
    }

    async fn commit<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let attend = || {
            let live = self.clone();
            self.spawn(async move { live.0.commits.attend(&live.0.pool).await });
        };
        self.0.commits.run(work, attend).await
    }

    fn walk<T: Send + 'static>(
        &self,
        ahead_max: usize,
        work: impl FnOnce(&mut dyn FnMut(T) -> bool) + Send + 'static,
    ) -> LiveWalk<D, T> {
        LiveWalk::start(self.clone(), ahead_max, work)
    }

    fn disk(&self) -> &D {
        &self.0.disk
    }

    fn random(&self) -> u64 {
        let next = self.0.drawn.get().wrapping_add(1);
        self.0.drawn.set(next);
        self.0.secret.hash_one(next)
    }

    async fn timeout<T>(&self, limit: Duration, task: impl Future<Output = T>) -> Option<T> {
        tokio::time::timeout(limit, task).await.ok()
    }
}
