//! A conversation with a MySQL or MariaDB server: login, then text queries.

use super::packet::{Fields, OUT_OF_STEP, Packets};
use crate::{query::too_long, security::Security, sql::Row};
use mysql_common::{
    auth::plugins::{AuthProc, ChallengeResponsePlugin, Context, Response},
    packets::AuthPlugin,
};
use tls::Secured;
use types::WallTime;
use world::Stream;

/// Capabilities (MySQL Internals, "Capability Flags").
mod capability {
    pub(super) const LONG_PASSWORD: u32 = 1;
    pub(super) const LONG_FLAG: u32 = 1 << 2;
    pub(super) const CONNECT_WITH_DB: u32 = 1 << 3;
    pub(super) const PROTOCOL_41: u32 = 1 << 9;
    pub(super) const SSL: u32 = 1 << 11;
    pub(super) const TRANSACTIONS: u32 = 1 << 13;
    pub(super) const SECURE_CONNECTION: u32 = 1 << 15;
    pub(super) const MULTI_RESULTS: u32 = 1 << 17;
    pub(super) const PLUGIN_AUTH: u32 = 1 << 19;
}

/// What this client can.
const CAPABILITIES: u32 = capability::LONG_PASSWORD
    | capability::LONG_FLAG
    | capability::CONNECT_WITH_DB
    | capability::PROTOCOL_41
    | capability::TRANSACTIONS
    | capability::SECURE_CONNECTION
    | capability::MULTI_RESULTS
    | capability::PLUGIN_AUTH;

/// The collation `utf8mb4_general_ci`, until `SET NAMES` says otherwise.
const COLLATION: u8 = 45;

/// The longest packet that this client takes, as it is announced.
const PACKET_MAX: u32 = 0x0100_0000;

const STATUS_MORE_RESULTS: u16 = 0x0008;
const STATUS_NO_BACKSLASH_ESCAPES: u16 = 0x0200;

/// Who logs in to what.
#[derive(Clone, Debug)]
pub(super) struct Login {
    pub(super) user: String,
    pub(super) password: String,
    pub(super) database: String,
    /// The character set of queries and results.
    pub(super) charset: String,
}

/// How to reach the server that the other end of a stream is.
#[derive(Clone, Copy)]
pub(super) struct Way<'a> {
    /// Who it has to be.
    pub(super) host: &'a str,
    pub(super) is_socket: bool,
    /// TLS, if there is to be any.
    pub(super) security: Option<&'a Security>,
    /// Without TLS the server is not to be used.
    pub(super) demands_tls: bool,
    pub(super) now: WallTime,
}

/// A connection after login.
pub(super) struct Connection<S> {
    packets: Packets<Secured<S>>,
    status: u16,
}

/// The server's greeting.
struct Greeting {
    capabilities: u32,
    scramble: Vec<u8>,
    plugin: Vec<u8>,
    status: u16,
}

/// What a login procedure may ask about.
struct LoginContext<'a> {
    login: &'a Login,
    scramble: &'a [u8],
    is_socket: bool,
    is_tls: bool,
}

impl Context for LoginContext<'_> {
    fn pass(&self) -> &[u8] {
        self.login.password.as_bytes()
    }
    fn is_ipc_transport(&self) -> bool {
        self.is_socket
    }
    fn is_tls_transport(&self) -> bool {
        self.is_tls
    }
    fn scramble(&self) -> &[u8] {
        self.scramble
    }
    fn server_key_pem(&self) -> Option<&[u8]> {
        None
    }
}

impl<S: Stream> Connection<S> {
    /// Logs in.
    pub(super) async fn log_in(
        stream: S,
        login: &Login,
        way: Way<'_>,
        reply_max: usize,
    ) -> Result<Self, String> {
        let mut packets = Packets::new(stream, reply_max);
        let first = packets.receive().await?;
        if first.first() == Some(&0xff) {
            return Err(reason(&first));
        }
        let greeting = greeting(&first).ok_or_else(|| OUT_OF_STEP.to_owned())?;
        let status = greeting.status;
        let has_tls = greeting.capabilities & capability::SSL != 0;
        let (mut packets, capabilities) = match way.security.filter(|_| has_tls) {
            Some(security) => {
                packets.send(&opening(CAPABILITIES | capability::SSL)).await?;
                (packets.secure(security, way.host, way.now).await?, CAPABILITIES | capability::SSL)
            }
            None if way.demands_tls => {
                return Err("TLS/SSL error: SSL is required, but the server does not support it".to_owned());
            }
            None => (packets.in_clear(), CAPABILITIES),
        };
        let trial =
            Trial { login, is_socket: way.is_socket, is_tls: capabilities != CAPABILITIES, capabilities };
        trial.authenticate(&mut packets, greeting).await?;
        let mut connection = Self { packets, status };
        let name = connection.quote(login.charset.as_bytes());
        let names = [b"SET NAMES '", name.as_slice(), b"'"].concat();
        let failed = |why| format!("mysql_set_character_set '{}' failed: {why}", login.charset);
        connection.query(&names).await.map_err(failed)?;
        Ok(connection)
    }

