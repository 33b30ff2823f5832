//! Typed views of the parameters of local(8) and virtual(8).

use config::{Values, params as p};
use maps::ExtensionRules;
use std::time::Duration;

/// Which locks protect an mbox file (mailbox_delivery_lock, virtual_mailbox_lock).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LockStyle {
    /// `flock`
    pub flock: bool,
    /// `fcntl`
    pub fcntl: bool,
    /// `dotlock`
    pub dotlock: bool,
}

impl LockStyle {
    /// Reads a list of lock names. Nothing that is known means `fcntl`: a mailbox is never unlocked.
    #[must_use]
    pub fn parse(names: &[&str]) -> Self {
        let has = |name: &str| names.iter().any(|n| n.eq_ignore_ascii_case(name));
        let style = Self { flock: has("flock"), fcntl: has("fcntl"), dotlock: has("dotlock") };
        if style == Self::default() { Self { fcntl: true, ..style } } else { style }
    }
}

/// How an mbox file is locked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxLocks {
    /// Which locks.
    pub style: LockStyle,
    /// deliver_lock_attempts
    pub deliver_lock_attempts: u32,
    /// deliver_lock_delay
    pub deliver_lock_delay: Duration,
    /// stale_lock_time
    pub stale_lock_time: Duration,
    /// strict_mailbox_ownership
    pub strict_mailbox_ownership: bool,
}

impl MailboxLocks {
    fn load(values: &Values, names: &[&str]) -> Self {
        Self {
            style: LockStyle::parse(names),
            deliver_lock_attempts: u32::try_from(values.int(p::deliver_lock_attempts)).unwrap_or(1).max(1),
            deliver_lock_delay: values.time(p::deliver_lock_delay),
            stale_lock_time: values.time(p::stale_lock_time),
            strict_mailbox_ownership: values.bool(p::strict_mailbox_ownership),
        }
    }
}

/// What local(8) reads.
#[derive(Clone, Debug)]
pub struct LocalSettings {
    /// recipient_delimiter, owner_request_special and the address that is never split
    pub extensions: ExtensionRules,
    /// frozen_delivered_to
    pub frozen_delivered_to: bool,
    /// expand_owner_alias
    pub expand_owner_alias: bool,
    /// reset_owner_alias
    pub reset_owner_alias: bool,
    /// duplicate_filter_limit, in addresses; 0 means no limit
    pub duplicate_filter_limit: usize,
    /// home_mailbox, below the user's home directory
    pub home_mailbox: String,
    /// mail_spool_directory
    pub mail_spool_directory: String,
    /// mailbox_size_limit, in bytes; 0 means no limit
    pub mailbox_size_limit: u64,
    /// forward_path, with its `$user`, `$home`, `$extension` forms
    pub forward_path: String,
    /// prepend_delivered_header contains `file`
    pub delivered_header_in_file: bool,
    /// prepend_delivered_header contains `forward`
    pub delivered_header_in_forward: bool,
    /// mailbox_delivery_lock and its companions
    pub locks: MailboxLocks,
    /// A parameter that asks for another way to deliver to users, which does not exist yet.
    pub unsupported_delivery: Option<&'static str>,
    /// A parameter that asks for another way to treat unknown users, which does not exist yet.
    pub unsupported_fallback: Option<&'static str>,
}

impl LocalSettings {
    /// From the values of a master.cf row.
    #[must_use]
    pub fn load(values: &Values) -> Self {
        let set = |names: &[(&'static str, p::Id)]| {
            names.iter().find(|(_, id)| !values.text(*id).is_empty()).map(|(name, _)| *name)
        };
        let headers = values.list(p::prepend_delivered_header);
        let limit = usize::try_from(values.int(p::duplicate_filter_limit)).unwrap_or(0);
        Self {
            extensions: ExtensionRules {
                recipient_delimiter: values.text(p::recipient_delimiter).as_bytes().into(),
                owner_request_special: values.bool(p::owner_request_special),
                double_bounce_sender: values.text(p::double_bounce_sender).as_bytes().into(),
            },
            frozen_delivered_to: values.bool(p::frozen_delivered_to),
            expand_owner_alias: values.bool(p::expand_owner_alias),
            reset_owner_alias: values.bool(p::reset_owner_alias),
            duplicate_filter_limit: if limit == 0 { usize::MAX } else { limit },
            home_mailbox: values.text(p::home_mailbox).into(),
            mail_spool_directory: values.text(p::mail_spool_directory).into(),
            mailbox_size_limit: u64::try_from(values.int(p::mailbox_size_limit)).unwrap_or(0),
            forward_path: values.text(p::forward_path).into(),
            delivered_header_in_file: headers.contains(&"file"),
            delivered_header_in_forward: headers.contains(&"forward"),
            locks: MailboxLocks::load(values, &values.list(p::mailbox_delivery_lock)),
            unsupported_delivery: set(&[
                ("mailbox_transport_maps", p::mailbox_transport_maps),
                ("mailbox_transport", p::mailbox_transport),
                ("mailbox_command_maps", p::mailbox_command_maps),
                ("mailbox_command", p::mailbox_command),
            ]),
            unsupported_fallback: set(&[
                ("fallback_transport_maps", p::fallback_transport_maps),
                ("fallback_transport", p::fallback_transport),
                ("luser_relay", p::luser_relay),
            ]),
        }
    }

    /// Postfix's defaults, for tests.
    #[must_use]
    pub fn for_tests() -> Self {
        Self::load(&Values::for_tests(&[("recipient_delimiter", "+")]))
    }
}

/// What virtual(8) reads.
#[derive(Clone, Debug)]
pub struct VirtualSettings {
    /// virtual_mailbox_base
    pub virtual_mailbox_base: String,
    /// virtual_minimum_uid
    pub virtual_minimum_uid: u32,
    /// virtual_mailbox_limit, in bytes; 0 means no limit
    pub virtual_mailbox_limit: u64,
    /// virtual_mailbox_lock and its companions
    pub locks: MailboxLocks,
}

impl VirtualSettings {
    /// From the values of a master.cf row.
    #[must_use]
    pub fn load(values: &Values) -> Self {
        Self {
            virtual_mailbox_base: values.text(p::virtual_mailbox_base).into(),
            virtual_minimum_uid: u32::try_from(values.int(p::virtual_minimum_uid)).unwrap_or(u32::MAX),
            virtual_mailbox_limit: u64::try_from(values.int(p::virtual_mailbox_limit)).unwrap_or(0),
            locks: MailboxLocks::load(values, &values.list(p::virtual_mailbox_lock)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mailbox_is_never_without_a_lock() {
        let all = LockStyle { flock: true, fcntl: true, dotlock: true };
        assert_eq!(LockStyle::parse(&["fcntl", "dotlock", "FLOCK"]), all);
        assert!(LockStyle::parse(&[]).fcntl);
    }
}
