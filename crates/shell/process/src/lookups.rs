//! Look-ups that may block, hang or crash, done by expendable processes that master starts for this one.
//!
//! Each answers one question at a time. One that does not answer in time is ended, and the answer is a temporary error: the
//! others, and everything else in this process, have not waited for it.

use crate::{Control, Process, Trigger};
use config::own;
use net::Channel;
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    os::fd::OwnedFd,
    rc::Rc,
    time::Duration,
};
use sys::{
    control::{AgentKind, AgentUser, ToMaster},
    packet::{self, Incoming},
};
use tables::{
    Slow,
    slow::{Found, MESSAGE_BYTES_MAX, Request, decode_found},
};
use types::{Lookup, Trouble};
use world::{Answer, World};

/// Numbers of requests at master that are this pool's: agents for deliveries have those below.
const FIRST_REQUEST: u32 = 1 << 31;

/// The processes of this one.
pub struct Lookups<W: World> {
    world: W,
    control: Rc<Control>,
    idle: RefCell<Vec<Worker>>,
    slots: net::Slots,
    asked: RefCell<HashMap<u32, (Started, Trigger)>>,
    last_request: Cell<u32>,
    time_limit: Duration,
}

type Started = Rc<RefCell<Option<Result<OwnedFd, String>>>>;

struct Worker {
    channel: Channel,
    request: u32,
}

impl<W: World> Lookups<W> {
    /// None are started before the first question.
    pub fn new(world: &W, control: &Rc<Control>, process: &Process) -> Rc<Self> {
        let values = process.values();
        let limit = values.own_number(&own::LOOKUP_PROCESS_LIMIT).max(1);
        Rc::new(Self {
            world: world.clone(),
            control: Rc::clone(control),
            idle: RefCell::default(),
            slots: net::Slots::new(usize::try_from(limit).unwrap_or(1)),
            asked: RefCell::default(),
            last_request: Cell::new(FIRST_REQUEST),
            time_limit: values.own_time(&own::LOOKUP_TIME_LIMIT),
        })
    }

    /// Whether master's answer to a request is for this pool.
    #[must_use]
    pub const fn is_ours(request: u32) -> bool {
        request >= FIRST_REQUEST
    }

    /// master's answer to a request.
    pub fn arrived(&self, request: u32, socket: Result<OwnedFd, String>) {
        if let Some((answer, trigger)) = self.asked.borrow_mut().remove(&request) {
            answer.replace(Some(socket));
            trigger.pull();
        }
    }

    async fn have_done(&self, request: Request) -> Found {
        let limit = self.time_limit;
        let trouble = |why: String| Lookup::TryAgain(Trouble::new(format!("{}: {why}", about(&request))));
        let in_time = async {
            let _place = self.slots.take().await;
            let mut worker = self.worker().await?;
            let mut guard = Guard { lookups: self, request: Some(worker.request) };
            let answer = self.exchange(&mut worker, &request.encode()).await?;
            guard.request = None;
            self.idle.borrow_mut().push(worker);
            Ok(answer)
        };
        match self.world.timeout(limit, in_time).await {
            Some(Ok(found)) => found,
            Some(Err(why)) => trouble(why),
            None => trouble(format!("no answer within {limit:?} (lookup_time_limit)")),
        }
    }

    async fn exchange(&self, worker: &mut Worker, request: &[u8]) -> Result<Found, String> {
        let text = |error: std::io::Error| format!("the lookup process: {error}");
        worker.channel.write_with(|socket| packet::send(socket, request, None)).await.map_err(text)?;
        let mut incoming = Incoming::new(MESSAGE_BYTES_MAX);
        let packet = worker.channel.read_with(|socket| incoming.receive(socket)).await.map_err(text)?;
        let packet = packet.ok_or_else(|| "the lookup process went away without an answer".to_owned())?;
        decode_found(&packet.bytes).ok_or_else(|| "a malformed answer of the lookup process".to_owned())
    }

    /// An idle process, or a new one.
    async fn worker(&self) -> Result<Worker, String> {
        if let Some(worker) = self.idle.borrow_mut().pop() {
            return Ok(worker);
        }
        let request = self.last_request.get().wrapping_add(1).max(FIRST_REQUEST);
        self.last_request.set(request);
        let (answer, trigger) = (Started::default(), Trigger::default());
        self.asked.borrow_mut().insert(request, (Rc::clone(&answer), trigger.clone()));
        let (kind, user) = (AgentKind::Lookup, AgentUser::Name(String::new()));
        let asked = ToMaster::RequestAgent { request, kind, service: String::new(), user };
        self.control.send(&asked).await.map_err(|error| error.to_string())?;
        trigger.wait().await;
        let socket = answer.take().unwrap_or_else(|| Err("no answer from master".to_owned()))?;
        let channel = Channel::from_fd(socket).map_err(|error| error.to_string())?;
        Ok(Worker { channel, request })
    }
}

/// Has a process ended whose answer nobody waits for any more.
struct Guard<'a, W: World> {
    lookups: &'a Lookups<W>,
    request: Option<u32>,
}

impl<W: World> Drop for Guard<'_, W> {
    fn drop(&mut self) {
        let Some(request) = self.request else { return };
        let control = Rc::clone(&self.lookups.control);
        self.lookups.world.spawn(async move {
            // A master that is gone has nothing to end.
            let _ = control.send(&ToMaster::EndAgent { request }).await;
        });
    }
}

/// What a question is about, for whoever reads why there is no answer.
fn about(request: &Request) -> String {
    match request {
        Request::Table { map_type, name, .. } => format!("{map_type}:{name}"),
        Request::UserByName(name) => format!("user lookup for {name}"),
        Request::UserByUid(uid) => format!("user lookup for {uid}"),
        Request::Rows { database, .. } => format!("sqlite database {database}"),
    }
}

impl<W: World> Slow for Lookups<W> {
    fn ask(&self, request: Request) -> Answer<'_, Found> {
        Answer::later(self.have_done(request))
    }
}
