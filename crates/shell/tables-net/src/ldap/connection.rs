//! A conversation with a directory server (RFC 4511): bind, then searches.

use super::{filter, settings::Settings};
use crate::security::Security;
use bytes::BytesMut;
use ldap3_proto::{
    LdapCodec,
    proto::{
        LdapBindCred, LdapBindRequest, LdapExtendedRequest, LdapMsg, LdapOp, LdapResult, LdapResultCode,
        LdapSearchRequest, LdapSearchResultEntry, LdapSearchScope,
    },
};
use tls::Secured;
use tokio_util::codec::{Decoder as _, Encoder as _};
use types::WallTime;
use world::Stream;

/// The longest message of a server, in bytes: an entry with all its wanted values.
const MESSAGE_MAX: usize = 4 << 20;

/// The most entries of one search, where `size_limit` does not say less.
const ENTRIES_MAX: usize = 100_000;

const CHUNK_BYTES: usize = 4096;

/// Who binds.
#[derive(Clone, Debug)]
pub(super) struct Bind {
    /// Empty for nobody in particular.
    pub(super) dn: String,
    /// How that is proved.
    pub(super) cred: LdapBindCred,
}

/// A search as an administrator, or an entry, asks for it.
#[derive(Clone, Debug)]
pub(super) struct Search {
    pub(super) base: String,
    pub(super) scope: LdapSearchScope,
    pub(super) filter: String,
    pub(super) attributes: Vec<String>,
}

/// Why a search gave nothing.
#[derive(Debug)]
pub(super) enum Failure {
    /// The connection is of no use any more.
    Lost(String),
    /// The server says so: its code, and code and text for the log.
    Result(LdapResultCode, String),
}

/// How to reach the server that the other end of a stream is.
#[derive(Clone, Copy)]
pub(super) struct Way<'a> {
    /// TLS, if there is to be any, from the start or after a request.
    pub(super) security: Option<&'a Security>,
    pub(super) is_tls: bool,
    /// Who it has to be.
    pub(super) host: &'a str,
    pub(super) now: WallTime,
    pub(super) bind: Option<&'a Bind>,
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum Unready {
    /// `start_tls` did not lead to TLS.
    NoTls(String),
    /// Anything else.
    NotBound(String),
}

impl From<String> for Unready {
    fn from(why: String) -> Self {
        Self::NotBound(why)
    }
}

/// RFC 4511 section 4.14.1
const START_TLS: &str = "1.3.6.1.4.1.1466.20037";

/// A connection after bind.
pub(super) struct Connection<S> {
    stream: Secured<S>,
    input: BytesMut,
    codec: LdapCodec,
    last_id: i32,
}

impl<S: Stream> Connection<S> {
    /// Begins TLS, and binds, if somebody is to.
    pub(super) async fn open(stream: S, way: Way<'_>) -> Result<Self, Unready> {
        let mut connection = match way.security {
            Some(security) if way.is_tls => {
                let secured = security.secure(stream, way.host, way.now).await;
                Self::new(Secured::Tls(Box::new(secured.map_err(|why| format!("TLS: {why}"))?.0)))
            }
            Some(security) => {
                let connection = Self::new(Secured::Clear(stream));
                connection.start_tls(security, way).await.map_err(Unready::NoTls)?
            }
            None => Self::new(Secured::Clear(stream)),
        };
        if let Some(bind) = way.bind {
            connection.bind(bind).await?;
        }
        Ok(connection)
    }

    fn new(stream: Secured<S>) -> Self {
        Self { stream, input: BytesMut::new(), codec: LdapCodec::new(Some(MESSAGE_MAX), None), last_id: 0 }
    }

    async fn start_tls(mut self, security: &Security, way: Way<'_>) -> Result<Self, String> {
        let request = LdapExtendedRequest { name: START_TLS.to_owned(), value: None };
        self.send(LdapOp::ExtendedRequest(request)).await?;
        match self.receive().await? {
            LdapOp::ExtendedResponse(response) if response.res.code == LdapResultCode::Success => {}
            LdapOp::ExtendedResponse(response) => return Err(reason(response.res)),
            _ => return Err(OUT_OF_STEP.to_owned()),
        }
        if !self.input.is_empty() {
            return Err("the server has said something in clear text behind its answer".to_owned());
        }
        let Secured::Clear(stream) = self.stream else { return Err(OUT_OF_STEP.to_owned()) };
        let (stream, _) = security.secure(stream, way.host, way.now).await?;
        Ok(Self { last_id: self.last_id, ..Self::new(Secured::Tls(Box::new(stream))) })
    }

