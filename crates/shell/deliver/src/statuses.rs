//! What every agent does to its reports before anything is made of them (bounce(3) and defer(3) in Postfix).

use bounce::StatusFilter;
use config::{Values, params as p};
use maillog::Logger;
use tables::Registry;
use types::{DeliveryReport, MemberReport, Outcome, Status};

/// The settings of one service (one row of master.cf).
pub(crate) struct Statuses {
    soft_bounce: bool,
    filter: Option<StatusFilter>,
}

impl Statuses {
    pub(crate) fn load(values: &Values, program: &str, registry: &Registry) -> Self {
        let id = filter_of(program);
        Self {
            soft_bounce: values.bool(p::soft_bounce),
            filter: id.and_then(|id| StatusFilter::open(id.name(), values.text(id), registry)),
        }
    }

    pub(crate) fn has_filter(&self) -> bool {
        self.filter.is_some()
    }

    /// For programs that have no filter.
    pub(crate) fn soften(&self, report: &mut DeliveryReport) {
        for recipient in &mut report.recipients {
            recipient.soft_bounce = self.soft_bounce;
        }
    }

    pub(crate) async fn apply(&self, report: &mut DeliveryReport, logger: &Logger) {
        self.soften(report);
        for recipient in &mut report.recipients {
            self.filter(&mut recipient.outcome, &mut recipient.status, logger).await;
            // What another transport has said is its own; what somebody was told of stays.
            let own = |member: &&mut MemberReport| member.passed.is_none() && !member.is_notified;
            for member in recipient.members.iter_mut().filter(own) {
                self.filter(&mut member.outcome, &mut member.status, logger).await;
            }
        }
    }

    async fn filter(&self, outcome: &mut Outcome, status: &mut Status, logger: &Logger) {
        if let Some(filter) = &self.filter
            && let Err(why) = filter.apply(outcome, status).await
        {
            logger.warning(&why);
        }
    }
}

/// The parameter that names an agent's tables.
fn filter_of(program: &str) -> Option<p::Id> {
    match program {
        "smtp" => Some(p::smtp_delivery_status_filter),
        "lmtp" => Some(p::lmtp_delivery_status_filter),
        "local" => Some(p::local_delivery_status_filter),
        "virtual" => Some(p::virtual_delivery_status_filter),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_agent_follows_the_common_filter() {
        let values = Values::for_tests(&[("default_delivery_status_filter", "static:x")]);
        for program in ["smtp", "lmtp", "local", "virtual"] {
            let id = filter_of(program).expect("an agent with a filter");
            assert_eq!(values.text(id), "static:x", "{program}");
        }
        assert_eq!(filter_of("discard"), None);
    }
}
