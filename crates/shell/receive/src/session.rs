//! The loop of one SMTP session: does what the session machine asks for, and nothing else.

use crate::{Shared, service::SmtpService};
use cleanup::{SmtpClient, Source, Start};
use maillog::Severity;
use net::{Permit, accept_all, contain};
use process::{Ended, Intake};
use smtpd::{Action, Envelope, Peer, Session, peer_name};
use std::{io, net::SocketAddr, pin::pin, rc::Rc, time::Duration};
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
    let serve = |stream: W::Stream, peer: Option<SocketAddr>, permit: Permit| {
        let (shared, service) = (Rc::clone(&shared), Rc::clone(&service));
        let world = shared.world.clone();
        world.spawn(async move {
            if let (Some(peer), Some(local)) = (peer, stream.local()) {
                let connection = Connection { shared, service, stream, message: None };
                connection.run(Peer::unknown(peer.ip(), peer.port(), local.ip(), local.port())).await;
            }
            drop(permit);
        });
    };
    let trouble = |error: &io::Error| logger.warning(&format!("accept connection: {error}"));
    let accepting = accept_all(&shared.world, &listener, &service.slots, serve, trouble);
    shared.stop.cut(accepting).await;
}

struct Connection<W: World> {
    shared: Rc<Shared<W>>,
    service: Rc<SmtpService>,
    stream: W::Stream,
    message: Option<Intake<W::Disk>>,
}

impl<W: World> Connection<W> {
    async fn run(mut self, peer: Peer) {
        let logger = self.shared.log.session(&self.service.tag);
        let peer = if self.service.smtpd_peername_lookup {
            peer_name(peer, self.service.host_names.as_ref(), &logger).await
        } else {
            peer
        };
        let now = self.shared.world.now();
        let mut session = Session::new(Rc::clone(&self.service.settings), peer, logger.clone(), now);
        let ended = {
            let turns = pin!(async { while self.turn(&mut session).await {} });
            contain(turns).await
        };
        if let Err(why) = ended {
            // A bug. The session is in no state to go on, and the message that it was taking in is dropped.
            logger.write(Severity::Panic, &why);
            self.message = None;
            let goodbye = farewell(&self.service.settings.myhostname);
            let _ = self.shared.world.timeout(FAREWELL_LIMIT, self.stream.write_all(&goodbye)).await;
        }
    }

