//! Recipients that are aliases: each address that one stands for has a result of its own.

use types::{MemberReport, Outcome, Recipient, RecipientReport};

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
    let rank = |member: &MemberReport| match member.outcome {
        Outcome::Bounced if !soft_bounce => 1,
        Outcome::Sent => 0,
        Outcome::Bounced | Outcome::Deferred => 2,
    };
    // Of several with the same outcome, the last: they share one record of failures.
    let last = (0..members.len()).max_by_key(|&at| members.get(at).map(rank));
    let is_done = !members.iter().any(|member| rank(member) == 2);
    let one = |(at, member): (usize, MemberReport)| {
        let marks = is_done && Some(at) == last;
        let offset = if marks { alias.offset } else { 0 };
        Disposition {
            member: Some(Box::new(Recipient { address: member.address, offset, ..alias.clone() })),
            report: RecipientReport {
                outcome: member.outcome,
                status: member.status,
                ..disposition.report.clone()
            },
            ..disposition.clone()
        }
    };
    members.into_iter().enumerate().map(one).collect()
}
