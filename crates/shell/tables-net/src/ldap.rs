//! `ldap:/file/name` (ldap_table(5)): searches in a directory, with the entries that entries point to.
//!
//! ```text
//! key ─▶ domain list ─▶ templates ─▶ search ─▶ entries ─▶ values in order, each pointer searched where it stands
//! ```
//!
//! The messages are `ldap3_proto`'s; connections, limits and what the attributes mean are ours. The protocol is version 3
//! whatever `version` says: today's servers refuse version 2.

mod connection;
mod filter;
mod settings;
mod url;

use crate::{
    Remote,
    pool::{ALL_IN_USE, Pool, Taken},
    query::{Query, too_long},
    security::Security,
};
use bstr::ByteSlice;
use connection::{Connection, Failure, Search, Unready, Way};
use ldap3_proto::proto::{LdapResultCode, LdapSearchResultEntry, LdapSearchScope};
use settings::{Class, Settings};
use std::{collections::VecDeque, rc::Rc, time::Duration};
use tables::OpenError;
use types::{Lookup, Trouble};
use url::LdapUrl;
use world::{Answer, Dns, Table, Tables, World};

/// How long a connection may be idle, and how long it is used at all. Postfix keeps one for as long as its process lives.
const IDLE_MAX: Duration = Duration::from_secs(60);
const AGE_MAX: Duration = Duration::from_secs(1000);

struct Ldap<W: World> {
    /// Its templates are `search_base` and `query_filter`, in this order.
    query: Query,
    settings: Settings,
    security: Option<Security>,
    pool: Rc<Pool<Connection<W::Stream>>>,
    world: W,
    hosts: Rc<dyn Dns>,
    reply_max: usize,
}

pub(crate) fn open<W: World>(
    remote: &Remote<W>,
    name: &str,
    tables: &dyn Tables,
) -> Result<Rc<dyn Table>, OpenError> {
    let (mut settings, templates, source) = Settings::read(name, &remote.main)?;
    let security = settings.wanted.take().map(|wanted| Security::new(wanted, &remote.logger)).transpose();
    let security = security.map_err(|why| OpenError::new(format!("ldap:{why}")))?;
    Ok(Rc::new(Ldap {
        query: Query::open("ldap", &source, (templates, 0), tables, &remote.logger)?,
        settings,
        security,
        pool: Pool::new(remote.limits.connections_max, IDLE_MAX, AGE_MAX),
        world: remote.world.clone(),
        hosts: Rc::clone(&remote.hosts),
        reply_max: remote.limits.reply_max,
    }))
}

/// What is left to do for an answer, in the order in which its values stand.
enum Step {
    Value(Vec<u8>),
    /// A search that an entry asks for, and how deep.
    Search(Search, u64),
}

impl<W: World> Ldap<W> {
    async fn find(&self, key: &[u8]) -> Lookup {
        if let Some(answer) = self.query.unasked(key).await {
            return answer;
        }
        if std::str::from_utf8(key).is_err() {
            return Lookup::Absent;
        }
        let values = match self.values(key).await {
            Ok(values) => values,
            Err(why) => return self.trouble(&why),
        };
        let joined = self.query.join(key, values.iter().map(Vec::as_slice));
        joined.unwrap_or_else(|why| self.trouble(&format!("dict_ldap: {why}")))
    }

    fn trouble(&self, why: &str) -> Lookup {
        self.query.logger.warning(why);
        Lookup::TryAgain(Trouble::new(format!("{}: {why}", self.query.name)))
    }

    /// All values that the search and what it leads to give.
    async fn values(&self, key: &[u8]) -> Result<Vec<Vec<u8>>, String> {
        let mut steps = VecDeque::from([Step::Search(self.first_search(key)?, 1)]);
        let (mut values, mut bytes) = (Vec::new(), 0_usize);
        let mut connection = self.connection().await?;
        let mut is_first = true;
        while let Some(step) = steps.pop_front() {
            match step {
                Step::Value(value) => {
                    bytes = bytes.saturating_add(value.len());
                    if bytes > self.reply_max {
                        return Err(format!("{}: {}", self.query.name, too_long(self.reply_max)));
                    }
                    values.push(value);
                }
                Step::Search(search, depth) => {
                    let mut answer = self.search(&mut connection, &search).await;
                    if matches!(answer, Err(Failure::Lost(_))) && is_first {
                        // The server may have been started anew since the last look-up.
                        self.pool.close_idle();
                        connection = self.connection().await?;
                        answer = self.search(&mut connection, &search).await;
                    }
                    is_first = false;
                    let entries = self.judge(answer, &search, depth)?;
                    for step in self.steps(entries, depth)?.into_iter().rev() {
                        steps.push_front(step);
                    }
                }
            }
        }
        self.pool.keep(&self.world, connection);
        Ok(values)
    }