    /// Text for between single quotes, as mysql_real_escape_string(3) makes it.
    pub(super) fn quote(&self, piece: &[u8]) -> Vec<u8> {
        let mut quoted = Vec::with_capacity(piece.len());
        let doubles_only = self.status & STATUS_NO_BACKSLASH_ESCAPES != 0;
        for &byte in piece {
            match byte {
                b'\'' if doubles_only => quoted.extend(b"''"),
                _ if doubles_only => quoted.push(byte),
                b'\n' => quoted.extend(b"\\n"),
                b'\r' => quoted.extend(b"\\r"),
                0x1a => quoted.extend(b"\\Z"),
                b'\'' | b'"' | b'\\' => quoted.extend([b'\\', byte]),
                _ => quoted.push(byte),
            }
        }
        quoted
    }

    /// All rows of a query; `None` when it has no result set.
    pub(super) async fn query(&mut self, query: &[u8]) -> Result<Option<Vec<Row>>, String> {
        const COM_QUERY: u8 = 3;
        self.packets.restart();
        self.packets.send(&[&[COM_QUERY], query].concat()).await?;
        let mut first: Option<Vec<Row>> = None;
        loop {
            let (rows, status) = self.result().await?;
            self.status = status;
            if rows.is_some() && first.is_some() {
                return Err("multiple result sets returning data are not supported".to_owned());
            }
            first = first.or(rows);
            if status & STATUS_MORE_RESULTS == 0 {
                return Ok(first);
            }
        }
    }

    /// One result and the server's status behind it.
    async fn result(&mut self) -> Result<(Option<Vec<Row>>, u16), String> {
        let packet = self.packets.receive().await?;
        let columns = match packet.first() {
            Some(0xff) => return Err(reason(&packet)),
            Some(0x00) => return Ok((None, ok_status(&packet).ok_or(OUT_OF_STEP)?)),
            Some(0xfb) => return Err("the server asks for a local file".to_owned()),
            _ => Fields(&packet).length().flatten().ok_or(OUT_OF_STEP)?,
        };
        for _ in 0..columns {
            self.packets.receive().await?;
        }
        end_of_file(&self.packets.receive().await?).ok_or(OUT_OF_STEP)?;
        let (mut rows, mut size) = (Vec::new(), 0_usize);
        loop {
            let packet = self.packets.receive().await?;
            if let Some(status) = end_of_file(&packet) {
                return Ok((Some(rows), status));
            }
            if packet.first() == Some(&0xff) {
                return Err(reason(&packet));
            }
            size = size.saturating_add(packet.len());
            if size > self.packets.reply_max {
                return Err(too_long(self.packets.reply_max));
            }
            rows.push(row(&packet, columns).ok_or(OUT_OF_STEP)?);
        }
    }
}

/// An attempt to log in.
struct Trial<'a> {
    login: &'a Login,
    is_socket: bool,
    is_tls: bool,
    capabilities: u32,
}

