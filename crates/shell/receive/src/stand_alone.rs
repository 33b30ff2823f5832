//! `smtpd -S`, which `sendmail -bs` runs: one SMTP session over standard input and output.
//!
//! A local user is under no restriction, as with the sendmail command itself, and the mail goes to postdrop: that works
//! while the mail system is stopped, and needs no rights. As mail_owner the session is like one on the network
//! (sendmail(1): "to enable them, run the process as the mail_owner user"), and the mail goes into the queue. Whoever is
//! connected to the network is served as mail_owner or not at all.
//!
//! Diagnostics: what is fatal goes to the log and to standard error, and the exit code is 1; else it is 0, however the
//! session ended.

use crate::{
    Shared,
    queueing::Queueing,
    service::{Manner, Row, SmtpService},
    session::{Attendant, Connection},
    submitting::Submitting,
};
use config::{Configuration, Values, params as p};
use logsink::{LogSettings, LogSink};
use maillog::{Logger, Severity};
use net::{Builder, InputEnd, Live, StandardStreams};
use process::{Host, Libraries, Process, SystemDisk};
use queue::{Queue, RealDisk};
use smtpd::{Peer, SmtpdSettings, StandAlone, peer_name};
use std::{
    ffi::OsString,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::{Path, PathBuf},
    rc::Rc,
    time::Duration,
};
use sys::{control::EndpointKind, credentials};
use tables::Registry;
use world::World;

const USAGE: &str = "usage: smtpd -S [-v] [-o name=value]; without -S it is a service of master";

/// How long to wait for somebody to be told that there is mail.
const WORD_LIMIT: Duration = Duration::from_secs(5);

/// The program; returns its exit code.
#[must_use]
pub fn smtpd(arguments: &[OsString]) -> i32 {
    if sys::process::open_standard_descriptors().is_err() {
        return 1;
    }
    match Program::begin(arguments) {
        Ok(program) => match program.run() {
            Ok(()) => 0,
            Err(why) => {
                eprintln!("smtpd: fatal: {why}");
                program.logger.write(Severity::Fatal, &why);
                1
            }
        },
        Err(why) => {
            eprintln!("smtpd: fatal: {why}");
            1
        }
    }
}

struct Program {
    directory: PathBuf,
    configuration: Configuration,
    /// main.cf with what `-o` says.
    values: Values,
    logger: Logger,
}

/// `name=value` of each `-o`.
fn options(arguments: &[OsString]) -> Result<Vec<(String, String)>, String> {
    let usage = || USAGE.to_owned();
    let (mut overrides, mut is_stand_alone) = (Vec::new(), false);
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let word = word.to_str().ok_or_else(usage)?;
        match word {
            "-S" => is_stand_alone = true,
            "-v" | "-D" => {}
            _ => {
                let given = word.strip_prefix("-o").ok_or_else(usage)?;
                let given =
                    if given.is_empty() { words.next().and_then(|w| w.to_str()) } else { Some(given) };
                let (name, value) = given.and_then(|given| given.split_once('=')).ok_or_else(usage)?;
                overrides.push((name.trim().to_owned(), value.trim().to_owned()));
            }
        }
    }
    if is_stand_alone { Ok(overrides) } else { Err(usage()) }
}

impl Program {
    fn begin(arguments: &[OsString]) -> Result<Self, String> {
        net::remember_panics();
        let overrides = options(arguments)?;
        let directory = config_files::directory(None);
        let configuration = config_files::load_main(&directory).map_err(|trouble| trouble.to_string())?;
        let overrides: Vec<(&str, &str)> = overrides.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let values = configuration.values().with(&overrides);
        let settings = LogSettings::load(&values).map_err(|invalid| invalid.to_string())?;
        let sink = LogSink::open(&settings).map_err(|error| format!("open the log: {error}"))?;
        let tag = process::tag(&values, "smtpd");
        let logger = Logger::new(Rc::new(sink), &tag, std::process::id());
        Ok(Self { directory, configuration, values, logger })
    }

