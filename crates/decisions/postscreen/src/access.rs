//! `postscreen_access_list`: clients that are let through or turned away before any test.

use maillog::Logger;
use maps::{NameAddrList, split_list};
use std::rc::Rc;
use types::Lookup;
use world::{Table, Tables};

const PARAMETER: &str = "postscreen_access_list";

/// What the list says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    Permit,
    Reject,
    /// Nothing.
    Dunno,
}

enum Item {
    Table(Rc<dyn Table>),
    Word(Box<str>),
}

pub(crate) struct AccessList {
    items: Box<[Item]>,
    mynetworks: NameAddrList,
}

/// What one item says; the walk ends with anything but `Next`.
enum Said {
    Next,
    End(Access),
}

impl AccessList {
    pub(crate) fn open(list: &str, mynetworks: NameAddrList, tables: &dyn Tables) -> Self {
        let item = |text: &str| match text.contains(':') {
            true => Item::Table(tables.open(text)),
            false => Item::Word(text.into()),
        };
        Self { items: split_list(list).map(item).collect(), mynetworks }
    }

    /// Asks for a client. Trouble decides nothing, and is warned about.
    pub(crate) async fn ask(&self, client: &str, log: &Logger) -> Access {
        for item in &self.items {
            let said = match item {
                Item::Word(word) => self.word(PARAMETER, word, client, log).await,
                Item::Table(table) => self.table(table.as_ref(), client, log).await,
            };
            if let Said::End(access) = said {
                return access;
            }
        }
        Access::Dunno
    }

    async fn word(&self, origin: &str, word: &str, client: &str, log: &Logger) -> Said {
        let is = |name: &str| word.eq_ignore_ascii_case(name);
        if is("reject") {
            Said::End(Access::Reject)
        } else if is("permit") {
            Said::End(Access::Permit)
        } else if is("dunno") {
            Said::End(Access::Dunno)
        } else if is("permit_mynetworks") {
            match self.mynetworks.matches_address(client).await {
                Ok(true) => Said::End(Access::Permit),
                Ok(false) => Said::Next,
                Err(trouble) => {
                    log.warning(&format!(
                        "{origin}: {word}: mynetworks lookup error -- ignoring the remainder of this access \
                         list: {trouble}"
                    ));
                    Said::End(Access::Dunno)
                }
            }
        } else {
            log.warning(&format!(
                "{origin}: unknown command: {word} -- ignoring the remainder of this access list"
            ));
            Said::End(Access::Dunno)
        }
    }

    async fn table(&self, table: &dyn Table, client: &str, log: &Logger) -> Said {
        let name = table.name();
        let value = match table.lookup(client.as_bytes()).await {
            Lookup::Found(value) => value,
            Lookup::Absent => return Said::Next,
            Lookup::TryAgain(trouble) => {
                log.warning(&format!(
                    "{PARAMETER}: {name}: table lookup error -- ignoring the remainder of this access list: \
                     {trouble}"
                ));
                return Said::End(Access::Dunno);
            }
        };
        for word in split_list(&String::from_utf8_lossy(&value)) {
            if word.contains(':') {
                log.warning(&format!(
                    "table {name}: lookup result \"{word}\" is not allowed -- ignoring remainder of access list"
                ));
                return Said::Next;
            }
            match self.word(name, word, client, log).await {
                Said::Next => {}
                // What a table says nothing about is left to the items behind it; an unknown word is not.
                Said::End(Access::Dunno) if word.eq_ignore_ascii_case("dunno") => return Said::Next,
                end @ Said::End(_) => return end,
            }
        }
        Said::Next
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::tests_support::Lines;
    use maps::ParentStyle;
    use world::testing::{FakeTables, now};

    fn check(list: &str, client: &str, expected: Access, warned: &str) {
        let tables = FakeTables::new(&[
            ("cidr:t", "192.0.2.1", "reject"),
            ("cidr:t", "192.0.2.2", "dunno"),
            ("cidr:t", "192.0.2.3", "permit_mynetworks, reject"),
            ("cidr:t", "192.0.2.4", "hash:x"),
            ("cidr:t", "192.0.2.5", "what"),
        ]);
        let mynetworks =
            NameAddrList::open("mynetworks", ParentStyle::DotParent, "127.0.0.0/8 192.0.2.3", &tables);
        let (log, lines) = Lines::logger();
        let access = now(AccessList::open(list, mynetworks, &tables).ask(client, &log));
        assert_eq!(access, expected, "{list} {client}");
        assert_eq!(lines.text(), warned, "{list} {client}");
    }

    #[test]
    fn items_are_asked_in_order() {
        check("permit_mynetworks", "127.0.0.5", Access::Permit, "");
        check("permit_mynetworks", "192.0.2.1", Access::Dunno, "");
        check("permit_mynetworks, reject", "192.0.2.9", Access::Reject, "");
        check("cidr:t, permit", "192.0.2.1", Access::Reject, "");
        check("cidr:t, permit", "192.0.2.2", Access::Permit, "");
        check("cidr:t", "192.0.2.3", Access::Permit, "");
        check("dunno, reject", "192.0.2.1", Access::Dunno, "");
    }

    #[test]
    fn what_is_not_understood_decides_nothing() {
        check(
            "cidr:t, reject",
            "192.0.2.5",
            Access::Dunno,
            "cidr:t: unknown command: what -- ignoring the remainder of this access list",
        );
        check(
            "cidr:t",
            "192.0.2.4",
            Access::Dunno,
            "table cidr:t: lookup result \"hash:x\" is not allowed -- ignoring remainder of access list",
        );
        check(
            "fail:t reject",
            "192.0.2.4",
            Access::Dunno,
            "postscreen_access_list: fail:t: table lookup error -- ignoring the remainder of this access list: \
             always",
        );
    }
}
