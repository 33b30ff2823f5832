//! The end of the way: another transport, a user's command or mailbox, and users that nobody knows.

use super::{Fate, Hands, Place, Rights, Router, Walk};
use crate::{
    agent::{Answer, Origin, Source, Task},
    names::{Login, fill},
};
use bstr::{BString, ByteSlice};
use maps::Maps;
use std::rc::Rc;
use types::{Dsn, Lookup, Nexthop, Outcome, Status, Transport, Trouble};
use world::UserEntry;

/// How mail gets into a mailbox.
pub(super) enum Way {
    /// It is there already.
    Done,
    /// By another transport, whether there is such a user or not.
    Pass(BString),
    /// By the user's command.
    Command(BString),
    /// Into a file or directory.
    File,
    /// A table cannot be asked.
    Trouble(Trouble),
}

impl<R: Router, H: Hands> Walk<'_, '_, R, H> {
    /// mailbox_transport_maps, mailbox_transport, mailbox_command_maps, mailbox_command, mailbox: the first that there
    /// is.
    pub(super) async fn way(&self, at: &Place) -> Way {
        let settings = self.with.settings;
        if self.was_here("mailbox", &at.name.local) {
            return Way::Done;
        }
        match self.choose(self.with.mailbox_transport_maps, at, &settings.mailbox_transport).await {
            Err(trouble) => return Way::Trouble(trouble),
            Ok(Some(service)) => return Way::Pass(service),
            Ok(None) => {}
        }
        match self.choose(self.with.mailbox_command_maps, at, &settings.mailbox_command).await {
            Err(trouble) => Way::Trouble(trouble),
            Ok(Some(command)) => Way::Command(command),
            Ok(None) => Way::File,
        }
    }

    /// What a table has for the user, or else a fixed value that is not empty.
    async fn choose(&self, maps: &Maps, at: &Place, fixed: &str) -> Result<Option<BString>, Trouble> {
        match maps.find(&at.name.user).await {
            Lookup::Found(value) => Ok(Some(value.into())),
            Lookup::Absent => Ok((!fixed.is_empty()).then(|| fixed.into())),
            Lookup::TryAgain(trouble) => Err(trouble),
        }
    }

    fn no_answer(&self, at: &Place, trouble: &Trouble) -> Fate {
        self.with.hands.warn(&trouble.to_string());
        self.defer(at, "table lookup failure")
    }

    pub(super) async fn mailbox(&self, mut at: Place, rights: Rights, user: Option<Rc<UserEntry>>) -> Fate {
        at.level += 1;
        let way = self.way(&at).await;
        let _ = self.been_here("mailbox", &at.name.local);
        match (way, user) {
            (Way::Done, _) => Fate::Settled,
            (Way::Trouble(trouble), _) => self.no_answer(&at, &trouble),
            (Way::Pass(service), _) => self.pass(&at, &service).await,
            (_, None) => self.unknown(at, rights).await,
            (Way::Command(command), Some(user)) => {
                at.origin = Origin::new(Source::Mailbox);
                self.command(&at, &Rights::User(user), command).await
            }
            (Way::File, Some(_)) if self.with.trace.is_probe() => {
                let settings = self.with.settings;
                let is_maildir = match settings.home_mailbox.as_str() {
                    "" => settings.mail_spool_directory.ends_with('/'),
                    home => home.ends_with('/'),
                };
                self.would(&at, if is_maildir { "delivers to maildir" } else { "delivers to mailbox" })
            }
            (Way::File, Some(user)) => {
                if !self.with.settings.frozen_delivered_to {
                    at.delivered = Some(at.recipient.address.clone());
                }
                let task = Task::Local { forward: false, mailbox: true };
                match self.ask(&at, &Rights::User(user), task).await {
                    Answer::Done { outcome, status, mailbox_end } => {
                        self.mailbox_done(&at, (outcome, status), mailbox_end)
                    }
                    _ => self.defer(&at, "unexpected answer of delivery agent"),
                }
            }
        }
    }

    /// The mailbox was written, or not.
    pub(super) fn mailbox_done(
        &self,
        at: &Place,
        (outcome, status): (Outcome, Status),
        mailbox_end: Option<u64>,
    ) -> Fate {
        if let (Some(end), Outcome::Sent) = (mailbox_end, outcome)
            && self.with.settings.biff
        {
            self.with.hands.biff(at.name.user.as_bstr(), end);
        }
        self.record(at, outcome, status)
    }

    /// `transport`, `transport:nexthop`
    async fn pass(&self, at: &Place, service: &BString) -> Fate {
        let (transport, nexthop) = service.split_once_str(b":").unwrap_or((service, b""));
        let Some(transport) = transport.to_str().ok().filter(|name| !name.is_empty()) else {
            self.with.hands.warn(&format!("missing transport name in \"{service}\""));
            return self.defer(at, "mail system configuration error");
        };
        let nexthop = if nexthop.is_empty() { self.with.nexthop.clone() } else { Nexthop::new(nexthop) };
        let (id, address) = (self.with.queue_id, &at.recipient.address);
        self.with.hands.inform(&format!("{id}: passing <{address}> to transport={transport}"));
        let to = (Transport::new(transport), nexthop);
        let member = self.with.hands.pass(&to, &at.recipient).await;
        self.member(member)
    }

    /// Nobody of that name: the fall-back transport, luser_relay, or back to the sender.
    async fn unknown(&self, mut at: Place, rights: Rights) -> Fate {
        at.level += 1;
        let settings = self.with.settings;
        if self.been_here("deliver_unknown", &at.name.local) {
            return Fate::Settled;
        }
        match self.choose(self.with.fallback_transport_maps, &at, &settings.fallback_transport).await {
            Err(trouble) => return self.no_answer(&at, &trouble),
            Ok(Some(service)) => return self.pass(&at, &service).await,
            Ok(None) => {}
        }
        let unknown = format!("unknown user: \"{}\"", at.name.user);
        if !settings.luser_relay.is_empty() {
            return self.luser_relay(at, &rights, unknown).await;
        }
        if at.name.user == "postmaster" || at.name.user == "mailer-daemon" {
            // Notices that come back would go round in circles.
            self.with.hands.warn(&format!("required alias not found: {}", at.name.user));
            return self.record(&at, Outcome::Sent, Status::new(Dsn::success(0, 0), "discarded"));
        }
        self.bounce(&at, Dsn::permanent(1, 1), unknown)
    }

    async fn luser_relay(&self, mut at: Place, rights: &Rights, unknown: String) -> Fate {
        let settings = self.with.settings;
        at.unmatched = None;
        let login = match rights {
            Rights::User(user) => Some(Login { home: &user.home, shell: &user.shell }),
            Rights::Default => None,
        };
        let delimiter = &settings.extensions.recipient_delimiter;
        let filled = fill(&settings.luser_relay, &at.names(), login, delimiter, None);
        let relay = filled.text.as_bytes();
        let own = match self.with.router.route(&at.sender, relay).await {
            Lookup::Found(resolved) => resolved.recipient,
            Lookup::Absent | Lookup::TryAgain(_) => return self.defer(&at, "address resolver failure"),
        };
        // A relay to the recipient itself would be a loop.
        if own.as_bytes().eq_ignore_ascii_case(at.recipient.address.as_bytes()) {
            return self.bounce(&at, Dsn::permanent(1, 1), unknown);
        }
        self.resolve(&at, rights, relay).await
    }
}
