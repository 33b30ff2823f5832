//! A client that speaks SMTP: line by line or in batches, by DATA or BDAT, with mistakes, and not always to the end.

use crate::{Mail, SimWorld, talk::Talk};
use std::{io, time::Duration};
use world::{Endpoint, World};

/// Who is spoken to, and how.
pub struct MailClient {
    /// Where the client runs.
    pub world: SimWorld,
    /// The server.
    pub server: Endpoint,
    /// One in so many steps is a mistake, an abort or an idle command; 0 for none.
    pub mischief_one_in: usize,
}

/// What a client heard at the end of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// 250: the server has it, for these recipients.
    Acknowledged(Vec<String>),
    /// The server does not have it.
    Refused,
    /// Nothing was heard.
    Unknown,
}

struct Session<'a> {
    client: &'a MailClient,
    talk: Talk,
    pipelining: bool,
    chunking: bool,
}

/// Longer than any server waits.
const PATIENCE: Duration = Duration::from_secs(600);

impl MailClient {
    /// One session; `heard` is told of each message at once.
    pub async fn send(&self, mails: &[Mail], mut heard: impl FnMut(&Mail, Fate)) {
        let mut told = 0;
        // Connections that break are part of the plan.
        let _ = self.talk(mails, &mut told, &mut heard).await;
        mails.iter().skip(told).for_each(|mail| heard(mail, Fate::Unknown));
    }

    async fn talk(
        &self,
        mails: &[Mail],
        told: &mut usize,
        heard: &mut impl FnMut(&Mail, Fate),
    ) -> io::Result<()> {
        let stream = self.world.connect(&self.server, None, Duration::from_secs(30)).await?;
        let piece_bytes_max = [1, 10, 1400, 70_000][self.world.chance(|chance| chance.below(4))];
        let talk = Talk::new(self.world.clone(), stream, PATIENCE, piece_bytes_max);
        let mut session = Session { client: self, talk, pipelining: false, chunking: false };
        if session.talk.reply().await?.0 != 220 {
            return Ok(());
        }
        session.hello().await?;
        for mail in mails {
            let fate = session.mail(mail).await?;
            *told += 1;
            heard(mail, fate);
        }
        if self.draws_one_in(2) {
            session.talk.say(b"QUIT\r\n").await?;
            session.talk.reply().await?;
        }
        Ok(())
    }

    fn draws_one_in(&self, times: usize) -> bool {
        self.world.chance(|chance| chance.one_in(times))
    }

    fn is_mischievous(&self) -> bool {
        self.mischief_one_in > 0 && self.draws_one_in(self.mischief_one_in)
    }
}