    fn first_search(&self, key: &[u8]) -> Result<Search, String> {
        let text = |bytes: Option<Vec<u8>>| bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        let base = text(self.query.templates.query_nth(0, key, &|piece| Some(quote_dn(piece))));
        let filter = text(self.query.templates.query_nth(1, key, &|piece| Some(quote_filter(piece))));
        let (Some(base), Some(filter)) = (base, filter) else {
            return Err(format!("{}: the key cannot be part of a search", self.query.name));
        };
        let attributes = self.settings.attributes.all();
        Ok(Search { base, scope: self.settings.scope.clone(), filter, attributes })
    }

    async fn search(
        &self,
        connection: &mut Taken<Connection<W::Stream>>,
        search: &Search,
    ) -> Result<Vec<LdapSearchResultEntry>, Failure> {
        let searching = connection.connection.search(search, &self.settings);
        let lost = || Failure::Lost("no answer in time".to_owned());
        self.world.timeout(self.settings.timeout, searching).await.unwrap_or_else(|| Err(lost()))
    }

    /// The entries of a search, where its failure is not simply nothing found.
    fn judge(
        &self,
        answer: Result<Vec<LdapSearchResultEntry>, Failure>,
        search: &Search,
        depth: u64,
    ) -> Result<Vec<LdapSearchResultEntry>, String> {
        let (code, text) = match answer {
            Ok(entries) => {
                let count = u64::try_from(entries.len()).unwrap_or(u64::MAX);
                let limit = self.settings.size_limit;
                if limit != 0 && count > limit {
                    return Err(format!(
                        "dict_ldap[{depth}]: {}: Query size limit ({limit}) exceeded",
                        self.query.file
                    ));
                }
                return Ok(entries);
            }
            Err(Failure::Lost(why)) => {
                return Err(format!("dict_ldap: {}: Search error: {why}", self.query.file));
            }
            Err(Failure::Result(code, text)) => (code, text),
        };
        if code == LdapResultCode::NoSuchObject && depth > 1 {
            let base = &search.base;
            self.query.logger.warning(&format!("dict_ldap[{depth}]: DN {base} not found, skipping"));
            return Ok(Vec::new());
        }
        if code == LdapResultCode::NoSuchObject && self.settings.is_base_dynamic {
            return Ok(Vec::new());
        }
        if code == LdapResultCode::NoSuchObject {
            return Err(format!(
                "dict_ldap: {}: Search base '{}' not found: {text}",
                self.query.file, search.base
            ));
        }
        Err(format!("dict_ldap: {}: Search error {text}", self.query.file))
    }

    /// What entries give, and what they point to.
    fn steps(&self, entries: Vec<LdapSearchResultEntry>, depth: u64) -> Result<Vec<Step>, String> {
        let wanted = &self.settings.attributes;
        let mut steps = Vec::new();
        for entry in entries {
            let has = |class| {
                entry.attributes.iter().any(|a| wanted.class(&a.atype) == Some(class) && !a.vals.is_empty())
            };
            let (is_terminal, is_leaf) = (has(Class::Terminal), !has(Class::Special));
            for attribute in entry.attributes {
                let Some(class) = wanted.class(&attribute.atype).filter(|_| !attribute.vals.is_empty())
                else {
                    continue;
                };
                let is_value = match class {
                    Class::Terminal => true,
                    Class::Leaf => is_leaf && !is_terminal,
                    Class::Regular => !is_terminal,
                    Class::Special => false,
                };
                if is_value {
                    steps.extend(attribute.vals.into_iter().map(Step::Value));
                } else if class == Class::Special && !is_terminal {
                    self.follow(&attribute.atype, &attribute.vals, depth, &mut steps)?;
                }
            }
        }
        Ok(steps)
    }

    /// The searches that the values of a special attribute name.
    fn follow(
        &self,
        name: &str,
        values: &[Vec<u8>],
        depth: u64,
        steps: &mut Vec<Step>,
    ) -> Result<(), String> {
        if depth >= self.settings.recursion_limit {
            let value = values.first().map(|value| maillog::printable(value)).unwrap_or_default();
            return Err(format!(
                "dict_ldap[{depth}]: {}: Recursion limit exceeded for special attribute {name}={value}",
                self.query.file
            ));
        }
        for value in values {
            let text = value.to_str().map_err(|_| format!("{}: {name} is not UTF-8", self.query.file))?;
            let Some(url) = LdapUrl::parse(text) else {
                let (base, scope) = (text.to_owned(), LdapSearchScope::Base);
                let (filter, attributes) = ("(objectclass=*)".to_owned(), self.settings.attributes.all());
                steps.push(Step::Search(Search { base, scope, filter, attributes }, depth + 1));
                continue;
            };
            let url = url.map_err(|why| format!("dict_ldap[{depth}]: malformed URL {text}: {why}"))?;
            let attributes = self.settings.attributes.among(&url.attributes);
            // A URL that hides all that is wanted gives nothing.
            if !attributes.is_empty() {
                let LdapUrl { base, scope, filter, .. } = url;
                steps.push(Step::Search(Search { base, scope, filter, attributes }, depth + 1));
            }
        }
        Ok(())
    }

