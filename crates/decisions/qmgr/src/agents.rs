//! Delivery agents that need no I/O: error(8), retry and discard(8). Their next hop is what they say.

use bstr::{BStr, ByteSlice};
use types::{
    DeliveryReport, DeliveryRequest, Dsn, DsnClass, Outcome, RecipientReport, Relay, Status, Timing,
};

/// error(8) under the name `error`: every recipient bounces with the next hop's text (`5.1.1 no such user`).
#[must_use]
pub fn error(request: &DeliveryRequest) -> DeliveryReport {
    all(request, Outcome::Bounced, DsnClass::Permanent)
}

/// error(8) under the name `retry`: every recipient is deferred with the next hop's text.
#[must_use]
pub fn retry(request: &DeliveryRequest) -> DeliveryReport {
    all(request, Outcome::Deferred, DsnClass::Temporary)
}

/// discard(8): every recipient is done, the next hop says why.
#[must_use]
pub fn discard(request: &DeliveryRequest) -> DeliveryReport {
    all(request, Outcome::Sent, DsnClass::Success)
}

/// Whether [`deliver`] knows the service: by the name of its program, or the service's own name.
#[must_use]
pub fn is_internal(program: &str) -> bool {
    matches!(program, "error" | "retry" | "discard")
}

/// Delivers by `error` (whose transport may be called `retry`) or `discard`.
#[must_use]
pub fn deliver(program: &str, request: &DeliveryRequest) -> Option<DeliveryReport> {
    match (program, request.transport.as_str()) {
        ("error", "retry") | ("retry", _) => Some(retry(request)),
        ("error", _) => Some(error(request)),
        ("discard", _) => Some(discard(request)),
        _ => None,
    }
}

fn all(request: &DeliveryRequest, outcome: Outcome, class: DsnClass) -> DeliveryReport {
    let (dsn, text) = split(request.nexthop.as_bstr(), Dsn { class, subject: 0, detail: 0 });
    // A code of another class than the outcome's would contradict it: Postfix falls back to x.0.0.
    let dsn = if dsn.class == class { dsn } else { Dsn { class, subject: 0, detail: 0 } };
    let status = Status::new(dsn, text.as_bytes());
    let recipients = (0..request.recipients.len())
        .map(|index| RecipientReport::new(index, outcome, status.clone(), Relay::None, Timing::default()))
        .collect();
    DeliveryReport { recipients, ..DeliveryReport::default() }
}

/// Splits `5.1.1 text` into code and text; without a code, `default` and the whole text.
#[must_use]
pub fn split(text: &BStr, default: Dsn) -> (Dsn, &BStr) {
    let text = text.trim_start_with(|c| c.is_ascii_whitespace());
    let end = text.iter().position(u8::is_ascii_whitespace).unwrap_or(text.len());
    match text[..end].to_str().ok().and_then(|code| code.parse().ok()) {
        Some(code) => (code, text[end..].trim_start_with(|c| c.is_ascii_whitespace()).as_bstr()),
        None => (default, text.as_bstr()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;
    use types::{MessageAttributes, Nexthop, QueueName, Recipient, Transport, WallTime};

    fn check(program: &str, transport: &str, nexthop: &str, outcome: Outcome, dsn: &str, text: &str) {
        let request = DeliveryRequest {
            queue_id: "ABC".parse().unwrap(),
            queue_name: QueueName::Active,
            transport: Transport::new(transport),
            nexthop: Nexthop::new(nexthop),
            recipients: vec![Recipient::default(), Recipient::default()],
            message: Rc::new(MessageAttributes::default()),
            active_since: WallTime::default(),
            agent_since: WallTime::default(),
        };
        let report = deliver(program, &request).unwrap();
        assert_eq!(report.recipients.len(), 2, "one report for each recipient");
        for (index, report) in report.recipients.iter().enumerate() {
            assert_eq!((report.index, report.outcome), (index, outcome));
            assert_eq!(
                (report.status.dsn.to_string().as_str(), report.status.reason.to_string().as_str()),
                (dsn, text)
            );
        }
    }

    #[test]
    fn the_next_hop_is_the_status() {
        check("error", "error", "5.1.1 no such user", Outcome::Bounced, "5.1.1", "no such user");
        check("error", "error", "mail for x loops", Outcome::Bounced, "5.0.0", "mail for x loops");
        check("error", "error", "4.3.0 later", Outcome::Bounced, "5.0.0", "later");
        check("error", "retry", "4.3.2 deferred transport", Outcome::Deferred, "4.3.2", "deferred transport");
        check("error", "retry", "  busy", Outcome::Deferred, "4.0.0", "busy");
        check("error", "retry", "5.1.1 x", Outcome::Deferred, "4.0.0", "x");
        check("discard", "discard", "silently", Outcome::Sent, "2.0.0", "silently");
        check("error", "error", "5.7.1", Outcome::Bounced, "5.7.1", "");
        check("error", "error", "5.7.1x y", Outcome::Bounced, "5.0.0", "5.7.1x y");
    }
}
