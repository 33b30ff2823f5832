//! Mail whose every copy has a sender that names its recipient (VERP_README).

use bstr::ByteSlice;
use std::rc::Rc;
use types::{MessageAttributes, QueueId, Recipient, SendOptions, VerpDelimiters};

use crate::{
    core::{Core, Step},
    event::Claimed,
};

impl Core {
    /// What a message asks for; a bad wish is ignored.
    pub(crate) fn verp(&self, step: &mut Step<'_>, id: QueueId, claimed: &Claimed) -> Option<VerpDelimiters> {
        let delimiters = claimed.verp_delimiters.as_ref()?;
        if claimed.message.sender.is_null() {
            step.warn(format!("{id}: ignoring VERP request for null sender"));
            return None;
        }
        let verp = VerpDelimiters::parse(delimiters, &self.settings.verp_delimiter_filter);
        if verp.is_none() {
            let shown = maillog::printable(delimiters.get(..100).unwrap_or(delimiters));
            step.warn(format!("{id}: ignoring bad VERP request: \"{shown}\""));
        }
        verp
    }
}

/// The attributes of the copy for one recipient. A sender that names somebody in UTF-8 needs SMTPUTF8 as that name does.
pub(crate) fn attributes(
    message: &MessageAttributes,
    verp: VerpDelimiters,
    recipient: &Recipient,
    smtputf8_enable: bool,
) -> Rc<MessageAttributes> {
    let mut copy = MessageAttributes { sender: verp.sender(&message.sender, recipient), ..message.clone() };
    let address = recipient.address.as_bytes();
    if smtputf8_enable && !address.is_ascii() && address.to_str().is_ok() {
        copy.send_options.0 |= SendOptions::SMTPUTF8_SENDER;
    }
    Rc::new(copy)
}
