//! Lookup tables by `type:name` (DATABASE_README).
//!
//! [`Registry`] opens them for the mail system and shares equal names; [`open`] gives postmap and postalias
//! a table without the sharing; [`build`] writes table files. A table that cannot be opened answers
//! trouble to every question and says why once, when it is opened.
//!
//! Diagnostics: warnings about lines of a table name the file and the line; trouble names the table and
//! what to do. Nothing here is fatal.

mod approved;
mod bdb;
pub mod build;
mod cdb;
mod cidr;
mod composite;
mod entries;
mod freshness;
mod inline;
pub mod lent;
mod lmdb;
mod logical;
mod memory;
mod nesting;
mod open;
mod pages;
mod pcre;
mod prefilter;
mod redirect;
mod regexp;
mod registry;
mod rules;
pub mod slow;
mod source;
mod sqlite;
mod template;
mod unix;
mod user_list;
mod users;

pub use approved::{Approved, without_proxy};
pub use entries::{Entry, EntryReader};
pub use logical::{LogicalLine, LogicalLines};
pub use open::{SUPPORTED_TYPES, is_at_hand, is_supported, open};
pub use pages::StoredNull;
pub use redirect::Redirect;
pub use registry::{Changeable, Opener, Openers, Registry, Settings};
pub use slow::{Direct, Slow, SystemUsers};
pub use source::{Duplicates, Each, NOT_LISTABLE, OpenError, Options, Source, Warn, errno_text};
pub use user_list::{is_user_listed, may_use_sender};
pub use users::{process_home, process_user};
