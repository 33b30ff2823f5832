//! Mailboxes, whose agents are not always well either.

use crate::book::Book;
use deliver::{Agents, Owner};
use local::agent::{Reply, Request};
use sim::{SimWorld, Taken, Temper};
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};
use types::{Dsn, Outcome, Status, Trouble};
use world::{Answer, World};

pub(crate) struct Mailboxes {
    world: SimWorld,
    book: Rc<RefCell<Book>>,
    pub(crate) temper: Cell<Temper>,
}

impl Mailboxes {
    pub(crate) fn new(world: &SimWorld, book: &Rc<RefCell<Book>>) -> Rc<Self> {
        Rc::new(Self { world: world.clone(), book: Rc::clone(book), temper: Cell::default() })
    }

    fn one_in(&self, times: usize) -> bool {
        times > 0 && self.world.chance(|chance| chance.one_in(times))
    }

    async fn deliver_now(&self, request: &Request, content: &[u8]) -> Result<Reply, Trouble> {
        let temper = self.temper.get();
        let done = |outcome, dsn, reason: &str| {
            let answer =
                local::agent::Answer::Done { outcome, status: Status::new(dsn, reason), mailbox_end: None };
            Ok(Reply { answer, warnings: Vec::new() })
        };
        self.world.sleep(Duration::from_millis(10)).await;
        if self.one_in(temper.trouble_one_in) {
            return Err(Trouble::new("the agent went away before"));
        }
        if self.one_in(temper.defers_one_in) {
            return done(Outcome::Deferred, Dsn::temporary(2, 2), "mailbox full");
        }
        if self.one_in(temper.refuses_one_in) {
            return done(Outcome::Bounced, Dsn::permanent(2, 0), "no mailbox");
        }
        let mut lines: Vec<Vec<u8>> = content.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        // What the last line end ends.
        lines.pop();
        let taken = Taken {
            at: self.world.now(),
            sender: request.sender.to_string(),
            recipients: vec![request.delivered_to.to_string()],
            lines,
        };
        self.book.borrow_mut().taken(&taken);
        if self.one_in(temper.trouble_one_in) {
            self.book.borrow_mut().unanswered(&taken);
            return Err(Trouble::new("the agent went away after"));
        }
        self.world.sleep(Duration::from_millis(10)).await;
        done(Outcome::Sent, Dsn::success(0, 0), "delivered")
    }
}

impl Agents for Mailboxes {
    fn deliver<'a>(
        &'a self,
        _: &'a Owner,
        request: &'a Request,
        content: &'a [u8],
    ) -> Answer<'a, Result<Reply, Trouble>> {
        Answer::later(self.deliver_now(request, content))
    }
}
