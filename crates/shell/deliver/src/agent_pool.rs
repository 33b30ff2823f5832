//! Agents that run as the owners of mailboxes: asked for at master, used for several deliveries, let go.

use bstr::{BStr, ByteSlice};
use config::params as p;
use local::agent::{MESSAGE_BYTES_MAX, Reply, Request, Task};
use net::Channel;
use process::{Control, Process, Trigger};
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    fs::File,
    io::Read,
    net::{Ipv4Addr, UdpSocket},
    os::fd::{AsFd, OwnedFd},
    rc::Rc,
    time::Duration,
};
use sys::{
    control::{AgentKind, AgentUser, ToMaster},
    memory_file,
    packet::{self, Incoming},
};
use types::{Instant, Transport, Trouble};
use world::{Answer, World};

/// How long master may take to start an agent.
const START_LIMIT: Duration = Duration::from_secs(30);

/// How large a list may be where messages have no limit.
const LIST_BYTES_MAX: u64 = 64 << 20;

struct Agent {
    channel: Channel,
    /// The number that it was asked for under.
    request: u32,
    uses: u32,
    idle_since: Instant,
}

type Started = Rc<RefCell<Option<Result<OwnedFd, String>>>>;
type Idle = Rc<RefCell<HashMap<Owner, Vec<Agent>>>>;

/// Deliveries as another user.
pub trait Agents {
    /// Has one delivery done.
    fn deliver<'a>(
        &'a self,
        owner: &'a Owner,
        request: &'a Request,
        content: &'a [u8],
    ) -> Answer<'a, Result<Reply, Trouble>>;

    /// Tells biff(1) of new mail at an offset in a user's mailbox; it may be lost.
    fn biff(&self, _user: &BStr, _offset: u64) {}
}

/// All agents of this process.
pub(crate) struct AgentPool<W: World> {
    world: W,
    control: Rc<Control>,
    idle: Idle,
    asked: RefCell<HashMap<u32, (Started, Trigger)>>,
    last_request: Cell<u32>,
    max_use: u32,
    max_idle: Duration,
    ipc_timeout: Duration,
    command_time_limit: Duration,
    /// Of lists, in bytes.
    list_size_limit: u64,
}

/// Where comsat(8), which tells users that want to know of new mail, would listen: UDP service `biff`.
const BIFF: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 512);

/// As whom to deliver, with the configuration of which service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    /// The `unix` row of master.cf.
    pub service: String,
    /// As whom.
    pub user: User,
}

/// Somebody whose mailboxes are written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum User {
    /// local(8): a login name.
    Login(String),
    /// default_privs, for nobody in particular or for a user with number 0.
    Default(String),
    /// virtual(8): numbers.
    Ids {
        /// User.
        uid: u32,
        /// Group.
        gid: u32,
    },
}

impl<W: World> AgentPool<W> {
    pub(crate) fn new(world: &W, control: &Rc<Control>, process: &Process) -> Self {
        let values = process.values();
        let pool = Self {
            world: world.clone(),
            control: Rc::clone(control),
            idle: Rc::default(),
            asked: RefCell::default(),
            last_request: Cell::new(0),
            max_use: u32::try_from(values.int(p::max_use)).unwrap_or(1).max(1),
            max_idle: values.time(p::max_idle),
            ipc_timeout: values.time(p::ipc_timeout),
            command_time_limit: values.time(p::command_time_limit),
            list_size_limit: match u64::try_from(values.int(p::message_size_limit)) {
                Ok(limit) if limit > 0 => limit,
                _ => LIST_BYTES_MAX,
            },
        };
        pool.start_reaper();
        pool
    }

    /// master's answer to a request.
    pub(crate) fn arrived(&self, request: u32, agent: Result<OwnedFd, String>) {
        if let Some((answer, trigger)) = self.asked.borrow_mut().remove(&request) {
            answer.replace(Some(agent));
            trigger.pull();
        }
    }

    /// The content is copied into a sealed file that holds nothing else.
    async fn have_done(&self, owner: &Owner, request: &Request, content: &[u8]) -> Result<Reply, Trouble> {
        let failed = |what: &str, why: String| Trouble::new(format!("delivery agent: {what}: {why}"));
        let file = memory_file::sealed(&[content]).map_err(|e| failed("copy content", e.to_string()))?;
        let bytes = request.encode();
        let mut agent = self.ask(owner, &bytes, &file).await.map_err(|why| failed("start", why))?;
        // A command may use up its time three times: reading, writing, ending.
        let limit = match &request.task {
            Task::Command { .. } => self.ipc_timeout.max(self.command_time_limit * 4),
            _ => self.ipc_timeout,
        };
        match self.hear(&mut agent, limit).await {
            Ok(reply) => {
                if agent.uses < self.max_use {
                    agent.idle_since = self.world.now();
                    self.idle.borrow_mut().entry(owner.clone()).or_default().push(agent);
                } else {
                    let_go(&self.control, agent).await;
                }
                Ok(reply)
            }
            Err(why) => {
                let_go(&self.control, agent).await;
                Err(failed("talk", why))
            }
        }
    }

    async fn hear(&self, agent: &mut Agent, limit: Duration) -> Result<Reply, String> {
        // No thread waits meanwhile: sixteen mailboxes on a file server that hangs must not stop all others.
        let mut incoming = Incoming::new(MESSAGE_BYTES_MAX);
        let answer = agent.channel.read_with(|socket| incoming.receive(socket));
        let packet = match self.world.timeout(limit, answer).await {
            Some(Ok(Some(packet))) => packet,
            Some(Ok(None)) => return Err("it went away without an answer".to_owned()),
            Some(Err(error)) => return Err(error.to_string()),
            None => return Err(format!("no answer within {limit:?} (ipc_timeout)")),
        };
        let text = packet.file.map(|file| self.text_of(file)).transpose()?;
        Reply::decode(&packet.bytes, text).map_err(|_| "malformed answer".to_owned())
    }

