//! Driving a session: what the machine says is written, what the server says is read.

use super::{Delivery, FAREWELL};
use crate::{
    Action, Chunk, ConnectionCache, Content, ContentReader, ContentTrouble, Ending, Envelope, Failure, Input,
    Scope, Session, Verdict, cache::Connection,
};
use maillog::Severity;
use std::{io, time::Duration};
use types::{Dsn, Relay};
use world::{Stream, World};

/// Content is written whenever this much is encoded.
const WRITE_BYTES: usize = 64 * 1024;

impl<W: World, C: Content> Delivery<'_, W, C> {
    /// Greeting and EHLO; true when a transaction may begin.
    pub(super) async fn introduce(&mut self, connection: &mut Connection<W::Stream>) -> bool {
        let now = self.client.world.now();
        let first = connection.session.step(now, Input::Connected);
        let last = self.converse(connection, first).await;
        let verdicts = connection.session.take_verdicts();
        let everyone = self.ledger.left().to_vec();
        self.apply(&connection.session, &everyone, verdicts);
        last == Action::Idle
    }

    /// Sends the message to all that are left.
    pub(super) async fn transact(&mut self, connection: &mut Connection<W::Stream>) {
        let which = self.ledger.left().to_vec();
        let verdicts = self.transaction(connection, &which).await;
        self.apply(&connection.session, &which, verdicts);
    }

    /// The same on a connection that was used before; false, and nothing has happened, when it is of no use any more.
    pub(super) async fn transact_again(&mut self, connection: &mut Connection<W::Stream>) -> bool {
        let which = self.ledger.left().to_vec();
        let verdicts = self.transaction(connection, &which).await;
        let is_stale = match verdicts.first() {
            Some(Verdict::AllFailed(failure)) if failure.scope == Scope::Site => {
                connection.session.is_before_data()
            }
            // What a server says that closes the connection now (RFC 5321 §3.8).
            Some(Verdict::AllFailed(failure)) => {
                failure.status.diagnostic.as_ref().is_some_and(|(_, text)| text.starts_with(b"421"))
            }
            _ => false,
        };
        if !is_stale {
            self.apply(&connection.session, &which, verdicts);
        }
        !is_stale
    }

    async fn transaction(&mut self, connection: &mut Connection<W::Stream>, which: &[usize]) -> Vec<Verdict> {
        let client = self.client;
        let now = client.world.now();
        if let Some(failure) = self.obstacle(&connection.session) {
            let action = connection.session.quit();
            self.converse(connection, action).await;
            return vec![Verdict::AllFailed(failure)];
        }
        self.connected = Some(now);
        let session = &mut connection.session;
        let envelope = Envelope::new(&client.settings, session.features(), self.request, which);
        let first = session.begin(envelope, self.keeps_open());
        self.converse(connection, first).await;
        connection.session.take_verdicts()
    }

    /// What makes it useless to offer this message to this server.
    fn obstacle(&self, session: &Session) -> Option<Failure> {
        let (message, features, peer) = (&self.request.message, session.features(), session.peer());
        if !features.smtputf8 && self.needs_smtputf8() {
            let text = format!(
                "message requires SMTPUTF8, but no server was found that supports SMTPUTF8. The last attempted server was {peer}"
            );
            let failure = Failure::local(Scope::Message, Dsn::permanent(6, 7), text);
            return Some(Failure { is_soft_before_last: true, ..failure });
        }
        if let Some(limit) = features.size_limit.filter(|limit| *limit < message.size_bytes) {
            let size = message.size_bytes;
            let text = format!("message size {size} exceeds size limit {limit} of server {peer}");
            return Some(Failure::local(Scope::Message, Dsn::permanent(3, 4), text));
        }
        None
    }

    fn apply(&mut self, session: &Session, which: &[usize], verdicts: Vec<Verdict>) {
        let relay = Relay::Host(session.peer().with_port());
        let name = &session.peer().name;
        let clock = self.clock();
        self.ledger.connection_uses = session.uses();
        // Recipients that this server said something about.
        let mut unmarked = which.to_vec();
        let mut reached_end = !verdicts.is_empty();
        for verdict in verdicts {
            let place = match &verdict {
                Verdict::Sent(place, _) | Verdict::Failed(place, _) => Some(*place),
                Verdict::AllFailed(_) => None,
            };
            let index = place.and_then(|place| which.get(place)).copied();
            match (verdict, index) {
                (Verdict::Sent(_, reply), Some(index)) => {
                    self.ledger.sent(index, name, &reply, &relay, clock);
                }
                (Verdict::Failed(_, failure), Some(index)) => {
                    self.ledger.fail(&[index], &failure, &relay, clock);
                }
                (Verdict::AllFailed(failure), _) => {
                    reached_end &= failure.scope != Scope::Site;
                    self.ledger.fail(&unmarked, &failure, &relay, clock);
                    self.trouble = Some(failure.status);
                    unmarked.clear();
                }
                (Verdict::Sent(..) | Verdict::Failed(..), None) => {}
            }
            unmarked.retain(|left| Some(*left) != index);
        }
        self.ledger.had_session |= reached_end;
    }

    /// Does what the machine says until it is idle or closed.
    pub(super) async fn converse(&mut self, connection: &mut Connection<W::Stream>, first: Action) -> Action {
        let world = self.client.world.clone();
        let mut action = first;
        loop {
            let input = match action {
                Action::Write(limit) => match write(&world, connection, limit).await {
                    Ok(()) => Input::Written,
                    Err(ending) => Input::Lost(ending),
                },
                Action::Read(limit) => match self.read(connection, limit).await {
                    Ok(size) => Input::Received(self.buffer.get(..size).unwrap_or_default()),
                    Err(ending) => Input::Lost(ending),
                },
                Action::SendContent(limit) => self.send_content(connection, limit).await,
                Action::Idle | Action::Close => break,
            };
            action = connection.session.step(world.now(), input);
        }
        for warning in connection.session.take_warnings() {
            self.logger.warning(&format!("{}: {warning}", self.request.queue_id));
        }
        if action == Action::Close && !connection.session.output().is_empty() {
            // The server need not hear it: the fate of the message is known.
            let _ = write(&world, connection, FAREWELL).await;
        }
        action
    }

    async fn read(
        &mut self,
        connection: &mut Connection<W::Stream>,
        limit: Duration,
    ) -> Result<usize, Ending> {
        self.buffer.resize(4096, 0);
        let reading = connection.stream.read(&mut self.buffer);
        match self.client.world.timeout(limit, reading).await {
            None => Err(Ending::TimedOut),
            Some(Ok(0) | Err(_)) => Err(Ending::Closed),
            Some(Ok(size)) => Ok(size),
        }
    }

    async fn send_content(
        &mut self,
        connection: &mut Connection<W::Stream>,
        limit: Duration,
    ) -> Input<'static> {
        let message = &self.request.message;
        let settings = &self.client.settings;
        let line_limit = settings.smtp_line_length_limit;
        let mut reader = ContentReader::new(message.data_offset, message.content_bytes, line_limit);
        if settings.downgrades(connection.session.features(), message) {
            reader = reader.downgrading(settings.scanner);
        }
        loop {
            match reader.next_chunk(self.content, connection.session.output()) {
                Ok(Chunk::Last) => break,
                Ok(Chunk::More) if connection.session.output().len() < WRITE_BYTES => {}
                Ok(Chunk::More) => match write(&self.client.world, connection, limit).await {
                    Ok(()) => connection.session.output().clear(),
                    Err(ending) => return Input::Lost(ending),
                },
                Err(trouble) => return self.unreadable(connection, &trouble),
            }
        }
        if reader.broke_a_line() {
            let id = self.request.queue_id;
            let text = format!("{id}: breaking line > {line_limit} bytes with <CR><LF>SPACE");
            self.logger.write(Severity::Info, &text);
        }
        Input::ContentDone
    }

    fn unreadable(&mut self, connection: &Connection<W::Stream>, trouble: &ContentTrouble) -> Input<'static> {
        let id = self.request.queue_id;
        match trouble {
            ContentTrouble::Unreadable(error) => {
                self.logger.warning(&format!("{id}: cannot read the queue file: {error}"));
                let peer = connection.session.peer();
                Input::ContentFailed(
                    Dsn::temporary(3, 0),
                    format!("local data error while talking to {peer}"),
                )
            }
            ContentTrouble::Malformed => {
                self.logger.warning(&format!("{id}: bad record in message content"));
                self.ledger.set_corrupt();
                Input::ContentFailed(Dsn::permanent(3, 0), "unreadable mail queue entry".to_owned())
            }
            ContentTrouble::NestedTooDeep => {
                Input::ContentFailed(Dsn::permanent(6, 0), "MIME nesting exceeds safety limit".to_owned())
            }
        }
    }
}

async fn write<W: World>(
    world: &W,
    connection: &mut Connection<W::Stream>,
    limit: Duration,
) -> Result<(), Ending> {
    let writing = connection.stream.write_all(connection.session.output());
    match world.timeout(limit, writing).await {
        None => Err(Ending::TimedOut),
        Some(Err(_)) => Err(Ending::Closed),
        Some(Ok(())) => Ok(()),
    }
}

/// Whether nothing has arrived on an idle connection: neither its end nor words that nobody asked for.
pub(super) fn is_alive<W: World>(connection: &mut Connection<W::Stream>) -> bool {
    let arrived = connection.stream.try_read(&mut [0; 64]);
    arrived.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
}

/// Ends connections that nobody used in time.
pub(super) async fn reap<W: World>(world: W, cache: ConnectionCache<W::Stream>) {
    while let Some(expired) = cache.expired(world.now()) {
        for mut connection in expired {
            connection.session.quit();
            let _ = write(&world, &mut connection, FAREWELL).await;
        }
        world.sleep(Duration::from_secs(1)).await;
    }
}
