//! The greatest counts, as anvil(8) logs them.

use types::Instant;

/// A greatest count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peak {
    /// How many; 0 where nothing was counted.
    pub value: u32,
    /// `service:client`
    pub who: String,
    /// When.
    pub at: Instant,
}

impl Peak {
    pub(crate) fn update(&mut self, value: u32, at: Instant, who: impl FnOnce() -> String) {
        if value > self.value {
            *self = Self { value, who: who(), at };
        }
    }
}

/// The greatest counts since the last report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Connections in the time unit.
    pub connection_rate: Peak,
    /// Connections at once.
    pub connection_count: Peak,
    /// MAIL in the time unit.
    pub message_rate: Peak,
    /// RCPT and VRFY in the time unit.
    pub recipient_rate: Peak,
    /// New TLS sessions in the time unit.
    pub newtls_rate: Peak,
    /// AUTH in the time unit.
    pub auth_rate: Peak,
    /// Clients that were remembered at once; nobody's.
    pub cache_size: Peak,
    /// Clients that there was no room to count.
    pub not_counted: u64,
}
