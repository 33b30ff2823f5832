//! cleanup, trivial-rewrite and bounce are services of Postfix, with rows of their own in master.cf; here they are
//! libraries of whoever calls them. What a parameter like `cleanup_service_name` names is the row whose settings count:
//! `-o` on the caller's row changes nothing of theirs but which row that is.

use crate::{Log, Process, tag};
use cleanup::{CleanupService, CleanupSettings};
use config::{ServiceType, Values, params as p, params::Id};
use rewrite::{RewriteSettings, Rewriter};
use std::{cell::RefCell, collections::HashMap, rc::Rc};
use tables::{Openers, Registry};

/// A row of cleanup.
#[derive(Clone)]
pub struct CleanupRow {
    /// Its settings and tables.
    pub service: Rc<CleanupService>,
    /// `syslog_name/cleanup`
    pub tag: String,
    /// The values that it sees.
    pub values: Values,
}

/// The rows that were asked for, each opened once.
pub struct Libraries<'a> {
    process: &'a Process,
    openers: &'a Openers,
    log: Log,
    cleanups: RefCell<HashMap<String, CleanupRow>>,
    rewriters: RefCell<HashMap<(String, bool), Rc<Rewriter>>>,
}

impl<'a> Libraries<'a> {
    /// None yet.
    #[must_use]
    pub fn new(process: &'a Process, openers: &'a Openers) -> Self {
        let (cleanups, rewriters) = (RefCell::default(), RefCell::default());
        Self { process, openers, log: process.log(), cleanups, rewriters }
    }

    /// cleanup as a client with these values gets it.
    ///
    /// # Errors
    /// A setting of that row that cannot be used.
    pub fn cleanup(&self, client: &Values) -> Result<CleanupRow, String> {
        let name = client.text(p::cleanup_service_name);
        if let Some(known) = self.cleanups.borrow().get(name) {
            return Ok(known.clone());
        }
        let values = self.row(client, p::cleanup_service_name, "cleanup");
        let tag = tag(&values, "cleanup");
        let registry = Registry::new(&values, self.log.session(&tag)).with_openers(self.openers);
        let invalid = |invalid: config::Invalid| invalid.to_string();
        let own = Rewriter::new(RewriteSettings::load(&values).map_err(invalid)?, &registry);
        let settings = CleanupSettings::load(&values).map_err(invalid)?;
        let rewriters = (&own, self.rewriter(&values)?);
        let service = Rc::new(CleanupService::new(settings, rewriters, &registry));
        let made = CleanupRow { service, tag, values };
        self.cleanups.borrow_mut().insert(name.to_owned(), made.clone());
        Ok(made)
    }

    /// trivial-rewrite as a client with these values gets it.
    ///
    /// # Errors
    /// A setting of that row that cannot be used.
    pub fn rewriter(&self, client: &Values) -> Result<Rc<Rewriter>, String> {
        self.rewriter_of(client, false)
    }

    /// The same for probes of verify(8).
    ///
    /// # Errors
    /// A setting of that row that cannot be used.
    pub fn probe_rewriter(&self, client: &Values) -> Result<Rc<Rewriter>, String> {
        self.rewriter_of(client, true)
    }

    fn rewriter_of(&self, client: &Values, for_probes: bool) -> Result<Rc<Rewriter>, String> {
        let name = client.text(p::rewrite_service_name);
        let key = (name.to_owned(), for_probes);
        if let Some(known) = self.rewriters.borrow().get(&key) {
            return Ok(Rc::clone(known));
        }
        let values = self.row(client, p::rewrite_service_name, "trivial-rewrite");
        let log = self.log.session(&tag(&values, "trivial-rewrite"));
        let registry = Registry::new(&values, log.clone()).with_openers(self.openers);
        let settings = match for_probes {
            false => RewriteSettings::load(&values),
            true => RewriteSettings::load_for_probes(&values),
        };
        let settings = settings.map_err(|invalid| invalid.to_string())?;
        let made = Rc::new(Rewriter::new(settings, &registry).with_log(log));
        self.rewriters.borrow_mut().insert(key, Rc::clone(&made));
        Ok(made)
    }

    /// The values of the row that a parameter of the client names. Where there is no such row, main.cf's are all that
    /// is known of it.
    #[must_use]
    pub fn row(&self, client: &Values, parameter: Id, program: &str) -> Values {
        let configuration = &self.process.configuration;
        let name = client.text(parameter);
        let row = configuration.master_cf().service(name, ServiceType::Unix);
        match row.filter(|row| row.command.rsplit('/').next() == Some(program)) {
            Some(row) => configuration.values_for(row),
            None => {
                if !configuration.master_cf().rows.is_empty() {
                    let parameter = parameter.name();
                    self.process.logger(program).warning(&format!(
                        "{parameter} = {name}: master.cf has no service {name}/unix for {program}; \
                         the settings of main.cf are used: add that row"
                    ));
                }
                self.process.values().clone()
            }
        }
    }
}
