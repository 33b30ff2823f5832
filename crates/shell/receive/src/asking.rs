//! What the judge asks of others: verify(8), by the socket of its service, and the clock.

use config::{Values, params as p};
use maillog::Logger;
use smtpd::{Clock, Verify};
use std::{cell::RefCell, io, path::PathBuf, time::Duration};
use types::{Address, Instant};
use wire::{
    attr,
    verify::{PROTOCOL, Request, Verified, decode_answer},
};
use world::{Answer, Endpoint, Stream, World};

/// Idle connections that are kept.
const IDLE_MAX: usize = 10;
/// Between two tries to reach the service, as in Postfix.
const PAUSE: Duration = Duration::from_secs(1);
/// A reply is a status, a number and a text.
const REPLY_BYTES_MAX: usize = 3 * attr::STRING_SIZE_MAX;

/// The clock of a world.
pub(crate) struct WorldClock<W>(pub(crate) W);

impl<W: World> Clock for WorldClock<W> {
    fn sleep(&self, span: Duration) -> Answer<'_, ()> {
        Answer::later(self.0.sleep(span))
    }

    fn wall_seconds(&self) -> i64 {
        self.0.wall().seconds
    }
}

/// The client of verify(8): a few connections for all sessions, one question at a time on each.
pub(crate) struct VerifyClient<W: World> {
    world: W,
    log: Logger,
    /// `address_verify_service_name`
    service: String,
    socket: PathBuf,
    idle: RefCell<Vec<Idle<W::Stream>>>,
    limits: Limits,
}

struct Limits {
    /// `ipc_timeout`: for an answer.
    answer: Duration,
    /// `ipc_idle`: an idle connection is kept so long.
    idle: Duration,
    /// For all tries together: as long as asking for the result of a probe may take.
    tries: Duration,
}

struct Idle<S> {
    stream: S,
    since: Instant,
}

impl<W: World> VerifyClient<W> {
    pub(crate) fn new(world: &W, log: Logger, values: &Values) -> Self {
        let service = values.text(p::address_verify_service_name).to_owned();
        let queue_directory = PathBuf::from(values.text(p::queue_directory));
        let polls = u32::try_from(values.int(p::address_verify_poll_count)).unwrap_or(1);
        let tries = values.time(p::address_verify_poll_delay).saturating_mul(polls);
        Self {
            world: world.clone(),
            log,
            socket: queue_directory.join("private").join(&service),
            service,
            idle: RefCell::default(),
            limits: Limits { answer: values.time(p::ipc_timeout), idle: values.time(p::ipc_idle), tries },
        }
    }

    /// Asks again, for a while, where the service does not answer: it may be starting.
    async fn ask(&self, address: &Address) -> Option<Verified> {
        let request = Request::Query(address.as_bytes().into()).encode();
        let end = self.world.now() + self.limits.tries;
        let mut tries = 0;
        loop {
            tries += 1;
            let answered = self.world.timeout(self.limits.answer, self.try_ask(&request)).await;
            let error = match answered {
                Some(Ok(answer)) => return Some(answer),
                Some(Err(error)) => error,
                None => io::ErrorKind::TimedOut.into(),
            };
            let (service, name) = (&self.service, self.socket.display());
            if tries > 1 {
                self.log.warning(&format!("problem talking to service {service}: {name}: {error}"));
            }
            if self.world.now() + PAUSE > end {
                self.log.warning(&format!("{service} service failure"));
                return None;
            }
            self.world.sleep(PAUSE).await;
        }
    }

    async fn try_ask(&self, request: &[u8]) -> io::Result<Verified> {
        if let Some(stream) = self.kept() {
            // The service ends idle connections too: then it is asked on a new one.
            if let Ok(answer) = self.exchange(stream, request).await {
                return Ok(answer);
            }
        }
        let to = Endpoint::Unix(self.socket.clone());
        let mut stream = self.world.connect(&to, None, self.limits.answer).await?;
        let hello = read_list(&mut stream).await?;
        if hello.get("protocol").is_none_or(|protocol| protocol != PROTOCOL) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it speaks another protocol"));
        }
        self.exchange(stream, request).await
    }

    async fn exchange(&self, mut stream: W::Stream, request: &[u8]) -> io::Result<Verified> {
        stream.write_all(request).await?;
        let reply = read_list(&mut stream).await?;
        let nonsense = || io::Error::new(io::ErrorKind::InvalidData, "it gave no answer");
        let answer = decode_answer(&reply).ok_or_else(nonsense)?;
        let mut idle = self.idle.borrow_mut();
        if idle.len() < IDLE_MAX {
            idle.push(Idle { stream, since: self.world.now() });
        }
        Ok(answer)
    }

    /// A connection that nobody uses, and that was used not long ago.
    fn kept(&self) -> Option<W::Stream> {
        let now = self.world.now();
        let mut idle = self.idle.borrow_mut();
        idle.retain(|idle| now.since(idle.since) < self.limits.idle);
        idle.pop().map(|idle| idle.stream)
    }
}

impl<W: World> Verify for VerifyClient<W> {
    fn query<'a>(&'a self, address: &'a Address) -> Answer<'a, Option<Verified>> {
        Answer::later(self.ask(address))
    }
}

/// One list of attributes, and nothing behind it.
async fn read_list(stream: &mut impl Stream) -> io::Result<attr::Attributes> {
    let invalid = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why.to_owned());
    let (mut input, mut buffer) = (Vec::new(), [0; 1024]);
    loop {
        match attr::decode(&input) {
            Ok(Some((list, length))) if length == input.len() => return Ok(list),
            Ok(Some(_)) => return Err(invalid("it said more than was asked for")),
            Ok(None) if input.len() < REPLY_BYTES_MAX => {}
            Ok(None) => return Err(invalid("its answer is too long")),
            Err(malformed) => return Err(invalid(&malformed.to_string())),
        }
        match stream.read(&mut buffer).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => input.extend_from_slice(buffer.get(..count).unwrap_or_default()),
        }
    }
}
