//! A log that can be read.

use maillog::{Line, Logger, Sink};
use std::{cell::RefCell, rc::Rc};

#[derive(Default)]
pub(crate) struct Lines(RefCell<Vec<String>>);

impl Lines {
    pub(crate) fn logger() -> (Logger, Rc<Self>) {
        let lines = Rc::new(Self::default());
        (Logger::new(Rc::clone(&lines) as Rc<dyn Sink>, "postfix/postscreen", 1), lines)
    }

    /// The lines so far, which are forgotten.
    pub(crate) fn text(&self) -> String {
        self.0.take().join("\n")
    }
}

impl Sink for Lines {
    fn write(&self, line: Line<'_>) {
        self.0.borrow_mut().push(line.text.to_owned());
    }
}
