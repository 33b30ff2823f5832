//! The whole system on a simulated machine.

use config::{Configuration, Environment, Paths, ServiceType};
use deliver::{Agents, Deliver};
use maillog::{Line, Sink};
use message::LocalZone;
use process::{Host, Process};
use queue::{Queue, QueueSettings};
use receive::Receive;
use sim::{Chance, Names, SimDisk, SimListener, SimWorld, Simulation, WRITEBACK, Weather};
use std::{
    cell::RefCell,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    rc::{Rc, Weak},
    time::Duration,
};
use sys::control::{EndpointKind, ServedRow};
use world::{Endpoint, World};

pub(crate) const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
pub(crate) const NAME_SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 53)), 53);
/// qmgr's wake-up time in every master.cf.
const QMGR_WAKEUP: Duration = Duration::from_secs(300);
/// No generation has this much to do.
const DRAIN_MAX: Duration = Duration::from_secs(3_600);
const SPOOL: &str = "/sim/spool";

pub(crate) fn smtp_endpoint() -> Endpoint {
    Endpoint::Inet(SocketAddr::new(ADDRESS, 25))
}

pub(crate) fn public(service: &str) -> Endpoint {
    Endpoint::Unix(PathBuf::from(SPOOL).join("public").join(service))
}

fn private(service: &str) -> Endpoint {
    Endpoint::Unix(PathBuf::from(SPOOL).join("private").join(service))
}

/// Runs seeds, or the one that SIM_SEED names, and says how to repeat one that fails.
pub(crate) fn for_seeds<T>(test: &str, seeds: u64, mut run: impl FnMut(u64) -> Result<T, String>) -> Vec<T> {
    let seeds = match std::env::var("SIM_SEED") {
        Ok(seed) => vec![seed.parse().expect("SIM_SEED is a number")],
        Err(_) => (0..seeds).collect(),
    };
    let one = |seed| {
        let repeat = Repeat { test, seed };
        let result = run(seed);
        if let Err(what) = &result {
            panic!("{what}");
        }
        std::mem::forget(repeat);
        result.expect("it was looked at")
    };
    seeds.into_iter().map(one).collect()
}

/// Runs a few seeds twice, whatever they find: machines log the same, and make as many calls of their disks.
pub(crate) fn is_the_same_each_time<F: FnOnce() -> T, T>(story: impl Fn(u64) -> (Rc<Machine>, F)) {
    let log = |seed| {
        let (machine, run) = story(seed);
        drop(run());
        (machine.log.take(), machine.disk.calls())
    };
    for seed in 0..3 {
        let (first, second) = (log(seed), log(seed));
        let differs = first.0.iter().zip(&second.0).find(|(first, second)| first != second);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(first, second, "seed {seed}");
    }
}

/// Says how to repeat a run that panics.
struct Repeat<'a> {
    test: &'a str,
    seed: u64,
}

impl Drop for Repeat<'_> {
    fn drop(&mut self) {
        let Self { test, seed } = self;
        eprintln!(
            "seed {seed} failed; again: SIM_SEED={seed} SIM_LOG=1 cargo test -p sim --test system {test}"
        );
    }
}

/// Log lines with their times; printed at the end when SIM_LOG is set.
pub(crate) struct Lines {
    world: SimWorld,
    lines: Rc<RefCell<Vec<String>>>,
}

impl Sink for Lines {
    fn write(&self, line: Line<'_>) {
        let nanos = self.world.now().as_nanos();
        let text = format!(
            "{:>12.6} {}[{}]: {}{}",
            std::time::Duration::from_nanos(nanos).as_secs_f64(),
            line.tag,
            line.session,
            line.severity.prefix(),
            line.text
        );
        if is_loud() {
            eprintln!("{text}");
        }
        self.lines.borrow_mut().push(text);
    }
}

fn is_loud() -> bool {
    std::env::var_os("SIM_LOG").is_some()
}

/// A machine with its disk, which comes up and goes down.
pub(crate) struct Machine {
    pub(crate) disk: SimDisk,
    main_cf: String,
    master_cf: String,
    pub(crate) log: Rc<RefCell<Vec<String>>>,
}

