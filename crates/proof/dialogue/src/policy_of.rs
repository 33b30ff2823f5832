//! The policy server of a dialogue.

use crate::Dialogue;
use bstr::{BString, ByteSlice};
use smtpd::{PolicyRequest, PolicyServer, PolicyServers, PolicyService};
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};
use wire::policy::AnswerReader;
use world::Answer;

/// How long an answer may be here.
const ANSWER_BYTES_MAX: usize = 102_400;

/// What a policy server says to one request after the other.
#[derive(Clone, Debug, Default)]
pub struct Script {
    answers: Vec<Vec<u8>>,
    given: usize,
}

impl Script {
    /// The answers of a dialogue.
    #[must_use]
    pub fn of(dialogue: &Dialogue) -> Self {
        Self { answers: dialogue.policy.clone(), given: 0 }
    }

    /// The next answer; the last one is given again and again.
    pub fn next_answer(&mut self) -> Vec<u8> {
        let at = self.given.min(self.answers.len().saturating_sub(1));
        self.given += 1;
        let answer = self.answers.get(at).cloned().unwrap_or_default();
        [&answer[..], b"\n\n"].concat()
    }

    /// The attributes of a request.
    #[must_use]
    pub fn attributes(request: &[u8]) -> Vec<String> {
        let lines = request.lines().filter(|line| !line.is_empty());
        lines.map(|line| line.to_str_lossy().into_owned()).collect()
    }
}

/// The same without I/O.
#[derive(Default)]
pub(crate) struct Scripted {
    script: RefCell<Script>,
    pub(crate) asked: RefCell<Vec<String>>,
    messages: Cell<u32>,
}

impl Scripted {
    pub(crate) fn new(dialogue: &Dialogue) -> Rc<Self> {
        Rc::new(Self { script: RefCell::new(Script::of(dialogue)), ..Self::default() })
    }
}

/// One service of it.
struct Service(Rc<Scripted>);

/// All services of a dialogue are one server.
pub(crate) struct Services(pub(crate) Rc<Scripted>);

impl PolicyServers for Services {
    fn open(&self, _service: &PolicyService) -> Rc<dyn PolicyServer> {
        Rc::new(Service(Rc::clone(&self.0)))
    }

    fn instance(&self) -> String {
        let messages = self.0.messages.get() + 1;
        self.0.messages.set(messages);
        format!("1.2.3.{messages:x}")
    }
}

impl PolicyServer for Service {
    fn ask<'a>(&'a self, request: PolicyRequest<'a>) -> Answer<'a, Option<BString>> {
        self.0.asked.borrow_mut().extend(Script::attributes(&request.bytes));
        let bytes = self.0.script.borrow_mut().next_answer();
        let answer = AnswerReader::new(ANSWER_BYTES_MAX).take(&bytes);
        Answer::ready(answer.ok().flatten().map(|answer| answer.action))
    }
}
