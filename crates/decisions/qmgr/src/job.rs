//! The order in which a transport's jobs are served: by arrival, except that a small job may preempt a large one
//! that has earned delivery slots to give away. See `docs/scheduler.md`.

use crate::{
    core::{Core, Entry, Job, Message, Peer, Step},
    destination::Destination,
    event::Action,
    slab::{Key, Link, List},
};

fn in_order(job: &mut Job) -> &mut Link<Job> {
    &mut job.in_order
}
fn by_time(job: &mut Job) -> &mut Link<Job> {
    &mut job.by_time
}
fn peer_link(peer: &mut Peer) -> &mut Link<Peer> {
    &mut peer.link
}
pub(crate) fn in_peer(entry: &mut Entry) -> &mut Link<Entry> {
    &mut entry.in_peer
}
pub(crate) fn in_destination(entry: &mut Entry) -> &mut Link<Entry> {
    &mut entry.in_destination
}

/// One read of recipients is never larger.
const RECIPIENTS_A_READ_MAX: i64 = 5000;

impl Core {
    /// The message's job for a transport, on the transport's lists and no longer thought to be blocked.
    pub(crate) fn obtain_job(&mut self, message: Key<Message>, transport: usize) -> Key<Job> {
        let found =
            self.messages[message].jobs.iter().copied().find(|job| self.jobs[*job].transport == transport);
        let job = found.unwrap_or_else(|| {
            let job = self.jobs.insert(Job {
                message,
                transport,
                in_order: Link::default(),
                by_time: Link::default(),
                peers: List::default(),
                stack_parent: None,
                stack_children: Vec::new(),
                stack_level: None,
                blocker_tag: 0,
                slots_used: 0,
                slots_available: 0,
                selected_entries: 0,
                read_entries: 0,
                recipient_count: 0,
                recipient_limit: 0,
            });
            self.messages[message].jobs.push(job);
            job
        });
        if self.jobs[job].stack_level.is_none() {
            self.link_job(job);
        }
        let transport = &mut self.transports[transport];
        transport.candidate = None;
        if self.jobs[job].blocker_tag == transport.blocker_tag {
            self.jobs[job].blocker_tag = 0;
            transport.job_current = transport.jobs.first;
        }
        job
    }

    fn queued(&self, job: Key<Job>) -> u64 {
        self.messages[self.jobs[job].message].queued_seconds
    }

    fn link_job(&mut self, job: Key<Job>) {
        let at = self.jobs[job].transport;
        let queued = self.queued(job);
        // Behind the last unpreempting job that is not younger. The current job keeps its place unless the new one
        // goes before it.
        let mut current = self.transports[at].job_current;
        let (mut prev, mut next) = (self.transports[at].jobs.last, None);
        while let Some(candidate) = prev {
            if self.jobs[candidate].stack_parent.is_none() && queued >= self.queued(candidate) {
                break;
            }
            if current == Some(candidate) {
                current = None;
            }
            next = Some(candidate);
            prev = self.jobs[candidate].in_order.prev;
        }
        let mut unread = self.transports[at].job_next_unread;
        let (mut time_prev, mut time_next) = (self.transports[at].jobs_by_time.last, None);
        while let Some(candidate) = time_prev {
            if queued >= self.queued(candidate) {
                break;
            }
            if unread == Some(candidate) {
                unread = None;
            }
            time_next = Some(candidate);
            time_prev = self.jobs[candidate].by_time.prev;
        }
        self.jobs[job].stack_level = Some(0);
        let transport = &mut self.transports[at];
        transport.jobs.insert(&mut self.jobs, (prev, next), job, in_order);
        transport.jobs_by_time.insert(&mut self.jobs, (time_prev, time_next), job, by_time);
        if current.is_none() {
            transport.job_current = Some(job);
        }
        if unread.is_none() {
            let before = transport.job_next_unread.replace(job);
            if let Some(before) = before {
                self.move_limits(before);
            }
        }
        let unused = std::mem::take(&mut self.transports[at].recipients_unused);
        if unused > 0 {
            self.give_slots(job, unused);
        } else {
            self.transports[at].recipients_unused = unused;
        }
    }

    fn give_slots(&mut self, job: Key<Job>, slots: i64) {
        let job = &mut self.jobs[job];
        job.recipient_limit += slots;
        self.messages[job.message].recipient_limit += slots;
    }

