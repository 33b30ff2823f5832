//! The word to the queue manager that something has arrived. It may be lost: the queue manager also looks by itself.
//! On the same connection it says, when it is asked, how far it has come ([`crate::flow`]).

use crate::{
    Log, Process, Trigger, first,
    flow::{self, Flow},
};
use config::params as p;
use rustix::fs::{Mode, OFlags};
use std::{
    cell::{Cell, RefCell},
    io,
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
    rc::Rc,
    time::Duration,
};
use types::QueueId;
use world::{Endpoint, Stream, World};

/// How long to wait before the next attempt: between two generations only master holds the socket.
const RETRY: Duration = Duration::from_millis(200);

/// How long a connection stays without a word: a busy system sends one word for many messages.
const LINGER: Duration = Duration::from_millis(2);

/// qmgr(8)'s request to look into `incoming`.
const LOOK: &[u8] = b"I";

/// Most bytes that wait to be sent; what is more is found by a scan.
const WAITING_BYTES_MAX: usize = 64 * 1024;

/// How much of an answer is read at once.
const ANSWER_BYTES: usize = 64;

/// Sends queue ids over one lasting connection, many in one write.
#[derive(Clone)]
pub struct Word<W: World>(Rc<Inner<W>>);

struct Inner<W: World> {
    world: W,
    path: PathBuf,
    log: Log,
    /// `trigger_timeout`: how long the queue manager may take to accept, or to read.
    limit: Duration,
    waiting: RefCell<Waiting>,
    is_sending: Cell<bool>,
    /// At the last attempt nobody listened: not even master is there.
    is_unheard: Cell<bool>,
    /// Everything is said; what is waited for is an answer.
    is_listening: Cell<bool>,
    /// There is more to say.
    more: Trigger,
    flow: Flow,
}

/// What is to be said.
#[derive(Default)]
struct Waiting {
    /// Requests: a letter each, and each once.
    letters: Vec<u8>,
    /// `+ID` and a line end for each message.
    ids: Vec<u8>,
}