impl Trial<'_> {
    /// Runs the login procedure that the server names, and another one if it changes its mind.
    async fn authenticate<S: Stream>(
        &self,
        packets: &mut Packets<S>,
        greeting: Greeting,
    ) -> Result<(), String> {
        let Greeting { mut scramble, mut plugin, .. } = greeting;
        let mut procedure = init(&plugin).or_else(|_| {
            plugin = b"mysql_native_password".to_vec();
            init(&plugin)
        })?;
        let answer = self.run(&mut procedure, &scramble, &scramble)?;
        packets.send(&self.hello(&plugin, &answer.unwrap_or_default())).await?;
        loop {
            let packet = packets.receive().await?;
            let challenge = packet.get(1..).unwrap_or_default();
            let answer = match packet.first() {
                Some(0x00) => return Ok(()),
                Some(0xff) => return Err(reason(&packet)),
                Some(0xfe) => {
                    let mut fields = Fields(challenge);
                    procedure = init(fields.until_null().ok_or(OUT_OF_STEP)?)?;
                    scramble = fields.0.strip_suffix(&[0]).unwrap_or(fields.0).to_vec();
                    self.run(&mut procedure, &scramble, &scramble)?
                }
                Some(0x01) => self.run(&mut procedure, &scramble, challenge)?,
                _ => return Err(OUT_OF_STEP.to_owned()),
            };
            if let Some(answer) = answer {
                packets.send(&answer).await?;
            }
        }
    }

    fn run(
        &self,
        procedure: &mut AuthProc,
        scramble: &[u8],
        challenge: &[u8],
    ) -> Result<Option<Vec<u8>>, String> {
        let &Self { login, is_socket, is_tls, .. } = self;
        let context = LoginContext { login, scramble, is_socket, is_tls };
        match procedure.run(context, challenge).map_err(|error| error.to_string())? {
            Response::Next { packet } | Response::Last { packet } => Ok(packet),
        }
    }

    /// The client's first packet (HandshakeResponse41), or the second behind [`opening`].
    fn hello(&self, plugin: &[u8], answer: &[u8]) -> Vec<u8> {
        let mut packet = opening(self.capabilities);
        packet.extend(self.login.user.bytes());
        packet.push(0);
        // Answers of the procedures here are hashes of at most 32 bytes.
        packet.push(u8::try_from(answer.len()).unwrap_or(0));
        packet.extend_from_slice(answer.get(..255).unwrap_or(answer));
        packet.extend(self.login.database.bytes());
        packet.push(0);
        packet.extend_from_slice(plugin);
        packet.push(0);
        packet
    }
}

/// What the client's first packet begins with, and what asks for TLS alone (SSLRequest).
fn opening(capabilities: u32) -> Vec<u8> {
    let mut packet = Vec::new();
    packet.extend(capabilities.to_le_bytes());
    packet.extend(PACKET_MAX.to_le_bytes());
    packet.push(COLLATION);
    packet.extend([0; 23]);
    packet
}

fn init(plugin: &[u8]) -> Result<AuthProc, String> {
    let plugin = AuthPlugin::from_bytes(plugin);
    // A password in clear text is for nobody who asks.
    if matches!(plugin, AuthPlugin::MysqlClearPassword | AuthPlugin::MysqlOldPassword) {
        return Err(
            "the server wants the password in clear text or by the procedure of before 4.1".to_owned()
        );
    }
    plugin.init().map_err(|error| error.to_string())
}

fn greeting(packet: &[u8]) -> Option<Greeting> {
    let mut fields = Fields(packet);
    (fields.byte()? == 10).then_some(())?;
    fields.until_null()?;
    fields.bytes(4)?;
    let mut scramble = fields.bytes(8)?.to_vec();
    fields.bytes(1)?;
    let low = fields.u16()?;
    fields.bytes(1)?;
    let status = fields.u16()?;
    let high = fields.u16()?;
    let length = usize::from(fields.byte()?);
    fields.bytes(10)?;
    let rest = fields.bytes(length.saturating_sub(8).max(13))?;
    scramble.extend_from_slice(rest.strip_suffix(&[0]).unwrap_or(rest));
    let plugin = fields.0.strip_suffix(&[0]).unwrap_or(fields.0).to_vec();
    let capabilities = u32::from(high) << 16 | u32::from(low);
    Some(Greeting { capabilities, scramble, plugin, status })
}

/// The status behind a result set.
fn end_of_file(packet: &[u8]) -> Option<u16> {
    let mut fields = Fields(packet);
    (fields.byte()? == 0xfe && packet.len() < 9).then_some(())?;
    fields.u16()?;
    fields.u16()
}

fn ok_status(packet: &[u8]) -> Option<u16> {
    let mut fields = Fields(packet);
    fields.byte()?;
    fields.length()?;
    fields.length()?;
    fields.u16()
}

fn row(packet: &[u8], columns: usize) -> Option<Row> {
    let mut fields = Fields(packet);
    let mut row = Vec::new();
    for _ in 0..columns {
        row.push(fields.string()?.map(<[u8]>::to_vec));
    }
    Some(row)
}

/// The text of an error packet.
fn reason(packet: &[u8]) -> String {
    let text = packet.get(3..).unwrap_or_default();
    // `#` and five characters of SQL state.
    let text = if text.first() == Some(&b'#') { text.get(6..).unwrap_or_default() } else { text };
    maillog::printable(text)
}
