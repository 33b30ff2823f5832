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

/// Where a destination was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expanded {
    /// In an alias.
    Alias,
    /// In a user's forward file.
    Forward,
    /// In an :include: file.
    Include,
}

/// A list of the words `alias`, `forward`, `include`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expansions {
    alias: bool,
    forward: bool,
    include: bool,
}

impl Expansions {
    fn load(values: &Values, id: p::Id) -> Self {
        let words = values.list(id);
        let has = |name: &str| words.iter().any(|word| word.eq_ignore_ascii_case(name));
        Self { alias: has("alias"), forward: has("forward"), include: has("include") }
    }

    /// Whether the list has the word for it.
    #[must_use]
    pub const fn has(self, place: Expanded) -> bool {
        match place {
            Expanded::Alias => self.alias,
            Expanded::Forward => self.forward,
            Expanded::Include => self.include,
        }
    }
}

/// How commands are run (local(8), EXTERNAL COMMAND DELIVERY).
#[derive(Clone, Debug)]
pub struct CommandSettings {
    /// command_time_limit
    pub command_time_limit: Duration,
    /// command_expansion_filter
    pub command_expansion_filter: String,
    /// command_execution_directory, with its `$home` forms
    pub command_execution_directory: String,
    /// execution_directory_expansion_filter
    pub execution_directory_expansion_filter: String,
    /// local_command_shell
    pub local_command_shell: String,
    /// export_environment: names, and `name=value`
    pub export_environment: Vec<String>,
    /// mailbox_size_limit bounds what a command may write, too; 0 means no limit
    pub file_size_limit: u64,
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
    /// duplicate_filter_limit, in entries; 0 means no limit
    pub duplicate_filter_limit: usize,
    /// home_mailbox, below the user's home directory
    pub home_mailbox: String,
    /// mail_spool_directory
    pub mail_spool_directory: String,
    /// mailbox_size_limit, in bytes; 0 means no limit
    pub mailbox_size_limit: u64,
    /// mailbox_command, for the shell
    pub mailbox_command: String,
    /// mailbox_transport, `transport:nexthop`
    pub mailbox_transport: String,
    /// fallback_transport, `transport:nexthop`
    pub fallback_transport: String,
    /// luser_relay, with its `$user` forms
    pub luser_relay: String,
    /// forward_path, with its `$user`, `$home`, `$extension` forms
    pub forward_path: String,
    /// forward_expansion_filter
    pub forward_expansion_filter: String,
    /// require_home_directory
    pub require_home_directory: bool,
    /// allow_mail_to_commands
    pub allow_mail_to_commands: Expansions,
    /// allow_mail_to_files
    pub allow_mail_to_files: Expansions,
    /// propagate_unmatched_extensions
    pub propagate_unmatched_extensions: Expansions,
    /// prepend_delivered_header contains `command`
    pub delivered_header_in_command: bool,
    /// prepend_delivered_header contains `file`
    pub delivered_header_in_file: bool,
    /// prepend_delivered_header contains `forward`
    pub delivered_header_in_forward: bool,
    /// biff
    pub biff: bool,
    /// soft_bounce: what would be returned is tried again
    pub soft_bounce: bool,
    /// line_length_limit, in bytes: longer lines of lists are cut
    pub line_length_limit: usize,
    /// message_size_limit, in bytes: no list is larger; 0 means no limit
    pub list_size_limit: u64,
    /// Commands of aliases, forward files and mailbox_command.
    pub command: CommandSettings,
    /// mailbox_delivery_lock and its companions
    pub locks: MailboxLocks,
}

impl LocalSettings {
    /// From the values of a master.cf row.
    #[must_use]
    pub fn load(values: &Values) -> Self {
        let text = |id| values.text(id).to_owned();
        let size = |id| u64::try_from(values.int(id)).unwrap_or(0);
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
            home_mailbox: text(p::home_mailbox),
            mail_spool_directory: text(p::mail_spool_directory),
            mailbox_size_limit: size(p::mailbox_size_limit),
            mailbox_command: text(p::mailbox_command),
            mailbox_transport: text(p::mailbox_transport),
            fallback_transport: text(p::fallback_transport),
            luser_relay: text(p::luser_relay),
            forward_path: text(p::forward_path),
            forward_expansion_filter: text(p::forward_expansion_filter),
            require_home_directory: values.bool(p::require_home_directory),
            allow_mail_to_commands: Expansions::load(values, p::allow_mail_to_commands),
            allow_mail_to_files: Expansions::load(values, p::allow_mail_to_files),
            propagate_unmatched_extensions: Expansions::load(values, p::propagate_unmatched_extensions),
            delivered_header_in_command: headers.contains(&"command"),
            delivered_header_in_file: headers.contains(&"file"),
            delivered_header_in_forward: headers.contains(&"forward"),
            biff: values.bool(p::biff),
            soft_bounce: values.bool(p::soft_bounce),
            line_length_limit: usize::try_from(values.int(p::line_length_limit)).unwrap_or(usize::MAX),
            list_size_limit: size(p::message_size_limit),
            command: CommandSettings {
                command_time_limit: values.time(p::command_time_limit),
                command_expansion_filter: text(p::command_expansion_filter),
                command_execution_directory: text(p::command_execution_directory),
                execution_directory_expansion_filter: text(p::execution_directory_expansion_filter),
                local_command_shell: text(p::local_command_shell),
                export_environment: values.list(p::export_environment).iter().map(|&w| w.into()).collect(),
                file_size_limit: size(p::mailbox_size_limit),
            },
            locks: MailboxLocks::load(values, &values.list(p::mailbox_delivery_lock)),
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

    #[test]
    fn commands_and_files_are_for_aliases_and_forward_files() {
        let allowed = LocalSettings::for_tests().allow_mail_to_commands;
        assert!(allowed.has(Expanded::Alias) && allowed.has(Expanded::Forward));
        assert!(!allowed.has(Expanded::Include));
    }
}
