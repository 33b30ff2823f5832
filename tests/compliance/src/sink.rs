//! A next hop that takes everything and keeps it byte by byte, dots still stuffed: what smtp-sink(1) writes is no
//! longer what came.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

/// Keeps what it is sent; its threads live as long as the test.
pub struct Sink {
    /// Where it listens, on 127.0.0.1.
    pub port: u16,
    taken: Arc<Mutex<Vec<Taken>>>,
}

/// One transaction.
#[derive(Clone, Debug, Default)]
pub struct Taken {
    /// `MAIL` with its parameters.
    pub mail: String,
    /// `RCPT` with their parameters.
    pub recipients: Vec<String>,
    /// From the first byte after the reply to DATA to the last before the lone dot.
    pub content: Vec<u8>,
}

impl Sink {
    /// Starts one that announces these EHLO keywords, and refuses recipients whose address contains `refused`
    /// for good and those that contain `later` for now.
    pub fn start(keywords: &'static [&'static str]) -> io::Result<Self> {
        Self::start_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), keywords)
    }

    /// The same at an address of the caller's choice.
    pub fn start_at(address: SocketAddr, keywords: &'static [&'static str]) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let port = listener.local_addr()?.port();
        let taken = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&taken);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let taken = Arc::clone(&shared);
                // A client that hangs up in the middle has sent nothing.
                thread::spawn(move || serve(&stream, keywords, &taken));
            }
        });
        Ok(Self { port, taken })
    }

    /// What has come so far.
    #[must_use]
    pub fn taken(&self) -> Vec<Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn serve(stream: &TcpStream, keywords: &[&str], taken: &Mutex<Vec<Taken>>) -> io::Result<()> {
    let mut output = stream;
    let mut input = BufReader::new(stream);
    let mut now = Taken::default();
    output.write_all(b"220 sink.test ESMTP\r\n")?;
    loop {
        let mut line = Vec::new();
        if input.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        let verb = line.split(' ').next().unwrap_or_default().to_ascii_uppercase();
        let reply = match verb.as_str() {
            "EHLO" => ehlo(keywords),
            "MAIL" => {
                now = Taken { mail: line, ..Taken::default() };
                "250 2.1.0 Ok\r\n".to_owned()
            }
            "RCPT" if line.contains("refused") => "550 5.1.1 No such user here\r\n".to_owned(),
            "RCPT" if line.contains("later") => "450 4.2.0 Come back later\r\n".to_owned(),
            "RCPT" => {
                now.recipients.push(line);
                "250 2.1.5 Ok\r\n".to_owned()
            }
            "DATA" if now.recipients.is_empty() => "554 5.5.1 No recipients\r\n".to_owned(),
            "DATA" => {
                output.write_all(b"354 Go on\r\n")?;
                now.content = content(&mut input)?;
                taken.lock().unwrap_or_else(PoisonError::into_inner).push(std::mem::take(&mut now));
                "250 2.0.0 Taken\r\n".to_owned()
            }
            "QUIT" => {
                output.write_all(b"221 2.0.0 Bye\r\n")?;
                return Ok(());
            }
            "HELO" | "RSET" | "NOOP" => "250 2.0.0 Ok\r\n".to_owned(),
            _ => "500 5.5.2 What?\r\n".to_owned(),
        };
        output.write_all(reply.as_bytes())?;
    }
}

fn ehlo(keywords: &[&str]) -> String {
    let lines: String = keywords.iter().map(|keyword| format!("250-{keyword}\r\n")).collect();
    format!("250-sink.test\r\n{lines}250 ENHANCEDSTATUSCODES\r\n")
}

fn content(input: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    while content != b".\r\n" && !content.ends_with(b"\r\n.\r\n") {
        if input.read_until(b'\n', &mut content)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    content.truncate(content.len() - 3);
    Ok(content)
}
