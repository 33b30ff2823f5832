//! One process at work: its number, its channel, and how far it is.

use crate::{placement::Process, settings::Settings};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use std::{
    io,
    os::fd::OwnedFd,
    path::PathBuf,
    time::{Duration, Instant},
};
use sys::{
    control::{self, ServedRow, ToChild, ToMaster},
    process::{Kill, signal_process},
    spawn::{self, Child as Program},
};

/// How long a child may leave its channel unread before it counts as stuck.
const SEND_LIMIT: Duration = Duration::from_secs(5);

/// How long a child may take to end when its time is over.
const GRACE: Duration = Duration::from_secs(2);

/// How far a child is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Starting,
    Ready,
    /// It was told to finish; at this time it is killed.
    Draining(Instant),
}

/// A running process.
#[derive(Debug)]
pub(crate) struct Child {
    pub(crate) process: Process,
    pub(crate) pid: u32,
    pub(crate) phase: Phase,
    pub(crate) channel: OwnedFd,
    /// It has closed its end and should be gone by this time.
    pub(crate) closed: Option<Instant>,
}

/// Everything that a child is told at its start.
pub(crate) struct Orders {
    pub(crate) generation: u32,
    pub(crate) rows: Vec<ServedRow>,
    pub(crate) files: Vec<(PathBuf, OwnedFd)>,
}

impl Child {
    /// Starts a process and says everything that it needs.
    pub(crate) fn start(process: Process, settings: &Settings, orders: Orders) -> io::Result<Self> {
        let (channel, theirs) = control::pair()?;
        set_socket_timeout(&channel, Timeout::Send, Some(SEND_LIMIT))?;
        let environment = settings.import_environment.iter().map(|(name, value)| (name.into(), value.into()));
        let pid = spawn::start(Program {
            program: spawn::own_program(),
            name: process.name(),
            arguments: Vec::new(),
            environment: environment.collect(),
            user: settings.owner,
            channel: theirs,
            errands: None,
        })?;
        let child = Self { process, pid, phase: Phase::Starting, channel, closed: None };
        let config_directory = settings.config_directory.clone();
        child.tell(&ToChild::Begin { generation: orders.generation, config_directory });
        for row in orders.rows {
            child.tell(&ToChild::Row(row));
        }
        for (path, file) in orders.files {
            child.tell(&ToChild::RootFile { path, file });
        }
        child.tell(&ToChild::Go);
        Ok(child)
    }

    /// Says something. A child that does not listen any more is ending, which `reap` will tell, or stuck: then it
    /// is killed.
    pub(crate) fn tell(&self, message: &ToChild) {
        if let Err(error) = control::send(&self.channel, message)
            && error.kind() == io::ErrorKind::WouldBlock
        {
            self.kill(Kill::Kill);
        }
    }

    /// What the child says; `None` when it has closed its end.
    pub(crate) fn hear(&self) -> io::Result<Option<ToMaster>> {
        control::receive(&self.channel)
    }

    /// Tells it to finish within a time, after which it ends by itself.
    pub(crate) fn drain(&mut self, now: Instant, limit: Duration) {
        if !matches!(self.phase, Phase::Draining(_)) {
            self.phase = Phase::Draining(now + limit + GRACE);
            self.tell(&ToChild::Drain { deadline: limit });
        }
    }

    /// Sends a signal.
    pub(crate) fn kill(&self, signal: Kill) {
        // A process that is gone already is what was wanted.
        let _ = signal_process(self.pid, signal);
    }
}
