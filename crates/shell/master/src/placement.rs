//! Which service runs in which process: one table.

/// A process that master starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Process {
    /// All ways in.
    Receive,
    /// All ways out.
    Deliver,
}

impl Process {
    /// Both, in the order in which they are started: what takes mail out is there when the first mail comes in.
    pub const ALL: [Self; 2] = [Self::Deliver, Self::Receive];

    /// The name it is executed under.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Receive => "receive",
            Self::Deliver => "deliver",
        }
    }
}

/// What becomes of a row of master.cf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Served by a process, which listens on the row's endpoint.
    Listens(Process),
    /// Served by a process on behalf of others in it; nothing outside connects to its socket.
    Inside(Process),
    /// Its work is done by function calls where it is needed.
    Library,
    /// Not offered yet: named in the log at each start.
    NotYet,
}

use Place::{Inside, Library, Listens, NotYet};
use Process::{Deliver, Receive};

/// By the program's name, the first word of a row's last column.
pub const PLACEMENT: &[(&str, Place)] = &[
    ("anvil", Library),
    ("bounce", Inside(Deliver)),
    ("cleanup", Inside(Receive)),
    ("discard", Inside(Deliver)),
    ("dnsblog", Inside(Receive)),
    ("error", Inside(Deliver)),
    ("flush", Listens(Deliver)),
    ("lmtp", Inside(Deliver)),
    ("local", Inside(Deliver)),
    // `postfix start` and `postfix reload` make the tables; no process takes names of them from others.
    ("nbdb_reindexd", Library),
    ("nqmgr", Listens(Deliver)),
    ("oqmgr", Listens(Deliver)),
    ("pickup", Listens(Receive)),
    ("pipe", Inside(Deliver)),
    ("postlogd", Listens(Receive)),
    ("postscreen", Listens(Receive)),
    ("proxymap", Listens(Deliver)),
    ("qmgr", Listens(Deliver)),
    ("qmqpd", Listens(Receive)),
    ("scache", Library),
    ("showq", Listens(Deliver)),
    ("smtp", Inside(Deliver)),
    ("smtpd", Listens(Receive)),
    ("spawn", Listens(Receive)),
    ("tlsmgr", Library),
    // A connection that goes from postscreen to smtpd stays in one process.
    ("tlsproxy", Library),
    ("trivial-rewrite", Library),
    ("verify", Listens(Deliver)),
    ("virtual", Inside(Deliver)),
];

/// The place of a program; unknown programs are not offered.
#[must_use]
pub fn place_of(program: &str) -> Place {
    PLACEMENT.iter().find(|(known, _)| *known == program).map_or(NotYet, |(_, place)| *place)
}
