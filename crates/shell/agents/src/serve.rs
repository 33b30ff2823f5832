//! The loop of an agent process: one delivery after another for its user, until it is idle or worn out.

use crate::{Content, Errands, Office, Owner, Settings, Standing, Tables, perform};
use config::{Configuration, ServiceType, SpawnCommand, Values, params as p};
use local::{
    LocalSettings, VirtualSettings,
    agent::{Answer, MESSAGE_BYTES_MAX, Reply, Request},
};
use maillog::{Line, Logger, Severity, Sink};
use maps::Maps;
use std::{
    cell::RefCell,
    ffi::OsString,
    io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
    rc::Rc,
    time::{SystemTime, UNIX_EPOCH},
};
use sys::{credentials, memory_file, packet};
use tables::Registry;
use types::WallTime;
use world::{Caution, Tables as _};

/// The agent program: `posthaste-agent KIND CONFIG_DIRECTORY SERVICE USER ROLE`, started by master as the user whose
/// mail it delivers, with its socket to `deliver` as descriptor 3 and, if it may ask for anything, that to master as
/// descriptor 4. USER is empty for users that have a number only, and where nobody in particular stands behind default_privs;
/// ROLE is `user`, `root` or `default`. Gives the exit code.
///
/// Trouble with the configuration or the protocol is printed and ends the process with 1; `deliver` then defers
/// what it was delivering.
#[must_use]
pub fn main(arguments: &[OsString]) -> i32 {
    let [kind, directory, service, user, role] = arguments else {
        eprintln!("usage: posthaste-agent kind config_directory service user role (started by master only)");
        return 64;
    };
    let socket = sys::startup::inherited_socket().map_err(|error| error.to_string());
    let errands = Errands::inherited();
    let word = |word: &OsString| word.to_string_lossy().into_owned();
    let whom = Whom { user: word(user), role: word(role), errands };
    let served =
        socket.and_then(|socket| serve(Path::new(directory), (&word(kind), &word(service)), whom, &socket));
    match served {
        Ok(()) => 0,
        Err(trouble) => {
            eprintln!("agent: fatal: {trouble}");
            1
        }
    }
}

/// For whom master has started this process.
#[derive(Debug)]
pub struct Whom {
    user: String,
    role: String,
    errands: Option<Errands>,
}

/// Serves `socket` as the user that this process runs as. `config_directory` is where main.cf is.
///
/// Ends when `deliver` closes the socket, which it does after max_idle or max_use.
pub fn serve(
    config_directory: &Path,
    (kind, service): (&str, &str),
    whom: Whom,
    socket: &OwnedFd,
) -> Result<(), String> {
    sys::process::forbid_tracing().map_err(|error| error.to_string())?;
    let configuration = config_files::load(config_directory).map_err(|trouble| trouble.to_string())?;
    if kind == SpawnCommand::PROGRAM {
        return crate::spawn::serve(&configuration, service, socket);
    }
    let values = row_values(&configuration, service)?;
    let remarks = Rc::new(Remarks::default());
    let logger = Logger::new(Rc::clone(&remarks) as Rc<dyn Sink>, kind, std::process::id());
    let office = Office {
        settings: Settings {
            local: LocalSettings::load(&values),
            virtual_: VirtualSettings::load(&values),
            hostname: sys::process::host_name(),
        },
        owner: owner(whom)?,
        tables: open_tables(&values, (kind == "local").then_some(logger)),
    };
    loop {
        match packet::receive(socket, MESSAGE_BYTES_MAX) {
            Ok(None) => return Ok(()),
            Ok(Some(packet)) => {
                let mut reply = answer(&office, packet)?;
                reply.warnings.splice(0..0, remarks.0.take());
                send(socket, &reply).map_err(|error| error.to_string())?;
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(()),
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// What tables have to complain about goes out with the next answer.
#[derive(Default)]
struct Remarks(RefCell<Vec<bstr::BString>>);

/// More than that is not kept.
const REMARKS_MAX: usize = 20;

impl Sink for Remarks {
    fn write(&self, line: Line<'_>) {
        let mut kept = self.0.borrow_mut();
        if line.severity != Severity::Info && kept.len() < REMARKS_MAX {
            kept.push(line.text.into());
        }
    }
}

fn open_tables(values: &Values, logger: Option<Logger>) -> Tables {
    let Some(logger) = logger else {
        return Tables { aliases: Vec::new(), mailbox_command_maps: Maps::none("mailbox_command_maps") };
    };
    let registry = Registry::new(values, logger);
    let open = |item| registry.open_with(item, Caution::Paranoid);
    let commands = values.text(p::mailbox_command_maps);
    Tables {
        aliases: maps::split_list(values.text(p::alias_maps)).map(open).collect(),
        mailbox_command_maps: Maps::open_with("mailbox_command_maps", commands, &registry, Caution::Paranoid),
    }
}

fn send(socket: &OwnedFd, reply: &Reply) -> io::Result<()> {
    let beside = match &reply.answer {
        Answer::List { text, .. } => Some(memory_file::sealed(&[text])?),
        _ => None,
    };
    packet::send(socket, &reply.encode(), beside.as_ref().map(AsFd::as_fd))
}

/// Whom this process delivers for. Where the mail system runs as an ordinary user, it is that user and nobody else.
fn owner(whom: Whom) -> Result<Owner, String> {
    let Whom { user, role, errands } = whom;
    let uid = credentials::real_uid();
    let account = match user.as_str() {
        "" => None,
        name => credentials::account_by_name(name).map_err(|error| format!("user {name}: {error}"))?,
    };
    let standing = match role.as_str() {
        "root" => Standing::Root,
        "default" => Standing::Default { for_root: account.is_some() },
        _ => Standing::User,
    };
    // Somebody else's name, where we are not that user: then we are nobody but ourselves.
    let is_own = |account: &credentials::Account| account.uid == uid || standing != Standing::User;
    let account = match account.filter(is_own) {
        Some(account) => Some(credentials::Account { name: user, ..account }),
        None if standing == Standing::User => {
            credentials::account_by_uid(uid).map_err(|error| error.to_string())?
        }
        None => None,
    };
    let (name, home, shell) =
        account.map(|account| (account.name, account.home, account.shell)).unwrap_or_default();
    Ok(Owner { name, uid, home: home.into(), shell: shell.into(), standing, errands })
}

fn answer(office: &Office, packet: packet::Packet) -> Result<Reply, String> {
    let request = Request::decode(&packet.bytes).map_err(|_| "malformed request".to_owned())?;
    let file = packet.file.filter(memory_file::is_sealed);
    let content = Content::new(file.ok_or("a request without sealed content")?);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = WallTime::new(i64::try_from(now.as_secs()).unwrap_or(0), now.subsec_micros());
    Ok(perform(now, &sys::clock::LocalTime::at(now.seconds).asctime(), office, &request, &content))
}

/// The configuration of the master.cf row that the deliveries are for.
fn row_values(configuration: &Configuration, service: &str) -> Result<Values, String> {
    let row = configuration.master_cf().service(service, ServiceType::Unix);
    let row = row.ok_or_else(|| format!("master.cf has no service {service}/unix"))?;
    Ok(configuration.values_for(row))
}
