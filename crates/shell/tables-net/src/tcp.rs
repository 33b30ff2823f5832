//! `tcp:host:port` (tcp_table(5)): `get key` answered with a three-digit code, both in %XX encoding.

use crate::{Remote, Server, Timing, client::Client, escapes::decode};
use maillog::Logger;
use std::{io, rc::Rc, time::Duration};
use tables::OpenError;
use types::{Lookup, Trouble};
use world::{Answer, Table, World};

/// As Postfix has them; none is configurable there. It keeps a connection for as long as its process lives.
const TIMING: Timing = Timing {
    time_limit: Duration::from_secs(100),
    idle_max: Duration::from_secs(100),
    age_max: Duration::from_secs(1000),
};

/// The longest request or reply, in bytes (tcp_table(5)).
const LINE_MAX: usize = 4096;

/// How much of a server's own words is logged, in bytes.
const SHOWN_MAX: usize = 100;

struct TcpTable<W: World> {
    /// `tcp:host:port`
    name: String,
    /// `host:port`
    server: String,
    client: Rc<Client<W>>,
    logger: Logger,
}

pub(crate) fn open<W: World>(remote: &Remote<W>, name: &str) -> Result<Rc<dyn Table>, OpenError> {
    Server::parse_inet(name, &remote.ports).map_err(OpenError::new)?;
    Ok(Rc::new(TcpTable {
        name: format!("tcp:{name}"),
        server: name.to_owned(),
        client: remote.client(&format!("inet:{name}"), TIMING)?,
        logger: remote.logger.clone(),
    }))
}

impl<W: World> TcpTable<W> {
    async fn ask(&self, key: &[u8]) -> Lookup {
        let request = [b"get ", encode(key).as_slice(), b"\n"].concat();
        let reply = self.client.ask(&request, async |stream| parse(&stream.line(LINE_MAX).await?)).await;
        let why = match reply {
            Ok(Reply::Found(value)) => return Lookup::Found(value),
            Ok(Reply::Absent) => return Lookup::Absent,
            // The server's own trouble is not ours to report.
            Ok(Reply::TryAgain) => {
                return Lookup::TryAgain(Trouble::new(format!("{} reports a temporary error", self.name)));
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                format!("read TCP map reply from {}: unexpected EOF", self.server)
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                format!("read TCP map reply from {}: {error}", self.server)
            }
            Err(error) => format!("connect to TCP map {}: {}", self.server, tables::errno_text(&error)),
        };
        self.logger.warning(&why);
        Lookup::TryAgain(Trouble::new(why))
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Reply {
    Found(Vec<u8>),
    Absent,
    TryAgain,
}

fn parse(line: &[u8]) -> io::Result<Reply> {
    let wrong = |what: &str| {
        let shown = maillog::printable(line.get(..SHOWN_MAX).unwrap_or(line));
        crate::line::invalid(&format!("{what}: {shown}"))
    };
    let malformed = || wrong("malformed reply");
    let (code, rest) = line.split_at_checked(3).ok_or_else(malformed)?;
    let text = rest.strip_prefix(b" ").or_else(|| rest.strip_prefix(b"\t")).ok_or_else(malformed)?;
    let value = decode(text, b'%').filter(|_| code.iter().all(u8::is_ascii_digit)).ok_or_else(malformed)?;
    match code.first() {
        Some(b'2') => Ok(Reply::Found(value)),
        Some(b'4') => Ok(Reply::TryAgain),
        Some(b'5') => Ok(Reply::Absent),
        _ => Err(wrong("bad status code")),
    }
}

/// Everything that is no printable ASCII, and `%` and space, as %XX.
fn encode(text: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0');
    let mut encoded = Vec::with_capacity(text.len());
    for &byte in text {
        if byte.is_ascii_graphic() && byte != b'%' {
            encoded.push(byte);
        } else {
            encoded.extend([b'%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    encoded
}

impl<W: World> Table for TcpTable<W> {
    fn name(&self) -> &str {
        &self.name
    }

    fn lookup<'a>(&'a self, key: &'a [u8]) -> Answer<'a, Lookup> {
        Answer::later(self.ask(key))
    }

    /// Partial keys are the server's business (tcp_table(5)).
    fn is_pattern(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_key_survives_the_encoding() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(&encode(&all), b'%'), Some(all));
        assert_eq!(encode(b"a b%\n"), b"a%20b%25%0A");
    }

    #[test]
    fn replies() {
        let check = |line: &str, expected: Result<Reply, &str>| {
            let got = parse(line.as_bytes()).map_err(|error| error.to_string());
            assert_eq!(got, expected.map_err(str::to_owned), "{line}");
        };
        check("200 a%20b", Ok(Reply::Found(b"a b".to_vec())));
        check("500 no", Ok(Reply::Absent));
        check("400 later", Ok(Reply::TryAgain));
        check("300 what", Err("bad status code: 300 what"));
        check("20x ok", Err("malformed reply: 20x ok"));
        check("200", Err("malformed reply: 200"));
        check("200 %", Err("malformed reply: 200 %"));
    }
}
