//! A policy server that is not always well: it falls silent, hangs up in the middle, talks nonsense or without end.

use sim::{SimStream, SimWorld};
use std::{cell::Cell, io, net::SocketAddr, rc::Rc, time::Duration};
use world::{Accept, Endpoint, Stream, World};

/// Longer than anybody waits.
const PATIENCE: Duration = Duration::from_secs(3600);

pub(crate) struct PolicyServer {
    world: SimWorld,
    /// One in so many answers goes wrong in some way; 0 for none.
    pub(crate) trouble_one_in: Cell<usize>,
    pub(crate) asked: Cell<usize>,
}

impl PolicyServer {
    pub(crate) fn start(world: &SimWorld, at: SocketAddr) -> Rc<Self> {
        let server =
            Rc::new(Self { world: world.clone(), trouble_one_in: Cell::new(0), asked: Cell::new(0) });
        let (listener, accepting) = (world.bind(Endpoint::Inet(at)), Rc::clone(&server));
        world.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let session = Rc::clone(&accepting);
                accepting.world.spawn(async move {
                    // A client that goes away is nothing new.
                    let _ = session.session(stream).await;
                });
            }
        });
        server
    }

    async fn session(&self, mut stream: SimStream) -> io::Result<()> {
        let mut request = Vec::new();
        loop {
            let mut chunk = [0; 512];
            let count = stream.read(&mut chunk).await?;
            if count == 0 {
                return Ok(());
            }
            request.extend_from_slice(&chunk[..count]);
            if !request.ends_with(b"\n\n") {
                continue;
            }
            self.asked.set(self.asked.get() + 1);
            let text = String::from_utf8_lossy(&request).into_owned();
            let answer = match text.contains("\nrecipient=c@relay.test\n") {
                true => "action=REJECT not c\n\n",
                false => "action=DUNNO\n\n",
            };
            request.clear();
            let times = self.trouble_one_in.get();
            if times > 0 && self.world.chance(|chance| chance.one_in(times)) {
                self.make_trouble(&mut stream, answer).await?;
            } else {
                stream.write_all(answer.as_bytes()).await?;
            }
        }
    }

    async fn make_trouble(&self, stream: &mut SimStream, answer: &str) -> io::Result<()> {
        let ended = || Err(io::ErrorKind::ConnectionAborted.into());
        match self.world.chance(|chance| chance.below(8)) {
            0 => {
                self.world.sleep(PATIENCE).await;
                ended()
            }
            1 => ended(),
            2 => {
                let end = self.world.chance(|chance| chance.below(answer.len()));
                stream.write_all(&answer.as_bytes()[..end]).await?;
                ended()
            }
            3 => stream.write_all(b"action\n\nresult=OK\n\n\0\xff").await,
            4 => {
                for _ in 0..40 {
                    stream.write_all(&[b'x'; 4096]).await?;
                }
                Ok(())
            }
            5 => {
                for byte in answer.bytes() {
                    stream.write_all(&[byte]).await?;
                    self.world.sleep(Duration::from_secs(1)).await;
                }
                Ok(())
            }
            6 => stream.write_all(format!("{answer}action=REJECT nobody asked\n\n").as_bytes()).await,
            _ => {
                stream.write_all(answer.as_bytes()).await?;
                ended()
            }
        }
    }
}
