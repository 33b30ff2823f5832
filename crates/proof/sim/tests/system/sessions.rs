//! Receive sessions whose helpers are in trouble: name servers that are late, silent or fickle, a table behind a
//! connection, probes of addresses and who delivers them, the counters of clients; and clients that die at any byte.
//! Whatever happens, each client hears replies of the right form and in time, nobody gets by whom a rule that could not be asked would have
//! refused, who needs no helper is served meanwhile, and what got a 250 is on the disk.

use crate::{
    caller::{Death, Heard, Script},
    deliver::{MASTER_CF, ZONE as SERVERS},
    machine::{Down, Machine, NAME_SERVER, Up, for_seeds, is_the_same_each_time},
    mailboxes::Mailboxes,
    moody::Moody,
    tables,
};
use sim::{
    Chance, Limits, MailServer, Names, NoLoss, Run, SimDisk, SimWorld, Simulation, Weather, stored,
    todo_by_name,
};
use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    rc::Rc,
    time::Duration,
};
use types::QueueName;
use world::{Endpoint, World};

const SEEDS: u64 = 200;
const BOOTS: usize = 3;
const SESSIONS_MAX: usize = 12;
/// Nobody is in a session for longer, or waits longer for his turn in one, whatever the helpers do.
const SESSION_TIME_MAX: Duration = Duration::from_secs(4 * 3600);
/// Who needs no helper but the one that knows his name.
const BYSTANDER_TIME_MAX: Duration = Duration::from_secs(60);
const TABLES: ([u8; 4], u16) = ([10, 1, 0, 8], 9997);
/// What is taken is held, so that it can be counted.
const MAIN_CF: &str = "
mynetworks = 10.3.0.0/16
relay_domains = relay.test, null.test
relay_recipient_maps =
smtpd_client_restrictions = permit_mynetworks, reject_rbl_client list.test
smtpd_helo_restrictions = permit_mynetworks, reject_unknown_helo_hostname
smtpd_sender_restrictions = permit_mynetworks, check_sender_mx_access inline:{10.9.9.9=REJECT}, reject_unknown_sender_domain
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
smtpd_recipient_restrictions = permit_mynetworks, check_recipient_access tcp:10.1.0.8:9997, reject_unverified_recipient
smtpd_data_restrictions = check_client_access static:HOLD
smtpd_client_connection_count_limit = 6
";
const ZONE: &str = "
2.0.1.10.in-addr.arpa PTR stranger.sim.test
stranger.sim.test     A 10.1.0.2
1.0.3.10.in-addr.arpa PTR bystander.sim.test
bystander.sim.test    A 10.3.0.1
sim.test              MX 10 mail.sim.test
mail.sim.test         A 10.2.0.5
evil.test             MX 10 mail.evil.test
mail.evil.test        A 10.9.9.9
mail.fickle.test      A 10.2.0.5
fickle.test           MX 10 mail.fickle.test
relay.test            MX 10 mx1.a.test
";
const HELO_NAMES: [&str; 3] = ["stranger.sim.test", "mail.fickle.test", "missing.test"];
const SENDERS: [&str; 5] = ["s@sim.test", "s@fickle.test", "s@missing.test", "s@evil.test", ""];
const RECIPIENTS: [&str; 5] =
    ["a@relay.test", "b@relay.test", "c@relay.test", "n@null.test", "x@elsewhere.test"];

/// What Postfix says here to whom it does not take mail from, and while its helpers are in trouble.
const REFUSALS: &[(&str, &str)] = &[
    ("421 4.7.0 ", "Error: too many connections"),
    ("450 4.1.8 ", "Sender address rejected: Domain not found"),
    ("450 4.7.1 ", "Helo command rejected: Host not found"),
    ("451 4.3.5 ", "Recipient address rejected: Server configuration error"),
    ("450 4.1.1 ", "Recipient address rejected: unverified address: "),
    ("450 4.1.1 ", "Recipient address rejected: address verification problem"),
    ("554 5.7.1 ", "Recipient address rejected: Access denied"),
    ("554 5.7.1 ", "Sender address rejected: Access denied"),
    ("554 5.7.1 ", "Relay access denied"),
    ("554 5.5.1 ", "Error: no valid recipients"),
    ("421 4.4.2 ", "Error: timeout exceeded"),
];

