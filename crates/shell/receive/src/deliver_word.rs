//! The word to `deliver` that something has arrived. It may be lost: `deliver` also looks by itself.

use process::Process;
use std::{
    cell::{Cell, RefCell},
    io,
    path::PathBuf,
    rc::Rc,
    time::Duration,
};
use types::QueueId;
use world::{Endpoint, Stream, World};

/// How long to wait for the other process to take the connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// How often to try when nobody is there: between two generations of `deliver` only master holds the socket.
const ATTEMPTS: u32 = 5;

/// How long to wait before the next attempt.
const RETRY: Duration = Duration::from_millis(200);

/// qmgr(8)'s request to look into `incoming`.
const LOOK: &[u8] = b"I";

/// Most bytes that wait to be sent; what is more is found by a scan.
const WAITING_BYTES_MAX: usize = 64 * 1024;

/// Sends queue ids over one lasting connection, many in one write.
#[derive(Clone)]
pub(crate) struct DeliverWord<W: World>(Rc<Inner<W>>);

struct Inner<W: World> {
    world: W,
    endpoint: Endpoint,
    log: process::Log,
    waiting: RefCell<Vec<u8>>,
    is_sending: Cell<bool>,
}

impl<W: World> DeliverWord<W> {
    pub(crate) fn new(world: W, process: &Process) -> Self {
        let service = process.values().text(config::params::queue_service_name);
        let path: PathBuf = process.queue_directory().join("public").join(service);
        Self(Rc::new(Inner {
            world,
            endpoint: Endpoint::Unix(path),
            log: process.log(),
            waiting: RefCell::default(),
            is_sending: Cell::new(false),
        }))
    }

    /// A message was committed.
    pub(crate) fn arrived(&self, id: QueueId) {
        let mut waiting = self.0.waiting.borrow_mut();
        if waiting.len() < WAITING_BYTES_MAX {
            waiting.push(b'+');
            waiting.extend_from_slice(id.as_str().as_bytes());
            waiting.push(b'\n');
        }
        drop(waiting);
        self.send();
    }

    /// At start: what a process before us committed may not have been told.
    pub(crate) fn look(&self) {
        self.0.waiting.borrow_mut().extend_from_slice(LOOK);
        self.send();
    }

    fn send(&self) {
        if !self.0.is_sending.replace(true) {
            let inner = Rc::clone(&self.0);
            self.0.world.spawn(async move { inner.send_all().await });
        }
    }
}

impl<W: World> Inner<W> {
    /// Sends until nothing waits. Where a connection breaks, `deliver` was restarted, perhaps after it had read some
    /// of the ids: the new one is told to look into `incoming` itself.
    async fn send_all(&self) {
        for _ in 0..ATTEMPTS {
            match self.world.connect(&self.endpoint, None, CONNECT_LIMIT).await {
                Ok(stream) => match self.send_to(stream).await {
                    Ok(()) => break,
                    Err(_) => self.waiting.replace(LOOK.to_vec()),
                },
                Err(_) => {
                    self.world.sleep(RETRY).await;
                    self.waiting.replace(LOOK.to_vec())
                }
            };
        }
        self.is_sending.set(false);
    }

    async fn send_to(&self, mut stream: W::Stream) -> io::Result<()> {
        loop {
            let bytes = self.waiting.take();
            if bytes.is_empty() {
                // Gather what arrives within a moment: a busy system sends one word for many messages.
                self.world.sleep(Duration::from_millis(2)).await;
                if self.waiting.borrow().is_empty() {
                    return Ok(());
                }
                continue;
            }
            // A message's lines begin with ours.
            self.log.flush();
            stream.write_all(&bytes).await?;
        }
    }
}
