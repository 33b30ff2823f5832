//! What was promised and what came of it, as the peers saw it.

use sim::{
    Excuses, Fate, FinalStatus, Mail, NoLoss, NoSpuriousDup, OneFinalStatus, Stored, Taken, Unchanged,
    name_in, todo_by_name,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use types::Instant;

/// Second at which the simulation's calendar begins.
const CALENDAR_BEGINS: i64 = 1_780_000_000;

#[derive(Default)]
pub(crate) struct Book {
    no_loss: NoLoss,
    unchanged: Unchanged,
    no_spurious_dup: NoSpuriousDup,
    pub(crate) excuses: Excuses,
    /// In the order in which they were seen.
    statuses: Vec<(Instant, String, String, FinalStatus)>,
    /// Messages that were sent from the null address: nobody hears that they failed.
    from_nobody: BTreeSet<String>,
    /// Notifications by their own name, with what they say.
    notifications: BTreeMap<String, Notification>,
    trouble: Option<String>,
    mails: usize,
    pub(crate) tally: Tally,
}

/// What there was.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) acknowledged: usize,
    pub(crate) taken: usize,
    pub(crate) bounced: usize,
    pub(crate) repeated: usize,
}

struct Notification {
    about: String,
    failed: Vec<String>,
    made: Instant,
}

impl Book {
    /// A name for the next message.
    pub(crate) fn name(&mut self) -> String {
        self.mails += 1;
        format!("m{}", self.mails)
    }

    /// A client tries to send it.
    pub(crate) fn sent(&mut self, mail: &Mail) {
        self.unchanged.sent(&mail.name, &mail.lines);
        if mail.sender.is_empty() {
            self.from_nobody.insert(mail.name.clone());
        }
    }

    /// How that ended.
    pub(crate) fn heard(&mut self, mail: &Mail, fate: Fate) {
        if let Fate::Acknowledged(recipients) = fate {
            self.tally.acknowledged += 1;
            if !mail.sender.is_empty() {
                self.no_loss.acknowledged(&mail.name, recipients);
            }
        }
    }

    /// A server or a mailbox has something.
    pub(crate) fn taken(&mut self, taken: &Taken) {
        let Some(name) = name_in(&taken.lines) else {
            return self.broken("changed: a message without its name came out");
        };
        if !failed_in(&taken.lines).is_empty() {
            return self.notification(taken, name);
        }
        self.tally.taken += taken.recipients.len();
        if let Err(what) = self.unchanged.found(&name, &taken.lines) {
            self.broken(&what);
        }
        for recipient in &taken.recipients {
            self.no_spurious_dup.got(taken.at, &name, recipient);
            self.no_loss.finished(&name, recipient);
            self.statuses.push((taken.at, name.clone(), recipient.clone(), FinalStatus::Sent));
        }
    }

    /// ... and who brought it may not know.
    pub(crate) fn unanswered(&mut self, taken: &Taken) {
        let name = name_of(taken);
        taken.recipients.iter().for_each(|recipient| self.excuses.unanswered(&name, recipient));
    }

    /// ... and now does.
    pub(crate) fn answered(&mut self, taken: &Taken) {
        let name = name_of(taken);
        taken.recipients.iter().for_each(|recipient| self.excuses.answered(&name, recipient));
    }

    fn notification(&mut self, taken: &Taken, about: String) {
        let Some(own) = own_name(&taken.lines) else {
            return self.broken("a notification has no Message-Id");
        };
        let Some(made) = made_at(&own) else {
            return self.broken(&format!("no time in {own}"));
        };
        if self.from_nobody.contains(&about) {
            return self.broken(&format!("{about} has no sender, and its failure was returned"));
        }
        for recipient in &taken.recipients {
            self.no_spurious_dup.got(taken.at, &own, recipient);
        }
        let failed = failed_in(&taken.lines);
        for recipient in &failed {
            self.no_loss.finished(&about, recipient);
        }
        self.notifications.entry(own).or_insert(Notification { about, failed, made });
    }

    fn broken(&mut self, what: &str) {
        self.trouble.get_or_insert_with(|| what.to_owned());
    }

