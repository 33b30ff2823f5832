//! Who is told.

use queue_format::LogEntry;
use std::borrow::Cow;
use types::{Address, Dsn, DsnNotify, DsnReturn, QueueId, Recipient, Status, VerpDelimiters};

use crate::{settings::BounceSettings, template::TemplateKind};

/// What happened to the original.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Some recipients failed for good, or the message is too old.
    Failure,
    /// Some recipients wait for another try.
    Delay,
    /// Some recipients got it, and the sender asked to be told.
    Success,
    /// Whatever happened, or would happen: the sender asked (`sendmail -v`, `-bv`).
    Report,
}

/// For whom a notification is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// The original's sender.
    Sender,
    /// The postmaster: without the introduction.
    Postmaster,
}

/// How much of the original is returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returns {
    /// All of it, if bounce_size_limit allows.
    Full,
    /// The header.
    Headers,
}

/// One notification to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// What it is about.
    pub kind: Kind,
    /// For whom.
    pub audience: Audience,
    /// Envelope sender: null, or the double-bounce address when it goes to a postmaster.
    pub sender: Address,
    /// Envelope recipient and `To:`.
    pub recipient: Address,
    /// How much of the original.
    pub returns: Returns,
    /// Recipients count whose NOTIFY has one of these bits, and those without NOTIFY.
    pub notify: DsnNotify,
}

impl Notification {
    /// The template that the text is made from.
    #[must_use]
    pub fn template(&self) -> TemplateKind {
        match self.kind {
            Kind::Failure => TemplateKind::Failure,
            Kind::Delay => TemplateKind::Delay,
            Kind::Success => TemplateKind::Success,
            Kind::Report => TemplateKind::Verify,
        }
    }

    /// The line for the log when the notification has its queue id.
    #[must_use]
    pub fn log(&self, original: QueueId, own: QueueId) -> maillog::Notification {
        use maillog::Notification as Log;
        match (self.kind, self.audience) {
            (Kind::Failure, Audience::Sender) => Log::SenderFailure(original, own),
            (Kind::Failure, Audience::Postmaster) => Log::PostmasterFailure(original, own),
            (Kind::Delay, Audience::Sender) => Log::SenderDelay(original, own),
            (Kind::Delay, Audience::Postmaster) => Log::PostmasterDelay(original, own),
            (Kind::Success | Kind::Report, _) => Log::SenderSuccess(original, own),
        }
    }
}

/// The notifications to make, in this order; the first decides whether the log may go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Maybe none.
    pub notifications: Vec<Notification>,
    /// Something for the log: mail is being dropped on purpose.
    pub warning: Option<&'static str>,
}

/// Decides who is told. No notification is made about a notification's notification; about a notification only the
/// postmaster is told, and only if notify_classes says so.
#[must_use]
pub fn plan(settings: &BounceSettings, kind: Kind, sender: &Address, wanted: DsnReturn) -> Plan {
    let own = settings.double_bounce_sender.as_bytes();
    if sender.as_bytes().eq_ignore_ascii_case(own) {
        let warning = (!matches!(kind, Kind::Success | Kind::Report))
            .then_some("undeliverable postmaster notification discarded");
        return Plan { notifications: Vec::new(), warning };
    }
    let (postmaster, about_mail, about_notice) = match kind {
        Kind::Failure => (&settings.bounce_notice_recipient, settings.notify_bounce, {
            settings.notify_bounce || settings.notify_2bounce
        }),
        Kind::Delay => (&settings.delay_notice_recipient, settings.notify_delay, settings.notify_delay),
        Kind::Success => (&settings.bounce_notice_recipient, false, settings.notify_2bounce),
        Kind::Report => (&settings.bounce_notice_recipient, false, false),
    };
    let everything = DsnNotify(DsnNotify::NEVER | DsnNotify::SUCCESS | DsnNotify::FAILURE | DsnNotify::DELAY);
    let to_postmaster = |recipient: &str, returns| Notification {
        kind,
        audience: Audience::Postmaster,
        sender: Address::from(settings.double_bounce_sender.as_str()),
        recipient: Address::from(recipient),
        returns,
        notify: everything,
    };
    let mut notifications = Vec::new();
    if sender.is_null() {
        if about_notice {
            let (recipient, returns) = match kind {
                Kind::Failure => (&settings.double_bounce_notice_recipient, Returns::Full),
                Kind::Delay => (postmaster, Returns::Full),
                Kind::Success | Kind::Report => (&settings.double_bounce_notice_recipient, Returns::Headers),
            };
            notifications.push(to_postmaster(recipient, returns));
        }
        return Plan { notifications, warning: None };
    }
    let (notify, returns) = match (kind, wanted) {
        (Kind::Failure, DsnReturn::Headers) => (DsnNotify(DsnNotify::FAILURE), Returns::Headers),
        (Kind::Failure, _) => (DsnNotify(DsnNotify::FAILURE), Returns::Full),
        (Kind::Delay, _) => (DsnNotify(DsnNotify::DELAY), Returns::Headers),
        (Kind::Success | Kind::Report, _) => (everything, Returns::Headers),
    };
    notifications.push(Notification {
        kind,
        audience: Audience::Sender,
        sender: Address::null(),
        recipient: sender.clone(),
        returns,
        notify,
    });
    if about_mail {
        notifications.push(to_postmaster(postmaster, Returns::Headers));
    }
    Plan { notifications, warning: None }
}

