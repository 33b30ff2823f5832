//! The agents that run, and the steps that are done for them.

use crate::{
    agent::{self, Started},
    mailbox::Mailbox,
    settings::Settings,
};
use config::SpawnCommand;
use maillog::Logger;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::{
    collections::{HashMap, HashSet},
    os::fd::OwnedFd,
    time::Instant,
};
use sys::{
    accounts::{self, Accounts},
    control::{self, AgentKind, AgentUser},
    credentials::Account,
    errand::Errand,
    process::{Ended, Kill, signal_process},
    spawn,
};

/// All agents, by process number.
#[derive(Debug, Default)]
pub(crate) struct Agents {
    running: HashMap<u32, Agent>,
    /// Copies of master that do a step, and the agents that they do it for.
    steps: HashMap<u32, u32>,
    /// Agents that cannot be started before somebody has looked their users up, by the number of who does that.
    waiting: HashMap<u32, Waiting>,
    /// Copies of master that look users up, and have not ended.
    copies: HashSet<u32>,
}

/// An agent that is wanted.
#[derive(Debug)]
struct Waiting {
    asked: (u32, u32),
    kind: AgentKind,
    service: String,
    user: AgentUser,
    /// Where the accounts come from.
    socket: OwnedFd,
    until: Instant,
}

/// The answer to a child: `deliver`'s socket to an agent, or why there is none.
pub(crate) type Answer = Result<OwnedFd, String>;

#[derive(Debug)]
struct Agent {
    kind: &'static str,
    /// The row of spawn that it is for.
    spawns: Option<String>,
    /// Who asked for it, and under which number.
    asked: (u32, u32),
    errands: Option<Errands>,
    /// It was told to end.
    is_ending: bool,
}

#[derive(Debug)]
struct Errands {
    socket: OwnedFd,
    mailbox: Mailbox,
    /// A step is being done: until it ends, the copy that does it has the socket.
    is_busy: bool,
    /// Steps that it may still ask for: an agent is let go after max_use deliveries.
    left: u32,
}

/// What has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// An agent or a step, by its name.
    Ours(&'static str),
    /// An agent that was wanted to end.
    Wanted,
    Other,
}

impl Agents {
    /// Starts an agent for child `asker`; `None` when its user must be looked up first, which [`Self::heard`] tells the
    /// end of.
    pub(crate) fn start(
        &mut self,
        settings: &Settings,
        asked: (u32, u32),
        what: (AgentKind, &str, &AgentUser),
    ) -> Option<Answer> {
        if let Some(why) = self.is_full(settings, what) {
            return Some(Err(why));
        }
        match agent::names(settings, what) {
            Ok(names) if names.is_empty() => Some(self.launch(settings, asked, what, &[])),
            Ok(names) => self.look_up(settings, asked, what, &names).map(Err),
            Err(why) => Some(Err(why)),
        }
    }

    /// Commands of spawn(8) stay for long, and take no places of deliveries. The generation before may have as many.
    fn is_full(
        &self,
        settings: &Settings,
        (kind, service, _): (AgentKind, &str, &AgentUser),
    ) -> Option<String> {
        let (limit, spawns) = match kind {
            AgentKind::Spawn => {
                let row = SpawnCommand::row(&settings.configuration, service);
                let max_proc = row.map_or(0, |row| row.max_proc);
                let limit = if max_proc == 0 { settings.default_process_limit } else { max_proc };
                (limit.saturating_mul(2), Some(service))
            }
            _ => (settings.default_process_limit, None),
        };
        let running = self.running.values().map(|agent| agent.spawns.as_deref());
        let waiting = self.waiting.values().map(|one| spawns_of(one.kind, &one.service));
        let count = running.chain(waiting).filter(|of| *of == spawns).count();
        let is_full = count >= usize::try_from(limit).unwrap_or(usize::MAX);
        is_full.then(|| match spawns {
            Some(service) => format!("service {service}: its process limit in master.cf is reached"),
            None => "default_process_limit: too many agents at once".to_owned(),
        })
    }

    /// Has names looked up, where a user database that hangs holds nobody up. Gives the reason if that is not possible.
    fn look_up(
        &mut self,
        settings: &Settings,
        asked: (u32, u32),
        (kind, service, user): (AgentKind, &str, &AgentUser),
        names: &[String],
    ) -> Option<String> {
        let (pid, socket) = match accounts::look_up(names) {
            Ok(begun) => begun,
            Err(error) => return Some(format!("cannot look up {}: {error}", names.join(", "))),
        };
        let until = Instant::now() + settings.lookup_time_limit;
        let (service, user) = (service.to_owned(), user.clone());
        self.copies.insert(pid);
        self.waiting.insert(pid, Waiting { asked, kind, service, user, socket, until });
        None
    }

    /// Starts the agents whose users were looked up meanwhile. Gives the answers, with who asked.
    pub(crate) fn heard(&mut self, settings: &Settings, now: Instant) -> Vec<((u32, u32), Answer)> {
        let is_over = |one: &Waiting| has_input(&one.socket) || one.until <= now;
        let over: Vec<u32> =
            self.waiting.iter().filter(|(_, one)| is_over(one)).map(|(pid, _)| *pid).collect();
        let mut answers = Vec::new();
        for pid in over {
            let Some(one) = self.waiting.remove(&pid) else { continue };
            let found = if has_input(&one.socket) {
                match control::receive(&one.socket) {
                    Ok(Some(Accounts(found))) => found,
                    Ok(None) => Err("the user database gave no answer".to_owned()),
                    Err(error) => Err(format!("user database: {error}")),
                }
            } else {
                signal(pid, Kill::Kill);
                let limit = settings.lookup_time_limit;
                Err(format!("the user database gave no answer within {limit:?} (lookup_time_limit)"))
            };
            let what = (one.kind, one.service.as_str(), &one.user);
            let answer = found.and_then(|accounts| self.launch(settings, one.asked, what, &accounts));
            answers.push((one.asked, answer));
        }
        answers
    }

