//! main.cf and master.cf in three layers: text ([`MainCf`], [`MasterCf`]), the parameter table ([`params`]) and typed
//! values ([`Values`]).
//!
//! Nothing here reads a file, the environment or the host's name: the shell does, and passes texts and an
//! [`Environment`] to [`Configuration::load`]. From a [`Configuration`] comes one [`Values`] for each row of master.cf,
//! and from that every crate makes its own typed view.
//!
//! Bytes that are not UTF-8 live through all of this: [`decode`] makes text of them and [`encode`] gives the same
//! bytes back.
//!
//! # Diagnostics
//! Nothing panics, whatever the text. What stops Postfix with `fatal:` is an [`Invalid`]; what it warns about is a
//! [`Report`].

mod choices;
mod configuration;
pub mod edit;
mod environment;
pub mod expand;
mod lines;
mod main_cf;
mod master_cf;
mod namespace;
mod notify_classes;
mod number;
pub mod own;
pub mod params;
mod ports;
mod punycode;
pub mod reject_footer;
mod report;
mod spawn;
mod text;
mod values;
mod written;

pub use configuration::{Configuration, Paths};
pub use environment::{Environment, HostAddress, Interface, Protocols};
pub use lines::{LogicalLine, LogicalLines};
pub use main_cf::{Entry, MainCf, split_name_value};
pub use master_cf::{Endpoint, MasterCf, ServiceRow, ServiceType};
pub use namespace::{About, Finding, Host, LEGACY, Namespace, Sources, is_client_parameter};
pub use notify_classes::NotifyClasses;
pub use number::{compatibility_level, feedback, time_in_seconds, time_unit};
pub use ports::TcpPorts;
pub use punycode::{domain_to_ascii, domain_to_utf8};
pub use report::{Invalid, Report, Severity};
pub use spawn::SpawnCommand;
pub use text::{decode, encode, split_list};
pub use values::Values;
pub use written::{
    COLUMN_NAMES, COLUMNS, Form, INDENT, Item, LINE_LIMIT, WrittenRow, WrittenRows, joined, render_field,
};
