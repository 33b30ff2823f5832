//! The whole system by seed: the same source that runs live, on simulated machines that crash, over connections that
//! break. A failing seed says how to repeat it.
#![allow(clippy::expect_used, clippy::panic, reason = "tests")]

mod book;
mod caller;
mod deliver;
mod fair;
mod flow;
mod machine;
mod mailboxes;
mod moody;
mod policy;
mod postscreen;
mod receive;
mod reload;
mod sessions;
mod tables;
