//! Talks to the mail system through its sockets in `public`.

use logsink::Diagnostics;
use std::{
    io::{self, Read, Write},
    os::unix::{fs::FileTypeExt, net::UnixStream},
    path::{Path, PathBuf},
    time::Duration,
};
use wire::attr::{Encoder, decode};

/// A connection to a service that lists.
pub(super) struct Client(UnixStream);

fn socket(service: &str) -> PathBuf {
    Path::new("public").join(service)
}

impl Client {
    pub(super) fn connect(service: &str) -> io::Result<Self> {
        UnixStream::connect(socket(service)).map(Self)
    }

    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

/// Wakes a service up; nothing is answered.
pub(super) fn trigger(service: &str, request: &[u8], limit: Duration) -> io::Result<()> {
    let path = socket(service);
    if std::fs::metadata(&path)?.file_type().is_fifo() {
        // Opened for reading too, so that nobody listening is not waited for.
        return std::fs::OpenOptions::new().read(true).write(true).open(path)?.write_all(request);
    }
    let mut stream = UnixStream::connect(path)?;
    stream.set_write_timeout(Some(limit))?;
    stream.write_all(request)?;
    stream.shutdown(std::net::Shutdown::Write)?;
    // The service closes when it has read: leaving before would take the request back.
    stream.set_read_timeout(Some(Duration::from_secs(2).min(limit)))?;
    let _ = stream.read(&mut [0; 64]);
    Ok(())
}

/// Asks flush(8) for something and returns its status; `None` when it gave no answer.
pub(super) fn ask_flush(
    service: &str,
    (request, name, what): (&str, &str, &[u8]),
    diagnostics: &Diagnostics,
) -> Option<i32> {
    let path = socket(service);
    let failed = |error: &io::Error| {
        let (path, reason) = (path.display(), config_files::reason(error));
        diagnostics.warning(&format!("connect to {path}: {reason}"));
    };
    let mut stream = UnixStream::connect(&path).inspect_err(failed).ok()?;
    let mut received = Vec::new();
    let greeting = receive(&mut stream, &mut received)?;
    if greeting.get("protocol")? != "queue_flush_protocol" {
        return None;
    }
    let list = Encoder::new().text("request", request).text(name, what).finish();
    stream.write_all(&list).ok()?;
    receive(&mut stream, &mut received)?.int("status")
}

fn receive(stream: &mut UnixStream, received: &mut Vec<u8>) -> Option<wire::attr::Attributes> {
    loop {
        if let Some((list, used)) = decode(received).ok()? {
            received.drain(..used);
            return Some(list);
        }
        let mut buffer = [0; 1024];
        let count = stream.read(&mut buffer).ok().filter(|count| *count > 0)?;
        received.extend_from_slice(buffer.get(..count)?);
    }
}
