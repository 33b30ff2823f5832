//! Recipients that are aliases: each address that one stands for has a result of its own.

use std::rc::Rc;

use types::{DeliveryRequest, MemberReport, Outcome, Recipient, RecipientReport};

use crate::event::Disposition;

/// The results of the members, or the recipient's own if it stands for itself.
///
/// One member carries the place of the recipient's done mark: the one that is settled last, so that no mark is
/// written before every failure is on record; none, if any member must be tried again (the others then are too).
pub(crate) fn each(mut disposition: Disposition) -> Vec<Disposition> {
    let members = std::mem::take(&mut disposition.report.members);
    let Some(alias) = disposition.recipient().cloned().filter(|_| !members.is_empty()) else {
        return vec![disposition];
    };
    let soft_bounce = disposition.report.soft_bounce;
    let softens =
        |member: &MemberReport| member.passed.as_ref().map_or(soft_bounce, |passed| passed.soft_bounce);
    let rank = |member: &MemberReport| match member.outcome {
        Outcome::Bounced if member.is_notified => 0,
        Outcome::Bounced if !softens(member) => 1,
        Outcome::Sent => 0,
        Outcome::Bounced | Outcome::Deferred => 2,
    };
    // Of several with the same outcome, the last: they share one record of failures.
    let last = (0..members.len()).max_by_key(|&at| members.get(at).map(rank));
    let is_done = !members.iter().any(|member| rank(member) == 2);
    let one = |(at, member): (usize, MemberReport)| {
        let marks = is_done && Some(at) == last;
        let offset = if marks { alias.offset } else { 0 };
        let mut one = Disposition {
            member: Some(Box::new(Recipient { offset, ..member.recipient })),
            report: RecipientReport {
                outcome: member.outcome,
                status: member.status,
                is_notified: member.is_notified,
                ..disposition.report.clone()
            },
            ..disposition.clone()
        };
        if let Some(passed) = member.passed {
            one.session = passed.session;
            one.report.relay = passed.relay;
            one.report.timing = passed.timing;
            one.report.connection_uses = passed.connection_uses;
            one.report.soft_bounce = passed.soft_bounce;
            one.report.success = passed.success;
            // The transport that did it is the one that tells of it.
            one.request = Rc::new(DeliveryRequest {
                transport: passed.transport,
                ..DeliveryRequest::clone(&one.request)
            });
        }
        one
    };
    members.into_iter().enumerate().map(one).collect()
}
