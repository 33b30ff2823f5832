//! `postscreen_dnsbl_sites`: DNS block and allow lists, and the score that their answers add up to.

use config::{Invalid, split_list};
use dnsbl::{Answers, DnsList, Listing};
use std::net::IpAddr;
use world::Record;

const PARAMETER: &str = "postscreen_dnsbl_sites";

/// A domain that is asked once for each client, and what its answers weigh.
#[derive(Clone, Debug)]
pub struct DnsblDomain {
    /// `list.example`, without filter.
    pub list: DnsList,
    weights: Vec<Weight>,
}

#[derive(Clone, Debug)]
struct Weight {
    /// With the filter that says which answers count.
    list: DnsList,
    weight: i64,
}

impl DnsblDomain {
    /// Reads `domain=filter*weight` items; equal domains become one.
    pub(crate) fn parse_list(text: &str) -> Result<Vec<Self>, Invalid> {
        let mut domains: Vec<Self> = Vec::new();
        for site in split_list(text) {
            let bad = |why: &str| Invalid::value(PARAMETER, site, why);
            let (list, weight) = match site.split_once('*') {
                Some((list, weight)) => {
                    let weight = weight.trim_start().parse::<i32>();
                    (list, weight.map_err(|_| bad("bad DNSBL weight factor, want a whole number, in"))?)
                }
                None => (site, 1),
            };
            let list =
                DnsList::parse(list).map_err(|why| bad(&format!("bad DNSBL filter syntax: {why}, in")))?;
            if !is_domain(&list.domain) {
                return Err(bad("bad DNSBL domain name in"));
            }
            let weight = Weight { list: list.clone(), weight: weight.into() };
            match domains.iter_mut().find(|known| known.list.domain == list.domain) {
                Some(known) => known.weights.push(weight),
                None => {
                    let list = DnsList { text: list.domain.clone(), filter: None, ..list };
                    domains.push(Self { list, weights: vec![weight] });
                }
            }
        }
        Ok(domains)
    }
}

/// The name under which a list has an address: `2.0.0.127.list.example`, or 32 nibbles.
#[must_use]
pub fn dnsbl_query(client: IpAddr, domain: &str) -> String {
    let reversed: String = match client {
        IpAddr::V4(v4) => v4.octets().iter().rev().map(|octet| format!("{octet}.")).collect(),
        IpAddr::V6(v6) => {
            v6.octets().iter().rev().map(|octet| format!("{:x}.{:x}.", octet & 15, octet >> 4)).collect()
        }
    };
    reversed + domain
}

/// Labels of letters, digits, hyphens and underscores, and no address.
fn is_domain(name: &str) -> bool {
    let is_label = |label: &str| {
        let is_inside = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        is_inside && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
    };
    let is_number = name.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    name.len() <= 255 && !is_number && name.split('.').all(is_label)
}

/// What all lists together say about a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Score {
    /// The sum of what counts.
    pub total: i64,
    /// How long that is good for, in seconds, if the answers said so.
    pub ttl_seconds: Option<i64>,
    /// The list whose weight is the largest.
    pub domain: Option<usize>,
}

/// What a list has answered.
#[derive(Clone, Copy, Debug)]
pub struct DnsblAnswer<'a> {
    /// Which answers may be listings.
    pub answers: Answers,
    /// The addresses.
    pub records: &'a [Record],
    /// How long that is good for, if the answer said so.
    pub ttl_seconds: Option<i64>,
}

/// Answers of lists, as they come in.
#[derive(Debug)]
pub struct Scoring {
    total: i64,
    /// The list of the largest weight so far, with that weight.
    heaviest: Option<(usize, i64)>,
    pass_ttl: Option<i64>,
    fail_ttl: Option<i64>,
    /// Lists that have not answered.
    pending: usize,
}

fn shorten(ttl: &mut Option<i64>, to: Option<i64>) {
    // An answer that does not say how long it is good for is good for the shortest time.
    let to = to.unwrap_or(-1);
    *ttl = Some(ttl.filter(|ttl| *ttl >= 0).map_or(to, |ttl| ttl.min(to)));
}

impl Scoring {
    /// So many lists are asked.
    #[must_use]
    pub const fn new(lists: usize) -> Self {
        Self { total: 0, heaviest: None, pass_ttl: None, fail_ttl: None, pending: lists }
    }

