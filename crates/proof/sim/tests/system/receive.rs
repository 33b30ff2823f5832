//! Whole receive sessions by seed: clients that speak SMTP in pieces and batches, by DATA and BDAT, with mistakes, over
//! connections that break; a disk that fails, and a policy server that does; the machine stops at any point and comes up again. A failing seed says
//! how to repeat it.

use crate::{
    machine::{Down, Machine, NAME_SERVER, Up, for_seeds, is_the_same_each_time, smtp_endpoint},
    moody::Moody,
    policy,
};
use sim::{
    Chance, Fate, Lie, Limits, Mail, MailClient, Names, NoLoss, SimDisk, SimWorld, Simulation, TextLimits,
    Unchanged, Weather, stored, todo_by_name,
};
use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    net::SocketAddr,
    rc::Rc,
    time::Duration,
};
use types::QueueName;
use world::World;

const SEEDS: u64 = 200;
const BOOTS: usize = 3;
const TEXTS: TextLimits = TextLimits { line_bytes_max: 5_000, lines_max: 40, is_8bit: true };
/// smtpd_timeout: no session is idle for longer.
const SMTPD_TIMEOUT: Duration = Duration::from_secs(301);
const MAIN_CF: &str = "
mynetworks = 10.1.0.0/16
relay_domains = relay.test
relay_recipient_maps = inline:{a@relay.test=x, b@relay.test=x, c@relay.test=x}
smtpd_hard_error_limit = 8
";
const POLICY: ([u8; 4], u16) = ([10, 1, 0, 9], 9998);
/// It lets nobody write to c.
const ASKS_POLICY: &str =
    "smtpd_recipient_restrictions = check_policy_service { inet:10.1.0.9:9998, timeout=20s }\n";
const ZONE: &str = "
1.0.1.10.in-addr.arpa PTR client.sim.test
client.sim.test A 10.1.0.1
";

#[test]
fn what_got_a_250_is_on_the_disk_after_any_crash() {
    let tallies = for_seeds("what_got_a_250", SEEDS, |seed| Story::new(seed, None).run());
    let sum = |of: fn(&Tally) -> usize| tallies.iter().map(of).sum::<usize>();
    // What is to be tried was tried.
    assert!(sum(|tally| tally.acknowledged) > 0);
    if tallies.len() > 1 {
        assert!(sum(|tally| tally.unknown) > 0 && sum(|tally| tally.refused) > 0);
        assert!(sum(|tally| tally.stored) > 0);
        assert!(sum(|tally| tally.policy_requests) > 0);
    }
}

/// Disks that break their promises are caught, each within the seeds.
#[test]
fn the_checkers_see_a_sync_that_was_skipped_or_came_late() {
    for lie in [Lie::SkipsSync("incoming"), Lie::SyncsLate(40)] {
        let caught = (0..SEEDS).any(|seed| {
            let result = Story::new(seed, Some(lie)).run();
            result.is_err_and(|what| what.starts_with("lost") || what.contains("changed"))
        });
        assert!(caught, "{lie:?}");
    }
}

#[test]
fn a_seed_makes_the_same_run_each_time() {
    is_the_same_each_time(|seed| {
        let story = Story::new(seed, None);
        (Rc::clone(&story.machine), move || story.run())
    });
}

#[derive(Debug, Default)]
struct Tally {
    acknowledged: usize,
    refused: usize,
    unknown: usize,
    stored: usize,
    policy_requests: usize,
}

/// How far a client is.
#[derive(Default)]
struct Client {
    is_done: Cell<bool>,
    unknown: Cell<usize>,
}

/// What the checkers know.
#[derive(Default)]
struct Book {
    no_loss: NoLoss,
    unchanged: Unchanged,
    acknowledged: BTreeSet<String>,
    tally: Tally,
    mails: usize,
    /// Nobody may write to c.
    is_policed: bool,
    /// What must not happen and did.
    broken: Option<String>,
}

struct Story {
    chance: Chance,
    simulation: Simulation,
    machine: Rc<Machine>,
    outside: SimWorld,
    names: Rc<Names>,
    policy: Rc<Moody>,
    book: Rc<RefCell<Book>>,
    sessions_max: usize,
}

