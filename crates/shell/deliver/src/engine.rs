//! Tells the scheduler what happened and carries out what it wants, in its order.

use crate::{
    agent_pool::Agents, context::Context, delivery, injecting::Notifiers, notices, queue_work::QueueWork,
    routing, scan::Scans, services::Services, shared::Shared, verifying::VerifyServices,
};
use config::ServiceType;
use maillog::Severity;
use net::contain;
use process::{Libraries, Process};
use qmgr::{Action, Disposition, Event, LogLine, Scheduler, SchedulerSettings};
use rewrite::Rewriter;
use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, HashSet},
    pin::pin,
    rc::Rc,
    time::Duration,
};
use types::QueueId;
use world::World;

/// The scheduler and its hands.
pub(crate) struct Engine<W: World> {
    shared: Rc<Shared<W>>,
    context: Rc<Context<W>>,
    rewriter: Rc<Rewriter>,
    /// For probes.
    probe_rewriter: Rc<Rewriter>,
    scans: Scans<W>,
    scheduler: RefCell<Scheduler>,
    /// The next generation has the queue.
    is_handed_over: Cell<bool>,
    /// `syslog_name/qmgr`
    qmgr_log: maillog::Logger,
}

impl<W: World> Engine<W> {
    pub(crate) fn new(
        shared: &Rc<Shared<W>>,
        process: &Process,
        agents: Rc<dyn Agents>,
    ) -> Result<Rc<Self>, String> {
        let rows = &process.configuration.master_cf().rows;
        let qmgr_row = rows.iter().rfind(|row| row.command.ends_with("qmgr"));
        let values =
            qmgr_row.map_or_else(|| process.values().clone(), |row| process.configuration.values_for(row));
        let qmgr_log = shared.log.session(&process::tag(&values, "qmgr"));
        let libraries = Libraries::new(process, &shared.openers);
        let limits = rows
            .iter()
            .filter(|row| row.service_type == ServiceType::Unix)
            .map(|row| (row.name.clone(), row.max_proc));
        let scheduler = Scheduler::new(SchedulerSettings::load(&values, limits));
        let (rewriter, probe_rewriter) = (libraries.rewriter(&values)?, libraries.probe_rewriter(&values)?);
        let services = VerifyServices::open(shared, process, &libraries)?;
        // There is one engine in a process.
        let _ = shared.verify.set(services);
        let context = Context {
            shared: Rc::clone(shared),
            work: QueueWork::new(shared.queue.clone(), qmgr_log.clone()),
            services: Services::open(shared, process, &libraries),
            notifiers: Notifiers::load(shared, process, &libraries)?,
            agents,
        };
        Ok(Rc::new(Self {
            context: Rc::new(context),
            rewriter,
            probe_rewriter,
            scans: Scans::new(),
            scheduler: RefCell::new(scheduler),
            is_handed_over: Cell::new(false),
            qmgr_log,
            shared: Rc::clone(shared),
        }))
    }

    /// Until the process stops.
    pub(crate) async fn run(self: Rc<Self>) {
        self.step(Event::Started);
        let (context, shared) = (Rc::clone(&self.context), Rc::clone(&self.shared));
        self.shared.world.spawn(async move { context.work.stragglers.run(&shared).await });
        loop {
            let wake_at = self.scheduler.borrow().wake_at();
            match self.shared.events.next(&self.shared.world, wake_at).await {
                Event::Arrived(id) if self.is_handed_over.get() => self.shared.word.arrived(id),
                Event::Trigger(asked) if self.is_handed_over.get() => self.shared.word.ask(&asked.letters()),
                event => self.step(event),
            }
            if self.shared.flow.is_asked() {
                let mut state = self.scheduler.borrow().intaken();
                state.is_behind |= self.shared.events.has_arrivals();
                self.shared.flow.tell(state);
            }
        }
    }

    /// Leaves the queue to the next generation, all but what is under way.
    pub(crate) fn hand_over(self: &Rc<Self>) {
        self.step(Event::HandOver);
        self.is_handed_over.set(true);
    }