impl Waiting {
    fn ask(&mut self, letters: &[u8]) {
        for letter in letters {
            if !self.letters.contains(letter) {
                self.letters.push(*letter);
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.letters.is_empty() && self.ids.is_empty()
    }
}

impl<W: World> Word<W> {
    /// To the queue manager of this process's configuration.
    #[must_use]
    pub fn new(world: W, process: &Process) -> Self {
        let service = process.values().text(p::queue_service_name);
        let path: PathBuf = process.queue_directory().join("public").join(service);
        Self(Rc::new(Inner {
            world,
            path,
            log: process.log(),
            limit: process.values().time(p::trigger_timeout),
            waiting: RefCell::default(),
            is_sending: Cell::new(false),
            is_unheard: Cell::new(false),
            is_listening: Cell::new(false),
            more: Trigger::default(),
            flow: Flow::load(process.values()),
        }))
    }

    /// To be called before a new message is begun: while more comes in than the queue manager takes up, it waits here, for
    /// `in_flow_delay` at most.
    pub async fn admit(&self) {
        let has_token = self.0.flow.take();
        if self.0.flow.wants_answer() {
            self.ask(&[flow::ASK]);
        }
        if !has_token {
            // In a box: sessions that wait for their clients need no room for it.
            Box::pin(self.0.flow.wait(&self.0.world)).await;
        }
    }

    /// From now on nobody is held back: a process that is about to end has no more mail to come.
    pub fn admit_all(&self) {
        self.0.flow.let_all_in();
    }

    /// A message was committed.
    pub fn arrived(&self, id: QueueId) {
        let mut waiting = self.0.waiting.borrow_mut();
        if waiting.ids.len() < WAITING_BYTES_MAX {
            waiting.ids.push(b'+');
            waiting.ids.extend_from_slice(id.as_str().as_bytes());
            waiting.ids.push(b'\n');
        } else {
            waiting.ask(LOOK);
        }
        drop(waiting);
        self.send();
    }

    /// At start: what a process before us committed may not have been told.
    pub fn look(&self) {
        self.ask(LOOK);
    }

    /// Requests of qmgr(8), a letter each.
    pub fn ask(&self, letters: &[u8]) {
        self.0.waiting.borrow_mut().ask(letters);
        self.send();
    }

    /// Waits until nothing is left to be said, or nobody is there to hear it: a queue manager that comes later looks by
    /// itself.
    pub async fn sent(&self) {
        let is_saying = || self.0.is_sending.get() && !self.0.is_listening.get();
        while is_saying() && !self.0.is_unheard.get() {
            self.0.world.sleep(LINGER).await;
        }
    }

    fn send(&self) {
        if !self.0.is_sending.replace(true) {
            let inner = Rc::clone(&self.0);
            self.0.world.spawn(async move { inner.send_all().await });
        } else if self.0.is_listening.replace(false) {
            self.0.more.pull();
        }
    }
}

impl<W: World> Inner<W> {
    /// Sends until nothing waits. Where a connection breaks, the queue manager was restarted, perhaps after it had read
    /// some of the ids: the new one is told to look into `incoming` itself.
    async fn send_all(&self) {
        loop {
            let connected = self.world.connect(&Endpoint::Unix(self.path.clone()), None, self.limit).await;
            let nobody = |error: &io::Error| {
                matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound)
            };
            self.is_unheard.set(connected.as_ref().is_err_and(nobody));
            let sent = match connected {
                Ok(stream) => self.send_to(stream).await,
                Err(_) if is_fifo(&self.path) => self.send_to_fifo(),
                Err(error) => Err(error),
            };
            if sent.is_ok() {
                // Nothing waits, and nothing has run since that was seen.
                self.is_sending.set(false);
                return;
            }
            self.world.sleep(RETRY).await;
            let mut waiting = self.waiting.borrow_mut();
            waiting.ids.clear();
            waiting.ask(LOOK);
            if self.flow.is_asked() {
                waiting.ask(&[flow::ASK]);
            }
        }
    }

    /// A FIFO, as master.cf files of older days have it, takes requests only, and gives no answers.
    fn send_to_fifo(&self) -> io::Result<()> {
        // Opened for reading too, so that nobody listening is not waited for.
        let fifo =
            rustix::fs::open(&self.path, OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?;
        self.flow.unanswerable();
        let mut waiting = self.waiting.borrow_mut();
        waiting.letters.retain(|letter| *letter != flow::ASK);
        if !waiting.ids.is_empty() {
            waiting.ask(LOOK);
        }
        match rustix::io::write(&fifo, &waiting.letters) {
            // Full of requests that nobody has read yet: ours is among them.
            Ok(_) | Err(rustix::io::Errno::AGAIN) => {
                *waiting = Waiting::default();
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn send_to(&self, mut stream: W::Stream) -> io::Result<()> {
        loop {
            if self.waiting.borrow().is_empty() {
                self.world.sleep(LINGER).await;
            }
            if self.waiting.borrow().is_empty() {
                if !self.flow.is_asked() {
                    return Ok(());
                }
                self.listen(&mut stream).await?;
                continue;
            }
            let Waiting { letters, ids } = self.waiting.take();
            // A message's lines begin with ours.
            self.log.flush();
            let written =
                self.world.timeout(self.limit, stream.write_all(&[&letters[..], &ids].concat())).await;
            let written = written.unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into()));
            if written.is_err() {
                self.waiting.borrow_mut().ask(&letters);
            }
            written?;
        }
    }

    /// Waits for a part of the answer, or until there is more to say.
    async fn listen(&self, stream: &mut W::Stream) -> io::Result<()> {
        self.is_listening.set(true);
        let mut answer = [0; ANSWER_BYTES];
        let heard = first(self.more.wait(), stream.read(&mut answer)).await;
        self.is_listening.set(false);
        match heard {
            Ok(()) => Ok(()),
            Err(Ok(0)) => Err(io::ErrorKind::UnexpectedEof.into()),
            Err(Ok(count)) => {
                self.flow.heard(answer.get(..count).unwrap_or_default());
                if self.flow.wants_answer() {
                    self.waiting.borrow_mut().ask(&[flow::ASK]);
                }
                Ok(())
            }
            Err(Err(error)) => Err(error),
        }
    }
}

fn is_fifo(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|facts| facts.file_type().is_fifo())
}
