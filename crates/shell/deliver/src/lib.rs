//! All ways out.

/// The process; returns its exit code.
#[must_use]
pub fn main(startup: sys::startup::Startup) -> i32 {
    drop(startup);
    1
}