    /// Waits until everything that was under way has ended.
    pub(crate) async fn finished(&self) {
        while self.scheduler.borrow().active_count() > 0 {
            self.shared.world.sleep(Duration::from_millis(20)).await;
        }
    }

    fn step(self: &Rc<Self>, event: Event) {
        let mut actions = Vec::new();
        let (now, wall) = (self.shared.world.now(), self.shared.world.wall());
        self.scheduler.borrow_mut().step(now, wall, event, &mut actions);
        // A mark in a file that is removed in the same breath would be a write for nobody: neither is synced, so a crash
        // between them is as if both had not happened.
        let mut marks: HashMap<QueueId, Vec<u64>> = actions
            .iter()
            .filter_map(|action| if let Action::Remove(id) = action { Some((*id, Vec::new())) } else { None })
            .collect();
        let mut moved = HashSet::new();
        for action in actions {
            match action {
                Action::MarkDone(id, offsets) if marks.contains_key(&id) => {
                    marks.entry(id).or_default().extend(offsets);
                }
                Action::Remove(id) => {
                    if let Err(trouble) =
                        self.context.work.remove(&id, marks.get(&id).map_or(&[], Vec::as_slice))
                    {
                        self.qmgr_log.warning(&trouble);
                        moved.insert(id);
                    }
                }
                Action::Log(LogLine::Removed(id)) if moved.contains(&id) => {}
                action => self.perform(action),
            }
        }
    }

    fn perform(self: &Rc<Self>, action: Action) {
        match action {
            Action::Scan { queue, restart, names_max } => {
                self.scans.scan(&self.shared, queue, restart, names_max);
            }
            Action::Claim { id, from, recipients_max } => {
                self.shared.faults.at("engine");
                let event = self.context.work.claim(self.shared.world.wall(), id, from, recipients_max);
                self.shared.events.push(event);
            }
            Action::ReadRecipients { id, offset, recipients_max } => {
                self.shared.events.push(self.context.work.more_recipients(id, offset, recipients_max));
            }
            Action::Resolve { id, message, recipients } => {
                let this = Rc::clone(self);
                self.shared.world.spawn(async move {
                    let is_probe = message.trace.is_server_probe();
                    let rewriter = if is_probe { &this.probe_rewriter } else { &this.rewriter };
                    let resolved = {
                        let routing = routing::resolve(rewriter, &message.sender, &recipients);
                        contain(pin!(routing)).await
                    };
                    // A bug defers these recipients, not the whole queue.
                    let routed = resolved.unwrap_or_else(|why| {
                        this.qmgr_log.write(Severity::Panic, &format!("{id}: {why}"));
                        routing::none(recipients, &why)
                    });
                    this.shared.events.push(Event::Resolved(id, routed));
                });
            }
            Action::Deliver(ticket, request) => delivery::start(&self.context, ticket, request),
            Action::Probed(done) => self.probed(done),
            Action::PassOn(asked) => self.shared.word.ask(&asked.letters()),
            Action::Log(line) => self.log(&line),
            Action::Append(append) => notices::append(&self.context, append),
            Action::Notify { id, notice, message, verp } => {
                notices::notify(&self.context, (id, notice), message, verp);
            }
            quick => {
                if let Err(trouble) = self.context.work.perform(self.shared.world.wall(), &quick) {
                    self.qmgr_log.warning(&trouble);
                }
            }
        }
    }

    /// verify(8) hears of a probe.
    fn probed(&self, done: Disposition) {
        let (shared, log) = (Rc::clone(&self.shared), self.qmgr_log.clone());
        self.shared.world.spawn(async move {
            if let Some(services) = shared.verify.get()
                && let Err(why) = services.told(&done).await
            {
                log.warning(&why);
            }
        });
    }

    fn log(&self, line: &LogLine) {
        let logger = match line {
            LogLine::Delivery(done, _) => match self.context.services.get(&done.request.transport) {
                Some(service) => &self.shared.log.numbered(&service.tag, done.session),
                None => &self.qmgr_log,
            },
            LogLine::Warning(text) => return self.qmgr_log.warning(text),
            _ => &self.qmgr_log,
        };
        if let Some(event) = line.event() {
            logger.event(&event);
        }
    }
}
