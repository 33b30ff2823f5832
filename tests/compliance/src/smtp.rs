//! Both ends of SMTP as tests need them: a client that remembers what was promised to it, and a server that
//! remembers what it was given.

use std::{
    collections::HashSet,
    io::{self, BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

/// How long a peer may be silent.
const SILENCE: Duration = Duration::from_secs(20);

/// A session with a server.
pub struct Client {
    stream: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Client {
    /// Connects and says EHLO.
    pub fn connect(to: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(to)?;
        stream.set_read_timeout(Some(SILENCE))?;
        stream.set_nodelay(true)?;
        let mut client = Self { reader: BufReader::new(stream.try_clone()?), stream };
        client.reply()?;
        client.command("EHLO client.test")?;
        Ok(client)
    }

    /// Says a line (or several) and reads one reply: its last line.
    pub fn command(&mut self, line: &str) -> io::Result<String> {
        self.stream.write_all(format!("{line}\r\n").as_bytes())?;
        self.reply()
    }

    /// Says something that nobody answers yet.
    pub fn send_part(&mut self, text: &str) -> io::Result<()> {
        self.stream.write_all(text.as_bytes())
    }

    fn reply(&mut self) -> io::Result<String> {
        let mut line = String::new();
        loop {
            line.clear();
            if self.reader.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if line.get(3..4) != Some("-") {
                return Ok(line.trim_end().to_owned());
            }
        }
    }

    /// One transaction. The reply is that of the end of data, or the first that is not positive; after that one the
    /// transaction is taken back.
    pub fn send(&mut self, sender: &str, recipients: &[&str], message: &str) -> io::Result<String> {
        let mut commands = vec![format!("MAIL FROM:<{sender}>")];
        commands.extend(recipients.iter().map(|recipient| format!("RCPT TO:<{recipient}>")));
        commands.push("DATA".to_owned());
        for command in &commands {
            let reply = self.command(command)?;
            if !reply.starts_with(['2', '3']) {
                self.command("RSET")?;
                return Ok(reply);
            }
        }
        self.command(&format!("{message}\r\n."))
    }
}

/// The queue id in the reply to a message.
#[must_use]
pub fn queue_id(reply: &str) -> Option<String> {
    reply
        .starts_with("250 ")
        .then(|| reply.rsplit_once("queued as ")?.1.split(' ').next().map(str::to_owned))?
}

/// A message that a [`Sink`] has taken.
#[derive(Clone, Debug)]
pub struct Taken {
    /// Recipients, without brackets.
    pub recipients: Vec<String>,
    /// Header and body, lines ending with LF.
    pub text: String,
}

/// A server on a loopback port that takes every message, except for the recipients that it is told to put off, and
/// for those at fail.test, of which there are none.
#[derive(Clone)]
pub struct Sink {
    /// Where it listens.
    pub address: SocketAddr,
    taken: Arc<Mutex<Vec<Taken>>>,
    put_off: Arc<Mutex<HashSet<String>>>,
    stalled: Arc<Mutex<HashSet<String>>>,
    waiting: Arc<Mutex<Vec<String>>>,
    is_over: Arc<AtomicBool>,
}

impl Sink {
    /// Starts one; it ends with the test.
    pub fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let sink = Self {
            address: listener.local_addr()?,
            taken: Arc::default(),
            put_off: Arc::default(),
            stalled: Arc::default(),
            waiting: Arc::default(),
            is_over: Arc::default(),
        };
        let server = sink.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if server.is_over.load(Ordering::Relaxed) {
                    return;
                }
                let session = server.clone();
                // A client that is killed goes away in the middle.
                thread::spawn(move || session.serve(&stream));
            }
        });
        Ok(sink)
    }

    /// All messages so far.
    #[must_use]
    pub fn taken(&self) -> Vec<Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on these recipients are answered 450, and no others.
    pub fn put_off(&self, recipients: &[&str]) {
        let recipients = recipients.iter().map(|&recipient| recipient.to_owned()).collect();
        *self.put_off.lock().unwrap_or_else(PoisonError::into_inner) = recipients;
    }

    /// From now on these recipients get no answer, and no others.
    pub fn stall(&self, recipients: &[&str]) {
        let recipients = recipients.iter().map(|&recipient| recipient.to_owned()).collect();
        *self.stalled.lock().unwrap_or_else(PoisonError::into_inner) = recipients;
    }

    /// Recipients for which a client waits now, each as often as it does.
    #[must_use]
    pub fn waiting(&self) -> Vec<String> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn wait_while_stalled(&self, address: &str) {
        let waiting = || self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting().push(address.to_owned());
        while !self.is_over.load(Ordering::Relaxed)
            && self.stalled.lock().unwrap_or_else(PoisonError::into_inner).contains(address)
        {
            thread::sleep(Duration::from_millis(10));
        }
        let mut waiting = waiting();
        let at = waiting.iter().position(|waits| waits == address);
        at.map(|at| waiting.swap_remove(at));
    }

    fn serve(&self, stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let (mut out, mut reader) = (stream, BufReader::new(stream));
        let mut recipients: Vec<String> = Vec::new();
        let mut line = String::new();
        out.write_all(b"220 sink.test ESMTP\r\n")?;
        loop {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
            let reply = match verb.as_str() {
                "EHLO" => "250-sink.test\r\n250 8BITMIME",
                "MAIL" => {
                    recipients.clear();
                    "250 2.1.0 Ok"
                }
                "RCPT" => {
                    let address = line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
                    self.wait_while_stalled(&address);
                    if self.put_off.lock().unwrap_or_else(PoisonError::into_inner).contains(&address) {
                        "450 4.2.1 Not now"
                    } else if address.ends_with("@fail.test") {
                        "550 5.1.1 Nobody lives here"
                    } else {
                        recipients.push(address);
                        "250 2.1.5 Ok"
                    }
                }
                "DATA" if recipients.is_empty() => "554 5.5.1 No valid recipients",
                "DATA" => {
                    out.write_all(b"354 Go on\r\n")?;
                    let text = content(&mut reader)?;
                    let taken = Taken { recipients: std::mem::take(&mut recipients), text };
                    self.taken.lock().unwrap_or_else(PoisonError::into_inner).push(taken);
                    "250 2.0.0 Ok"
                }
                "QUIT" => {
                    out.write_all(b"221 2.0.0 Bye\r\n")?;
                    return Ok(());
                }
                _ => "250 2.0.0 Ok",
            };
            out.write_all(format!("{reply}\r\n").as_bytes())?;
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        // The last one but those of the threads: the listener is let go with the next connection.
        if Arc::strong_count(&self.is_over) <= 2 {
            self.is_over.store(true, Ordering::Relaxed);
            let _ = TcpStream::connect(self.address);
        }
    }
}

/// The content up to the lone dot. An error is a client that went away: nothing was taken.
fn content(reader: &mut impl BufRead) -> io::Result<String> {
    let mut text = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end_matches(['\r', '\n']);
        if line == "." {
            return Ok(text);
        }
        text.push_str(line.strip_prefix('.').unwrap_or(line));
        text.push('\n');
    }
}
