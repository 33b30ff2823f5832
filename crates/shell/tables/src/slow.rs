//! What may block, hang or crash: the system's databases through NSS, regular expressions that look back or remember,
//! SQLite. In the mail system an expendable process does it under a deadline; a tool does it itself.

use crate::{Options, Source, freshness::Fresh, sqlite, users};
use std::{cell::RefCell, collections::HashMap, rc::Rc};
use types::{Lookup, Trouble};
use world::{Answer, UserEntry};

/// A question that may take long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// A key in a table.
    Table {
        /// `regexp` or `unix`
        map_type: String,
        /// What follows the type.
        name: String,
        /// Whether `$number` stands for what was matched.
        substitution: bool,
        /// The key.
        key: Vec<u8>,
    },
    /// A user by login name.
    UserByName(String),
    /// A user by number.
    UserByUid(u32),
    /// All rows of a query.
    Rows {
        /// The file of an SQLite database.
        database: String,
        /// SQL.
        query: Vec<u8>,
    },
}

/// The longest request and the longest answer, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// What is found: for a table one value, for a user the fields of passwd(5), for rows all columns of all of them.
pub type Found = Lookup<Vec<Vec<u8>>>;

/// Whoever answers such questions.
pub trait Slow {
    /// Answers, within its time limit.
    fn ask(&self, request: Request) -> Answer<'_, Found>;
}

/// Answers in this process, for tools and for worlds without processes.
#[derive(Default)]
pub struct Direct(RefCell<Performer>);

impl Slow for Direct {
    fn ask(&self, request: Request) -> Answer<'_, Found> {
        Answer::ready(self.0.borrow_mut().perform(&request))
    }
}

/// Does the work, and keeps tables open for the next time.
#[derive(Default)]
pub struct Performer {
    tables: HashMap<(String, String, bool), Result<Fresh, Trouble>>,
    databases: sqlite::Databases,
}

impl Performer {
    /// Answers one question.
    pub fn perform(&mut self, request: &Request) -> Found {
        match request {
            Request::Table { map_type, name, substitution, key } => {
                self.table(map_type, name, *substitution, key).map(|value| vec![value])
            }
            Request::UserByName(name) => users::by_name(name).map(|user| users::to_fields(&user)),
            Request::UserByUid(uid) => users::by_uid(*uid).map(|user| users::to_fields(&user)),
            Request::Rows { database, query } => match self.databases.query(database, query) {
                Ok(values) => Lookup::Found(values),
                Err(why) => Lookup::TryAgain(Trouble::new(why)),
            },
        }
    }

    fn table(&mut self, map_type: &str, name: &str, substitution: bool, key: &[u8]) -> Lookup {
        let place = (map_type.to_owned(), name.to_owned(), substitution);
        let opened = self.tables.entry(place).or_insert_with(|| {
            // Whoever asks has opened the table too, and said what is wrong with its lines.
            let options = Options { substitution, ..Options::new(Rc::new(|_| {})) };
            Fresh::open(map_type, name, &options).map_err(|error| Trouble::new(error.to_string()))
        });
        match opened {
            Ok(table) => table.get(key),
            Err(trouble) => {
                let trouble = trouble.clone();
                // The file may be there the next time.
                self.tables.retain(|_, table| table.is_ok());
                Lookup::TryAgain(trouble)
            }
        }
    }
}

/// A table whose look-ups somebody else does, where they could take long.
pub(crate) struct Elsewhere {
    pub(crate) map_type: String,
    pub(crate) name: String,
    pub(crate) substitution: bool,
    pub(crate) slow: Rc<dyn Slow>,
}

impl Elsewhere {
    pub(crate) async fn find(&self, key: &[u8]) -> Lookup {
        let (map_type, name, substitution) = (self.map_type.clone(), self.name.clone(), self.substitution);
        let request = Request::Table { map_type, name, substitution, key: key.to_vec() };
        match self.slow.ask(request).await {
            Lookup::Found(values) => values.into_iter().next().map_or(Lookup::Absent, Lookup::Found),
            Lookup::Absent => Lookup::Absent,
            Lookup::TryAgain(trouble) => Lookup::TryAgain(trouble),
        }
    }
}

impl Request {
    /// The request as bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Table { map_type, name, substitution, key } => {
                out.push(if *substitution { 1 } else { 0 });
                fields(&mut out, [map_type.as_bytes(), name.as_bytes(), key]);
            }
            Self::UserByName(name) => {
                out.push(2);
                fields(&mut out, [name.as_bytes()]);
            }
            Self::UserByUid(uid) => {
                out.push(3);
                fields(&mut out, [uid.to_string().as_bytes()]);
            }
            Self::Rows { database, query } => {
                out.push(4);
                fields(&mut out, [database.as_bytes(), query]);
            }
        }
        out
    }

    /// Reads a request; `None` when it is none.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
        match (kind, parse_fields(rest)?.as_slice()) {
            (kind @ 0..=1, [map_type, name, key]) => Some(Self::Table {
                map_type: text(map_type)?,
                name: text(name)?,
                substitution: *kind == 1,
                key: key.clone(),
            }),
            (2, [name]) => Some(Self::UserByName(text(name)?)),
            (3, [uid]) => Some(Self::UserByUid(text(uid)?.parse().ok()?)),
            (4, [database, query]) => Some(Self::Rows { database: text(database)?, query: query.clone() }),
            _ => None,
        }
    }
}

