//! The agents that run, and the steps that are done for them.

use crate::{
    agent::{self, Started},
    mailbox::Mailbox,
    settings::Settings,
};
use maillog::Logger;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::{collections::HashMap, os::fd::OwnedFd};
use sys::{
    control::{self, AgentKind, AgentUser},
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
}

#[derive(Debug)]
struct Agent {
    kind: &'static str,
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
    /// Starts an agent for child `asker`, and returns `deliver`'s socket to it, or why there is none.
    pub(crate) fn start(
        &mut self,
        settings: &Settings,
        asked: (u32, u32),
        what: (AgentKind, &str, &AgentUser),
    ) -> Result<OwnedFd, String> {
        if self.running.len() >= usize::try_from(settings.default_process_limit).unwrap_or(0) {
            return Err("default_process_limit: too many agents at once".to_owned());
        }
        let (kind, service, user) = what;
        let Started { socket, pid, errands } = agent::start(settings, kind, service, user)?;
        let errands = errands.map(|(socket, mailbox)| Errands {
            socket,
            mailbox,
            is_busy: false,
            left: settings.max_use.saturating_add(1),
        });
        self.running.insert(pid, Agent { kind: kind.as_str(), asked, errands, is_ending: false });
        Ok(socket)
    }

    /// Ends an agent that its asker has let go or given up: its user could make it stay, and others would find the
    /// limit reached.
    pub(crate) fn end(&mut self, asked: (u32, u32)) {
        if let Some((pid, agent)) = self.running.iter_mut().find(|(_, agent)| agent.asked == asked) {
            agent.is_ending = true;
            signal(*pid, Kill::Kill);
        }
    }

    /// What to wait for.
    pub(crate) fn sockets(&self) -> impl Iterator<Item = PollFd<'_>> {
        let idle = self.running.values().filter_map(|agent| agent.errands.as_ref());
        idle.filter(|errands| !errands.is_busy).map(|errands| PollFd::new(&errands.socket, PollFlags::IN))
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
        match self.running.remove(&pid) {
            Some(agent) if agent.is_ending => Whose::Wanted,
            Some(agent) => Whose::Ours(agent.kind),
            None => Whose::Other,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.running.is_empty() && self.steps.is_empty()
    }

    /// Signals every agent; steps end with their agents.
    pub(crate) fn signal_all(&self, kill: Kill) {
        self.running.keys().for_each(|pid| signal(*pid, kill));
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

fn signal(pid: u32, kill: Kill) {
    // One that is gone already is what was wanted.
    let _ = signal_process(pid, kill);
}

fn has_input(socket: &OwnedFd) -> bool {
    let mut ready = [PollFd::new(socket, PollFlags::IN)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut ready, Some(&now)).is_ok_and(|count| count > 0)
}