    async fn connection(&self) -> Result<Taken<Connection<W::Stream>>, String> {
        let taken = self.pool.connection(&self.world, self.settings.timeout, self.connect()).await;
        taken.unwrap_or_else(|| Err(format!("dict_ldap: {}: {ALL_IN_USE}", self.query.file)))
    }

    /// To the first server that is there and takes our name.
    async fn connect(&self) -> Result<Connection<W::Stream>, String> {
        let limit = self.settings.timeout;
        let mut failed = "server_host names no server".to_owned();
        for place in &self.settings.servers {
            let shown = &place.shown;
            let stream = match place.server.connect(&self.world, &self.hosts, limit).await {
                Ok(stream) => stream,
                Err(error) => {
                    let why = tables::errno_text(&error);
                    failed = format!("dict_ldap: Unable to connect to LDAP server {shown}: {why}");
                    continue;
                }
            };
            let bind = self.settings.bind.as_ref();
            let security = self.security.as_ref().filter(|_| place.is_tls || self.settings.start_tls);
            let (is_tls, host, now) = (place.is_tls, place.host.as_str(), self.world.wall());
            let opening = Connection::open(stream, Way { security, is_tls, host, now, bind });
            let late = || Err(Unready::NotBound("no answer in time".to_owned()));
            match self.world.timeout(limit, opening).await.unwrap_or_else(late) {
                Ok(connection) => return Ok(connection),
                Err(Unready::NoTls(why)) => {
                    failed = format!("dict_ldap_connect: Unable to set STARTTLS: {why}");
                }
                Err(Unready::NotBound(why)) => {
                    let dn = bind.map(|bind| bind.dn.as_str()).filter(|dn| !dn.is_empty());
                    let dn = dn.unwrap_or("empty or implicit");
                    failed = format!("dict_ldap: Unable to bind to server {shown} with dn {dn}: {why}");
                }
            }
        }
        Err(failed)
    }
}

/// A piece of a key within a distinguished name (RFC 4514 section 2.4).
fn quote_dn(piece: &[u8]) -> Vec<u8> {
    quote(piece, b" \t\"#+,;<>=\\")
}

/// A piece of a key within a filter (RFC 4515 section 3).
fn quote_filter(piece: &[u8]) -> Vec<u8> {
    quote(piece, b"*()\\")
}

fn quote(piece: &[u8], special: &[u8]) -> Vec<u8> {
    let mut quoted = Vec::with_capacity(piece.len());
    for byte in piece {
        if special.contains(byte) {
            quoted.extend(format!("\\{byte:02X}").into_bytes());
        } else {
            quoted.push(*byte);
        }
    }
    quoted
}

impl<W: World> Table for Ldap<W> {
    fn name(&self) -> &str {
        &self.query.name
    }

    fn lookup<'a>(&'a self, key: &'a [u8]) -> Answer<'a, Lookup> {
        Answer::later(self.find(key))
    }
}

#[cfg(test)]
mod tests {
    use super::{settings::Attributes, *};

    #[test]
    fn keys_stay_within_their_place() {
        assert_eq!(quote_filter(b"a*(b)\\c"), b"a\\2A\\28b\\29\\5Cc");
        assert_eq!(quote_dn(b"x, y=z"), b"x\\2C\\20y\\3Dz");
    }

    #[test]
    fn attributes_with_options_are_the_attribute() {
        let attributes = Attributes::new([&["end"], &["leaf"], &["mail"], &["member"]]);
        let check = |name: &str, class| assert_eq!(attributes.class(name), class, "{name}");
        check("MAIL;lang-de", Some(Class::Regular));
        check("mailbox", None);
        check("end", Some(Class::Terminal));
        check("Member", Some(Class::Special));
        assert_eq!(attributes.among(&["mail;lang-de".into(), "x".into()]), ["mail;lang-de"]);
        assert_eq!(attributes.among(&[]), ["end", "leaf", "mail", "member"]);
    }
}
