//! A conversation with a PostgreSQL server: login, then queries (PostgreSQL documentation, "Frontend/Backend Protocol").

use super::{
    channel,
    target::Target,
    transport::{ChannelUse, Line},
};
use crate::{query::too_long, sql::Row};
use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::{
    authentication::{
        md5_hash,
        sasl::{ChannelBinding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256},
    },
    message::{
        backend::{DataRowBody, ErrorResponseBody, Header, Message},
        frontend,
    },
};
use std::io;
use tls::Secured;
use world::Stream;

const CHUNK_BYTES: usize = 4096;

/// A connection after login.
pub(super) struct Connection<S> {
    stream: Secured<S>,
    input: BytesMut,
    /// `standard_conforming_strings` is off: a backslash in quotes means something.
    backslash_escapes: bool,
    /// `lookup_reply_size_limit`
    reply_max: usize,
}

/// Why nobody is logged in.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) why: String,
    /// The server said so before it was told a password: another line to it may do.
    pub(super) is_by_line: bool,
}

impl From<String> for Refused {
    fn from(why: String) -> Self {
        Self { why, is_by_line: false }
    }
}

impl From<&str> for Refused {
    fn from(why: &str) -> Self {
        why.to_owned().into()
    }
}

impl<S: Stream> Connection<S> {
    /// Logs in as `target` says.
    pub(super) async fn log_in(
        line: Line<S>,
        target: &Target,
        encoding: &str,
        reply_max: usize,
    ) -> Result<Self, Refused> {
        let Line { stream, end_point } = line;
        let mut connection = Self { stream, input: BytesMut::new(), backslash_escapes: false, reply_max };
        let login = &target.login;
        let user = if login.user.is_empty() { system_user()? } else { login.user.clone() };
        let database = if login.database.is_empty() { &user } else { &login.database };
        let first = [("user", user.as_str()), ("database", database), ("client_encoding", encoding)];
        let more = target.session.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        connection.send(|out| frontend::startup_message(first.into_iter().chain(more), out)).await?;
        let (mut is_proved, needs_binding) = (false, target.transport.channel == ChannelUse::Require);
        let needed =
            "channel binding is required, but the server does not log in so; use channel_binding=prefer";
        loop {
            let message = connection.message().await?;
            let is_login = matches!(
                message,
                Message::AuthenticationOk
                    | Message::AuthenticationCleartextPassword
                    | Message::AuthenticationMd5Password(_)
            );
            if is_login && needs_binding && !is_proved {
                return Err(needed.into());
            }
            match message {
                Message::AuthenticationOk | Message::BackendKeyData(_) | Message::NoticeResponse(_) => {}
                Message::AuthenticationCleartextPassword => {
                    is_proved = true;
                    connection.send(|out| frontend::password_message(login.password.as_bytes(), out)).await?;
                }
                Message::AuthenticationMd5Password(body) => {
                    is_proved = true;
                    let hash = md5_hash(user.as_bytes(), login.password.as_bytes(), body.salt());
                    connection.send(|out| frontend::password_message(hash.as_bytes(), out)).await?;
                }
                Message::AuthenticationSasl(body) => {
                    is_proved = true;
                    let (mut offered, mut known) = (body.mechanisms(), [false; 2]);
                    while let Some(mechanism) = offered.next().map_err(|error| error.to_string())? {
                        known[0] |= mechanism == SCRAM_SHA_256;
                        known[1] |= mechanism == SCRAM_SHA_256_PLUS;
                    }
                    let binding = channel::choose(known, end_point.as_deref(), target.transport.channel)?;
                    connection.scram(&login.password, binding).await?;
                }
                Message::ParameterStatus(status) => {
                    let is_off = status.value().is_ok_and(|value| value == "off");
                    if status.name().is_ok_and(|name| name == "standard_conforming_strings") {
                        connection.backslash_escapes = is_off;
                    }
                }
                Message::ReadyForQuery(_) => return Ok(connection),
                Message::ErrorResponse(body) => {
                    return Err(Refused { why: reason(&body), is_by_line: !is_proved });
                }
                _ => return Err("the server asks for a login that is not known here".into()),
            }
        }
    }