/// An answer as bytes.
#[must_use]
pub fn encode_found(found: &Found) -> Vec<u8> {
    let mut out = Vec::new();
    match found {
        Lookup::Found(values) => {
            out.push(0);
            fields(&mut out, values.iter().map(Vec::as_slice));
        }
        Lookup::Absent => out.push(1),
        Lookup::TryAgain(trouble) => {
            out.push(2);
            fields(&mut out, [trouble.to_string().as_bytes()]);
        }
    }
    out
}

/// Reads an answer; `None` when it is none.
#[must_use]
pub fn decode_found(bytes: &[u8]) -> Option<Found> {
    let (kind, rest) = bytes.split_first()?;
    let mut values = parse_fields(rest)?;
    match (kind, values.len()) {
        (0, _) => Some(Lookup::Found(values)),
        (1, 0) => Some(Lookup::Absent),
        (2, 1) => {
            Some(Lookup::TryAgain(Trouble::new(String::from_utf8_lossy(&values.remove(0)).into_owned())))
        }
        _ => None,
    }
}

fn fields<'a>(out: &mut Vec<u8>, fields: impl IntoIterator<Item = &'a [u8]>) {
    for field in fields {
        out.extend(u32::try_from(field.len()).unwrap_or(u32::MAX).to_be_bytes());
        out.extend_from_slice(field);
    }
}

fn parse_fields(mut bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (field, rest) = rest.split_at_checked(length)?;
        fields.push(field.to_vec());
        bytes = rest;
    }
    Some(fields)
}

/// Users as [`world::Users`] gives them, through whoever may wait for NSS.
#[derive(Clone)]
pub struct SystemUsers {
    slow: Rc<dyn Slow>,
    is_at_hand: bool,
}

impl SystemUsers {
    /// `nsswitch` is the text of /etc/nsswitch.conf: where all users are in files, nobody has to wait.
    pub fn new(slow: Rc<dyn Slow>, nsswitch: &str) -> Self {
        Self { slow, is_at_hand: users::are_in_files(nsswitch, "passwd") }
    }

    async fn ask(&self, request: Request) -> Lookup<UserEntry> {
        match self.slow.ask(request).await {
            Lookup::Found(fields) => users::from_fields(&fields).map_or_else(
                || Lookup::TryAgain(Trouble::new("user lookup: an answer that is no user".to_owned())),
                Lookup::Found,
            ),
            Lookup::Absent => Lookup::Absent,
            Lookup::TryAgain(trouble) => Lookup::TryAgain(trouble),
        }
    }
}

impl world::Users for SystemUsers {
    fn by_name<'a>(&'a self, name: &'a str) -> Answer<'a, Lookup<UserEntry>> {
        if self.is_at_hand {
            return Answer::ready(users::by_name(name));
        }
        Answer::later(self.ask(Request::UserByName(name.to_owned())))
    }

    fn by_uid(&self, uid: u32) -> Answer<'_, Lookup<UserEntry>> {
        if self.is_at_hand {
            return Answer::ready(users::by_uid(uid));
        }
        Answer::later(self.ask(Request::UserByUid(uid)))
    }
}

/// The text of /etc/nsswitch.conf; where there is none, the C library looks in files.
#[must_use]
pub fn nsswitch() -> String {
    std::fs::read_to_string("/etc/nsswitch.conf").unwrap_or_else(|_| "passwd: files".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn requests_and_answers_survive_the_way() {
        let key = vec![0, 255, b'\n'];
        let requests = [
            Request::Table { map_type: "regexp".into(), name: "/x".into(), substitution: true, key },
            Request::UserByName("jo".into()),
            Request::UserByUid(7),
            Request::Rows { database: "/d".into(), query: b"SELECT 1".to_vec() },
        ];
        for request in requests {
            assert_eq!(Request::decode(&request.encode()), Some(request));
        }
        let answers = [
            Lookup::Found(vec![b"a".to_vec(), Vec::new()]),
            Lookup::Found(Vec::new()),
            Lookup::Absent,
            Lookup::TryAgain(Trouble::new("why".to_owned())),
        ];
        for answer in answers {
            assert_eq!(decode_found(&encode_found(&answer)), Some(answer));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_request_or_none(bytes: Vec<u8>) {
            let _ = Request::decode(&bytes);
            let _ = decode_found(&bytes);
        }
    }
}
