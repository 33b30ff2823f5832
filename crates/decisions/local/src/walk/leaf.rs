//! Commands and files.

use super::{Fate, Hands, Place, Rights, Router, Walk, list::allows};
use crate::agent::{Answer, Task};
use bstr::{BStr, BString, ByteSlice};
use types::{Dsn, Outcome, Status};

impl<R: Router, H: Hands> Walk<'_, '_, R, H> {
    pub(super) async fn command(&self, at: &Place, rights: &Rights, command: BString) -> Fate {
        let what = format!("command {}:{}", at.name.user, rights.uid());
        if self.been_here(&what, &command) {
            return Fate::Settled;
        }
        if self.with.trace.is_probe() {
            return self.would(at, [b"delivers to command: ", command.as_slice()].concat());
        }
        let (origin, environment) = (at.origin.clone(), self.with.environment.to_vec());
        let task = Task::Command { origin, command, environment };
        self.leaf(at, rights, task).await
    }

    /// `path` as it stands there, and `full` as it is meant.
    pub(super) async fn file(&self, at: &Place, rights: &Rights, path: BString, full: &BStr) -> Fate {
        if self.been_here(&format!("file {}", rights.uid()), full) {
            return Fate::Settled;
        }
        if !allows(self.with.settings.allow_mail_to_files, at) {
            let status = Status::new(Dsn::permanent(7, 1), "mail to file is restricted");
            return self.report_to_owner(at, Outcome::Bounced, status).await;
        }
        if self.with.trace.is_probe() {
            return self.would(at, [b"delivers to file: ", full.as_bytes()].concat());
        }
        let task = Task::File { origin: at.origin.clone(), path };
        self.leaf(at, rights, task).await
    }

    async fn leaf(&self, at: &Place, rights: &Rights, task: Task) -> Fate {
        match self.ask(at, rights, task).await {
            Answer::Done { outcome: Outcome::Sent, status, .. } => self.record(at, Outcome::Sent, status),
            Answer::Done { outcome, status, .. } => self.report_to_owner(at, outcome, status).await,
            Answer::List { .. } | Answer::Owner { .. } | Answer::Nothing => {
                self.defer(at, "unexpected answer of delivery agent")
            }
        }
    }
}
