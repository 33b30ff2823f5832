//! What a certificate says (RFC 5280 section 4.1), as far as it is asked here: names, times, the key.
//!
//! Only reads: whether a certificate is to be believed is [`crate::Anchors::judge`]'s to say.

use std::net::IpAddr;

/// A certificate's fields, borrowed from its DER encoding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts<'a> {
    /// Common names of the subject, in order.
    pub common_names: Vec<&'a [u8]>,
    /// The alternative names that are host names, in order.
    pub dns_names: Vec<&'a [u8]>,
    /// The alternative names that are addresses.
    pub addresses: Vec<IpAddr>,
    /// The subject's distinguished name, encoded.
    pub subject: &'a [u8],
    /// The issuer's.
    pub issuer: &'a [u8],
    /// From when on it is valid, seconds since 1970.
    pub not_before: i64,
    /// Until when it is valid, seconds since 1970.
    pub not_after: i64,
    /// The key with its algorithm, encoded (SubjectPublicKeyInfo).
    pub public_key: &'a [u8],
    /// The object identifier of the algorithm of its signature, encoded.
    pub signature_algorithm: &'a [u8],
}

mod tag {
    pub(super) const BOOLEAN: u8 = 0x01;
    pub(super) const INTEGER: u8 = 0x02;
    pub(super) const BIT_STRING: u8 = 0x03;
    pub(super) const OCTET_STRING: u8 = 0x04;
    pub(super) const OBJECT_IDENTIFIER: u8 = 0x06;
    pub(super) const UTF8_STRING: u8 = 0x0c;
    pub(super) const PRINTABLE_STRING: u8 = 0x13;
    pub(super) const TELETEX_STRING: u8 = 0x14;
    pub(super) const IA5_STRING: u8 = 0x16;
    pub(super) const UTC_TIME: u8 = 0x17;
    pub(super) const GENERALIZED_TIME: u8 = 0x18;
    pub(super) const SEQUENCE: u8 = 0x30;
    pub(super) const SET: u8 = 0x31;
    /// `[0] EXPLICIT`: the version.
    pub(super) const VERSION: u8 = 0xa0;
    /// `[3] EXPLICIT`: the extensions.
    pub(super) const EXTENSIONS: u8 = 0xa3;
    /// `[2] IMPLICIT IA5String` of a general name.
    pub(super) const DNS_NAME: u8 = 0x82;
    /// `[7] IMPLICIT OCTET STRING` of a general name.
    pub(super) const IP_ADDRESS: u8 = 0x87;
}

/// 2.5.4.3
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// 2.5.29.17
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];

impl<'a> Facts<'a> {
    /// Reads a certificate of any version; `None` when it is none.
    #[must_use]
    pub fn read(der: &'a [u8]) -> Option<Self> {
        let mut outer = Der(der);
        let mut certificate = Der(outer.take(tag::SEQUENCE)?);
        let mut body = Der(certificate.take(tag::SEQUENCE)?);
        let signature_algorithm = Der(certificate.take(tag::SEQUENCE)?).take(tag::OBJECT_IDENTIFIER)?;
        certificate.take(tag::BIT_STRING)?;
        if !outer.0.is_empty() {
            return None;
        }
        if body.peek() == Some(tag::VERSION) {
            body.take(tag::VERSION)?;
        }
        body.take(tag::INTEGER)?;
        body.take(tag::SEQUENCE)?;
        let issuer = body.take(tag::SEQUENCE)?;
        let mut validity = Der(body.take(tag::SEQUENCE)?);
        let (not_before, not_after) = (validity.time()?, validity.time()?);
        let subject = body.take(tag::SEQUENCE)?;
        let public_key = body.whole(tag::SEQUENCE)?;
        let (dns_names, addresses) = alternative_names(body)?;
        let common_names = common_names(subject)?;
        Some(Self {
            common_names,
            dns_names,
            addresses,
            subject,
            issuer,
            not_before,
            not_after,
            public_key,
            signature_algorithm,
        })
    }

    /// Whether it names itself as its issuer.
    #[must_use]
    pub fn is_self_issued(&self) -> bool {
        self.subject == self.issuer
    }
}

fn common_names(name: &[u8]) -> Option<Vec<&[u8]>> {
    let (mut sets, mut found) = (Der(name), Vec::new());
    while !sets.0.is_empty() {
        let mut set = Der(sets.take(tag::SET)?);
        while !set.0.is_empty() {
            let mut attribute = Der(set.take(tag::SEQUENCE)?);
            if attribute.take(tag::OBJECT_IDENTIFIER)? != COMMON_NAME {
                continue;
            }
            let (tag, value, _) = attribute.any()?;
            let texts = [tag::UTF8_STRING, tag::PRINTABLE_STRING, tag::TELETEX_STRING, tag::IA5_STRING];
            // A null byte within would end the name for others.
            if texts.contains(&tag) && !value.contains(&0) {
                found.push(value);
            }
        }
    }
    Some(found)
}

