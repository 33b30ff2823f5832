//! The one line that every delivery agent writes for every recipient.

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
    /// Code and reason.
    pub status: &'a Status,
}

impl fmt::Display for DeliveryEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: to=<{}>", self.id, self.recipient.address)?;
        let original = &self.recipient.original;
        let differs = !original.as_bytes().eq_ignore_ascii_case(self.recipient.address.as_bytes());
        if !original.is_null() && differs {
            write!(f, ", orig_to=<{original}>")?;
        }
        match self.relay {
            Relay::None => f.write_str(", relay=none")?,
            Relay::Service(name) | Relay::Host(name) => write!(f, ", relay={name}")?,
        }
        if self.connection_uses > 1 {
            write!(f, ", conn_use={}", self.connection_uses)?;
        }
        let t = &self.timing;
        write!(f, ", delay={}, delays=", Seconds(self.delay))?;
        write!(f, "{}/{}/", Seconds(t.before_active), Seconds(t.in_queue_manager))?;
        write!(f, "{}/{}", Seconds(t.connection), Seconds(t.transmission))?;
        let word = match self.outcome {
            Outcome::Sent => "sent",
            Outcome::Deferred => "deferred",
            Outcome::Bounced => "bounced",
        };
        write!(f, ", dsn={}, status={word} ({})", self.status.dsn, self.status.reason)
    }
}

/// Postfix's form of a delay: two significant digits, at most two decimals (`delay_logging_resolution_limit`),
/// no trailing zeros.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hundredths = (self.0.as_micros() + 5_000) / 10_000;
        match hundredths {
            0 => f.write_str("0"),
            1..=99 => trimmed(f, hundredths, 100),
            100..=994 => trimmed(f, (hundredths + 5) / 10, 10),
            _ => write!(f, "{}", (hundredths + 50) / 100),
        }
    }
}

fn trimmed(f: &mut fmt::Formatter<'_>, value: u128, unit: u128) -> fmt::Result {
    let (whole, fraction) = (value / unit, value % unit);
    match (fraction, unit) {
        (0, _) => write!(f, "{whole}"),
        (_, 100) if fraction % 10 == 0 => write!(f, "{whole}.{}", fraction / 10),
        (_, 100) => write!(f, "{whole}.{fraction:02}"),
        _ => write!(f, "{whole}.{fraction}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_have_two_significant_digits() {
        let check = |millis: u64, text: &str| {
            assert_eq!(Seconds(Duration::from_millis(millis)).to_string(), text, "{millis} ms");
        };
        check(0, "0");
        check(4, "0");
        check(10, "0.01");
        check(123, "0.12");
        check(500, "0.5");
        check(1_000, "1");
        check(1_230, "1.2");
        check(12_345, "12");
        check(301_000, "301");
    }
}
