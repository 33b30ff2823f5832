//! Driving a session: what the machine says is written, what the server says is read.

use super::{Delivery, FAREWELL, patience::Patience, watch::Watch};
use crate::{
    Action, Chunk, ConnectionCache, Content, ContentReader, ContentTrouble, Ending, Envelope, Failure, Input,
    PixWorkarounds, Scope, Session, Treatment, Verdict,
    cache::Connection,
    reply_filter::{Replaced, ReplyFilter, Unread},
};
use bstr::ByteSlice;
use config::NotifyClasses;
use maillog::Severity;
use std::{io, time::Duration};
use types::{Dsn, Lookup, Relay};
use wire::EhloKeywords;
use world::{Stream, World};

/// Replies are read in pieces of this size.
const READ_BYTES: usize = 4096;
/// Content is written whenever this much is encoded.
const WRITE_BYTES: usize = 64 * 1024;

impl<'a, W: World, C: Content> Delivery<'a, W, C> {
    /// Greeting and EHLO; true when a transaction may begin.
    pub(super) async fn introduce(&mut self, connection: &mut Connection<W::Stream>) -> bool {
        let everyone = self.ledger.left().to_vec();
        let treatment = self.treatment(&connection.session).await;
        connection.session.treat(treatment);
        let now = self.client.world.now();
        let first = connection.session.step(now, Input::Connected);
        let last = self.converse(connection, first).await;
        let verdicts = connection.session.take_verdicts();
        self.apply(&connection.session, &everyone, verdicts);
        last == Action::Idle && self.suits(connection).await
    }

    /// Tables may want a server treated differently.
    async fn treatment(&self, session: &Session) -> Treatment {
        let (settings, tables) = (&self.client.settings, &self.client.tables);
        let peer = session.peer();
        let discard = match tables.discard_ehlo_keyword_address_maps.find(peer.address.as_bytes()).await {
            Lookup::Absent => Ok(settings.quirks.discard_ehlo_keywords),
            Lookup::Found(words) => Ok(EhloKeywords::parse(&words.to_str_lossy()).0),
            Lookup::TryAgain(trouble) => {
                let title = tables.discard_ehlo_keyword_address_maps.title();
                Err(format!("{title} map lookup error for {}: {trouble}", peer.address))
            }
        };
        // Best effort: a table that does not answer is one that does not know.
        let mut pix = match tables.pix_workaround_maps.find(peer.address.as_bytes()).await {
            Lookup::Found(words) => PixWorkarounds::parse(&words.to_str_lossy()),
            Lookup::Absent | Lookup::TryAgain(_) => settings.pix.workarounds,
        };
        let age = self.client.world.wall().since(self.request.message.arrival);
        if let Some(pix) = &mut pix {
            pix.delay_dotcrlf &= age >= settings.pix.threshold_time;
        }
        Treatment { discard_ehlo_keywords: discard, pix_workarounds: pix }
    }

    /// Whether the server can take this message at all; if not, another one may (RFC 6531 section 3.2). It is not kept
    /// for other messages, and no session was had.
    async fn suits(&mut self, connection: &mut Connection<W::Stream>) -> bool {
        if connection.session.features().smtputf8 || !self.needs_smtputf8() {
            return true;
        }
        let peer = connection.session.peer();
        let text = format!(
            "message requires SMTPUTF8, but no server was found that supports SMTPUTF8. The last attempted server was {peer}"
        );
        let failure = Failure::local(Scope::Message, Dsn::permanent(6, 7), text);
        let failure = Failure { is_soft_before_last: true, ..failure };
        let (relay, left) = (Relay::Host(peer.with_port()), self.ledger.left().to_vec());
        self.ledger.connection_uses = 0;
        self.ledger.fail(&left, &failure, &relay, self.clock());
        self.trouble = Some(failure.status);
        let farewell = connection.session.quit();
        self.converse(connection, farewell).await;
        false
    }

