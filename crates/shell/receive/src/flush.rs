//! Asks flush(8) to try the mail that waits for a site.

use config::{Values, params as p};
use process::Process;
use smtpd::{FlushService, Flushed};
use std::{io, path::PathBuf, time::Duration};
use wire::attr;
use world::{Answer, Endpoint, Stream, World};

/// Longest answer, in bytes.
const ANSWER_BYTES_MAX: usize = 1024;

/// The service of that name, as other programs ask it.
pub(crate) struct FlushClient<W> {
    world: W,
    path: PathBuf,
    /// `ipc_timeout`
    limit: Duration,
}

impl<W: World> FlushClient<W> {
    pub(crate) fn new(world: &W, process: &Process, values: &Values) -> Self {
        let path = process.queue_directory().join("public").join(values.text(p::flush_service_name));
        Self { world: world.clone(), path, limit: values.time(p::ipc_timeout) }
    }

    async fn ask(&self, site: &str) -> io::Result<i32> {
        let mut stream = self.world.connect(&Endpoint::Unix(self.path.clone()), None, self.limit).await?;
        let mut input = Vec::new();
        let greeting = next(&mut stream, &mut input).await?;
        if greeting.get("protocol").is_none_or(|protocol| *protocol != "queue_flush_protocol") {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let request = attr::Encoder::new().text("request", "send_site").text("site", site).finish();
        stream.write_all(&request).await?;
        let answer = next(&mut stream, &mut input).await?;
        answer.int("status").ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}

async fn next(stream: &mut impl Stream, input: &mut Vec<u8>) -> io::Result<attr::Attributes> {
    let mut buffer = [0; 256];
    loop {
        match attr::decode(input) {
            Ok(Some((attributes, used))) => {
                input.drain(..used);
                return Ok(attributes);
            }
            Ok(None) if input.len() < ANSWER_BYTES_MAX => {}
            _ => return Err(io::ErrorKind::InvalidData.into()),
        }
        match stream.read(&mut buffer).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => input.extend_from_slice(buffer.get(..count).unwrap_or_default()),
        }
    }
}

impl<W: World> FlushService for FlushClient<W> {
    fn send_site<'a>(&'a self, site: &'a str) -> Answer<'a, Flushed> {
        Answer::later(async move {
            match self.world.timeout(self.limit, self.ask(site)).await {
                Some(Ok(0)) => Flushed::Started,
                Some(Ok(3)) => Flushed::Bad,
                Some(Ok(4)) => Flushed::Denied,
                _ => Flushed::Failed,
            }
        })
    }
}
