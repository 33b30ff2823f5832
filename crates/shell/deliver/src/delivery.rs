//! A delivery request goes to its transport, and comes back as a report.

use crate::{
    context::Context,
    local_delivery,
    services::{Program, Service},
    virtual_delivery,
};
use maillog::Severity;
use net::contain;
use qmgr::{AgentFailure, Event, Ticket};
use std::{pin::pin, rc::Rc};
use types::{DeliveryReport, DeliveryRequest, Dsn};
use world::World;

/// Starts a delivery; its report comes as an event.
pub(crate) fn start<W: World>(context: &Rc<Context<W>>, ticket: Ticket, request: Rc<DeliveryRequest>) {
    let events = context.shared.events.clone();
    let Some(service) = context.services.get(&request.transport) else {
        return events.push(Event::AgentFailed(ticket, AgentFailure::Unavailable));
    };
    if !context.work.is_in_place(&request.queue_id) {
        context.shared.log.session(&service.tag).warning(&format!(
            "open active {}: No such file or directory; it is not delivered",
            request.queue_id
        ));
        return events.push(Event::AgentFailed(ticket, AgentFailure::Gone));
    }
    if let Program::Internal(program) = &service.program {
        return events.push(Event::Report(ticket, internal(context, service, program, &request)));
    }
    let context = Rc::clone(context);
    let world = context.shared.world.clone();
    world.spawn(async move {
        let event = match contain(pin!(deliver(&context, Asked::Scheduler(ticket), &request))).await {
            Ok(report) => Event::Report(ticket, report),
            Err(why) => {
                // A bug: this delivery is over, and its recipients are tried again.
                let tag = context.services.get(&request.transport).map_or("deliver", |service| &service.tag);
                context
                    .shared
                    .log
                    .session(tag)
                    .write(Severity::Panic, &format!("{}: {why}", request.queue_id));
                Event::AgentFailed(ticket, AgentFailure::Died)
            }
        };
        context.shared.events.push(event);
    });
}

/// error(8), retry and discard(8): no I/O.
fn internal<W: World>(
    context: &Context<W>,
    service: &Service<W>,
    program: &str,
    request: &DeliveryRequest,
) -> DeliveryReport {
    let mut report = qmgr::agents::deliver(program, request).unwrap_or_default();
    let timing = context.timing(request);
    report.recipients.iter_mut().for_each(|recipient| recipient.timing = timing);
    service.statuses.soften(&mut report);
    report
}

/// Who wants a delivery.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asked {
    /// The scheduler, which also hears of recipients that are done while others are not.
    Scheduler(Ticket),
    /// Another transport, which was asked by another one in turn so many times.
    Transport(u8),
}

/// Delivers a request.
pub(crate) async fn deliver<W: World>(
    context: &Rc<Context<W>>,
    asked: Asked,
    request: &Rc<DeliveryRequest>,
) -> DeliveryReport {
    let Some(service) = context.services.get(&request.transport) else { return DeliveryReport::default() };
    let Some(active) = context.work.active(&request.queue_id) else {
        return context.deferred(request, Dsn::temporary(3, 0), "queue file is not open");
    };
    let logger = context.shared.log.session(&service.tag);
    context.shared.faults.at("delivery");
    let mut report = match &service.program {
        Program::Smtp(client) => {
            let progress = |report| {
                if let Asked::Scheduler(ticket) = asked {
                    progressed(context, ticket, request, report);
                }
            };
            smtp::deliver(client, &logger, request, active.file.file(), &progress).await
        }
        Program::Local(local) => {
            local_delivery::deliver(context, local, &logger, (request, asked), &active).await
        }
        Program::Virtual(virtual_) => {
            virtual_delivery::deliver(context, virtual_, &logger, request, &active).await
        }
        Program::Internal(program) => return internal(context, service, program, request),
        Program::Unavailable(why) => {
            logger.warning(&format!("{}: transport {}: {why}", request.queue_id, request.transport));
            context.deferred(request, Dsn::temporary(3, 0), "mail transport unavailable")
        }
    };
    report.session = logger.session();
    service.statuses.apply(&mut report, &logger).await;
    report
}

/// Results that are known before the delivery is over. What its filter makes of them may have to be waited for; should
/// the delivery end meanwhile, its report says the same.
fn progressed<W: World>(
    context: &Rc<Context<W>>,
    ticket: Ticket,
    request: &Rc<DeliveryRequest>,
    mut report: DeliveryReport,
) {
    let Some(service) = context.services.get(&request.transport) else { return };
    if !service.statuses.has_filter() {
        service.statuses.soften(&mut report);
        return context.shared.events.push(Event::Progress(ticket, report));
    }
    let (context, request) = (Rc::clone(context), Rc::clone(request));
    let world = context.shared.world.clone();
    world.spawn(async move {
        let Some(service) = context.services.get(&request.transport) else { return };
        let logger = context.shared.log.numbered(&service.tag, report.session);
        service.statuses.apply(&mut report, &logger).await;
        context.shared.events.push(Event::Progress(ticket, report));
    });
}
