//! A host's view of the simulation.

use crate::{
    Datagram, SimDisk, SimListener, SimStream,
    executor::{Inner, Owner},
    network,
};
use std::{
    cell::RefCell,
    collections::VecDeque,
    future::{Future, poll_fn},
    io,
    net::{IpAddr, SocketAddr},
    pin::pin,
    rc::Rc,
    task::{Poll, Waker},
    time::Duration,
};
use types::{Instant, WallTime};
use world::{Accept, Endpoint, Walk, World};

/// Time, tasks, connections and the disk of one machine, as a process of it sees them. Clones share everything.
#[derive(Clone)]
pub struct SimWorld {
    pub(crate) inner: Rc<Inner>,
    pub(crate) owner: Owner,
    pub(crate) address: IpAddr,
    pub(crate) disk: SimDisk,
}

impl SimWorld {
    /// Listens; who listened there before does so no more.
    #[must_use]
    pub fn bind(&self, endpoint: Endpoint) -> SimListener {
        self.inner.network.bind(self, endpoint)
    }

    /// Listens, and serves each connection by a task of its own. That a client goes away in the middle is nothing new: how
    /// a task ends does not matter.
    pub fn serve<T>(&self, at: Endpoint, serve: impl Fn(SimStream) -> T + 'static)
    where
        T: Future + 'static,
    {
        let (listener, world) = (self.bind(at), self.clone());
        self.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = serve(stream);
                world.spawn(async move {
                    let _ended = serving.await;
                });
            }
        });
    }

    /// Another process of this machine.
    #[must_use]
    pub fn process(&self) -> Self {
        let owner = Owner { process: self.inner.next_owner(), ..self.owner };
        Self { owner, ..self.clone() }
    }

    /// The process ends, whatever it is doing; what it listens on is its master's, and stays.
    pub fn exit(&self) {
        self.inner.end_tasks(|owner| owner == self.owner);
    }

    /// Answers all hosts' DNS queries: the datagrams that come back for a query, in order; none is a timeout.
    pub fn serve_names(&self, answer: impl Fn(SocketAddr, &[u8]) -> Vec<Datagram> + 'static) {
        self.inner.network.serve_names(answer);
    }

    /// Draws from the seed.
    pub fn chance<T>(&self, draw: impl FnOnce(&mut crate::Chance) -> T) -> T {
        self.inner.chance(draw)
    }

    /// Lets others run, for no time or for a while.
    pub(crate) async fn pause(&self, longest: Duration) {
        let nanos = usize::try_from(longest.as_nanos()).unwrap_or(usize::MAX);
        let span = self.inner.chance(|chance| if chance.one_in(2) { 0 } else { chance.below(nanos) });
        self.sleep(Duration::from_nanos(span as u64)).await;
    }
}

impl World for SimWorld {
    type Stream = SimStream;
    type Disk = SimDisk;
    type Walk<T: Send + 'static> = SimWalk<T>;

    fn now(&self) -> Instant {
        self.inner.now()
    }

    fn wall(&self) -> WallTime {
        self.inner.wall()
    }

    async fn sleep_until(&self, at: Instant) {
        self.inner.sleep_until(at).await;
    }

    async fn give_way(&self) {
        let mut has_waited = false;
        poll_fn(|context| {
            if std::mem::replace(&mut has_waited, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.inner.spawn(self.owner, task);
    }

    async fn connect(&self, to: &Endpoint, from: Option<IpAddr>, limit: Duration) -> io::Result<SimStream> {
        network::connect(self, to, from, limit).await
    }

    async fn exchange(
        &self,
        server: SocketAddr,
        query: &[u8],
        accept: impl Fn(&[u8]) -> bool,
        limit: Duration,
    ) -> io::Result<Vec<u8>> {
        let answers = self.inner.network.ask_names(server, query);
        self.pause(self.inner.network.weather.get().latency_max).await;
        let mut answers = answers.into_iter().filter(|datagram| accept(&datagram.bytes));
        if let Some(Datagram { after, bytes }) = answers.next().filter(|datagram| datagram.after < limit) {
            self.sleep(after).await;
            return Ok(bytes);
        }
        self.sleep(limit).await;
        Err(io::ErrorKind::TimedOut.into())
    }

    // Work that was handed over is done, whether somebody still waits for it or not.
    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let slot = Rc::new(RefCell::new((None, None::<Waker>)));
        let (world, done) = (self.clone(), Rc::clone(&slot));
        self.spawn(async move {
            let longest = world.disk.latency_max();
            world.pause(longest).await;
            let value = work();
            world.pause(longest).await;
            let mut done = done.borrow_mut();
            done.0 = Some(value);
            done.1.take().into_iter().for_each(Waker::wake);
        });
        poll_fn(|context| {
            let mut slot = slot.borrow_mut();
            match slot.0.take() {
                Some(value) => Poll::Ready(value),
                None => {
                    slot.1 = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await
    }

    async fn commit<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        self.blocking(work).await
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
        SimWalk { world: self.clone(), items: RefCell::new(items) }
    }

    fn disk(&self) -> &SimDisk {
        &self.disk
    }

    fn random(&self) -> u64 {
        self.inner.chance(crate::Chance::number)
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
pub struct SimWalk<T> {
    world: SimWorld,
    items: RefCell<VecDeque<T>>,
}

impl<T: 'static> Walk<T> for SimWalk<T> {
    async fn take(&self, items_max: usize) -> (Vec<T>, bool) {
        self.world.pause(self.world.disk.latency_max()).await;
        let mut items = self.items.borrow_mut();
        let count = items.len().min(items_max);
        (items.drain(..count).collect(), items.is_empty())
    }
}
