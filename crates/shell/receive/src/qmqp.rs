//! QMQP sessions: trusted clients that hand over one message each, with all of its recipients.

use crate::{
    Shared,
    accepting::{Ends, stranger},
    queueing::{self, finish, warn_of_write},
    session::write_error,
};
use cleanup::{ClientSettings, QmqpClient, Source};
use config::{Values, params as p};
use dns::HostsFirst;
use maillog::{Logger, Severity};
use maps::{NameAddrList, parent_style};
use net::{Permit, Slots, contain};
use process::{CleanupRow, Intake, Libraries, Process, Stint};
use qmqpd::{Action, Message, QmqpdSettings, Session};
use smtpd::{Peer, peer_name};
use std::{
    io,
    net::{IpAddr, Ipv4Addr},
    pin::pin,
    rc::Rc,
};
use sys::control::{EndpointKind, ServedRow};
use tables::Registry;
use types::{Address, Instant, QueueId, Recipient, Reply, VerpDelimiters};
use world::{Accept, Dns, Stream, World};

/// The address of clients that have none, because they come over a UNIX-domain socket.
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// One qmqpd row of master.cf.
pub(crate) struct QmqpService {
    settings: Rc<QmqpdSettings>,
    qmqpd_authorized_clients: NameAddrList,
    cleanup: CleanupRow,
    client: Rc<ClientSettings>,
    /// For the names of clients.
    host_names: Rc<dyn Dns>,
    pub(crate) slots: Slots,
    /// Its clients come over a UNIX-domain socket: `localhost[127.0.0.1]`, whoever they are.
    is_local: bool,
    /// `syslog_name/qmqpd`
    tag: String,
}

impl QmqpService {
    pub(crate) fn new<W: World>(
        shared: &Shared<W>,
        (process, libraries): (&Process, &Libraries<'_>),
        row: &ServedRow,
        values: &Values,
    ) -> Result<Self, String> {
        let tag = process::tag(values, "qmqpd");
        let registry = Registry::new(values, shared.log.session(&tag)).with_openers(&shared.openers);
        let title = "qmqpd_authorized_clients";
        let style = parent_style(values.text(p::parent_domain_matches_subdomains), title);
        let clients = values.text(p::qmqpd_authorized_clients);
        let dns: Rc<dyn Dns> = Rc::new(process.host.resolver(&shared.world));
        Ok(Self {
            settings: Rc::new(QmqpdSettings::load(values)),
            qmqpd_authorized_clients: NameAddrList::open(title, style, clients, &registry),
            cleanup: libraries.cleanup(values)?,
            client: Rc::new(ClientSettings::load(values)),
            host_names: Rc::new(HostsFirst::new(process.host.names(), dns)),
            slots: Slots::new(process.row_limit(row)),
            is_local: row.kind == EndpointKind::Unix,
            tag,
        })
    }
}

impl QmqpService {
    fn client<W: World>(
        self: &Rc<Self>,
        shared: &Rc<Shared<W>>,
        stream: W::Stream,
        peer: Peer,
    ) -> Connection<W> {
        let (shared, service) = (Rc::clone(shared), Rc::clone(self));
        let logger = shared.log.session(&service.tag);
        Connection { shared, service, stream, peer, logger, message: None }
    }
}

/// Accepts until the process stops.
pub(crate) async fn accept<W: World>(
    shared: Rc<Shared<W>>,
    service: Rc<QmqpService>,
    listener: impl Accept<Stream = W::Stream>,
) {
    let logger = shared.log.session(&service.tag);
    if service.is_local {
        let serve = |stream: W::Stream, _, permit: Permit| {
            let client = service.client(&shared, stream, Peer::local(LOOPBACK));
            shared.world.spawn(client.run(permit));
        };
        return shared.accept(listener, (&service.slots, &logger), serve).await;
    }
    let serve = |stream: W::Stream, ends: Ends, permit: Permit| {
        let mut client = service.client(&shared, stream, stranger(ends));
        async move {
            client.peer = peer_name(client.peer, client.service.host_names.as_ref(), &client.logger).await;
            client.run(permit).await;
        }
    };
    shared.accept_clients(listener, (&service.slots, &logger), serve).await;
}

struct Connection<W: World> {
    shared: Rc<Shared<W>>,
    service: Rc<QmqpService>,
    stream: W::Stream,
    peer: Peer,
    logger: Logger,
    message: Option<Intake<W::Disk>>,
}

impl<W: World> Connection<W> {
    async fn run(mut self, _place: Permit) {
        let settings = Rc::clone(&self.service.settings);
        if settings.qmqpd_client_port_logging {
            self.peer.client.port = Some(self.peer.port.to_string());
        }
        let client = self.peer.client.clone();
        let clients = &self.service.qmqpd_authorized_clients;
        let is_authorized = clients.matches(client.name.as_bytes(), &client.address).await;
        let mut session = Session::new(settings, client, self.logger.clone(), is_authorized);
        let ended = {
            let turns = pin!(async { while self.turn(&mut session).await {} });
            contain(turns).await
        };
        if let Err(why) = ended {
            // A bug. The client keeps its message, for it has no reply.
            self.logger.write(Severity::Panic, &why);
        }
    }

