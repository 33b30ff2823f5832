//! A client that remembers every reply, looks at its form, and may die at any byte.

use sim::SimWorld;
use std::{io, time::Duration};
use world::{Stream, World};

use crate::machine::smtp_endpoint;

/// As long as RFC 5321 section 4.5.3.2 lets clients wait, and then some.
const PATIENCE: Duration = Duration::from_secs(600);

/// How a client ends that does not say goodbye.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Death {
    Close,
    Reset,
    /// It says no more, and listens.
    HalfClose,
    /// It does nothing any more.
    Silence,
}

/// What a client wants to say: each part when the one before was answered. The content is one part.
pub(crate) struct Script {
    pub(crate) parts: Vec<Vec<u8>>,
    /// After so many bytes of the script.
    pub(crate) death: Option<(usize, Death)>,
}

/// What a client heard.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// The last line of each reply.
    pub(crate) replies: Vec<String>,
    /// It said all it wanted, or the server hung up after a reply.
    pub(crate) is_complete: bool,
    /// What was no reply, or did not come.
    pub(crate) broken: Option<String>,
}

impl Script {
    pub(crate) fn bytes(&self) -> usize {
        self.parts.iter().map(Vec::len).sum()
    }

    /// A whole session for one message.
    pub(crate) fn of_mail(helo: &str, sender: &str, recipients: &[&str], name: &str) -> Self {
        let mut parts = vec![format!("EHLO {helo}\r\n"), format!("MAIL FROM:<{sender}>\r\n")];
        parts.extend(recipients.iter().map(|recipient| format!("RCPT TO:<{recipient}>\r\n")));
        let content = format!("{}: {name}\r\nSubject: x\r\n\r\n..dot\r\nend\r\n.\r\n", sim::NAME_HEADER);
        parts.extend(["DATA\r\n".to_owned(), content, "QUIT\r\n".to_owned()]);
        Self { parts: parts.into_iter().map(String::into_bytes).collect(), death: None }
    }

    /// Says it.
    pub(crate) async fn play(&self, world: &SimWorld) -> Heard {
        let mut heard = Heard::default();
        match self.converse(world, &mut heard).await {
            Ok(()) => heard.is_complete = true,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                heard.broken = Some(error.to_string());
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                heard.broken = Some(format!("no reply after {:?}", heard.replies));
            }
            // The connection has ended.
            Err(_) => {}
        }
        heard
    }

    async fn converse(&self, world: &SimWorld, heard: &mut Heard) -> io::Result<()> {
        let mut stream = world.connect(&smtp_endpoint(), None, Duration::from_secs(30)).await?;
        let mut input = Vec::new();
        let greeting = reply(world, &mut stream, &mut input).await?;
        let is_welcome = greeting.starts_with("220 ");
        heard.replies.push(greeting);
        if !is_welcome {
            return Ok(());
        }
        let mut said = 0;
        for part in &self.parts {
            let is_content = part.ends_with(b"\r\n.\r\n");
            if is_content && !heard.replies.last().is_some_and(|reply| reply.starts_with("354 ")) {
                continue;
            }
            if let Some((at, death)) = self.death
                && said + part.len() > at
            {
                let last_words = part.get(..at - said).unwrap_or(part);
                return die(world, stream, last_words, death, (&mut input, heard)).await;
            }
            stream.write_all(part).await?;
            said += part.len();
            let answer = reply(world, &mut stream, &mut input).await?;
            let is_end = answer.starts_with("421 ");
            heard.replies.push(answer);
            if is_end {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Says the last words and dies; who still listens hears the rest.
async fn die(
    world: &SimWorld,
    mut stream: sim::SimStream,
    last_words: &[u8],
    death: Death,
    (input, heard): (&mut Vec<u8>, &mut Heard),
) -> io::Result<()> {
    stream.write_all(last_words).await?;
    match death {
        Death::Close => return Err(io::ErrorKind::ConnectionAborted.into()),
        Death::Reset => {
            stream.reset();
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Death::HalfClose => stream.shutdown().await?,
        Death::Silence => {}
    }
    loop {
        heard.replies.push(reply(world, &mut stream, input).await?);
    }
}

/// The last line of a reply. What has not the form of one is an error.
async fn reply(world: &SimWorld, stream: &mut sim::SimStream, input: &mut Vec<u8>) -> io::Result<String> {
    let mut first_code = None;
    loop {
        let line = line(world, stream, input).await?;
        let invalid = || io::Error::new(io::ErrorKind::InvalidData, format!("no reply: {line:?}"));
        let (code, rest) = line.split_at_checked(3).ok_or_else(invalid)?;
        let is_code =
            code.bytes().all(|byte| byte.is_ascii_digit()) && (b'2'..=b'5').contains(&code.as_bytes()[0]);
        let is_same = *first_code.get_or_insert_with(|| code.to_owned()) == code;
        let is_text = rest.bytes().skip(1).all(|byte| (b' '..=b'~').contains(&byte));
        if !is_code || !is_same || !is_text || line.len() > 510 {
            return Err(invalid());
        }
        match rest.as_bytes().first() {
            Some(b'-') => {}
            Some(b' ') if has_status_of_its_class(code, &rest[1..]) => return Ok(line),
            _ => return Err(invalid()),
        }
    }
}

/// RFC 2034: but for the greeting, EHLO's answer and the word to go on.
fn has_status_of_its_class(code: &str, text: &str) -> bool {
    let class = format!("{}.", &code[..1]);
    code == "220"
        || code == "354"
        || text.starts_with(&class)
        || (code == "250" && !text.starts_with(|c: char| c.is_ascii_digit()))
}

async fn line(world: &SimWorld, stream: &mut sim::SimStream, input: &mut Vec<u8>) -> io::Result<String> {
    loop {
        if let Some(end) = input.windows(2).position(|pair| pair == b"\r\n") {
            let line = String::from_utf8_lossy(&input[..end]).into_owned();
            input.drain(..end + 2);
            return Ok(line);
        }
        let mut buffer = [0; 4096];
        let read = world.timeout(PATIENCE, stream.read(&mut buffer)).await;
        match read.unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into()))? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => input.extend_from_slice(&buffer[..count]),
        }
    }
}
