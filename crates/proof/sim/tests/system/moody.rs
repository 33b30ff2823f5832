//! A server of requests and answers that is not always well: it falls silent, hangs up in the middle, talks nonsense or
//! without end, or is away for a while.

use sim::{SimStream, SimWorld};
use std::{cell::Cell, io, net::SocketAddr, rc::Rc, time::Duration};
use world::{Endpoint, Stream, World};

/// Longer than anybody waits.
const PATIENCE: Duration = Duration::from_secs(3600);

/// What a server speaks.
pub(crate) struct Speech {
    pub(crate) request_end: &'static [u8],
    pub(crate) answer: fn(&[u8]) -> &'static str,
    pub(crate) nonsense: &'static [u8],
    /// What it says without end.
    pub(crate) filler: u8,
    /// What it says behind an answer, though nobody asked.
    pub(crate) more: &'static str,
    /// How long an answer takes that is slow, and whether each of its bytes does.
    pub(crate) slowness: (Duration, bool),
    /// What it says in place of an answer; one that has no word for that answers and hangs up.
    pub(crate) not_now: Option<&'static str>,
}

pub(crate) struct Moody {
    world: SimWorld,
    speech: Speech,
    /// One in so many answers goes wrong in some way; 0 for none.
    pub(crate) trouble_one_in: Cell<usize>,
    /// Whoever asks is hung up on.
    pub(crate) is_away: Cell<bool>,
    pub(crate) asked: Cell<usize>,
}

impl Moody {
    pub(crate) fn start(world: &SimWorld, at: SocketAddr, speech: Speech) -> Rc<Self> {
        let server = Rc::new(Self {
            world: world.clone(),
            speech,
            trouble_one_in: Cell::default(),
            is_away: Cell::default(),
            asked: Cell::default(),
        });
        let serving = Rc::clone(&server);
        world.serve(Endpoint::Inet(at), move |stream| {
            let server = Rc::clone(&serving);
            async move { server.session(stream).await }
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
            if !request.ends_with(self.speech.request_end) {
                continue;
            }
            self.asked.set(self.asked.get() + 1);
            let answer = (self.speech.answer)(&request);
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
        let speech = &self.speech;
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
            3 => stream.write_all(speech.nonsense).await,
            4 => {
                for _ in 0..40 {
                    stream.write_all(&[speech.filler; 4096]).await?;
                }
                Ok(())
            }
            5 => self.answer_slowly(stream, answer).await,
            6 => stream.write_all(format!("{answer}{}", speech.more).as_bytes()).await,
            _ => match speech.not_now {
                Some(refusal) => stream.write_all(refusal.as_bytes()).await,
                None => {
                    stream.write_all(answer.as_bytes()).await?;
                    ended()
                }
            },
        }
    }

    async fn answer_slowly(&self, stream: &mut SimStream, answer: &str) -> io::Result<()> {
        let (pause, is_by_byte) = self.speech.slowness;
        if !is_by_byte {
            self.world.sleep(pause).await;
            return stream.write_all(answer.as_bytes()).await;
        }
        for byte in answer.bytes() {
            stream.write_all(&[byte]).await?;
            self.world.sleep(pause).await;
        }
        Ok(())
    }
}
