//! The header that a proxy puts before a connection to say whose it is: the PROXY protocol of HAProxy, versions 1 (a line
//! of text) and 2 (binary).
//!
//! As in Postfix, what is proxied is TCP over IPv4 or IPv6. `UNKNOWN` and UNIX-domain clients are refused, because they
//! would go around every rule about addresses; extensions (TLVs) are skipped.
//!
//! A header must be read to its exact end, as what follows belongs to another layer (SMTP or TLS): [`wanted`] says how many
//! bytes may be read without going too far.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// What a header may have at most, in bytes, extensions included.
pub const HEADER_SIZE_MAX: usize = 536;

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family, length.
const FIXED_SIZE: usize = 16;
const TEXT_START: &[u8] = b"PROXY ";
/// `PROXY TCP6 :: :: 0 0` and a newline: no good line is shorter.
const TEXT_SIZE_MIN: usize = 21;

/// Which addresses are in use (postconf(5) `inet_protocols`); others are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Families {
    /// IPv4
    pub ipv4: bool,
    /// IPv6
    pub ipv6: bool,
}

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// Somebody else's connection.
    Proxied {
        /// The other end.
        client: SocketAddr,
        /// What the client connected to.
        server: SocketAddr,
    },
    /// The proxy's own, for instance to see whether we live: the connection's real ends count.
    Local,
}

/// What became of some input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// More is needed; what is wrong when there is no more.
    Incomplete(&'static str),
    /// The header, and how many bytes it has.
    Done(Header, usize),
    /// Not a header that can be used, and why, in Postfix's words.
    Bad(&'static str),
}

/// Reads the header at the start of the input.
#[must_use]
pub fn parse(input: &[u8], families: Families) -> Progress {
    if input.starts_with(TEXT_START) || TEXT_START.starts_with(input) {
        parse_text(input, families)
    } else {
        parse_binary(input, families)
    }
}

/// How many bytes may be read after these without reading more than the header; at least 1 while a header is incomplete.
#[must_use]
pub fn wanted(input: &[u8]) -> usize {
    let size = if input.starts_with(SIGNATURE) && input.len() >= FIXED_SIZE {
        FIXED_SIZE + content_size(input)
    } else if input.starts_with(TEXT_START) {
        TEXT_SIZE_MIN
    } else {
        FIXED_SIZE
    };
    size.saturating_sub(input.len()).clamp(1, HEADER_SIZE_MAX)
}

fn parse_text(input: &[u8], families: Families) -> Progress {
    let unended = "missing protocol header terminator";
    let start = &input[..input.len().min(HEADER_SIZE_MAX)];
    let Some(newline) = memchr::memchr2(b'\n', 0, start).filter(|at| start[*at] == b'\n') else {
        return match () {
            // A NUL ends it, as it ends a C string.
            () if start.len() == HEADER_SIZE_MAX || start.contains(&0) => Progress::Bad(unended),
            // The terminator is what a version 1 header lacks; fewer bytes could be of either version.
            () if start.len() >= TEXT_START.len() => Progress::Incomplete(unended),
            () => Progress::Incomplete("short protocol header"),
        };
    };
    match parse_line(&start[..newline], families) {
        Ok(header) => Progress::Done(header, newline + 1),
        Err(why) => Progress::Bad(why),
    }
}

fn parse_line(line: &[u8], families: Families) -> Result<Header, &'static str> {
    let mut words = line.split(|b| matches!(b, b' ' | b'\r')).filter(|word| !word.is_empty());
    // `PROXY`, which was seen before.
    words.next();
    let is_ipv6 = match words.next() {
        Some(word) if word.eq_ignore_ascii_case(b"TCP6") && families.ipv6 => true,
        Some(word) if word.eq_ignore_ascii_case(b"TCP4") && families.ipv4 => false,
        _ => return Err("bad or missing protocol type"),
    };
    let mut address = |why| words.next().and_then(|word| parse_address(word, is_ipv6)).ok_or(why);
    let client = address("bad or missing client address")?;
    let server = address("bad or missing server address")?;
    let mut port = |why| words.next().and_then(parse_port).ok_or(why);
    let client = SocketAddr::new(client, port("bad or missing client port")?);
    let server = SocketAddr::new(server, port("bad or missing server port")?);
    Ok(Header::Proxied { client, server })
}

