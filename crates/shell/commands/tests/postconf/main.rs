//! postconf beside Debian's, on hand-written and generated configurations.

// Helpers of tests may fail loudly, as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod compare;
mod debian_scripts;
mod edits;
mod environment;
mod generator;
mod hostile;
mod newer;
mod peer;
mod show;
mod templates;
mod versions;

/// How many generated configurations are tried; `POSTCONF_SEEDS` says otherwise.
fn seeds() -> u64 {
    std::env::var("POSTCONF_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(20)
}
