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
    Address, DeliveryReport, DeliveryRequest, Dsn, Outcome, Recipient, RecipientReport, Relay, Status,
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
        let (outcome, status) = job.recipient(recipient).await;
        let relay = Relay::Service(request.transport.as_str().to_owned());
        let timing = delivery::timing(engine, request);
        report.recipients.push(RecipientReport { index, outcome, status, relay, timing });
    }
    report
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
    /// The worst of what became of all its steps: a recipient is done when all of them are.
    async fn recipient(&self, recipient: &Recipient) -> (Outcome, Status) {
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
        let mut worst: Option<(Outcome, Status)> = None;
        while let Some(step) = steps.pop_front() {
            let result = match step {
                Step::Final { outcome, status, .. } => (outcome, status),
                Step::Forward(forward) => self.forward(&forward).await,
                Step::Mailbox { recipient: to, user, extension, mailbox_only } => {
                    let task = Task::Local { user: user.clone(), extension, mailbox_only };
                    match self.mailbox(recipient, &to, &user.to_str_lossy(), task).await {
                        Ok(Reply::Done { outcome, status, warnings }) => {
                            warnings.iter().for_each(|warning| self.logger.warning(&warning.to_str_lossy()));
                            (outcome, status)
                        }
                        Ok(Reply::Forward { text, .. }) => {
                            steps.extend(expand_forward_file(&expansion, sender, &to, &text).await);
                            continue;
                        }
                        Err(result) => result,
                    }
                }
            };
            if worst.as_ref().is_none_or(|(outcome, _)| rank(result.0) > rank(*outcome)) {
                worst = Some(result);
            }
        }
        worst.unwrap_or_else(|| {
            (Outcome::Deferred, Status::new(Dsn::temporary(3, 0), "nothing to deliver to"))
        })
    }

    async fn mailbox(
        &self,
        recipient: &Recipient,
        to: &Address,
        user: &str,
        task: Task,
    ) -> Result<Reply, (Outcome, Status)> {
        let request = Request {
            service: self.request.transport.as_str().into(),
            task,
            sender: self.request.message.sender.clone(),
            original: recipient.original.clone(),
            delivered_to: to.clone(),
        };
        let owner = Owner::Login(user.to_owned());
        self.engine.agents().deliver(&owner, &request, &self.content).await.map_err(|trouble| {
            self.logger.warning(&format!("{}: {trouble}", self.request.queue_id));
            (Outcome::Deferred, Status::new(Dsn::temporary(3, 0), "delivery agent unavailable"))
        })
    }

    async fn forward(&self, forward: &Forward) -> (Outcome, Status) {
        let header = if self.local.settings.delivered_header_in_forward {
            let to = forward.delivered_to.as_bytes().to_ascii_lowercase();
            [b"Delivered-To: ", &to[..]].concat()
        } else {
            Vec::new()
        };
        let lines = self.content.lines();
        let headers = (!header.is_empty()).then_some(&header[..]);
        let recipients: Vec<Recipient> = forward
            .recipients
            .iter()
            .map(|address| Recipient { address: address.clone(), ..Recipient::default() })
            .collect();
        let injected = self
            .engine
            .injector
            .inject(cleanup::Source::Forward, &forward.sender, &recipients, headers.into_iter().chain(lines))
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

const fn rank(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Sent => 0,
        Outcome::Bounced => 1,
        Outcome::Deferred => 2,
    }
}
