//! The SMTP and LMTP client: smtp(8) and lmtp(8).
//!
//! It decides where a next hop is ([`Destination`], [`hosts`]), what to say there and what the answers mean for
//! each recipient ([`Session`], a machine without I/O), which bytes of a queue file go out
//! ([`ContentReader`]), and, over a [`world::World`], the order of hosts and the reuse of connections ([`deliver`]).
//!
//! Texts are Postfix's to the letter: they end in log lines and notifications that other programs read.
//!
//! Diagnostics: nothing panics on what a server, a resolver or a queue file says. What our own side cannot do
//! (encryption without an engine, an unreadable queue file) defers.

mod cache;
mod content;
mod conversion;
mod deliver;
mod destination;
mod encoder;
mod envelope;
mod features;
mod flags;
mod generic;
mod hosts;
mod ledger;
mod pix;
mod reply_filter;
mod session;
mod settings;
mod tables;
mod xforward;

pub use cache::ConnectionCache;
pub use content::{Chunk, Content, ContentReader, ContentTrouble};
pub use deliver::{Client, deliver};
pub use destination::{Destination, InvalidDestination};
pub use encoder::Encoder;
pub use envelope::{Envelope, VerifyTarget};
pub use features::{Announcement, Features};
pub use flags::Flags;
pub use generic::MappedAddresses;
pub use hosts::{Found, Host, NativeHosts, Network, hosts};
pub use ledger::{Failure, Scope};
pub use pix::PixWorkarounds;
pub use session::{Action, Ending, Input, Note, Notice, Peer, Session, Treatment, Verdict};
pub use settings::{
    AddressPreference, AddressSettings, CacheSettings, HostLookup, PixSettings, Protocol, Quirks,
    SmtpSettings, Timeouts,
};
pub use tables::SmtpTables;
pub use xforward::XforwardAttributes;

#[cfg(test)]
mod tests;
