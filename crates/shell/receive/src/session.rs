//! The loop of one SMTP session: does what the session machine asks for, and nothing else.

use crate::{
    Shared,
    accepting::{Ends, stranger},
    queueing::Queueing,
    service::{Manner, SmtpService},
};
use maillog::{Logger, Severity};
use net::{Permit, contain};
use process::Stint;
use smtpd::{
    Action, Counters, Envelope, Notice, Peer, Question, Refused, Session, SmtpdSettings, Verdict, peer_name,
};
use std::{
    future::{Future, poll_fn},
    io,
    pin::pin,
    rc::Rc,
    task::Poll,
    time::Duration,
};
use types::{Dsn, Instant, QueueId, Reply};
use world::{Accept, Stream, World};

/// How long a client may take to hear the last words of a session that met a bug.
const FAREWELL_LIMIT: Duration = Duration::from_secs(5);

/// Accepts until the process stops.
pub(crate) async fn accept<W: World>(
    shared: Rc<Shared<W>>,
    service: Rc<SmtpService>,
    listener: impl Accept<Stream = W::Stream>,
) {
    let logger = shared.log.session(&service.tag);
    let serve = |stream: W::Stream, ends: Ends, permit: Permit| {
        let (shared, service) = (Rc::clone(&shared), Rc::clone(&service));
        // Before a place is taken for the session that comes next.
        let manner = service.manner_now(&shared, Some(ends.1.port()));
        async move {
            serve(shared, (service, manner), stream, ends).await;
            drop(permit);
        }
    };
    shared.accept_clients(listener, (&service.slots, &logger), serve).await;
}

/// One connection, given its two ends.
async fn serve<W: World>(
    shared: Rc<Shared<W>>,
    (service, manner): (Rc<SmtpService>, Manner),
    mut stream: W::Stream,
    ends: Ends,
) {
    let logger = shared.log.session(&service.tag);
    let ends = match &service.upstream_proxy {
        None => Some(ends),
        // Only who is behind a proxy pays for its header.
        Some(proxy) => Box::pin(proxy.ends(&shared.world, &mut stream, (ends, &logger))).await,
    };
    serve_client(shared, (service, manner), stream, (ends.map(stranger), logger)).await;
}

/// One session with a client, if it is known where it comes from.
pub(crate) async fn serve_client<W: World>(
    shared: Rc<Shared<W>>,
    (service, manner): (Rc<SmtpService>, Manner),
    stream: impl Stream,
    (peer, logger): (Option<Peer>, Logger),
) {
    let peer = match peer {
        Some(peer) if service.smtpd_peername_lookup => {
            Some(Box::pin(peer_name(peer, service.host_names.as_ref(), &logger)).await)
        }
        peer => peer,
    };
    let peer = match peer {
        Some(peer) => {
            let (peers, client) = (&service.debug_peers, &peer.client);
            let warn = |text: &str| logger.warning(text);
            let is_watched =
                peers.are_any() && Box::pin(peers.has(client.name.as_bytes(), &client.address, warn)).await;
            Some(Peer { is_watched, ..peer })
        }
        None => None,
    };
    let Manner { settings, judge } = manner;
    let counters = settings.client_limits.are_any().then(|| Rc::clone(&service.counters));
    shared.statistics.wake_up();
    let (world, attendant) = (shared.world.clone(), Queueing::new(shared, service, judge));
    let connection = Connection { world, stream, attendant, settings, counters, logger };
    match peer {
        Some(peer) => Box::pin(connection.run(peer)).await,
        None => Box::pin(connection.turn_away()).await,
    }
}