    /// Recipient slots that a job does not need go to the next job that has recipients to read.
    pub(crate) fn move_limits(&mut self, job: Key<Job>) {
        let at = self.jobs[job].transport;
        let mut next = self.transports[at].job_next_unread;
        if next == Some(job) {
            next = self.jobs[job].by_time.next;
            while let Some(candidate) = next {
                if self.messages[self.jobs[candidate].message].next_offset.is_some() {
                    break;
                }
                next = self.jobs[candidate].by_time.next;
            }
            self.transports[at].job_next_unread = next;
        }
        let of_job = &self.jobs[job];
        let message = &self.messages[of_job.message];
        let unused = (of_job.recipient_limit - of_job.recipient_count)
            .min(message.recipient_limit - message.recipient_count);
        if unused <= 0 {
            return;
        }
        self.give_slots(job, -unused);
        self.transports[at].recipients_unused += unused;
        if let Some(next) = next
            && self.transports[at].recipients_unused > 0
        {
            let unused = std::mem::take(&mut self.transports[at].recipients_unused);
            self.give_slots(next, unused);
        }
    }

    pub(crate) fn move_message_limits(&mut self, message: Key<Message>) {
        for n in 0..self.messages[message].jobs.len() {
            self.move_limits(self.messages[message].jobs[n]);
        }
    }

    fn orphan_children(&mut self, job: Key<Job>, parent: Option<Key<Job>>) {
        for child in std::mem::take(&mut self.jobs[job].stack_children) {
            self.jobs[child].stack_parent = parent;
            if let Some(parent) = parent {
                self.jobs[parent].stack_children.push(child);
            }
        }
    }

    /// Takes a job out of its transport's lists; its mail is all with agents, or done.
    fn retire(&mut self, job: Key<Job>) {
        if self.jobs[job].stack_level.is_some_and(|level| level > 0) {
            self.pop(job);
        }
        self.move_limits(job);
        self.unlink_job(job);
    }

    fn unlink_job(&mut self, job: Key<Job>) {
        self.orphan_children(job, None);
        let next = self.jobs[job].in_order.next;
        let transport = &mut self.transports[self.jobs[job].transport];
        if transport.job_current == Some(job) {
            transport.job_current = next;
        }
        if transport.candidate.is_some_and(|(current, _, found)| current == job || found == Some(job)) {
            transport.candidate = None;
        }
        transport.jobs.remove(&mut self.jobs, job, in_order);
        transport.jobs_by_time.remove(&mut self.jobs, job, by_time);
        self.jobs[job].stack_level = None;
    }

    /// Forgets a job whose message is finished.
    pub(crate) fn free_job(&mut self, job: Key<Job>) {
        if self.jobs[job].stack_level.is_some_and(|level| level > 0) {
            self.pop(job);
        }
        // The message has no recipients in memory, so that nothing keeps the slots.
        let unused = std::mem::take(&mut self.jobs[job].recipient_limit);
        let (message, at) = (self.jobs[job].message, self.jobs[job].transport);
        self.messages[message].recipient_limit -= unused;
        self.transports[at].recipients_unused += unused;
        self.move_limits(job);
        if self.jobs[job].stack_level.is_some() {
            self.unlink_job(job);
        }
        if self.transports[at].job_next_unread == Some(job) {
            self.transports[at].job_next_unread = None;
        }
        let unused = std::mem::take(&mut self.transports[at].recipients_unused);
        match self.transports[at].job_next_unread {
            Some(next) if unused > 0 => self.give_slots(next, unused),
            _ => self.transports[at].recipients_unused = unused,
        }
        self.jobs.remove(job);
    }

    fn max_entries(&self, job: Key<Job>) -> i64 {
        self.jobs[job].read_entries + self.messages[self.jobs[job].message].unread
    }

