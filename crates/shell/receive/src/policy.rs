//! Connections to policy servers: sessions share them, one request at a time on each.
//!
//! A connection belongs to the message that it was last used for until the message's transaction ends, as
//! SMTPD_POLICY_README promises to servers; only where `default_process_limit` of them are open is one lent to others before.
//!
//! Diagnostics: as Postfix warns of a server that cannot be reached, hangs, hangs up or talks nonsense; then the service's
//! default action is taken.

use bstr::BString;
use net::{Permit, Slots};
use smtpd::{Instance, PolicyEndpoint, PolicyRequest, PolicyServer, PolicyServers, PolicyService};
use std::{
    cell::{Cell, RefCell},
    io,
    path::{Path, PathBuf},
    rc::{Rc, Weak},
    time::Duration,
};
use tables_net::Server;
use types::Instant;
use wire::policy::{AnswerReader, Nonsense, Place};
use world::{Answer, Dns, Stream, World};

/// How much is read at once.
const CHUNK_BYTES: usize = 4096;

/// The policy servers of one row of master.cf.
pub(crate) struct PolicyClients<W: World> {
    pub(crate) world: W,
    /// For servers that are named.
    pub(crate) hosts: Rc<dyn Dns>,
    /// `default_process_limit`
    pub(crate) connections_max: usize,
    /// `header_size_limit`: no action says more than one header.
    pub(crate) answer_bytes_max: usize,
    /// The row's programs see `queue_directory` as their root.
    pub(crate) is_chrooted: bool,
    /// Tells messages of one microsecond apart.
    pub(crate) last_instance: Rc<Cell<u32>>,
}

impl<W: World> PolicyServers for PolicyClients<W> {
    fn open(&self, service: &PolicyService) -> Rc<dyn PolicyServer> {
        let server = match &service.endpoint {
            PolicyEndpoint::Inet { host, port } => Server::Inet { host: host.clone(), port: *port },
            PolicyEndpoint::Unix(path) => Server::Unix(self.path(path)),
        };
        Rc::new(Client {
            world: self.world.clone(),
            hosts: Rc::clone(&self.hosts),
            service: service.clone(),
            server,
            answer_bytes_max: self.answer_bytes_max,
            connections: Connections::new(self.connections_max, service),
        })
    }

    /// Four numbers in hexadecimal, as Postfix has it: one that another process hardly has, the time, and a count.
    fn instance(&self) -> String {
        let now = self.world.wall();
        let count = self.last_instance.get().wrapping_add(1);
        self.last_instance.set(count);
        let chance = self.world.random() & 0xffff_ffff;
        format!("{chance:x}.{:x}.{:x}.{count:x}", now.seconds, now.micros)
    }
}

impl<W: World> PolicyClients<W> {
    fn path(&self, path: &Path) -> PathBuf {
        match path.strip_prefix("/") {
            Ok(below) if self.is_chrooted => below.to_owned(),
            _ => path.to_owned(),
        }
    }
}

struct Client<W: World> {
    world: W,
    hosts: Rc<dyn Dns>,
    service: PolicyService,
    server: Server,
    answer_bytes_max: usize,
    connections: Rc<Connections<W::Stream>>,
}

/// Why there was no answer.
enum Failure {
    /// A connection that had been idle was closed meanwhile: the server has not seen the request.
    WasClosed,
    /// The server ended the connection, or said what cannot be used.
    Other,
    System(io::Error),
}

impl Failure {
    /// As Postfix says it where the system has no error to name.
    fn text(&self) -> String {
        match self {
            Self::WasClosed | Self::Other => "Application error".to_owned(),
            Self::System(error) => errno_text(error),
        }
    }

    /// Servers come and go: what can be tried again is logged only where that did not help.
    fn is_remarkable(&self) -> bool {
        use io::ErrorKind as K;
        match self {
            Self::WasClosed | Self::Other => false,
            Self::System(error) => !matches!(error.kind(), K::BrokenPipe | K::NotFound | K::ConnectionReset),
        }
    }
}

