//! A server that speaks SMTP or LMTP and is not always well: it refuses, falls silent, goes away, talks nonsense, or
//! takes a message and does not say so.

use crate::{SimStream, SimWorld, talk::Talk};
use std::{cell::Cell, io, rc::Rc, time::Duration};
use types::Instant;
use world::{Endpoint, World};

/// How a server is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Temper {
    /// One in so many commands goes wrong in some way; 0 for none.
    pub trouble_one_in: usize,
    /// One in so many recipients and messages is refused with 4xx; 0 for none.
    pub defers_one_in: usize,
    /// One in so many recipients and messages is refused with 5xx; 0 for none.
    pub refuses_one_in: usize,
    /// Takes connections and says nothing.
    pub is_mute: bool,
}

/// A message that a server took.
#[derive(Clone, Debug)]
pub struct Taken {
    /// When.
    pub at: Instant,
    /// Envelope sender.
    pub sender: String,
    /// The recipients that were accepted, by LMTP after the text.
    pub recipients: Vec<String>,
    /// Lines, without their ends.
    pub lines: Vec<Vec<u8>>,
}

/// One server.
pub struct MailServer {
    world: SimWorld,
    is_lmtp: bool,
    /// How it is now.
    pub temper: Cell<Temper>,
    taken: Box<dyn Fn(&Taken)>,
    answered: Box<dyn Fn(&Taken)>,
}

/// Longer than any client waits.
const PATIENCE: Duration = Duration::from_secs(3600);

#[derive(Default)]
struct Transaction {
    sender: Option<String>,
    recipients: Vec<String>,
}

impl MailServer {
    /// Listens. `taken` hears of every message at the moment at which the server has it; `answered`, when it is certain
    /// that the client has read that.
    pub fn start(
        world: &SimWorld,
        (at, is_lmtp): (Endpoint, bool),
        taken: impl Fn(&Taken) + 'static,
        answered: impl Fn(&Taken) + 'static,
    ) -> Rc<Self> {
        let server = Rc::new(Self {
            world: world.clone(),
            is_lmtp,
            temper: Cell::default(),
            taken: Box::new(taken),
            answered: Box::new(answered),
        });
        let serving = Rc::clone(&server);
        world.serve(at, move |stream| {
            let server = Rc::clone(&serving);
            async move { server.session(stream).await }
        });
        server
    }

    fn one_in(&self, times: usize) -> bool {
        times > 0 && self.world.chance(|chance| chance.one_in(times))
    }

    async fn session(&self, stream: SimStream) -> io::Result<()> {
        if self.temper.get().is_mute {
            self.world.sleep(PATIENCE).await;
            return Ok(());
        }
        let piece_bytes_max = if self.one_in(4) { 1 } else { 10_000 };
        let mut talk = Talk::new(self.world.clone(), stream, PATIENCE, piece_bytes_max);
        let mut open = Vec::new();
        let ended = self.commands(&mut talk, &mut open).await;
        if ended.is_ok() {
            talk.read_to_end().await;
        }
        self.confirm(&talk, &mut open);
        ended
    }

    fn confirm(&self, talk: &Talk, open: &mut Vec<(Taken, u64)>) {
        open.retain(|(taken, answer_ends)| {
            let is_read = talk.stream.read_bytes() >= *answer_ends;
            if is_read {
                (self.answered)(taken);
            }
            !is_read
        });
    }

    /// Until QUIT. What was taken is in `open`, with the number of bytes that the client must have read to know it,
    /// for as long as it has not.
    async fn commands(&self, talk: &mut Talk, open: &mut Vec<(Taken, u64)>) -> io::Result<()> {
        self.trouble(talk).await?;
        talk.say(b"220 peer.sim.test ESMTP\r\n").await?;
        let mut transaction = Transaction::default();
        loop {
            let line = talk.line().await?;
            self.confirm(talk, open);
            let text = String::from_utf8_lossy(&line).into_owned();
            self.trouble(talk).await?;
            let verb = text.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
            match verb.as_str() {
                "EHLO" | "LHLO" => talk.say(self.features().as_bytes()).await?,
                "HELO" | "NOOP" => talk.say(b"250 peer.sim.test\r\n").await?,
                "RSET" => {
                    transaction = Transaction::default();
                    talk.say(b"250 2.0.0 Ok\r\n").await?;
                }
                "MAIL" => {
                    transaction = Transaction { sender: Some(path(&text)), recipients: Vec::new() };
                    talk.say(b"250 2.1.0 Ok\r\n").await?;
                }
                "RCPT" => self.recipient(talk, &mut transaction, path(&text)).await?,
                "DATA" => {
                    let transaction = std::mem::take(&mut transaction);
                    self.data(talk, transaction, open).await?;
                }
                "QUIT" => return talk.say(b"221 2.0.0 Bye\r\n").await,
                _ => talk.say(b"502 5.5.2 Error: command not recognized\r\n").await?,
            }
        }
    }

