//! A dialogue over TCP, against a running server.

use crate::{Dialogue, Evidence, Mismatch, Step};
use std::{
    io::{self, Read, Write},
    net::{IpAddr, SocketAddr, TcpStream},
    time::{Duration, Instant},
};

/// How long to wait, and whether to say who the client is.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For a reply that must come.
    pub reply: Duration,
    /// Silence after which nothing more is taken to come.
    pub quiet: Duration,
    /// Give the client's address with XCLIENT, which the server must allow.
    pub xclient: bool,
}

impl Default for Patience {
    fn default() -> Self {
        Self { reply: Duration::from_secs(20), quiet: Duration::from_millis(60), xclient: false }
    }
}

struct Client {
    stream: TcpStream,
    patience: Patience,
    buffer: Vec<u8>,
    is_closed: bool,
}

/// Runs a dialogue against a server and compares the replies.
pub fn run_tcp(address: SocketAddr, dialogue: &Dialogue, patience: Patience) -> Result<Evidence, Mismatch> {
    let trouble = |error: io::Error| Mismatch {
        what: format!("{}.dialogue, {address}", dialogue.name),
        expected: "a connection".to_owned(),
        seen: error.to_string(),
    };
    let how = format!("server {address}");
    let mut client = Client::connect(address, dialogue, patience).map_err(trouble)?;
    let mut replies = Vec::new();
    for step in &dialogue.steps {
        match step {
            Step::Send(bytes) => client.send(bytes).map_err(trouble)?,
            Step::Close => client.close().map_err(trouble)?,
            Step::Wait(span) => std::thread::sleep(*span),
            Step::ExpectClosed => client.wait_closed().map_err(trouble)?,
            Step::Expect(lines) => {
                let seen = client.lines(lines.len()).map_err(trouble)?;
                dialogue.check_replies(&how, lines, &seen)?;
                replies.extend(seen);
            }
        }
    }
    let evidence = Evidence { replies, is_closed: client.is_closed, ..Evidence::default() };
    dialogue.check_evidence(&how, &evidence)?;
    Ok(evidence)
}

/// Plays the client's part and writes down what the server says after each of its turns; the first
/// entry is the greeting, unless the client speaks first.
pub fn observe_tcp(
    address: SocketAddr,
    dialogue: &Dialogue,
    patience: Patience,
) -> io::Result<Vec<Vec<String>>> {
    let mut client = Client::connect(address, dialogue, patience)?;
    let speaks_first = matches!(dialogue.steps.first(), Some(Step::Send(_)));
    let mut turns = if speaks_first { Vec::new() } else { vec![client.turn()?] };
    for step in &dialogue.steps {
        match step {
            Step::Send(bytes) => {
                client.send(bytes)?;
                turns.push(client.turn()?);
            }
            Step::Wait(span) => {
                std::thread::sleep(*span);
                turns.push(client.turn()?);
            }
            Step::Close => {
                client.close()?;
                turns.push(client.turn()?);
            }
            Step::Expect(_) | Step::ExpectClosed => {}
        }
    }
    Ok(turns)
}

impl Client {
    fn connect(address: SocketAddr, dialogue: &Dialogue, patience: Patience) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, patience.reply)?;
        stream.set_nodelay(true)?;
        let mut client = Self { stream, patience, buffer: Vec::new(), is_closed: false };
        if patience.xclient && dialogue.connect.0 != IpAddr::from([127, 0, 0, 1]) {
            let name = dialogue.connect.1.as_deref().unwrap_or("[UNAVAILABLE]");
            let prefix = if dialogue.connect.0.is_ipv6() { "IPV6:" } else { "" };
            let command = format!("XCLIENT NAME={name} ADDR={prefix}{}\r\n", dialogue.connect.0);
            client.lines(1)?;
            client.send(command.as_bytes())?;
        }
        Ok(client)
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.stream.write_all(bytes) {
            // The server has hung up; what it said before is still to be read.
            Err(error)
                if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) =>
            {
                Ok(())
            }
            other => other,
        }
    }

    fn close(&mut self) -> io::Result<()> {
        match self.stream.shutdown(std::net::Shutdown::Write) {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            other => other,
        }
    }

    fn wait_closed(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + self.patience.reply;
        while !self.is_closed && Instant::now() < deadline {
            self.fill(self.patience.reply)?;
        }
        Ok(())
    }

    /// Reads what comes; false when nothing did in time.
    fn fill(&mut self, limit: Duration) -> io::Result<bool> {
        self.stream.set_read_timeout(Some(limit))?;
        let mut chunk = [0; 4096];
        match self.stream.read(&mut chunk) {
            Ok(0) => self.is_closed = true,
            Ok(count) => self.buffer.extend_from_slice(&chunk[..count]),
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => return Ok(false),
                io::ErrorKind::ConnectionReset => self.is_closed = true,
                _ => return Err(error),
            },
        }
        Ok(true)
    }

    /// At least `count` lines, and whatever follows them at once.
    fn lines(&mut self, count: usize) -> io::Result<Vec<String>> {
        let deadline = Instant::now() + self.patience.reply;
        while !self.is_closed && self.buffer.iter().filter(|b| **b == b'\n').count() < count {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || !self.fill(left)? {
                break;
            }
        }
        Ok(self.take_lines())
    }

    /// What the server says until it is silent.
    fn turn(&mut self) -> io::Result<Vec<String>> {
        let mut limit = self.patience.reply;
        while !self.is_closed && self.fill(limit)? {
            limit = self.patience.quiet;
        }
        let mut lines = self.take_lines();
        if self.is_closed {
            lines.push("(closed)".to_owned());
        }
        Ok(lines)
    }

    /// XCLIENT is the runner's affair.
    fn take_lines(&mut self) -> Vec<String> {
        let text = String::from_utf8_lossy(&std::mem::take(&mut self.buffer)).into_owned();
        let lines = text.split_terminator("\r\n").map(str::to_owned);
        lines.filter(|line| !(self.patience.xclient && line.starts_with("250-XCLIENT"))).collect()
    }
}
