//! What this service changes in the mail that it sends.

use super::Delivery;
use crate::{Content, Failure, Features, MappedAddresses, Protocol, Scope, Session, conversion::Changes};
use message::{QuoteOptions, quote_822_local};
use std::rc::Rc;
use types::{Address, Dsn, SuccessAction, Trouble};
use world::World;

impl<W: World, C: Content> Delivery<'_, W, C> {
    /// The envelope's addresses as `smtp_generic_maps` has them.
    pub(super) async fn mapped_addresses(&mut self) -> Result<Rc<MappedAddresses>, Trouble> {
        if let Some(mapped) = &self.mapped {
            return Ok(Rc::clone(mapped));
        }
        let mut mapped = MappedAddresses::default();
        if self.client.tables.generic_maps.is_some() {
            mapped.sender = self.generic(&self.request.message.sender).await?;
            for recipient in &self.request.recipients {
                mapped.recipients.push(self.generic(&recipient.address).await?);
            }
        }
        let mapped = Rc::new(mapped);
        self.mapped = Some(Rc::clone(&mapped));
        Ok(mapped)
    }

    async fn generic(&self, address: &Address) -> Result<Option<Address>, Trouble> {
        match &self.client.tables.generic_maps {
            Some(maps) if !address.is_null() => {
                Ok(maps.map(address.as_bytes(), self.logger).await?.map(Address::new))
            }
            _ => Ok(None),
        }
    }

    /// Headers that master.cf asks for (`flags=DOR`), in their order, without line ends. They are about the first
    /// recipient: whoever sets D or O limits a delivery to one.
    pub(super) async fn added_headers(&self) -> Result<Vec<Vec<u8>>, Trouble> {
        let flags = self.client.flags;
        let first = self.request.recipients.first();
        let recipient = |is_on: bool| first.filter(|_| is_on);
        let wanted = [
            ("Return-Path: <", flags.return_path.then_some(&self.request.message.sender), ">"),
            ("X-Original-To: ", recipient(flags.original_to).map(|recipient| &recipient.original), ""),
            ("Delivered-To: ", recipient(flags.delivered_to).map(|recipient| &recipient.address), ""),
        ];
        let mut headers = Vec::new();
        for (before, address, after) in wanted {
            let Some(address) = address else { continue };
            let mapped = self.generic(address).await?;
            let address = mapped.as_ref().unwrap_or(address).as_bytes();
            let quoted = if address.is_empty() {
                address.into()
            } else {
                quote_822_local(address, QuoteOptions::default())
            };
            headers.push([before.as_bytes(), &quoted, after.as_bytes()].concat());
        }
        Ok(headers)
    }

    /// What changes in the content for a server with these features.
    pub(super) fn changes(&self, features: &Features) -> Option<Changes<'_>> {
        let settings = &self.client.settings;
        let downgrades = settings.downgrades(features, &self.request.message);
        let generic_maps = self.client.tables.generic_maps.as_ref();
        let changes = Changes { downgrades, generic_maps, limits: settings.scanner, logger: self.logger };
        (downgrades || generic_maps.is_some()).then_some(changes)
    }

    /// What it means for a recipient that this server takes the message (RFC 3461 section 5.2.2).
    pub(super) fn success(&self, features: &Features) -> SuccessAction {
        let is_lmtp = self.client.settings.protocol == Protocol::Lmtp;
        if features.dsn {
            SuccessAction::HandedOn
        } else if is_lmtp && self.client.flags.final_delivery {
            SuccessAction::Delivered
        } else {
            SuccessAction::Relayed
        }
    }

    /// A table of ours did not answer: the message waits.
    pub(super) fn table_failure(&self, trouble: &Trouble, session: &Session) -> Failure {
        self.logger.warning(&format!("{}: {trouble}", self.request.queue_id));
        let text = format!("local data error while talking to {}", session.peer());
        Failure::local(Scope::Message, Dsn::temporary(3, 0), text)
    }
}