    fn features(&self) -> String {
        let pipelining = if self.one_in(3) { "" } else { "250-PIPELINING\r\n" };
        let size = if self.one_in(3) { "" } else { "250-SIZE 50000000\r\n" };
        format!("250-peer.sim.test\r\n{pipelining}{size}250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n")
    }

    /// Goes wrong, perhaps: the error ends the session.
    async fn trouble(&self, talk: &mut Talk) -> io::Result<()> {
        if !self.one_in(self.temper.get().trouble_one_in) {
            return Ok(());
        }
        // Nonsense may be taken for a refusal.
        let kinds = if self.temper.get().refuses_one_in > 0 { 5 } else { 3 };
        match self.world.chance(|chance| chance.below(kinds)) {
            0 => talk.stream.reset(),
            1 => self.world.sleep(PATIENCE).await,
            2 => talk.say(b"421 4.3.2 peer.sim.test closing\r\n").await?,
            3 => talk.say(b"This is no reply\r\n\r\n999\r\n").await?,
            _ => {
                // A reply that does not end, for as long as somebody reads.
                for _ in 0..200_000 {
                    talk.say(&b"250-and so on\r\n".repeat(100)).await?;
                }
            }
        }
        Err(io::ErrorKind::Interrupted.into())
    }

    fn verdict(&self) -> Result<(), &'static [u8]> {
        let temper = self.temper.get();
        if self.one_in(temper.defers_one_in) {
            Err(b"450 4.2.0 Not now\r\n")
        } else if self.one_in(temper.refuses_one_in) {
            Err(b"550 5.1.1 Not here\r\n")
        } else {
            Ok(())
        }
    }

    async fn recipient(&self, talk: &mut Talk, transaction: &mut Transaction, to: String) -> io::Result<()> {
        match self.verdict() {
            _ if transaction.sender.is_none() => talk.say(b"503 5.5.1 Need MAIL command\r\n").await,
            Ok(()) => {
                transaction.recipients.push(to);
                talk.say(b"250 2.1.5 Ok\r\n").await
            }
            Err(reply) => talk.say(reply).await,
        }
    }

    async fn data(
        &self,
        talk: &mut Talk,
        transaction: Transaction,
        open: &mut Vec<(Taken, u64)>,
    ) -> io::Result<()> {
        let Transaction { sender: Some(sender), recipients } = transaction else {
            return talk.say(b"503 5.5.1 Need MAIL command\r\n").await;
        };
        if recipients.is_empty() {
            return talk.say(b"554 5.5.1 No valid recipients\r\n").await;
        }
        talk.say(b"354 Go on\r\n").await?;
        let mut lines = Vec::new();
        loop {
            match talk.line().await? {
                line if line == b"." => break,
                line if line.first() == Some(&b'.') => lines.push(line[1..].to_vec()),
                line => lines.push(line),
            }
        }
        let replies = if self.is_lmtp { recipients.len() } else { 1 };
        let verdicts: Vec<_> = (0..replies).map(|_| self.verdict()).collect();
        let of = |index: usize| verdicts.get(index).or(verdicts.first()).is_some_and(Result::is_ok);
        let accepted = recipients.into_iter().enumerate().filter(|(index, _)| of(*index)).map(|(_, to)| to);
        let taken = Taken { at: self.world.now(), sender, recipients: accepted.collect(), lines };
        let answer = verdicts.iter().map(|verdict| verdict.err().unwrap_or(b"250 2.0.0 Taken\r\n"));
        let answer: Vec<u8> = answer.flatten().copied().collect();
        if !taken.recipients.is_empty() {
            (self.taken)(&taken);
            open.push((taken, u64::MAX));
        }
        self.trouble(talk).await?;
        talk.say(&answer).await?;
        if let Some((_, answer_ends)) = open.last_mut().filter(|(_, ends)| *ends == u64::MAX) {
            *answer_ends = talk.stream.written_bytes();
        }
        Ok(())
    }
}

/// The address between angle brackets.
fn path(command: &str) -> String {
    let inner = command.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inner.map_or_else(String::new, |(address, _)| address.to_owned())
}
