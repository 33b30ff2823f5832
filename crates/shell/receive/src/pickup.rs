//! pickup(8): looks into maildrop at once, when somebody says so, at each wake-up, and now and then.

use crate::{Shared, maildrop::Maildrop};
use config::{Values, params as p};
use maillog::Logger;
use net::{Permit, Slots};
use process::{Injector, Libraries, Notifier, Process, Trigger, Zone};
use std::{rc::Rc, time::Duration};
use world::{Accept, Stream, World};

struct Pickup<W: World> {
    shared: Rc<Shared<W>>,
    maildrop: Maildrop<W>,
    queue_run_delay: Duration,
    trigger: Trigger,
    /// `trigger_timeout`: how long somebody may take to say that there is mail.
    trigger_timeout: Duration,
    /// Those who say so, at most default_process_limit at once.
    callers: Slots,
    /// Taken while files are.
    looking: Slots,
    /// `syslog_name/pickup`
    log: Logger,
}

/// Starts the service. Its place is taken for as long as it works on a file. It takes the listeners unless there is an error.
pub(crate) fn start<W: World>(
    shared: &Rc<Shared<W>>,
    (process, libraries): (&Process, &Libraries<'_>),
    (service, values): (&str, &Values),
    listeners: &mut Vec<impl Accept<Stream = W::Stream>>,
) -> Result<Slots, String> {
    let around = || (shared.world.clone(), shared.queue.clone());
    let log = || (shared.log.clone(), Zone::new(process.host.zone.clone()));
    let own = libraries.cleanup(values)?;
    // What cleanup does not take, the bounce service that it knows returns.
    let bounce = libraries.row(&own.values, p::bounce_service_name, "bounce");
    let word = shared.word.clone();
    let injector =
        Injector::new(around(), log(), libraries.cleanup(&bounce)?, &bounce, move |id| word.arrived(id));
    let notifier = Notifier::load(&bounce, &shared.log, Rc::new(injector));
    let maildrop = Maildrop::new(around(), log(), values, own, notifier).with_word(shared.word.clone());
    let pickup = Rc::new(Pickup {
        shared: Rc::clone(shared),
        maildrop,
        queue_run_delay: process.row_wakeup(service).unwrap_or(Duration::from_secs(60)),
        trigger: shared.wakeups.trigger(service),
        trigger_timeout: values.time(p::trigger_timeout),
        callers: Slots::new(process.client_limit()),
        looking: Slots::new(1),
        log: shared.log.session(&process::tag(values, "pickup")),
    });
    for listener in std::mem::take(listeners) {
        let pickup = Rc::clone(&pickup);
        shared.world.spawn(async move { pickup.listen(listener).await });
    }
    let looking = pickup.looking.clone();
    shared.world.spawn(async move { pickup.run().await });
    Ok(looking)
}

impl<W: World> Pickup<W> {
    async fn listen(&self, listener: impl Accept<Stream = W::Stream>) {
        let (world, limit) = (&self.shared.world, self.trigger_timeout);
        let serve = |mut stream: W::Stream, _, permit: Permit| {
            let (caller, trigger) = (world.clone(), self.trigger.clone());
            world.spawn(async move {
                // What is written does not matter: the connection is the message.
                let _ = caller.timeout(limit, stream.read(&mut [0])).await;
                trigger.pull();
                drop(permit);
            });
        };
        self.shared.accept(listener, (&self.callers, &self.log), serve).await;
    }

    async fn run(&self) {
        while !self.shared.stop.is_set() {
            let permit = self.looking.take().await;
            self.maildrop.take_all(&self.shared.stop).await;
            drop(permit);
            let waiting = self.shared.world.timeout(self.queue_run_delay, self.trigger.wait());
            self.shared.stop.cut(waiting).await;
        }
    }
}
