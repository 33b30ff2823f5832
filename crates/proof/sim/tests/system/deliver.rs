//! Deliveries end to end by seed: what simulated clients send in goes out to simulated servers that refuse, fall silent,
//! reset, talk nonsense, or take a message and do not say so; to mailboxes; or back to its sender. Meanwhile the system
//! reloads and the machine stops at any point.

use crate::{
    book::{Book, Tally},
    machine::{Down, Machine, NAME_SERVER, Up, for_seeds, is_the_same_each_time, smtp_endpoint},
    mailboxes::Mailboxes,
};
use sim::{
    Chance, Lie, Mail, MailClient, MailServer, Names, SimDisk, SimWorld, Simulation, Temper, TextLimits,
    Weather, logs, quiesced, stored,
};
use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    rc::Rc,
    time::Duration,
};
use types::QueueId;
use world::{Endpoint, World};

const SEEDS: u64 = 200;
const BOOTS: usize = 3;
const DAY: Duration = Duration::from_secs(24 * 3600);
/// How often to look whether all is done, once it should be.
const LOOK: Duration = Duration::from_secs(300);
/// Lines that servers without 8BITMIME and with short lines get unchanged.
const TEXTS: TextLimits = TextLimits { line_bytes_max: 900, lines_max: 12, is_8bit: false };
const RECIPIENTS: [&str; 12] = [
    "r1@a.test",
    "r2@a.test",
    "r3@a.test",
    "x@b.test",
    "y@b.test",
    "l1@lmtp.test",
    "l2@lmtp.test",
    "v1@box.test",
    "v2@box.test",
    "d@dead.test",
    "n@gone.test",
    "z@null.test",
];
pub(crate) const MAIN_CF: &str = "
mynetworks = 10.1.0.0/16
transport_maps = inline:{ {lmtp.test = lmtp:inet:[10.2.0.4]:24} }
virtual_mailbox_domains = box.test
virtual_mailbox_maps = static:box/
virtual_mailbox_base = /sim/mail
virtual_uid_maps = static:5000
virtual_gid_maps = static:5000
";
pub(crate) const MASTER_CF: &str = "
smtp     inet n - n - 10 smtpd
cleanup  unix n - n - 0 cleanup
qmgr     unix n - n 300 1 qmgr
rewrite  unix - - n - - trivial-rewrite
bounce   unix - - n - 0 bounce
defer    unix - - n - 0 bounce
trace    unix - - n - 0 bounce
smtp     unix - - n - - smtp
relay    unix - - n - - smtp
lmtp     unix - - n - - lmtp
error    unix - - n - - error
retry    unix - - n - - error
discard  unix - - n - - discard
virtual  unix - n n - - virtual
";
pub(crate) const ZONE: &str = "
1.0.1.10.in-addr.arpa PTR client.sim.test
client.sim.test A 10.1.0.1
a.test          MX 10 mx1.a.test
a.test          MX 20 mx2.a.test
mx1.a.test      A 10.2.0.1
mx2.a.test      A 10.2.0.2
b.test          A 10.2.0.3
sender.test     A 10.2.0.5
dead.test       A 10.2.0.9
null.test       MX 0 .
";

#[test]
fn what_was_accepted_comes_out_once_or_goes_back() {
    let tallies = for_seeds("what_was_accepted", SEEDS, |seed| Story::new(seed, None).run());
    let sum = |of: fn(&Tally) -> usize| tallies.iter().map(of).sum::<usize>();
    assert!(sum(|tally| tally.acknowledged) > 0);
    if tallies.len() > 1 {
        // What is to be tried was tried.
        assert!(sum(|tally| tally.taken) > 0 && sum(|tally| tally.bounced) > 0);
        assert!(sum(|tally| tally.repeated) > 0);
    }
}

