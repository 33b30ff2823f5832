//! The protocol of verify(8) over [`attr`](crate::attr): does an address exist?
//!
//! ```text
//! server: protocol=address_verification_prrotocol
//! client: request=query address=a
//! server: status=0 recipient_status=n reason=text
//! client: request=update address=a recipient_status=n reason=text
//! server: status=0
//! ```

use crate::attr::{Attributes, Encoder};
use bstr::BString;

/// What a server says first, as the attribute `protocol`; the spelling is Postfix's.
pub const PROTOCOL: &str = "address_verification_prrotocol";

/// The request was done.
const DONE: i32 = 0;
/// The request is none.
const BAD: i32 = -2;

/// What is known of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressStatus {
    /// Mail to it can be delivered.
    Deliverable = 0,
    /// That could not be found out for now.
    Deferred = 1,
    /// Mail to it comes back.
    Undeliverable = 2,
    /// It is being found out.
    InProgress = 3,
}

impl AddressStatus {
    /// By its number.
    #[must_use]
    pub const fn of(number: i64) -> Option<Self> {
        Some(match number {
            0 => Self::Deliverable,
            1 => Self::Deferred,
            2 => Self::Undeliverable,
            3 => Self::InProgress,
            _ => return None,
        })
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> i32 {
        self as i32
    }
}

/// What is known of an address, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// What is known.
    pub status: AddressStatus,
    /// In the words of whoever found out.
    pub reason: BString,
}

/// What a client wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// What is known of this address?
    Query(BString),
    /// This has become of a probe of this address. The number may be none of [`AddressStatus`].
    Update(BString, i32, BString),
}

/// Why a request is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// It has this name.
    Unknown(BString),
    /// Something is missing: whoever sent it gets no answer.
    Incomplete,
}

impl Request {
    /// The request in a list of attributes.
    ///
    /// # Errors
    /// It is none.
    pub fn decode(attributes: &Attributes) -> Result<Self, Unusable> {
        let text = |name| attributes.get(name).cloned().ok_or(Unusable::Incomplete);
        match text("request")?.as_slice() {
            b"query" => Ok(Self::Query(text("address")?)),
            b"update" => {
                let status = attributes.int("recipient_status").ok_or(Unusable::Incomplete)?;
                Ok(Self::Update(text("address")?, status, text("reason")?))
            }
            other => Err(Unusable::Unknown(other.into())),
        }
    }

    /// As it is sent.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let list = Encoder::new();
        match self {
            Self::Query(address) => list.text("request", "query").text("address", address).finish(),
            Self::Update(address, status, reason) => list
                .text("request", "update")
                .text("address", address)
                .int("recipient_status", *status)
                .text("reason", reason)
                .finish(),
        }
    }
}

/// The answer to a query.
#[must_use]
pub fn encode_answer(verified: &Verified) -> Vec<u8> {
    let list = Encoder::new().int("status", DONE).int("recipient_status", verified.status.number());
    list.text("reason", &verified.reason).finish()
}

/// The answer to an update, or to what is no request.
#[must_use]
pub fn encode_done(is_done: bool) -> Vec<u8> {
    Encoder::new().int("status", if is_done { DONE } else { BAD }).finish()
}

/// What a server says to a query; `None` for what is no answer, or one that says that the request was not done.
#[must_use]
pub fn decode_answer(attributes: &Attributes) -> Option<Verified> {
    if attributes.int("status")? != DONE {
        return None;
    }
    let status = AddressStatus::of(attributes.int("recipient_status")?.into())?;
    Some(Verified { status, reason: attributes.get("reason")?.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attr;

    fn decoded(bytes: &[u8]) -> Attributes {
        let (attributes, length) = attr::decode(bytes).unwrap().unwrap();
        assert_eq!(length, bytes.len());
        attributes
    }

    #[test]
    fn requests_go_there_and_back() {
        for request in [
            Request::Query("a@x".into()),
            Request::Update("a@x".into(), 2, "5.1.1 no".into()),
            Request::Update("a@x".into(), -7, "".into()),
        ] {
            assert_eq!(Request::decode(&decoded(&request.encode())), Ok(request));
        }
        let none = |bytes: &[u8]| Request::decode(&decoded(bytes)).unwrap_err();
        assert_eq!(none(b"request\0what\0\0"), Unusable::Unknown("what".into()));
        assert_eq!(none(b"request\0query\0\0"), Unusable::Incomplete);
        assert_eq!(none(b"address\0a\0\0"), Unusable::Incomplete);
        assert_eq!(none(b"request\0update\0address\0a\0reason\0r\0\0"), Unusable::Incomplete);
    }

    #[test]
    fn answers_go_there_and_back() {
        for number in 0..4 {
            let status = AddressStatus::of(number).unwrap();
            let verified = Verified { status, reason: "text".into() };
            assert_eq!(decode_answer(&decoded(&encode_answer(&verified))), Some(verified));
        }
        assert_eq!(decode_answer(&decoded(&encode_done(true))), None);
        assert_eq!(decode_answer(&decoded(&encode_done(false))), None);
        assert_eq!(decode_answer(&decoded(b"status\x000\0recipient_status\x009\0reason\0x\0\0")), None);
    }
}
