//! Edits of main.cf and master.cf, as postconf(1) makes them: `-e`, `-X` and `-#`.
//!
//! A file's text goes in, its new text comes out; everything that no request is about stays as it is, byte by byte: comments, blank
//! lines, odd spacing, null bytes, settings that nobody understands. A missing end of the last line is added.
//!
//! # Diagnostics
//! A request that Postfix refuses is an error in its words. Errors leave nothing half done: there is no new text then.

mod lines;
mod main_cf;
mod master_cf;
mod pattern;

pub use main_cf::MainEdit;
pub use master_cf::{MasterEdit, Part};
pub use pattern::ServicePattern;

/// What is done to what a request names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// `-e`: gets a value, and is added where it is missing.
    Set,
    /// `-X`: goes away.
    Exclude,
    /// `-#`: becomes a comment.
    CommentOut,
}

/// What an edit makes of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edited {
    /// The new text.
    pub text: Vec<u8>,
    /// What Postfix would warn about.
    pub warnings: Vec<String>,
}
