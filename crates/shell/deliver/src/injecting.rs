//! The ways into the queue for mail of our own, of which the scheduler is told: forwarded copies and notifications.

use crate::shared::Shared;
use bounce::{NoticeSettings, Role, SessionNotice};
use config::{Values, params as p};
use process::{Injector, Libraries, Notifier, Postmaster, Process, Zone};
use qmgr::Event;
use std::rc::Rc;
use types::QueueName;
use world::World;

/// The way of a service with these values.
pub(crate) fn injector<W: World>(
    shared: &Shared<W>,
    process: &Process,
    libraries: &Libraries<'_>,
    values: &Values,
) -> Result<Rc<Injector<W>>, String> {
    let (around, events) = ((shared.world.clone(), shared.queue.clone()), shared.events.clone());
    let log = (shared.log.clone(), Zone::new(process.host.zone.clone()));
    let arrived = move |id| events.push(Event::Arrived(id));
    Ok(Rc::new(Injector::new(around, log, libraries.cleanup(values)?, values, arrived)))
}

/// How the postmaster hears of the sessions of a client whose name in the log is given. The delivery does not wait for that.
pub(crate) fn postmaster<W: World>(
    shared: &Shared<W>,
    process: &Process,
    libraries: &Libraries<'_>,
    (values, tag): (&Values, String),
) -> Result<Box<dyn Fn(smtp::Notice)>, String> {
    let postmaster = Rc::new(Postmaster::new(injector(shared, process, libraries, values)?));
    let settings = Rc::new(NoticeSettings::load(values));
    let (world, log) = (shared.world.clone(), shared.log.clone());
    Ok(Box::new(move |notice| {
        let (postmaster, settings) = (Rc::clone(&postmaster), Rc::clone(&settings));
        let logger = log.session(&tag);
        world.spawn(async move {
            let smtp::Notice { protocol, server, trouble, transcript } = &notice;
            let role = Role::Client { protocol, server };
            let notice = SessionNotice { role, trouble: *trouble, transcript };
            postmaster.tell(&settings, &notice, &logger).await;
        });
    }))
}

/// bounce(8) under the three names that it has in master.cf.
pub(crate) struct Notifiers<W: World> {
    /// Of mail that is returned; of bounce_service_name.
    pub(crate) bounce: Notifier<W>,
    /// Of mail that waits, or has waited too long; of defer_service_name.
    defer: Notifier<W>,
    /// Of mail that was delivered; of trace_service_name.
    trace: Notifier<W>,
}

impl<W: World> Notifiers<W> {
    pub(crate) fn load(
        shared: &Shared<W>,
        process: &Process,
        libraries: &Libraries<'_>,
    ) -> Result<Self, String> {
        let of = |parameter| {
            let values = libraries.row(process.values(), parameter, "bounce");
            let injector = injector(shared, process, libraries, &values)?;
            Ok::<_, String>(Notifier::load(&values, &shared.log, injector))
        };
        Ok(Self {
            bounce: of(p::bounce_service_name)?,
            defer: of(p::defer_service_name)?,
            trace: of(p::trace_service_name)?,
        })
    }

    /// Who makes notifications of a log.
    pub(crate) fn of(&self, log: QueueName) -> &Notifier<W> {
        match log {
            QueueName::Defer => &self.defer,
            QueueName::Trace => &self.trace,
            _ => &self.bounce,
        }
    }
}
