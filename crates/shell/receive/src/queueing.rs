//! Messages of a session into the queue, through cleanup.

use crate::{
    Shared,
    service::{Routes, SmtpService},
    session::{Attendant, write_error},
};
use bounce::{Role, SessionNotice};
use bstr::ByteSlice;
use cleanup::{Cleanup, ClientSettings, ForwardedClient, Refusal, SmtpClient, Source, Start};
use config::NotifyClasses;
use process::{CleanupRow, Ended, Injector, Intake, Postmaster, Stint, Zone};
use smtpd::{Effects, Envelope, Forwarded, Judge, Notice, Question, Refused, Verdict};
use std::{io, rc::Rc};
use types::{DsnNotify, QueueId, Recipient, Reply};
use world::World;

/// One session's way into the queue.
pub(crate) struct Queueing<W: World> {
    shared: Rc<Shared<W>>,
    service: Rc<SmtpService>,
    judge: Rc<Judge<Routes>>,
    /// In a box: most sessions have none most of the time.
    message: Option<Box<Intake<W::Disk>>>,
}

impl<W: World> Queueing<W> {
    pub(crate) fn new(shared: Rc<Shared<W>>, service: Rc<SmtpService>, judge: Rc<Judge<Routes>>) -> Self {
        Self { shared, service, judge, message: None }
    }

    /// The queue file cannot be written: the rest of the content is read and thrown away, and the end of data is answered with
    /// 4xx.
    fn give_up(&mut self, error: &io::Error) {
        let Some(intake) = self.message.take() else { return };
        warn_of_write(&self.shared, &self.service.cleanup.tag, intake.id(), error);
    }
}

impl<W: World> Attendant for Queueing<W> {
    async fn answer(&self, question: Question<'_>) -> Verdict {
        self.judge.answer(question).await
    }

    async fn open(&mut self, envelope: &Envelope<'_>) -> Result<QueueId, Reply> {
        let (shared, service) = (&self.shared, &self.service);
        shared.faults.at("session");
        let from = (Source::Smtpd, &service.client, envelope.transaction.is_smtputf8);
        match open(shared, &service.cleanup, from).await {
            Ok(intake) => Ok(self.message.insert(Box::new(intake)).id()),
            Err(why) => {
                shared.log.session(&service.tag).warning(&why);
                Err(write_error())
            }
        }
    }

    async fn begin(&mut self, envelope: &Envelope<'_>) {
        let Some(intake) = &mut self.message else { return };
        let transaction = envelope.transaction;
        let peer = envelope.peer;
        let ports = (peer.port_text(), peer.server_port_text(), peer.server_address_text());
        let (port, server_port, server_address) = &ports;
        let forwarded = envelope.forwarded;
        let origin =
            forwarded.map_or_else(|| peer.client.to_string(), |forwarded| forwarded.origin(&peer.client));
        let address = forwarded.map(Forwarded::rfc_address).unwrap_or_default();
        let client = SmtpClient {
            name: &peer.client.name,
            reverse_name: &peer.reverse_name,
            address: &peer.client.address,
            port,
            origin: &origin,
            server_address,
            server_port,
            helo: envelope.helo,
            protocol: envelope.protocol,
            is_local_rewrite: forwarded
                .and_then(|forwarded| forwarded.is_local)
                .unwrap_or(transaction.is_local_rewrite),
            encoding: transaction.encoding,
            dsn_return: transaction.dsn_return,
            dsn_envid: transaction.dsn_envid.as_ref().map(|envid| envid.as_bstr()),
            verp: transaction.verp,
            login: peer.login.as_ref().map(|login| (login.method.as_str(), login.username.as_str())),
            sasl_sender: transaction.sasl_sender.as_ref().map(|sender| sender.as_bstr()),
            forwarded: forwarded
                .filter(|forwarded| forwarded.has_client)
                .map(|forwarded| forwarded_client(forwarded, &address, &origin)),
            ident: forwarded.and_then(|forwarded| Some(forwarded.ident.as_ref()?.as_bstr())),
        };
        apply_flags(&mut intake.cleanup, envelope.effects);
        intake.cleanup.open_smtp(&client, &transaction.sender).await;
        let (mut stint, mut written) = (Stint::default(), Ok(()));
        for recipient in &transaction.recipients {
            intake.cleanup.recipient(recipient).await;
            written = written.and_then(|()| intake.relieve());
            stint.go_on(&self.shared.world, self.shared.world.now()).await;
        }
        let sole = match &transaction.recipients[..] {
            [only] => Some(&only.address),
            _ => None,
        };
        intake.cleanup.begin_smtp_content(&client, sole, &envelope.effects.prepend).await;
        if let Err(error) = written {
            self.give_up(&error);
        }
    }

    async fn content(&mut self, bytes: &[u8]) {
        let Some(intake) = &mut self.message else { return };
        intake.cleanup.content(bytes).await;
        if let Err(error) = intake.relieve() {
            self.give_up(&error);
        }
    }