/// Disks that break their promises are caught, each within the seeds.
#[test]
fn the_checkers_see_what_a_lying_disk_does_to_deliveries() {
    for (lie, what) in [
        // A bounce record that was not synced before its recipient was marked.
        (Lie::SkipsSync("bounce"), "lost"),
        // A message, or a notification, that was not synced before it was spoken of.
        (Lie::SkipsSync("incoming"), "lost"),
        // A mark that never reaches the file: the recipient gets the next try too.
        (Lie::DropsMarks, "duplicate"),
    ] {
        let caught = (0..SEEDS)
            .any(|seed| Story::new(seed, Some(lie)).run().is_err_and(|found| found.starts_with(what)));
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

struct Story {
    chance: Chance,
    simulation: Simulation,
    machine: Rc<Machine>,
    outside: SimWorld,
    names: Rc<Names>,
    servers: Vec<Rc<MailServer>>,
    mailboxes: Rc<Mailboxes>,
    book: Rc<RefCell<Book>>,
}

impl Story {
    fn new(seed: u64, lie: Option<Lie>) -> Self {
        let mut chance = Chance::new(seed);
        let simulation = Simulation::new(chance.number());
        let hours = [1, 4, 24][chance.below(3)];
        let machine = Machine::new(&format!("{MAIN_CF}maximal_queue_lifetime = {hours}h\n"), MASTER_CF);
        if let Some(lie) = lie {
            machine.disk.set_lie(lie);
        }
        let outside = simulation.host([10, 1, 0, 1].into(), SimDisk::new());
        let names = Names::serve(&outside, NAME_SERVER, ZONE);
        let book = Rc::new(RefCell::new(Book::default()));
        let server = |last, port, is_lmtp| {
            let at = Endpoint::Inet(SocketAddr::new(IpAddr::from([10, 2, 0, last]), port));
            let (taking, confirming) = (Rc::clone(&book), Rc::clone(&book));
            MailServer::start(
                &outside,
                (at, is_lmtp),
                move |taken| {
                    taking.borrow_mut().taken(taken);
                    taking.borrow_mut().unanswered(taken);
                },
                move |taken| confirming.borrow_mut().answered(taken),
            )
        };
        // The last one is that of the senders.
        let servers = vec![
            server(1, 25, false),
            server(2, 25, false),
            server(3, 25, false),
            server(4, 24, true),
            server(5, 25, false),
        ];
        let mailboxes = Mailboxes::new(&outside, &book);
        Self { chance, simulation, machine: Rc::new(machine), outside, names, servers, mailboxes, book }
    }

    fn run(mut self) -> Result<Tally, String> {
        for _ in 0..BOOTS {
            self.foul_weather();
            let up = self.boot();
            let clients = self.clients();
            let seconds = [60, 1_000, 20_000][self.chance.below(3)];
            let seconds = 1 + self.chance.below(seconds);
            for _ in 0..self.chance.below(3) {
                self.reload(&up, seconds);
            }
            self.live(Duration::from_secs(seconds as u64), || false)?;
            drop(clients);
            self.down(&up)?;
        }
        self.fair_weather();
        let old = logs(&self.machine.queue()).map_err(|error| error.to_string())?;
        let up = self.boot();
        let clients = self.clients();
        self.live(Duration::from_secs(3_600), || clients.iter().all(|is_done| is_done.get()))?;
        self.until_quiet(&old)?;
        self.down(&up)?;
        self.machine.check_log()?;
        self.book.borrow_mut().check()
    }

    fn boot(&self) -> Rc<Up> {
        Rc::new(self.machine.boot(&self.simulation, Some(Rc::clone(&self.mailboxes) as _)))
    }

    /// Within so many seconds, if the machine is up for so long.
    fn reload(&mut self, up: &Rc<Up>, seconds: usize) {
        let at = Duration::from_millis(self.chance.below(1_000 * seconds) as u64);
        let (up, world) = (Rc::downgrade(up), self.outside.clone());
        let (machine, agents) = (Rc::clone(&self.machine), Rc::clone(&self.mailboxes));
        self.outside.spawn(async move {
            world.sleep(at).await;
            if let Some(up) = up.upgrade() {
                machine.reload(&up, Some(agents as _));
            }
        });
    }

    fn foul_weather(&mut self) {
        let chance = &mut self.chance;
        self.simulation.set_weather(if chance.one_in(3) { Weather::FAIR } else { Weather::draw(chance) });
        self.names.set_trouble(chance.below(5));
        let disk = &self.machine.disk;
        disk.set_latency_max(Duration::from_millis([0, 5, 300][chance.below(3)]));
        disk.set_trouble(chance.number(), [0, 0, 100, 400][chance.below(4)]);
        if chance.one_in(2) {
            disk.stop_after(chance.below(3_000) as u64);
        }
        let one_in = |chance: &mut Chance| [0, 2, 5, 20][chance.below(4)];
        for server in &self.servers {
            server.temper.set(Temper {
                trouble_one_in: one_in(chance) * 3,
                defers_one_in: one_in(chance),
                refuses_one_in: one_in(chance) * 3,
                is_mute: chance.one_in(10),
            });
        }
        self.mailboxes.temper.set(Temper {
            trouble_one_in: one_in(chance),
            defers_one_in: one_in(chance),
            refuses_one_in: one_in(chance),
            is_mute: false,
        });
        // A notification that is refused for good is gone, as it should be: that of the senders refuses nothing.
        if let Some(server) = self.servers.last() {
            server.temper.set(Temper { refuses_one_in: 0, ..server.temper.get() });
        }
    }

    fn fair_weather(&self) {
        self.machine.fair_weather(&self.simulation, &self.names);
        self.servers.iter().for_each(|server| server.temper.set(Temper::default()));
        self.mailboxes.temper.set(Temper::default());
    }

    fn down(&mut self, up: &Up) -> Result<(), String> {
        let how = if self.chance.one_in(3) { Down::Kill } else { Down::Power };
        self.book.borrow_mut().excuses.crashed(self.simulation.now(), how.reach());
        self.book.borrow_mut().forget_given_up(&self.machine.log.borrow());
        self.machine.down(&self.simulation, up, how, &mut self.chance);
        let found = stored(&self.machine.queue()).map_err(|error| error.to_string())?;
        self.book.borrow().check_queue(&found)
    }

    /// Runs until the machine stops, or time is over, or nothing is left to do.
    fn live(&self, at_most: Duration, is_over: impl Fn() -> bool) -> Result<(), String> {
        self.simulation.live(at_most, || self.machine.disk.is_stopped() || is_over())
    }

    /// All mail goes.
    fn until_quiet(&self, old: &BTreeSet<QueueId>) -> Result<(), String> {
        let end = self.simulation.now() + 6 * DAY;
        loop {
            let next = self.simulation.now() + LOOK;
            // Somebody must wait for that time, or it does not come.
            let world = self.outside.clone();
            self.outside.spawn(async move { world.sleep_until(next).await });
            self.live(DAY, || self.simulation.now() >= next)?;
            match quiesced(&self.machine.queue(), old) {
                Ok(()) => return Ok(()),
                Err(left) if self.simulation.now() >= end => return Err(left),
                Err(_) => {}
            }
        }
    }

    /// Clients that begin some time from now.
    fn clients(&mut self) -> Vec<Rc<Cell<bool>>> {
        (0..1 + self.chance.below(4)).map(|_| self.client()).collect()
    }

    fn client(&mut self) -> Rc<Cell<bool>> {
        let (world, book, is_done) = (self.outside.clone(), Rc::clone(&self.book), Rc::new(Cell::new(false)));
        let mails: Vec<Mail> = (0..1 + self.chance.below(3)).map(|_| self.mail()).collect();
        let client = MailClient { world: world.clone(), server: smtp_endpoint(), mischief_one_in: 0 };
        let (begins, done) = (Duration::from_millis(self.chance.below(30_000) as u64), Rc::clone(&is_done));
        world.clone().spawn(async move {
            world.sleep(begins).await;
            client.send(&mails, |mail, fate| book.borrow_mut().heard(mail, fate)).await;
            done.set(true);
        });
        is_done
    }

    fn mail(&mut self) -> Mail {
        let mut book = self.book.borrow_mut();
        let chance = &mut self.chance;
        let mut recipients: Vec<String> =
            (0..1 + chance.below(5)).map(|_| RECIPIENTS[chance.below(RECIPIENTS.len())].to_owned()).collect();
        recipients.sort();
        recipients.dedup();
        let sender = if chance.one_in(10) { "" } else { "s@sender.test" };
        let mail = Mail::draw(book.name(), sender.to_owned(), recipients, (TEXTS, chance));
        book.sent(&mail);
        mail
    }
}
