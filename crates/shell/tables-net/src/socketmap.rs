//! `socketmap:inet:host:port:name` and `socketmap:unix:pathname:name` (socketmap_table(5)): netstrings with `name key`, answered
//! with a status word and data.

use crate::{Remote, Timing, client::Client};
use bstr::ByteSlice;
use maillog::Logger;
use std::{rc::Rc, time::Duration};
use tables::OpenError;
use types::{Lookup, Trouble};
use world::{Answer, Table, World};

/// As Postfix has them; none is configurable there.
const TIMING: Timing = Timing {
    time_limit: Duration::from_secs(100),
    idle_max: Duration::from_secs(10),
    age_max: Duration::from_secs(100),
};

/// How much of a server's own words is logged, in bytes.
const SHOWN_MAX: usize = 200;

struct Socketmap<W: World> {
    /// `socketmap:server:name`
    name: String,
    /// What the server calls the map.
    map: String,
    client: Rc<Client<W>>,
    query_max: usize,
    reply_max: usize,
    logger: Logger,
}

pub(crate) fn open<W: World>(remote: &Remote<W>, name: &str) -> Result<Rc<dyn Table>, OpenError> {
    let (server, map) = name
        .rsplit_once(':')
        .ok_or_else(|| OpenError::new("socketmap requires server:socketmap argument"))?;
    Ok(Rc::new(Socketmap {
        name: format!("socketmap:{name}"),
        map: map.to_owned(),
        client: remote.client(server, TIMING)?,
        query_max: remote.limits.socketmap_max_query_size,
        reply_max: remote.limits.socketmap_max_reply_size,
        logger: remote.logger.clone(),
    }))
}

impl<W: World> Socketmap<W> {
    async fn ask(&self, key: &[u8]) -> Lookup {
        if key.len() > self.query_max {
            let shown = key.get(..100).unwrap_or(key).as_bstr();
            let text = format!("table {} query too large: '{shown}', returning 'not found'", self.name);
            self.logger.warning(&text);
            return Lookup::Absent;
        }
        let mut request = format!("{}:{} ", self.map.len() + 1 + key.len(), self.map).into_bytes();
        request.extend_from_slice(key);
        request.push(b',');
        let reply = self.client.ask(&request, async |stream| stream.netstring(self.reply_max).await).await;
        match reply {
            Ok(reply) => self.judge(&reply),
            Err(error) => {
                let why = format!("table {} lookup error: {}", self.name, reason(&error));
                self.logger.warning(&why);
                Lookup::TryAgain(Trouble::new(why))
            }
        }
    }

    fn judge(&self, reply: &[u8]) -> Lookup {
        let (status, data) = reply.split_once_str(" ").unwrap_or((reply, b""));
        let class = match status {
            b"OK" => return Lookup::Found(data.to_vec()),
            b"NOTFOUND" => return Lookup::Absent,
            b"TEMP" => "temporary",
            b"TIMEOUT" => "timeout",
            b"PERM" => "permanent",
            _ => "unknown",
        };
        let data = data.trim_ascii_start();
        let shown = maillog::printable(data.get(..SHOWN_MAX).unwrap_or(data));
        let colon = if shown.is_empty() { "" } else { ": " };
        let why = format!("{} socketmap server {class} error{colon}{shown}", self.name);
        self.logger.warning(&why);
        Lookup::TryAgain(Trouble::new(why))
    }
}

/// The C library's words, where it has some.
fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => "unexpected disconnect".to_owned(),
        std::io::ErrorKind::TimedOut => "time limit exceeded".to_owned(),
        _ => tables::errno_text(error),
    }
}

impl<W: World> Table for Socketmap<W> {
    fn name(&self) -> &str {
        &self.name
    }

    fn lookup<'a>(&'a self, key: &'a [u8]) -> Answer<'a, Lookup> {
        Answer::later(self.ask(key))
    }

    /// Partial keys are the server's business (socketmap_table(5)).
    fn is_pattern(&self) -> bool {
        true
    }
}