/// Recipients that one notification is about, and who gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share<'e> {
    /// For [`plan`]: the sender of the copy that these recipients would have got.
    pub told: Address,
    /// Them.
    pub entries: Cow<'e, [LogEntry]>,
}

/// Splits a log: all of it in one notification, or, where each recipient's copy had a sender of its own (VERP_README), each
/// recipient in one that goes to this sender. Notices about notices are never split.
#[must_use]
pub fn shares<'e>(
    settings: &BounceSettings,
    told: &Address,
    verp: Option<VerpDelimiters>,
    entries: &'e [LogEntry],
) -> Vec<Share<'e>> {
    let own = settings.double_bounce_sender.as_bytes();
    let is_notice = told.is_null() || told.as_bytes().eq_ignore_ascii_case(own);
    let Some(verp) = verp.filter(|_| !is_notice) else {
        return vec![Share { told: told.clone(), entries: entries.into() }];
    };
    if entries.is_empty() {
        // Whom it was for cannot be found out any more, but the sender must not be left without a word.
        return vec![Share { told: told.clone(), entries: vec![unavailable()].into() }];
    }
    let share = |entry: &'e LogEntry| Share {
        told: verp.sender(told, &recipient_of(entry)),
        entries: std::slice::from_ref(entry).into(),
    };
    entries.iter().map(share).collect()
}

fn recipient_of(entry: &LogEntry) -> Recipient {
    let (address, original) = (Address::new(entry.recipient.to_vec()), Address::new(entry.original.to_vec()));
    Recipient { address, original, ..Recipient::default() }
}

fn unavailable() -> LogEntry {
    let recipient = Recipient { address: "(recipient address unavailable)".into(), ..Recipient::default() };
    let status = Status::new(Dsn::permanent(0, 0), "(error report unavailable)");
    LogEntry::new(&recipient, &status, "failed")
}

#[cfg(test)]
mod tests {
    use super::*;
    use config::Values;

    fn check(classes: &str, kind: Kind, sender: &str, expected: &[&str]) {
        let values = Values::for_tests(&[
            ("myhostname", "mx.test"),
            ("notify_classes", classes),
            ("2bounce_notice_recipient", "second"),
            ("bounce_notice_recipient", "first"),
            ("delay_notice_recipient", "late"),
        ]);
        let (settings, _) = BounceSettings::load(&values, None);
        let plan = plan(&settings, kind, &Address::from(sender), DsnReturn::Unset);
        let found: Vec<String> = plan
            .notifications
            .iter()
            .map(|n| format!("{} -> {} {:?} {:?}", n.sender, n.recipient, n.audience, n.returns))
            .collect();
        assert_eq!(found, expected, "{classes} {kind:?} <{sender}>");
    }

    #[test]
    fn the_sender_is_told_once_and_nobody_about_a_notice_unless_asked() {
        use Kind::{Delay, Failure, Success};
        let double = "double-bounce@mx.test";
        check("", Failure, "a@x", &[" -> a@x Sender Full"]);
        check("", Delay, "a@x", &[" -> a@x Sender Headers"]);
        check("", Success, "a@x", &[" -> a@x Sender Headers"]);
        check("", Failure, "", &[]);
        check("", Delay, "", &[]);
        check("", Success, "", &[]);
        check("resource, software", Failure, "", &[]);
        check("2bounce", Failure, "", &["double-bounce@mx.test -> second Postmaster Full"]);
        check("bounce", Failure, "", &["double-bounce@mx.test -> second Postmaster Full"]);
        check("delay", Delay, "", &["double-bounce@mx.test -> late Postmaster Full"]);
        check(
            "bounce,delay",
            Failure,
            "a@x",
            &[" -> a@x Sender Full", "double-bounce@mx.test -> first Postmaster Headers"],
        );
        check("bounce,2bounce,delay", Failure, double, &[]);
        check("bounce,2bounce,delay", Failure, "Double-Bounce@MX.test", &[]);
    }
    #[test]
    fn with_verp_each_recipient_has_a_notification_of_its_own() {
        let values = Values::for_tests(&[("myhostname", "mx.test")]);
        let (settings, _) = BounceSettings::load(&values, None);
        let entry = |address: &str, original: &str| {
            let recipient =
                Recipient { address: address.into(), original: original.into(), ..Recipient::default() };
            LogEntry::new(&recipient, &Status::new(Dsn::permanent(1, 1), "no such user"), "failed")
        };
        let entries = [entry("a@x", "a@x"), entry("b@y", "alias@x")];
        let check = |told: &str, verp: &str, entries: &[LogEntry], expected: &[&str]| {
            let verp = VerpDelimiters::parse(verp.as_bytes(), "+=");
            let told = Address::from(told);
            let found: Vec<String> = shares(&settings, &told, verp, entries)
                .iter()
                .map(|share| {
                    let names: Vec<_> = share.entries.iter().map(|e| e.recipient.to_string()).collect();
                    format!("{}: {}", share.told, names.join(" "))
                })
                .collect();
            assert_eq!(found, expected, "{told} {verp:?}");
        };
        check("list@o", "", &entries, &["list@o: a@x b@y"]);
        check("list@o", "+=", &entries, &["list+a=x@o: a@x", "list+alias=x@o: b@y"]);
        check("list@o", "", &[], &["list@o: "]);
        check("list@o", "+=", &[], &["list@o: \"(recipient address unavailable)\""]);
        check("", "+=", &entries, &[": a@x b@y"]);
        check("Double-Bounce@mx.test", "+=", &entries, &["Double-Bounce@mx.test: a@x b@y"]);
    }
}
