//! local(8): the walk through aliases and forward files is in crate `local`; here are its hands. Agents do what needs a
//! user's rights, other transports are called, copies and notifications go through cleanup.

use crate::{
    agent_pool::Owner,
    content,
    context::Context,
    delivery::{self, Asked},
    queue_work::Active,
    routing::AliasRouter,
    services::Local,
};
use bounce::Kind;
use bstr::{BStr, BString};
use local::{
    Delivered, DeliveredTo, Delivery, Forward, Hands, Rights,
    agent::{Reply, Request, Task},
};
use maillog::{Logger, Severity};
use process::{About, Envelope, Injected};
use queue_format::LogEntry;
use std::rc::Rc;
use types::{
    Address, DeliveryReport, DeliveryRequest, Dsn, DsnReturn, MemberReport, MessageAttributes, Nexthop,
    Outcome, Passed, Recipient, RecipientReport, Relay, Status, SuccessAction, Timing, Transport,
};
use world::{Answer, World};

/// How often a recipient may be handed on: transports that name each other would go on for ever.
const PASSES_MAX: u8 = 5;

/// Delivers each recipient of a request.
pub(crate) async fn deliver<W: World>(
    context: &Rc<Context<W>>,
    local: &Local<W>,
    logger: &Logger,
    (request, asked): (&Rc<DeliveryRequest>, Asked),
    active: &Rc<Active<W::Disk>>,
) -> DeliveryReport {
    let content = match content::text(active) {
        Ok(content) => content,
        Err(unreadable) => return context.unreadable(request, logger, &unreadable),
    };
    let delivered = DeliveredTo::scan(&content);
    let passes = match asked {
        Asked::Scheduler(_) => 0,
        Asked::Transport(passes) => passes,
    };
    let job = Job { context, local, logger, request, passes, active, content };
    let environment = environment(&request.message);
    let delivery = Delivery {
        settings: &local.settings,
        aliases: &local.aliases,
        mailbox_transport_maps: &local.mailbox_transport_maps,
        mailbox_command_maps: &local.mailbox_command_maps,
        fallback_transport_maps: &local.fallback_transport_maps,
        users: local.users.as_ref(),
        router: &AliasRouter(&local.rewriter),
        hands: &job,
        delivered: &delivered,
        transport: &local.transport,
        nexthop: &request.nexthop,
        queue_id: request.queue_id,
        sender: &request.message.sender,
        trace: request.message.trace,
        environment: &environment,
    };
    let mut report = DeliveryReport::default();
    for (index, recipient) in request.recipients.iter().enumerate() {
        let delivered = local::deliver(&delivery, recipient).await;
        let relay = Relay::Service(request.transport.as_str().to_owned());
        let timing = context.timing(request);
        report.recipients.push(combine(index, recipient, delivered, (relay, timing)));
    }
    report
}

/// Who brought the message: the variable that tells commands, the attribute that copies have, and where else the value
/// stands.
const CLIENT: [(&str, &str, &str); 7] = [
    ("CLIENT_HOSTNAME", "log_client_name", "client_name"),
    ("CLIENT_ADDRESS", "log_client_address", "client_address"),
    ("CLIENT_PROTOCOL", "log_protocol_name", "protocol_name"),
    ("CLIENT_HELO", "log_helo_name", "helo_name"),
    ("SASL_METHOD", "sasl_method", "sasl_method"),
    ("SASL_USERNAME", "sasl_username", "sasl_username"),
    ("SASL_SENDER", "sasl_sender", "sasl_sender"),
];

/// What commands are told of the message, beside sender and recipient.
fn environment(message: &MessageAttributes) -> Vec<(BString, BString)> {
    let found = |(variable, attribute, other): &(&str, &str, &str)| {
        let value = message.named(attribute).or_else(|| message.named(other))?;
        (!value.is_empty()).then(|| (BString::from(*variable), value.to_owned()))
    };
    let id = (!message.dsn_envid.is_empty()).then(|| (BString::from("ENVID"), message.dsn_envid.clone()));
    id.into_iter().chain(CLIENT.iter().filter_map(found)).collect()
}

struct Job<'a, W: World> {
    context: &'a Rc<Context<W>>,
    local: &'a Local<W>,
    logger: &'a Logger,
    request: &'a Rc<DeliveryRequest>,
    passes: u8,
    active: &'a Rc<Active<W::Disk>>,
    content: Vec<u8>,
}

