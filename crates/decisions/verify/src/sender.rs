//! The sender of probes, which may change with time so that nobody else can use it (postconf(5)
//! `address_verify_sender_ttl`).

use config::{Invalid, Values, params as p};
use types::Address;

/// Letters and digits that make no words.
const ALPHABET: &[u8; 31] = b"0123456789BCDFGHJKLMNPQRSTVWXYZ";

/// The sender of probes.
#[derive(Clone, Debug)]
pub struct ProbeSender {
    /// `address_verify_sender`, as it stands there; empty for the null sender.
    local: Vec<u8>,
    /// With the `@`, or nothing.
    domain: Vec<u8>,
    /// `address_verify_sender_ttl`, seconds; 0 for a sender that stays.
    ttl: i64,
}

impl ProbeSender {
    /// # Errors
    /// A sender that begins or ends with `@`.
    pub fn load(values: &Values) -> Result<Self, Invalid> {
        let text = values.text(p::address_verify_sender);
        let ttl = i64::try_from(values.time(p::address_verify_sender_ttl).as_secs()).unwrap_or(i64::MAX);
        if matches!(text, "" | "<>") {
            return Ok(Self { local: Vec::new(), domain: Vec::new(), ttl });
        }
        let at = text.find('@').unwrap_or(text.len());
        let (local, domain) = text.split_at(at);
        if local.is_empty() || domain == "@" {
            let why = "must neither begin nor end with '@':";
            return Err(Invalid::value("address_verify_sender", text, why));
        }
        Ok(Self { local: local.into(), domain: domain.into(), ttl })
    }

    /// Whether probes have no sender.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.local.is_empty()
    }

    /// The sender at `now`, in seconds since 1970, still to be completed with our domain.
    #[must_use]
    pub fn at(&self, now: i64) -> Address {
        if self.is_null() {
            return Address::null();
        }
        let epoch = self.epoch(now).map(digits).unwrap_or_default();
        Address::new([&self.local[..], &epoch, &self.domain].concat())
    }

    /// The sender that never changes, still to be completed.
    #[must_use]
    pub fn steady(&self) -> Address {
        Address::new([&self.local[..], &self.domain].concat())
    }

    fn epoch(&self, now: i64) -> Option<u64> {
        u64::try_from(now).ok()?.checked_div(u64::try_from(self.ttl).ok()?)
    }

    /// Whether an address is the sender of a probe of ours at `now`, or one of the times around it; `steady` is
    /// [`Self::steady`], completed.
    #[must_use]
    pub fn is_ours(&self, address: &Address, steady: &Address, now: i64) -> bool {
        if self.is_null() || address.is_null() {
            return self.is_null() && address.is_null();
        }
        let (local, domain) = split(steady);
        let (given, given_domain) = split(address);
        if !given_domain.eq_ignore_ascii_case(domain)
            || !given.get(..local.len()).is_some_and(|given| given.eq_ignore_ascii_case(local))
        {
            return false;
        }
        let stamp = given.get(local.len()..).unwrap_or_default();
        match self.epoch(now) {
            None => stamp.is_empty(),
            Some(epoch) => number(stamp).is_some_and(|given| given.abs_diff(epoch) <= 1),
        }
    }
}

/// At the first `@`, as the parameter is split too.
fn split(address: &Address) -> (&[u8], &[u8]) {
    let bytes = address.as_bytes();
    bytes.split_at(bytes.iter().position(|byte| *byte == b'@').unwrap_or(bytes.len()))
}

fn digits(mut number: u64) -> Vec<u8> {
    let base = ALPHABET.len() as u64;
    let mut text = Vec::new();
    loop {
        let digit = usize::try_from(number % base).unwrap_or(0);
        text.push(ALPHABET.get(digit).copied().unwrap_or(b'0'));
        number /= base;
        if number == 0 {
            text.reverse();
            return text;
        }
    }
}

fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0_u64, |number, byte| {
        let digit = ALPHABET.iter().position(|known| known == byte)? as u64;
        number.checked_mul(ALPHABET.len() as u64)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender(text: &str, ttl: &str) -> ProbeSender {
        ProbeSender::load(&Values::for_tests(&[
            ("address_verify_sender", text),
            ("address_verify_sender_ttl", ttl),
        ]))
        .unwrap()
    }

    fn check(sender: &ProbeSender, address: &str, expected: bool) {
        let steady = Address::from("probe@mx.test");
        assert_eq!(sender.is_ours(&Address::from(address), &steady, 1_000_000), expected, "{address}");
    }

    #[test]
    fn a_sender_that_stays() {
        let probe = sender("probe", "0");
        assert_eq!(probe.at(1_000_000), Address::from("probe"));
        check(&probe, "Probe@MX.test", true);
        check(&probe, "probe1@mx.test", false);
        check(&probe, "probe", false);
        check(&probe, "pro@mx.test", false);
        check(&probe, "probe@other.test", false);
        check(&probe, "", false);
    }

    #[test]
    fn a_sender_that_changes() {
        let probe = sender("probe@mx.test", "100");
        // 10000 is 10 * 31 * 31 + 12 * 31 + 18
        assert_eq!(probe.at(1_000_000), Address::from("probeBDL@mx.test"));
        check(&probe, "probeBDL@mx.test", true);
        check(&probe, "probeBDK@mx.test", true);
        check(&probe, "probeBDM@mx.test", true);
        check(&probe, "probeBDN@mx.test", false);
        check(&probe, "probe@mx.test", false);
        check(&probe, "probebdl@mx.test", false);
        check(&probe, "probeZZZZZZZZZZZZZZZZZZZZ@mx.test", false);
    }

    #[test]
    fn no_sender() {
        for text in ["", "<>"] {
            let probe = sender(text, "100");
            assert_eq!(probe.at(1_000_000), Address::null());
            check(&probe, "", true);
            check(&probe, "probe@mx.test", false);
        }
        for text in ["@x", "x@"] {
            let values = Values::for_tests(&[("address_verify_sender", text)]);
            assert!(ProbeSender::load(&values).is_err(), "{text}");
        }
    }
}
