//! Alias expansion: from one local recipient to the steps that deliver its mail (local(8), aliases(5)).

use crate::{DeliveredTo, Destination, LocalName, LocalSettings, parse_destinations};
use bstr::{BStr, BString, ByteSlice};
use std::{collections::HashSet, rc::Rc};
use types::{Address, Dsn, Lookup, Outcome, Resolved, Status, Transport};
use world::{Answer, Table, Users};

/// Deepest nesting of aliases within aliases (Postfix: 100).
const NESTING_LIMIT: u32 = 100;

/// Spells an address of an alias canonically and resolves it, as cleanup and the queue manager do.
pub trait Router {
    /// `external` is the text of the alias, with quotes where it has them.
    fn route<'a>(&'a self, sender: &'a Address, external: &'a [u8]) -> Answer<'a, Lookup<Resolved>>;
}

/// One thing to do for a recipient. All of its steps must succeed before the recipient is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Ask an agent that runs as this user to deliver (forward file first, then mailbox).
    Mailbox {
        /// For the log.
        recipient: Address,
        /// For `Delivered-To:`.
        delivered_to: Address,
        /// Login name.
        user: BString,
        /// Address extension.
        extension: BString,
        /// Do not look for a forward file.
        mailbox_only: bool,
    },
    /// Inject a copy under another envelope.
    Forward(Forward),
    /// Nothing to deliver: a discard, a refusal, or trouble.
    Final {
        /// For the log.
        recipient: Address,
        /// What became of it.
        outcome: Outcome,
        /// Why.
        status: Status,
    },
}

/// A new message with the old content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// Its envelope sender: the original's, or the owner of a mailing list.
    pub sender: Address,
    /// Its `Delivered-To:` header: the recipient that forwards.
    pub delivered_to: Address,
    /// Its recipients.
    pub recipients: Vec<Address>,
    /// A mailing list sends it: what the original's sender said of the recipient does not go along.
    pub is_list: bool,
}

/// The message and the recipient that are expanded, and what there is to ask.
pub struct Expansion<'a, R> {
    /// Configuration.
    pub settings: &'a LocalSettings,
    /// alias_maps
    pub aliases: &'a [Rc<dyn Table>],
    /// The user database.
    pub users: &'a dyn Users,
    /// Address rewriting and resolution.
    pub router: &'a R,
    /// The message's `Delivered-To:` headers.
    pub delivered: &'a DeliveredTo,
    /// The name of this service: addresses that resolve to it are expanded here.
    pub transport: &'a Transport,
}

/// What is known of an address in the course of the expansion.
#[derive(Clone, Debug)]
struct Item {
    address: Address,
    sender: Address,
    delivered_to: Address,
    /// Whoever wants to hear of problems; set by `owner-` aliases and forward files.
    owner: Option<BString>,
    /// The alias that this address came from: an alias that names itself means the user.
    from_alias: Option<BString>,
    mailbox_only: bool,
    is_list: bool,
    level: u32,
}

/// Expands a recipient.
pub async fn expand<R: Router>(this: &Expansion<'_, R>, sender: &Address, recipient: &Address) -> Vec<Step> {
    let start = Item {
        address: recipient.clone(),
        sender: sender.clone(),
        delivered_to: recipient.clone(),
        owner: None,
        from_alias: None,
        mailbox_only: false,
        is_list: false,
        level: 0,
    };
    run(this, vec![start]).await
}

/// Expands the text of a forward file that `recipient`'s user was found to have.
///
/// Other local users are reached by a new message, so that each has its own status in the queue; the
/// user's own address means the mailbox. `delivered_to` is that of the mailbox.
pub async fn expand_forward_file<R: Router>(
    this: &Expansion<'_, R>,
    sender: &Address,
    recipient: &Address,
    delivered_to: &Address,
    text: &[u8],
) -> Vec<Step> {
    let name = LocalName::split(recipient, &this.settings.extensions);
    let origin = Item {
        address: recipient.clone(),
        sender: sender.clone(),
        delivered_to: delivered_to.clone(),
        owner: Some(name.user),
        from_alias: Some(name.local),
        mailbox_only: false,
        is_list: false,
        level: 1,
    };
    let mut work = Vec::new();
    let mut steps = Vec::new();
    let lines = text.lines().filter(|line| !line.starts_with(b"#"));
    for destination in lines.flat_map(parse_destinations) {
        enter(this, &origin, destination, &mut work, &mut steps).await;
    }
    steps.extend(run(this, work).await);
    steps
}

