//! Notifications as messages: what `bounce` composes goes into the queue. Whoever says that something failed waits for
//! that before it forgets what failed.

use crate::{Content, Envelope, Injected, Injector, Intake, Log, Unaccepted, tag};
use bounce::{BounceSettings, Composer, Kind, Line, Notification, Original, Share, plan, shares};
use bstr::ByteSlice;
use config::{Values, params as p};
use maillog::{DeliveryEvent, Event};
use message::mail_date;
use queue_format::{LogEntry, Reader, RecipientState, Recipients, Source};
use std::rc::Rc;
use types::{
    Address, DsnReturn, MessageAttributes, Outcome, QueueId, Recipient, Relay, Status, Timing, Trouble,
    VerpDelimiters,
};
use world::{Disk, World};

/// Makes notifications.
pub struct Notifier<W: World> {
    injector: Rc<Injector<W>>,
    settings: BounceSettings,
    /// `syslog_name/bounce`
    tag: String,
    soft_bounce: bool,
    delay_logging_resolution_limit: u8,
}

/// The message that a notification is about.
#[derive(Debug)]
pub struct About<'a, S> {
    /// Its queue id.
    pub id: QueueId,
    /// Its attributes.
    pub message: &'a MessageAttributes,
    /// Who is told: its sender, or the owner of the list that a recipient was found in.
    pub told: &'a Address,
    /// How much of it may be returned.
    pub returns: DsnReturn,
    /// Each recipient has a notification of its own, to the sender of its copy.
    pub verp: Option<VerpDelimiters>,
    /// Its content, where that can be read.
    pub content: Option<Content<'a, S>>,
}

impl<W: World> Notifier<W> {
    /// Reads the settings and the templates; what is wrong with those is logged.
    #[must_use]
    pub fn load(values: &Values, log: &Log, injector: Rc<Injector<W>>) -> Self {
        let tag = tag(values, "bounce");
        let logger = log.session(&tag);
        let path = values.text(p::bounce_template_file);
        let file = (!path.is_empty()).then(|| std::fs::read(path));
        if let Some(Err(error)) = &file {
            logger.warning(&format!("open {path}: {error}; the built-in templates are used"));
        }
        let text = file.and_then(Result::ok);
        let (settings, warnings) = BounceSettings::load(values, text.as_deref());
        warnings.iter().for_each(|warning| logger.warning(warning));
        let decimals = u8::try_from(values.int(p::delay_logging_resolution_limit)).unwrap_or(2);
        let soft_bounce = values.bool(p::soft_bounce);
        Self { injector, settings, tag, soft_bounce, delay_logging_resolution_limit: decimals }
    }

    /// `syslog_name/bounce`
    #[must_use]
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// Makes and commits the notifications that are due. An error says that the one that counts, the first, could not
    /// be made; a copy for the postmaster that could not is only warned about, as trying again would tell the sender
    /// twice.
    pub async fn notify<S: Source>(
        &self,
        kind: Kind,
        about: &About<'_, S>,
        entries: &[LogEntry],
    ) -> Result<(), Trouble> {
        for share in shares(&self.settings, about.told, about.verp, entries) {
            self.notify_share(kind, about, &share).await?;
        }
        Ok(())
    }

    async fn notify_share<S: Source>(
        &self,
        kind: Kind,
        about: &About<'_, S>,
        Share { told, entries }: &Share<'_>,
    ) -> Result<(), Trouble> {
        let logger = self.injector.log().session(&self.tag);
        let id = about.id;
        let plan = plan(&self.settings, kind, told, about.returns);
        if let Some(warning) = plan.warning {
            logger.warning(&format!("{id}: {warning}"));
        }
        for (n, notification) in plan.notifications.iter().enumerate() {
            match self.send(notification, about, entries).await {
                Ok(Some(own)) => logger.event(&Event::Bounce(notification.log(id, own))),
                Ok(None) => {}
                Err(trouble) if n == 0 => return Err(trouble),
                Err(trouble) => {
                    let to = about.told;
                    logger.warning(&format!(
                        "{id}: postmaster notice failed while bouncing to {to}: {trouble}"
                    ));
                }
            }
        }
        Ok(())
    }

    /// Tells the sender of a message that cleanup has refused for good, recipient by recipient. When this returns the
    /// notification is on stable storage, and whoever gave the message to cleanup may forget it; after an error, which has
    /// been logged, it is to be tried again.
    pub async fn give_back<D: Disk>(&self, unaccepted: Box<Unaccepted<D>>) -> Result<(), Trouble> {
        if self.soft_bounce {
            return Err(Trouble::new("soft_bounce is on: nothing is returned"));
        }
        let (id, logger) = (unaccepted.id(), unaccepted.logger());
        let message = &unaccepted.message;
        let recipients =
            recipients(&unaccepted).inspect_err(|trouble| logger.warning(&trouble.to_string()))?;
        let delay = self.injector.world().wall().since(message.arrival);
        for recipient in &recipients {
            logger.event(&Event::Delivery(DeliveryEvent {
                id,
                recipient,
                relay: &Relay::None,
                connection_uses: 0,
                timing: Timing { before_active: delay, ..Timing::default() },
                delay,
                outcome: Outcome::Bounced,
                is_soft_bounce: false,
                probe: None,
                status: &unaccepted.status,
                delay_logging_resolution_limit: self.delay_logging_resolution_limit,
            }));
        }
        let entry = |recipient| LogEntry::new(recipient, &unaccepted.status, "failed");
        let entries: Vec<LogEntry> = recipients.iter().map(entry).collect();
        let data_offset = message.data_offset;
        let content = Content { source: &*unaccepted, id, data_offset, is_cut: true };
        let content = (data_offset > 0).then_some(content);
        let about = About {
            id,
            message,
            told: &message.sender,
            returns: unaccepted.returns,
            verp: unaccepted.verp,
            content,
        };
        if let Err(trouble) = self.notify(Kind::Failure, &about, &entries).await {
            logger.warning(&format!("{id}: bounce message failure: {trouble}"));
            return Err(trouble);
        }
        unaccepted.returned();
        Ok(())
    }

