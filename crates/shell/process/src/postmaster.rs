//! What the postmaster is told of sessions, as messages. It is mail that may be lost: whoever's session it was waits for it, and goes on
//! whatever becomes of it.

use crate::{Envelope, Injected, Injector};
use bounce::{NoticeSettings, SessionNotice};
use maillog::Logger;
use message::mail_date;
use std::rc::Rc;
use types::{Recipient, SendOptions, Status, Trouble};
use world::World;

/// Tells the postmaster.
pub struct Postmaster<W: World> {
    injector: Rc<Injector<W>>,
}

impl<W: World> Postmaster<W> {
    /// Through this way into the queue.
    #[must_use]
    pub const fn new(injector: Rc<Injector<W>>) -> Self {
        Self { injector }
    }

    /// Tells of a session; what prevents that is a warning.
    pub async fn tell(&self, settings: &NoticeSettings, notice: &SessionNotice<'_>, logger: &Logger) {
        if let Err(trouble) = self.send(settings, notice).await {
            logger.warning(&format!("postmaster notify: {trouble}"));
        }
    }

    async fn send(&self, settings: &NoticeSettings, notice: &SessionNotice<'_>) -> Result<(), Trouble> {
        let injector = &self.injector;
        let now = injector.world().wall();
        let date = format!("Date: {}", mail_date(now, &injector.zone().at(now))).into_bytes();
        let recipient = Recipient { address: notice.recipient(settings).into(), ..Recipient::default() };
        let envelope =
            Envelope { sender: &settings.sender().into(), recipients: &[recipient], attributes: &[] };
        let lines: Vec<Vec<u8>> = std::iter::once(date).chain(notice.lines(settings)).collect();
        let source = (cleanup::Source::Notify, SendOptions::default());
        match injector.inject(source, envelope, lines.iter().map(Vec::as_slice)).await? {
            Injected::Taken(_) => Ok(()),
            Injected::MustBounce(unaccepted) => {
                let Status { dsn, reason, .. } = &unaccepted.status;
                Err(Trouble::new(format!("{dsn} {reason}")))
            }
        }
    }
}
