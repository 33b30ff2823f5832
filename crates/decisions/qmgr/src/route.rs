//! From a resolved recipient to an entry of a destination's queue.

use std::{cmp::Ordering, rc::Rc};

use bstr::ByteSlice;
use types::{
    Address, AddressClass, DeliveryRequest, Dsn, Nexthop, Outcome, QueueName, Recipient, RecipientReport,
    Relay, Resolved, Status, Timing, Transport,
};

use crate::{
    core::{Core, Entry, Message, Step},
    destination::Destination,
    event::{Action, Disposition, Routed},
    job::{in_destination, in_peer},
    slab::{Key, Link},
};

/// A recipient's way, before the state of transport and destination is looked at.
enum Way {
    To(Transport, Nexthop),
    /// The recipient is done, and this is what is logged.
    Done(Status),
}

impl Core {
    /// Sends recipients through address resolution, or where the message's content filter says.
    pub(crate) fn resolve(&mut self, step: &mut Step<'_>, key: Key<Message>, recipients: Vec<Recipient>) {
        let count = i64::try_from(recipients.len()).unwrap_or(i64::MAX);
        let message = &mut self.messages[key];
        message.unread = (message.unread - count).max(0);
        if message.next_offset.is_none() {
            message.unread = 0;
        }
        if recipients.is_empty() {
            self.to_finish.push(key);
            return;
        }
        if message.content_filter.is_empty() || message.attributes.trace.is_probe() {
            message.outstanding += 1;
            // Slots are taken while resolution is under way.
            message.recipient_count += count;
            self.recipient_count += count;
            let (id, attributes) = (message.id, Rc::clone(&message.attributes));
            step.act(Action::Resolve { id, message: attributes, recipients });
            return;
        }
        for recipient in recipients {
            let resolved = self.filter_for(key, &recipient);
            self.route(step, key, recipient, Ok(resolved));
        }
        if self.messages[key].next_offset.is_none() {
            self.move_message_limits(key);
        }
        self.to_finish.push(key);
    }

    /// The answer of address resolution.
    pub(crate) fn resolved(&mut self, step: &mut Step<'_>, key: Key<Message>, mut routed: Vec<Routed>) {
        let count = i64::try_from(routed.len()).unwrap_or(i64::MAX);
        let message = &mut self.messages[key];
        message.recipient_count -= count;
        self.recipient_count -= count;
        if self.is_handing_over {
            message.flags.is_handed_over = true;
            return self.settled(key);
        }
        // Recipients of one domain go together, in a stable order.
        if routed.len() > 1 {
            routed.sort_by(|a, b| order(&a.recipient.address, &b.recipient.address));
        }
        for Routed { recipient, answer } in routed {
            self.route(step, key, recipient, answer);
        }
        if self.messages[key].next_offset.is_none() {
            self.move_message_limits(key);
        }
        self.settled(key);
    }

    /// postconf(5) content_filter: `transport:nexthop`, the next hop being default_filter_nexthop or the recipient's
    /// domain if it is not given.
    fn filter_for(&self, key: Key<Message>, recipient: &Recipient) -> Resolved {
        let filter = self.messages[key].content_filter.as_slice();
        let (transport, nexthop): (&[u8], &[u8]) = match filter.find_byte(b':') {
            Some(at) => (&filter[..at], &filter[at + 1..]),
            None => (filter, b""),
        };
        let nexthop: &[u8] = match nexthop {
            b"" if !self.settings.default_filter_nexthop.is_empty() => {
                self.settings.default_filter_nexthop.as_bytes()
            }
            b"" => match recipient.address.domain() {
                Some(domain) if !domain.is_empty() => domain,
                _ => self.settings.myhostname.as_bytes(),
            },
            given => given,
        };
        Resolved {
            transport: Transport::new(transport.to_str_lossy()),
            nexthop: Nexthop::new(nexthop),
            recipient: recipient.address.clone(),
            class: AddressClass::Default,
            is_routed: false,
            is_error: false,
        }
    }

    fn route(
        &mut self,
        step: &mut Step<'_>,
        key: Key<Message>,
        mut recipient: Recipient,
        answer: Result<Resolved, types::Trouble>,
    ) {
        let way = match answer {
            Ok(resolved) => {
                recipient.address = resolved.recipient.clone();
                self.way(key, &recipient, resolved)
            }
            Err(trouble) => {
                step.warn(format!("{}: address resolver failure: {trouble}", self.messages[key].id));
                retry("4.3.0 address resolver failure")
            }
        };
        match way {
            Way::Done(status) => {
                let id = self.messages[key].id;
                step.warn(format!("{id}: {}", status.reason));
                let disposition = self.without_agent(step, key, recipient, Outcome::Sent, status);
                self.settle(step, key, vec![disposition]);
            }
            Way::To(transport, nexthop) => self.send(step, key, recipient, (transport, nexthop)),
        }
    }

