//! local(8): expansion here, mailboxes by agents, forwarded mail through cleanup.

use crate::{
    agent_pool::Owner, content, context::Context, queue_work::Active, routing::AliasRouter, services::Local,
};
use bstr::ByteSlice;
use local::{
    DeliveredTo, Expansion, Forward, Step,
    agent::{Reply, Request, Task},
    expand, expand_forward_file,
};
use maillog::Logger;
use process::Injected;
use std::{
    collections::{HashSet, VecDeque},
    rc::Rc,
};
use types::{
    Address, DeliveryReport, DeliveryRequest, Dsn, DsnNotify, MemberReport, Outcome, Recipient,
    RecipientReport, Relay, Status, Timing,
};
use world::World;

/// Delivers each recipient of a request.
pub(crate) async fn deliver<W: World>(
    context: &Rc<Context<W>>,
    local: &Local,
    logger: &Logger,
    request: &Rc<DeliveryRequest>,
    active: &Rc<Active<W::Disk>>,
) -> DeliveryReport {
    let content = match content::text(active) {
        Ok(content) => content,
        Err(unreadable) => return context.unreadable(request, logger, &unreadable),
    };
    let job = Job { context, local, logger, request, delivered: DeliveredTo::scan(&content), content };
    let mut report = DeliveryReport::default();
    for (index, recipient) in request.recipients.iter().enumerate() {
        let members = job.recipient(recipient).await;
        let relay = Relay::Service(request.transport.as_str().to_owned());
        let timing = context.timing(request);
        report.recipients.push(combine(index, recipient, members, relay, timing));
    }
    report
}

struct Job<'a, W: World> {
    context: &'a Rc<Context<W>>,
    local: &'a Local,
    logger: &'a Logger,
    request: &'a Rc<DeliveryRequest>,
    delivered: DeliveredTo,
    content: Vec<u8>,
}

