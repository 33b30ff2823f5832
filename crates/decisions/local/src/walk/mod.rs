//! From one local recipient to everything that its mail is delivered to, in the order of local(8): aliases, forward
//! files, lists, mailboxes, commands, files, other transports, copies under another envelope.
//!
//! Attributes of the place in the expansion go down by value, so that what one branch changes no other branch
//! sees. What was done already is kept for the whole recipient. A branch that must be tried again is
//! [`Fate::Deferred`]; then nothing is forwarded, and the recipient stays in the queue as a whole.
//!
//! ```text
//! recipient ─▶ alias ─▶ destination ─┬─▶ address ─▶ recipient, or a copy under another envelope
//!     │                    ▲         ├─▶ :include: ─▶ destination
//!     ├─▶ forward file ────┘         ├─▶ |command
//!     ├─▶ mailbox, mailbox_transport └─▶ /file
//!     └─▶ fallback_transport, luser_relay, unknown user
//! ```

mod alias;
mod leaf;
mod list;
mod mailbox;
mod recipient;

#[cfg(test)]
mod tests;

use crate::{
    DeliveredTo, LocalName, LocalSettings,
    agent::{Answer as AgentAnswer, Names, Origin, Reply, Request, Task},
    settings::Expanded,
};
use bstr::{BStr, BString};
use maps::Maps;
use std::{cell::RefCell, collections::HashSet, future::Future, pin::Pin, rc::Rc};
use types::{
    Address, Dsn, Lookup, MemberReport, Nexthop, Outcome, QueueId, Recipient, Resolved, Status, TraceFlags,
    Transport,
};
use world::{Answer, Table, UserEntry, Users};

/// Deepest nesting, counted as Postfix counts it: four for each alias within an alias.
const NESTING_LIMIT: u32 = 100;

/// Spells an address of an alias canonically and resolves it, as cleanup and the queue manager do.
pub trait Router {
    /// `external` is the text of the alias, with quotes where it has them.
    fn route<'a>(&'a self, sender: &'a Address, external: &'a [u8]) -> Answer<'a, Lookup<Resolved>>;
}

/// With whose rights something is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rights {
    /// Nobody's in particular: default_privs.
    Default,
    /// A user's; root's are replaced by default_privs, except for root's own mailbox.
    User(Rc<UserEntry>),
}

impl Rights {
    /// 0 when they are to be replaced.
    fn uid(&self) -> u32 {
        match self {
            Self::Default => 0,
            Self::User(user) => user.uid,
        }
    }
}

/// What is done outside of this crate.
pub trait Hands {
    /// Has an agent do a task. Trouble with the agent is an answer that defers.
    fn agent<'a>(&'a self, rights: &'a Rights, request: &'a Request) -> Answer<'a, Reply>;
    /// Hands a recipient on to another transport.
    fn pass<'a>(&'a self, to: &'a (Transport, Nexthop), recipient: &'a Recipient)
    -> Answer<'a, MemberReport>;
    /// Sends a copy under another envelope.
    fn forward<'a>(&'a self, forward: &'a Forward) -> Answer<'a, (Outcome, Status)>;
    /// Tells the owner of a list, at once, that a recipient of it failed for good. False when that was not possible.
    fn notify<'a>(
        &'a self,
        owner: &'a Address,
        recipient: &'a Recipient,
        status: &'a Status,
    ) -> Answer<'a, bool>;
    /// Tells biff(1) of new mail at an offset in a user's mailbox.
    fn biff(&self, user: &BStr, offset: u64);
    /// For the log.
    fn inform(&self, text: &str);
    /// For the log.
    fn warn(&self, text: &str);
}

/// A new message with the old content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// Its envelope sender: the original's, or the owner of a mailing list.
    pub sender: Address,
    /// Its `Delivered-To:` header: the recipient that forwards.
    pub delivered_to: Address,
    /// Its recipients, with what the sender asked for.
    pub recipients: Vec<Recipient>,
}

/// The message, and what there is to ask.
pub struct Delivery<'a, R, H> {
    /// Configuration.
    pub settings: &'a LocalSettings,
    /// alias_maps
    pub aliases: &'a [Rc<dyn Table>],
    /// mailbox_transport_maps
    pub mailbox_transport_maps: &'a Maps,
    /// mailbox_command_maps
    pub mailbox_command_maps: &'a Maps,
    /// fallback_transport_maps
    pub fallback_transport_maps: &'a Maps,
    /// The user database.
    pub users: &'a dyn Users,
    /// Address rewriting and resolution.
    pub router: &'a R,
    /// What is done elsewhere.
    pub hands: &'a H,
    /// The message's `Delivered-To:` headers.
    pub delivered: &'a DeliveredTo,
    /// The name of this service: addresses that resolve to it are expanded here.
    pub transport: &'a Transport,
    /// The next hop of the request, for transports that are named without one.
    pub nexthop: &'a Nexthop,
    /// The message's name.
    pub queue_id: QueueId,
    /// The envelope sender.
    pub sender: &'a Address,
    /// Nothing is delivered where it is asked what would be.
    pub trace: TraceFlags,
    /// What commands are told of the message.
    pub environment: &'a [(BString, BString)],
}

/// What became of a recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// The results, in the order of the log. A list without members has none.
    pub members: Vec<MemberReport>,
    /// Nothing is to be tried again.
    pub is_settled: bool,
}

