//! The narrow traits that decisions and shell loops are written over.
//!
//! Live, `net` and `queue` implement them over the runtime and the file system; under the simulator,
//! `sim` implements them over a seed. Nothing here names a runtime, a socket or a file.
//!
//! Everything runs on single-threaded executors: futures need not be `Send`, and look-ups that
//! can be answered at once are [`Answer::ready`], which costs neither an allocation nor a task switch.

mod answer;
mod directory;
mod disk;
mod dns;
mod io;
mod table;
#[cfg(feature = "testing")]
pub mod testing;

pub use answer::Answer;
pub use directory::{UserEntry, Users};
pub use disk::{Disk, DiskFile, FileKind, FileStatus, OpenMode};
pub use dns::{Dns, DnsAnswer, MxRecord, Record, RecordData, RecordType, printable};
pub use io::{Accept, BindFailed, Endpoint, Stream, Walk, World};
pub use table::{Caution, Table, TableOwner, Tables};
