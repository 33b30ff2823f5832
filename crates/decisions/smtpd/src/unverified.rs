//! What `reject_unverified_sender` and `reject_unverified_recipient` depend on (ADDRESS_VERIFICATION_README).

use crate::settings::TempfailAction;
use bstr::BString;
use config::{Invalid, Values, params as p};
use std::time::Duration;
use types::Address;
use verify::ProbeSender;
use wire::verify::Verified;
use world::Answer;

/// verify(8), as smtpd asks it.
pub trait Verify {
    /// What is known of an address; if that is nothing, or old, whoever is asked finds out more. `None` when nobody can
    /// be asked.
    fn query<'a>(&'a self, address: &'a Address) -> Answer<'a, Option<Verified>>;
}

/// Nobody can be asked.
pub struct NoVerify;

impl Verify for NoVerify {
    fn query<'a>(&'a self, _: &'a Address) -> Answer<'a, Option<Verified>> {
        Answer::ready(None)
    }
}

/// Time, for decisions that wait.
pub trait Clock {
    /// Waits.
    fn sleep(&self, span: Duration) -> Answer<'_, ()>;
    /// The calendar, in seconds since 1970.
    fn wall_seconds(&self) -> i64;
}

/// Nothing takes any time.
pub struct NoClock;

impl Clock for NoClock {
    fn sleep(&self, _: Duration) -> Answer<'_, ()> {
        Answer::ready(())
    }

    fn wall_seconds(&self) -> i64 {
        0
    }
}

/// What is said of one class of addresses (postconf(5) `unverified_recipient_reject_code` and its kin).
#[derive(Clone, Debug)]
pub struct UnverifiedReplies {
    /// `unverified_recipient_defer_code`
    pub defer_code: u16,
    /// `unverified_recipient_reject_code`
    pub reject_code: u16,
    /// `unverified_recipient_reject_reason`: in place of what the probe found out, if it is not empty.
    pub reject_reason: BString,
    /// `unverified_recipient_tempfail_action`
    pub tempfail_action: TempfailAction,
}

/// All of it.
#[derive(Clone, Debug)]
pub struct UnverifiedSettings {
    /// `unverified_recipient_*`
    pub recipient: UnverifiedReplies,
    /// `unverified_sender_*`
    pub sender: UnverifiedReplies,
    /// `address_verify_poll_count`
    pub address_verify_poll_count: u32,
    /// `address_verify_poll_delay`
    pub address_verify_poll_delay: Duration,
    /// Who sends probes.
    pub probe_sender: ProbeSender,
    /// [`ProbeSender::steady`], completed.
    pub steady_probe_sender: Address,
}

impl UnverifiedSettings {
    /// The view of one service.
    pub(crate) fn load(values: &Values) -> Result<Self, Invalid> {
        let code = |id| u16::try_from(values.int(id)).unwrap_or(0);
        let probe_sender = ProbeSender::load(values)?;
        let steady = probe_sender.steady();
        let is_bare = !steady.is_null() && steady.domain().is_none() && values.bool(p::append_at_myorigin);
        let myorigin = values.text(p::myorigin);
        Ok(Self {
            recipient: UnverifiedReplies {
                defer_code: code(p::unverified_recipient_defer_code),
                reject_code: code(p::unverified_recipient_reject_code),
                reject_reason: values.text(p::unverified_recipient_reject_reason).into(),
                tempfail_action: TempfailAction::load(values, p::unverified_recipient_tempfail_action)?,
            },
            sender: UnverifiedReplies {
                defer_code: code(p::unverified_sender_defer_code),
                reject_code: code(p::unverified_sender_reject_code),
                reject_reason: values.text(p::unverified_sender_reject_reason).into(),
                tempfail_action: TempfailAction::load(values, p::unverified_sender_tempfail_action)?,
            },
            address_verify_poll_count: u32::try_from(values.int(p::address_verify_poll_count)).unwrap_or(1),
            address_verify_poll_delay: values.time(p::address_verify_poll_delay),
            steady_probe_sender: if is_bare { Address::new(format!("{steady}@{myorigin}")) } else { steady },
            probe_sender,
        })
    }
}