    /// SCRAM-SHA-256 (RFC 7677).
    async fn scram(
        &mut self,
        password: &str,
        (mechanism, binding): (&str, ChannelBinding),
    ) -> Result<(), String> {
        let text = |error: io::Error| error.to_string();
        let mut scram = ScramSha256::new(password.as_bytes(), binding);
        self.send(|out| frontend::sasl_initial_response(mechanism, scram.message(), out)).await?;
        match self.message().await? {
            Message::AuthenticationSaslContinue(body) => scram.update(body.data()).map_err(text)?,
            Message::ErrorResponse(body) => return Err(reason(&body)),
            _ => return Err(OUT_OF_STEP.to_owned()),
        }
        self.send(|out| frontend::sasl_response(scram.message(), out)).await?;
        match self.message().await? {
            Message::AuthenticationSaslFinal(body) => scram.finish(body.data()).map_err(text),
            Message::ErrorResponse(body) => Err(reason(&body)),
            _ => Err(OUT_OF_STEP.to_owned()),
        }
    }

    pub(super) fn backslash_escapes(&self) -> bool {
        self.backslash_escapes
    }

    /// All rows of a query, up to the server's readiness for the next.
    pub(super) async fn query(&mut self, query: &[u8]) -> Result<Vec<Row>, String> {
        let query = str::from_utf8(query).map_err(|_| "the query is not UTF-8".to_owned())?;
        self.send(|out| frontend::query(query, out)).await?;
        let (mut rows, mut size, mut failed) = (Vec::new(), 0_usize, None);
        loop {
            match self.message().await? {
                Message::DataRow(body) => {
                    size = size.saturating_add(body.buffer().len());
                    if size > self.reply_max {
                        return Err(too_long(self.reply_max));
                    }
                    rows.push(row(&body)?);
                }
                Message::ErrorResponse(body) => failed = Some(reason(&body)),
                Message::ReadyForQuery(_) => return failed.map_or(Ok(rows), Err),
                Message::ParameterStatus(status) => {
                    if status.name().is_ok_and(|name| name == "standard_conforming_strings") {
                        self.backslash_escapes = status.value().is_ok_and(|value| value == "off");
                    }
                }
                Message::RowDescription(_)
                | Message::CommandComplete(_)
                | Message::EmptyQueryResponse
                | Message::NoticeResponse(_)
                | Message::NotificationResponse(_) => {}
                _ => return Err(OUT_OF_STEP.to_owned()),
            }
        }
    }

    async fn send(&mut self, write: impl FnOnce(&mut BytesMut) -> io::Result<()>) -> Result<(), String> {
        let mut out = BytesMut::new();
        write(&mut out).map_err(|error| error.to_string())?;
        self.stream.write_all(&out).await.map_err(|error| tables::errno_text(&error))
    }

    async fn message(&mut self) -> Result<Message, String> {
        loop {
            let header = Header::parse(&self.input).map_err(|error| error.to_string())?;
            // Before the parser makes room for whatever the server announces.
            let max = self.reply_max;
            if header.is_some_and(|header| usize::try_from(header.len()).map_or(true, |len| len > max)) {
                return Err(too_long(max));
            }
            match Message::parse(&mut self.input) {
                Ok(Some(message)) => return Ok(message),
                Ok(None) => self.more().await?,
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    async fn more(&mut self) -> Result<(), String> {
        let mut chunk = [0; CHUNK_BYTES];
        let count = self.stream.read(&mut chunk).await.map_err(|error| tables::errno_text(&error))?;
        if count == 0 {
            return Err("server closed the connection unexpectedly".to_owned());
        }
        self.input.extend_from_slice(chunk.get(..count).unwrap_or_default());
        Ok(())
    }
}

const OUT_OF_STEP: &str = "the server's answer does not fit the protocol";

/// libpq logs in under the system's name of the user whose process it is.
fn system_user() -> Result<String, String> {
    tables::process_user().ok_or_else(|| "no user is set; add a user setting to the table's file".to_owned())
}

fn row(body: &DataRowBody) -> Result<Row, String> {
    let mut columns = Vec::new();
    let mut ranges = body.ranges();
    while let Some(range) = ranges.next().map_err(|error| error.to_string())? {
        columns.push(range.and_then(|range| body.buffer().get(range)).map(<[u8]>::to_vec));
    }
    Ok(columns)
}

/// `ERROR:  relation "x" does not exist`, as libpq shows it.
fn reason(body: &ErrorResponseBody) -> String {
    let (mut severity, mut text) = (String::new(), String::new());
    let mut fields = body.fields();
    while let Ok(Some(field)) = fields.next() {
        let value = maillog::printable(field.value_bytes());
        match field.type_() {
            b'S' => severity = value,
            b'M' => text = value,
            _ => {}
        }
    }
    format!("{severity}:  {text}")
}
