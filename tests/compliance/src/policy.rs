//! Policy servers for tests (SMTPD_POLICY_README).

#![expect(clippy::expect_used, reason = "a fixture that cannot do its work fails the test")]

use std::{
    collections::BTreeMap,
    fs,
    io::{self, BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener},
    os::unix::{fs::PermissionsExt, net::UnixListener},
    path::Path,
    sync::{Arc, Mutex},
    thread,
};

/// A connection as a server sees it.
pub trait Connection: Read + Write + Send {
    /// A second handle to it.
    fn again(&self) -> Box<dyn Connection>;
}

macro_rules! connection {
    ($kind:ty) => {
        impl Connection for $kind {
            fn again(&self) -> Box<dyn Connection> {
                Box::new(self.try_clone().expect("a descriptor"))
            }
        }
    };
}
connection!(std::net::TcpStream);
connection!(std::os::unix::net::UnixStream);

/// A request that was heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Which connection it came over, from 0.
    pub connection: usize,
    /// Its lines, as they came.
    pub lines: Vec<String>,
}

impl Request {
    /// The value of an attribute.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        self.lines.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
    }
}

type Heard = Arc<Mutex<Vec<Request>>>;

/// A server that writes down what it is asked. Its threads end with the test.
#[derive(Clone, Debug, Default)]
pub struct PolicyServer {
    heard: Heard,
}

/// What a server does with the request number `n` (from 0) of all: it writes an answer, or something else; false hangs up.
pub type Behaviour = dyn Fn(&Request, usize, &mut dyn Write) -> io::Result<bool> + Send + Sync;

impl PolicyServer {
    /// Listens on a UNIX-domain socket that everybody may connect to.
    pub fn unix(
        path: &Path,
        behaviour: impl Fn(&Request, usize, &mut dyn Write) -> io::Result<bool> + Send + Sync + 'static,
    ) -> Self {
        let directory = path.parent().expect("a path in a directory");
        fs::create_dir_all(directory).expect("space for a directory");
        fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).expect("our own directory");
        let listener = UnixListener::bind(path).expect("a path for a socket");
        fs::set_permissions(path, fs::Permissions::from_mode(0o666)).expect("our own socket");
        let server = Self::default();
        let heard = Arc::clone(&server.heard);
        let behaviour: Arc<Behaviour> = Arc::new(behaviour);
        thread::spawn(move || {
            for (at, stream) in listener.incoming().flatten().enumerate() {
                serve(Box::new(stream), at, &heard, &behaviour);
            }
        });
        server
    }

    /// Listens on a port of 127.0.0.1.
    pub fn inet(
        behaviour: impl Fn(&Request, usize, &mut dyn Write) -> io::Result<bool> + Send + Sync + 'static,
    ) -> (Self, SocketAddr) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let server = Self::default();
        let heard = Arc::clone(&server.heard);
        let behaviour: Arc<Behaviour> = Arc::new(behaviour);
        thread::spawn(move || {
            for (at, stream) in listener.incoming().flatten().enumerate() {
                serve(Box::new(stream), at, &heard, &behaviour);
            }
        });
        (server, address)
    }

    /// Everything heard so far.
    #[must_use]
    pub fn heard(&self) -> Vec<Request> {
        self.heard.lock().expect("no other thread fails").clone()
    }

    /// How many requests came over each connection.
    #[must_use]
    pub fn by_connection(&self) -> BTreeMap<usize, usize> {
        let mut counts = BTreeMap::new();
        self.heard().iter().for_each(|request| *counts.entry(request.connection).or_default() += 1);
        counts
    }
}

/// Says `action=...` as it should be said.
pub fn say(action: &str, to: &mut dyn Write) -> io::Result<bool> {
    write!(to, "action={action}\n\n")?;
    to.flush()?;
    Ok(true)
}

fn serve(stream: Box<dyn Connection>, connection: usize, heard: &Heard, behaviour: &Arc<Behaviour>) {
    let (heard, behaviour) = (Arc::clone(heard), Arc::clone(behaviour));
    thread::spawn(move || {
        let mut writer = stream.again();
        let mut reader = BufReader::new(stream);
        while let Some(lines) = request(&mut reader) {
            let request = Request { connection, lines };
            let n = {
                let mut heard = heard.lock().expect("no other thread fails");
                heard.push(request.clone());
                heard.len() - 1
            };
            if !behaviour(&request, n, &mut writer).unwrap_or(false) {
                return;
            }
        }
    });
}

fn request(reader: &mut impl BufRead) -> Option<Vec<String>> {
    let mut lines = Vec::new();
    loop {
        let mut line = Vec::new();
        reader.read_until(b'\n', &mut line).ok().filter(|count| *count > 0)?;
        line.pop();
        if line.is_empty() {
            return Some(lines);
        }
        lines.push(String::from_utf8_lossy(&line).into_owned());
    }
}
