//! `reject_unverified_sender`, `reject_unverified_recipient`: can mail be delivered to an address?

use super::{
    Judge, Resolve,
    walk::{SENDER, Status, Subject, Walk, refusal_text},
};
use bstr::ByteSlice;
use config::NotifyClasses;
use types::{Address, Dsn, Reply};
use wire::verify::{AddressStatus, Verified};

/// What a probe found out is cut after so many bytes where the reply is temporary.
const REASON_MAX: usize = 250;

impl<R: Resolve> Judge<R> {
    /// The sender of our own probes, as it never changes, if this address is one: whoever probes us back must find that it
    /// exists, whatever the restrictions say.
    pub(super) fn probe_sender(&self, address: &Address) -> Option<Address> {
        let settings = &self.settings.unverified;
        let steady = &settings.steady_probe_sender;
        let is_ours = settings.probe_sender.is_ours(address, steady, self.clock.wall_seconds());
        is_ours.then(|| steady.clone())
    }
}

impl<R: Resolve> Walk<'_, R> {
    /// Asks until there is an answer, or it has taken long enough.
    pub(super) async fn unverified(&mut self, address: &Address, class: &'static str) -> Status {
        let judge = self.judge;
        let settings = &judge.settings.unverified;
        let mut asked = 0;
        let known = loop {
            let known = judge.verify.query(address).await;
            asked += 1;
            let is_pending = known.as_ref().is_some_and(|known| known.status == AddressStatus::InProgress);
            if !is_pending || asked >= settings.address_verify_poll_count {
                break known;
            }
            judge.clock.sleep(settings.address_verify_poll_delay).await;
        };
        let subject = Subject { name: address.as_bstr(), class };
        let dsn = if class == SENDER { Dsn::temporary(1, 7) } else { Dsn::temporary(1, 1) };
        let replies = if class == SENDER { &settings.sender } else { &settings.recipient };
        let Some(Verified { status, reason }) = known else {
            let text = refusal_text(subject, "address verification problem");
            return self.defer_as(replies.tempfail_action, Reply::new(450, dsn, text));
        };
        let code = match status {
            AddressStatus::Deliverable => return Status::Dunno,
            AddressStatus::InProgress | AddressStatus::Deferred => replies.defer_code,
            AddressStatus::Undeliverable => replies.reject_code,
        };
        let reason =
            if code >= 400 && !replies.reject_reason.is_empty() { &replies.reject_reason } else { &reason };
        match code / 100 {
            2 => Status::Dunno,
            4 => {
                let reason = reason.get(..REASON_MAX).unwrap_or(reason).to_str_lossy();
                let text = refusal_text(subject, &format!("unverified address: {reason}"));
                self.defer_as(replies.tempfail_action, Reply::new(code, dsn, text))
            }
            _ => {
                let text =
                    refusal_text(subject, &format!("undeliverable address: {}", reason.to_str_lossy()));
                self.reject(NotifyClasses::POLICY, Reply::new(code, dsn, text))
            }
        }
    }
}

#[cfg(test)]
mod tests;
