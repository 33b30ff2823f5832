//! The envelope that the SMTP server writes, and the Received: headers.

use crate::Cleanup;
use bstr::{BStr, BString, ByteSlice};
use message::{LocalZone, QuoteOptions, mail_date, quote_822_local};
use queue_format::RecordType;
use std::borrow::Cow;
use types::{Address, BodyEncoding, DsnReturn, QueueId, VerpDelimiters, WallTime};

/// The client of an SMTP transaction, as far as the queue file remembers it.
#[derive(Clone, Copy, Debug)]
pub struct SmtpClient<'a> {
    /// Verified host name, or `unknown`.
    pub name: &'a str,
    /// Name by its address, not verified, or `unknown`.
    pub reverse_name: &'a str,
    /// Address: `192.0.2.1`, `2001:db8::1`.
    pub address: &'a str,
    /// Port, or `unknown`.
    pub port: &'a str,
    /// `name[address]`, as log lines have it.
    pub origin: &'a str,
    /// Our address and port that it connected to.
    pub server_address: &'a str,
    /// See above.
    pub server_port: &'a str,
    /// HELO or EHLO argument.
    pub helo: Option<&'a BStr>,
    /// `SMTP` or `ESMTP`.
    pub protocol: &'a str,
    /// Header addresses are completed with our domain (`local_header_rewrite_clients`).
    pub is_local_rewrite: bool,
    /// BODY parameter.
    pub encoding: BodyEncoding,
    /// RET parameter.
    pub dsn_return: DsnReturn,
    /// ENVID parameter, decoded.
    pub dsn_envid: Option<&'a BStr>,
    /// XVERP parameter.
    pub verp: Option<VerpDelimiters>,
    /// The client has logged in: how, and as whom.
    pub login: Option<(&'a str, &'a str)>,
    /// AUTH parameter of MAIL, in xtext.
    pub sasl_sender: Option<&'a BStr>,
    /// Whom the client says that it forwards for.
    pub forwarded: Option<ForwardedClient<'a>>,
    /// The id that the message has where the client has it from; this one's otherwise.
    pub ident: Option<&'a BStr>,
}

/// The client of a client, for logs and for content filters.
#[derive(Clone, Copy, Debug)]
pub struct ForwardedClient<'a> {
    /// Host name, or `unknown`.
    pub name: &'a str,
    /// Address as it stands in headers, or `unknown`.
    pub address: &'a str,
    /// Port, or `unknown`.
    pub port: &'a str,
    /// `name[address]`
    pub origin: &'a str,
    /// HELO or EHLO argument.
    pub helo: Option<&'a BStr>,
    /// What is spoken there, or `unknown`.
    pub protocol: &'a str,
}

/// Room that most Received: headers need no more than.
const HEADER_BYTES_USUAL: usize = 256;

/// Who takes mail from an SMTP client.
#[derive(Clone, Copy, Debug)]
pub struct SmtpServer<'a> {
    /// postconf(5) `myhostname`
    pub myhostname: &'a str,
    /// postconf(5) `mail_name`
    pub mail_name: &'a str,
    /// postconf(5) `smtpd_hide_client_session`
    pub smtpd_hide_client_session: bool,
}

impl SmtpServer<'_> {
    /// The Received: header of a message that came at a time, its lines separated by LF. `sole_recipient` (internal
    /// form, as the client said it) is named when there is only one.
    #[must_use]
    pub fn received(
        &self,
        client: &SmtpClient<'_>,
        id: QueueId,
        sole_recipient: Option<&Address>,
        (arrival, zone): (WallTime, &LocalZone),
    ) -> Vec<u8> {
        let mut header = Vec::with_capacity(HEADER_BYTES_USUAL);
        let mut add = |parts: &[&[u8]]| parts.iter().for_each(|part| header.extend_from_slice(part));
        add(&[b"Received: "]);
        if !self.smtpd_hide_client_session {
            let helo = client.helo.unwrap_or(client.name.into());
            let (name, address) = (client.name.as_bytes(), client.rfc_address());
            add(&[b"from ", helo, b" (", name, b" [", address.as_bytes(), b"])\n\t"]);
        }
        add(&[b"by ", self.myhostname.as_bytes(), b" (", self.mail_name.as_bytes(), b")"]);
        if !self.smtpd_hide_client_session {
            add(&[b" with ", client.protocol.as_bytes()]);
        }
        add(&[b" id ", id.as_str().as_bytes()]);
        match sole_recipient {
            Some(recipient) => {
                let quoted = quote_822_local(recipient.as_bytes(), QuoteOptions::default());
                add(&[b"\n\tfor <", &quoted, b">; "]);
            }
            None => add(&[b";\n\t"]),
        }
        add(&[mail_date(arrival, zone).as_bytes()]);
        match clean(&header) {
            Cow::Borrowed(_) => header,
            Cow::Owned(cleaned) => cleaned,
        }
    }
}

/// What a client says of itself must not break the header.
fn clean(header: &[u8]) -> Cow<'_, [u8]> {
    match header.find_byteset(b"\r\0") {
        Some(_) => Cow::Owned(header.replace("\r", " ").replace("\0", " ")),
        None => Cow::Borrowed(header),
    }
}

impl SmtpClient<'_> {
    fn is_ipv6(&self) -> bool {
        self.address.contains(':')
    }

    /// The address as it stands in headers (RFC 5321 section 4.1.3).
    fn rfc_address(&self) -> String {
        if self.is_ipv6() { format!("IPv6:{}", self.address) } else { self.address.to_owned() }
    }
}

/// The numbers of the address families, as Linux and so every queue file on Linux has them.
const AF_INET: &[u8] = b"2";
const AF_INET6: &[u8] = b"10";

