//! `memcache:/file/name` (memcache_table(5)): memcached's text protocol, with a table behind it for what the cache has lost.

use crate::{
    Remote, Timing,
    client::Client,
    line::{Buffered, invalid},
    query::{domain, is_eligible},
    source_file::SourceFile,
    template::Templates,
};
use maillog::Logger;
use maps::StringList;
use sha2::Digest;
use std::{fmt::Write as _, io, rc::Rc, time::Duration};
use tables::{OpenError, errno_text};
use types::{Lookup, Trouble};
use world::{Answer, Stream, Table, Tables, World};

/// The settings of a table.
const SETTINGS: &[&str] = &[
    "backup",
    "data_size_limit",
    "domain",
    "flags",
    "key_digest",
    "key_format",
    "line_size_limit",
    "max_try",
    "memcache",
    "retry_pause",
    "timeout",
    "ttl",
];

/// How a key becomes short enough for memcached.
type DigestOf = fn(&[u8]) -> String;

struct Memcache<W: World> {
    /// `memcache:name`
    name: String,
    client: Rc<Client<W>>,
    backup: Option<Rc<dyn Table>>,
    key_format: Templates,
    key_digest: Option<DigestOf>,
    domain: Option<StringList>,
    flags: u64,
    ttl_seconds: u64,
    tries_max: u64,
    retry_pause: Duration,
    line_max: usize,
    data_max: usize,
    world: W,
    logger: Logger,
}

pub(crate) fn open<W: World>(
    remote: &Remote<W>,
    name: &str,
    tables: &dyn Tables,
) -> Result<Rc<dyn Table>, OpenError> {
    let source = SourceFile::read(name, SETTINGS, &remote.main)?;
    let size = |setting, default| {
        Ok::<_, OpenError>(usize::try_from(source.number(setting, default, 1)?).unwrap_or(usize::MAX))
    };
    let timing = Timing {
        time_limit: Duration::from_secs(source.number("timeout", 2, 0)?),
        // Postfix keeps its connection for as long as a process lives.
        idle_max: Duration::from_secs(100),
        age_max: Duration::from_secs(1000),
    };
    let key_format = Templates::parse(source.text("key_format", "%s"), "%s")
        .map_err(|why| OpenError::new(format!("{name}: {why}")))?;
    Ok(Rc::new(Memcache {
        name: format!("memcache:{name}"),
        client: remote.client(source.text("memcache", "inet:localhost:11211"), timing)?,
        backup: source
            .get("backup")
            .filter(|backup| !backup.is_empty())
            .map(|backup| tables.open_to_change(backup)),
        key_format,
        key_digest: digest(name, source.text("key_digest", ""))?,
        domain: domain(&source, tables),
        flags: source.number("flags", 0, 0)?,
        ttl_seconds: source.number("ttl", 3600, 0)?,
        tries_max: source.number("max_try", 2, 1)?,
        retry_pause: Duration::from_secs(source.number("retry_pause", 1, 1)?),
        line_max: size("line_size_limit", 1024)?,
        data_max: size("data_size_limit", 10240)?,
        world: remote.world.clone(),
        logger: remote.logger.clone(),
    }))
}

