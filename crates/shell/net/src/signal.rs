//! Signals as events.

use std::io;
use tokio::signal::unix::{SignalKind, signal};

/// The signals that a mail system is told things with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGALRM
    Alarm,
    /// SIGCHLD
    Child,
    /// SIGHUP
    Hangup,
    /// SIGINT
    Interrupt,
    /// SIGTERM
    Terminate,
    /// SIGUSR1
    User1,
    /// SIGUSR2
    User2,
}

/// One kind of signal; from the moment it is made, the signal no longer has its default effect.
#[derive(Debug)]
pub struct Signals(tokio::signal::unix::Signal);

impl Signals {
    /// Listens for a signal; call inside [`crate::run`].
    pub fn new(which: Signal) -> io::Result<Self> {
        let kind = match which {
            Signal::Alarm => SignalKind::alarm(),
            Signal::Child => SignalKind::child(),
            Signal::Hangup => SignalKind::hangup(),
            Signal::Interrupt => SignalKind::interrupt(),
            Signal::Terminate => SignalKind::terminate(),
            Signal::User1 => SignalKind::user_defined1(),
            Signal::User2 => SignalKind::user_defined2(),
        };
        Ok(Self(signal(kind)?))
    }

    /// Waits for the next one; several that arrive together count once.
    pub async fn receive(&mut self) {
        if self.0.recv().await.is_none() {
            // The runtime is ending.
            std::future::pending::<()>().await;
        }
    }
}