impl<W: World> Job<'_, W> {
    /// What became of all its steps. Copies under another envelope go out last, and only if nothing has to be
    /// tried again: the next try would send them again.
    async fn recipient(&self, recipient: &Recipient) -> Vec<MemberReport> {
        let router = AliasRouter(&self.local.rewriter);
        let expansion = Expansion {
            settings: &self.local.settings,
            aliases: &self.local.aliases,
            users: self.local.users.as_ref(),
            router: &router,
            delivered: &self.delivered,
            transport: &self.local.transport,
        };
        let sender = &self.request.message.sender;
        let mut steps = VecDeque::from(expand(&expansion, sender, &recipient.address).await);
        let (mut members, mut forwards) = (Vec::new(), Vec::new());
        // Who is named twice gets one copy: forward files that were asked for, mailboxes that were written.
        let (mut asked, mut written) = (HashSet::new(), HashSet::new());
        while let Some(step) = steps.pop_front() {
            let (address, (outcome, status)) = match step {
                Step::Final { recipient, outcome, status } => (recipient, (outcome, status)),
                Step::Forward(forward) => {
                    forwards.push(forward);
                    continue;
                }
                Step::Mailbox { recipient: to, delivered_to, user, extension, mailbox_only } => {
                    let who = (user.to_ascii_lowercase(), extension.to_ascii_lowercase());
                    if written.contains(&who) || (!mailbox_only && !asked.insert(who.clone())) {
                        continue;
                    }
                    let task = Task::Local { user: user.clone(), extension, mailbox_only };
                    let result = match self
                        .mailbox(recipient, &delivered_to, &user.to_str_lossy(), task)
                        .await
                    {
                        Ok(Reply::Done { outcome, status, warnings }) => {
                            written.insert(who);
                            warnings.iter().for_each(|warning| self.logger.warning(&warning.to_str_lossy()));
                            (outcome, status)
                        }
                        Ok(Reply::Forward { text, .. }) => {
                            steps.extend(
                                expand_forward_file(&expansion, sender, &to, &delivered_to, &text).await,
                            );
                            continue;
                        }
                        Err(result) => result,
                    };
                    (to, result)
                }
            };
            members.push(MemberReport { address, outcome, status });
        }
        for forward in forwards {
            if members.iter().any(|member| member.outcome == Outcome::Deferred) {
                break;
            }
            let (outcome, status) = self.forward(recipient, &forward).await;
            members.push(MemberReport { address: recipient.address.clone(), outcome, status });
        }
        members
    }

    async fn mailbox(
        &self,
        recipient: &Recipient,
        delivered_to: &Address,
        user: &str,
        task: Task,
    ) -> Result<Reply, (Outcome, Status)> {
        let request = Request {
            task,
            sender: self.request.message.sender.clone(),
            original: recipient.original.clone(),
            delivered_to: delivered_to.clone(),
        };
        let owner = Owner::login(&self.request.transport, user);
        self.context.agents.deliver(&owner, &request, &self.content).await.map_err(|trouble| {
            self.logger.warning(&format!("{}: {trouble}", self.request.queue_id));
            (Outcome::Deferred, Status::new(Dsn::temporary(3, 0), "delivery agent unavailable"))
        })
    }

    /// A copy under another envelope, which says whom the message was for.
    async fn forward(&self, original: &Recipient, forward: &Forward) -> (Outcome, Status) {
        let header = if self.local.settings.delivered_header_in_forward {
            let to = forward.delivered_to.as_bytes().to_ascii_lowercase();
            [b"Delivered-To: ", &to[..]].concat()
        } else {
            Vec::new()
        };
        let lines = self.content.lines();
        let headers = (!header.is_empty()).then_some(&header[..]);
        let recipients: Vec<Recipient> =
            forward.recipients.iter().map(|address| forwarded(original, forward.is_list, address)).collect();
        let injected = self
            .context
            .injector
            .inject(
                (cleanup::Source::Forward, self.request.message.send_options),
                &forward.sender,
                &recipients,
                headers.into_iter().chain(lines),
            )
            .await;
        match injected {
            Ok(Injected::Queued(id)) => {
                (Outcome::Sent, Status::new(Dsn::success(0, 0), format!("forwarded as {id}")))
            }
            Ok(Injected::Discarded) => (Outcome::Sent, Status::new(Dsn::success(0, 0), "discarded")),
            Err(trouble) => {
                self.logger.warning(&format!("{}: forward: {trouble}", self.request.queue_id));
                (Outcome::Deferred, Status::new(Dsn::temporary(3, 0), "unable to forward message"))
            }
        }
    }
}

/// A recipient of a forwarded message: an alias hands on what the sender asked for, a mailing list does not
/// (RFC 3461 section 5.2.7).
fn forwarded(recipient: &Recipient, is_list: bool, address: &Address) -> Recipient {
    if is_list {
        return Recipient { address: address.clone(), ..Recipient::default() };
    }
    let notify = match recipient.dsn_notify.0 {
        DsnNotify::SUCCESS => DsnNotify::NEVER,
        other => other & !DsnNotify::SUCCESS,
    };
    Recipient { address: address.clone(), offset: 0, dsn_notify: DsnNotify(notify), ..recipient.clone() }
}

/// One report: the recipient's own result, or the worst of its members and each of them.
fn combine(
    index: usize,
    recipient: &Recipient,
    mut members: Vec<MemberReport>,
    relay: Relay,
    timing: Timing,
) -> RecipientReport {
    let Some(worst) = members.iter().max_by_key(|member| rank(member.outcome)) else {
        let status = Status::new(Dsn::temporary(3, 0), "nothing to deliver to");
        return RecipientReport::new(index, Outcome::Deferred, status, relay, timing);
    };
    let (outcome, status) = (worst.outcome, worst.status.clone());
    if members.len() == 1 && members.iter().all(|member| member.address == recipient.address) {
        members.clear();
    }
    RecipientReport { members, ..RecipientReport::new(index, outcome, status, relay, timing) }
}

const fn rank(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Sent => 0,
        Outcome::Bounced => 1,
        Outcome::Deferred => 2,
    }
}
