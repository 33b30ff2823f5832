//! What a delivery status notification says, and to whom it goes: bounce(8) without I/O.
//!
//! ```text
//! plan(sender, notice) ─▶ Notification ... (envelope, which template, how much of the original)
//! Composer::new ─▶ check(line of the original) ... ─▶ begin(log entries) ─▶ original(line) ... ─▶ end()
//! ```
//!
//! The shell reads the log and the queue file, feeds the lines that a [`Composer`] puts out to cleanup, and commits the
//! new message before it removes the log. Original content goes through line by line; nothing is kept of it.
//!
//! # Diagnostics
//! Nothing panics. What is wrong with a template file is a warning with file and line, and the built-in template is used
//! instead.

mod compose;
mod plan;
mod session_notice;
mod settings;
mod status_filter;
mod template;

pub use compose::{Composer, Line, Original};
pub use plan::{Audience, Kind, Notification, Plan, Returns, Share, plan, shares};
pub use session_notice::{NoticeSettings, Role, SessionNotice};
pub use settings::BounceSettings;
pub use status_filter::StatusFilter;
pub use template::{Print, Problem, Template, TemplateKind, Templates};
