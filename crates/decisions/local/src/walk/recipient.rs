//! A recipient of this host: loops, aliases, copies to other people, and the user.

use super::{Fate, Hands, NESTING_LIMIT, Place, Rights, Router, Walk, Walking, mailbox::Way};
use crate::{
    LocalName,
    agent::{Answer, Origin, Source, Task},
    settings::Expanded,
};
use bstr::{BString, ByteSlice};
use std::rc::Rc;
use types::{Address, Dsn, Lookup, Outcome, Recipient, Status};
use world::UserEntry;

impl<R: Router, H: Hands> Walk<'_, '_, R, H> {
    pub(super) fn recipient(&self, at: Place, rights: Rights) -> Walking<'_> {
        Box::pin(self.recipient_here(at, rights))
    }

    async fn recipient_here(&self, mut at: Place, rights: Rights) -> Fate {
        at.level += 1;
        let address = at.recipient.address.clone();
        if at.level > NESTING_LIMIT {
            self.with.hands.warn(&format!("recipient nesting limit exceeded for {address}"));
            return self.bounce(&at, Dsn::permanent(4, 6), "recipient nesting limit exceeded");
        }
        if self.been_here(&format!("recipient {}", at.level), address.as_bytes()) {
            return Fate::Settled;
        }
        if self.with.delivered.contains(&address) {
            let status = Status::new(Dsn::permanent(4, 6), format!("mail forwarding loop for {address}"));
            return self.report_to_owner(&at, Outcome::Bounced, status).await;
        }
        at.delivered.get_or_insert_with(|| address.clone());
        at.name = LocalName::split(&address, &self.with.settings.extensions);
        if address.domain().is_none() {
            self.with.hands.warn(&format!("no @ in recipient address: {}", at.name.local));
        }
        if at.name.is_extension_illegal {
            let (id, name) = (self.with.queue_id, address.localpart());
            self.with.hands.warn(&format!("{id}: address with illegal extension: {name}"));
        }
        at.unmatched.clone_from(&at.name.extension);
        if at.name.user.is_empty() {
            let reason = format!("null username in \"{address}\"");
            return self.bounce(&at, Dsn::permanent(1, 3), reason);
        }
        self.switch(at, rights).await
    }

    async fn switch(&self, mut at: Place, rights: Rights) -> Fate {
        at.level += 1;
        if let Some(rest) = at.recipient.address.as_bytes().strip_prefix(b"\\") {
            at.recipient.address = Address::new(rest);
            for name in [&mut at.name.local, &mut at.name.user] {
                *name = name.strip_prefix(b"\\").unwrap_or(name).into();
            }
            let user = match self.user(&at).await {
                Ok(user) => user,
                Err(fate) => return fate,
            };
            return self.mailbox(at, rights, user).await;
        }
        at.unmatched = None;
        let local = at.name.local.clone();
        if let Some(fate) = self.alias(&at, &local).await {
            return fate;
        }
        if at.name.extension.is_some() {
            if self.with.settings.propagate_unmatched_extensions.has(Expanded::Alias) {
                at.unmatched.clone_from(&at.name.extension);
            }
            let user = at.name.user.clone();
            if let Some(fate) = self.alias(&at, &user).await {
                return fate;
            }
            at.unmatched.clone_from(&at.name.extension);
        }
        let is_for_another =
            at.owner.as_ref().is_some_and(|owner| !owner.eq_ignore_ascii_case(&at.name.user));
        if is_for_another || at.expanded == Some(Expanded::Include) {
            return self.indirect(&at);
        }
        self.person(at, rights).await
    }

    /// A user of this system, or nobody.
    async fn person(&self, at: Place, rights: Rights) -> Fate {
        let settings = self.with.settings;
        let user = match self.user(&at).await {
            Ok(user) => user,
            Err(fate) => return fate,
        };
        let asks = !settings.forward_path.is_empty() || settings.require_home_directory;
        let Some(entry) = user.clone().filter(|_| asks) else { return self.mailbox(at, rights, user).await };
        let way = self.way(&at).await;
        let takes_mailbox = matches!(way, Way::File) && !self.with.trace.is_probe();
        let mut to_mailbox = at.clone();
        if !settings.frozen_delivered_to {
            to_mailbox.delivered = Some(at.recipient.address.clone());
        }
        let task = Task::Local { forward: true, mailbox: takes_mailbox };
        match self.ask(&to_mailbox, &Rights::User(Rc::clone(&entry)), task).await {
            Answer::List { path, .. } if self.with.trace.is_server_probe() => {
                self.would(&at, [b"forward via file: ", path.as_slice()].concat())
            }
            Answer::List { path, is_extension_used, text } => {
                let list = (path, is_extension_used, text);
                match self.forward_file(&at, Rc::clone(&entry), list).await {
                    Some(fate) => fate,
                    None => self.mailbox(at, rights, Some(entry)).await,
                }
            }
            Answer::Done { outcome, status, mailbox_end } => {
                // Whatever it was: the mailbox has had its try.
                let _ = self.been_here("mailbox", &at.name.local);
                self.mailbox_done(&to_mailbox, (outcome, status), mailbox_end)
            }
            Answer::Nothing => self.mailbox(at, rights, Some(entry)).await,
            Answer::Owner { .. } => self.defer(&at, "unexpected answer of delivery agent"),
        }
    }

    /// The entry of the user database; `Err` when it cannot be asked.
    pub(super) async fn user(&self, at: &Place) -> Result<Option<Rc<UserEntry>>, Fate> {
        let found = match at.name.user.to_str() {
            Ok(user) => self.with.users.by_name(user).await,
            Err(_) => Lookup::Absent,
        };
        match found {
            Lookup::Found(entry) => Ok(Some(Rc::new(entry))),
            Lookup::Absent => Ok(None),
            Lookup::TryAgain(trouble) => {
                let user = &at.name.user;
                self.with.hands.warn(&format!("error looking up passwd info for {user}: {trouble}"));
                let status = Status::new(Dsn::temporary(0, 0), "user lookup error");
                Err(self.record(at, Outcome::Deferred, status))
            }
        }
    }

    /// Follows a user's forward file; `None` when the mailbox is to be used after all.
    async fn forward_file(
        &self,
        at: &Place,
        user: Rc<UserEntry>,
        (path, is_extension_used, text): (BString, bool, BString),
    ) -> Option<Fate> {
        let mut at = at.clone();
        at.level += 1;
        if self.been_here("forward", &path) {
            // A user who is named in his own forward file gets the mailbox, while the file is being followed.
            return self.was_here("forward-done", &path).then_some(Fate::Settled);
        }
        let settings = self.with.settings;
        if !settings.frozen_delivered_to {
            at.delivered = Some(at.recipient.address.clone());
        }
        at.expanded = Some(Expanded::Forward);
        at.origin = Origin::new(Source::Forward);
        at.owner = Some(at.name.user.clone());
        at.from = Some(at.name.local.clone());
        if is_extension_used || !settings.propagate_unmatched_extensions.has(Expanded::Forward) {
            at.unmatched = None;
        }
        at.recipient.dsn_notify = without_success(&at.recipient);
        let (fate, count) = self.list(&at, &Rights::User(user), &text).await;
        (count > 0).then(|| {
            let _ = self.been_here("forward-done", &path);
            fate
        })
    }

    /// A copy under a new envelope, so that each recipient has a place of its own in the queue.
    pub(super) fn indirect(&self, at: &Place) -> Fate {
        if self.been_here("indirect", at.recipient.address.as_bytes()) {
            return Fate::Settled;
        }
        if self.with.trace.is_probe() {
            return self.would(at, format!("forwards to {}", at.recipient.address));
        }
        let recipient = Recipient { offset: 0, ..at.recipient.clone() };
        let (sender, delivered_to) = (at.sender.clone(), at.delivered_to());
        let mut forwards = self.forwards.borrow_mut();
        let twin = forwards.iter_mut().find(|f| f.sender == sender && f.delivered_to == delivered_to);
        match twin {
            Some(forward) => forward.recipients.push(recipient),
            None => forwards.push(super::Forward { sender, delivered_to, recipients: vec![recipient] }),
        }
        Fate::Settled
    }
}

/// An alias hands on what the sender asked for, without success: the copies tell of that (RFC 3461 section 5.2.7.3).
pub(super) fn without_success(recipient: &Recipient) -> types::DsnNotify {
    use types::DsnNotify;
    DsnNotify(match recipient.dsn_notify.0 {
        DsnNotify::SUCCESS => DsnNotify::NEVER,
        other => other & !DsnNotify::SUCCESS,
    })
}
