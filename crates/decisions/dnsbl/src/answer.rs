//! What a list's answer means.

use crate::DnsList;
use config::{Values, own};
use std::{cell::RefCell, collections::HashMap, net::Ipv4Addr, time::Duration};
use types::Instant;
use world::{Record, RecordData};

/// How long a list that answers rubbish is complained about once.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(3600);
/// Lists that are remembered as complained about: more than anybody asks, though access tables may name lists, too.
const COMPLAINTS_MAX: usize = 1000;

/// Which answers may be listings: `dnsbl_answers`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// What lists document: 127.0.0.0/8 without 127.255.255.0/24.
    Documented,
    /// Any, as Postfix has it.
    Any,
}

/// What an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listing {
    /// The list has it.
    Listed,
    /// It has it not, or for other reasons than those that its filter names.
    NotListed,
    /// The answer is none of a list: an error of the look-up, with the address that shows it.
    Rubbish(Ipv4Addr),
}

impl Answers {
    /// As a service has it.
    #[must_use]
    pub fn load(values: &Values) -> Self {
        match values.own_word(&own::DNSBL_ANSWERS) {
            "any" => Self::Any,
            _ => Self::Documented,
        }
    }

    /// What the addresses mean that a list answered with. A listing beside rubbish is a listing.
    #[must_use]
    pub fn judge(self, list: &DnsList, records: &[Record]) -> Listing {
        let mut listing = Listing::NotListed;
        for record in records {
            let RecordData::A(address) = record.data else { continue };
            if self == Self::Documented && !is_documented(address) {
                listing = Listing::Rubbish(address);
            } else if list.filter.as_ref().is_none_or(|filter| filter.matches(address)) {
                return Listing::Listed;
            }
        }
        listing
    }
}

/// RFC 5782 section 2.1: answers are in 127.0.0.0/8; the operators of lists report errors at its end.
const fn is_documented(address: Ipv4Addr) -> bool {
    !matches!(address.octets(), [127, 255, 255, _]) && address.is_loopback()
}

/// Lists that were complained about, so that each is named once in a while and not with every client.
#[derive(Debug, Default)]
pub struct Complaints(RefCell<HashMap<String, Instant>>);

impl Complaints {
    /// The complaint about an answer, if it is time for one. `query` is the name that was asked.
    pub fn about(&self, list: &DnsList, query: &str, address: Ipv4Addr, now: Instant) -> Option<String> {
        let mut said = self.0.borrow_mut();
        let was_said = said.get(&list.domain).is_some_and(|&at| now.since(at) < COMPLAINT_INTERVAL);
        if was_said {
            return None;
        }
        if said.len() >= COMPLAINTS_MAX {
            said.clear();
        }
        said.insert(list.domain.clone(), now);
        Some(format!(
            "{query}: RBL lookup error: {address} is no listing: {domain} does not serve this resolver, or is no \
             list any more; mail passes as if it did not answer: see what its operator wants, or remove {domain} \
             from the configuration (dnsbl_answers = any takes every answer for a listing)",
            domain = list.domain
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(data: RecordData) -> Record {
        Record { name: String::new(), ttl_seconds: 60, data }
    }

    fn judge(answers: Answers, list: &str, addresses: &[[u8; 4]]) -> Listing {
        let records: Vec<_> =
            addresses.iter().map(|octets| record(RecordData::A((*octets).into()))).collect();
        answers.judge(&DnsList::parse(list).unwrap(), &records)
    }

    #[test]
    fn what_no_list_documents_is_an_error() {
        let check = |list: &str, addresses: &[[u8; 4]], expected: Listing| {
            assert_eq!(judge(Answers::Documented, list, addresses), expected, "{list} {addresses:?}");
        };
        let (plain, filtered) = ("zen.example", "zen.example=127.0.0.[2..11]");
        check(plain, &[[127, 0, 0, 2]], Listing::Listed);
        check(plain, &[[127, 0, 0, 1]], Listing::Listed);
        check(plain, &[[127, 255, 254, 255]], Listing::Listed);
        for rubbish in
            [[127, 255, 255, 254], [127, 255, 255, 0], [203, 0, 113, 9], [128, 0, 0, 2], [0, 0, 0, 0]]
        {
            check(plain, &[rubbish], Listing::Rubbish(rubbish.into()));
            check(filtered, &[rubbish], Listing::Rubbish(rubbish.into()));
            check(
                "zen.example=127.255.255.[0..255]",
                &[[127, 255, 255, 254]],
                Listing::Rubbish([127, 255, 255, 254].into()),
            );
            check(plain, &[rubbish, [127, 0, 0, 4]], Listing::Listed);
            check(plain, &[[127, 0, 0, 4], rubbish], Listing::Listed);
            check(filtered, &[[127, 0, 0, 12], rubbish], Listing::Rubbish(rubbish.into()));
        }
        check(filtered, &[[127, 0, 0, 12]], Listing::NotListed);
        check(plain, &[], Listing::NotListed);
        let text = [record(RecordData::Txt(b"127.0.0.2".to_vec()))];
        assert_eq!(Answers::Documented.judge(&DnsList::parse(plain).unwrap(), &text), Listing::NotListed);
    }

    #[test]
    fn a_parameter_restores_what_postfix_does() {
        let load = |value: &str| Answers::load(&Values::for_tests(&[("dnsbl_answers", value)]));
        assert_eq!(Answers::load(&Values::for_tests(&[])), Answers::Documented);
        assert_eq!(load("any"), Answers::Any);
        assert_eq!(load("documented"), Answers::Documented);
        assert_eq!(judge(Answers::Any, "x.example", &[[203, 0, 113, 9]]), Listing::Listed);
        assert_eq!(judge(Answers::Any, "x.example=127.0.0.2", &[[127, 255, 255, 254]]), Listing::NotListed);
    }

    #[test]
    fn a_list_is_complained_about_once_in_an_hour() {
        let complaints = Complaints::default();
        let list = |name: &str| DnsList::parse(name).unwrap();
        let at = |seconds: u64| Instant::from_nanos(0) + Duration::from_secs(seconds);
        let about = |name: &str, now: u64| {
            complaints.about(&list(name), &format!("2.0.0.127.{name}"), [127, 255, 255, 254].into(), at(now))
        };
        let first = about("zen.example", 1).unwrap();
        assert!(first.starts_with("2.0.0.127.zen.example: RBL lookup error: 127.255.255.254 is no listing"));
        assert!(first.contains("remove zen.example"));
        assert_eq!(about("zen.example", 3600), None);
        assert!(about("other.example", 2).is_some());
        assert!(about("zen.example", 3601).is_some());
        // Many lists cost no more memory than some.
        for number in 0..2 * COMPLAINTS_MAX {
            assert!(about(&format!("l{number}.example"), 4000).is_some());
        }
        assert!(complaints.0.borrow().len() <= COMPLAINTS_MAX);
    }
}
