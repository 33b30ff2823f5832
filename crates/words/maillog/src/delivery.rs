//! The one line that every delivery agent writes for every recipient.

use crate::address::External;
use std::{fmt, time::Duration};
use types::{Outcome, QueueId, Recipient, Relay, Status, Timing};

/// The result of one recipient's delivery.
#[derive(Clone, Debug)]
pub struct DeliveryEvent<'a> {
    /// Message.
    pub id: QueueId,
    /// Recipient, with its original form.
    pub recipient: &'a Recipient,
    /// Who answered.
    pub relay: &'a Relay,
    /// How often the connection has been used, when more than once (`conn_use=`).
    pub connection_uses: u32,
    /// Where the time went.
    pub timing: Timing,
    /// Since arrival.
    pub delay: Duration,
    /// What became of it.
    pub outcome: Outcome,
    /// Deferred although it failed for good (postconf(5) `soft_bounce`).
    pub is_soft_bounce: bool,
    /// Nothing was delivered: it was asked what would happen.
    pub probe: Option<Probe>,
    /// Code and reason.
    pub status: &'a Status,
    /// Decimals of a delay, 0 to 6 (postconf(5) delay_logging_resolution_limit).
    pub delay_logging_resolution_limit: u8,
}

/// Whose question was answered in place of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// The answer is remembered, or the sender told.
    Told,
    /// A failure that nobody remembers (postconf(5) `address_verify_negative_cache`).
    Forgotten,
}

impl fmt::Display for DeliveryEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: to=<{}>", self.id, External(&self.recipient.address))?;
        let original = &self.recipient.original;
        let differs = !original.as_bytes().eq_ignore_ascii_case(self.recipient.address.as_bytes());
        if !original.is_null() && differs {
            write!(f, ", orig_to=<{}>", External(original))?;
        }
        match self.relay {
            Relay::None => f.write_str(", relay=none")?,
            Relay::Service(name) | Relay::Host(name) => write!(f, ", relay={name}")?,
        }
        if self.connection_uses > 1 {
            write!(f, ", conn_use={}", self.connection_uses)?;
        }
        let seconds = |delay| Seconds { delay, decimals_max: self.delay_logging_resolution_limit };
        let t = &self.timing;
        write!(f, ", delay={}, delays=", seconds(self.delay))?;
        write!(f, "{}/{}/", seconds(t.before_active), seconds(t.in_queue_manager))?;
        write!(f, "{}/{}", seconds(t.connection), seconds(t.transmission))?;
        let word = match self.outcome {
            Outcome::Sent if self.probe.is_some() => "deliverable",
            _ if self.probe == Some(Probe::Forgotten) => "undeliverable-but-not-cached",
            _ if self.probe.is_some() => "undeliverable",
            _ if self.is_soft_bounce => "SOFTBOUNCE",
            Outcome::Sent => "sent",
            Outcome::Deferred => "deferred",
            Outcome::Bounced => "bounced",
        };
        write!(f, ", dsn={}, status={word} ({})", self.status.dsn, self.status.reason)
    }
}

/// Postfix's form of a delay: two significant digits, no more decimals than allowed, no trailing zeros; whole
/// seconds are never rounded away.
pub(crate) struct Seconds {
    pub(crate) delay: Duration,
    pub(crate) decimals_max: u8,
}

const MILLION: u32 = 1_000_000;

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut seconds, mut micros) = (self.delay.as_secs(), self.delay.subsec_micros());
        // The smallest decimal that is shown, in microseconds.
        let mut unit = MILLION / 10_u32.pow(u32::from(self.decimals_max.min(6)));
        if unit < MILLION {
            match seconds {
                0 => {
                    while micros >= 100 * unit {
                        unit *= 10;
                    }
                }
                1..=9 => unit = unit.max(MILLION / 10),
                _ => unit = MILLION,
            }
        }
        if unit > 1 {
            micros += unit / 2;
            if micros >= MILLION {
                seconds += 1;
                micros -= MILLION;
            }
        }
        write!(f, "{seconds}")?;
        if micros >= unit {
            f.write_str(".")?;
            let mut digit = MILLION / 10;
            while micros >= unit && digit > 0 {
                write!(f, "{}", micros / digit)?;
                micros %= digit;
                digit /= 10;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(micros: u64, decimals_max: u8, text: &str) {
        let delay = Duration::from_micros(micros);
        assert_eq!(Seconds { delay, decimals_max }.to_string(), text, "{micros} us, {decimals_max} decimals");
    }

    #[test]
    fn delays_have_two_significant_digits() {
        check(0, 2, "0");
        check(4_000, 2, "0");
        check(5_000, 2, "0.01");
        check(10_000, 2, "0.01");
        check(123_000, 2, "0.12");
        check(500_000, 2, "0.5");
        check(994_999, 2, "0.99");
        check(996_000, 2, "1");
        check(1_000_000, 2, "1");
        check(1_230_000, 2, "1.2");
        check(9_960_000, 2, "10");
        check(12_345_000, 2, "12");
        check(301_000_000, 2, "301");
    }

    #[test]
    fn delay_logging_resolution_limit_allows_more_or_fewer_decimals() {
        check(123_456, 6, "0.12");
        check(1_234, 6, "0.0012");
        check(1_234, 3, "0.001");
        check(12, 6, "0.000012");
        check(600_000, 0, "1");
        check(400_000, 0, "0");
    }
}