fn parse_address(word: &[u8], is_ipv6: bool) -> Option<IpAddr> {
    let text = std::str::from_utf8(word).ok()?;
    if is_ipv6 {
        return text.parse::<Ipv6Addr>().ok().map(|address| address.to_canonical());
    }
    let address = text.parse::<Ipv4Addr>().ok()?;
    // 0.0.0.0 is an address, the rest of its network is none.
    let is_good = address.is_unspecified() || address.octets()[0] != 0;
    is_good.then_some(address.into())
}

fn parse_port(word: &[u8]) -> Option<u16> {
    let is_number = word.iter().all(u8::is_ascii_digit) && (word == b"0" || word.first() != Some(&b'0'));
    std::str::from_utf8(word).ok().filter(|_| is_number)?.parse().ok()
}

fn parse_binary(input: &[u8], families: Families) -> Progress {
    let short = "short protocol header";
    if !SIGNATURE.starts_with(&input[..input.len().min(SIGNATURE.len())]) {
        let is_short = input.len() < FIXED_SIZE;
        return Progress::Bad(if is_short { short } else { "unrecognized protocol header" });
    }
    let Some((fixed, rest)) = input.split_first_chunk::<FIXED_SIZE>() else {
        return Progress::Incomplete(short);
    };
    if fixed[12] >> 4 != 2 {
        return Progress::Bad("unrecognized protocol version");
    }
    let size = content_size(fixed);
    let short = "short version 2 protocol header";
    if FIXED_SIZE + size > HEADER_SIZE_MAX {
        return Progress::Bad(short);
    }
    let Some(content) = rest.get(..size) else { return Progress::Incomplete(short) };
    let header = match fixed[12] & 15 {
        0 => Ok(Header::Local),
        1 => parse_ends(fixed[13], content, families),
        _ => Err("bad command in proxy header"),
    };
    match header {
        Ok(header) => Progress::Done(header, FIXED_SIZE + size),
        Err(why) => Progress::Bad(why),
    }
}

/// The length field of a version 2 header, which has its fixed part.
fn content_size(input: &[u8]) -> usize {
    usize::from(u16::from_be_bytes([input[14], input[15]]))
}

/// Both addresses, then both ports; what comes after them are extensions.
fn parse_ends(family: u8, content: &[u8], families: Families) -> Result<Header, &'static str> {
    let too_short = "short address field";
    let (client, server, ports) = match family {
        0x11 if !families.ipv4 => return Err("Postfix IPv4 support is disabled"),
        0x21 if !families.ipv6 => return Err("Postfix IPv6 support is disabled"),
        0x11 => {
            let (client, rest) = content.split_first_chunk::<4>().ok_or(too_short)?;
            let (server, rest) = rest.split_first_chunk::<4>().ok_or(too_short)?;
            (IpAddr::from(*client), IpAddr::from(*server), rest)
        }
        0x21 => {
            let (client, rest) = content.split_first_chunk::<16>().ok_or(too_short)?;
            let (server, rest) = rest.split_first_chunk::<16>().ok_or(too_short)?;
            (IpAddr::from(*client), IpAddr::from(*server), rest)
        }
        _ => return Err("unsupported network protocol"),
    };
    let [a, b, c, d] = *ports.first_chunk::<4>().ok_or(too_short)?;
    Ok(Header::Proxied {
        client: SocketAddr::new(client.to_canonical(), u16::from_be_bytes([a, b])),
        server: SocketAddr::new(server.to_canonical(), u16::from_be_bytes([c, d])),
    })
}

#[cfg(test)]
mod tests;