impl Session<'_> {
    async fn hello(&mut self) -> io::Result<()> {
        if self.client.draws_one_in(8) {
            self.talk.say(b"HELO client.sim.test\r\n").await?;
            return self.talk.reply().await.map(drop);
        }
        self.talk.say(b"EHLO client.sim.test\r\n").await?;
        let (code, lines) = self.talk.reply().await?;
        let has = |keyword: &str| code == 250 && lines.iter().any(|line| line.get(4..) == Some(keyword));
        self.pipelining = has("PIPELINING") && self.client.draws_one_in(2);
        self.chunking = has("CHUNKING");
        Ok(())
    }

    async fn mail(&mut self, mail: &Mail) -> io::Result<Fate> {
        while self.client.is_mischievous() {
            self.mischief().await?;
        }
        let mut commands = vec![format!("MAIL FROM:<{}>\r\n", mail.sender)];
        commands.extend(mail.recipients.iter().map(|recipient| format!("RCPT TO:<{recipient}>\r\n")));
        let by_chunks = self.chunking && self.client.draws_one_in(3);
        let codes = if self.pipelining && self.client.draws_one_in(2) {
            if !by_chunks {
                commands.push("DATA\r\n".to_owned());
            }
            self.batch(&commands).await?
        } else {
            self.one_by_one(&commands, by_chunks).await?
        };
        let accepted = mail.recipients.iter().zip(codes.iter().skip(1)).filter(|(_, code)| **code / 100 == 2);
        let accepted: Vec<String> = accepted.map(|(recipient, _)| recipient.clone()).collect();
        let is_begun = codes.first().is_some_and(|code| code / 100 == 2) && !accepted.is_empty();
        let code = if by_chunks && is_begun {
            self.chunks(mail).await?
        } else if codes.last() == Some(&354) {
            self.content(&mail.dotted()).await?;
            self.talk.reply().await?.0
        } else {
            self.talk.say(b"RSET\r\n").await?;
            self.talk.reply().await?;
            return Ok(Fate::Refused);
        };
        Ok(if code == 250 { Fate::Acknowledged(accepted) } else { Fate::Refused })
    }

    async fn batch(&mut self, commands: &[String]) -> io::Result<Vec<u16>> {
        self.talk.say(commands.concat().as_bytes()).await?;
        let mut codes = Vec::new();
        for _ in commands {
            codes.push(self.talk.reply().await?.0);
        }
        Ok(codes)
    }

    async fn one_by_one(&mut self, commands: &[String], by_chunks: bool) -> io::Result<Vec<u16>> {
        let mut codes = Vec::new();
        for command in commands {
            codes.extend(self.batch(std::slice::from_ref(command)).await?);
            if self.client.is_mischievous() {
                self.idle_command().await?;
            }
        }
        let some_accepted = codes.iter().skip(1).any(|code| code / 100 == 2);
        if !by_chunks && some_accepted {
            codes.extend(self.batch(&["DATA\r\n".to_owned()]).await?);
        }
        Ok(codes)
    }

    /// The text, or, now and then, only some of it.
    async fn content(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.client.is_mischievous() {
            let cut = self.client.world.chance(|chance| chance.below(bytes.len()));
            self.talk.say(&bytes[..cut]).await?;
            if self.client.draws_one_in(2) {
                self.talk.stream.reset();
            }
            return Err(io::ErrorKind::Interrupted.into());
        }
        self.talk.say(bytes).await
    }

    /// BDAT (RFC 3030): the reply to the last chunk.
    async fn chunks(&mut self, mail: &Mail) -> io::Result<u16> {
        let bytes = mail.plain();
        let mut rest = &bytes[..];
        let mut asked = 0;
        while !rest.is_empty() {
            let size = 1 + self.client.world.chance(|chance| chance.below(rest.len()));
            let (now, later) = rest.split_at(size);
            rest = later;
            asked += 1;
            self.talk.say(format!("BDAT {size}\r\n").as_bytes()).await?;
            self.content(now).await?;
            if !self.pipelining {
                self.talk.reply().await?;
                asked -= 1;
            }
        }
        self.talk.say(b"BDAT 0 LAST\r\n").await?;
        for _ in 0..asked {
            self.talk.reply().await?;
        }
        Ok(self.talk.reply().await?.0)
    }

    async fn idle_command(&mut self) -> io::Result<()> {
        let commands = ["NOOP\r\n", "VRFY root\r\n", "WHAT\r\n", "HELP\r\n", "RCPT TO:nonsense<\r\n"];
        let command = commands[self.client.world.chance(|chance| chance.below(commands.len()))];
        self.talk.say(command.as_bytes()).await?;
        self.talk.reply().await.map(drop)
    }

    /// Between messages.
    async fn mischief(&mut self) -> io::Result<()> {
        match self.client.world.chance(|chance| chance.below(6)) {
            0 => self
                .batch(&["MAIL FROM:<nobody@sim.test>\r\n".to_owned(), "RSET\r\n".to_owned()])
                .await
                .map(drop),
            1 => {
                self.client.world.sleep(Duration::from_secs(20)).await;
                Ok(())
            }
            2 => self.batch(&["DATA\r\n".to_owned()]).await.map(drop),
            3 => self.batch(&["BDAT 3 LAST\r\nabc".to_owned()]).await.map(drop),
            4 => Err(io::ErrorKind::Interrupted.into()),
            _ => self.idle_command().await,
        }
    }
}
