//! Reloads by seed, while mail comes in and goes out: what one generation has taken, the next one delivers without delay,
//! and once. A failing seed says how to repeat it.

use crate::{
    book::Book,
    deliver::{MAIN_CF, MASTER_CF, ZONE},
    machine::{Machine, NAME_SERVER, Up, for_seeds, public, smtp_endpoint},
    mailboxes::Mailboxes,
};
use sim::{
    Chance, Fate, Mail, MailClient, MailServer, Names, Run, SimDisk, SimWorld, Simulation, TextLimits,
    Weather, submit,
};
use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    rc::Rc,
    time::Duration,
};
use world::{Endpoint, Stream, World};

const SEEDS: u64 = 200;
/// Shorter than any time after which the queue manager looks by itself.
const WAIT_MAX: Duration = Duration::from_secs(60);
const TEXTS: TextLimits = TextLimits { line_bytes_max: 80, lines_max: 4, is_8bit: false };
/// One of them bounces, and its notification goes out too.
const RECIPIENTS: [&str; 5] = ["r1@a.test", "x@b.test", "y@b.test", "v1@box.test", "n@gone.test"];
/// What cleanup adds at the end of the header where it is missing: the checker takes additions at the beginning only.
const COMPLETE: &[&str] = &["From: <s@sender.test>", "Date: Thu, 28 May 2026 20:26:40 +0000"];

#[test]
fn what_was_taken_before_a_reload_is_delivered_after_it_without_delay() {
    let acknowledged = for_seeds("what_was_taken_before", SEEDS, |seed| Story::new(seed).run());
    assert!(acknowledged.iter().all(|count| *count > 0));
}

struct Story {
    chance: Chance,
    simulation: Simulation,
    machine: Rc<Machine>,
    outside: SimWorld,
    book: Rc<RefCell<Book>>,
    refused: Rc<Cell<usize>>,
    /// Clients and reloads begin within so many milliseconds.
    spread: usize,
}

impl Story {
    fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let simulation = Simulation::new(chance.number());
        let latency = |chance: &mut Chance| Duration::from_millis([0, 5, 300][chance.below(3)]);
        simulation.set_weather(Weather { latency_max: latency(&mut chance), ..Weather::FAIR });
        let machine = Rc::new(Machine::new(MAIN_CF, &format!("{MASTER_CF}pickup unix n - n 60 1 pickup\n")));
        machine.disk.set_latency_max(latency(&mut chance));
        let outside = simulation.host([10, 1, 0, 1].into(), SimDisk::new());
        let spread = [200, 2_000, 20_000][chance.below(3)];
        Self { chance, simulation, machine, outside, book: Rc::default(), refused: Rc::default(), spread }
    }

    /// How many messages were accepted.
    fn run(mut self) -> Result<usize, String> {
        let _names = Names::serve(&self.outside, NAME_SERVER, ZONE);
        let _servers = [1, 3, 5].map(|last| self.server(last));
        let mailboxes = Mailboxes::new(&self.outside, &self.book);
        let up = Rc::new(self.machine.boot(&self.simulation, Some(Rc::clone(&mailboxes) as _)));
        let clients: Vec<_> = (0..1 + self.chance.below(12)).map(|_| self.client()).collect();
        for number in 0..self.chance.below(8) {
            self.submission(&up, number);
        }
        for _ in 0..1 + self.chance.below(4) {
            self.reload(&up, &mailboxes);
        }
        let ended = self.simulation.run_until(|| clients.iter().all(|is_done| is_done.get()));
        if ended != Run::Done || self.refused.get() > 0 {
            return Err(format!("{ended:?}, {} messages were refused or cut off", self.refused.get()));
        }
        // Those that were to come later than the last client, and what all have left to do.
        let end = self.simulation.now() + Duration::from_millis(self.spread as u64) + WAIT_MAX;
        let world = self.outside.clone();
        self.outside.spawn(async move { world.sleep_until(end).await });
        self.simulation.run_until(|| self.simulation.now() >= end);
        self.machine.check_log()?;
        Ok(self.book.borrow_mut().check()?.acknowledged)
    }

    fn server(&self, last: u8) -> Rc<MailServer> {
        let at = Endpoint::Inet(SocketAddr::new([10, 2, 0, last].into(), 25));
        let book = Rc::clone(&self.book);
        MailServer::start(&self.outside, (at, false), move |taken| book.borrow_mut().taken(taken), |_| ())
    }

    fn moment(&mut self) -> Duration {
        Duration::from_millis(self.chance.below(self.spread) as u64)
    }

    fn reload(&mut self, up: &Rc<Up>, mailboxes: &Rc<Mailboxes>) {
        let (world, at) = (self.outside.clone(), self.moment());
        let (machine, up, mailboxes) = (Rc::clone(&self.machine), Rc::clone(up), Rc::clone(mailboxes));
        self.outside.spawn(async move {
            world.sleep(at).await;
            machine.reload(&up, Some(mailboxes as _));
        });
    }

    fn client(&mut self) -> Rc<Cell<bool>> {
        let mails: Vec<Mail> = (0..1 + self.chance.below(3)).map(|_| self.mail(&[])).collect();
        let (world, at) = (self.outside.clone(), self.moment());
        let client = MailClient { world: world.clone(), server: smtp_endpoint(), mischief_one_in: 0 };
        let (book, refused) = (Rc::clone(&self.book), Rc::clone(&self.refused));
        let is_done = Rc::new(Cell::new(false));
        let done = Rc::clone(&is_done);
        self.outside.spawn(async move {
            world.sleep(at).await;
            let heard = |mail: &Mail, fate: Fate| {
                refused.set(refused.get() + usize::from(!matches!(fate, Fate::Acknowledged(_))));
                book.borrow_mut().heard(mail, fate);
            };
            client.send(&mails, heard).await;
            done.set(true);
        });
        is_done
    }

    /// A local user's.
    fn submission(&mut self, up: &Rc<Up>, number: usize) {
        let (mail, at, book) = (self.mail(COMPLETE), self.moment(), Rc::clone(&self.book));
        let (up, machine) = (Rc::clone(up), Rc::clone(&self.machine));
        self.outside.spawn(async move {
            up.world.sleep(at).await;
            let (sender, recipients) = (mail.sender.clone(), mail.recipients.clone());
            submit(&machine.disk, number, (&sender, &recipients), &mail.lines);
            book.borrow_mut().heard(&mail, Fate::Acknowledged(recipients));
            // As postdrop does: one byte, and it is gone.
            if let Ok(mut stream) = up.world.connect(&public("pickup"), None, WAIT_MAX).await {
                let _ = stream.write_all(b"W").await;
            }
        });
    }

    fn mail(&mut self, headers: &[&str]) -> Mail {
        let (mut book, chance) = (self.book.borrow_mut(), &mut self.chance);
        let recipients = vec![RECIPIENTS[chance.below(RECIPIENTS.len())].to_owned()];
        let mut mail = Mail::draw(book.name(), "s@sender.test".to_owned(), recipients, (TEXTS, chance));
        mail.lines.splice(0..0, headers.iter().map(|line| line.as_bytes().to_vec()));
        book.sent(&mail);
        mail
    }
}
