//! virtual(8): mailboxes from tables, written by agents that run as their owners.

use crate::{agent_pool::Owner, content, context::Context, queue_work::Active, services::Virtual};
use bstr::ByteSlice;
use local::{
    VirtualMaps,
    agent::{Answer, Names, Request, Task},
    virtual_mailbox,
};
use maillog::Logger;
use std::rc::Rc;
use types::{DeliveryReport, DeliveryRequest, Dsn, Outcome, Recipient, RecipientReport, Relay, Status};
use world::World;

/// Delivers each recipient of a request.
pub(crate) async fn deliver<W: World>(
    context: &Rc<Context<W>>,
    virtual_: &Virtual,
    logger: &Logger,
    request: &Rc<DeliveryRequest>,
    active: &Rc<Active<W::Disk>>,
) -> DeliveryReport {
    let content = match content::text(active) {
        Ok(content) => content,
        Err(unreadable) => return context.unreadable(request, logger, &unreadable),
    };
    let job = Job { context, virtual_, logger, request, content };
    let mut report = DeliveryReport::default();
    for (index, recipient) in request.recipients.iter().enumerate() {
        let (outcome, status) = job.recipient(recipient).await;
        let relay = Relay::Service(request.transport.as_str().to_owned());
        let timing = context.timing(request);
        report.recipients.push(RecipientReport::new(index, outcome, status, relay, timing));
    }
    report
}

struct Job<'a, W: World> {
    context: &'a Rc<Context<W>>,
    virtual_: &'a Virtual,
    logger: &'a Logger,
    request: &'a DeliveryRequest,
    content: Vec<u8>,
}

impl<W: World> Job<'_, W> {
    async fn recipient(&self, recipient: &Recipient) -> (Outcome, Status) {
        let maps = VirtualMaps {
            mailboxes: &self.virtual_.mailboxes,
            uids: &self.virtual_.uids,
            gids: &self.virtual_.gids,
        };
        let found = virtual_mailbox(&self.virtual_.settings, &maps, &recipient.address).await;
        let mailbox = match found {
            Ok(mailbox) => mailbox,
            Err((outcome, status, warning)) => {
                warning.iter().for_each(|text| self.logger.warning(text));
                return (outcome, status);
            }
        };
        if self.request.message.trace.is_probe() {
            let kind: &[u8] = if mailbox.path.ends_with(b"/") { b"maildir" } else { b"mailbox" };
            return (Outcome::Sent, Status::new(Dsn::success(0, 0), [b"delivers to ", kind].concat()));
        }
        let names = Names { recipient: recipient.address.clone(), ..Names::default() };
        let request = Request {
            task: Task::Virtual { mailbox: mailbox.path },
            names,
            sender: self.request.message.sender.clone(),
            original: recipient.original.clone(),
            delivered_to: recipient.address.clone(),
        };
        let owner = Owner::ids(&self.request.transport, mailbox.uid, mailbox.gid);
        match self.context.agents.deliver(&owner, &request, &self.content).await {
            Ok(reply) => {
                reply.warnings.iter().for_each(|warning| self.logger.warning(&warning.to_str_lossy()));
                match reply.answer {
                    Answer::Done { outcome, status, .. } => (outcome, status),
                    _ => {
                        let what = "unexpected answer of delivery agent";
                        (Outcome::Deferred, Status::new(Dsn::temporary(3, 0), what))
                    }
                }
            }
            Err(trouble) => {
                self.logger.warning(&format!("{}: {trouble}", self.request.queue_id));
                (Outcome::Deferred, Status::new(Dsn::temporary(3, 0), "delivery agent unavailable"))
            }
        }
    }
}
