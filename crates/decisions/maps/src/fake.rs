//! Tables for tests: entries by hand, every key asked written down.

use std::{
    cell::RefCell,
    collections::HashMap,
    future::Future,
    pin::pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};
use types::{Lookup, Trouble};
use world::{Answer, Table, Tables};

/// Runs a future whose answers are all at hand.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("an answer was not at hand"),
    }
}

#[derive(Default)]
pub(crate) struct FakeTables {
    entries: HashMap<(String, String), String>,
    files: HashMap<String, String>,
    pub(crate) asked: Rc<RefCell<Vec<String>>>,
}

impl FakeTables {
    /// `table key value` triples; a table named `pattern:...` is one of patterns, `fail:...` is trouble.
    pub(crate) fn new(entries: &[(&str, &str, &str)]) -> Self {
        let entries = entries.iter().map(|(t, k, v)| (((*t).into(), (*k).into()), (*v).into())).collect();
        Self { entries, ..Self::default() }
    }

    pub(crate) fn with_file(mut self, path: &str, content: &str) -> Self {
        self.files.insert(path.into(), content.into());
        self
    }

    pub(crate) fn asked(&self) -> String {
        self.asked.take().join(" ")
    }
}

struct FakeTable {
    name: String,
    entries: HashMap<(String, String), String>,
    asked: Rc<RefCell<Vec<String>>>,
}

impl Table for FakeTable {
    fn name(&self) -> &str {
        &self.name
    }

    fn lookup<'a>(&'a self, key: &'a [u8]) -> Answer<'a, Lookup> {
        let key = String::from_utf8_lossy(key).into_owned();
        self.asked.borrow_mut().push(key.clone());
        if self.name.starts_with("fail:") {
            return Answer::ready(Lookup::TryAgain(Trouble::new("always")));
        }
        Answer::ready(match self.entries.get(&(self.name.clone(), key)) {
            Some(value) => Lookup::Found(value.clone().into()),
            None => Lookup::Absent,
        })
    }

    fn is_pattern(&self) -> bool {
        self.name.starts_with("pattern:")
    }
}

impl Tables for FakeTables {
    fn open(&self, name: &str) -> Rc<dyn Table> {
        Rc::new(FakeTable { name: name.into(), entries: self.entries.clone(), asked: Rc::clone(&self.asked) })
    }

    fn pattern_file(&self, path: &str) -> Result<Vec<u8>, Trouble> {
        self.files.get(path).map(|text| text.clone().into_bytes()).ok_or_else(|| Trouble::new("no such file"))
    }
}
