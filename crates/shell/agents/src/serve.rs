//! The loop of an agent process: one delivery after another for its user, until it is idle or worn out.

use crate::{Content, Errands, Owner, Settings, perform};
use config::{Configuration, ServiceType, Values};
use local::{
    LocalSettings, VirtualSettings,
    agent::{MESSAGE_BYTES_MAX, Reply, Request},
};
use std::{
    ffi::OsString,
    io,
    os::fd::OwnedFd,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};
use sys::{credentials, memory_file, packet};
use types::WallTime;

/// The agent program: `posthaste-agent KIND CONFIG_DIRECTORY SERVICE USER`, started by master as the user whose
/// mailboxes it writes, with its socket to `deliver` as descriptor 3 and, if it may ask for anything, that to master as
/// descriptor 4. USER is empty for users that have a number only. Gives the exit code.
///
/// Trouble with the configuration or the protocol is printed and ends the process with 1; `deliver` then defers
/// what it was delivering.
#[must_use]
pub fn main(arguments: &[OsString]) -> i32 {
    let [_kind, directory, service, user] = arguments else {
        eprintln!("usage: posthaste-agent kind config_directory service user (started by master only)");
        return 64;
    };
    let socket = sys::startup::inherited_socket().map_err(|error| error.to_string());
    let errands = Errands::inherited();
    let (service, user) = (service.to_string_lossy(), user.to_string_lossy());
    match socket.and_then(|socket| serve(Path::new(directory), &service, (&user, errands), &socket)) {
        Ok(()) => 0,
        Err(trouble) => {
            eprintln!("agent: fatal: {trouble}");
            1
        }
    }
}

/// Serves `socket` as the user that this process runs as. `config_directory` is where main.cf is.
///
/// Ends when `deliver` closes the socket, which it does after max_idle or max_use.
pub fn serve(
    config_directory: &Path,
    service: &str,
    (user, errands): (&str, Option<Errands>),
    socket: &OwnedFd,
) -> Result<(), String> {
    sys::process::forbid_tracing().map_err(|error| error.to_string())?;
    let configuration = config_files::load(config_directory).map_err(|trouble| trouble.to_string())?;
    let values = row_values(&configuration, service)?;
    let settings = Settings {
        local: LocalSettings::load(&values),
        virtual_: VirtualSettings::load(&values),
        hostname: sys::process::host_name(),
    };
    let owner = owner(user, errands)?;
    loop {
        match packet::receive(socket, MESSAGE_BYTES_MAX) {
            Ok(None) => return Ok(()),
            Ok(Some(packet)) => {
                let reply = answer(&settings, &owner, packet)?;
                packet::send(socket, &reply.encode(), None).map_err(|error| error.to_string())?;
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(()),
            Err(error) => return Err(error.to_string()),
        }
    }
}

/// Whom this process delivers for. Where the mail system runs as an ordinary user, it is that user and nobody else.
fn owner(user: &str, errands: Option<Errands>) -> Result<Owner, String> {
    let uid = credentials::real_uid();
    let account = match user {
        "" => None,
        name => credentials::account_by_name(name).map_err(|error| format!("user {name}: {error}"))?,
    };
    let own = account.filter(|account| account.uid == uid).map(|account| (user.to_owned(), account.home));
    let (name, home) = match own {
        Some(own) => own,
        None => {
            let account = credentials::account_by_uid(uid).map_err(|error| error.to_string())?;
            account.map(|account| (account.name, account.home)).unwrap_or_default()
        }
    };
    Ok(Owner { name, uid, home: home.into(), errands })
}

fn answer(settings: &Settings, owner: &Owner, packet: packet::Packet) -> Result<Reply, String> {
    let request = Request::decode(&packet.bytes).map_err(|_| "malformed request".to_owned())?;
    let file = packet.file.filter(memory_file::is_sealed);
    let content = Content::new(file.ok_or("a request without sealed content")?);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = WallTime::new(i64::try_from(now.as_secs()).unwrap_or(0), now.subsec_micros());
    Ok(perform(now, &sys::clock::LocalTime::at(now.seconds).asctime(), settings, owner, &request, &content))
}

/// The configuration of the master.cf row that the deliveries are for.
fn row_values(configuration: &Configuration, service: &str) -> Result<Values, String> {
    let row = configuration.master_cf().service(service, ServiceType::Unix);
    let row = row.ok_or_else(|| format!("master.cf has no service {service}/unix"))?;
    Ok(configuration.values_for(row))
}