    /// The job that deserves most to go before the current one, of those that fit into its slots.
    fn candidate(&mut self, step: &Step<'_>, current: Key<Job>) -> Option<Key<Job>> {
        let at = self.jobs[current].transport;
        let now = step.seconds();
        if let Some((of, when, found)) = self.transports[at].candidate
            && of == current
            && (when == now || found.is_none())
        {
            return found;
        }
        let job = &self.jobs[current];
        let cost = self.transports[at].settings.delivery_slot_cost.max(1);
        let slots = (job.read_entries - job.selected_entries + job.slots_available) / cost;
        let mut best = None;
        let mut best_score = 0.0;
        let mut next = if slots > 0 { job.in_order.next } else { None };
        while let Some(key) = next {
            let job = &self.jobs[key];
            next = job.in_order.next;
            if !job.stack_children.is_empty() || job.blocker_tag == self.transports[at].blocker_tag {
                continue;
            }
            let total = self.max_entries(key);
            let needed = total - job.selected_entries;
            #[allow(
                clippy::cast_precision_loss,
                reason = "seconds in a queue and entries of a message are small"
            )]
            let (delay, entries) = ((now.saturating_sub(self.queued(key)) + 1) as f64, total as f64);
            if needed > 0 && needed <= slots && delay / entries > best_score {
                best_score = delay / entries;
                best = Some(key);
            }
            // Whoever comes later is younger: even a single entry could not win.
            if delay <= best_score && job.stack_level == Some(0) {
                break;
            }
        }
        self.transports[at].candidate = Some((current, now, best));
        best
    }

    /// Lets another job go before the current one if that has slots to give; returns who is current then.
    fn preempt(&mut self, step: &Step<'_>, current: Key<Job>) -> Key<Job> {
        let at = self.jobs[current].transport;
        let settings = &self.transports[at].settings;
        let (cost, loan, minimum) =
            (settings.delivery_slot_cost, settings.delivery_slot_loan, settings.minimum_delivery_slots);
        let (factor, extra) = (100 - settings.delivery_slot_discount, settings.extra_recipient_limit);
        let available = self.jobs[current].slots_available;
        if available <= 0 || self.max_entries(current) < minimum * cost {
            return current;
        }
        let Some(job) = self.candidate(step, current) else { return current };
        let expected = self.max_entries(job) - self.jobs[job].selected_entries;
        // available / cost + loan >= expected * factor / 100, in whole numbers.
        if (available / cost + loan) * 100 < expected * factor {
            return current;
        }
        if self.jobs[job].stack_level.is_some_and(|level| level > 0) {
            self.pop(job);
        }
        let transport = &mut self.transports[at];
        transport.jobs.remove(&mut self.jobs, job, in_order);
        let prev = self.jobs[current].in_order.prev;
        transport.jobs.insert(&mut self.jobs, (prev, Some(current)), job, in_order);
        transport.job_current = Some(job);
        transport.candidate = None;
        let level = self.jobs[current].stack_level.unwrap_or(0);
        self.jobs[current].stack_children.push(job);
        self.jobs[current].slots_available -= expected * cost;
        let preempting = &mut self.jobs[job];
        preempting.stack_parent = Some(current);
        preempting.stack_level = Some(level + 1);
        preempting.slots_used = -expected;
        if self.messages[preempting.message].next_offset.is_some() {
            let slots = (extra + self.transports[at].recipients_unused + 1) / 2;
            self.give_slots(job, slots);
            self.transports[at].recipients_unused -= slots;
        }
        job
    }

    /// Ends a preemption. Where the job goes on its transport's list is left to the caller.
    fn pop(&mut self, job: Key<Job>) {
        let at = self.jobs[job].transport;
        let (parent, level, used) =
            (self.jobs[job].stack_parent, self.jobs[job].stack_level, self.jobs[job].slots_used);
        if let Some(parent) = parent {
            // What was lent and not used comes back; more was used than expected: the parent pays.
            if level == self.jobs[parent].stack_level.map(|level| level + 1) {
                let cost = self.transports[at].settings.delivery_slot_cost;
                self.jobs[parent].slots_available -= used * cost;
            }
            self.jobs[parent].stack_children.retain(|child| *child != job);
            self.jobs[job].stack_parent = None;
        }
        self.orphan_children(job, parent);
        self.jobs[job].stack_level = Some(0);
        self.transports[at].candidate = None;
    }

    /// Asks for more recipients if the message may have them and needs them.
    fn refill(&mut self, step: &mut Step<'_>, job: Key<Job>, must: bool) {
        let key = self.jobs[job].message;
        let settings = &self.transports[self.jobs[job].transport].settings;
        let message = &self.messages[key];
        let room = message.recipient_limit - message.recipient_count;
        let is_due = room >= settings.recipient_refill_limit
            || (room > 0 && step.now.since(message.refill_time) >= settings.recipient_refill_delay);
        if message.outstanding > 0 && (is_due || (must && room > 0)) {
            self.read_on(step, key);
        }
    }

    /// Reads the next recipients of a message, if there are more and no read is under way.
    pub(crate) fn read_on(&mut self, step: &mut Step<'_>, key: Key<Message>) {
        let message = &mut self.messages[key];
        let Some(offset) = message.next_offset.filter(|_| !message.is_reading) else { return };
        message.is_reading = true;
        message.refill_time = step.now;
        let room = (message.recipient_limit - message.recipient_count).clamp(1, RECIPIENTS_A_READ_MAX);
        let id = message.id;
        step.act(Action::ReadRecipients { id, offset, recipients_max: usize::try_from(room).unwrap_or(1) });
    }

    fn select_peer(&mut self, job: Key<Job>) -> Option<Key<Peer>> {
        let mut next = self.jobs[job].peers.first;
        while let Some(key) = next {
            let peer = &self.peers[key];
            if self.destinations[peer.destination].has_room() && !peer.entries.is_empty() {
                self.jobs[job].peers.rotate_to_end(&mut self.peers, key, peer_link);
                return Some(key);
            }
            next = peer.link.next;
        }
        None
    }

    /// The next request of a transport, if any destination has room.
    pub(crate) fn select_entry(&mut self, step: &mut Step<'_>, at: usize) -> Option<Key<Entry>> {
        let mut current = self.transports[at].job_current?;
        if self.transports[at].settings.delivery_slot_cost >= 2 {
            current = self.preempt(step, current);
        }
        let mut next = Some(current);
        while let Some(job) = next {
            next = self.jobs[job].in_order.next;
            if self.jobs[job].blocker_tag == self.transports[at].blocker_tag {
                continue;
            }
            self.refill(step, job, false);
            let peer = if self.jobs[job].has_entries() { self.select_peer(job) } else { None };
            if let Some(peer) = peer {
                let entry = self.select_from(peer);
                self.count_slot(job);
                self.transports[at].job_current = Some(job);
                let has_more = self.messages[self.jobs[job].message].next_offset.is_some();
                if !self.jobs[job].has_entries() && !has_more {
                    self.retire(job);
                }
                return entry;
            }
            self.refill(step, job, true);
            if self.jobs[job].has_entries() || self.messages[self.jobs[job].message].is_reading {
                self.block(job);
            } else {
                self.retire(job);
            }
        }
        self.transports[at].job_current = None;
        None
    }

    /// None of the job's destinations has room (or its recipients are being read): skip it until one has.
    fn block(&mut self, job: Key<Job>) {
        let tag = self.transports[self.jobs[job].transport].blocker_tag;
        self.jobs[job].blocker_tag = tag;
        let mut next = self.jobs[job].peers.first;
        while let Some(key) = next {
            let peer = &self.peers[key];
            if !peer.entries.is_empty() {
                self.destinations[peer.destination].blocker_tag = tag;
            }
            next = peer.link.next;
        }
    }

    /// A destination that blocked jobs has room again: look at all jobs anew.
    pub(crate) fn update_blockers(&mut self, key: Key<Destination>) {
        let destination = &mut self.destinations[key];
        let transport = &mut self.transports[destination.transport];
        if destination.blocker_tag != transport.blocker_tag {
            return;
        }
        if destination.has_room() && destination.todo_count > 0 {
            transport.blocker_tag += 2;
            transport.job_current = transport.jobs.first;
            transport.candidate = None;
        }
        if destination.has_room() || destination.throttled().is_some() {
            destination.blocker_tag = 0;
        }
    }

    /// Each entry that is selected earns a slot.
    fn count_slot(&mut self, key: Key<Job>) {
        let job = &mut self.jobs[key];
        job.slots_available += 1;
        job.slots_used += 1;
        let transport = &mut self.transports[job.transport];
        if transport.candidate.is_some_and(|(current, _, _)| current != key) {
            transport.candidate = None;
        }
    }

    fn select_from(&mut self, key: Key<Peer>) -> Option<Key<Entry>> {
        let entry = self.peers[key].entries.first?;
        self.peers[key].entries.remove(&mut self.entries, entry, in_peer);
        let (destination, job) = (self.peers[key].destination, self.peers[key].job);
        let destination = &mut self.destinations[destination];
        destination.todo.remove(&mut self.entries, entry, in_destination);
        destination.todo_count -= 1;
        destination.busy_count += 1;
        self.jobs[job].selected_entries += 1;
        Some(entry)
    }

    /// The peer of a job for a destination.
    pub(crate) fn obtain_peer(&mut self, job: Key<Job>, destination: Key<Destination>) -> Key<Peer> {
        if let Some(peer) = self.peer_of.get(&(job, destination)) {
            return *peer;
        }
        let peer = self.peers.insert(Peer {
            job,
            destination,
            link: Link::default(),
            entries: List::default(),
            entry_count: 0,
        });
        self.jobs[job].peers.push_back(&mut self.peers, peer, peer_link);
        self.peer_of.insert((job, destination), peer);
        peer
    }

    /// Forgets a peer that has no entries left.
    pub(crate) fn free_peer(&mut self, key: Key<Peer>) {
        let (job, destination) = (self.peers[key].job, self.peers[key].destination);
        self.jobs[job].peers.remove(&mut self.peers, key, peer_link);
        self.peer_of.remove(&(job, destination));
        self.peers.remove(key);
    }
}
