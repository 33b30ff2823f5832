//! Bugs on demand, so that tests can see what happens after one. There are none in a release build.
//!
//! A file `fault` in `data_directory` (which only mail_owner may write to) names a place; who comes by that place
//! first removes the file and panics.

use config::Values;

/// The places where a fault can be asked for.
#[derive(Clone, Debug)]
pub struct Faults(#[cfg(debug_assertions)] std::path::PathBuf);

#[cfg(debug_assertions)]
impl Faults {
    /// For the system of this configuration.
    #[must_use]
    pub fn new(values: &Values) -> Self {
        Self(std::path::Path::new(values.text(config::params::data_directory)).join("fault"))
    }

    /// Panics if that is wanted here.
    #[expect(clippy::panic, reason = "that is what it is for")]
    pub fn at(&self, place: &str) {
        let is_wanted = std::fs::read_to_string(&self.0).is_ok_and(|wanted| wanted.trim_end() == place);
        if is_wanted && std::fs::remove_file(&self.0).is_ok() {
            panic!("fault on demand: {place}");
        }
    }
}

#[cfg(not(debug_assertions))]
impl Faults {
    /// Nothing.
    #[must_use]
    pub fn new(_: &Values) -> Self {
        Self()
    }

    /// Does nothing.
    pub fn at(&self, _: &str) {}
}
