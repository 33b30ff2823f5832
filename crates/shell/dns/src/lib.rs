//! A stub resolver over [`world::World`]: it asks the name servers of resolv.conf, believes only
//! what answers its question, and remembers for as long as the answer says.
//!
//! ```text
//!   Resolver::query -> valid name? -> cache -> UDP, next server, next attempt -> TCP if truncated -> CNAME chain
//! ```
//!
//! Diagnostics: nothing panics on any packet. A server that fails, lies or is silent is
//! [`world::DnsAnswer::TryAgain`]; only an answer that says so means that a name does not exist.

mod cache;
mod host_names;
mod hosts_first;
mod name;
mod packet;
mod resolv_conf;
mod resolver;
#[cfg(feature = "testing")]
pub mod testing;

pub use host_names::HostNames;
pub use hosts_first::HostsFirst;
pub use name::is_valid_hostname;
pub use resolv_conf::ResolvConf;
pub use resolver::Resolver;
