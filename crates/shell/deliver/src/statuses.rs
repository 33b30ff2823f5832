//! What every agent does to its reports before anything is made of them (bounce(3) and defer(3) in Postfix).

use config::{Values, params as p};
use types::DeliveryReport;

/// The settings of one service (one row of master.cf).
pub(crate) struct Statuses {
    soft_bounce: bool,
}

impl Statuses {
    pub(crate) fn load(values: &Values) -> Self {
        Self { soft_bounce: values.bool(p::soft_bounce) }
    }

    pub(crate) fn apply(&self, report: &mut DeliveryReport) {
        for recipient in &mut report.recipients {
            recipient.soft_bounce = self.soft_bounce;
        }
    }
}
