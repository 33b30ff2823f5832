//! Tables of an [`Opener`](super::Opener): what they are asked and what they answer is checked, and they are opened anew when the file
//! with their settings has changed.
//!
//! Postfix's processes read such a file when they start, and none lives long; here a process does. A file that cannot be used is trouble
//! until it can.

use super::{Registry, TextRules};
use crate::{
    freshness::{Stamp, stamp},
    open::split_spec,
};
use std::{
    cell::{Cell, RefCell},
    os::unix::fs::MetadataExt,
    path::PathBuf,
    rc::Rc,
    time::{Duration, Instant},
};
use types::{Lookup, Trouble};
use world::{Answer, Table, TableOwner};

/// How often the file is looked at, at most.
const LOOK_EVERY: Duration = Duration::from_millis(200);

pub(super) struct Checked {
    /// `type:name`
    spec: String,
    /// The file that says how to reach the table, and so what it answers.
    settings: Option<PathBuf>,
    registry: Registry,
    table: RefCell<Result<Rc<dyn Table>, Trouble>>,
    stamp: Cell<Option<Stamp>>,
    looked: Cell<Instant>,
    text: TextRules,
}

impl Checked {
    /// A table that was opened, or could not be.
    pub(super) fn new(registry: &Registry, spec: &str, table: Result<Rc<dyn Table>, Trouble>) -> Self {
        let settings: Option<PathBuf> =
            split_spec(spec).ok().and_then(|(_, name)| name.starts_with('/').then(|| name.into()));
        let found = settings.as_deref().and_then(stamp).filter(|stamp| !stamp.is_hot());
        Self {
            spec: spec.to_owned(),
            settings,
            registry: registry.twin(),
            table: RefCell::new(table),
            stamp: Cell::new(found),
            looked: Cell::new(Instant::now()),
            text: registry.text_rules(),
        }
    }

    /// The table as of now.
    fn current(&self) -> Result<Rc<dyn Table>, Trouble> {
        if let Some(file) = &self.settings {
            let now = Instant::now();
            if now.duration_since(self.looked.get()) >= LOOK_EVERY {
                self.looked.set(now);
                let found = stamp(file);
                if found.is_none() || found != self.stamp.get() {
                    self.reopen();
                    self.stamp.set(found.filter(|stamp| !stamp.is_hot()));
                }
            }
        }
        self.table.borrow().clone()
    }

    fn reopen(&self) {
        let Ok((map_type, name)) = split_spec(&self.spec) else { return };
        let Some(opened) = self.registry.opened_by_opener(map_type, name) else { return };
        let opened = opened.map_err(|error| Trouble::new(format!("{} is unavailable. {error}", self.spec)));
        let was_usable = self.table.borrow().is_ok();
        if let Err(trouble) = &opened
            && was_usable
        {
            self.text.logger.warning(&trouble.to_string());
        }
        *self.table.borrow_mut() = opened;
    }
}

impl Table for Checked {
    fn name(&self) -> &str {
        &self.spec
    }

    fn lookup<'a>(&'a self, key: &'a [u8]) -> Answer<'a, Lookup> {
        if self.text.refuses_key(&self.spec, key) {
            return Answer::ready(Lookup::Absent);
        }
        match self.current() {
            Err(trouble) => Answer::ready(Lookup::TryAgain(trouble)),
            Ok(table) => Answer::later(async move {
                let answer = table.lookup(key).await;
                self.text.judge(&self.spec, key, answer)
            }),
        }
    }

    fn update<'a>(&'a self, key: &'a [u8], value: &'a [u8]) -> Answer<'a, Result<(), Trouble>> {
        match self.current() {
            Err(trouble) => Answer::ready(Err(trouble)),
            Ok(table) => Answer::later(async move { table.update(key, value).await }),
        }
    }

    fn delete<'a>(&'a self, key: &'a [u8]) -> Answer<'a, Result<(), Trouble>> {
        match self.current() {
            Err(trouble) => Answer::ready(Err(trouble)),
            Ok(table) => Answer::later(async move { table.delete(key).await }),
        }
    }

    fn is_pattern(&self) -> bool {
        // As of a table that cannot be opened in Postfix: partial keys pass it by.
        self.table.borrow().as_ref().map_or(true, |table| table.is_pattern())
    }

    fn owner(&self) -> TableOwner {
        match self.settings.as_ref().map(std::fs::metadata) {
            None => self.table.borrow().as_ref().map_or(TableOwner::Unknown, |table| table.owner()),
            Some(Ok(facts)) => TableOwner::of_file(facts.uid()),
            Some(Err(_)) => TableOwner::Unknown,
        }
    }
}
