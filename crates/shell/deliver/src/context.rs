//! What deliveries share. It knows nothing of the engine that starts them.

use crate::{
    agent_pool::Agents, content::Unreadable, injecting::Notifiers, queue_work::QueueWork, services::Services,
    shared::Shared,
};
use maillog::Logger;
use std::rc::Rc;
use types::{DeliveryReport, DeliveryRequest, Dsn, Outcome, RecipientReport, Relay, Status, Timing};
use world::World;

/// All that deliveries and notifications need.
pub(crate) struct Context<W: World> {
    pub(crate) shared: Rc<Shared<W>>,
    pub(crate) work: QueueWork<W::Disk>,
    pub(crate) services: Services<W>,
    pub(crate) notifiers: Notifiers<W>,
    pub(crate) agents: Rc<dyn Agents>,
}

impl<W: World> Context<W> {
    /// All deferred, as the content could not be read; one that cannot be understood is damaged for good.
    pub(crate) fn unreadable(
        &self,
        request: &DeliveryRequest,
        logger: &Logger,
        unreadable: &Unreadable,
    ) -> DeliveryReport {
        logger.warning(&unreadable.to_string());
        let report = self.deferred(request, Dsn::temporary(3, 0), "error reading message");
        DeliveryReport { is_corrupt: unreadable.is_damage(), ..report }
    }

    /// Every recipient deferred for one reason.
    pub(crate) fn deferred(&self, request: &DeliveryRequest, dsn: Dsn, reason: &str) -> DeliveryReport {
        let timing = self.timing(request);
        let report = |index| {
            RecipientReport::new(index, Outcome::Deferred, Status::new(dsn, reason), Relay::None, timing)
        };
        let recipients = (0..request.recipients.len()).map(report).collect();
        DeliveryReport { recipients, ..DeliveryReport::default() }
    }

    /// Where the time went, when no connection was made: all since the request is transmission.
    pub(crate) fn timing(&self, request: &DeliveryRequest) -> Timing {
        let now = self.shared.world.wall();
        Timing {
            before_active: request.active_since.since(request.message.arrival),
            in_queue_manager: request.agent_since.since(request.active_since),
            transmission: now.since(request.agent_since),
            ..Timing::default()
        }
    }
}