impl Story {
    fn new(seed: u64, lie: Option<Lie>) -> Self {
        let mut chance = Chance::new(seed);
        let simulation = Simulation::new(chance.number());
        let sessions_max = 1 + chance.below(6);
        let is_policed = chance.one_in(2);
        let asks = if is_policed { ASKS_POLICY } else { "" };
        let main_cf = format!("{MAIN_CF}{asks}enable_long_queue_ids = {}\n", ["yes", "no"][chance.below(2)]);
        let machine = Machine::new(&main_cf, &format!("smtp inet n - n - {sessions_max} smtpd\n"));
        if let Some(lie) = lie {
            machine.disk.set_lie(lie);
        }
        let outside = simulation.host([10, 1, 0, 1].into(), SimDisk::new());
        let names = Names::serve(&outside, NAME_SERVER, ZONE);
        let policy = simulation.host(POLICY.0.into(), SimDisk::new());
        let policy = Moody::start(&policy, SocketAddr::from(POLICY), policy::POLICY);
        let book = Rc::new(RefCell::new(Book { is_policed, ..Book::default() }));
        let machine = Rc::new(machine);
        Self { chance, simulation, machine, outside, names, policy, book, sessions_max }
    }

    fn run(mut self) -> Result<Tally, String> {
        for _ in 0..BOOTS {
            self.foul_weather();
            let mischief_one_in = self.chance.below(12);
            let up = self.machine.boot(&self.simulation, None);
            let clients = self.clients(mischief_one_in);
            let until = Duration::from_secs(1 + self.chance.below(200) as u64);
            self.live(&up, until, || clients.iter().all(|client| client.is_done.get()))?;
            let how = if self.chance.one_in(3) { Down::Kill } else { Down::Power };
            self.machine.down(&self.simulation, &up, how, &mut self.chance);
            self.check()?;
        }
        self.last_day()?;
        self.machine.check_log()?;
        Ok(std::mem::take(&mut self.book.borrow_mut().tally))
    }

    /// In fair weather every client hears how it ended, and nothing is left of the sessions.
    fn last_day(&mut self) -> Result<(), String> {
        self.fair_weather();
        let before = self.unfinished()?;
        let up = self.machine.boot(&self.simulation, None);
        let clients = self.clients(0);
        let all_done = || clients.iter().all(|client| client.is_done.get());
        self.live(&up, Duration::from_secs(3600), all_done)?;
        let (draining, is_drained) = (Rc::clone(&up.receive), Rc::new(Cell::new(false)));
        let drained = Rc::clone(&is_drained);
        up.world.spawn(async move {
            draining.drain(Duration::from_secs(3600)).await;
            drained.set(true);
        });
        let begun = self.simulation.now();
        self.live(&up, Duration::from_secs(3600), || is_drained.get())?;
        let took = self.simulation.now().since(begun);
        if !all_done() || took > SMTPD_TIMEOUT {
            return Err(format!("quiesce: draining took {took:?}"));
        }
        if clients.iter().any(|client| client.unknown.get() > 0) {
            return Err("quiesce: a client does not know how it ended".to_owned());
        }
        let after = self.unfinished()?;
        if before != after {
            return Err(format!("quiesce: {before} unfinished files, then {after}"));
        }
        self.machine.down(&self.simulation, &up, Down::Power, &mut self.chance);
        self.check()
    }

    /// Messages in incoming that were being written when the machine stopped, or that are.
    fn unfinished(&self) -> Result<usize, String> {
        let mut count = 0;
        let listed = self.machine.queue().scan(QueueName::Incoming, &mut |entry| {
            count += usize::from(!entry.is_ready());
            true
        });
        listed.map(|()| count).map_err(|error| error.to_string())
    }

    fn foul_weather(&mut self) {
        self.simulation.set_weather(Weather::draw(&mut self.chance));
        self.names.set_trouble(self.chance.below(4));
        self.policy.trouble_one_in.set([0, 1, 3, 10][self.chance.below(4)]);
        let disk = &self.machine.disk;
        disk.set_latency_max(Duration::from_millis([0, 5, 300][self.chance.below(3)]));
        disk.set_trouble(self.chance.number(), [0, 0, 30, 200][self.chance.below(4)]);
        if self.chance.one_in(2) {
            disk.stop_after(self.chance.below(800) as u64);
        }
    }