async fn run<R: Router>(this: &Expansion<'_, R>, mut work: Vec<Item>) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut seen = HashSet::new();
    work.reverse();
    while let Some(item) = work.pop() {
        let key = (item.level, item.address.as_bytes().to_ascii_lowercase());
        let limit = this.settings.duplicate_filter_limit;
        if seen.len() < limit && !seen.insert(key) {
            continue;
        }
        let mut more = Vec::new();
        deliver(this, item, &mut more, &mut steps).await;
        work.extend(more.into_iter().rev());
    }
    merge_forwards(steps)
}

/// The order of local(8): loop check, alias, other owner's mail is forwarded, user, unknown user.
async fn deliver<R: Router>(
    this: &Expansion<'_, R>,
    item: Item,
    work: &mut Vec<Item>,
    steps: &mut Vec<Step>,
) {
    if item.level > NESTING_LIMIT {
        return steps.push(bounce(
            &item.address,
            Dsn::permanent(4, 6),
            "recipient nesting limit exceeded".into(),
        ));
    }
    if this.delivered.contains(&item.address) {
        let reason = format!("mail forwarding loop for {}", item.address);
        return steps.push(bounce(&item.address, Dsn::permanent(4, 6), reason));
    }
    let name = LocalName::split(&item.address, &this.settings.extensions);
    if name.user.is_empty() {
        let reason = format!("null username in \"{}\"", item.address);
        return steps.push(bounce(&item.address, Dsn::permanent(1, 3), reason));
    }
    if !item.mailbox_only {
        for key in alias_keys(&name) {
            match expand_alias(this, &item, key, work, steps).await {
                AliasResult::Absent => {}
                AliasResult::Expanded => return,
                AliasResult::Trouble => {
                    return steps.push(defer(&item.address, "alias database unavailable"));
                }
            }
        }
        let is_for_another = item.owner.as_ref().is_some_and(|owner| !owner.eq_ignore_ascii_case(&name.user));
        if is_for_another {
            return steps.push(forward(&item));
        }
    }
    steps.push(to_user(this, &item, &name).await);
}

fn alias_keys(name: &LocalName) -> impl Iterator<Item = &BStr> {
    let user = name.extension.is_some().then(|| name.user.as_bstr());
    std::iter::once(name.local.as_bstr()).chain(user)
}

enum AliasResult {
    Absent,
    Expanded,
    Trouble,
}

async fn expand_alias<R: Router>(
    this: &Expansion<'_, R>,
    item: &Item,
    key: &BStr,
    work: &mut Vec<Item>,
    steps: &mut Vec<Step>,
) -> AliasResult {
    if item.from_alias.as_ref().is_some_and(|from| from.eq_ignore_ascii_case(key)) {
        return AliasResult::Absent;
    }
    let value = match find(this.aliases, key).await {
        Lookup::Found(value) => value,
        Lookup::Absent => return AliasResult::Absent,
        Lookup::TryAgain(_) => return AliasResult::Trouble,
    };
    let mut origin = item.clone();
    origin.from_alias = Some(key.to_owned());
    if !this.settings.frozen_delivered_to {
        origin.delivered_to = item.address.clone();
    }
    origin.level += 1;
    if this.settings.extensions.owner_request_special {
        let owner: BString = [b"owner-", key.as_bytes()].concat().into();
        match find(this.aliases, owner.as_bstr()).await {
            Lookup::Found(value) => {
                let target = if this.settings.expand_owner_alias { BString::from(value) } else { owner };
                match this.router.route(&item.sender, &target).await {
                    Lookup::Found(resolved) => {
                        origin.owner = Some(resolved.recipient.localpart().to_owned());
                        origin.sender = resolved.recipient;
                        origin.is_list = true;
                    }
                    Lookup::Absent | Lookup::TryAgain(_) => return AliasResult::Trouble,
                }
            }
            Lookup::Absent if this.settings.reset_owner_alias => origin.owner = None,
            Lookup::Absent => {}
            Lookup::TryAgain(_) => return AliasResult::Trouble,
        }
    }
    let destinations = parse_destinations(&value);
    if destinations.is_empty() {
        // An empty alias is a mistake of the administrator: keep the mail until it is mended.
        return AliasResult::Trouble;
    }
    for destination in destinations {
        enter(this, &origin, destination, work, steps).await;
    }
    AliasResult::Expanded
}