    /// The list beside an answer, in a file that nobody can change any more.
    fn text_of(&self, file: File) -> Result<Vec<u8>, String> {
        if !memory_file::is_sealed(&file) {
            return Err("an answer with a file that is not sealed".to_owned());
        }
        let mut text = Vec::new();
        let read = file.take(self.list_size_limit + 1).read_to_end(&mut text);
        read.map_err(|error| error.to_string())?;
        match text.len() as u64 > self.list_size_limit {
            true => Err("an answer with a list larger than message_size_limit".to_owned()),
            false => Ok(text),
        }
    }

    /// Hands a request to an agent. An idle one that has died meanwhile took nothing, so another can be asked.
    async fn ask(&self, owner: &Owner, bytes: &[u8], file: &File) -> Result<Agent, String> {
        loop {
            let (mut agent, is_used) = match self.take_idle(owner) {
                Some(agent) => (agent, true),
                None => (self.start(owner).await?, false),
            };
            agent.uses += 1;
            let sending =
                agent.channel.write_with(|socket| packet::send(socket, bytes, Some(file.as_fd()))).await;
            match sending {
                Ok(()) => return Ok(agent),
                Err(error) => {
                    let_go(&self.control, agent).await;
                    if !is_used {
                        return Err(error.to_string());
                    }
                }
            }
        }
    }

    fn take_idle(&self, owner: &Owner) -> Option<Agent> {
        self.idle.borrow_mut().get_mut(owner)?.pop()
    }

    async fn start(&self, owner: &Owner) -> Result<Agent, String> {
        let request = self.last_request.get().wrapping_add(1);
        self.last_request.set(request);
        let (answer, trigger) = (Started::default(), Trigger::default());
        self.asked.borrow_mut().insert(request, (Rc::clone(&answer), trigger.clone()));
        let (kind, user) = owner.for_master();
        let service = owner.service.clone();
        let asked = self.control.send(&ToMaster::RequestAgent { request, kind, service, user }).await;
        asked.map_err(|error| error.to_string())?;
        let world = &self.world;
        world.timeout(START_LIMIT, trigger.wait()).await;
        self.asked.borrow_mut().remove(&request);
        let socket = answer.take().unwrap_or_else(|| Err("no answer from master".to_owned()))?;
        let channel = Channel::from_fd(socket).map_err(|error| error.to_string())?;
        Ok(Agent { channel, request, uses: 0, idle_since: world.now() })
    }

    /// Lets agents go that have been idle for max_idle.
    fn start_reaper(&self) {
        let (idle, world, max_idle) = (Rc::downgrade(&self.idle), self.world.clone(), self.max_idle);
        let control = Rc::clone(&self.control);
        self.world.spawn(async move {
            loop {
                world.sleep(max_idle.max(Duration::from_secs(1)) / 2).await;
                let Some(idle) = idle.upgrade() else { return };
                let old = take_old(&mut idle.borrow_mut(), world.now(), max_idle);
                for agent in old {
                    let_go(&control, agent).await;
                }
            }
        });
    }
}

impl<W: World> Agents for AgentPool<W> {
    fn deliver<'a>(
        &'a self,
        owner: &'a Owner,
        request: &'a Request,
        content: &'a [u8],
    ) -> Answer<'a, Result<Reply, Trouble>> {
        Answer::later(self.have_done(owner, request, content))
    }

    fn biff(&self, user: &BStr, offset: u64) {
        let message = [user.as_bytes(), format!("@{offset}\0").as_bytes()].concat();
        // Whether anybody listens is not our concern.
        let _ = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|socket| socket.send_to(&message, BIFF));
    }
}

/// Those that have been idle for long enough.
fn take_old(idle: &mut HashMap<Owner, Vec<Agent>>, now: Instant, max_idle: Duration) -> Vec<Agent> {
    let mut old = Vec::new();
    for agents in idle.values_mut() {
        old.extend(agents.extract_if(.., |agent| now.since(agent.idle_since) >= max_idle));
    }
    idle.retain(|_, agents| !agents.is_empty());
    old
}

/// Closing its socket ends an agent; master makes sure, since its user could make it stay.
async fn let_go(control: &Control, agent: Agent) {
    let request = agent.request;
    drop(agent);
    // A master that is gone has nothing to end.
    let _ = control.send(&ToMaster::EndAgent { request }).await;
}

impl Owner {
    /// A user of the system, for local(8).
    pub(crate) fn login(service: &Transport, name: &str) -> Self {
        Self { service: service.as_str().to_owned(), user: User::Login(name.to_owned()) }
    }

    /// Nobody in particular, or the named user with number 0, whose rights nothing is done with.
    pub(crate) fn default_privs(service: &Transport, name: &str) -> Self {
        Self { service: service.as_str().to_owned(), user: User::Default(name.to_owned()) }
    }

    /// A user that has numbers only, for virtual(8).
    pub(crate) fn ids(service: &Transport, uid: u32, gid: u32) -> Self {
        Self { service: service.as_str().to_owned(), user: User::Ids { uid, gid } }
    }

    fn for_master(&self) -> (AgentKind, AgentUser) {
        match &self.user {
            User::Login(name) => (AgentKind::Local, AgentUser::Name(name.clone())),
            User::Default(name) => (AgentKind::Local, AgentUser::Default { on_behalf_of: name.clone() }),
            User::Ids { uid, gid } => (AgentKind::Virtual, AgentUser::Ids { uid: *uid, gid: *gid }),
        }
    }
}
