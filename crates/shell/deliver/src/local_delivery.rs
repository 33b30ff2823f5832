//! local(8): expansion here, mailboxes by agents, forwarded mail through cleanup.

use crate::{
    agent_pool::Owner, content, delivery, engine::Engine, inject::Injected, queue_work::Active,
    routing::AliasRouter, services::Local,
};
use bstr::ByteSlice;
use local::{
    DeliveredTo, Expansion, Forward, Step,
    agent::{Reply, Request, Task},
    expand, expand_forward_file,
};
use maillog::Logger;
use std::{collections::VecDeque, rc::Rc};
use types::{
    Address, DeliveryReport, DeliveryRequest, Dsn, DsnNotify, Outcome, Recipient, RecipientReport, Relay,
    Status,
};

/// Delivers each recipient of a request.
pub(crate) async fn deliver(
    engine: &Rc<Engine>,
    local: &Local,
    logger: &Logger,
    request: &Rc<DeliveryRequest>,
    active: &Rc<Active>,
) -> DeliveryReport {
    let content = match content::text(active) {
        Ok(content) => content,
        Err(trouble) => {
            logger.warning(&trouble.to_string());
            return delivery::deferred(engine, request, Dsn::temporary(3, 0), "error reading message");
        }
    };
    let job = Job { engine, local, logger, request, delivered: DeliveredTo::scan(&content), content };
    let mut report = DeliveryReport::default();
    for (index, recipient) in request.recipients.iter().enumerate() {
        let mut results = job.recipient(recipient).await;
        let worst = results
            .iter()
            .enumerate()
            .max_by_key(|(at, result)| (rank(result.outcome), std::cmp::Reverse(*at)));
        let Some(at) = worst.map(|(at, _)| at) else { continue };
        let Done { to, outcome, status } = results.remove(at);
        results.iter().for_each(|done| job.log(recipient, done));
        if to != recipient.address {
            report.expanded.push((index, to));
        }
        let relay = Relay::Service(request.transport.as_str().to_owned());
        let timing = delivery::timing(engine, request);
        report.recipients.push(RecipientReport { index, outcome, status, relay, timing });
    }
    report
}

/// What became of one address that a recipient was expanded to.
struct Done {
    to: Address,
    outcome: Outcome,
    status: Status,
}

struct Job<'a> {
    engine: &'a Rc<Engine>,
    local: &'a Local,
    logger: &'a Logger,
    request: &'a Rc<DeliveryRequest>,
    delivered: DeliveredTo,
    content: Vec<u8>,
}

impl Job<'_> {
    /// What became of all its steps, at least one: a recipient is done when all of them are.
    async fn recipient(&self, recipient: &Recipient) -> Vec<Done> {
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
        let mut results = Vec::new();
        while let Some(step) = steps.pop_front() {
            let (to, (outcome, status)) = match step {
                Step::Final { recipient: to, outcome, status } => (to, (outcome, status)),
                Step::Forward(forward) => {
                    let result = self.forward(recipient, &forward).await;
                    (forward.delivered_to, result)
                }
                Step::Mailbox { recipient: to, delivered_to, user, extension, mailbox_only } => {
                    let task = Task::Local { user: user.clone(), extension, mailbox_only };
                    match self.mailbox(recipient, &delivered_to, &user.to_str_lossy(), task).await {
                        Ok(Reply::Done { outcome, status, warnings }) => {
                            warnings.iter().for_each(|warning| self.logger.warning(&warning.to_str_lossy()));
                            (to, (outcome, status))
                        }
                        Ok(Reply::Forward { text, .. }) => {
                            steps.extend(
                                expand_forward_file(&expansion, sender, &to, &delivered_to, &text).await,
                            );
                            continue;
                        }
                        Err(result) => (to, result),
                    }
                }
            };
            results.push(Done { to, outcome, status });
        }
        if results.is_empty() {
            let status = Status::new(Dsn::temporary(3, 0), "nothing to deliver to");
            results.push(Done { to: recipient.address.clone(), outcome: Outcome::Deferred, status });
        }
        results
    }

    /// One of several results; the scheduler logs the one that decides.
    fn log(&self, recipient: &Recipient, done: &Done) {
        let timing = delivery::timing(self.engine, self.request);
        self.logger.event(&maillog::Event::Delivery(maillog::DeliveryEvent {
            id: self.request.queue_id,
            recipient: &Recipient { address: done.to.clone(), ..recipient.clone() },
            relay: &Relay::Service(self.request.transport.as_str().to_owned()),
            connection_uses: 0,
            timing,
            delay: timing.before_active + timing.in_queue_manager + timing.transmission,
            outcome: done.outcome,
            status: &done.status,
            delay_logging_resolution_limit: self.local.delay_decimals,
        }));
    }

    async fn mailbox(
        &self,
        recipient: &Recipient,
        delivered_to: &Address,
        user: &str,
        task: Task,
    ) -> Result<Reply, (Outcome, Status)> {
        let request = Request {
            service: self.request.transport.as_str().into(),
            task,
            sender: self.request.message.sender.clone(),
            original: recipient.original.clone(),
            delivered_to: delivered_to.clone(),
        };
        let owner = Owner::Login(user.to_owned());
        self.engine.agents().deliver(&owner, &request, &self.content).await.map_err(|trouble| {
            self.logger.warning(&format!("{}: {trouble}", self.request.queue_id));
            (Outcome::Deferred, Status::new(Dsn::temporary(3, 0), "delivery agent unavailable"))
        })
    }

    /// A copy under another envelope, which says whom the message was for.
    async fn forward(&self, recipient: &Recipient, forward: &Forward) -> (Outcome, Status) {
        let header = if self.local.settings.delivered_header_in_forward {
            let to = forward.delivered_to.as_bytes().to_ascii_lowercase();
            [b"Delivered-To: ", &to[..]].concat()
        } else {
            Vec::new()
        };
        let lines = self.content.lines();
        let headers = (!header.is_empty()).then_some(&header[..]);
        let recipients: Vec<Recipient> =
            forward.recipients.iter().map(|address| forwarded(recipient, forward.is_list, address)).collect();
        let injected = self
            .engine
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

const fn rank(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Sent => 0,
        Outcome::Bounced => 1,
        Outcome::Deferred => 2,
    }
}