impl<W: World> Hands for Job<'_, W> {
    fn agent<'a>(&'a self, rights: &'a Rights, request: &'a Request) -> Answer<'a, Reply> {
        Answer::later(self.ask(rights, request))
    }

    fn pass<'a>(
        &'a self,
        to: &'a (Transport, Nexthop),
        recipient: &'a Recipient,
    ) -> Answer<'a, MemberReport> {
        Answer::later(self.hand_on(to, recipient))
    }

    fn forward<'a>(&'a self, forward: &'a Forward) -> Answer<'a, (Outcome, Status)> {
        Answer::later(self.send_copy(forward))
    }

    fn notify<'a>(
        &'a self,
        owner: &'a Address,
        recipient: &'a Recipient,
        status: &'a Status,
    ) -> Answer<'a, bool> {
        Answer::later(self.tell_owner(owner, recipient, status))
    }

    fn biff(&self, user: &BStr, offset: u64) {
        self.context.agents.biff(user, offset);
    }

    fn inform(&self, text: &str) {
        self.logger.write(Severity::Info, text);
    }

    fn warn(&self, text: &str) {
        self.logger.warning(text);
    }
}

impl<W: World> Job<'_, W> {
    async fn ask(&self, rights: &Rights, request: &Request) -> Reply {
        let service = &self.request.transport;
        let owner = match (rights, &request.task) {
            (Rights::Default, _) => Owner::default_privs(service, ""),
            // Root's own mailbox is root's; all else is not done with root's rights.
            (Rights::User(user), Task::Local { .. }) => Owner::login(service, &user.name),
            (Rights::User(user), _) if user.uid == 0 => Owner::default_privs(service, &user.name),
            (Rights::User(user), _) => Owner::login(service, &user.name),
        };
        // A list is read without the message.
        let content = if matches!(request.task, Task::Include { .. }) { &[][..] } else { &self.content };
        match self.context.agents.deliver(&owner, request, content).await {
            Ok(reply) => reply,
            Err(trouble) => {
                self.logger.warning(&format!("{}: {trouble}", self.request.queue_id));
                let status = Status::new(Dsn::temporary(3, 0), "delivery agent unavailable");
                Reply::done(Outcome::Deferred, status)
            }
        }
    }

    async fn hand_on(
        &self,
        (transport, nexthop): &(Transport, Nexthop),
        recipient: &Recipient,
    ) -> MemberReport {
        let member = |outcome, status| MemberReport::new(recipient.clone(), outcome, status);
        let unavailable = |why: &str| {
            let id = self.request.queue_id;
            self.logger.warning(&format!("{id}: transport {transport}: {why}"));
            let status = Status::new(Dsn::temporary(3, 0), "mail transport unavailable");
            let relay = Relay::None;
            let timing = self.context.timing(self.request);
            let transport = self.request.transport.clone();
            let (connection_uses, session) = (0, self.logger.session());
            let (soft_bounce, success) = (false, SuccessAction::default());
            let passed = Passed { transport, relay, timing, connection_uses, session, soft_bounce, success };
            MemberReport { passed: Some(passed), ..member(Outcome::Deferred, status) }
        };
        if self.context.services.get(transport).is_none() {
            return unavailable("master.cf has no such service");
        }
        if self.passes >= PASSES_MAX {
            return unavailable("mail is handed on in circles: see mailbox_transport, fallback_transport");
        }
        let request = Rc::new(DeliveryRequest {
            transport: transport.clone(),
            nexthop: nexthop.clone(),
            recipients: vec![recipient.clone()],
            agent_since: self.context.shared.world.wall(),
            ..DeliveryRequest::clone(self.request)
        });
        let report = delivery::deliver(self.context, Asked::Transport(self.passes + 1), &request).await;
        let Some(done) = report.recipients.into_iter().next() else {
            return unavailable("it gave no status");
        };
        let passed = Passed {
            transport: transport.clone(),
            relay: done.relay,
            timing: done.timing,
            connection_uses: done.connection_uses,
            soft_bounce: done.soft_bounce,
            success: done.success,
            session: report.session,
        };
        MemberReport { passed: Some(passed), ..member(done.outcome, done.status) }
    }

    /// A copy under another envelope, which says whom the message was for.
    async fn send_copy(&self, forward: &Forward) -> (Outcome, Status) {
        let header = self.local.settings.delivered_header_in_forward.then(|| {
            let to = maps::casefold(forward.delivered_to.as_bytes()).to_vec();
            [b"Delivered-To: ", &to[..]].concat()
        });
        // The last line ends with the content.
        let content = self.content.strip_suffix(b"\n").unwrap_or(&self.content);
        let lines = (!self.content.is_empty()).then(|| content.split(|byte| *byte == b'\n'));
        let lines = header.as_deref().into_iter().chain(lines.into_iter().flatten());
        let source = (cleanup::Source::Forward, self.request.message.send_options);
        let attributes = self.attributes_of_copies();
        let attributes: Vec<(&str, &[u8])> =
            attributes.iter().map(|(name, value)| (*name, value.as_slice())).collect();
        let (sender, recipients) = (&forward.sender, &forward.recipients[..]);
        let envelope = Envelope { sender, recipients, attributes: &attributes };
        let forwarded = match self.local.injector.inject(source, envelope, lines).await {
            Ok(Injected::Taken(id)) => Ok(id),
            // To be returned to the sender of the copy, who may be the owner of a list: that is done, as for the copy
            // itself.
            Ok(Injected::MustBounce(unaccepted)) => {
                let id = unaccepted.id();
                self.context.notifiers.bounce.give_back(unaccepted).await.map(|()| id)
            }
            Err(trouble) => Err(trouble),
        };
        match forwarded {
            Ok(id) => (Outcome::Sent, Status::new(Dsn::success(0, 0), format!("forwarded as {id}"))),
            Err(trouble) => {
                self.logger.warning(&format!("{}: forward: {trouble}", self.request.queue_id));
                (Outcome::Deferred, Status::new(Dsn::temporary(3, 0), "unable to forward message"))
            }
        }
    }

    /// What a copy has of the message: who brought it, under which name, and what notifications want to know.
    fn attributes_of_copies(&self) -> Vec<(&'static str, BString)> {
        let message = &self.request.message;
        let named = |name: &str| message.named(name).map(ToOwned::to_owned);
        let returns = match message.dsn_return {
            DsnReturn::Unset => "",
            DsnReturn::Full => "1",
            DsnReturn::Headers => "2",
        };
        let mut attributes = vec![("ret_flags", returns.into()), ("envelope_id", message.dsn_envid.clone())];
        let client =
            CLIENT.iter().filter_map(|(_, name, other)| Some((*name, named(name).or_else(|| named(other))?)));
        attributes.extend(client);
        let id = || self.request.queue_id.as_str().into();
        attributes.push(("log_ident", named("log_ident").unwrap_or_else(id)));
        attributes.push(("rewrite_context", named("rewrite_context").unwrap_or_else(|| "local".into())));
        attributes
    }

    /// The owner of a list hears of a recipient that failed before anything else happens: the sender does not.
    async fn tell_owner(&self, owner: &Address, recipient: &Recipient, status: &Status) -> bool {
        let message = &*self.request.message;
        let content = Some(content::of(self.active));
        let (id, returns) = (self.request.queue_id, message.dsn_return);
        let about = About { id, message, told: owner, returns, verp: None, content };
        let entries = [LogEntry::new(recipient, status, "failed")];
        match self.context.notifiers.bounce.notify(Kind::Failure, &about, &entries).await {
            Ok(()) => true,
            Err(trouble) => {
                self.logger.warning(&format!("{}: notification: {trouble}", self.request.queue_id));
                false
            }
        }
    }
}

/// One report: the recipient's own result, or the worst of its members and each of them.
fn combine(
    index: usize,
    recipient: &Recipient,
    Delivered { mut members, is_settled }: Delivered,
    (relay, timing): (Relay, Timing),
) -> RecipientReport {
    let Some(worst) = members.iter().max_by_key(|member| rank(member.outcome)) else {
        if is_settled {
            let status = Status::new(Dsn::success(0, 0), "nothing to deliver to");
            let report = RecipientReport::new(index, Outcome::Sent, status, relay, timing);
            return RecipientReport { success: SuccessAction::Nothing, ..report };
        }
        let status = Status::new(Dsn::temporary(3, 0), "nothing to deliver to");
        return RecipientReport::new(index, Outcome::Deferred, status, relay, timing);
    };
    let (outcome, status) = (worst.outcome, worst.status.clone());
    let stands_for_itself = |member: &MemberReport| {
        member.recipient.address == recipient.address
            && member.recipient.original == recipient.original
            && member.passed.is_none()
            && !member.is_notified
    };
    if members.len() == 1 && members.iter().all(stands_for_itself) {
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