    async fn end(&mut self, envelope: &Envelope<'_>) -> Result<(), Refused> {
        let Some(mut intake) = self.message.take() else { return Err(not_written()) };
        intake.cleanup.end_content().await;
        apply_effects(&mut intake.cleanup, envelope.effects).await;
        finish(&self.shared, &self.service.cleanup.tag, *intake).await
    }

    fn abort(&mut self) {
        self.message = None;
    }

    async fn notify(&self, notice: Notice) {
        let (shared, service) = (&self.shared, &self.service);
        let around = (shared.world.clone(), shared.queue.clone());
        let log = (shared.log.clone(), Zone::new(Some(shared.zone.at(shared.world.wall()))));
        let (cleanup, client) = (service.cleanup.clone(), Rc::clone(&service.client));
        let word = shared.word.clone();
        let injector = Injector::of(around, log, cleanup, client, move |id| word.arrived(id));
        let Notice { client, trouble, transcript, reason } = &notice;
        let role = Role::Server { client, reason: *reason };
        let notice = SessionNotice { role, trouble: *trouble, transcript };
        let logger = shared.log.session(&service.tag);
        Postmaster::new(Rc::new(injector)).tell(&service.notices, &notice, &logger).await;
    }
}

/// What the client hears where a message that was taken in is not to be had.
fn not_written() -> Refused {
    Refused { reply: write_error(), trouble: NotifyClasses::RESOURCE }
}

/// A queue file for a message that begins, with where it comes from and whether its client asked for SMTPUTF8; the error is a
/// warning's text.
pub(crate) async fn open<W: World>(
    shared: &Shared<W>,
    cleanup: &CleanupRow,
    (source, client, is_smtputf8): (Source, &Rc<ClientSettings>, bool),
) -> Result<Intake<W::Disk>, String> {
    shared.word.admit().await;
    let now = shared.world.wall();
    let start = |id| Start {
        arrival: now,
        created: now,
        zone: shared.zone.at(now),
        id,
        source,
        client: Rc::clone(client),
        is_smtputf8,
        logger: shared.log.session(&cleanup.tag),
    };
    let intake = Intake::open(now, &shared.queue, &cleanup.service, start)
        .map_err(|error| format!("create a queue file: {error}; check the disk of queue_directory"))?;
    shared.refill_when_low();
    Ok(intake)
}

/// The end of a message whose content is complete. When this returns well it is on stable storage.
pub(crate) async fn finish<W: World>(
    shared: &Shared<W>,
    cleanup_tag: &str,
    intake: Intake<W::Disk>,
) -> Result<(), Refused> {
    let id = intake.id();
    match intake.finish(&shared.world).await {
        Ok(Ended::Queued(id)) => {
            shared.word.arrived(id);
            Ok(())
        }
        Ok(Ended::Discarded) => Ok(()),
        Ok(Ended::Refused(Refusal { reply, trouble, .. })) => Err(Refused { reply, trouble }),
        // Only those who have nobody to answer to are bounced.
        Ok(Ended::MustBounce(..)) => Err(not_written()),
        Err(error) => {
            warn_of_write(shared, cleanup_tag, id, &error);
            Err(not_written())
        }
    }
}

/// A queue file could not be written.
pub(crate) fn warn_of_write<W: World>(shared: &Shared<W>, cleanup_tag: &str, id: QueueId, error: &io::Error) {
    shared.log.session(cleanup_tag).warning(&format!("{id}: write queue file: {error}"));
}

/// Whom the client forwards for, as the queue file has it.
fn forwarded_client<'a>(forwarded: &'a Forwarded, address: &'a str, origin: &'a str) -> ForwardedClient<'a> {
    ForwardedClient {
        name: &forwarded.name,
        address,
        port: &forwarded.port,
        origin,
        helo: forwarded.helo.as_ref().map(|helo| helo.as_bstr()),
        protocol: &forwarded.protocol,
    }
}

/// What is known before the content, so that no content is kept for nothing.
fn apply_flags(cleanup: &mut Cleanup, effects: &Effects) {
    if effects.is_held {
        cleanup.hold();
    }
    if effects.is_discarded {
        cleanup.discard();
    }
}

/// What access tables want done, after the content: `smtpd_end_of_data_restrictions` may want it, too.
async fn apply_effects(cleanup: &mut Cleanup, effects: &Effects) {
    if let Some(destination) = &effects.filter {
        cleanup.filter(destination);
    }
    if let Some(address) = &effects.redirect {
        cleanup.redirect(address);
    }
    for address in &effects.bcc {
        let dsn_notify = DsnNotify(DsnNotify::NEVER);
        let (address, original) = (address.clone(), address.clone());
        cleanup.recipient(&Recipient { address, original, dsn_notify, ..Recipient::default() }).await;
    }
    apply_flags(cleanup, effects);
}
