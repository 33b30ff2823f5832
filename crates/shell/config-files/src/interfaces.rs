//! The addresses of the host's interfaces, asked of the kernel by netlink (rtnetlink(7)).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use config::Interface;
use rustix::{
    fd::OwnedFd,
    io,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink::SocketAddrNetlink, recv,
        sendto, socket_with,
    },
};

const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
/// A request that is answered with all there is.
const REQUEST_DUMP: u16 = 0x301;
const IFF_UP: u32 = 1;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
/// A kernel that never says that it is done is not listened to for ever.
const ANSWERS_MAX: usize = 4096;

/// The addresses of all interfaces that are up, IPv4 first, in the kernel's order; none if the kernel does not say.
#[must_use]
pub fn interfaces() -> Vec<Interface> {
    ask().unwrap_or_default()
}

fn ask() -> io::Result<Vec<Interface>> {
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    let mut up = Vec::new();
    dump(&socket, RTM_GETLINK, |kind, body| {
        if kind == RTM_NEWLINK && word(body, 8).is_some_and(|flags| flags & IFF_UP != 0) {
            up.extend(word(body, 4));
        }
    })?;
    let (mut ipv4, mut ipv6) = (Vec::new(), Vec::new());
    dump(&socket, RTM_GETADDR, |kind, body| {
        if kind != RTM_NEWADDR || !word(body, 4).is_some_and(|index| up.contains(&index)) {
            return;
        }
        match address(body) {
            Some(interface) if interface.address.is_ipv4() => ipv4.push(interface),
            Some(interface) => ipv6.push(interface),
            None => {}
        }
    })?;
    ipv4.append(&mut ipv6);
    Ok(ipv4)
}

/// Asks for all objects of a kind and shows each message's type and body to `see`.
fn dump(socket: &OwnedFd, request: u16, mut see: impl FnMut(u16, &[u8])) -> io::Result<()> {
    let mut message = Vec::with_capacity(20);
    message.extend_from_slice(&20_u32.to_ne_bytes());
    message.extend_from_slice(&request.to_ne_bytes());
    message.extend_from_slice(&REQUEST_DUMP.to_ne_bytes());
    message.extend_from_slice(&[0; 12]);
    sendto(socket, &message, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    let mut buffer = vec![0; 65_536];
    for _ in 0..ANSWERS_MAX {
        let (length, _) = recv(socket, buffer.as_mut_slice(), RecvFlags::empty())?;
        let mut rest = buffer.get(..length).unwrap_or_default();
        while let Some((kind, body, behind)) = message_at(rest) {
            match kind {
                NLMSG_DONE => return Ok(()),
                NLMSG_ERROR => return Err(io::Errno::IO),
                _ => see(kind, body),
            }
            rest = behind;
        }
    }
    Err(io::Errno::TIMEDOUT)
}

/// The first message: its type, its body, and what follows it.
fn message_at(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let length = usize::try_from(word(bytes, 0)?).ok()?;
    let kind = half(bytes, 4)?;
    let body = bytes.get(16..length)?;
    Some((kind, body, bytes.get(length.next_multiple_of(4)..).unwrap_or_default()))
}

/// The address of a message about one: the interface's own where the link has two ends.
fn address(body: &[u8]) -> Option<Interface> {
    let (&family, &prefix) = (body.first()?, body.get(1)?);
    let mut rest = body.get(8..)?;
    let (mut own, mut other) = (None, None);
    while let (Some(length), Some(kind)) = (half(rest, 0), half(rest, 2)) {
        let length = usize::from(length);
        let value = rest.get(4..length)?;
        match kind {
            IFA_LOCAL => own = ip(family, value),
            IFA_ADDRESS => other = ip(family, value),
            _ => {}
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(Interface { address: own.or(other)?, prefix, number: word(body, 4)? })
}

fn ip(family: u8, bytes: &[u8]) -> Option<IpAddr> {
    match family {
        AF_INET => <[u8; 4]>::try_from(bytes).ok().map(|b| Ipv4Addr::from(b).into()),
        AF_INET6 => <[u8; 16]>::try_from(bytes).ok().map(|b| Ipv6Addr::from(b).into()),
        _ => None,
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_ne_bytes)
}