    fn fair_weather(&self) {
        self.machine.fair_weather(&self.simulation, &self.names);
        self.policy.trouble_one_in.set(0);
    }

    fn clients(&mut self, mischief_one_in: usize) -> Vec<Rc<Client>> {
        (0..1 + self.chance.below(8)).map(|_| self.client(mischief_one_in)).collect()
    }

    /// Runs until the machine stops, or time is over, or nothing is left to do.
    fn live(&self, up: &Up, at_most: Duration, is_over: impl Fn() -> bool) -> Result<(), String> {
        let mut limits = Limits::new(self.sessions_max, usize::MAX);
        let lived = self.simulation.live(at_most, || {
            limits.observe(up.receive.sessions(), 0);
            self.machine.disk.is_stopped() || is_over()
        });
        limits.check().and(lived)
    }

    /// A client that begins some time from now.
    fn client(&mut self, mischief_one_in: usize) -> Rc<Client> {
        let (world, book, ended) = (self.outside.clone(), Rc::clone(&self.book), Rc::new(Client::default()));
        let mails: Vec<Mail> = (0..1 + self.chance.below(4)).map(|_| self.mail()).collect();
        let client = MailClient { world: world.clone(), server: smtp_endpoint(), mischief_one_in };
        let (begins, ending) = (Duration::from_millis(self.chance.below(30_000) as u64), Rc::clone(&ended));
        world.clone().spawn(async move {
            world.sleep(begins).await;
            let heard = |mail: &Mail, fate: Fate| {
                ending.unknown.set(ending.unknown.get() + usize::from(fate == Fate::Unknown));
                book.borrow_mut().heard(mail, fate);
            };
            client.send(&mails, heard).await;
            ending.is_done.set(true);
        });
        ended
    }

    fn mail(&mut self) -> Mail {
        let mut book = self.book.borrow_mut();
        book.mails += 1;
        let name = format!("m{}", book.mails);
        let users = ["a", "b", "c", "unknown"];
        let mut recipients: Vec<String> = (0..1 + self.chance.below(3))
            .map(|_| format!("{}@relay.test", users[self.chance.below(users.len())]))
            .collect();
        recipients.sort();
        recipients.dedup();
        let sender = if self.chance.one_in(10) { "" } else { "sender@sim.test" };
        let mail = Mail::draw(name, sender.to_owned(), recipients, (TEXTS, &mut self.chance));
        book.unchanged.sent(&mail.name, &mail.lines);
        mail
    }

    /// Looks for everything that was promised.
    fn check(&self) -> Result<(), String> {
        let found = stored(&self.machine.queue()).map_err(|error| error.to_string())?;
        let mut book = self.book.borrow_mut();
        book.broken.take().map_or(Ok(()), Err)?;
        book.no_loss.check(&todo_by_name(&found))?;
        for message in &found {
            // What was not acknowledged was perhaps not synced either.
            let name = message.name.as_deref().filter(|name| book.acknowledged.contains(*name));
            name.map_or(Ok(()), |name| book.unchanged.found(name, &message.lines))?;
        }
        book.tally.stored = found.len();
        book.tally.policy_requests = self.policy.asked.get();
        Ok(())
    }
}

impl Book {
    fn heard(&mut self, mail: &Mail, fate: Fate) {
        match fate {
            Fate::Acknowledged(recipients) => {
                if self.is_policed && recipients.iter().any(|recipient| recipient.starts_with("c@")) {
                    self.broken = Some(format!("{}: taken for c, against the policy", mail.name));
                }
                self.tally.acknowledged += 1;
                self.acknowledged.insert(mail.name.clone());
                self.no_loss.acknowledged(&mail.name, recipients);
            }
            Fate::Refused => self.tally.refused += 1,
            Fate::Unknown => self.tally.unknown += 1,
        }
    }
}
