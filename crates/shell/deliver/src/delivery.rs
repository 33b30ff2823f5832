//! A delivery request goes to its transport, and comes back as a report.

use crate::{content::Unreadable, engine::Engine, local_delivery, services::Program, virtual_delivery};
use maillog::{Logger, Severity};
use net::contain;
use qmgr::{AgentFailure, Event, Ticket};
use std::{pin::pin, rc::Rc};
use types::{DeliveryReport, DeliveryRequest, Dsn, Outcome, RecipientReport, Relay, Status, Timing};
use world::World;

/// Starts a delivery; its report comes as an event.
pub(crate) fn start(engine: &Rc<Engine>, ticket: Ticket, request: Rc<DeliveryRequest>) {
    let events = engine.shared.events.clone();
    let Some(service) = engine.services.get(&request.transport) else {
        return events.push(Event::AgentFailed(ticket, AgentFailure::Unavailable));
    };
    if let Program::Internal(program) = &service.program {
        let mut report = qmgr::agents::deliver(program, &request).unwrap_or_default();
        let timing = timing(engine, &request);
        report.recipients.iter_mut().for_each(|recipient| recipient.timing = timing);
        return events.push(Event::Report(ticket, report));
    }
    let engine = Rc::clone(engine);
    let world = engine.shared.world.clone();
    world.spawn(async move {
        let event = match contain(pin!(deliver(&engine, &request))).await {
            Ok(report) => Event::Report(ticket, report),
            Err(why) => {
                // A bug: this delivery is over, and its recipients are tried again.
                let tag = engine.services.get(&request.transport).map_or("deliver", |service| &service.tag);
                engine
                    .shared
                    .log
                    .session(tag)
                    .write(Severity::Panic, &format!("{}: {why}", request.queue_id));
                Event::AgentFailed(ticket, AgentFailure::Died)
            }
        };
        engine.shared.events.push(event);
    });
}

async fn deliver(engine: &Rc<Engine>, request: &Rc<DeliveryRequest>) -> DeliveryReport {
    let Some(service) = engine.services.get(&request.transport) else { return DeliveryReport::default() };
    let Some(active) = engine.work.active(&request.queue_id) else {
        return deferred(engine, request, Dsn::temporary(3, 0), "queue file is not open");
    };
    let logger = engine.shared.log.session(&service.tag);
    engine.shared.faults.at("delivery");
    let mut report = match &service.program {
        Program::Smtp(client) => smtp::deliver(client, &logger, request, active.file.file()).await,
        Program::Local(local) => local_delivery::deliver(engine, local, &logger, request, &active).await,
        Program::Virtual(virtual_) => {
            virtual_delivery::deliver(engine, virtual_, &logger, request, &active).await
        }
        Program::Internal(_) => DeliveryReport::default(),
        Program::Unavailable(why) => {
            logger.warning(&format!("{}: transport {}: {why}", request.queue_id, request.transport));
            deferred(engine, request, Dsn::temporary(3, 0), "mail transport unavailable")
        }
    };
    report.session = logger.session();
    report
}

/// All deferred, as the content could not be read; one that cannot be understood is damaged for good.
pub(crate) fn unreadable(
    engine: &Engine,
    request: &DeliveryRequest,
    logger: &Logger,
    unreadable: &Unreadable,
) -> DeliveryReport {
    logger.warning(&unreadable.to_string());
    let report = deferred(engine, request, Dsn::temporary(3, 0), "error reading message");
    DeliveryReport { is_corrupt: unreadable.is_damage(), ..report }
}

/// Every recipient deferred for one reason.
pub(crate) fn deferred(engine: &Engine, request: &DeliveryRequest, dsn: Dsn, reason: &str) -> DeliveryReport {
    let timing = timing(engine, request);
    let report =
        |index| RecipientReport::new(index, Outcome::Deferred, Status::new(dsn, reason), Relay::None, timing);
    let recipients = (0..request.recipients.len()).map(report).collect();
    DeliveryReport { recipients, ..DeliveryReport::default() }
}

/// Where the time went, when no connection was made: all since the request is transmission.
pub(crate) fn timing(engine: &Engine, request: &DeliveryRequest) -> Timing {
    let now = engine.shared.world.wall();
    Timing {
        before_active: request.active_since.since(request.message.arrival),
        in_queue_manager: request.agent_since.since(request.active_since),
        transmission: now.since(request.agent_since),
        ..Timing::default()
    }
}
