//! What lookup tables need from the C library: regular expressions and the user database.
//!
//! All `unsafe` of the tables is here. The rest of the tables is safe code: lmdb, cdb and Berkeley DB files
//! are read with `pread` by readers of our own (docs/decisions/0011-table-files.md).

mod lock;
mod nss;
mod pcre;
mod prefetch;
mod regex;

pub use lock::lock_whole_file;
pub use nss::{Group, Passwd, group_by_name, passwd_by_name, passwd_by_uid};
pub use pcre::{Pcre, PcreFlags};
pub use prefetch::prefetch;
pub use regex::{Captures, Regex, RegexFlags};