#[test]
fn helpers_in_trouble_break_no_promise_and_no_rule() {
    let tallies = for_seeds("helpers_in_trouble", SEEDS, |seed| Story::new(seed).run());
    let sum = |of: fn(&Tally) -> usize| tallies.iter().map(of).sum::<usize>();
    assert!(sum(|tally| tally.bystanders) > 0);
    if tallies.len() > 1 {
        // What is to be tried was tried.
        assert!(sum(|tally| tally.taken) > 0 && sum(|tally| tally.died) > 0 && sum(|tally| tally.asked) > 0);
        for (code, text) in REFUSALS {
            let is_heard = |tally: &Tally| {
                tally.refusals.iter().any(|heard| heard.starts_with(code) && heard.contains(text))
            };
            assert!(tallies.iter().any(is_heard), "nobody heard: {code}{text}");
        }
    }
}

#[test]
fn a_seed_makes_the_same_run_each_time() {
    is_the_same_each_time(|seed| {
        let story = Story::new(seed);
        (Rc::clone(&story.machine), move || story.run())
    });
}

#[derive(Debug, Default)]
struct Tally {
    taken: usize,
    died: usize,
    asked: usize,
    bystanders: usize,
    refusals: Vec<String>,
}

#[derive(Default)]
struct Book {
    no_loss: NoLoss,
    tally: Tally,
    mails: usize,
    broken: Option<String>,
}

struct Story {
    chance: Chance,
    simulation: Simulation,
    machine: Rc<Machine>,
    outside: SimWorld,
    bystander: SimWorld,
    names: Rc<Names>,
    table: Rc<Moody>,
    server: Rc<MailServer>,
    mailboxes: Rc<Mailboxes>,
    book: Rc<RefCell<Book>>,
    /// How often the machine went down.
    downs: Rc<Cell<usize>>,
}

/// A client that is on its way.
struct Client {
    is_done: Rc<Cell<bool>>,
}