    fn way(&self, key: Key<Message>, recipient: &Recipient, resolved: Resolved) -> Way {
        let flags = &self.messages[key].flags;
        if resolved.is_error {
            return Way::To(Transport::new("error"), Nexthop::new("5.1.3 bad address syntax"));
        }
        let is_null = recipient.address.is_null();
        let double_bounce = recipient.address.localpart();
        if flags.expire {
            return retry("4.7.0 message is administratively expired");
        }
        if is_null {
            return Way::To(Transport::new("error"), Nexthop::new("5.1.3 null recipient address"));
        }
        if resolved.class == AddressClass::Local
            && double_bounce.eq_ignore_ascii_case(self.settings.double_bounce_sender.as_bytes())
        {
            return Way::Done(Status::new(
                Dsn::success(0, 0),
                "undeliverable postmaster notification discarded",
            ));
        }
        let is_put_off =
            self.settings.defer_transports.iter().any(|name| name == resolved.transport.as_str());
        if is_put_off && !flags.flush_deferred_transports {
            return retry("4.3.2 deferred transport");
        }
        let is_probe = self.messages[key].attributes.trace.is_server_probe();
        if is_probe && self.probe_count > self.settings.address_verify_pending_request_limit {
            return retry("4.3.2 Too many address verification requests");
        }
        Way::To(resolved.transport, resolved.nexthop)
    }

    /// Puts a recipient into its destination's queue, or, where transport or destination is dead, into that of the
    /// `retry` transport, which defers it with the same reason.
    fn send(
        &mut self,
        step: &mut Step<'_>,
        key: Key<Message>,
        recipient: Recipient,
        (transport, nexthop): (Transport, Nexthop),
    ) {
        let flush = self.messages[key].flags.flush_each;
        let at = self.transport(&transport);
        if flush {
            self.unthrottle_transport(at);
        }
        let dead = match self.transports[at].throttled.clone() {
            Some(status) => status,
            None => {
                let destination = self.obtain_destination(at, nexthop, &recipient);
                if flush {
                    self.unthrottle_destination(destination);
                }
                match self.destinations[destination].throttled().cloned() {
                    Some(status) => status,
                    None => return self.enqueue(step, key, destination, recipient),
                }
            }
        };
        match self.retry_destination(&dead) {
            Some(destination) => self.enqueue(step, key, destination, recipient),
            None => self.defer_recipient(step, key, recipient, dead),
        }
    }

    /// Where mail is put off with this status; `None` if even that is not possible.
    pub(crate) fn retry_destination(&mut self, status: &Status) -> Option<Key<Destination>> {
        let at = self.transport(&Transport::new("retry"));
        if self.transports[at].throttled.is_some() {
            return None;
        }
        let nexthop = Nexthop::new(format!("{} {}", status.dsn, status.reason));
        let destination = self.obtain_destination(at, nexthop, &Recipient::default());
        self.destinations[destination].throttled().is_none().then_some(destination)
    }

    /// Defers a recipient that no agent can be found for.
    pub(crate) fn defer_recipient(
        &mut self,
        step: &mut Step<'_>,
        key: Key<Message>,
        recipient: Recipient,
        status: Status,
    ) {
        let disposition = self.without_agent(step, key, recipient, Outcome::Deferred, status);
        self.settle(step, key, vec![disposition]);
    }

    fn without_agent(
        &mut self,
        step: &Step<'_>,
        key: Key<Message>,
        recipient: Recipient,
        outcome: Outcome,
        status: Status,
    ) -> Disposition {
        let message = &self.messages[key];
        let timing = Timing {
            before_active: message.active_since.since(message.attributes.arrival),
            in_queue_manager: step.wall.since(message.active_since),
            ..Timing::default()
        };
        Disposition {
            request: Rc::new(DeliveryRequest {
                queue_id: message.id,
                queue_name: QueueName::Active,
                transport: Transport::new("qmgr"),
                nexthop: Nexthop::default(),
                recipients: vec![recipient],
                message: Rc::clone(&message.attributes),
                active_since: message.active_since,
                agent_since: step.wall,
            }),
            report: RecipientReport {
                soft_bounce: self.settings.soft_bounce,
                ..RecipientReport::new(0, outcome, status, Relay::None, timing)
            },
            member: None,
            session: 0,
            probe: None,
        }
    }

    fn obtain_destination(&mut self, at: usize, nexthop: Nexthop, recipient: &Recipient) -> Key<Destination> {
        let transport = &self.transports[at];
        let is_notice = matches!(transport.name.as_str(), "error" | "retry");
        let mut name = Vec::new();
        if transport.settings.destination_recipient_limit == 1 && !is_notice {
            name.extend_from_slice(self.without_extension(recipient));
            name.push(b'@');
        }
        name.extend_from_slice(nexthop.as_bstr());
        name.make_ascii_lowercase();
        if let Some(key) = self.transports[at].destinations.get(&name) {
            return *key;
        }
        let mut destination = Destination::new(at, name.clone(), nexthop, &self.transports[at].settings);
        // Keys are used again: timers of another destination that had this one must not count.
        self.destinations_made += 1;
        destination.timer_serial = self.destinations_made << 32;
        let key = self.destinations.insert(destination);
        self.transports[at].destinations.insert(name, key);
        key
    }

