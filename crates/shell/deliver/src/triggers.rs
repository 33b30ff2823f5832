//! Words from outside: that mail has arrived, that the queue is to be flushed, what the queue or a table holds.

use crate::{
    flow::Asker,
    flush::{self, Sites},
    proxymap::{self, Proxymap},
    shared::Shared,
    verifying,
};
use net::{Permit, Slots, accept_all};
use process::{Process, first, flow};
use qmgr::{Event, Triggers};
use std::{collections::HashMap, io, rc::Rc, time::Duration};
use sys::control::ServedRow;
use tables::Openers;
use types::QueueId;
use world::{Accept, Stream, Walk, World};

/// Batches of a listing that may be ahead of its reader.
const BATCHES_AHEAD_MAX: usize = 4;

/// How often to look whether clients have gone.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// Who is connected.
pub(crate) struct Clients {
    /// Words to the queue manager.
    words: Slots,
    /// Those who wait for an answer.
    asking: Slots,
    /// Those who ask for tables, and may ask again.
    looking_up: Slots,
    tables: HashMap<String, Rc<Proxymap>>,
    sites: HashMap<String, Rc<Sites>>,
    limits: Limits,
}

#[derive(Clone, Copy)]
struct Limits {
    /// `trigger_timeout`: how long somebody may keep the queue manager waiting for a word.
    word: Duration,
    /// `ipc_timeout`: how long a client may take to ask, or to read the answer.
    answer: Duration,
}

#[derive(Clone)]
enum Client {
    QueueManager,
    Flush(Rc<Sites>),
    ShowQueue,
    Proxymap(Rc<Proxymap>),
    /// By the name of its row.
    Verify(String),
}

impl Clients {
    /// Nobody yet. Of each kind there may be as many as default_process_limit says: this one process serves them all,
    /// whatever limit their rows have.
    pub(crate) fn new(process: &Process, openers: &Openers) -> Self {
        let values = process.values();
        let limit = process.client_limit();
        let limits = Limits {
            word: values.time(config::params::trigger_timeout),
            answer: values.time(config::params::ipc_timeout),
        };
        let slots = || Slots::new(limit);
        Self {
            words: slots(),
            asking: slots(),
            looking_up: slots(),
            tables: proxymap::services(process, openers),
            sites: flush::services(process, openers),
            limits,
        }
    }

    /// Listens on the rows of this process.
    pub(crate) fn listen<W: World, L: Accept<Stream = W::Stream>>(
        &self,
        shared: &Rc<Shared<W>>,
        rows: Vec<(ServedRow, Vec<L>)>,
    ) {
        for (row, listeners) in rows {
            let client = match row.program.as_str() {
                "qmgr" | "nqmgr" | "oqmgr" => Client::QueueManager,
                "flush" => match self.sites.get(&row.service) {
                    Some(sites) => Client::Flush(Rc::clone(sites)),
                    None => continue,
                },
                "showq" => Client::ShowQueue,
                "proxymap" => match self.tables.get(&row.service) {
                    Some(service) => Client::Proxymap(Rc::clone(service)),
                    None => continue,
                },
                "verify" => Client::Verify(row.service.clone()),
                _ => continue,
            };
            let slots = match client {
                Client::QueueManager => &self.words,
                Client::Flush(_) | Client::ShowQueue => &self.asking,
                Client::Proxymap(_) | Client::Verify(_) => &self.looking_up,
            };
            for listener in listeners {
                let who = (client.clone(), slots.clone());
                shared.world.spawn(listen(Rc::clone(shared), listener, who, self.limits));
            }
            match client {
                Client::QueueManager => wake_up(shared, &row.service),
                Client::Flush(sites) => flush::start(shared, &row.service, sites),
                Client::ShowQueue | Client::Proxymap(_) | Client::Verify(_) => {}
            }
        }
    }

    /// Waits until nobody speaks to the queue manager any more; [`Shared::stop`] is set.
    pub(crate) async fn word_is_out(&self, world: &impl World) {
        while self.words.taken() > 0 {
            world.sleep(LOOK_AGAIN).await;
        }
    }

    /// Waits until everybody has their answer.
    pub(crate) async fn served(&self, world: &impl World) {
        while self.asking.taken() + self.looking_up.taken() > 0 {
            world.sleep(LOOK_AGAIN).await;
        }
    }
}

/// The wake-up time of master.cf means: look into the incoming queue.
fn wake_up<W: World>(shared: &Rc<Shared<W>>, service: &str) {
    let (trigger, shared) = (shared.wakeups.trigger(service), Rc::clone(shared));
    let world = shared.world.clone();
    world.spawn(async move {
        while !shared.stop.is_set() {
            trigger.wait().await;
            shared.events.push(Event::Trigger(Triggers::INCOMING));
        }
    });
}