/// Turns a destination into an address to expand, or a step.
async fn enter<R: Router>(
    this: &Expansion<'_, R>,
    origin: &Item,
    destination: Destination,
    work: &mut Vec<Item>,
    steps: &mut Vec<Step>,
) {
    let (external, mailbox_only) = match destination {
        Destination::Address(external) => (external, false),
        Destination::Mailbox(external) => (external, true),
        Destination::Command(_) => return steps.push(unsupported(origin, "a command")),
        Destination::File(_) => return steps.push(unsupported(origin, "a file")),
        Destination::Include(_) => return steps.push(unsupported(origin, "an :include: list")),
    };
    let resolved = match this.router.route(&origin.sender, &external).await {
        Lookup::Found(resolved) => resolved,
        Lookup::Absent | Lookup::TryAgain(_) => {
            return steps.push(defer(&origin.address, "address resolver failure"));
        }
    };
    if resolved.is_error {
        let reason = format!("bad recipient address syntax: {}", resolved.recipient);
        return steps.push(bounce(&origin.address, Dsn::permanent(1, 3), reason));
    }
    let item = Item { address: resolved.recipient, mailbox_only, ..origin.clone() };
    if resolved.transport == *this.transport { work.push(item) } else { steps.push(forward(&item)) }
}

async fn to_user<R: Router>(this: &Expansion<'_, R>, item: &Item, name: &LocalName) -> Step {
    if let Some(parameter) = this.settings.unsupported_delivery {
        let reason = format!("mail system configuration error: {parameter} is not supported yet");
        return defer(&item.address, &reason);
    }
    let user = match name.user.to_str() {
        Ok(user) => this.users.by_name(user).await,
        Err(_) => Lookup::Absent,
    };
    match user {
        Lookup::Found(_) => Step::Mailbox {
            recipient: item.address.clone(),
            delivered_to: match this.settings.frozen_delivered_to {
                true => item.delivered_to.clone(),
                false => item.address.clone(),
            },
            user: name.user.clone(),
            extension: name.extension.clone().unwrap_or_default(),
            mailbox_only: item.mailbox_only,
        },
        Lookup::TryAgain(_) => Step::Final {
            recipient: item.address.clone(),
            outcome: Outcome::Deferred,
            status: Status::new(Dsn::temporary(0, 0), "user lookup error"),
        },
        Lookup::Absent => unknown_user(this.settings, item, name),
    }
}

fn unknown_user(settings: &LocalSettings, item: &Item, name: &LocalName) -> Step {
    if let Some(parameter) = settings.unsupported_fallback {
        let reason = format!("mail system configuration error: {parameter} is not supported yet");
        return defer(&item.address, &reason);
    }
    if name.user == "postmaster" || name.user == "mailer-daemon" {
        // local(8): a required alias that is missing must not bounce, or notices would loop.
        let status = Status::new(Dsn::success(0, 0), "discarded");
        return Step::Final { recipient: item.address.clone(), outcome: Outcome::Sent, status };
    }
    bounce(&item.address, Dsn::permanent(1, 1), format!("unknown user: \"{}\"", name.user))
}

async fn find(tables: &[Rc<dyn Table>], key: &BStr) -> Lookup {
    for table in tables {
        match table.lookup(key).await {
            Lookup::Absent => {}
            found_or_trouble => return found_or_trouble,
        }
    }
    Lookup::Absent
}

fn forward(item: &Item) -> Step {
    Step::Forward(Forward {
        sender: item.sender.clone(),
        delivered_to: item.delivered_to.clone(),
        recipients: vec![item.address.clone()],
        is_list: item.is_list,
    })
}

/// One new message for each sender and forwarding recipient, not one for each address.
fn merge_forwards(steps: Vec<Step>) -> Vec<Step> {
    let mut merged: Vec<Step> = Vec::with_capacity(steps.len());
    for step in steps {
        let Step::Forward(new) = step else {
            merged.push(step);
            continue;
        };
        let twin = merged.iter_mut().find_map(|step| match step {
            Step::Forward(old) if old.sender == new.sender && old.delivered_to == new.delivered_to => {
                Some(old)
            }
            _ => None,
        });
        match twin {
            Some(old) => old.recipients.extend(new.recipients),
            None => merged.push(Step::Forward(new)),
        }
    }
    merged
}

fn bounce(recipient: &Address, dsn: Dsn, reason: String) -> Step {
    Step::Final { recipient: recipient.clone(), outcome: Outcome::Bounced, status: Status::new(dsn, reason) }
}

fn defer(recipient: &Address, reason: &str) -> Step {
    let status = Status::new(Dsn::temporary(3, 0), reason);
    Step::Final { recipient: recipient.clone(), outcome: Outcome::Deferred, status }
}

fn unsupported(origin: &Item, what: &str) -> Step {
    let alias = origin.from_alias.as_ref().map(ToString::to_string).unwrap_or_default();
    defer(&origin.address, &format!("delivery to {what} is not supported yet (alias {alias})"))
}

#[cfg(test)]
mod tests;