    /// Sends the message to all that are left.
    pub(super) async fn transact(&mut self, connection: &mut Connection<W::Stream>) {
        let which = self.ledger.left().to_vec();
        let verdicts = self.transaction(connection, &which).await;
        self.apply(&connection.session, &which, verdicts);
        if !self.ledger.left().is_empty() {
            self.tell(None);
        }
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
            if !self.ledger.left().is_empty() {
                self.tell(None);
            }
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
        let mapped = match self.mapped_addresses().await {
            Ok(mapped) => mapped,
            Err(trouble) => {
                let failure = self.table_failure(&trouble, &connection.session);
                let action = connection.session.quit();
                self.converse(connection, action).await;
                return vec![Verdict::AllFailed(failure)];
            }
        };
        self.connected = Some(now);
        self.offered = which.to_vec();
        let session = &mut connection.session;
        let envelope = Envelope::new(&client.settings, session.features(), self.request, which, &mapped);
        let first = session.begin(envelope, self.keeps_open());
        self.converse(connection, first).await;
        connection.session.take_verdicts()
    }

    /// What makes it useless to offer this message to this server.
    fn obstacle(&self, session: &Session) -> Option<Failure> {
        let (message, features, peer) = (&self.request.message, session.features(), session.peer());
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
        self.ledger.success = self.success(session.features());
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

    /// Whether what is said to a server is logged: to the host, or to all hosts of a next hop.
    async fn watch(&self, session: &Session) -> Watch<'a> {
        let (peers, peer) = (&self.client.tables.debug_peers, session.peer());
        let warn = |text: &str| self.logger.warning(text);
        let is_watched = peers.has(peer.name.as_bytes(), &peer.address, warn).await
            || peers.has(peer.nexthop.as_bytes(), "noaddr", warn).await;
        Watch::new(is_watched.then(|| (self.logger, peer.with_port())))
    }

    /// Does what the machine says until it is idle or closed.
    pub(super) async fn converse(&mut self, connection: &mut Connection<W::Stream>, first: Action) -> Action {
        let world = self.client.world.clone();
        let has_deadline = self.client.settings.quirks.per_request_deadline;
        let mut action = first;
        // The reply that is awaited, and how long it may still take.
        let mut awaited: Option<(u32, Patience)> = None;
        let mut watch = self.watch(&connection.session).await;
        loop {
            watch.said(connection.session.output());
            let input = match action {
                Action::Write(limit) => match write(&world, connection, limit).await {
                    Ok(()) => {
                        watch.skip(0);
                        Input::Written
                    }
                    Err(ending) => Input::Lost(ending),
                },
                Action::Read(limit) => {
                    // The server may let us wait, for other recipients or for a farewell.
                    self.tell(Some(&connection.session));
                    let replies = connection.session.replies();
                    let is_begun = awaited.filter(|(number, _)| *number == replies);
                    let mut patience =
                        is_begun.map_or_else(|| Patience::new(has_deadline, limit), |(_, patience)| patience);
                    let received = self.read(connection, &mut patience, &mut watch).await;
                    awaited = Some((replies, patience));
                    match received {
                        Ok(()) => Input::Received(&self.buffer),
                        Err(ending) => Input::Lost(ending),
                    }
                }
                Action::SendContent(limit) => {
                    let sent = self.send_content(connection, limit).await;
                    watch.skip(connection.session.output().len());
                    sent
                }
                Action::Idle | Action::Close => break,
            };
            action = connection.session.step(world.now(), input);
        }
        for note in connection.session.take_notes() {
            let id = self.request.queue_id;
            let text = if note.names_message { format!("{id}: {}", note.text) } else { note.text };
            if note.is_warning {
                self.logger.warning(&text);
            } else {
                self.logger.write(Severity::Info, &text);
            }
        }
        if action == Action::Close && !connection.session.output().is_empty() {
            // The server need not hear it: the fate of the message is known.
            let _ = write(&world, connection, FAREWELL).await;
        }
        action
    }

