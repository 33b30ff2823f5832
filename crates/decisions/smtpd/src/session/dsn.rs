//! Parameters with which a sender says what it wants to hear of a message's fate (RFC 3461), and VERP.

use super::{Session, envelope::parameter_of};
use crate::{EhloKeywords, replies};
use bstr::{BString, ByteSlice};
use types::{Dsn, DsnNotify, DsnReturn, Reply, VerpDelimiters};
use wire::xtext;

/// RET and ENVID of MAIL.
#[derive(Debug, Default)]
pub(super) struct DsnOfMail {
    pub(super) returns: DsnReturn,
    pub(super) envid: Option<BString>,
}

/// NOTIFY and ORCPT of RCPT.
#[derive(Debug, Default)]
pub(super) struct DsnOfRcpt {
    pub(super) notify: DsnNotify,
    /// `type;address`, decoded.
    pub(super) orcpt: Option<BString>,
}

impl DsnOfMail {
    /// Takes RET or ENVID.
    pub(super) fn take(&mut self, name: &[u8], value: &[u8]) -> Result<(), Reply> {
        if name.eq_ignore_ascii_case(b"RET") {
            let is = |word: &[u8]| value.eq_ignore_ascii_case(word);
            self.returns = match self.returns {
                DsnReturn::Unset if is(b"FULL") => DsnReturn::Full,
                DsnReturn::Unset if is(b"HDRS") => DsnReturn::Headers,
                _ => return Err(replies::BAD_RET.into()),
            };
            return Ok(());
        }
        let is_text = |value: &Vec<u8>| {
            !value.is_empty() && value.iter().all(|b| *b == b'\t' || (b' '..=b'~').contains(b))
        };
        match xtext::decode(value).filter(is_text) {
            Some(value) if self.envid.is_none() => self.envid = Some(value.into()),
            _ => return Err(replies::BAD_ENVID.into()),
        }
        Ok(())
    }
}

impl Session {
    /// The parameters of RCPT; the first that is wrong is complained of.
    pub(super) fn rcpt_parameter(&self, dsn: &mut DsnOfRcpt, text: &[u8]) -> Result<(), Reply> {
        let (name, value) = parameter_of(text);
        let is = |word: &[u8]| name.eq_ignore_ascii_case(word);
        match value {
            Some(_) if (is(b"NOTIFY") || is(b"ORCPT")) && !self.offers_dsn() => Err(replies::DSN_OFF.into()),
            Some(value) if is(b"NOTIFY") => match self.notify(value) {
                Some(notify) if dsn.notify == DsnNotify::default() => {
                    dsn.notify = notify;
                    Ok(())
                }
                _ => Err(replies::BAD_NOTIFY.into()),
            },
            Some(value) if is(b"ORCPT") => match orcpt(value) {
                Some(orcpt) if dsn.orcpt.is_none() => {
                    dsn.orcpt = Some(orcpt);
                    Ok(())
                }
                _ => Err(replies::BAD_ORCPT.into()),
            },
            _ => Err(super::envelope::unsupported(text)),
        }
    }

    /// The value of XVERP (VERP_README).
    pub(super) fn verp(&self, value: Option<&[u8]>) -> Result<VerpDelimiters, Reply> {
        let protocol = &self.settings.protocol;
        let Some(value) = value else { return Ok(protocol.default_verp_delimiters) };
        let filter = &protocol.verp_delimiter_filter;
        VerpDelimiters::parse(value, filter).ok_or_else(|| {
            let text = format!("Error: XVERP needs two characters from {filter}");
            Reply::new(501, Dsn::permanent(5, 4), text)
        })
    }

    pub(super) fn offers_dsn(&self) -> bool {
        !self.greeting.discard.has(EhloKeywords::DSN)
    }

    /// NEVER alone, or any of the others.
    fn notify(&self, value: &[u8]) -> Option<DsnNotify> {
        let names = [
            ("NEVER", DsnNotify::NEVER),
            ("SUCCESS", DsnNotify::SUCCESS),
            ("FAILURE", DsnNotify::FAILURE),
            ("DELAY", DsnNotify::DELAY),
        ];
        let mut mask = 0;
        for word in value.split(|b| *b == b',').filter(|word| !word.is_empty()) {
            let known = names.iter().find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes()));
            let Some((_, bit)) = known else {
                let (word, value) = (word.as_bstr(), value.as_bstr());
                self.warn(format_args!("unknown DSN NOTIFY command value \"{word}\" in \"{value}\""));
                return None;
            };
            mask |= bit;
        }
        let is_good = mask != 0 && (mask == DsnNotify::NEVER || mask & DsnNotify::NEVER == 0);
        is_good.then_some(DsnNotify(mask))
    }
}

/// `type;address` with the address decoded.
fn orcpt(value: &[u8]) -> Option<BString> {
    let at = value.find_byte(b';').filter(|at| *at > 0)?;
    let (kind, coded) = (&value[..at], &value[at + 1..]);
    let address = match kind.eq_ignore_ascii_case(b"utf-8") {
        true => xtext::decode_utf8(coded)?.into_bytes(),
        false => xtext::decode(coded)?,
    };
    Some([kind, b";", &address].concat().into())
}