/// The names within the extensions, if there are any, of what is left of the body.
fn alternative_names(mut rest: Der<'_>) -> Option<(Vec<&[u8]>, Vec<IpAddr>)> {
    let (mut names, mut addresses) = (Vec::new(), Vec::new());
    while !rest.0.is_empty() {
        let (tag, content, _) = rest.any()?;
        if tag != tag::EXTENSIONS {
            continue;
        }
        let mut extensions = Der(Der(content).take(tag::SEQUENCE)?);
        while !extensions.0.is_empty() {
            let mut extension = Der(extensions.take(tag::SEQUENCE)?);
            let id = extension.take(tag::OBJECT_IDENTIFIER)?;
            if extension.peek() == Some(tag::BOOLEAN) {
                extension.take(tag::BOOLEAN)?;
            }
            let value = extension.take(tag::OCTET_STRING)?;
            if id != SUBJECT_ALT_NAME {
                continue;
            }
            let mut general = Der(Der(value).take(tag::SEQUENCE)?);
            while !general.0.is_empty() {
                match general.any()? {
                    (tag::DNS_NAME, name, _) if !name.contains(&0) => names.push(name),
                    (tag::IP_ADDRESS, bytes, _) => addresses.extend(address(bytes)),
                    _ => {}
                }
            }
        }
    }
    Some((names, addresses))
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    if let Ok(bytes) = <[u8; 4]>::try_from(bytes) {
        return Some(IpAddr::from(bytes));
    }
    <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from)
}

/// What is left of an encoding.
#[derive(Clone, Copy)]
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    fn peek(self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The next element: tag, content, and the whole of it.
    fn any(&mut self) -> Option<(u8, &'a [u8], &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        // Tags of more than one byte are of nothing that is read here.
        if tag & 0x1f == 0x1f {
            return None;
        }
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x83 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (content, after) = rest.split_at_checked(length)?;
        let whole = self.0.get(..self.0.len() - after.len())?;
        self.0 = after;
        Some((tag, content, whole))
    }

    /// The content of the next element, which must be of this kind.
    fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.any().filter(|(found, ..)| *found == tag).map(|(_, content, _)| content)
    }

    /// The whole of the next element, which must be of this kind.
    fn whole(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.any().filter(|(found, ..)| *found == tag).map(|(.., whole)| whole)
    }

    /// The next element, a time in UTC (RFC 5280 section 4.1.2.5).
    fn time(&mut self) -> Option<i64> {
        let (tag, text, _) = self.any()?;
        let mut digits = text.strip_suffix(b"Z")?;
        let mut number = |count: usize| {
            let (taken, rest) = digits.split_at_checked(count)?;
            digits = rest;
            taken.iter().try_fold(0, |number, byte| {
                byte.is_ascii_digit().then(|| number * 10 + i64::from(byte - b'0'))
            })
        };
        let year = match tag {
            tag::UTC_TIME => number(2).map(|year| if year < 50 { 2000 + year } else { 1900 + year })?,
            tag::GENERALIZED_TIME => number(4)?,
            _ => return None,
        };
        let (month, day, hour, minute, second) = (number(2)?, number(2)?, number(2)?, number(2)?, number(2)?);
        let is_date = (1..=12).contains(&month) && (1..=31).contains(&day);
        let is_time = hour < 24 && minute < 60 && second < 61 && digits.is_empty();
        (is_date && is_time).then(|| days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)
    }
}

/// Days from 1970-01-01 to a date: years are counted from March, so that a leap day ends one.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month > 2 { year } else { year - 1 };
    let month = (month + 9) % 12;
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::tests::{CA, SERVER, der};

    #[test]
    fn what_a_certificate_says() {
        let (ca, server) = (der(CA), der(SERVER));
        let (ca, server) = (Facts::read(&ca).unwrap(), Facts::read(&server).unwrap());
        assert_eq!(ca.common_names, [b"Test CA"]);
        assert!(ca.is_self_issued() && !server.is_self_issued());
        assert_eq!(
            (server.issuer, server.common_names.as_slice()),
            (ca.subject, [b"old.test".as_slice()].as_slice())
        );
        assert_eq!(server.dns_names, [b"db.test".as_slice(), b"*.wild.test"]);
        assert_eq!(server.addresses, ["127.0.0.1".parse::<IpAddr>().unwrap(), "::1".parse().unwrap()]);
        // 2020-01-01 and 2120-01-01
        assert_eq!((server.not_before, server.not_after), (1_577_836_800, 4_733_510_400));
    }

    #[test]
    fn pieces_and_changed_bytes_do_no_harm() {
        let whole = der(SERVER);
        for end in 0..whole.len() {
            assert_eq!(Facts::read(&whole[..end]), None, "{end}");
        }
        for at in 0..whole.len() {
            for byte in [0, 0x7f, 0x80, 0x84, 0xff] {
                let mut changed = whole.clone();
                changed[at] = byte;
                let _ = Facts::read(&changed);
            }
        }
    }

    #[test]
    fn dates() {
        assert_eq!(days(1970, 1, 1), 0);
        assert_eq!(days(2000, 3, 1), 11_017);
        assert_eq!(days(2100, 2, 28) + 1, days(2100, 3, 1));
        assert_eq!(days(2096, 2, 28) + 2, days(2096, 3, 1));
    }
}