    /// When to look at those who wait for the user database, if nothing happens before.
    pub(crate) fn next_time(&self) -> Option<Instant> {
        self.waiting.values().map(|one| one.until).min()
    }

    fn launch(
        &mut self,
        settings: &Settings,
        asked: (u32, u32),
        what: (AgentKind, &str, &AgentUser),
        accounts: &[Option<Account>],
    ) -> Answer {
        let kind = what.0;
        let Started { socket, pid, errands } = agent::start(settings, what, accounts)?;
        let errands = errands.map(|(socket, mailbox)| Errands {
            socket,
            mailbox,
            is_busy: false,
            left: settings.max_use.saturating_add(1),
        });
        let spawns = spawns_of(kind, what.1).map(str::to_owned);
        self.running.insert(pid, Agent { kind: kind.as_str(), spawns, asked, errands, is_ending: false });
        Ok(socket)
    }

    /// Ends an agent that its asker has let go or given up: its user could make it stay, and others would find the
    /// limit reached.
    pub(crate) fn end(&mut self, asked: (u32, u32)) {
        if let Some((pid, agent)) = self.running.iter_mut().find(|(_, agent)| agent.asked == asked) {
            agent.is_ending = true;
            signal(*pid, Kill::Kill);
        }
        if let Some(pid) = self.waiting.iter().find(|(_, one)| one.asked == asked).map(|(pid, _)| *pid) {
            self.waiting.remove(&pid);
            signal(pid, Kill::Kill);
        }
    }

    /// What to wait for.
    pub(crate) fn sockets(&self) -> impl Iterator<Item = PollFd<'_>> {
        let idle = self.running.values().filter_map(|agent| agent.errands.as_ref());
        let idle = idle.filter(|errands| !errands.is_busy).map(|errands| &errands.socket);
        let sockets = idle.chain(self.waiting.values().map(|one| &one.socket));
        sockets.map(|socket| PollFd::new(socket, PollFlags::IN))
    }

    /// Begins the steps that were asked for.
    pub(crate) fn hear(&mut self, log: &Logger) {
        for (pid, agent) in &mut self.running {
            let Some(errands) = agent.errands.as_mut().filter(|errands| !errands.is_busy) else { continue };
            if !has_input(&errands.socket) {
                continue;
            }
            match errands.hear() {
                Ok(Some(step)) => {
                    self.steps.insert(step, *pid);
                }
                // It is ending.
                Ok(None) => agent.errands = None,
                Err(error) => {
                    log.warning(&format!("agent {} pid {pid}: {error}", agent.kind));
                    agent.errands = None;
                    signal(*pid, Kill::Kill);
                }
            }
        }
    }

    /// A process has ended. After a step that did not come to its end, the agent hears that nobody answers.
    pub(crate) fn ended(&mut self, pid: u32, ended: Ended) -> Whose {
        if let Some(agent) = self.steps.remove(&pid) {
            if let Some(agent) = self.running.get_mut(&agent) {
                agent.errands = agent.errands.take().filter(|_| ended == Ended::Exit(0));
                agent.errands.iter_mut().for_each(|errands| errands.is_busy = false);
            }
            return Whose::Ours("mailbox");
        }
        if self.copies.remove(&pid) {
            return Whose::Wanted;
        }
        match self.running.remove(&pid) {
            Some(agent) if agent.is_ending => Whose::Wanted,
            Some(agent) => Whose::Ours(agent.kind),
            None => Whose::Other,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.running.is_empty() && self.steps.is_empty() && self.copies.is_empty()
    }

    /// Signals every agent; steps end with their agents.
    pub(crate) fn signal_all(&self, kill: Kill) {
        self.running.keys().chain(&self.copies).for_each(|pid| signal(*pid, kill));
    }
}

impl Errands {
    /// Takes one errand and starts a copy of this process that does it; `None` when the agent has closed its end.
    fn hear(&mut self) -> std::io::Result<Option<u32>> {
        let Some(errand) = control::receive::<Errand>(&self.socket)? else { return Ok(None) };
        self.left =
            self.left.checked_sub(1).ok_or_else(|| std::io::Error::other("asks too often (max_use)"))?;
        let mailbox = &self.mailbox;
        let step = spawn::in_a_copy(&self.socket, |socket| mailbox.serve(&errand, &socket))?;
        self.is_busy = true;
        Ok(Some(step))
    }
}

fn spawns_of(kind: AgentKind, service: &str) -> Option<&str> {
    (kind == AgentKind::Spawn).then_some(service)
}

fn signal(pid: u32, kill: Kill) {
    // One that is gone already is what was wanted.
    let _ = signal_process(pid, kill);
}

fn has_input(socket: &OwnedFd) -> bool {
    let mut ready = [PollFd::new(socket, PollFlags::IN)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut ready, Some(&now)).is_ok_and(|count| count > 0)
}