    /// Notifications that were given up, says the log: what they were about is not missed.
    pub(crate) fn forget_given_up(&mut self, log: &[String]) {
        let (mut names, mut abouts) = (BTreeMap::new(), BTreeMap::new());
        for line in log {
            let Some((id, text)) = line.split_once("]: ").and_then(|(_, rest)| rest.split_once(": ")) else {
                continue;
            };
            let id = id.to_owned();
            if let Some(name) =
                text.strip_prefix("message-id=<").and_then(|rest| rest.strip_suffix("@sim.test>"))
            {
                names.insert(id, name.to_owned());
            } else if let Some(own) = text.strip_prefix("sender non-delivery notification: ") {
                abouts.insert(own.to_owned(), names.get(&id).cloned().unwrap_or_default());
            } else if text.starts_with("from=<>, status=expired") {
                abouts.get(&id).into_iter().for_each(|about| self.no_loss.forget(about));
            }
        }
    }

    /// What is in the queue together with what is done must be all that was promised.
    pub(crate) fn check_queue(&self, stored: &[Stored]) -> Result<(), String> {
        let mut todo = todo_by_name(stored);
        for message in stored {
            if let Some(name) = &message.name {
                todo.entry(name.clone()).or_default().extend(failed_in(&message.lines));
            }
        }
        self.no_loss.check(&todo)
    }

    /// At the end, when everything has come out.
    pub(crate) fn check(&mut self) -> Result<Tally, String> {
        if let Some(trouble) = self.trouble.take() {
            return Err(trouble);
        }
        self.no_loss.check(&BTreeMap::new())?;
        self.no_spurious_dup.check(&self.excuses)?;
        for Notification { about, failed, made } in self.notifications.values() {
            for recipient in failed {
                self.tally.bounced += 1;
                self.statuses.push((*made, about.clone(), recipient.clone(), FinalStatus::Bounced));
            }
        }
        self.statuses.sort_by_key(|(at, ..)| *at);
        let (mut checker, excuses) = (OneFinalStatus::default(), &self.excuses);
        let mut seen = BTreeSet::new();
        for (at, name, recipient, status) in &self.statuses {
            // Two deliveries are the affair of another checker.
            if *status == FinalStatus::Bounced || seen.insert((name, recipient)) {
                checker.record(*at, (name, recipient), *status, excuses)?;
            }
        }
        self.tally.repeated = self.no_spurious_dup.repeated();
        Ok(self.tally)
    }
}

/// The recipients that a notification says have failed (RFC 3464 section 2.3).
fn failed_in(lines: &[Vec<u8>]) -> Vec<String> {
    let (mut failed, mut recipient) = (Vec::new(), None);
    for line in lines {
        let line = String::from_utf8_lossy(line);
        if let Some(address) = line.strip_prefix("Final-Recipient: rfc822; ") {
            recipient = Some(address.to_owned());
        } else if line == "Action: failed" {
            failed.extend(recipient.take());
        }
    }
    failed
}

/// What tells it from all others: a message's name, or a notification's own.
fn name_of(taken: &Taken) -> String {
    let name =
        if failed_in(&taken.lines).is_empty() { name_in(&taken.lines) } else { own_name(&taken.lines) };
    name.unwrap_or_default()
}

/// The first Message-Id, which is the notification's own and not the original's.
fn own_name(lines: &[Vec<u8>]) -> Option<String> {
    let line = lines.iter().find(|line| line.starts_with(b"Message-Id: <"))?;
    Some(String::from_utf8_lossy(line).into_owned())
}

/// When something with a Message-Id of ours was made: it begins with year, month, day, hours, minutes, seconds.
fn made_at(message_id: &str) -> Option<Instant> {
    let digits = message_id.strip_prefix("Message-Id: <")?;
    let number = |range: std::ops::Range<usize>| digits.get(range)?.parse::<i64>().ok();
    let (month, day) = (number(4..6)?, number(6..8)?);
    // The simulation begins on the 28th of May 2026 and is over within the year.
    let days_before = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
    let year_begins = 1_767_225_600;
    let days = days_before.get(usize::try_from(month).ok()?.checked_sub(1)?)? + day - 1;
    let seconds = year_begins + ((days * 24 + number(8..10)?) * 60 + number(10..12)?) * 60 + number(12..14)?;
    let since = u64::try_from(seconds - CALENDAR_BEGINS).ok()?;
    Some(Instant::from_nanos(0) + Duration::from_secs(since))
}

#[test]
fn the_time_of_a_message_id_is_understood() {
    let id = "Message-Id: <20260528202641.ABC@mx.sim.test>";
    assert_eq!(made_at(id), Some(Instant::from_nanos(1_000_000_000)));
}
