//! Talking to a system byte by byte, and being the system that it talks to.

#![expect(clippy::expect_used, reason = "a fixture that cannot do its work fails the test")]

use crate::system::PATIENCE;
use socket2::{Domain, Socket, Type};
use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// One connection to an SMTP server.
pub struct Talk {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Talk {
    /// Connects from 127.0.0.1.
    pub fn to(server: SocketAddr) -> Self {
        Self::from(Ipv4Addr::LOCALHOST, server).expect("the server listens")
    }

    /// Connects from another address of this host.
    pub fn from(client: Ipv4Addr, server: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SocketAddr::new(IpAddr::V4(client), 0).into())?;
        socket.connect(&server.into())?;
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, unread: Vec::new() })
    }

    /// Goes on with a connection that is there.
    pub fn over(stream: TcpStream) -> Self {
        Self { stream, unread: Vec::new() }
    }

    /// A second handle to the connection.
    pub fn again(&self) -> TcpStream {
        self.stream.try_clone().expect("a descriptor")
    }

    /// The connection; what was read already is gone.
    pub fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// The reply to RCPT in a session that does no more.
    pub fn rcpt(server: SocketAddr, recipient: &str) -> String {
        let mut talk = Self::to(server);
        talk.reply();
        talk.say("EHLO c.test");
        talk.say("MAIL FROM:<a@c.test>");
        let reply = talk.say(&format!("RCPT TO:<{recipient}>"));
        talk.say("QUIT");
        reply
    }

    /// Sends bytes; a server that has hung up does not read them.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// The next reply, with all its lines; `None` when the server has hung up.
    pub fn reply(&mut self) -> Option<String> {
        let mut lines = String::new();
        loop {
            while let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                let line = String::from_utf8_lossy(&line).into_owned();
                let is_last = line.as_bytes().get(3) != Some(&b'-');
                lines.push_str(&line);
                if is_last {
                    return Some(lines.trim_end().to_owned());
                }
            }
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer) {
                // A read with a time limit ends so when the process was stopped for a moment.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(0) | Err(_) => return None,
                Ok(count) => self.unread.extend_from_slice(&buffer[..count]),
            }
        }
    }

    /// Sends a line and reads its reply; empty when the server has hung up.
    pub fn say(&mut self, line: &str) -> String {
        self.send(format!("{line}\r\n").as_bytes());
        self.reply().unwrap_or_default()
    }

    /// Everything up to the end of the connection.
    pub fn rest(mut self) -> Vec<u8> {
        // A reset after the last reply is an end too.
        let _ = self.stream.read_to_end(&mut self.unread);
        self.unread
    }

    /// Hangs up with a reset.
    pub fn reset(self) {
        let socket = Socket::from(self.stream);
        socket.set_linger(Some(Duration::ZERO)).expect("a socket can be reset");
    }

    /// No more will be sent.
    pub fn half_close(&self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
    }
}

/// A server in the test: one function serves each connection in a thread of its own.
pub struct Server {
    address: SocketAddr,
}

impl Server {
    /// Listens on a free port for as long as the test runs.
    pub fn start(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let serve = Arc::new(serve);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serve = Arc::clone(&serve);
                let _ = stream.set_read_timeout(Some(PATIENCE));
                let _ = stream.set_write_timeout(Some(PATIENCE));
                thread::spawn(move || serve(stream));
            }
        });
        Self { address }
    }

    /// As `relayhost` names it.
    pub fn relayhost(&self) -> String {
        format!("[127.0.0.1]:{}", self.address.port())
    }
}

/// What a polite server was given: the bytes of each DATA, dots and line ends as they came.
#[derive(Clone, Default)]
pub struct Received(Arc<Mutex<Vec<Message>>>);

/// One message as it came over the wire.
#[derive(Clone, Debug)]
pub struct Message {
    /// The commands since MAIL.
    pub envelope: Vec<String>,
    /// All bytes after `354` up to and without the final `.` line.
    pub data: Vec<u8>,
}

impl Received {
    /// So far.
    pub fn messages(&self) -> Vec<Message> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A server that takes everything.
    pub fn server(&self) -> Server {
        let received = self.clone();
        Server::start(move |stream| {
            // A client that breaks off has said what it wanted.
            let _ = received.serve(&stream);
        })
    }

    fn serve(&self, mut stream: &TcpStream) -> io::Result<()> {
        let mut input = Input { stream, unread: Vec::new() };
        stream.write_all(b"220 sink.test ESMTP\r\n")?;
        let mut envelope = Vec::new();
        while let Some(line) = input.until(b"\r\n")? {
            let text = String::from_utf8_lossy(&line).into_owned();
            let verb = text.get(..4).unwrap_or_default().to_ascii_uppercase();
            match verb.as_str() {
                "EHLO" => stream.write_all(b"250-sink.test\r\n250-8BITMIME\r\n250 PIPELINING\r\n")?,
                "DATA" => {
                    stream.write_all(b"354 go\r\n")?;
                    let Some(data) = input.until(b"\r\n.\r\n")? else { return Ok(()) };
                    let message = Message { envelope: std::mem::take(&mut envelope), data };
                    self.0.lock().unwrap_or_else(PoisonError::into_inner).push(message);
                    stream.write_all(b"250 taken\r\n")?;
                }
                "QUIT" => return stream.write_all(b"221 bye\r\n"),
                _ => {
                    if verb == "MAIL" {
                        envelope.clear();
                    }
                    envelope.push(text);
                    stream.write_all(b"250 ok\r\n")?;
                }
            }
        }
        Ok(())
    }
}

struct Input<'a> {
    stream: &'a TcpStream,
    unread: Vec<u8>,
}

impl Input<'_> {
    /// The bytes before a mark; `None` at the end of the connection.
    fn until(&mut self, mark: &[u8]) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(at) = self.unread.windows(mark.len()).position(|window| window == mark) {
                let rest = self.unread.split_off(at + mark.len());
                let mut taken = std::mem::replace(&mut self.unread, rest);
                taken.truncate(at);
                return Ok(Some(taken));
            }
            let mut buffer = [0; 16 * 1024];
            match self.stream.read(&mut buffer)? {
                0 => return Ok(None),
                count => self.unread.extend_from_slice(&buffer[..count]),
            }
        }
    }
}

/// Waits for something; the message says what.
pub fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// What a process is made of, for tests of bounds.
#[derive(Clone, Copy, Debug)]
pub struct Footprint {
    /// Memory that it has written, in KiB. (Pages of its program are shared with whoever else runs it just then.)
    pub memory_kib: u64,
    /// Open descriptors.
    pub descriptors: usize,
}

impl Footprint {
    /// Of a process of this host.
    pub fn of(pid: u32) -> Self {
        let text =
            std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("the process is there");
        let number = |name: &str| -> u64 {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            line.split_ascii_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or(0)
        };
        let open = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("the process is ours");
        Self { memory_kib: number("Private_Dirty:"), descriptors: open.count() }
    }
}