/// Delivers to one recipient.
pub async fn deliver<R: Router, H: Hands>(delivery: &Delivery<'_, R, H>, recipient: &Recipient) -> Delivered {
    let walk = Walk {
        with: delivery,
        seen: RefCell::default(),
        members: RefCell::default(),
        forwards: RefCell::default(),
    };
    let at = Place::start(delivery.sender, recipient);
    let mut fate = walk.recipient(at.clone(), Rights::Default).await;
    for forward in walk.forwards.take() {
        if fate == Fate::Settled {
            let (outcome, status) = delivery.hands.forward(&forward).await;
            fate = walk.record(&at, outcome, status);
        }
    }
    Delivered { members: walk.members.take(), is_settled: fate == Fate::Settled }
}

/// Whether a branch came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
enum Fate {
    /// Delivered, returned, or done before.
    Settled,
    /// To be tried again.
    Deferred,
}

impl Fate {
    fn and(self, other: Self) -> Self {
        if self == Self::Settled { other } else { self }
    }
}

/// What is known at a place of the expansion.
#[derive(Clone, Debug)]
struct Place {
    /// The address, with what the sender asked for.
    recipient: Recipient,
    sender: Address,
    name: LocalName,
    /// An address extension that nothing matched: it goes along to the addresses of an alias.
    unmatched: Option<BString>,
    /// Whoever wants to hear of problems; then local recipients get copies of their own.
    owner: Option<BString>,
    /// For `Delivered-To:`.
    delivered: Option<Address>,
    /// What this address was found in.
    expanded: Option<Expanded>,
    origin: Origin,
    /// The alias that this address came from: an alias that names itself means the user.
    from: Option<BString>,
    level: u32,
}

impl Place {
    fn start(sender: &Address, recipient: &Recipient) -> Self {
        Self {
            recipient: recipient.clone(),
            sender: sender.clone(),
            name: LocalName::default(),
            unmatched: None,
            owner: None,
            delivered: None,
            expanded: None,
            origin: Origin::new(crate::agent::Source::Mailbox),
            from: None,
            level: 0,
        }
    }

    fn names(&self) -> Names {
        let name = self.name.clone();
        Names {
            recipient: self.recipient.address.clone(),
            user: name.user,
            local: name.local,
            domain: name.domain,
            extension: name.extension,
        }
    }

    fn delivered_to(&self) -> Address {
        self.delivered.clone().unwrap_or_else(|| self.recipient.address.clone())
    }
}

type Walking<'w> = Pin<Box<dyn Future<Output = Fate> + 'w>>;

struct Walk<'w, 'd, R, H> {
    with: &'w Delivery<'d, R, H>,
    seen: RefCell<HashSet<Vec<u8>>>,
    members: RefCell<Vec<MemberReport>>,
    forwards: RefCell<Vec<Forward>>,
}

impl<R: Router, H: Hands> Walk<'_, '_, R, H> {
    /// Whether something is met again; case does not count. Beyond duplicate_filter_limit nothing is remembered.
    fn been_here(&self, what: &str, name: &[u8]) -> bool {
        let mut seen = self.seen.borrow_mut();
        let key = seen_key(what, name);
        if seen.contains(&key) {
            return true;
        }
        if seen.len() < self.with.settings.duplicate_filter_limit {
            seen.insert(key);
        }
        false
    }

    fn was_here(&self, what: &str, name: &[u8]) -> bool {
        self.seen.borrow().contains(&seen_key(what, name))
    }

    fn record(&self, at: &Place, outcome: Outcome, status: Status) -> Fate {
        self.member(MemberReport::new(at.recipient.clone(), outcome, status))
    }

    fn member(&self, member: MemberReport) -> Fate {
        let is_settled = match member.outcome {
            Outcome::Sent => true,
            Outcome::Bounced => !self.with.settings.soft_bounce,
            Outcome::Deferred => false,
        };
        self.members.borrow_mut().push(member);
        if is_settled { Fate::Settled } else { Fate::Deferred }
    }

    /// What would be done.
    fn would(&self, at: &Place, what: impl Into<Vec<u8>>) -> Fate {
        self.record(at, Outcome::Sent, Status::new(Dsn::success(0, 0), what))
    }

    fn bounce(&self, at: &Place, dsn: Dsn, reason: impl Into<Vec<u8>>) -> Fate {
        self.record(at, Outcome::Bounced, Status::new(dsn, reason))
    }

    fn defer(&self, at: &Place, reason: impl Into<Vec<u8>>) -> Fate {
        self.record(at, Outcome::Deferred, Status::new(Dsn::temporary(3, 0), reason))
    }

    async fn ask(&self, at: &Place, rights: &Rights, task: Task) -> AgentAnswer {
        let request = Request {
            task,
            names: at.names(),
            sender: at.sender.clone(),
            original: at.recipient.original.clone(),
            delivered_to: at.delivered_to(),
        };
        let reply = self.with.hands.agent(rights, &request).await;
        reply.warnings.iter().for_each(|warning| self.with.hands.warn(&warning.to_string()));
        reply.answer
    }
}

fn seen_key(what: &str, name: &[u8]) -> Vec<u8> {
    let mut key = format!("{what} ").into_bytes();
    key.extend_from_slice(&maps::casefold(name));
    key
}