impl<W: World> PolicyServer for Client<W> {
    fn ask<'a>(&'a self, request: PolicyRequest<'a>) -> Answer<'a, Option<BString>> {
        Answer::later(self.ask_patiently(request))
    }
}

impl<W: World> Client<W> {
    async fn ask_patiently(&self, request: PolicyRequest<'_>) -> Option<BString> {
        let PolicyService { server, try_limit, retry_delay, .. } = &self.service;
        for tried in 1..=*try_limit {
            let failure = match self.attempt(&request).await {
                Ok(action) => return Some(action),
                Err(failure) => failure,
            };
            if tried == *try_limit || failure.is_remarkable() {
                request.log.warning(&format!("problem talking to server {server}: {}", failure.text()));
            }
            if tried < *try_limit && !matches!(failure, Failure::WasClosed) {
                self.world.sleep(*retry_delay).await;
            }
        }
        None
    }

    async fn attempt(&self, request: &PolicyRequest<'_>) -> Result<BString, Failure> {
        let PolicyService { timeout, server, .. } = &self.service;
        let connected = self.connection(request.instance).await;
        let (mut taken, was_idle) = connected.map_err(|error| {
            request.log.warning(&format!("connect to {server}: {}", errno_text(&error)));
            Failure::System(error)
        })?;
        let late = || Failure::System(io::ErrorKind::TimedOut.into());
        let sending = self.world.timeout(*timeout, taken.stream.write_all(&request.bytes)).await;
        sending.ok_or_else(late)?.map_err(|error| match was_idle {
            true => Failure::WasClosed,
            false => Failure::System(error),
        })?;
        let mut reader = AnswerReader::new(self.answer_bytes_max);
        let answer = self.world.timeout(*timeout, read(&mut taken.stream, &mut reader)).await;
        let answer = match answer {
            Some(Ok(answer)) => answer,
            Some(Err(Unread::Nonsense(nonsense))) => {
                request.log.warning(&nonsense.about(server));
                return Err(Failure::Other);
            }
            Some(Err(Unread::Ended)) => {
                self.warn_of_end(request, "premature end-of-input", reader.place());
                let is_stale = was_idle && reader.place() == Place::Start;
                return Err(if is_stale { Failure::WasClosed } else { Failure::Other });
            }
            Some(Err(Unread::System(error))) => return Err(Failure::System(error)),
            None => {
                self.warn_of_end(request, "timeout", reader.place());
                return Err(late());
            }
        };
        if !answer.has_rest {
            self.connections.keep(&self.world, taken, request.instance);
        }
        Ok(answer.action)
    }

    fn warn_of_end(&self, request: &PolicyRequest<'_>, what: &str, place: Place) {
        if place != Place::Start {
            let server = &self.service.server;
            request.log.warning(&format!("{what} on {server} while reading {place}"));
        }
    }

    /// A connection, and whether it was open already.
    async fn connection(&self, instance: Option<&Rc<Instance>>) -> io::Result<(Connection<W::Stream>, bool)> {
        let limit = self.service.timeout;
        let place = self.world.timeout(limit, self.connections.slots.take()).await.ok_or_else(|| {
            io::Error::other(
                "all connections to it are in use; default_process_limit says how many there may be",
            )
        })?;
        let taken = self.connections.take(self.world.now(), instance, place);
        match taken {
            Ok(connection) => Ok((connection, true)),
            Err(place) => {
                let stream = self.server.connect(&self.world, &self.hosts, limit).await?;
                let now = self.world.now();
                let connection = Connection {
                    stream,
                    opened: now,
                    used: now,
                    requests: 0,
                    owner: Weak::new(),
                    _place: Some(place),
                };
                Ok((connection, false))
            }
        }
    }
}

/// Why no answer could be read.
enum Unread {
    Nonsense(Nonsense),
    Ended,
    System(io::Error),
}

async fn read(stream: &mut impl Stream, reader: &mut AnswerReader) -> Result<wire::policy::Answer, Unread> {
    let mut chunk = [0; CHUNK_BYTES];
    loop {
        let count = stream.read(&mut chunk).await.map_err(Unread::System)?;
        if count == 0 {
            return Err(Unread::Ended);
        }
        let bytes = chunk.get(..count).unwrap_or_default();
        if let Some(answer) = reader.take(bytes).map_err(Unread::Nonsense)? {
            return Ok(answer);
        }
    }
}

