//! spawn(8): accepts connections for commands and passes each to an agent, which master starts as the command's user.
//!
//! Diagnostics: what a command's end is worth saying, in spawn(8)'s words; a row that nobody can be started for is `fatal` to
//! the connection only.

use maillog::{Logger, Severity};
use net::{Channel, Listener, Live, Permit, Slots};
use process::{Control, Log, Process, Stop, SystemDisk, Trigger};
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    io,
    os::fd::{AsFd, OwnedFd},
    rc::Rc,
    time::Duration,
};
use sys::{
    control::{AgentKind, AgentUser, ServedRow, ToMaster},
    packet::{self, Incoming},
};
use world::World;

/// How long master may take to start an agent.
const START_LIMIT: Duration = Duration::from_secs(30);

/// How much an agent has to say of a command.
const REMARKS_BYTES_MAX: usize = 8192;

/// How long a listener rests after an error.
const PAUSE: Duration = Duration::from_secs(1);

type Started = Rc<RefCell<Option<Result<OwnedFd, String>>>>;

/// The agents of all rows.
pub(crate) struct Spawner {
    world: Live<SystemDisk>,
    control: Rc<Control>,
    log: Log,
    asked: RefCell<HashMap<u32, (Started, Trigger)>>,
    last_request: Cell<u32>,
}

struct Row {
    /// `policy/unix`
    name: String,
    tag: String,
    slots: Slots,
}

impl Spawner {
    /// Takes the rows of spawn out, and listens on them until `stop`.
    pub(crate) fn start(
        world: &Live<SystemDisk>,
        control: &Rc<Control>,
        process: &Process,
        rows: &mut Vec<ServedRow>,
        stop: &Stop,
    ) -> io::Result<Rc<Self>> {
        let spawner = Rc::new(Self {
            world: world.clone(),
            control: Rc::clone(control),
            log: process.log(),
            asked: RefCell::default(),
            last_request: Cell::new(0),
        });
        let is_ours = |row: &ServedRow| row.program == "spawn" && process.out_of_order(row).is_none();
        let (ours, others) = std::mem::take(rows).into_iter().partition(is_ours);
        *rows = others;
        let ours: Vec<ServedRow> = ours;
        for served in ours {
            let limit = match process.row_limit(&served) {
                0 => process.client_limit(),
                limit => limit,
            };
            let row = Rc::new(Row {
                name: format!("{}/{}", served.service, served.kind.as_str()),
                tag: process::tag(&process.row_values(&served), &served.program),
                slots: Slots::new(limit),
            });
            for listener in served.listeners {
                let accepting = Rc::clone(&spawner).accept(Listener::from_fd(listener)?, Rc::clone(&row));
                let stop = stop.clone();
                world.spawn(async move {
                    stop.cut(accepting).await;
                });
            }
        }
        Ok(spawner)
    }

    /// master's answer to a request.
    pub(crate) fn arrived(&self, request: u32, agent: Result<OwnedFd, String>) {
        if let Some((answer, trigger)) = self.asked.borrow_mut().remove(&request) {
            answer.replace(Some(agent));
            trigger.pull();
        }
    }

    async fn accept(self: Rc<Self>, listener: Listener, row: Rc<Row>) {
        let logger = self.log.session(&row.tag);
        loop {
            let place = row.slots.take().await;
            match listener.accept_to_pass().await {
                Ok(connection) => {
                    let (spawner, row) = (Rc::clone(&self), Rc::clone(&row));
                    self.world.spawn(async move { spawner.serve(connection, &row, place).await });
                }
                Err(error) => {
                    logger.warning(&format!("accept connection: {error}"));
                    self.world.sleep(PAUSE).await;
                }
            }
        }
    }

    async fn serve(&self, connection: OwnedFd, row: &Row, _place: Permit) {
        let logger = self.log.session(&row.tag);
        let request = self.last_request.get().wrapping_add(1) & (u32::MAX >> 1);
        self.last_request.set(request);
        match self.pass(connection, row, request).await {
            Ok(remarks) => remarks.iter().for_each(|remark| say(&logger, remark)),
            Err(why) => logger.write(Severity::Fatal, &why),
        }
        // A master that is gone has nothing to end.
        let _ = self.control.send(&ToMaster::EndAgent { request }).await;
    }

    /// Has the row's command run; what there is to say of it.
    async fn pass(&self, connection: OwnedFd, row: &Row, request: u32) -> Result<Vec<String>, String> {
        let text = |error: io::Error| error.to_string();
        let (answer, trigger) = (Started::default(), Trigger::default());
        self.asked.borrow_mut().insert(request, (Rc::clone(&answer), trigger.clone()));
        let (kind, user) = (AgentKind::Spawn, AgentUser::Name(String::new()));
        let asked = ToMaster::RequestAgent { request, kind, service: row.name.clone(), user };
        self.control.send(&asked).await.map_err(text)?;
        self.world.timeout(START_LIMIT, trigger.wait()).await;
        self.asked.borrow_mut().remove(&request);
        let socket = answer.take().unwrap_or_else(|| Err("no answer from master".to_owned()))?;
        let agent = Channel::from_fd(socket).map_err(text)?;
        let passed = agent.write_with(|socket| packet::send(socket, b"", Some(connection.as_fd()))).await;
        passed.map_err(text)?;
        drop(connection);
        // The agent sees to the time limit.
        let mut incoming = Incoming::new(REMARKS_BYTES_MAX);
        let packet = agent.read_with(|socket| incoming.receive(socket)).await.map_err(text)?;
        let bytes = packet.map(|packet| packet.bytes).unwrap_or_default();
        let remarks = String::from_utf8_lossy(&bytes);
        Ok(remarks.lines().map(str::to_owned).collect())
    }
}

fn say(logger: &Logger, remark: &str) {
    match remark.strip_prefix("fatal: ") {
        Some(text) => logger.write(Severity::Fatal, text),
        None => logger.warning(remark),
    }
}
