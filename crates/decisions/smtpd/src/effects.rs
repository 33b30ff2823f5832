//! What access tables want done to a message, apart from taking it or not (access(5), OTHER ACTIONS).

use crate::Instance;
use bstr::BString;
use std::rc::Rc;
use types::Address;

/// Collected while the message's envelope and content are judged; it ends with the transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// `FILTER transport:destination`; the last one counts.
    pub filter: Option<BString>,
    /// `REDIRECT user@domain`: instead of all recipients; the last one counts.
    pub redirect: Option<Address>,
    /// `BCC user@domain`: besides all recipients.
    pub bcc: Vec<Address>,
    /// `PREPEND header: text`: above our own Received: header, in this order.
    pub prepend: Vec<BString>,
    /// `HOLD`
    pub is_held: bool,
    /// `DISCARD`: the client is told that all is well, and nothing more is judged.
    pub is_discarded: bool,
    /// What policy servers know the message by, once one was asked.
    pub instance: Option<Rc<Instance>>,
}
