//! Clients before postscreen, by seed: those that speak too early, those that say nothing, those that break off, those
//! that DNS lists have, while name servers fail and connections break. When the weather is fair again every good
//! client's mail is taken, every listed one's is refused, and nothing is left of any of them.

use crate::machine::{Machine, NAME_SERVER, Up, for_seeds, is_the_same_each_time, smtp_endpoint};
use sim::{Chance, Fate, Mail, MailClient, Names, SimDisk, SimWorld, Simulation, TextLimits, Weather};
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};
use world::{Stream, World};

const SEEDS: u64 = 200;
const TEXTS: TextLimits = TextLimits { line_bytes_max: 80, lines_max: 4, is_8bit: false };
/// postscreen's wait, its command_time_limit or smtpd_timeout, and the queue for an SMTP server.
const LONGEST: Duration = Duration::from_secs(3_600);
/// When the last client begins, and how long it may take to reach the server.
const BEGINS_MAX: Duration = Duration::from_secs(9);
const CONNECT_MAX: Duration = Duration::from_secs(30);
const MAIN_CF: &str = "
mynetworks = 192.0.2.1
relay_domains = relay.test
relay_recipient_maps = inline:{a@relay.test=x}
smtpd_peername_lookup = no
postscreen_cache_map = internal:postscreen
postscreen_greet_action = enforce
postscreen_dnsbl_action = enforce
postscreen_dnsbl_sites = bad.test*2, worse.test=127.0.0.[2..9] good.test*-1
";
const ZONE: &str = "
9.0.1.10.bad.test A 127.0.0.2
9.0.1.10.worse.test A 127.0.0.3
1.0.1.10.good.test A 127.0.0.1
";
/// The host that lists have.
const LISTED: u8 = 9;

struct Story {
    chance: Chance,
    simulation: Simulation,
    machine: Rc<Machine>,
    names: Rc<Names>,
    hosts: Vec<(u8, SimWorld)>,
    /// Clients that are at it.
    busy: Rc<Cell<usize>>,
    /// Host, and what became of a message.
    fates: Rc<RefCell<Vec<(u8, Fate)>>>,
    mails: usize,
}

impl Story {
    fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let simulation = Simulation::new(chance.number());
        let places = 1 + chance.below(5);
        let rows = "smtp inet n - n - 1 postscreen\ndnsblog unix - - n - 0 dnsblog\n";
        let machine = Rc::new(Machine::new(MAIN_CF, &format!("{rows}smtpd pass - - n - {places} smtpd\n")));
        let host = |last: u8| (last, simulation.host([10, 1, 0, last].into(), SimDisk::new()));
        let hosts: Vec<_> = [1, 2, 3, LISTED].map(host).into();
        let names = Names::serve(&hosts[0].1, NAME_SERVER, ZONE);
        let (busy, fates) = (Rc::default(), Rc::default());
        Self { chance, simulation, machine, names, hosts, busy, fates, mails: 0 }
    }

    fn run(mut self) -> Result<(), String> {
        let up = self.machine.boot(&self.simulation, None);
        self.simulation.set_weather(Weather::draw(&mut self.chance));
        self.names.set_trouble(1 + self.chance.below(4));
        self.clients(true);
        let foul = Duration::from_secs(1 + self.chance.below(60) as u64);
        self.live(foul, &|| false)?;
        self.simulation.set_weather(Weather::FAIR);
        self.names.set_trouble(0);
        self.settle()?;
        self.fates.take();
        self.clients(false);
        self.settle()?;
        for (host, fate) in self.fates.take() {
            let is_as_it_should_be = match fate {
                Fate::Acknowledged(_) => host != LISTED,
                Fate::Refused => host == LISTED,
                Fate::Unknown => false,
            };
            if !is_as_it_should_be {
                return Err(format!("mail of host {host} in fair weather: {fate:?}"));
            }
        }
        self.drain(&up)?;
        self.machine.check_log()
    }

    /// Until every client is done.
    fn settle(&self) -> Result<(), String> {
        let busy = Rc::clone(&self.busy);
        self.live(LONGEST + BEGINS_MAX + CONNECT_MAX, &|| busy.get() == 0)?;
        match busy.get() {
            0 => Ok(()),
            left => Err(format!("quiesce: {left} clients are never let go")),
        }
    }

    fn drain(&self, up: &Up) -> Result<(), String> {
        let (receive, is_drained) = (Rc::clone(&up.receive), Rc::new(Cell::new(false)));
        let drained = Rc::clone(&is_drained);
        up.world.spawn(async move {
            receive.drain(LONGEST).await;
            drained.set(true);
        });
        let begun = self.simulation.now();
        self.live(LONGEST * 2, &|| is_drained.get())?;
        let took = self.simulation.now().since(begun);
        if took < Duration::from_secs(400) { Ok(()) } else { Err(format!("quiesce: draining took {took:?}")) }
    }

    fn live(&self, at_most: Duration, is_over: &dyn Fn() -> bool) -> Result<(), String> {
        self.simulation.live(at_most, is_over)
    }

    fn clients(&mut self, is_foul: bool) {
        for _ in 0..4 + self.chance.below(12) {
            let (host, world) = self.hosts[self.chance.below(self.hosts.len())].clone();
            self.busy.set(self.busy.get() + 1);
            let (busy, begins) =
                (Rc::clone(&self.busy), Duration::from_millis(self.chance.below(9_000) as u64));
            // Who has passed and says nothing holds an SMTP server's place for long.
            let kind = if is_foul { self.chance.below(4) } else { 1 + self.chance.below(3) };
            let mail = self.mail();
            let fates = Rc::clone(&self.fates);
            world.clone().spawn(async move {
                world.sleep(begins).await;
                match kind {
                    0 => nuisance(&world, b"").await,
                    1 => nuisance(&world, b"HELO spam.test\r\nMAIL FROM:<>\r\n").await,
                    _ => {
                        let server = smtp_endpoint();
                        let mischief_one_in = if is_foul { 6 } else { 0 };
                        let client = MailClient { world: world.clone(), server, mischief_one_in };
                        let heard = |_: &Mail, fate| fates.borrow_mut().push((host, fate));
                        client.send(&[mail], heard).await;
                    }
                }
                busy.set(busy.get() - 1);
            });
        }
    }

    fn mail(&mut self) -> Mail {
        self.mails += 1;
        let to = vec!["a@relay.test".to_owned()];
        Mail::draw(format!("m{}", self.mails), "a@sim.test".to_owned(), to, (TEXTS, &mut self.chance))
    }
}

/// Says something at once, or nothing ever, and stays until it is let go.
async fn nuisance(world: &SimWorld, words: &[u8]) {
    let Ok(mut stream) = world.connect(&smtp_endpoint(), None, CONNECT_MAX).await else { return };
    if !words.is_empty() && stream.write_all(words).await.is_err() {
        return;
    }
    let mut buffer = [0; 512];
    // A connection that fell silent says nothing of its end.
    let listening = async { while matches!(stream.read(&mut buffer).await, Ok(1..)) {} };
    world.timeout(LONGEST, listening).await;
}

#[test]
fn clients_before_postscreen_are_all_dealt_with() {
    for_seeds("clients_before_postscreen", SEEDS, |seed| Story::new(seed).run());
}

#[test]
fn a_seed_makes_the_same_screening_each_time() {
    is_the_same_each_time(|seed| {
        let story = Story::new(seed);
        (Rc::clone(&story.machine), move || story.run())
    });
}
