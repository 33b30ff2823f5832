//! Who listens where, and what the way between two machines does to bytes.

use crate::{Chance, SimStream, SimWorld, stream};
use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::poll_fn,
    io,
    net::{IpAddr, SocketAddr},
    rc::Rc,
    task::{Poll, Waker},
    time::Duration,
};
use world::{Accept, Endpoint, World};

/// Connections that wait to be accepted.
const BACKLOG_MAX: usize = 128;

type NameServer = Rc<dyn Fn(SocketAddr, &[u8]) -> Vec<Datagram>>;

/// What a name server sends, and how much later.
pub struct Datagram {
    /// After the query.
    pub after: Duration,
    /// The packet.
    pub bytes: Vec<u8>,
}

/// What connections between machines have to expect. Those within a machine (UNIX-domain sockets) are always fair.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// Bytes are under way for no longer than this.
    pub latency_max: Duration,
    /// A read gives at most so many bytes; 1 is byte by byte.
    pub read_bytes_max: usize,
    /// A writer waits when so many bytes have not been read.
    pub window_bytes: usize,
    /// One in so many connections is reset on its way; 0 for none.
    pub reset_one_in: usize,
    /// One in so many connections falls silent, for good; 0 for none.
    pub silent_one_in: usize,
    /// One in so many connections does not come about; 0 for none.
    pub refuse_one_in: usize,
}

impl Weather {
    /// Nothing goes wrong, and nothing takes time.
    pub const FAIR: Self = Self {
        latency_max: Duration::ZERO,
        read_bytes_max: usize::MAX,
        window_bytes: 64 * 1024,
        reset_one_in: 0,
        silent_one_in: 0,
        refuse_one_in: 0,
    };

    /// Some weather.
    #[must_use]
    pub fn draw(chance: &mut Chance) -> Self {
        let rarely = |chance: &mut Chance| if chance.one_in(2) { 0 } else { 3 + chance.below(30) };
        Self {
            latency_max: Duration::from_millis([0, 1, 50, 800][chance.below(4)]),
            read_bytes_max: [1, 7, 100, 1500, usize::MAX][chance.below(5)],
            window_bytes: [600, 4096, 64 * 1024][chance.below(3)],
            reset_one_in: rarely(chance),
            silent_one_in: rarely(chance),
            refuse_one_in: rarely(chance),
        }
    }
}

pub(crate) struct Network {
    pub(crate) weather: Cell<Weather>,
    listeners: RefCell<Vec<(u32, Endpoint, Rc<Backlog>)>>,
    names: RefCell<Option<NameServer>>,
    next_port: Cell<u16>,
}

#[derive(Default)]
struct Backlog {
    waiting: RefCell<VecDeque<(SimStream, Option<SocketAddr>)>>,
    accepting: RefCell<Vec<Waker>>,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            weather: Cell::new(Weather::FAIR),
            listeners: RefCell::default(),
            names: RefCell::default(),
            next_port: Cell::new(20_000),
        }
    }
}

/// A listening socket, which processes may share.
#[derive(Clone)]
pub struct SimListener(Rc<Backlog>);

impl Accept for SimListener {
    type Stream = SimStream;

    async fn accept(&self) -> io::Result<(SimStream, Option<SocketAddr>)> {
        poll_fn(|context| match self.0.waiting.borrow_mut().pop_front() {
            Some(connection) => Poll::Ready(Ok(connection)),
            None => {
                self.0.accepting.borrow_mut().push(context.waker().clone());
                Poll::Pending
            }
        })
        .await
    }
}

impl Network {
    pub(crate) fn bind(&self, world: &SimWorld, endpoint: Endpoint) -> SimListener {
        let backlog = Rc::new(Backlog::default());
        let mut listeners = self.listeners.borrow_mut();
        listeners.retain(|(host, known, _)| {
            *known != endpoint || (is_local(&endpoint) && *host != world.owner.host)
        });
        listeners.push((world.owner.host, endpoint, Rc::clone(&backlog)));
        SimListener(backlog)
    }

    pub(crate) fn forget(&self, host: u32) -> impl Drop + use<> {
        let mut listeners = self.listeners.borrow_mut();
        let (gone, others) =
            std::mem::take(&mut *listeners).into_iter().partition(|(owner, ..)| *owner == host);
        *listeners = others;
        let gone: Vec<(u32, Endpoint, Rc<Backlog>)> = gone;
        gone.into_iter().map(|(_, _, backlog)| backlog.waiting.take()).collect::<Vec<_>>()
    }

    pub(crate) fn forget_all(&self) -> impl Drop + use<> {
        let gone = self.listeners.take();
        gone.into_iter().map(|(_, _, backlog)| backlog.waiting.take()).collect::<Vec<_>>()
    }

    pub(crate) fn serve_names(&self, answer: impl Fn(SocketAddr, &[u8]) -> Vec<Datagram> + 'static) {
        *self.names.borrow_mut() = Some(Rc::new(answer));
    }

    pub(crate) fn ask_names(&self, server: SocketAddr, query: &[u8]) -> Vec<Datagram> {
        let names = self.names.borrow().clone();
        names.map(|names| names(server, query)).unwrap_or_default()
    }

    fn find(&self, host: u32, to: &Endpoint) -> Option<Rc<Backlog>> {
        let listeners = self.listeners.borrow();
        let is_it = |owner: u32, known: &Endpoint| known == to && (!is_local(to) || owner == host);
        listeners
            .iter()
            .find(|(owner, known, _)| is_it(*owner, known))
            .map(|(_, _, backlog)| Rc::clone(backlog))
    }

    fn port(&self) -> u16 {
        let port = self.next_port.get();
        self.next_port.set(port.wrapping_add(1).max(1024));
        port
    }
}

const fn is_local(endpoint: &Endpoint) -> bool {
    matches!(endpoint, Endpoint::Unix(_))
}

pub(crate) async fn connect(
    world: &SimWorld,
    to: &Endpoint,
    from: Option<IpAddr>,
    limit: Duration,
) -> io::Result<SimStream> {
    let network = &world.inner.network;
    let weather = network.weather.get();
    // Nothing goes wrong within a machine, but a busy one takes its time.
    let weather =
        if is_local(to) { Weather { latency_max: weather.latency_max, ..Weather::FAIR } } else { weather };
    world.pause(weather.latency_max).await;
    if weather.refuse_one_in > 0 && world.chance(|chance| chance.one_in(weather.refuse_one_in)) {
        if world.chance(|chance| chance.one_in(2)) {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        world.sleep(limit).await;
        return Err(io::ErrorKind::TimedOut.into());
    }
    let Some(backlog) = network.find(world.owner.host, to) else {
        return Err(io::ErrorKind::ConnectionRefused.into());
    };
    if backlog.waiting.borrow().len() >= BACKLOG_MAX {
        world.sleep(limit).await;
        return Err(io::ErrorKind::TimedOut.into());
    }
    let (near, far) = match to {
        Endpoint::Inet(server) => {
            let address = SocketAddr::new(from.unwrap_or(world.address), network.port());
            (Some(address), Some(*server))
        }
        Endpoint::Unix(_) => (None, None),
    };
    let (ours, theirs) = stream::connection(&world.inner, weather, (near, far));
    backlog.waiting.borrow_mut().push_back((theirs, near));
    backlog.accepting.take().into_iter().for_each(Waker::wake);
    Ok(ours)
}