impl Story {
    fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let simulation = Simulation::new(chance.number());
        let cache = ["", "fail:verify"][usize::from(chance.one_in(4))];
        let main_cf = format!("{MAIN_CF}address_verify_map = {cache}\n");
        let rows = MASTER_CF.replace(" 10 smtpd", &format!(" {SESSIONS_MAX} smtpd"));
        let machine = Machine::new(&main_cf, &format!("{rows}verify   unix - - n - 1 verify\n"));
        let outside = simulation.host([10, 1, 0, 2].into(), SimDisk::new());
        let bystander = simulation.host([10, 3, 0, 1].into(), SimDisk::new());
        let names = Names::serve(&outside, NAME_SERVER, &format!("{ZONE}{SERVERS}"));
        let tables = simulation.host(TABLES.0.into(), SimDisk::new());
        let table = Moody::start(&tables, SocketAddr::from(TABLES), tables::TABLE);
        let at = (Endpoint::Inet(SocketAddr::from(([10, 2, 0, 1], 25))), false);
        let server = MailServer::start(&outside, at, |_| {}, |_| {});
        let mailboxes = Mailboxes::new(&outside, &Rc::default());
        let (machine, book, downs) = (Rc::new(machine), Rc::default(), Rc::default());
        Self { chance, simulation, machine, outside, bystander, names, table, server, mailboxes, book, downs }
    }

    fn run(mut self) -> Result<Tally, String> {
        for _ in 0..BOOTS {
            self.trouble();
            // Some days nobody delivers, and nobody makes probes.
            let agents = if self.chance.one_in(4) { None } else { Some(Rc::clone(&self.mailboxes) as _) };
            let up = self.machine.boot(&self.simulation, agents);
            let clients = self.clients();
            let crashes = self.chance.one_in(2);
            let span = if crashes {
                Duration::from_secs(1 + self.chance.below(100) as u64)
            } else {
                SESSION_TIME_MAX
            };
            let all_done = || clients.iter().all(|client| client.is_done.get());
            self.live(&up, span, all_done)?;
            if !crashes && !all_done() {
                return Err(format!("a client waits for more than {SESSION_TIME_MAX:?}"));
            }
            let how = if self.chance.one_in(3) { Down::Kill } else { Down::Power };
            self.downs.set(self.downs.get() + 1);
            self.machine.down(&self.simulation, &up, how, &mut self.chance);
            self.check()?;
        }
        self.last_day()?;
        self.machine.check_log()?;
        self.book.borrow_mut().tally.asked = self.table.asked.get();
        Ok(std::mem::take(&mut self.book.borrow_mut().tally))
    }

    /// When all is well again, all is as if nothing had been.
    fn last_day(&mut self) -> Result<(), String> {
        self.names.set_trouble(0);
        self.names.set_lateness(0);
        self.table.trouble_one_in.set(0);
        self.table.is_away.set(false);
        self.server.temper.set(sim::Temper::default());
        let up = self.machine.boot(&self.simulation, Some(Rc::clone(&self.mailboxes) as _));
        let heard = Rc::new(RefCell::new(Heard::default()));
        let (kept, world) = (Rc::clone(&heard), self.outside.clone());
        let script =
            Script::of_mail("stranger.sim.test", "s@sim.test", &["a@relay.test", "c@relay.test"], "last");
        let done = Rc::new(Cell::new(false));
        let is_done = Rc::clone(&done);
        self.outside.spawn(async move {
            // What a server that was away left unsaid, probes find out by now.
            world.sleep(Duration::from_secs(2 * 3600)).await;
            *kept.borrow_mut() = script.play(&world).await;
            is_done.set(true);
        });
        self.live(&up, SESSION_TIME_MAX, || done.get())?;
        let heard = heard.borrow();
        let codes: Vec<&str> = heard.replies.iter().filter_map(|reply| reply.get(..3)).collect();
        if codes != ["220", "250", "250", "250", "554", "354", "250", "221"] || up.receive.sessions() > 1 {
            return Err(format!("on the last day: {heard:?}"));
        }
        self.machine.down(&self.simulation, &up, Down::Kill, &mut self.chance);
        self.check()
    }

    fn trouble(&mut self) {
        let chance = &mut self.chance;
        self.names.set_trouble([0, 1, 3, 6][chance.below(4)]);
        self.names.set_lateness([0, 1, 3][chance.below(3)]);
        self.table.trouble_one_in.set([0, 1, 3, 10][chance.below(4)]);
        self.table.is_away.set(chance.one_in(4));
        let times = [0, 1, 4][chance.below(3)];
        let temper = sim::Temper {
            trouble_one_in: times,
            defers_one_in: [0, 3][chance.below(2)],
            refuses_one_in: [0, 3][chance.below(2)],
            is_mute: chance.one_in(6),
        };
        self.server.temper.set(temper);
        self.simulation.set_weather(Weather::FAIR);
        self.machine.disk.set_latency_max(Duration::from_millis([0, 300][chance.below(2)]));
        // A table that is away comes back.
        let (table, world) = (Rc::clone(&self.table), self.outside.clone());
        let back = Duration::from_secs(chance.below(600) as u64);
        self.outside.spawn(async move {
            world.sleep(back).await;
            table.is_away.set(false);
        });
    }

    fn clients(&mut self) -> Vec<Client> {
        let strangers = 1 + self.chance.below(10);
        let mut clients: Vec<Client> = (0..strangers).map(|_| self.stranger()).collect();
        clients.push(self.neighbour());
        clients
    }

    fn name(&self) -> String {
        let mut book = self.book.borrow_mut();
        book.mails += 1;
        format!("m{}", book.mails)
    }

    /// Somebody whom the rules are about.
    fn stranger(&mut self) -> Client {
        let name = self.name();
        let chance = &mut self.chance;
        let helo = HELO_NAMES[if chance.one_in(2) { 0 } else { chance.below(HELO_NAMES.len()) }];
        let sender = SENDERS[if chance.one_in(2) { 0 } else { chance.below(SENDERS.len()) }];
        let mut recipients: Vec<&str> =
            (0..1 + chance.below(3)).map(|_| RECIPIENTS[chance.below(RECIPIENTS.len())]).collect();
        recipients.sort_unstable();
        recipients.dedup();
        let mut script = Script::of_mail(helo, sender, &recipients, &name);
        if chance.one_in(3) {
            let deaths = [Death::Close, Death::Reset, Death::HalfClose, Death::Silence];
            script.death = Some((chance.below(script.bytes()), deaths[chance.below(deaths.len())]));
        }
        let begins = Duration::from_millis(chance.below(60_000) as u64);
        let (world, book) = (self.outside.clone(), Rc::clone(&self.book));
        let told = move |heard: Heard, script: &Script, _| {
            book.borrow_mut().heard(&name, (sender, &recipients), script, &heard);
        };
        start(world, begins, script, told)
    }

    /// Somebody whom no rule is about: he is served whatever the others wait for.
    fn neighbour(&mut self) -> Client {
        let name = self.name();
        let script = Script::of_mail("bystander", "s@sim.test", &["a@relay.test"], &name);
        let begins = Duration::from_millis(self.chance.below(120_000) as u64);
        let (world, book) = (self.bystander.clone(), Rc::clone(&self.book));
        let (downs, before) = (Rc::clone(&self.downs), self.downs.get());
        let told = move |heard: Heard, script: &Script, took: Duration| {
            let mut book = book.borrow_mut();
            let is_served = heard.replies.iter().any(|reply| reply.contains("queued as"));
            let was_up = downs.get() == before;
            if was_up && (!is_served || took > BYSTANDER_TIME_MAX) && book.broken.is_none() {
                book.broken = Some(format!("{took:?} for a bystander who heard {heard:?}"));
            }
            book.tally.bystanders += usize::from(is_served);
            book.heard(&name, ("bystander", &["a@relay.test"]), script, &heard);
        };
        start(world, begins, script, told)
    }

    fn live(&self, up: &Up, at_most: Duration, is_over: impl Fn() -> bool) -> Result<(), String> {
        let mut limits = Limits::new(SESSIONS_MAX, usize::MAX);
        let lived = self.simulation.live(at_most, || {
            limits.observe(up.receive.sessions(), 0);
            is_over()
        });
        limits.check().and(lived)
    }

    fn check(&self) -> Result<(), String> {
        let found = stored(&self.machine.queue()).map_err(|error| error.to_string())?;
        let mut book = self.book.borrow_mut();
        book.broken.take().map_or(Ok(()), Err)?;
        book.no_loss.check(&todo_by_name(&found))
    }
}