    /// One action; false when the session is over.
    async fn turn(&mut self, session: &mut Session) -> bool {
        let world = self.shared.world.clone();
        match session.step(world.now()) {
            Action::Open => session.opened(self.open().await),
            Action::Read { deadline } => self.read(session, deadline).await,
            Action::Commit(message) => {
                let outcome = self.commit(message).await;
                session.finished(outcome);
            }
            Action::Sleep(span) => world.sleep(span).await,
            Action::Write { bytes, deadline } => {
                let limit = deadline.since(world.now());
                match world.timeout(limit, self.stream.write_all(bytes)).await {
                    Some(Ok(())) => {}
                    Some(Err(_)) => session.closed(),
                    None => session.timed_out(),
                }
            }
            Action::Close => return false,
        }
        true
    }

    async fn read(&mut self, session: &mut Session, deadline: Instant) {
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
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => session.closed(),
        }
        session.release_space();
    }

    async fn open(&mut self) -> Option<QueueId> {
        let service = &self.service;
        match queueing::open(&self.shared, &service.cleanup, (Source::Qmqpd, &service.client, false)).await {
            Ok(intake) => Some(self.message.insert(intake).id()),
            Err(why) => {
                self.logger.warning(&why);
                None
            }
        }
    }

    async fn commit(&mut self, message: &Message) -> Result<(), Reply> {
        let Some(mut intake) = self.message.take() else { return Err(write_error()) };
        let tag = &self.service.cleanup.tag;
        if let Err(error) = self.write(&mut intake, message).await {
            warn_of_write(&self.shared, tag, intake.id(), &error);
            return Err(write_error());
        }
        finish(&self.shared, tag, intake).await.map_err(|refused| refused.reply)
    }

    async fn write(&self, intake: &mut Intake<W::Disk>, message: &Message) -> io::Result<()> {
        let peer = &self.peer;
        let is_local = self.service.is_local;
        let (address, rfc_address) = match is_local {
            true => (LOOPBACK, LOOPBACK.to_string()),
            false => (peer.address, peer.rfc_address()),
        };
        let (port, origin) = (peer.port.to_string(), peer.client.to_string());
        let client = QmqpClient {
            name: &peer.client.name,
            address,
            is_local,
            rfc_address: &rfc_address,
            port: &port,
            origin: &origin,
        };
        let verp = message.verp.as_ref().map(VerpDelimiters::as_bytes);
        let sender = Address::new(message.sender.as_slice());
        intake.cleanup.open_qmqp(&client, &sender, verp).await;
        let (mut stint, world) = (Stint::default(), &self.shared.world);
        for recipient in &message.recipients {
            stint.go_on(world, world.now()).await;
            let address = Address::new(recipient.as_slice());
            intake.cleanup.recipient(&Recipient { address, ..Recipient::default() }).await;
            intake.relieve()?;
        }
        let sole = match &message.recipients[..] {
            [only] => Some(Address::new(only.as_slice())),
            _ => None,
        };
        intake.cleanup.begin_qmqp_content(&client, sole.as_ref());
        for record in message.records(self.service.settings.line_length_limit) {
            stint.go_on(world, world.now()).await;
            intake.cleanup.content_record(&record.text, record.is_complete).await;
            intake.relieve()?;
        }
        intake.cleanup.end_content().await;
        Ok(())
    }
}
