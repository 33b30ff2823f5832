//! postlogd(8): lines of programs that may not open `maillog_file` themselves.

use logsink::append_datagram;
use net::{Datagrams, Live};
use process::{Stop, SystemDisk};
use std::{fs::File, io, os::fd::OwnedFd, rc::Rc, time::Duration};
use sys::control::ServedRow;
use world::World;

/// Longest line that is taken, as by postlogd(8): twice what writers of Postfix and ours send at most.
const LINE_BYTES_MAX: usize = 4096;

/// How long to wait after an error, so that one that stays does not become a loop.
const PAUSE: Duration = Duration::from_secs(1);

/// Takes the rows of postlogd out, and listens on them until `stop`. Without a file, nobody sends anything.
pub(crate) fn start(
    world: &Live<SystemDisk>,
    rows: &mut Vec<ServedRow>,
    (file, log, stop): (Option<OwnedFd>, process::Log, Stop),
) -> io::Result<()> {
    let (ours, others) = std::mem::take(rows).into_iter().partition(|row| row.program == "postlogd");
    *rows = others;
    let ours: Vec<ServedRow> = ours;
    let Some(file) = file else { return Ok(()) };
    let file = Rc::new(File::from(file));
    for socket in ours.into_iter().flat_map(|row| row.listeners) {
        let socket = Datagrams::from_fd(socket)?;
        let reading = read(world.clone(), socket, Rc::clone(&file), log.clone());
        let stop = stop.clone();
        world.spawn(async move {
            stop.cut(reading).await;
        });
    }
    Ok(())
}

async fn read(world: Live<SystemDisk>, socket: Datagrams, file: Rc<File>, log: process::Log) {
    let mut buffer = vec![0; LINE_BYTES_MAX];
    loop {
        match socket.receive(&mut buffer).await {
            Ok(size) => {
                // What we logged before comes before.
                log.flush();
                // A disk that is full has no room for a line about it either; our own lines are counted.
                let _ = append_datagram(&file, buffer.get(..size).unwrap_or_default());
            }
            Err(_) => world.sleep(PAUSE).await,
        }
    }
}