async fn listen<W: World>(
    shared: Rc<Shared<W>>,
    listener: impl Accept<Stream = W::Stream>,
    (client, slots): (Client, Slots),
    limits: Limits,
) {
    let serve = |stream: W::Stream, _, permit: Permit| {
        let (session, client) = (Rc::clone(&shared), client.clone());
        shared.world.spawn(async move {
            // A client that goes away early has only itself to tell.
            let _ = match client {
                Client::QueueManager => {
                    session.stop.cut(queue_manager(&session, stream, limits.word)).await.unwrap_or(Ok(()))
                }
                Client::Flush(sites) => flush::serve(&session, &sites, stream, limits.answer).await,
                Client::ShowQueue => show_queue(&session, stream, limits.answer).await,
                Client::Proxymap(service) => proxymap::serve(&session, &service, stream, limits.answer).await,
                Client::Verify(name) => match session.verify.get().and_then(|services| services.get(&name)) {
                    Some(service) => verifying::serve(&session, service, stream, limits.answer).await,
                    None => Ok(()),
                },
            };
            drop(permit);
        });
    };
    let trouble = |error: &io::Error| shared.logger.warning(&format!("accept connection: {error}"));
    shared.stop.cut(accept_all(&shared.world, &listener, &slots, serve, trouble)).await;
}

/// Single letters are Postfix's requests; `+ID` and a line end is `receive`'s word that a message is there, and
/// [`flow::ASK`] its question whether it may go on.
async fn queue_manager<W: World>(
    shared: &Shared<W>,
    mut stream: W::Stream,
    limit: Duration,
) -> io::Result<()> {
    let mut buffer = vec![0; 4096];
    let mut line: Option<Vec<u8>> = None;
    let mut asker: Option<Asker<'_>> = None;
    loop {
        let read = stream.read(&mut buffer);
        let turn = match &mut asker {
            None => Ok(shared.world.timeout(limit, read).await.unwrap_or(Ok(0))),
            // Whoever waits for an answer has nothing to say meanwhile.
            Some(asker) => first(read, asker.news()).await,
        };
        match turn {
            Ok(count) => {
                let said = buffer.get(..count?).unwrap_or_default();
                if said.is_empty() {
                    return Ok(());
                }
                if take_words(shared, said, &mut line) && asker.is_none() {
                    asker = Some(shared.flow.ask());
                    // So that there is news even if nothing happens.
                    shared.events.push(Event::Timer);
                }
            }
            Err((taken, is_behind)) => {
                let answer = flow::answer(taken, is_behind);
                let written = shared.world.timeout(limit, stream.write_all(&answer)).await;
                written.unwrap_or(Err(io::ErrorKind::TimedOut.into()))?;
                asker = asker.filter(|_| is_behind);
            }
        }
    }
}

/// Takes what was said. `line`: what has come of an id. True if an answer is wanted.
fn take_words<W: World>(shared: &Shared<W>, said: &[u8], line: &mut Option<Vec<u8>>) -> bool {
    let mut is_asked = false;
    // Said a thousand times in one breath, it is still one wish.
    let mut asked = Triggers::default();
    for &byte in said {
        match (&mut *line, byte) {
            (None, b'+') => *line = Some(Vec::with_capacity(QueueId::LEN_MAX)),
            (None, flow::ASK) => is_asked = true,
            (None, letter) => asked.add(letter),
            (Some(id), b'\n') => {
                if let Some(id) = std::str::from_utf8(id).ok().and_then(|text| text.parse().ok()) {
                    shared.events.push(Event::Arrived(id));
                }
                *line = None;
            }
            (Some(id), byte) if id.len() < QueueId::LEN_MAX => id.push(byte),
            (Some(_), _) => *line = None,
        }
    }
    if asked != Triggers::default() {
        shared.events.push(Event::Trigger(asked));
    }
    is_asked
}

/// showq(8): the queue as attributes, in batches, as fast as the client reads.
async fn show_queue<W: World>(shared: &Shared<W>, mut stream: W::Stream, limit: Duration) -> io::Result<()> {
    let queue = shared.queue.clone();
    let (world, settings) = (shared.world.clone(), shared.showq.clone());
    let listing = world.walk(BATCHES_AHEAD_MAX, move |give: &mut dyn FnMut(Vec<u8>) -> bool| {
        let mut write = |bytes: &[u8]| match give(bytes.to_vec()) {
            true => Ok(()),
            false => Err(io::ErrorKind::BrokenPipe.into()),
        };
        // The client sees a listing that was cut; what is wrong with a file is said when it is delivered.
        let _ = queue::showq::list(&queue, &settings, &mut write, &mut |_warning| {});
    });
    loop {
        let (batches, is_end) = listing.take(1).await;
        for bytes in batches {
            match world.timeout(limit, stream.write_all(&bytes)).await {
                Some(written) => written?,
                None => return Ok(()),
            }
        }
        if is_end {
            break;
        }
    }
    stream.shutdown().await
}