    /// One notification: its id, or `None` when nobody wants it.
    async fn send<S: Source>(
        &self,
        notification: &Notification,
        about: &About<'_, S>,
        entries: &[LogEntry],
    ) -> Result<Option<QueueId>, Trouble> {
        let (injector, message) = (&*self.injector, about.message);
        let now = injector.world().wall();
        let zone = injector.zone().at(now);
        let content = about.content.as_ref();
        let message_id = content.and_then(message_id);
        let original = Original {
            queue_id: about.id,
            message,
            message_id: message_id.as_ref().map(|text| text.as_bstr()),
            has_content: content.is_some(),
        };
        let mut composer = Composer::new(now, &zone, &self.settings, notification, original);
        if let Some(content) = content {
            content.for_each_record(|bytes, is_complete| {
                composer.check(Line { bytes, is_complete });
                true
            })?;
        }
        let mut intake = injector.begin(cleanup::Source::Bounce, message.send_options)?;
        let recipient = Recipient { address: notification.recipient.clone(), ..Recipient::default() };
        let envelope = Envelope { sender: &notification.sender, recipients: &[recipient], attributes: &[] };
        injector.envelope(&mut intake, envelope).await;
        let date = format!("Date: {}", mail_date(now, &zone));
        let mut pieces = Pieces::default();
        pieces.push(Line { bytes: date.as_bytes(), is_complete: true });
        if !composer.begin(entries, &mut |line| pieces.push(line)) {
            return Ok(None);
        }
        pieces.give(&mut intake).await?;
        if let Some(content) = content {
            content.for_each_record(|bytes, is_complete| {
                composer.original(Line { bytes, is_complete }, &mut |line| pieces.push(line))
            })?;
        }
        composer.end(&mut |line| pieces.push(line));
        pieces.give(&mut intake).await?;
        intake.cleanup.end_content().await;
        match injector.finish(intake).await? {
            Injected::Taken(own) => Ok(Some(own)),
            Injected::MustBounce(unaccepted) => {
                let Status { dsn, reason, .. } = &unaccepted.status;
                Err(Trouble::new(format!("{dsn} {reason}")))
            }
        }
    }
}

/// Whom a file that cleanup has refused was for, as far as it was written; nobody can be named where that was not far
/// enough.
fn recipients<D: Disk>(unaccepted: &Unaccepted<D>) -> Result<Vec<Recipient>, Trouble> {
    let mut walk = Recipients::new(Reader::new(unaccepted));
    let mut found = Vec::new();
    loop {
        match walk.next_recipient() {
            Ok(Some(entry)) if entry.state == RecipientState::Todo => found.push(entry.recipient),
            Ok(Some(_)) => {}
            Err(error) if error.is_temporary() => {
                return Err(Trouble::new(format!("{}: read recipients: {error}", unaccepted.id())));
            }
            Ok(None) | Err(_) => break,
        }
    }
    if found.is_empty() {
        found.push(Recipient { address: "unknown".into(), ..Recipient::default() });
    }
    Ok(found)
}

/// Pieces of lines on their way to cleanup.
#[derive(Default)]
struct Pieces(Vec<(Vec<u8>, bool)>);

impl Pieces {
    fn push(&mut self, line: Line<'_>) {
        self.0.push((line.bytes.to_vec(), line.is_complete));
    }

    async fn give<D: Disk>(&mut self, intake: &mut Intake<D>) -> Result<(), Trouble> {
        for (bytes, is_complete) in self.0.drain(..) {
            intake.cleanup.content_record(&bytes, is_complete).await;
            intake.relieve().map_err(|error| Trouble::new(format!("write queue file: {error}")))?;
        }
        Ok(())
    }
}

/// The original's Message-ID, if it stands on one line.
fn message_id<S: Source>(content: &Content<'_, S>) -> Option<Vec<u8>> {
    let mut found = None;
    let mut starts_line = true;
    let _ = content.for_each_record(|bytes, is_complete| {
        let name = bytes.get(..11).unwrap_or_default();
        if starts_line && name.eq_ignore_ascii_case(b"message-id:") && is_complete {
            found = Some(bytes.get(11..).unwrap_or_default().trim_ascii().to_vec());
        }
        starts_line = is_complete;
        found.is_none() && !(bytes.is_empty() && is_complete)
    });
    found
}
