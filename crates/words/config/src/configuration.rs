//! main.cf and master.cf together, and what is to be said about them.

use std::sync::Arc;

use crate::{
    environment::{self, Environment},
    main_cf::MainCf,
    master_cf::{Defaults, MasterCf, ServiceRow},
    number,
    params::{self, Id},
    report::{Invalid, Report, Severity},
    values::{Shared, Values},
};

mod reports;
mod together;

/// Where the files were read from, for messages and as the default of config_directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// The configuration directory.
    pub directory: String,
}

impl Paths {
    /// A directory that holds `main.cf` and `master.cf`.
    #[must_use]
    pub fn in_directory(directory: &str) -> Self {
        Self { directory: directory.to_owned() }
    }

    /// The path of main.cf.
    #[must_use]
    pub fn main_cf(&self) -> String {
        format!("{}/main.cf", self.directory)
    }

    /// The path of master.cf.
    #[must_use]
    pub fn master_cf(&self) -> String {
        format!("{}/master.cf", self.directory)
    }
}

/// A configuration: the settings of main.cf and the services of master.cf.
#[derive(Clone, Debug)]
pub struct Configuration {
    values: Values,
    shared: Arc<Shared>,
    master: MasterCf,
}

impl Configuration {
    /// Reads the texts of both files.
    ///
    /// # Errors
    /// What cannot be read at all. Wrong values are not errors here but in [`Configuration::reports`].
    pub fn load(
        main_cf: &[u8],
        master_cf: &[u8],
        paths: &Paths,
        environment: &Environment,
    ) -> Result<Self, Invalid> {
        let main = MainCf::parse(&paths.main_cf(), main_cf)?;
        let shared =
            Arc::new(Shared { main, environment: environment.clone(), directory: paths.directory.clone() });
        let values = Values::new(Arc::clone(&shared), Vec::new(), "", &environment.process_name);
        let level = number::compatibility_level(values.text(params::compatibility_level)).unwrap_or(0);
        let max_proc = u32::try_from(values.int(params::default_process_limit)).unwrap_or(u32::MAX);
        let defaults = Defaults { chroot: Some(level) < number::compatibility_level("1"), max_proc };
        let master = MasterCf::parse_with(&paths.master_cf(), master_cf, defaults)?;
        Ok(Self { values, shared, master })
    }

    /// The values of main.cf alone, for programs that serve no row of master.cf.
    #[must_use]
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// The values of one service.
    #[must_use]
    pub fn values_for(&self, row: &ServiceRow) -> Values {
        self.values.for_row(row)
    }

    /// main.cf as it is written.
    #[must_use]
    pub fn main_cf(&self) -> &MainCf {
        &self.shared.main
    }

    /// The services.
    #[must_use]
    pub fn master_cf(&self) -> &MasterCf {
        &self.master
    }

    /// Names in inet_interfaces and proxy_interfaces whose addresses the [`Environment`] does not have yet.
    #[must_use]
    pub fn names_to_resolve(&self) -> Vec<String> {
        let names = [params::inet_interfaces, params::proxy_interfaces];
        let sets =
            |row: &&ServiceRow| row.overrides.iter().any(|(set, _)| names.iter().any(|id| id.name() == set));
        let rows = self.master.rows.iter().filter(sets).map(|row| self.values_for(row));
        let mut found = Vec::new();
        for values in std::iter::once(self.values.clone()).chain(rows) {
            for name in names.iter().flat_map(|id| environment::names_to_resolve(values.text(*id))) {
                if !self.shared.environment.hosts.contains_key(name)
                    && !found.iter().any(|known| known == name)
                {
                    found.push(name.to_owned());
                }
            }
        }
        found
    }

    /// What every program of Postfix would end for at its start, or one that nothing works without.
    #[must_use]
    pub fn fatal(&self) -> Option<Report> {
        self.reports().into_iter().find(|report| report.severity == Severity::Fatal)
    }

    /// What the program of a service would end for each time it is started: the service does nothing until that is
    /// corrected.
    #[must_use]
    pub fn out_of_order(&self, row: &ServiceRow) -> Option<Report> {
        reports::out_of_order(self, row)
    }

    /// Where main.cf sets a parameter; 0 if it does not.
    fn line_of(&self, id: Id) -> u32 {
        self.shared.main.get(id.name()).map_or(0, |entry| entry.line)
    }

    /// Everything there is to say: what Postfix warns about, unknown names, wrong values, and settings that have no
    /// effect yet.
    #[must_use]
    pub fn reports(&self) -> Vec<Report> {
        reports::all(self)
    }
}

#[cfg(test)]
mod tests;
