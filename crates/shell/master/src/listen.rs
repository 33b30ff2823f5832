//! The endpoints of master.cf's rows as bound sockets, kept for as long as some row wants them.
//!
//! A reload binds what is new before it closes what is gone, and keeps the rest untouched, so that no client is refused.

use config::{Endpoint, Protocols, ServiceRow, ServiceType, TcpPorts};
use rustix::fs::{FileType, Mode, OFlags};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::{
    collections::HashMap,
    fs,
    io::{self, ErrorKind},
    net::{SocketAddr, ToSocketAddrs},
    os::{fd::OwnedFd, unix::fs::FileTypeExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use sys::credentials::{Identity, with_effective};

/// How often to try again a port that is taken.
const BIND_RETRY: Duration = Duration::from_millis(20);

/// Something that is listened on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    Inet(SocketAddr),
    Local(ServiceType, PathBuf),
}

/// What all endpoints depend on.
#[derive(Debug)]
pub(crate) struct Surroundings<'a> {
    /// Addresses of rows without a host: inet_interfaces, or the wild cards.
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) protocols: Protocols,
    /// Ports by name.
    pub(crate) tcp_ports: &'a TcpPorts,
    pub(crate) queue_directory: &'a Path,
    /// Owner of local sockets, when we are root.
    pub(crate) owner: Option<Identity>,
    pub(crate) backlog: i32,
    /// How long to wait for a port that is taken: the processes of a master that was killed hold theirs until they
    /// have seen it.
    pub(crate) patient_until: Instant,
}

/// All that is bound.
#[derive(Debug, Default)]
pub(crate) struct Listeners(HashMap<Place, OwnedFd>);

impl Listeners {
    /// Binds what is not bound yet; on failure nothing has changed but the sockets of the rows before.
    pub(crate) fn bind(&mut self, row: &ServiceRow, around: &Surroundings<'_>) -> Result<Vec<Place>, String> {
        let places = places(row, around)?;
        for place in &places {
            if !self.0.contains_key(place) {
                let bound = match place {
                    Place::Inet(address) => listen_patiently(*address, around)
                        .map_err(|error| inet_trouble(row, *address, &error))?,
                    Place::Local(kind, path) => {
                        with_effective(around.owner, || listen_local(*kind, path, around.backlog))
                            .map_err(|error| local_trouble(row, path, &error))?
                    }
                };
                self.0.insert(place.clone(), bound);
            }
        }
        Ok(places)
    }

    /// Copies of the descriptors, for a child.
    pub(crate) fn copies(&self, places: &[Place]) -> io::Result<Vec<OwnedFd>> {
        places.iter().filter_map(|place| self.0.get(place)).map(OwnedFd::try_clone).collect()
    }

    /// Closes everything that is not in `wanted`.
    pub(crate) fn keep(&mut self, wanted: &[&Place]) {
        self.0.retain(|place, _| wanted.contains(&place));
    }
}

fn inet_trouble(row: &ServiceRow, address: SocketAddr, error: &io::Error) -> String {
    let remedy = match error.kind() {
        ErrorKind::AddrInUse => {
            "; another program listens there: stop it, or change the service's port in master.cf"
        }
        ErrorKind::PermissionDenied => {
            "; ports below 1024 need root: use a higher port in master.cf, or start as root"
        }
        ErrorKind::AddrNotAvailable => {
            "; this host has no such address: correct master.cf or inet_interfaces"
        }
        _ => "",
    };
    let reason = config_files::reason(error);
    format!("bind {} port {}: {reason} (service {}{remedy})", address.ip(), address.port(), row.name)
}

fn local_trouble(row: &ServiceRow, path: &Path, error: &io::Error) -> String {
    let reason = config_files::reason(error);
    format!("bind: {}: {reason} (service {}; see 'postfix check')", path.display(), row.name)
}

fn places(row: &ServiceRow, around: &Surroundings<'_>) -> Result<Vec<Place>, String> {
    let (host, port) = match &row.endpoint {
        Endpoint::Inet { host, port } => (host, port_number(port, around.tcp_ports)?),
        Endpoint::Local(path) => {
            return Ok(vec![Place::Local(row.service_type, around.queue_directory.join(path))]);
        }
    };
    let addresses = match host {
        None if around.addresses.is_empty() => {
            return Err(format!(
                "{}: service definition requires valid host name or address, or non-empty inet_interfaces setting",
                row.name
            ));
        }
        None => around.addresses.clone(),
        Some(host) => resolve(host, around.protocols)
            .ok_or_else(|| format!("bad hostname or network address: {}", row.name))?,
    };
    let mut places: Vec<Place> = Vec::new();
    for mut address in addresses {
        address.set_port(port);
        let place = Place::Inet(address);
        if !places.contains(&place) {
            places.push(place);
        }
    }
    if places.len() > sys::control::DESCRIPTORS_MAX {
        return Err(format!("service {}: more than {} addresses", row.name, sys::control::DESCRIPTORS_MAX));
    }
    Ok(places)
}

fn resolve(host: &str, protocols: Protocols) -> Option<Vec<SocketAddr>> {
    let found = (host, 0).to_socket_addrs().ok()?;
    let addresses: Vec<SocketAddr> = found.filter(|found| protocols.have(found.ip())).collect();
    (!addresses.is_empty()).then_some(addresses)
}

fn port_number(port: &str, ports: &TcpPorts) -> Result<u16, String> {
    ports.number(port).ok_or_else(|| match port.parse() {
        Ok(0_u16) => "bad port: 0".to_owned(),
        _ => format!("unknown service: {port}/tcp"),
    })
}

fn listen_patiently(address: SocketAddr, around: &Surroundings<'_>) -> io::Result<OwnedFd> {
    loop {
        match listen_inet(address, around.backlog) {
            Err(error) if error.kind() == ErrorKind::AddrInUse && Instant::now() < around.patient_until => {
                std::thread::sleep(BIND_RETRY);
            }
            result => return result,
        }
    }
}

fn listen_inet(address: SocketAddr, backlog: i32) -> io::Result<OwnedFd> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(backlog)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn listen_local(kind: ServiceType, path: &Path, backlog: i32) -> io::Result<OwnedFd> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    if kind == ServiceType::Fifo {
        return listen_fifo(path);
    }
    let socket_type = if kind == ServiceType::UnixDgram { Type::DGRAM } else { Type::STREAM };
    let socket = Socket::new(Domain::UNIX, socket_type, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    if fs::symlink_metadata(path)?.file_type().is_socket() {
        rustix::fs::chmod(path, Mode::from_bits_truncate(0o666))?;
    }
    if socket_type == Type::STREAM {
        socket.listen(backlog)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn listen_fifo(path: &Path) -> io::Result<OwnedFd> {
    let mode = Mode::from_bits_truncate(0o622);
    rustix::fs::mknodat(rustix::fs::CWD, path, FileType::Fifo, mode, 0)?;
    // For writing too: then the FIFO never ends when a client closes it.
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let fifo = rustix::fs::open(path, flags, Mode::empty())?;
    if !FileType::from_raw_mode(rustix::fs::fstat(&fifo)?.st_mode).is_fifo() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "not a fifo"));
    }
    rustix::fs::fchmod(&fifo, mode)?;
    Ok(fifo)
}
