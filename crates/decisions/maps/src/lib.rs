//! Lists of tables, the order in which an address is looked up, and match lists.
//!
//! Everything is parsed and opened once, when a service starts; a look-up then costs no allocation
//! unless a table answers. "Could not look" is never "not there": it is [`types::Lookup::TryAgain`], or the
//! `Err` of a match list, and whoever asked defers.
//!
//! Diagnostics: nothing here logs but what a filter of DNS records ignores. Trouble names the list, the table and the key.

mod address_find;
mod casefold;
mod cidr;
mod debug_peers;
mod dns_filter;
mod list;
mod local;
mod login_senders;
mod maps;
mod match_list;
mod split;

pub use address_find::{AddressHit, AddressMaps, QueryForm, Strategy};
pub use casefold::{Folded, casefold};
pub use cidr::{CidrError, CidrPattern};
pub use debug_peers::DebugPeers;
pub use dns_filter::{Filtered, FilteredDns};
pub use list::split_list;
pub use local::{LocalDomains, Locality, NoLocalDomains};
pub use login_senders::LoginSenders;
pub use maps::{Maps, Part};
pub use match_list::{DomainList, NameAddrList, ParentStyle, StringList, parent_style};
pub use split::{AddressSplit, ExtensionRules};
