//! A conversation with a MongoDB server: one command at a time, in `OP_MSG` messages (MongoDB Wire Protocol).

use super::{
    bson::{Document, Value, Writer},
    scram::{Mechanism, Scram},
    uri::{Login, ReadPreference},
};
use world::Stream;

const CHUNK_BYTES: usize = 4096;
const HEADER_BYTES: usize = 16;
const OP_MSG: i32 = 2013;
const CHECKSUM_PRESENT: u32 = 1;
/// Flags that change what a message is; a client that does not know one must not go on.
const REQUIRED_FLAGS: u32 = 0xffff;

/// `CommandNotFound`: `hello` is younger than its sister `isMaster`.
const NO_SUCH_COMMAND: i64 = 59;
/// The server is no longer what it was, or is going down: another one may answer (Retryable Reads specification).
const STATE_CHANGES: &[i64] = &[91, 189, 10_107, 11_600, 11_602, 13_435, 13_436];

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The connection is of no use any more.
    Lost(String),
    /// The server's reason; the conversation may go on.
    Refused {
        /// MongoDB's error code; 0 if the server gave none.
        code: i64,
        text: String,
    },
}

impl Failure {
    pub(super) fn text(self) -> String {
        match self {
            Self::Lost(text) | Self::Refused { text, .. } => text,
        }
    }
}

fn out_of_step() -> Failure {
    Failure::Lost("the server's answer does not fit the protocol".to_owned())
}

/// What a server says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hello {
    /// Of the replica set.
    pub(super) set_name: Option<String>,
    pub(super) is_primary: bool,
    pub(super) is_secondary: bool,
    /// `mongos`, which finds the right members by itself.
    pub(super) is_router: bool,
    /// The other members.
    pub(super) hosts: Vec<String>,
    pub(super) primary: Option<String>,
    /// SCRAM-SHA-256 is among the user's mechanisms.
    pub(super) knows_sha256: bool,
}

impl Hello {
    fn of(document: Document<'_>) -> Self {
        let flag = |name| document.get(name).and_then(Value::as_int) == Some(1);
        let text = |name| document.get(name).and_then(Value::as_text).map(str::to_owned);
        let texts = |name| match document.get(name) {
            Some(Value::Array(array)) => {
                array.elements().map_while(Result::ok).filter_map(|(_, value)| value.as_text()).collect()
            }
            _ => Vec::new(),
        };
        Self {
            set_name: text("setName"),
            is_primary: flag("isWritablePrimary") || flag("ismaster"),
            is_secondary: flag("secondary"),
            is_router: text("msg").as_deref() == Some("isdbgrid"),
            hosts: ["hosts", "passives"].into_iter().flat_map(texts).map(str::to_owned).collect(),
            primary: text("primary"),
            knows_sha256: texts("saslSupportedMechs").contains(&Mechanism::Sha256.name()),
        }
    }
}

/// A connection.
pub(super) struct Connection<S> {
    stream: S,
    input: Vec<u8>,
    last_request: i32,
    /// `lookup_reply_size_limit`
    reply_max: usize,
    /// What each question says about the members that may answer it.
    pub(super) read_preference: Option<ReadPreference>,
}

impl<S: Stream> Connection<S> {
    pub(super) fn new(stream: S, reply_max: usize) -> Self {
        Self { stream, input: Vec::new(), last_request: 0, reply_max, read_preference: None }
    }

    /// Asks the server what it is, and how `login`'s user may log in.
    pub(super) async fn hello(&mut self, login: Option<&Login>, application: &str) -> Result<Hello, Failure> {
        let command = |name: &str| {
            let mut command = Writer::new();
            command.int32(name, 1);
            command.document("client", &client(application));
            if let Some(login) = login.filter(|login| login.mechanism.is_none()) {
                command.text("saslSupportedMechs", &format!("{}.{}", login.source, login.user));
            }
            command.text("$db", "admin");
            command.finish()
        };
        let reply = match self.command(&command("hello")).await {
            Err(Failure::Refused { code: NO_SUCH_COMMAND, .. }) => self.command(&command("isMaster")).await?,
            reply => reply?,
        };
        Ok(Hello::of(document(&reply)?))
    }

    /// Logs in; `nonce` is text that no other login used.
    pub(super) async fn log_in(
        &mut self,
        login: &Login,
        hello: &Hello,
        nonce: String,
    ) -> Result<(), Failure> {
        let known = if hello.knows_sha256 { Mechanism::Sha256 } else { Mechanism::Sha1 };
        let mechanism = login.mechanism.unwrap_or(known);
        let mut scram = Scram::new(mechanism, &login.user, &login.password, nonce).map_err(Failure::Lost)?;
        let mut start = Writer::new();
        start.int32("saslStart", 1);
        start.text("mechanism", mechanism.name());
        start.binary("payload", &scram.first());
        let mut options = Writer::new();
        options.boolean("skipEmptyExchange", true);
        start.document("options", &options.finish());
        let challenge = self.sasl(start, login).await?;
        let answer = scram.answer(&challenge.payload).map_err(Failure::Lost)?;
        let mut last = self.sasl(next(challenge.conversation, &answer), login).await?;
        scram.judge(&last.payload).map_err(Failure::Lost)?;
        if !last.is_done {
            last = self.sasl(next(last.conversation, &[]), login).await?;
        }
        if last.is_done { Ok(()) } else { Err(out_of_step()) }
    }