    /// Reads into the buffer what the server says, filtered where lines are.
    async fn read(
        &mut self,
        connection: &mut Connection<W::Stream>,
        patience: &mut Patience,
        watch: &mut Watch<'_>,
    ) -> Result<(), Ending> {
        if let Some(filter) = &self.client.tables.reply_filter
            && connection.partial.contains(&b'\n')
        {
            // What came after a line that could not be read.
            self.buffer.clear();
            return self.filter(connection, filter).await;
        }
        self.buffer.resize(READ_BYTES, 0);
        let began = self.client.world.now();
        let reading = connection.stream.read(&mut self.buffer);
        let size = match self.client.world.timeout(patience.left(), reading).await {
            None => return Err(Ending::TimedOut),
            Some(Ok(0) | Err(_)) => return Err(Ending::Closed),
            Some(Ok(size)) => size,
        };
        patience.spend(began, self.client.world.now(), Duration::ZERO);
        self.buffer.truncate(size);
        watch.heard(&self.buffer);
        match &self.client.tables.reply_filter {
            None => Ok(()),
            Some(filter) => self.filter(connection, filter).await,
        }
    }

    async fn filter(
        &mut self,
        connection: &mut Connection<W::Stream>,
        filter: &ReplyFilter,
    ) -> Result<(), Ending> {
        let limit = self.client.settings.line_length_limit;
        let mut lines = Vec::new();
        let filtered = filter.lines(&mut connection.partial, &self.buffer, limit, &mut lines).await;
        self.buffer = lines;
        let replaced = filtered.map_err(|Unread { line, trouble }| {
            self.logger.warning(&format!("{}: {trouble}", self.request.queue_id));
            connection.session.remember_unread(&line);
            Ending::DataError
        })?;
        let server = connection.session.peer().with_port();
        for Replaced { line, by } in replaced {
            connection.session.line_replaced(&line, &by);
            let text = format!("{server}: replacing server reply \"{line}\" with \"{by}\"");
            self.logger.write(Severity::Info, &text);
        }
        Ok(())
    }

    async fn send_content(
        &mut self,
        connection: &mut Connection<W::Stream>,
        limit: Duration,
    ) -> Input<'static> {
        let message = &self.request.message;
        let line_limit = self.client.settings.smtp_line_length_limit;
        let added = match self.added_headers().await {
            Ok(added) => added,
            Err(trouble) => return self.unreadable(connection, &ContentTrouble::Table(trouble)),
        };
        let changes = self.changes(connection.session.features());
        let mut reader = ContentReader::new(message.data_offset, message.content_bytes, line_limit);
        if let Some(changes) = changes {
            reader = reader.changing(changes);
        }
        if let Err(trouble) = reader.prepend(&added, connection.session.output()).await {
            return self.unreadable(connection, &trouble);
        }
        let quirks = &self.client.settings.quirks;
        let (world, rate) = (&self.client.world, quirks.min_data_rate);
        let mut patience = Patience::new(quirks.per_request_deadline, limit);
        loop {
            match reader.next_chunk(self.content, connection.session.output()).await {
                Ok(Chunk::Last) => break,
                Ok(Chunk::More) if connection.session.output().len() < WRITE_BYTES => {}
                Ok(Chunk::More) => {
                    let (began, bytes) = (world.now(), connection.session.output().len());
                    if let Err(ending) = write(world, connection, patience.left()).await {
                        return Input::Lost(ending);
                    }
                    connection.session.output().clear();
                    patience.spend(began, world.now(), Patience::earned(bytes, rate));
                }
                Err(trouble) => return self.unreadable(connection, &trouble),
            }
        }
        if reader.broke_a_line() {
            let id = self.request.queue_id;
            let text = format!("{id}: breaking line > {line_limit} bytes with <CR><LF>SPACE");
            self.logger.write(Severity::Info, &text);
        }
        if connection.session.delays_dot() {
            // The dot must be alone in its packet, or the firewall does not see it.
            if let Err(ending) = write(&self.client.world, connection, limit).await {
                return Input::Lost(ending);
            }
            connection.session.output().clear();
            self.client.world.sleep(self.client.settings.pix.delay_time).await;
        }
        Input::ContentDone
    }

    fn unreadable(
        &mut self,
        connection: &mut Connection<W::Stream>,
        trouble: &ContentTrouble,
    ) -> Input<'static> {
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
            ContentTrouble::Table(trouble) => {
                connection.session.note_trouble(NotifyClasses::DATA);
                let status = self.table_failure(trouble, &connection.session).status;
                Input::ContentFailed(status.dsn, status.reason.to_string())
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