    fn run(&self) -> Result<(), String> {
        let queue_directory = Path::new(self.values.text(p::queue_directory));
        let failed = |what: &str, error: &std::io::Error| {
            let reason = config_files::reason(error);
            format!("{what} {}: {reason}", queue_directory.display())
        };
        std::env::set_current_dir(queue_directory).map_err(|error| failed("chdir", &error))?;
        let owner = credentials::account_by_name(self.values.text(p::mail_owner)).ok().flatten();
        let (uid, euid) = (credentials::real_uid(), credentials::effective_uid());
        let is_owner = owner.is_some_and(|owner| owner.uid == uid && owner.uid == euid);
        let end = InputEnd::find();
        if end != InputEnd::Local && !is_owner {
            let text = format!("incorrect SMTP server privileges: uid={uid} euid={euid}");
            self.logger.write(Severity::Error, &text);
            return Err("the Postfix SMTP server must run with $mail_owner privileges".to_owned());
        }
        let disk: SystemDisk = RealDisk::open(Path::new(".")).map_err(|error| failed("open", &error))?.into();
        let ran = net::run(Builder::new(disk.clone()), async |world| {
            if is_owner { self.serve_as_owner(world, disk, end).await } else { self.serve(world).await }
        });
        ran.map_err(|error| error.to_string())?
    }

    /// Where a client is that is not on the network, as far as anybody wants to know.
    fn loopback(&self) -> IpAddr {
        let protocols = self.values.list(p::inet_protocols);
        if protocols == ["ipv6"] { Ipv6Addr::LOCALHOST.into() } else { Ipv4Addr::LOCALHOST.into() }
    }

    async fn serve(&self, world: Live<SystemDisk>) -> Result<(), String> {
        let settings =
            SmtpdSettings::load_stand_alone(&self.values).map_err(|invalid| invalid.to_string())?;
        let settings = Rc::new(settings);
        let registry = Registry::new(&self.values, self.logger.clone());
        let judge = StandAlone::new(Rc::clone(&settings), &self.values, &registry);
        let around = (self.values.clone(), self.directory.clone());
        let attendant = Submitting::new(world.clone(), judge, around, self.logger.clone());
        self.talk(&world, attendant, settings, Peer::stand_alone(self.loopback())).await;
        Ok(())
    }

    async fn serve_as_owner(
        &self,
        world: Live<SystemDisk>,
        disk: SystemDisk,
        end: InputEnd,
    ) -> Result<(), String> {
        // cleanup and trivial-rewrite are rows of master.cf, which the session itself does not need.
        let configuration =
            config_files::load(&self.directory).unwrap_or_else(|_| self.configuration.clone());
        let process = Process::told(configuration, Host::read(), self.logger.sink());
        let queue = Queue::new(disk, process::queue_settings(&self.values));
        let shared = Rc::new(Shared::new(&world, queue, &process));
        let libraries = Libraries::new(&process, &shared.openers);
        let service = Rc::new(SmtpService::new(
            &shared,
            (&process, &libraries),
            Row { service: "smtpd", sessions_max: 1, kind: EndpointKind::Unix, is_chrooted: false },
            &self.values,
        )?);
        let peer = match end {
            InputEnd::Network(client, own) => {
                let peer = Peer::unknown(client.ip(), client.port(), own.ip(), own.port());
                match service.smtpd_peername_lookup {
                    true => peer_name(peer, service.host_names.as_ref(), &self.logger).await,
                    false => peer,
                }
            }
            InputEnd::Local => Peer::local(self.loopback()),
            InputEnd::Unknown => Peer::nobody(),
        };
        let Manner { settings, judge } = service.manner.clone();
        let attendant = Queueing::new(Rc::clone(&shared), service, judge);
        self.talk(&world, attendant, settings, peer).await;
        // A queue manager that is not there looks by itself when it comes.
        world.timeout(WORD_LIMIT, shared.word.sent()).await;
        Ok(())
    }

    async fn talk(
        &self,
        world: &Live<SystemDisk>,
        attendant: impl Attendant,
        settings: Rc<SmtpdSettings>,
        peer: Peer,
    ) {
        let (world, logger) = (world.clone(), self.logger.clone());
        let stream = StandardStreams::new(world.clone());
        Connection { world, stream, attendant, settings, counters: None, logger }.run(peer).await;
    }
}