    async fn sasl(&mut self, mut command: Writer, login: &Login) -> Result<SaslReply, Failure> {
        command.text("$db", &login.source);
        let reply = self.command(&command.finish()).await?;
        let reply = document(&reply)?;
        let Some(Value::Binary(payload)) = reply.get("payload") else { return Err(out_of_step()) };
        let conversation = reply.get("conversationId").and_then(Value::as_int);
        let conversation = conversation.and_then(|id| i32::try_from(id).ok()).ok_or_else(out_of_step)?;
        let is_done = reply.get("done").and_then(Value::as_int) == Some(1);
        Ok(SaslReply { payload: payload.to_vec(), conversation, is_done })
    }

    /// Sends a command; the reply's document, if the server says that it is one.
    pub(super) async fn command(&mut self, command: &[u8]) -> Result<Vec<u8>, Failure> {
        self.last_request = self.last_request.wrapping_add(1);
        let length = i32::try_from(HEADER_BYTES + 5 + command.len())
            .map_err(|_| Failure::Lost("the query is too long".to_owned()))?;
        let header = [length, self.last_request, 0, OP_MSG].map(i32::to_le_bytes).concat();
        // No flags, and one section with the whole command.
        let message = [&header, [0; 5].as_slice(), command].concat();
        self.stream.write_all(&message).await.map_err(|error| lost(&error))?;
        let reply = self.receive().await?;
        let found = document(&reply)?;
        if found.get("ok").and_then(Value::as_int) == Some(1) {
            return Ok(reply);
        }
        let Some(text) = found.get("errmsg") else { return Err(out_of_step()) };
        let text = if let Value::Text(text) = text { maillog::printable(text) } else { String::new() };
        let code = found.get("code").and_then(Value::as_int).unwrap_or(0);
        if STATE_CHANGES.contains(&code) {
            return Err(Failure::Lost(text));
        }
        Err(Failure::Refused { code, text })
    }

    /// The first document of a reply, and whatever stands behind it.
    async fn receive(&mut self) -> Result<Vec<u8>, Failure> {
        self.fill(HEADER_BYTES).await?;
        let length = usize::try_from(self.int_at(0)).map_err(|_| out_of_step())?;
        // Before room is made for whatever the server announces.
        if length > self.reply_max {
            return Err(Failure::Lost(crate::query::too_long(self.reply_max)));
        }
        if length < HEADER_BYTES + 5 || self.int_at(8) != self.last_request || self.int_at(12) != OP_MSG {
            return Err(out_of_step());
        }
        self.fill(length).await?;
        let flags = u32::from_le_bytes(self.int_at(HEADER_BYTES).to_le_bytes());
        let end = if flags & CHECKSUM_PRESENT == 0 { length } else { length - 4 };
        let section = self.input.get(HEADER_BYTES + 4..end).and_then(<[u8]>::split_first);
        let reply = match section {
            Some((0, body)) if flags & REQUIRED_FLAGS & !CHECKSUM_PRESENT == 0 => body.to_vec(),
            _ => return Err(out_of_step()),
        };
        self.input.drain(..length);
        if self.input.is_empty() { Ok(reply) } else { Err(out_of_step()) }
    }

    fn int_at(&self, at: usize) -> i32 {
        let bytes = self.input.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        i32::from_le_bytes(bytes.unwrap_or_default())
    }

    async fn fill(&mut self, count: usize) -> Result<(), Failure> {
        let mut chunk = [0; CHUNK_BYTES];
        while self.input.len() < count {
            match self.stream.read(&mut chunk).await.map_err(|error| lost(&error))? {
                0 => return Err(Failure::Lost("the server closed the connection".to_owned())),
                read => self.input.extend_from_slice(chunk.get(..read).unwrap_or_default()),
            }
        }
        Ok(())
    }
}

struct SaslReply {
    payload: Vec<u8>,
    conversation: i32,
    is_done: bool,
}

fn next(conversation: i32, payload: &[u8]) -> Writer {
    let mut writer = Writer::new();
    writer.int32("saslContinue", 1);
    writer.int32("conversationId", conversation);
    writer.binary("payload", payload);
    writer
}

/// Who asks, for the server's log.
fn client(application: &str) -> Vec<u8> {
    let mut client = Writer::new();
    if !application.is_empty() {
        let mut name = Writer::new();
        name.text("name", application);
        client.document("application", &name.finish());
    }
    let mut driver = Writer::new();
    driver.text("name", "posthaste");
    driver.text("version", env!("CARGO_PKG_VERSION"));
    client.document("driver", &driver.finish());
    let mut system = Writer::new();
    system.text("type", "Linux");
    client.document("os", &system.finish());
    client.finish()
}

fn lost(error: &std::io::Error) -> Failure {
    Failure::Lost(tables::errno_text(error))
}

/// The document of a reply.
pub(super) fn document(reply: &[u8]) -> Result<Document<'_>, Failure> {
    Document::split(reply).map(|(document, _)| document).map_err(|_| out_of_step())
}