/// The sockets that master holds, for one generation after the other.
#[derive(Clone)]
pub(crate) struct Sockets {
    smtp: SimListener,
    word: SimListener,
    pickup: SimListener,
    /// Where deliver runs and master.cf has the row.
    verify: Option<SimListener>,
}

/// The processes of one generation, each with its own tasks.
pub(crate) struct Generation {
    receive_process: SimWorld,
    deliver_process: SimWorld,
    pub(crate) receive: Rc<Receive<SimWorld>>,
    deliver: Option<Rc<Deliver<SimWorld>>>,
}

impl Generation {
    /// Takes up the queue.
    fn deliver(&self, sockets: &Sockets) {
        let Some(deliver) = &self.deliver else { return };
        let mut rows = vec![served("qmgr", EndpointKind::Unix, "qmgr", &sockets.word)];
        let verify = sockets.verify.iter();
        rows.extend(verify.map(|socket| served("verify", EndpointKind::Unix, "verify", socket)));
        deliver.start(rows);
        self.deliver_process.spawn(wake_up(self.deliver_process.clone(), Rc::downgrade(deliver)));
    }

    /// What a process does between master's word that another generation is there and its end.
    async fn follow_up(&self, next: &Self, sockets: &Sockets) {
        let world = self.receive_process.process();
        let (receive, process) = (Rc::clone(&self.receive), self.receive_process.clone());
        world.spawn(async move {
            receive.drain(DRAIN_MAX).await;
            process.exit();
        });
        if let Some(deliver) = &self.deliver {
            deliver.hand_over().await;
            next.deliver(sockets);
            deliver.finish(DRAIN_MAX).await;
            self.deliver_process.exit();
        }
    }
}

/// The system on it, running.
pub(crate) struct Up {
    pub(crate) world: SimWorld,
    pub(crate) receive: Rc<Receive<SimWorld>>,
    sockets: Sockets,
    generation: RefCell<Rc<Generation>>,
}

fn served(
    service: &str,
    kind: EndpointKind,
    program: &str,
    socket: &SimListener,
) -> (ServedRow, Vec<SimListener>) {
    let (service, program) = (service.to_owned(), program.to_owned());
    (ServedRow { service, kind, program, listeners: Vec::new() }, vec![socket.clone()])
}

/// The row of port 25, and those that postscreen wants.
fn smtp_rows(process: &Process, socket: &SimListener) -> Vec<(ServedRow, Vec<SimListener>)> {
    let row = process.configuration.master_cf().service("smtp", ServiceType::Inet);
    let program = row.map_or("smtpd", |row| row.command.as_str());
    let mut rows = vec![served("smtp", EndpointKind::Inet, program, socket)];
    if program == "postscreen" {
        let inside = [("smtpd", EndpointKind::Pass), ("dnsblog", EndpointKind::Unix)];
        rows.extend(inside.map(|(name, kind)| (served(name, kind, name, socket).0, Vec::new())));
    }
    rows
}

/// How it goes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Down {
    /// The power is cut: what was not synced may be lost.
    Power,
    /// The programs are killed.
    Kill,
}

impl Down {
    /// What may be forgotten: after a power cut what the kernel had not written, else what had not reached the kernel.
    pub(crate) const fn reach(self) -> Duration {
        match self {
            Self::Power => WRITEBACK,
            Self::Kill => Duration::from_secs(5),
        }
    }
}

/// What master does by the wake-up column of master.cf.
async fn wake_up(world: SimWorld, deliver: Weak<Deliver<SimWorld>>) {
    loop {
        world.sleep(QMGR_WAKEUP).await;
        let Some(deliver) = deliver.upgrade() else { return };
        deliver.wake_up("qmgr");
    }
}

impl Machine {
    pub(crate) fn new(main_cf: &str, master_cf: &str) -> Self {
        let main_cf = format!(
            "queue_directory = {SPOOL}\ndata_directory = /sim/data\nmyhostname = mx.sim.test\nmydestination =\n\
             alias_maps =\nlocal_recipient_maps =\ncompatibility_level = 3.10\n{main_cf}"
        );
        let machine =
            Self { disk: SimDisk::new(), main_cf, master_cf: master_cf.to_owned(), log: Rc::default() };
        machine.queue().make_directories().expect("the disk is new");
        machine
    }