/// Who answers a session's questions and takes its messages, one at a time.
pub(crate) trait Attendant {
    /// Answers.
    async fn answer(&self, question: Question<'_>) -> Verdict;
    /// A message begins: its queue id, or the reply when there is none to be had.
    async fn open(&mut self, envelope: &Envelope<'_>) -> Result<QueueId, Reply>;
    /// The envelope is complete.
    async fn begin(&mut self, envelope: &Envelope<'_>);
    /// Content. Trouble is told at the end.
    async fn content(&mut self, bytes: &[u8]);
    /// The message is complete. When this returns well it is on stable storage.
    async fn end(&mut self, envelope: &Envelope<'_>) -> Result<(), Refused>;
    /// There will be no message.
    fn abort(&mut self);
    /// The postmaster is to hear of the session.
    async fn notify(&self, notice: Notice);
}

/// A session with all that it needs.
pub(crate) struct Connection<W, S, A> {
    pub(crate) world: W,
    pub(crate) stream: S,
    pub(crate) attendant: A,
    pub(crate) settings: Rc<SmtpdSettings>,
    /// Where clients are counted.
    pub(crate) counters: Option<Rc<Counters>>,
    pub(crate) logger: Logger,
}

impl<W: World, S: Stream, A: Attendant> Connection<W, S, A> {
    /// Until its end.
    pub(crate) fn run(self, peer: Peer) -> impl Future<Output = ()> {
        let now = self.world.now();
        let mut session = Session::new(Rc::clone(&self.settings), peer, self.logger.clone(), now);
        if let Some(counters) = &self.counters {
            session = session.counted_by(counters);
        }
        self.drive(session)
    }

    /// Somebody whom nothing is known of.
    fn turn_away(self) -> impl Future<Output = ()> {
        let now = self.world.now();
        let session = Session::refused(Rc::clone(&self.settings), self.logger.clone(), now);
        self.drive(session)
    }

    async fn drive(mut self, mut session: Session) {
        let ended = {
            let mut stint = Stint::default();
            let turns = pin!(async { while self.turn(&mut session, &mut stint).await {} });
            contain(turns).await
        };
        if let Err(why) = ended {
            // A bug. The session is in no state to go on, and the message that it was taking in is dropped.
            self.logger.write(Severity::Panic, &why);
            self.attendant.abort();
            let goodbye = farewell(&self.settings.myhostname);
            let _ = self.world.timeout(FAREWELL_LIMIT, self.stream.write_all(&goodbye)).await;
        }
    }

    /// One action; false when the session is over. What is not waiting for the client is kept in boxes while it lasts, so that
    /// an idle session is small.
    async fn turn(&mut self, session: &mut Session, stint: &mut Stint) -> bool {
        let world = self.world.clone();
        let now = world.now();
        match session.step(now) {
            Action::TryRead => match self.stream.try_read(session.read_space()) {
                Ok(0) => session.closed(),
                Ok(count) => session.received(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => session.received(0),
                Err(_) => session.closed(),
            },
            Action::Read { deadline } => self.read(session, deadline, (stint, now)).await,
            Action::Write { bytes, deadline } => {
                let limit = deadline.since(now);
                match world.timeout(limit, self.stream.write_all(bytes)).await {
                    Some(Ok(())) => {}
                    Some(Err(_)) => session.closed(),
                    None => session.timed_out(),
                }
            }
            Action::Judge(question) => {
                let verdict = Box::pin(self.attendant.answer(question)).await;
                session.judged(verdict);
            }
            Action::Open(envelope) => {
                let opened = self.attendant.open(&envelope).await;
                session.opened(opened);
            }
            Action::Begin(envelope) => Box::pin(self.attendant.begin(&envelope)).await,
            Action::Content(bytes) => Box::pin(self.attendant.content(bytes)).await,
            Action::End(envelope) => {
                let outcome = Box::pin(self.attendant.end(&envelope)).await;
                session.finished(outcome);
            }
            Action::Abort => self.attendant.abort(),
            Action::Notify(notice) => Box::pin(self.attendant.notify(*notice)).await,
            Action::Sleep(span) => world.sleep(span).await,
            Action::Close => return false,
        }
        true
    }

    /// An idle session holds no buffer: it waits first, and asks for space when there is something. A session whose client
    /// has more to say all the time lets the others have their turn.
    async fn read(&mut self, session: &mut Session, deadline: Instant, (stint, now): (&mut Stint, Instant)) {
        let mut waits = false;
        let readable = {
            let mut readable = pin!(self.stream.readable());
            match poll_fn(|context| Poll::Ready(readable.as_mut().poll(context))).await {
                Poll::Ready(readable) => Some(readable),
                Poll::Pending => {
                    waits = true;
                    session.release_space();
                    stint.rested();
                    self.world.timeout(deadline.since(now), readable).await
                }
            }
        };
        match readable {
            Some(Ok(())) => {}
            Some(Err(_)) => return session.closed(),
            None => return session.timed_out(),
        }
        match self.stream.try_read(session.read_space()) {
            Ok(0) => return session.closed(),
            Ok(count) => session.received(count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => session.received(0),
            Err(_) => return session.closed(),
        }
        if !waits {
            stint.go_on(&self.world, now).await;
        }
    }
}

/// What a client hears when its session has met a bug; the others go on.
fn farewell(myhostname: &str) -> Vec<u8> {
    let mut reply = Vec::new();
    Reply::new(421, Dsn::temporary(3, 0), format!("{myhostname} Server local error")).encode(&mut reply);
    reply
}

pub(crate) fn write_error() -> Reply {
    Reply::new(451, Dsn::temporary(3, 0), "Error: queue file write error")
}
