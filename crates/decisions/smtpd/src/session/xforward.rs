//! XFORWARD: a content filter, or a mail system before this one, says where the next message came from, for logs and for
//! the queue file; no rule looks at it (XFORWARD_README).

use super::{
    Session,
    attributes::{self, Attribute},
};
use crate::{Forwarded, Grant, replies};
use config::{NotifyClasses, Protocols};
use types::Reply;
use wire::command::Words;

const UNKNOWN: &str = "unknown";
/// The longest name of a protocol.
const PROTOCOL_SIZE_MAX: usize = 64;

impl Session {
    pub(super) fn xforward(&mut self, words: Words<'_>) {
        if self.transaction.is_some() {
            return self.refuse_with(replies::IN_TRANSACTION);
        }
        if words.clone().next().is_none() {
            return self.refuse_with(replies::XFORWARD_SYNTAX);
        }
        match self.greeting.grants.xforward {
            Grant::Yes => {}
            Grant::No => return self.refuse_with(replies::NOT_AUTHORIZED),
            Grant::Unknown => return self.cannot_permit("XFORWARD"),
        }
        let attributes = match attributes::parse(words) {
            Ok(attributes) => attributes,
            Err(reply) => return self.refuse_with(reply),
        };
        let mut forwarded = self.forwarded.take().unwrap_or_default();
        let protocols = self.settings.protocol.inet_protocols;
        let taken = attributes.iter().try_for_each(|attribute| forwarded.take(attribute, protocols));
        self.forwarded = Some(forwarded);
        match taken {
            Ok(()) => self.accept_with(replies::OK),
            Err(reply) => {
                self.history.note(NotifyClasses::PROTOCOL);
                self.refuse(&reply);
            }
        }
    }
}

impl Forwarded {
    fn take(&mut self, attribute: &Attribute<'_>, protocols: Protocols) -> Result<(), Reply> {
        let unknown = || UNKNOWN.to_owned();
        let mut is_of_client = true;
        if attribute.is("NAME") {
            self.name = attribute.host_name()?.known().unwrap_or_else(unknown);
        } else if attribute.is("ADDR") {
            self.address = attribute.address(protocols)?.known();
        } else if attribute.is("PORT") {
            self.port = attribute.port()?.known().map_or_else(unknown, |port| port.to_string());
        } else if attribute.is("HELO") {
            self.helo = attribute.text().known();
        } else if attribute.is("PROTO") {
            let protocol = attribute.text().known();
            if protocol.as_ref().is_some_and(|protocol| protocol.len() > PROTOCOL_SIZE_MAX) {
                return Err(attribute.bad_value());
            }
            self.protocol = protocol.map_or_else(unknown, |protocol| protocol.to_string());
        } else {
            is_of_client = false;
            self.take_of_message(attribute)?;
        }
        self.has_client |= is_of_client;
        Ok(())
    }

    fn take_of_message(&mut self, attribute: &Attribute<'_>) -> Result<(), Reply> {
        if attribute.is("IDENT") {
            self.ident = attribute.text().known();
        } else if attribute.is("SOURCE") {
            self.is_local = Some(match attribute.value.to_ascii_uppercase().as_str() {
                "LOCAL" | "[UNAVAILABLE]" => true,
                "REMOTE" => false,
                _ => return Err(attribute.bad_value()),
            });
        } else {
            return Err(attribute.bad_name("XFORWARD"));
        }
        Ok(())
    }
}
