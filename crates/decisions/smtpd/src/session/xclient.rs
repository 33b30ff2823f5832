//! XCLIENT: a trusted client says whom it speaks for, and the session begins anew with that client (XCLIENT_README).

use super::{
    Session, State,
    attributes::{self, Attribute, Value},
    greeting::Greeting,
};
use crate::{Ask, Grant, Login, NameStatus, Peer, Standing, replies};
use bstr::BString;
use config::{NotifyClasses, Protocols};
use std::{
    net::{IpAddr, Ipv4Addr},
    rc::Rc,
};
use types::Reply;
use wire::command::Words;

const UNKNOWN: &str = "unknown";

/// Who the client says that it is.
struct NewClient {
    peer: Peer,
    helo: Option<BString>,
    has_helo: bool,
    is_esmtp: bool,
}

impl Session {
    pub(super) fn xclient(&mut self, words: Words<'_>) {
        if self.transaction.is_some() {
            return self.refuse_with(replies::IN_TRANSACTION);
        }
        if words.clone().next().is_none() {
            return self.refuse_with(replies::XCLIENT_SYNTAX);
        }
        match self.greeting.grants.xclient {
            Grant::Yes => {}
            Grant::No => return self.refuse_with(replies::NOT_AUTHORIZED),
            Grant::Unknown => return self.cannot_permit("XCLIENT"),
        }
        let attributes = match attributes::parse(words) {
            Ok(attributes) => attributes,
            Err(reply) => return self.refuse_with(reply),
        };
        // A login lasts as long as the client that it was given for.
        let peer = Peer { login: None, ..self.peer.clone() };
        let protocols = self.settings.protocol.inet_protocols;
        let mut client = NewClient { peer, helo: None, has_helo: false, is_esmtp: false };
        match attributes.iter().try_for_each(|attribute| client.take(attribute, protocols)) {
            Ok(()) => self.begin_anew(client),
            Err(reply) => {
                self.history.note(NotifyClasses::PROTOCOL);
                self.refuse(&reply);
            }
        }
    }

    /// Back to the greeting, as a session with another client. That the command was taken is not counted: the client
    /// hears the greeting, and no reply to its command.
    fn begin_anew(&mut self, client: NewClient) {
        self.reset_transaction();
        let has_port = self.settings.protocol.smtpd_client_port_logging;
        self.peer = if has_port { client.peer.with_port_logged() } else { client.peer };
        self.flush_history(0);
        let helo = if client.has_helo { client.helo } else { None };
        self.greeting = Greeting::of(helo, client.is_esmtp, self.greeting.grants);
        self.standing = Standing::default();
        self.state = State::Command;
        self.ask(Ask::Connect);
    }
}

impl NewClient {
    fn take(&mut self, attribute: &Attribute<'_>, protocols: Protocols) -> Result<(), Reply> {
        let peer = &mut self.peer;
        let status = |value: &Value<String>| match value {
            Value::Is(_) => NameStatus::Verified,
            Value::Unavailable => NameStatus::Absent,
            Value::TryAgain => NameStatus::Temporary,
        };
        if attribute.is("NAME") {
            let value = attribute.looked_up_name()?;
            peer.name_status = status(&value);
            if let Value::Is(name) = &value {
                peer.reverse_name.clone_from(name);
                peer.reverse_name_status = NameStatus::Verified;
            }
            peer.client.name = value.known().unwrap_or_else(|| UNKNOWN.to_owned());
        } else if attribute.is("REVERSE_NAME") {
            let value = attribute.looked_up_name()?;
            peer.reverse_name_status = status(&value);
            peer.reverse_name = value.known().unwrap_or_else(|| UNKNOWN.to_owned());
        } else if attribute.is("ADDR") {
            let address = attribute.address(protocols)?.known();
            peer.client.address = address.map_or_else(|| UNKNOWN.to_owned(), |address| address.to_string());
            peer.address = address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        } else if attribute.is("PORT") {
            let port = attribute.port()?.known();
            peer.unavailable.port = port.is_none();
            peer.port = port.unwrap_or(0);
        } else if attribute.is("DESTADDR") {
            let address = attribute.address(protocols)?.known();
            peer.unavailable.server_address = address.is_none();
            peer.server_address = address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        } else if attribute.is("DESTPORT") {
            let port = attribute.port()?.known();
            peer.unavailable.server_port = port.is_none();
            peer.server_port = port.unwrap_or(0);
        } else if attribute.is("HELO") {
            (self.helo, self.has_helo) = (attribute.text().known(), true);
        } else if attribute.is("PROTO") {
            self.is_esmtp = match attribute.value.to_ascii_uppercase().as_str() {
                "SMTP" => false,
                "ESMTP" => true,
                _ => return Err(attribute.bad_value()),
            };
        } else if attribute.is("LOGIN") {
            let login = |name| Rc::new(Login { method: "XCLIENT".to_owned(), username: name });
            peer.login = attribute.text_as_it_is().known().map(login);
        } else {
            return Err(attribute.bad_name("XCLIENT"));
        }
        Ok(())
    }
}