    async fn bind(&mut self, bind: &Bind) -> Result<(), String> {
        // With SASL, who binds is said by the mechanism.
        let is_sasl = matches!(bind.cred, LdapBindCred::SASL(_));
        let dn = if is_sasl { String::new() } else { bind.dn.clone() };
        let request = LdapBindRequest { version: 3, dn, cred: bind.cred.clone() };
        self.send(LdapOp::BindRequest(request)).await?;
        match self.receive().await? {
            LdapOp::BindResponse(response) if response.res.code == LdapResultCode::Success => Ok(()),
            LdapOp::BindResponse(response) => Err(reason(response.res)),
            _ => Err(OUT_OF_STEP.to_owned()),
        }
    }

    /// All entries that a search finds.
    pub(super) async fn search(
        &mut self,
        search: &Search,
        settings: &Settings,
    ) -> Result<Vec<LdapSearchResultEntry>, Failure> {
        let bad = || {
            let why = format!("-7 (Bad search filter {})", search.filter);
            Failure::Result(LdapResultCode::ProtocolError, why)
        };
        let request = LdapSearchRequest {
            base: search.base.clone(),
            scope: search.scope.clone(),
            aliases: settings.dereference.clone(),
            sizelimit: i32::try_from(settings.size_limit).unwrap_or(i32::MAX),
            timelimit: i32::try_from(settings.timeout.as_secs()).unwrap_or(i32::MAX),
            typesonly: false,
            filter: filter::parse(&search.filter).ok_or_else(bad)?,
            attrs: search.attributes.clone(),
        };
        self.send(LdapOp::SearchRequest(request)).await.map_err(Failure::Lost)?;
        let mut entries = Vec::new();
        loop {
            match self.receive().await.map_err(Failure::Lost)? {
                LdapOp::SearchResultEntry(entry) if entries.len() < ENTRIES_MAX => entries.push(entry),
                LdapOp::SearchResultEntry(_) => return Err(Failure::Lost("too many entries".to_owned())),
                // Other servers are not asked (chase_referrals).
                LdapOp::SearchResultReference(_) | LdapOp::IntermediateResponse(_) => {}
                LdapOp::SearchResultDone(result) if result.code == LdapResultCode::Success => {
                    return Ok(entries);
                }
                LdapOp::SearchResultDone(result) => {
                    return Err(Failure::Result(result.code.clone(), reason(result)));
                }
                _ => return Err(Failure::Lost(OUT_OF_STEP.to_owned())),
            }
        }
    }

    async fn send(&mut self, op: LdapOp) -> Result<(), String> {
        self.last_id = self.last_id.wrapping_add(1).max(1);
        let mut out = BytesMut::new();
        self.codec.encode(LdapMsg::new(self.last_id, op), &mut out).map_err(|error| error.to_string())?;
        self.stream.write_all(&out).await.map_err(|error| tables::errno_text(&error))
    }

    async fn receive(&mut self) -> Result<LdapOp, String> {
        loop {
            // Nothing can be read from nothing, and the parser is not asked.
            let decoded = if self.input.is_empty() { Ok(None) } else { self.codec.decode(&mut self.input) };
            match decoded.map_err(|error| error.to_string())? {
                Some(message) if message.msgid == self.last_id => return Ok(message.op),
                // Message 0 is a notice of disconnection; others are of no request of ours.
                Some(_) => return Err("the server disconnects".to_owned()),
                None => self.more().await?,
            }
        }
    }

    async fn more(&mut self) -> Result<(), String> {
        let mut chunk = [0; CHUNK_BYTES];
        let count = self.stream.read(&mut chunk).await.map_err(|error| tables::errno_text(&error))?;
        if count == 0 {
            return Err("Can't contact LDAP server".to_owned());
        }
        self.input.extend_from_slice(chunk.get(..count).unwrap_or_default());
        Ok(())
    }
}

const OUT_OF_STEP: &str = "the server's answer does not fit the protocol";

/// `49 (Invalid credentials)`, with the server's own words where it has some.
fn reason(result: LdapResult) -> String {
    let words = match result.code {
        LdapResultCode::SizeLimitExceeded => "Size limit exceeded",
        LdapResultCode::TimeLimitExceeded => "Time limit exceeded",
        LdapResultCode::NoSuchObject => "No such object",
        LdapResultCode::InvalidDNSyntax => "Invalid DN syntax",
        LdapResultCode::InvalidCredentials => "Invalid credentials",
        LdapResultCode::InsufficentAccessRights => "Insufficient access",
        LdapResultCode::Busy => "Server is busy",
        LdapResultCode::Unavailable => "Server is unavailable",
        LdapResultCode::UnwillingToPerform => "Server is unwilling to perform",
        _ => "",
    };
    let said = maillog::printable(result.message.as_bytes());
    let colon = if words.is_empty() || said.is_empty() { "" } else { ": " };
    format!("{} ({words}{colon}{said})", result.code as i64)
}