/// A client begins some time from now; `told` hears what it heard, and how long that took.
fn start(
    world: SimWorld,
    begins: Duration,
    script: Script,
    told: impl FnOnce(Heard, &Script, Duration) + 'static,
) -> Client {
    let is_done = Rc::new(Cell::new(false));
    let done = Rc::clone(&is_done);
    world.clone().spawn(async move {
        world.sleep(begins).await;
        let begun = world.now();
        let heard = script.play(&world).await;
        told(heard, &script, world.now().since(begun));
        done.set(true);
    });
    Client { is_done }
}

impl Book {
    fn heard(&mut self, name: &str, (sender, recipients): (&str, &[&str]), script: &Script, heard: &Heard) {
        if let Some(what) = &heard.broken {
            self.broken.get_or_insert_with(|| format!("{name}: {what}"));
        }
        self.tally.died += usize::from(script.death.is_some() && !heard.is_complete);
        for reply in heard.replies.iter().filter(|reply| reply.starts_with(['4', '5'])) {
            let is_known =
                REFUSALS.iter().any(|(code, text)| reply.starts_with(code) && reply.contains(text));
            if !is_known {
                self.broken.get_or_insert_with(|| format!("{name}: not what Postfix says: {reply}"));
            }
            self.tally.refusals.push(reply.clone());
        }
        // Greeting, EHLO and MAIL come first.
        let answers = heard.replies.iter().skip(3);
        let accepted = recipients.iter().zip(answers).filter(|(_, reply)| reply.starts_with("250 2.1.5 "));
        let accepted: Vec<String> = accepted.map(|(recipient, _)| (*recipient).to_owned()).collect();
        let against = |recipient: &String| {
            ["c@relay.test", "n@null.test", "x@elsewhere.test"].contains(&recipient.as_str())
                || sender == "s@missing.test"
        };
        if let Some(recipient) = accepted.iter().find(|recipient| against(recipient)) {
            self.broken.get_or_insert_with(|| format!("{name}: {recipient} was taken from <{sender}>"));
        }
        if heard.replies.iter().any(|reply| reply.contains("queued as")) {
            self.tally.taken += 1;
            self.no_loss.acknowledged(name, accepted);
        }
    }
}

