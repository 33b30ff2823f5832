//! Words from outside: that mail has arrived, that the queue is to be flushed, what the queue holds.

use crate::shared::Shared;
use qmgr::{Event, Flush};
use std::{io, rc::Rc, time::Duration};
use sys::control::ServedRow;
use types::QueueId;
use wire::attr;
use world::{Accept, Stream, Walk, World};

/// Longest request to flush, in bytes.
const REQUEST_BYTES_MAX: usize = 16 * 1024;

/// The answers of flush(8): done, wrong parameter, not for this site.
const FLUSH_OK: i32 = 0;
const FLUSH_BAD: i32 = 3;
const FLUSH_DENY: i32 = 4;

/// How long a client of flush or showq may take.
const CLIENT_LIMIT: Duration = Duration::from_secs(100);

/// Batches of a listing that may be ahead of its reader.
const BATCHES_AHEAD_MAX: usize = 4;

/// Listens on the rows of this process.
pub(crate) fn start<W: World, L: Accept<Stream = W::Stream>>(
    shared: &Rc<Shared<W>>,
    rows: Vec<(ServedRow, Vec<L>)>,
) {
    for (row, listeners) in rows {
        for listener in listeners {
            let shared = Rc::clone(shared);
            let world = shared.world.clone();
            match row.program.as_str() {
                "qmgr" | "nqmgr" | "oqmgr" => world.spawn(listen(shared, listener, Client::QueueManager)),
                "flush" => world.spawn(listen(shared, listener, Client::Flush)),
                "showq" => world.spawn(listen(shared, listener, Client::ShowQueue)),
                _ => {}
            }
        }
        if row.program.ends_with("qmgr") {
            wake_up(shared, &row.service);
        }
    }
}

/// The wake-up time of master.cf means: look into the incoming queue.
fn wake_up<W: World>(shared: &Rc<Shared<W>>, service: &str) {
    let (trigger, shared) = (shared.wakeups.trigger(service), Rc::clone(shared));
    let world = shared.world.clone();
    world.spawn(async move {
        while !shared.stop.is_set() {
            trigger.wait().await;
            shared.events.push(Event::QueueNotice);
        }
    });
}

#[derive(Clone, Copy)]
enum Client {
    QueueManager,
    Flush,
    ShowQueue,
}

async fn listen<W: World>(shared: Rc<Shared<W>>, listener: impl Accept<Stream = W::Stream>, client: Client) {
    let accepting = async {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let session = Rc::clone(&shared);
                    shared.world.spawn(async move {
                        // A client that goes away early has only itself to tell.
                        let _ = match client {
                            Client::QueueManager => queue_manager(&session, stream).await,
                            Client::Flush => flush(&session, stream).await,
                            Client::ShowQueue => show_queue(&session, stream).await,
                        };
                    });
                }
                Err(_) => shared.world.sleep(Duration::from_secs(1)).await,
            }
        }
    };
    shared.stop.cut(accepting).await;
}

/// Single letters are Postfix's requests; `+ID` and a line end is `receive`'s word that a message is there.
async fn queue_manager<W: World>(shared: &Shared<W>, mut stream: W::Stream) -> io::Result<()> {
    let mut buffer = vec![0; 4096];
    let mut line: Option<Vec<u8>> = None;
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        // Said a thousand times in one breath, it is still one wish.
        let (mut flushes, mut looks) = (false, false);
        for &byte in buffer.get(..count).unwrap_or_default() {
            match (&mut line, byte) {
                (None, b'+') => line = Some(Vec::with_capacity(QueueId::LEN_MAX)),
                (None, b'A' | b'F') => flushes = true,
                (None, b'D' | b'I' | b'W') => looks = true,
                (None, _) => {}
                (Some(id), b'\n') => {
                    if let Some(id) = std::str::from_utf8(id).ok().and_then(|text| text.parse().ok()) {
                        shared.events.push(Event::Arrived(id));
                    }
                    line = None;
                }
                (Some(id), byte) if id.len() < QueueId::LEN_MAX => id.push(byte),
                (Some(_), _) => line = None,
            }
        }
        if flushes {
            shared.events.push(Event::Flush(Flush::All));
        }
        if looks {
            shared.events.push(Event::QueueNotice);
        }
    }
}

/// flush(8)'s protocol: one request, one status.
async fn flush<W: World>(shared: &Shared<W>, mut stream: W::Stream) -> io::Result<()> {
    let greeting = attr::Encoder::new().text("protocol", "queue_flush_protocol").finish();
    stream.write_all(&greeting).await?;
    let asked = shared.world.timeout(CLIENT_LIMIT, request(&mut stream)).await;
    let Some(Ok(Some(attributes))) = asked else { return Ok(()) };
    let id = attributes.get("queue_id").and_then(|id| std::str::from_utf8(id).ok()?.parse::<QueueId>().ok());
    let is_file = attributes.get("request").is_some_and(|request| *request == "send_file");
    let status = match id.filter(|_| is_file) {
        Some(id) => {
            shared.events.push(Event::Flush(Flush::Messages(vec![id])));
            FLUSH_OK
        }
        None if is_file => FLUSH_BAD,
        // What a site's mail is, is not known here yet.
        None => FLUSH_DENY,
    };
    stream.write_all(&attr::Encoder::new().int("status", status).finish()).await
}

async fn request(stream: &mut impl Stream) -> io::Result<Option<attr::Attributes>> {
    let mut input = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        match attr::decode(&input) {
            Ok(Some((attributes, _))) => return Ok(Some(attributes)),
            Ok(None) if input.len() < REQUEST_BYTES_MAX => {}
            _ => return Ok(None),
        }
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(None);
        }
        input.extend_from_slice(buffer.get(..count).unwrap_or_default());
    }
}

/// showq(8): the queue as attributes, in batches, as fast as the client reads.
async fn show_queue<W: World>(shared: &Shared<W>, mut stream: W::Stream) -> io::Result<()> {
    let queue = shared.queue.clone();
    let (world, settings) = (shared.world.clone(), shared.showq.clone());
    let listing = world.walk(BATCHES_AHEAD_MAX, move |give: &mut dyn FnMut(Vec<u8>) -> bool| {
        let mut write = |bytes: &[u8]| match give(bytes.to_vec()) {
            true => Ok(()),
            false => Err(io::ErrorKind::BrokenPipe.into()),
        };
        // The client sees a listing that was cut; what is wrong with a file is said when it is delivered.
        let _ = queue::showq::list(&queue, &settings, &mut write, &mut |_warning| {});
    });
    loop {
        let (batches, is_end) = listing.take(1).await;
        for bytes in batches {
            match world.timeout(CLIENT_LIMIT, stream.write_all(&bytes)).await {
                Some(written) => written?,
                None => return Ok(()),
            }
        }
        if is_end {
            break;
        }
    }
    stream.shutdown().await
}