    /// One action; false when the session is over.
    async fn turn(&mut self, session: &mut Session) -> bool {
        let world = self.shared.world.clone();
        match session.step(world.now()) {
            Action::TryRead => match self.stream.try_read(session.read_space()) {
                Ok(0) => session.closed(),
                Ok(count) => session.received(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => session.received(0),
                Err(_) => session.closed(),
            },
            Action::Read { deadline } => self.read(session, deadline).await,
            Action::Write { bytes, deadline } => {
                let limit = deadline.since(world.now());
                match world.timeout(limit, self.stream.write_all(bytes)).await {
                    Some(Ok(())) => {}
                    Some(Err(_)) => session.closed(),
                    None => session.timed_out(),
                }
            }
            Action::Judge(question) => {
                let verdict = self.service.judge.answer(question).await;
                session.judged(verdict);
            }
            Action::Open(envelope) => {
                self.shared.faults.at("session");
                let opened = self.open(&envelope);
                session.opened(opened);
            }
            Action::Begin(envelope) => self.begin(&envelope).await,
            Action::Content(bytes) => self.content(bytes).await,
            Action::End(_) => {
                let outcome = self.end().await;
                session.finished(outcome);
            }
            Action::Abort => self.message = None,
            Action::Sleep(span) => world.sleep(span).await,
            Action::Close => return false,
        }
        true
    }

    /// An idle session holds no buffer: it waits first, and asks for space when there is something.
    async fn read(&mut self, session: &mut Session, deadline: Instant) {
        match self.stream.try_read(session.read_space()) {
            Ok(0) => return session.closed(),
            Ok(count) => return session.received(count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return session.closed(),
        }
        session.release_space();
        let world = &self.shared.world;
        let limit = deadline.since(world.now());
        match world.timeout(limit, self.stream.readable()).await {
            Some(Ok(())) => {}
            Some(Err(_)) => return session.closed(),
            None => return session.timed_out(),
        }
        match self.stream.try_read(session.read_space()) {
            Ok(0) => session.closed(),
            Ok(count) => session.received(count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => session.received(0),
            Err(_) => session.closed(),
        }
    }

    fn open(&mut self, envelope: &Envelope<'_>) -> Result<QueueId, Reply> {
        let shared = &self.shared;
        let now = shared.world.wall();
        let start = |id| Start {
            arrival: now,
            created: now,
            zone: shared.zone.at(now),
            id,
            source: Source::Smtpd,
            is_smtputf8: envelope.transaction.is_smtputf8,
            logger: shared.log.session(&self.service.cleanup_tag),
        };
        match Intake::open(now, &shared.queue, &self.service.cleanup, start) {
            Ok(intake) => {
                let id = intake.id();
                shared.refill_when_low();
                self.message = Some(intake);
                Ok(id)
            }
            Err(error) => {
                let logger = shared.log.session(&self.service.tag);
                logger.warning(&format!("create a queue file: {error}; check the disk of queue_directory"));
                Err(write_error())
            }
        }
    }

    async fn begin(&mut self, envelope: &Envelope<'_>) {
        let Some(intake) = &mut self.message else { return };
        let transaction = envelope.transaction;
        let peer = envelope.peer;
        let (port, server_port) = (peer.port.to_string(), peer.server_port.to_string());
        let server_address = peer.server_address.to_string();
        let client = SmtpClient {
            name: &peer.client.name,
            reverse_name: &peer.reverse_name,
            address: &peer.client.address,
            port: &port,
            server_address: &server_address,
            server_port: &server_port,
            helo: envelope.helo,
            protocol: envelope.protocol,
            is_local_rewrite: transaction.is_local_rewrite,
            encoding: transaction.encoding,
        };
        intake.cleanup.open_smtp(&client, &transaction.sender).await;
        for recipient in &transaction.recipients {
            intake.cleanup.recipient(recipient).await;
        }
        let sole = match &transaction.recipients[..] {
            [only] => Some(&only.address),
            _ => None,
        };
        intake.cleanup.begin_smtp_content(&client, sole);
    }

    async fn content(&mut self, bytes: &[u8]) {
        let Some(intake) = &mut self.message else { return };
        intake.cleanup.content(bytes).await;
        if let Err(error) = intake.relieve() {
            let logger = self.shared.log.session(&self.service.cleanup_tag);
            logger.warning(&format!("{}: write queue file: {error}", intake.id()));
            // The rest of the content is read and thrown away; the end of data is answered with 4xx.
            self.message = None;
        }
    }

    async fn end(&mut self) -> Result<(), Reply> {
        let Some(mut intake) = self.message.take() else { return Err(write_error()) };
        intake.cleanup.end_content().await;
        let id = intake.id();
        match intake.finish(&self.shared.world).await {
            Ok(Ended::Queued(id)) => {
                self.shared.word.arrived(id);
                Ok(())
            }
            Ok(Ended::Discarded) => Ok(()),
            Ok(Ended::Refused(refusal)) => Err(refusal.reply),
            // Only those who have nobody to answer to are bounced.
            Ok(Ended::MustBounce(..)) => Err(write_error()),
            Err(error) => {
                let logger = self.shared.log.session(&self.service.cleanup_tag);
                logger.warning(&format!("{id}: write queue file: {error}"));
                Err(write_error())
            }
        }
    }
}

/// What a client hears when its session has met a bug; the others go on.
fn farewell(myhostname: &str) -> Vec<u8> {
    let mut reply = Vec::new();
    Reply::new(421, Dsn::temporary(3, 0), format!("{myhostname} Server local error")).encode(&mut reply);
    reply
}

fn write_error() -> Reply {
    Reply::new(451, Dsn::temporary(3, 0), "Error: queue file write error")
}