fn digest(name: &str, algorithm: &str) -> Result<Option<DigestOf>, OpenError> {
    fn hex<D: Digest>(key: &[u8]) -> String {
        D::digest(key).iter().fold(String::new(), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
    Ok(Some(match algorithm.to_ascii_lowercase().as_str() {
        "" => return Ok(None),
        "sha224" => hex::<sha2::Sha224>,
        "sha256" => hex::<sha2::Sha256>,
        "sha384" => hex::<sha2::Sha384>,
        "sha512" => hex::<sha2::Sha512>,
        _ => {
            return Err(OpenError::new(format!(
                "open {name}: key digest {algorithm} is not available; use sha224, sha256, sha384 or sha512"
            )));
        }
    }))
}

impl<W: World> Memcache<W> {
    async fn find(&self, name: &[u8]) -> Lookup {
        match is_eligible(self.domain.as_ref(), name).await {
            Ok(true) => {}
            Ok(false) => return Lookup::Absent,
            Err(trouble) => return Lookup::TryAgain(trouble),
        }
        let Some(key) = self.key(name) else { return Lookup::Absent };
        let cached = self.get(&key).await;
        let Some(backup) = self.backup.as_ref().filter(|_| !matches!(cached, Lookup::Found(_))) else {
            return cached;
        };
        let answer = backup.lookup(name).await;
        if let Lookup::Found(value) = &answer {
            self.set(&key, value).await;
        }
        answer
    }

    /// What memcached is asked for; `None` for what it could not have.
    fn key(&self, name: &[u8]) -> Option<Vec<u8>> {
        let key =
            self.key_format.accepts(name).then(|| self.key_format.query(name, &|piece| Some(piece.to_vec())));
        let key = key.flatten().filter(|key| !key.is_empty())?;
        let key = self.key_digest.map_or(key.clone(), |digest| digest(&key).into_bytes());
        let is_legal = !key.iter().any(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control());
        is_legal.then_some(key)
    }

    async fn get(&self, key: &[u8]) -> Lookup {
        let request = [b"get ", key, b"\r\n"].concat();
        let reply = self.tried(&request, async |stream| self.read_value(stream).await).await;
        match reply {
            Ok(Some(value)) => Lookup::Found(value),
            Ok(None) => Lookup::Absent,
            Err(trouble) => Lookup::TryAgain(trouble),
        }
    }

    /// Puts into the cache what the table behind it has; whether that works is nobody's trouble.
    async fn set(&self, key: &[u8], value: &[u8]) {
        // What went wrong has been logged.
        let _ = self.put(key, value).await;
    }

    async fn put(&self, key: &[u8], value: &[u8]) -> Result<(), Trouble> {
        if value.len() > self.data_max {
            let (name, key, max) = (&self.name, maillog::printable(key), self.data_max);
            let why = format!(
                "database {name}: data for key {key} is too long (data_size_limit={max}) -- not stored"
            );
            self.logger.warning(&why);
            return Err(Trouble::new(why));
        }
        let line = format!(" {} {} {}\r\n", self.flags, self.ttl_seconds, value.len());
        let request = [b"set ", key, line.as_bytes(), value, b"\r\n"].concat();
        let read = async |stream: &mut Buffered<W::Stream>| match self.read_line(stream).await?.as_slice() {
            b"STORED" => Ok(()),
            other => Err(invalid(&format!("update failed: {}", shown(other)))),
        };
        self.tried(&request, read).await
    }

    async fn remove(&self, key: &[u8]) -> Result<(), Trouble> {
        let request = [b"delete ", key, b"\r\n"].concat();
        let read = async |stream: &mut Buffered<W::Stream>| match self.read_line(stream).await?.as_slice() {
            b"DELETED" | b"NOT_FOUND" => Ok(()),
            other => Err(invalid(&format!("delete failed: {}", shown(other)))),
        };
        self.tried(&request, read).await
    }

    /// Changes the entry of a name, if memcached may have it.
    async fn change(&self, name: &[u8], value: Option<&[u8]>) -> Result<(), Trouble> {
        let key = self.key(name).filter(|_| !name.is_empty());
        let key =
            key.ok_or_else(|| Trouble::new(format!("{}: a key that memcached cannot have", self.name)))?;
        if !is_eligible(self.domain.as_ref(), name).await? {
            return Err(Trouble::new(format!("{}: domain mismatch", self.name)));
        }
        match (value, &self.backup) {
            (Some(value), None) => self.put(&key, value).await,
            (None, None) => self.remove(&key).await,
            (Some(value), Some(backup)) => {
                self.set(&key, value).await;
                backup.update(name, value).await
            }
            (None, Some(backup)) => {
                // What went wrong has been logged.
                let _ = self.remove(&key).await;
                backup.delete(name).await
            }
        }
    }

    async fn read_value(&self, stream: &mut Buffered<W::Stream>) -> io::Result<Option<Vec<u8>>> {
        let line = self.read_line(stream).await?;
        if line == b"END" {
            return Ok(None);
        }
        let wrong = || invalid(&format!("unexpected memcache server reply: {}", shown(&line)));
        let text = std::str::from_utf8(&line).map_err(|_| wrong())?;
        let mut words = text.split(' ');
        let size =
            words.next().filter(|word| *word == "VALUE").and_then(|_| words.nth(2)).ok_or_else(wrong)?;
        let size: usize = size.parse().ok().filter(|size| *size <= self.data_max).ok_or_else(wrong)?;
        let value = stream.exactly(size).await?;
        match (stream.exactly(2).await?.as_slice(), self.read_line(stream).await?.as_slice()) {
            (b"\r\n", b"END") => Ok(Some(value)),
            _ => Err(wrong()),
        }
    }

    async fn read_line<S: Stream>(&self, stream: &mut Buffered<S>) -> io::Result<Vec<u8>> {
        let mut line = stream.line(self.line_max).await?;
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(line)
    }

    /// Asks `max_try` times, with pauses, unless the server accepts no connection.
    async fn tried<T>(
        &self,
        request: &[u8],
        read: impl AsyncFn(&mut Buffered<W::Stream>) -> io::Result<T>,
    ) -> Result<T, Trouble> {
        let mut tries = 1;
        loop {
            let error = match self.client.ask(request, &read).await {
                Ok(reply) => return Ok(reply),
                Err(error) => error,
            };
            if tries < self.tries_max && error.kind() != io::ErrorKind::ConnectionRefused {
                tries += 1;
                self.world.sleep(self.retry_pause).await;
                continue;
            }
            let why = format!("database {}: I/O error: {}", self.name, errno_text(&error));
            self.logger.warning(&why);
            return Err(Trouble::new(why));
        }
    }
}

/// How much of a server's own words is logged, in bytes.
const SHOWN_MAX: usize = 30;

fn shown(line: &[u8]) -> String {
    maillog::printable(line.get(..SHOWN_MAX).unwrap_or(line))
}

impl<W: World> Table for Memcache<W> {
    fn name(&self) -> &str {
        &self.name
    }

    fn lookup<'a>(&'a self, key: &'a [u8]) -> Answer<'a, Lookup> {
        Answer::later(self.find(key))
    }

    fn update<'a>(&'a self, key: &'a [u8], value: &'a [u8]) -> Answer<'a, Result<(), Trouble>> {
        Answer::later(self.change(key, Some(value)))
    }

    fn delete<'a>(&'a self, key: &'a [u8]) -> Answer<'a, Result<(), Trouble>> {
        Answer::later(self.change(key, None))
    }
}