    /// A list, by its place in the settings, has answered: with records, or without when it does not have the client
    /// or could not be asked; and how long that is good for, in seconds, if that is known.
    pub fn answered(&mut self, (lists, at): (&[DnsblDomain], usize), answer: &DnsblAnswer<'_>) {
        self.pending = self.pending.saturating_sub(1);
        let Some(list) = lists.get(at) else { return };
        for Weight { list, weight } in &list.weights {
            if answer.answers.judge(list, answer.records) == Listing::Listed {
                if self.heaviest.is_none_or(|(_, heaviest)| heaviest < *weight) {
                    self.heaviest = Some((at, *weight));
                }
                self.total += weight;
            }
            let is_against = (*weight > 0) != answer.records.is_empty();
            let ttl = if is_against { &mut self.fail_ttl } else { &mut self.pass_ttl };
            shorten(ttl, answer.ttl_seconds);
        }
    }

    /// A list did not answer in time; the score is never complete.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.pending == 0
    }

    /// What is known by now.
    #[must_use]
    pub fn score(&self) -> Score {
        Score {
            total: self.total,
            ttl_seconds: (if self.total > 0 { self.fail_ttl } else { self.pass_ttl }).filter(|ttl| *ttl >= 0),
            domain: self.heaviest.map(|(at, _)| at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use world::RecordData;

    fn record(address: &str) -> Record {
        let data = RecordData::A(address.parse().unwrap());
        Record { name: String::new(), ttl_seconds: 1, data }
    }

    fn check(sites: &str, answers: &[(usize, &[&str], i64)], expected: (i64, Option<i64>, Option<&str>)) {
        let lists = DnsblDomain::parse_list(sites).unwrap();
        let mut scoring = Scoring::new(lists.len());
        for (at, addresses, ttl) in answers {
            let records: Vec<_> = addresses.iter().map(|address| record(address)).collect();
            let ttl_seconds = (*ttl >= 0).then_some(*ttl);
            let answer = DnsblAnswer { answers: Answers::Documented, records: &records, ttl_seconds };
            scoring.answered((&lists, *at), &answer);
        }
        let score = scoring.score();
        let name = score.domain.map(|at| lists[at].list.domain.as_str());
        assert_eq!((score.total, score.ttl_seconds, name), expected, "{sites} {answers:?}");
        assert_eq!(scoring.is_complete(), answers.len() == lists.len());
    }

    #[test]
    fn weights_of_what_matches_are_added() {
        let sites = "a.example*2, b.example=127.0.0.[2..4]*3 w.example*-4";
        let listed: &[&str] = &["127.0.0.2"];
        check(sites, &[(0, listed, 100), (1, listed, 50), (2, &[], 70)], (5, Some(50), Some("b.example")));
        check(sites, &[(0, listed, 100), (1, &["127.0.0.9"], 50)], (2, Some(50), Some("a.example")));
        check(sites, &[(2, listed, 30), (0, &[], 20), (1, &[], 99)], (-4, Some(20), Some("w.example")));
        check(sites, &[(0, &[], 20)], (0, Some(20), None));
        check(sites, &[(0, &[], -1)], (0, None, None));
        check(
            "a.example=127.0.0.2 a.example=127.0.0.3*5",
            &[(0, &["127.0.0.2", "127.0.0.3"], 9)],
            (6, Some(9), Some("a.example")),
        );
    }

    #[test]
    fn addresses_are_turned_round() {
        assert_eq!(dnsbl_query([192, 0, 2, 7].into(), "a.example"), "7.2.0.192.a.example");
        let v6 = dnsbl_query("2001:db8::1".parse().unwrap(), "a");
        assert_eq!(v6, "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.a");
    }

    #[test]
    fn what_is_no_list_is_refused_with_its_text() {
        let check = |site: &str, why: &str| {
            let error = DnsblDomain::parse_list(site).unwrap_err().to_string();
            assert!(error.contains(why) && error.contains(site), "{error}");
        };
        check("a.example*x", "bad DNSBL weight factor");
        check("a.example*1.5", "bad DNSBL weight factor");
        check("a.example=127.0.0", "bad DNSBL filter syntax");
        check("a_.-x.example", "bad DNSBL domain name");
        check("192.0.2.1", "bad DNSBL domain name");
        check("a..example", "bad DNSBL domain name");
    }
}