/// A client may die at each byte of a session: nothing is left of it but a message that it had ended.
#[test]
fn a_client_that_dies_at_any_byte_leaves_nothing() {
    let script =
        || Script::of_mail("stranger.sim.test", "s@sim.test", &["a@relay.test", "c@relay.test"], "m0");
    for death in [Death::Close, Death::Reset, Death::HalfClose, Death::Silence] {
        let story = Story::new(1);
        let up = story.machine.boot(&story.simulation, Some(Rc::clone(&story.mailboxes) as _));
        let (heard, done) = (Rc::new(RefCell::new(Vec::new())), Rc::new(Cell::new(false)));
        let (kept, is_done, world) = (Rc::clone(&heard), Rc::clone(&done), story.outside.clone());
        story.outside.spawn(async move {
            for at in (0..=script().bytes()).rev() {
                let mut script = script();
                script.death = Some((at, death));
                let heard = script.play(&world).await;
                kept.borrow_mut().push((at, heard));
                // So many messages a minute are allowed.
                world.sleep(Duration::from_secs(10)).await;
            }
            is_done.set(true);
        });
        let ended = story.simulation.run_until(|| done.get());
        assert_ne!(ended, Run::Circle, "{death:?}");
        let heard = heard.borrow();
        let words = |heard: &Heard| -> Vec<String> {
            let replies = heard.replies.iter().filter(|reply| !reply.starts_with("421 4.4.2 "));
            replies.map(|reply| reply.split("queued as").next().unwrap_or_default().to_owned()).collect()
        };
        let whole = words(&heard[0].1);
        assert_eq!(whole.last().map(|reply| &reply[..3]), Some("221"), "{whole:?}");
        for (at, heard) in heard.iter() {
            assert_eq!(heard.broken, None, "{death:?} at {at}");
            let words = words(heard);
            assert_eq!(words, whole[..words.len()], "{death:?} at {at}");
        }
        assert!(up.receive.sessions() <= 1, "{death:?}: {} sessions are left", up.receive.sessions());
        let mut unfinished = 0;
        let listed = story.machine.queue().scan(QueueName::Incoming, &mut |entry| {
            unfinished += usize::from(!entry.is_ready());
            true
        });
        listed.expect("the disk is well");
        assert!(unfinished <= 1, "{death:?}: {unfinished} files are left unfinished");
        let taken =
            heard.iter().filter(|(_, heard)| heard.replies.iter().any(|reply| reply.contains("queued as")));
        let held = stored(&story.machine.queue()).expect("the disk is well");
        let held = held.iter().filter(|message| message.name.is_some()).count();
        // Who closes behind the final dot does not hear that his message was taken.
        assert!((taken.clone().count()..=taken.count() + 1).contains(&held), "{death:?}: {held}");
    }
}
