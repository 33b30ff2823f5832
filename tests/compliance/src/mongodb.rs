//! A server that speaks as much of MongoDB's protocol as a mail system uses, as there is none in Debian: `hello`, login with
//! SCRAM-SHA-256, `find` and `getMore` over a list of documents. What it is sent is checked to the byte: a client that says
//! something else than the specifications allow is hung up on, and that is counted.

#![expect(clippy::expect_used, reason = "a fixture that cannot do its work fails the test")]

mod bson;
mod scram;

pub use bson::{Bson, Document, document};

use bson::{decode, encode, field};
use scram::Exchange;
use std::{
    collections::HashMap,
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// Documents in one answer, as of the real server.
const BATCH: usize = 101;

/// A running server.
pub struct MongoServer {
    directory: tempfile::TempDir,
    /// Where it listens on 127.0.0.1.
    pub port: u16,
    shared: Arc<Shared>,
}

/// What the connections have in common.
struct Shared {
    documents: Vec<Document>,
    /// Documents by the text of their field `name`.
    by_name: HashMap<String, Vec<usize>>,
    /// The password of the user `mail`, if one is asked for.
    password: Option<String>,
    /// Filters of `find` commands.
    asked: Mutex<Vec<Document>>,
    nonsense: AtomicUsize,
    /// Connections; none while the server is away.
    streams: Mutex<Option<Vec<TcpStream>>>,
}

impl MongoServer {
    /// A server with the collection `users` in the database `mail`. With a password, only the user `mail` of the database
    /// `admin` may ask.
    pub fn start(documents: Vec<Document>, password: Option<&str>) -> Self {
        let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, document) in documents.iter().enumerate() {
            if let Some(Bson::Text(name)) = field(document, "name") {
                by_name.entry(name.clone()).or_default().push(at);
            }
        }
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let shared = Arc::new(Shared {
            documents,
            by_name,
            password: password.map(str::to_owned),
            asked: Mutex::default(),
            nonsense: AtomicUsize::new(0),
            streams: Mutex::new(Some(Vec::new())),
        });
        let server = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let Ok(kept) = stream.try_clone() else { continue };
                let is_here = lock(&server.streams).as_mut().map(|streams| streams.push(kept)).is_some();
                if is_here {
                    let server = Arc::clone(&server);
                    thread::spawn(move || serve(stream, &server));
                }
            }
        });
        let directory = tempfile::tempdir().expect("space");
        Self { directory, port, shared }
    }

    /// From now on it hangs up on everybody.
    pub fn go(&self) {
        for stream in lock(&self.shared.streams).take().into_iter().flatten() {
            // One that has ended needs no end.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// It answers again.
    pub fn come_back(&self) {
        *lock(&self.shared.streams) = Some(Vec::new());
    }

    /// The filters it was asked with since the last time.
    pub fn asked(&self) -> Vec<Document> {
        std::mem::take(&mut lock(&self.shared.asked))
    }

    /// How often a client said what it may not.
    pub fn nonsense(&self) -> usize {
        self.shared.nonsense.load(Ordering::Relaxed)
    }

    /// A table's file with these settings and those that every table here needs.
    pub fn table(&self, name: &str, settings: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        let uri = if settings.contains("uri =") {
            String::new()
        } else {
            format!("uri = mongodb://127.0.0.1:{}/\n", self.port)
        };
        let text = format!("{uri}dbname = mail\ncollection = users\n{settings}");
        std::fs::write(&path, text).expect("space");
        path
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One connection.
#[derive(Default)]
struct Session {
    login: Option<Exchange>,
    is_known: bool,
    /// What is left of long answers, by the cursor's number.
    cursors: HashMap<i64, Vec<Bson>>,
}

fn serve(mut stream: TcpStream, shared: &Shared) {
    let mut session = Session { is_known: shared.password.is_none(), ..Session::default() };
    let mut header = [0; 16];
    while stream.read_exact(&mut header).is_ok() {
        let Some(reply) = respond(&mut stream, header, &mut session, shared) else {
            shared.nonsense.fetch_add(1, Ordering::Relaxed);
            let _ = stream.shutdown(Shutdown::Both);
            return;
        };
        if stream.write_all(&reply).is_err() {
            return;
        }
    }
}

/// Reads the rest of a message and answers it; `None` if it is none.
fn respond(
    stream: &mut TcpStream,
    header: [u8; 16],
    session: &mut Session,
    shared: &Shared,
) -> Option<Vec<u8>> {
    let word =
        |at: usize| header.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(i32::from_le_bytes);
    let length = usize::try_from(word(0)?).ok().filter(|length| (21..=48_000_000).contains(length))?;
    let mut body = vec![0; length - 16];
    stream.read_exact(&mut body).ok()?;
    (word(8)? == 0).then_some(())?;
    let reply = match word(12)? {
        2013 => {
            let (flags_and_kind, document) = body.split_at_checked(5)?;
            let (command, rest) = decode(document)?;
            (flags_and_kind == [0; 5] && rest.is_empty()).then_some(())?;
            let reply = encode(&execute(&command, session, shared)?);
            (2013, [&[0; 5], reply.as_slice()].concat())
        }
        // The first question of old clients and of the C driver: OP_QUERY, answered by OP_REPLY.
        2004 => {
            let query = body.get(4..)?.strip_prefix(b"admin.$cmd\0")?.get(8..)?;
            let (command, _) = decode(query)?;
            let mut head = vec![0; 20];
            *head.get_mut(16)? = 1;
            head.extend(encode(&execute(&command, session, shared)?));
            (1, head)
        }
        _ => return None,
    };
    let length = i32::try_from(16 + reply.1.len()).ok()?;
    let header = [length, 1, word(4)?, reply.0].map(i32::to_le_bytes).concat();
    Some([header, reply.1].concat())
}

fn execute(command: &Document, session: &mut Session, shared: &Shared) -> Option<Document> {
    let (name, argument) = command.first()?;
    let payload = || match field(command, "payload") {
        Some(Bson::Binary(payload)) => Some(payload.as_slice()),
        _ => None,
    };
    Some(match name.to_ascii_lowercase().as_str() {
        "hello" | "ismaster" => hello(command),
        "saslstart" => {
            let is_ours = field(command, "mechanism") == Some(&"SCRAM-SHA-256".into())
                && field(command, "$db") == Some(&"admin".into());
            is_ours.then_some(())?;
            let exchange = Exchange::start(payload()?, "mail", shared.password.as_deref()?)?;
            let challenge = exchange.challenge();
            session.login = Some(exchange);
            conversation(challenge, false)
        }
        "saslcontinue" if session.is_known => conversation(Vec::new(), true),
        "saslcontinue" => match session.login.take()?.finish(payload()?) {
            Some(proof) => {
                session.is_known = true;
                conversation(proof, true)
            }
            None => error(18, "Authentication failed."),
        },
        "endsessions" | "ping" => document([("ok", Bson::Double(1.0))]),
        _ if !session.is_known => error(13, "command find requires authentication"),
        "find" => {
            (argument == &"users".into() && field(command, "$db") == Some(&"mail".into())).then_some(())?;
            let Some(Bson::Document(filter)) = field(command, "filter") else { return None };
            lock(&shared.asked).push(filter.clone());
            match shared.find(filter) {
                Ok(found) => session.batch("firstBatch", &found, field(command, "projection")),
                Err(why) => error(2, &why),
            }
        }
        "getmore" => {
            let Bson::Long(id) = argument else { return None };
            let rest = session.cursors.remove(id)?;
            session.send("nextBatch", rest)
        }
        _ => error(59, &format!("no such command: '{name}'")),
    })
}

fn hello(command: &Document) -> Document {
    let mut reply = document([
        ("ismaster", Bson::Flag(true)),
        ("isWritablePrimary", Bson::Flag(true)),
        ("maxBsonObjectSize", 16_777_216.into()),
        ("maxMessageSizeBytes", 48_000_000.into()),
        ("maxWriteBatchSize", 100_000.into()),
        ("minWireVersion", 0.into()),
        ("maxWireVersion", 17.into()),
        ("readOnly", Bson::Flag(false)),
    ]);
    if field(command, "saslSupportedMechs").is_some() {
        reply.push(("saslSupportedMechs".to_owned(), vec!["SCRAM-SHA-1", "SCRAM-SHA-256"].into()));
    }
    reply.push(("ok".to_owned(), Bson::Double(1.0)));
    reply
}

fn conversation(payload: Vec<u8>, is_done: bool) -> Document {
    document([
        ("conversationId", 1.into()),
        ("done", Bson::Flag(is_done)),
        ("payload", Bson::Binary(payload)),
        ("ok", Bson::Double(1.0)),
    ])
}

fn error(code: i32, why: &str) -> Document {
    document([("ok", Bson::Double(0.0)), ("errmsg", why.into()), ("code", code.into())])
}

impl Session {
    fn batch(&mut self, name: &str, found: &[&Document], projection: Option<&Bson>) -> Document {
        let wanted: Vec<&str> = match projection {
            Some(Bson::Document(fields)) => {
                let kept = fields.iter().filter(|(_, value)| *value == Bson::Int(1));
                kept.map(|(name, _)| name.as_str()).collect()
            }
            _ => Vec::new(),
        };
        let shown = found.iter().map(|document| {
            let kept = document.iter().filter(|(name, _)| wanted.contains(&name.as_str()));
            Bson::Document(kept.cloned().collect())
        });
        self.send(name, shown.collect())
    }

    fn send(&mut self, name: &str, mut documents: Vec<Bson>) -> Document {
        let rest = documents.split_off(documents.len().min(BATCH));
        let id = if rest.is_empty() { 0 } else { 4_000_000_007 };
        if id != 0 {
            self.cursors.insert(id, rest);
        }
        let cursor =
            document([(name, Bson::List(documents)), ("id", Bson::Long(id)), ("ns", "mail.users".into())]);
        document([("cursor", cursor.into()), ("ok", Bson::Double(1.0))])
    }
}

impl Shared {
    fn find(&self, filter: &Document) -> Result<Vec<&Document>, String> {
        if let [(name, Bson::Text(text))] = filter.as_slice()
            && name == "name"
        {
            let found = self.by_name.get(text).into_iter().flatten();
            return Ok(found.filter_map(|at| self.documents.get(*at)).collect());
        }
        let mut found = Vec::new();
        for document in &self.documents {
            if matches(document, filter)? {
                found.push(document);
            }
        }
        Ok(found)
    }
}

/// Whether a document is what a filter asks for: equality, `$or`, `$in` and `$ne`.
fn matches(document: &Document, filter: &Document) -> Result<bool, String> {
    for (name, wanted) in filter {
        let is_so = match (name.as_str(), wanted) {
            ("$or", Bson::List(filters)) => {
                let mut is_any = false;
                for filter in filters {
                    let Bson::Document(filter) = filter else { return Err("$or needs documents".to_owned()) };
                    is_any |= matches(document, filter)?;
                }
                is_any
            }
            (operator, _) if operator.starts_with('$') => {
                return Err(format!("unknown top level operator: {operator}"));
            }
            (path, Bson::Document(test)) => match test.as_slice() {
                [(operator, Bson::List(several))] if operator == "$in" => {
                    several.iter().any(|one| has(document, path, one))
                }
                [(operator, other)] if operator == "$ne" => !has(document, path, other),
                _ => return Err("unknown operator".to_owned()),
            },
            (path, value) => has(document, path, value),
        };
        if !is_so {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether the value at a path, or an item of a list there, is this one.
fn has(document: &Document, path: &str, wanted: &Bson) -> bool {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let Some(value) = field(document, name) else { return false };
    let items = if let Bson::List(items) = value { items.as_slice() } else { std::slice::from_ref(value) };
    items.iter().any(|item| match (rest, item) {
        (None, item) => item == wanted,
        (Some(rest), Bson::Document(inner)) => has(inner, rest, wanted),
        _ => false,
    })
}