impl Cleanup {
    /// The beginning of a message from an SMTP client, up to its sender.
    pub async fn open_smtp(&mut self, client: &SmtpClient<'_>, sender: &Address) {
        self.arrival(self.start.arrival);
        let content_filter = self.start.client.content_filter.clone();
        if !content_filter.is_empty() {
            self.out.record(RecordType::FILTER, content_filter.as_bytes());
        }
        let own_id = self.start.id.as_str().to_owned();
        self.attribute("log_ident", client.ident.map_or(own_id.as_bytes(), |ident| ident.as_bytes()));
        let context: &[u8] = if client.is_local_rewrite { b"local" } else { b"remote" };
        self.attribute("rewrite_context", context);
        if let Some((method, username)) = client.login {
            self.attribute("sasl_method", method.as_bytes());
            self.attribute("sasl_username", username.as_bytes());
        }
        if let Some(sender) = client.sasl_sender {
            self.attribute("sasl_sender", sender);
        }
        if let Some(envid) = client.dsn_envid {
            self.attribute("envelope_id", envid);
        }
        match client.dsn_return {
            DsnReturn::Unset => {}
            DsnReturn::Full => self.attribute("ret_flags", b"1"),
            DsnReturn::Headers => self.attribute("ret_flags", b"2"),
        }
        self.sender(sender.as_bytes()).await;
        match client.encoding {
            BodyEncoding::Unknown => {}
            BodyEncoding::SevenBit => self.attribute("encoding", b"7bit"),
            BodyEncoding::EightBit => self.attribute("encoding", b"8bit"),
        }
        let address = client.rfc_address();
        self.origin(&client.forwarded.unwrap_or(ForwardedClient {
            name: client.name,
            address: &address,
            port: client.port,
            origin: client.origin,
            helo: client.helo,
            protocol: client.protocol,
        }));
        self.attribute("client_name", client.name.as_bytes());
        self.attribute("reverse_client_name", client.reverse_name.as_bytes());
        self.attribute("client_address", client.address.as_bytes());
        self.attribute("client_port", client.port.as_bytes());
        self.attribute("server_address", client.server_address.as_bytes());
        self.attribute("server_port", client.server_port.as_bytes());
        if let Some(helo) = client.helo {
            self.attribute("helo_name", helo);
        }
        self.attribute("protocol_name", client.protocol.as_bytes());
        self.attribute("client_address_type", if client.is_ipv6() { AF_INET6 } else { AF_INET });
        if let Some(delimiters) = client.verp {
            self.verp(delimiters.as_bytes());
        }
    }

    /// Where the message comes from, as logs and content filters are told.
    fn origin(&mut self, client: &ForwardedClient<'_>) {
        self.attribute("log_client_name", client.name.as_bytes());
        self.attribute("log_client_address", client.address.as_bytes());
        self.attribute("log_client_port", client.port.as_bytes());
        self.attribute("log_message_origin", client.origin.as_bytes());
        if let Some(helo) = client.helo {
            self.attribute("log_helo_name", helo);
        }
        self.attribute("log_protocol_name", client.protocol.as_bytes());
    }

    /// The envelope of a message from an SMTP client is complete: writes the Received: header. `sole_recipient`
    /// (internal form, as the client said it) is named when there is only one.
    ///
    /// Headers that access tables want (access(5) PREPEND) stand above it and are handled as the message's own.
    pub async fn begin_smtp_content(
        &mut self,
        client: &SmtpClient<'_>,
        sole_recipient: Option<&Address>,
        prepend: &[BString],
    ) {
        self.begin_content();
        let s = &self.start.client;
        let server = SmtpServer {
            myhostname: &s.myhostname,
            mail_name: &s.mail_name,
            smtpd_hide_client_session: s.smtpd_hide_client_session,
        };
        let protocol = if self.start.is_smtputf8 { "UTF8SMTP" } else { client.protocol };
        let client = SmtpClient { protocol, ..*client };
        let at = (self.start.arrival, &self.start.zone);
        let header = server.received(&client, self.start.id, sole_recipient, at);
        if prepend.is_empty() {
            return self.received_header(&header);
        }
        // None of it came from the client.
        let received_bytes = self.content.received_bytes;
        for line in prepend.iter().map(|header| &header[..]).chain(header.split(|byte| *byte == b'\n')) {
            self.piece(line, true).await;
        }
        self.content.received_bytes = received_bytes;
    }

    /// The envelope of a locally submitted message is complete: writes the Received: header. `submitted` is the time
    /// of the maildrop file.
    pub fn begin_pickup_content(&mut self, uid: u32, submitted: WallTime) {
        self.begin_content();
        let s = &self.start.client;
        let date = mail_date(submitted, &self.start.zone);
        let id = self.start.id;
        let header =
            format!("Received: by {} ({}, from userid {uid})\n\tid {id}; {date}", s.myhostname, s.mail_name);
        self.received_header(header.as_bytes());
    }

    /// The envelope of a message of our own is complete: writes the Received: header that forwarding
    /// and notifications have.
    pub fn begin_internal_content(&mut self) {
        self.begin_content();
        let s = &self.start.client;
        let date = mail_date(self.start.arrival, &self.start.zone);
        let id = self.start.id;
        let header = format!("Received: by {} ({})\n\tid {id}; {date}", s.myhostname, s.mail_name);
        self.received_header(header.as_bytes());
    }

    pub(crate) fn received_header(&mut self, header: &[u8]) {
        self.content.hops += 1;
        self.content.headers_seen |= message::HeaderKind::Received.bit();
        if self.is_output_wanted() {
            self.out_header(&clean(header));
        }
    }
}
