//! A server of tables (tcp_table(5)) that is not always well: it says so, falls silent, hangs up in the middle, talks
//! nonsense or without end, or is away for a while.

use sim::{SimStream, SimWorld};
use std::{cell::Cell, io, net::SocketAddr, rc::Rc, time::Duration};
use world::{Accept, Endpoint, Stream, World};

/// Longer than anybody waits.
const PATIENCE: Duration = Duration::from_secs(3600);

pub(crate) struct TableServer {
    world: SimWorld,
    /// One in so many answers goes wrong in some way; 0 for none.
    pub(crate) trouble_one_in: Cell<usize>,
    /// Whoever connects is hung up on.
    pub(crate) is_away: Cell<bool>,
    pub(crate) asked: Cell<usize>,
}

impl TableServer {
    /// A table that refuses `c@relay.test`.
    pub(crate) fn start(world: &SimWorld, at: SocketAddr) -> Rc<Self> {
        let server = Rc::new(Self {
            world: world.clone(),
            trouble_one_in: Cell::default(),
            is_away: Cell::default(),
            asked: Cell::default(),
        });
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
            if count == 0 || self.is_away.get() {
                return Ok(());
            }
            request.extend_from_slice(&chunk[..count]);
            if !request.ends_with(b"\n") {
                continue;
            }
            self.asked.set(self.asked.get() + 1);
            let answer = match &request[..] {
                b"get c@relay.test\n" => "200 REJECT\n",
                _ => "500 nothing\n",
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
            3 => stream.write_all(b"OK\n\0\xff\n").await,
            4 => {
                for _ in 0..40 {
                    stream.write_all(&[b'2'; 4096]).await?;
                }
                Ok(())
            }
            5 => {
                self.world.sleep(Duration::from_secs(20)).await;
                stream.write_all(answer.as_bytes()).await
            }
            6 => stream.write_all(format!("{answer}500 nobody asked\n").as_bytes()).await,
            _ => stream.write_all(b"400 not now\n").await,
        }
    }
}