/// The connections to one server: a bounded number, none too old.
struct Connections<S> {
    idle: RefCell<Vec<Connection<S>>>,
    /// For those in use.
    slots: Slots,
    connections_max: usize,
    max_idle: Duration,
    max_ttl: Duration,
    request_limit: u32,
    /// A task waits to close what is idle for too long.
    is_watched: Cell<bool>,
}

struct Connection<S> {
    stream: S,
    opened: Instant,
    used: Instant,
    requests: u32,
    /// The message that it was last used for.
    owner: Weak<Instance>,
    /// While it is in use.
    _place: Option<Permit>,
}

impl<S: Stream> Connections<S> {
    fn new(connections_max: usize, service: &PolicyService) -> Rc<Self> {
        Rc::new(Self {
            idle: RefCell::default(),
            slots: Slots::new(connections_max),
            connections_max: if connections_max == 0 { usize::MAX } else { connections_max },
            max_idle: service.max_idle,
            max_ttl: service.max_ttl,
            request_limit: service.request_limit,
            is_watched: Cell::new(false),
        })
    }

    /// An open connection, or the right to make one.
    fn take(
        &self,
        now: Instant,
        instance: Option<&Rc<Instance>>,
        place: Permit,
    ) -> Result<Connection<S>, Permit> {
        self.close_old(now);
        let mut idle = self.idle.borrow_mut();
        loop {
            let is_full = idle.len() + self.slots.taken() > self.connections_max;
            let Some(at) = choose(&idle, instance, is_full) else { return Err(place) };
            let mut connection = idle.remove(at);
            // What can be read now is its end, or no answer to anything.
            let is_quiet = connection.stream.try_read(&mut [0]);
            if is_quiet.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
                connection._place = Some(place);
                return Ok(connection);
            }
        }
    }

    /// Keeps a connection whose last answer was whole.
    fn keep<W: World>(
        self: &Rc<Self>,
        world: &W,
        mut connection: Connection<S>,
        instance: Option<&Rc<Instance>>,
    ) {
        connection.requests += 1;
        if self.request_limit > 0 && connection.requests >= self.request_limit {
            return;
        }
        connection.used = world.now();
        connection.owner = instance.map(Rc::downgrade).unwrap_or_default();
        connection._place = None;
        self.idle.borrow_mut().push(connection);
        if self.is_watched.replace(true) {
            return;
        }
        let (connections, clock) = (Rc::clone(self), world.clone());
        world.spawn(async move {
            while !connections.idle.borrow().is_empty() {
                clock.sleep(connections.max_idle.min(connections.max_ttl)).await;
                connections.close_old(clock.now());
            }
            connections.is_watched.set(false);
        });
    }

    fn close_old(&self, now: Instant) {
        let is_young = |connection: &Connection<S>| {
            now.since(connection.used) < self.max_idle && now.since(connection.opened) < self.max_ttl
        };
        self.idle.borrow_mut().retain(is_young);
    }
}

/// Which of the idle connections to use for a message: its own, or the last one that is nobody's, or, when there may be no
/// more of them, the one that its message has not used for longest.
fn choose<S>(idle: &[Connection<S>], instance: Option<&Rc<Instance>>, is_full: bool) -> Option<usize> {
    let is_own = |connection: &Connection<S>| {
        instance.is_some_and(|instance| std::ptr::eq(connection.owner.as_ptr(), Rc::as_ptr(instance)))
    };
    let is_free = |connection: &Connection<S>| connection.owner.strong_count() == 0;
    let own = idle.iter().position(is_own);
    let free = || idle.iter().rposition(is_free);
    own.or_else(free).or_else(|| (is_full && !idle.is_empty()).then_some(0))
}

/// The text of strerror(3).
fn errno_text(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::TimedOut => "Connection timed out".to_owned(),
        _ => tables::errno_text(error),
    }
}