    /// The local part without address extension (a delimiter at its beginning does not begin one).
    fn without_extension<'a>(&self, recipient: &'a Recipient) -> &'a [u8] {
        let localpart: &[u8] = recipient.address.localpart();
        let delimiters = self.settings.recipient_delimiter.as_bytes();
        match localpart.iter().skip(1).position(|byte| delimiters.contains(byte)) {
            Some(at) => &localpart[..=at],
            None => localpart,
        }
    }

    /// Adds a recipient to the message's last entry for the destination, or to a new one if that is full.
    pub(crate) fn enqueue(
        &mut self,
        step: &mut Step<'_>,
        key: Key<Message>,
        destination: Key<Destination>,
        recipient: Recipient,
    ) {
        let at = self.destinations[destination].transport;
        let job = self.obtain_job(key, at);
        let peer = self.obtain_peer(job, destination);
        let limit = match self.messages[key].verp {
            Some(_) => 1,
            None => self.transports[at].settings.destination_recipient_limit,
        };
        let open = self.peers[peer]
            .entries
            .last
            .filter(|entry| limit == 0 || self.entries[*entry].recipients.len() < limit);
        self.jobs[job].recipient_count += 1;
        self.messages[key].recipient_count += 1;
        self.recipient_count += 1;
        if let Some(entry) = open {
            self.entries[entry].recipients.push(recipient);
            return;
        }
        let entry = self.entries.insert(Entry {
            message: key,
            peer,
            destination,
            in_peer: Link::default(),
            in_destination: Link::default(),
            recipients: vec![recipient],
            request: None,
            ended: Vec::new(),
        });
        self.messages[key].outstanding += 1;
        self.peers[peer].entries.push_back(&mut self.entries, entry, in_peer);
        self.peers[peer].entry_count += 1;
        let queue = &mut self.destinations[destination];
        queue.todo.push_back(&mut self.entries, entry, in_destination);
        queue.todo_count += 1;
        self.jobs[job].read_entries += 1;
        self.warn_of_clog(step, destination);
    }

    /// postconf(5) qmgr_clog_warn_time: one destination should not fill the active queue.
    fn warn_of_clog(&mut self, step: &mut Step<'_>, key: Key<Destination>) {
        let settings = &self.settings;
        let destination = &self.destinations[key];
        let length = usize::try_from(destination.todo_count + destination.busy_count).unwrap_or(usize::MAX);
        let is_clogged = length > settings.qmgr_message_active_limit / 5
            && step.seconds() >= destination.clog_warning_not_before;
        if !is_clogged || !settings.helpful_warnings || settings.qmgr_clog_warn_time.is_zero() {
            return;
        }
        let (messages, nexthop) = (self.messages.len(), &destination.nexthop);
        let transport = &self.transports[destination.transport];
        let limit = transport.settings.destination_concurrency_limit;
        step.warn(format!("mail for {nexthop} is using up {length} of {messages} active queue entries"));
        let is_most = length.saturating_mul(10) >= messages.saturating_mul(9);
        if !is_most {
            step.warn("this may slow down other mail deliveries".to_owned());
        }
        if limit > 0 && limit <= destination.busy_count + 1 {
            step.warn(format!(
                "you may need to increase the main.cf {}_destination_concurrency_limit from {limit}",
                transport.name
            ));
        } else if transport.destinations.len() > 1 {
            step.warn(format!("you may need a separate master.cf transport for {nexthop}"));
        }
        step.warn("to turn off these warnings specify: qmgr_clog_warn_time = 0".to_owned());
        self.destinations[key].clog_warning_not_before =
            step.seconds() + settings.qmgr_clog_warn_time.as_secs();
    }
}

/// By domain (none is last), then by the whole address: `a10@x` comes before `a1@x`.
fn order(a: &Address, b: &Address) -> Ordering {
    let folded =
        |a: &[u8], b: &[u8]| a.iter().map(u8::to_ascii_lowercase).cmp(b.iter().map(u8::to_ascii_lowercase));
    let domains = match (a.domain(), b.domain()) {
        (Some(a), Some(b)) => folded(a, b),
        (a, b) => a.is_none().cmp(&b.is_none()),
    };
    domains.then_with(|| folded(a.as_bytes(), b.as_bytes()))
}

fn retry(text: &str) -> Way {
    Way::To(Transport::new("retry"), Nexthop::new(text))
}