    /// The queue as somebody beside the system sees it.
    pub(crate) fn queue(&self) -> Queue<SimDisk> {
        Queue::new(self.disk.clone(), QueueSettings::default())
    }

    /// Comes up; `agents` deliver to mailboxes, and without them nothing is delivered at all.
    pub(crate) fn boot(&self, simulation: &Simulation, agents: Option<Rc<dyn Agents>>) -> Up {
        let world = simulation.host(ADDRESS, self.disk.clone());
        let (word, pickup) = (world.bind(public("qmgr")), world.bind(public("pickup")));
        let has_verify = agents.is_some() && self.master_cf.contains("\nverify ");
        let verify = has_verify.then(|| world.bind(private("verify")));
        let sockets = Sockets { smtp: world.bind(smtp_endpoint()), word, pickup, verify };
        let generation = self.generation(&world, &sockets, agents);
        generation.deliver(&sockets);
        let receive = Rc::clone(&generation.receive);
        Up { world, receive, sockets, generation: RefCell::new(Rc::new(generation)) }
    }

    /// `postfix reload`
    pub(crate) fn reload(&self, up: &Up, agents: Option<Rc<dyn Agents>>) {
        let next = Rc::new(self.generation(&up.world, &up.sockets, agents));
        let (old, sockets) = (up.generation.replace(Rc::clone(&next)), up.sockets.clone());
        up.world.spawn(async move { old.follow_up(&next, &sockets).await });
    }

    /// New processes. They take connections at once, and the queue when they are told.
    fn generation(&self, host: &SimWorld, sockets: &Sockets, agents: Option<Rc<dyn Agents>>) -> Generation {
        let (receive_process, deliver_process) = (host.process(), host.process());
        let paths = Paths::in_directory("/sim");
        let (main, master) = (self.main_cf.as_bytes(), self.master_cf.as_bytes());
        let configuration = Configuration::load(main, master, &paths, &Environment::for_tests());
        let host = Host {
            resolv_conf: format!("nameserver {}\noptions timeout:2 attempts:2\n", NAME_SERVER.ip()),
            hosts: String::new(),
            zone: Some(LocalZone { utc_offset_seconds: 0, name: "UTC".to_owned() }),
        };
        let sink = Rc::new(Lines { world: receive_process.clone(), lines: Rc::clone(&self.log) });
        let process = Process::told(configuration.expect("the configuration is good"), host, sink);
        let queue = || Queue::new(self.disk.clone(), process::queue_settings(process.values()));
        let deliver = agents.map(|agents| {
            let deliver = Deliver::new(&deliver_process, queue(), &process, agents);
            Rc::new(deliver.expect("the settings are good"))
        });
        let mut rows = smtp_rows(&process, &sockets.smtp);
        if process.row_wakeup("pickup").is_some() {
            rows.push(served("pickup", EndpointKind::Unix, "pickup", &sockets.pickup));
        }
        let receive = Rc::new(Receive::start(&receive_process, queue(), &process, rows));
        Generation { receive_process, deliver_process, receive, deliver }
    }

    /// The network, the names and the disk are well from now on.
    pub(crate) fn fair_weather(&self, simulation: &Simulation, names: &Names) {
        simulation.set_weather(Weather::FAIR);
        names.set_trouble(0);
        self.disk.set_latency_max(Duration::ZERO);
        self.disk.set_trouble(0, 0);
    }

    /// The machine goes down as it is, and its disk is what is left of it.
    pub(crate) fn down(&self, simulation: &Simulation, up: &Up, how: Down, chance: &mut Chance) {
        self.log.borrow_mut().push(format!("{:?}: down by {how:?}", simulation.now()));
        if is_loud() {
            eprintln!("{:?}: down by {how:?}", simulation.now());
        }
        self.disk.stop();
        simulation.crash(&up.world);
        match how {
            Down::Power => self.disk.restart(chance),
            Down::Kill => self.disk.kill(),
        }
    }

    /// # Errors
    /// A bug that was caught, or a service that could not begin.
    pub(crate) fn check_log(&self) -> Result<(), String> {
        let lines = self.log.borrow();
        lines
            .iter()
            .find(|line| ["panic: ", "fatal: "].iter().any(|bad| line.contains(bad)))
            .map_or(Ok(()), |line| Err(line.clone()))
    }
}
