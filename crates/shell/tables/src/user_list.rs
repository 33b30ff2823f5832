//! authorized_submit_users and its kin: who may (postconf(5) `authorized_submit_users`), and under which sender address
//! (postconf(5) `local_login_sender_maps`).
//!
//! The lists are main.cf's and not the caller's, so their tables are opened with the rights that the program has. Only tables
//! that answer at once: programs of users connect to nothing for their callers.

use crate::Registry;
use config::{Values, params as p, params::Id};
use maillog::Logger;
use maps::{ExtensionRules, LoginSenders, Maps, StringList};
use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};
use types::Trouble;

/// Whether a parameter's list has a user, by login name; the first item that matches decides.
///
/// # Errors
/// A table or file that cannot be asked, or an item that is not understood: it lets nobody in.
pub fn is_user_listed(values: &Values, parameter: Id, user: &str, logger: Logger) -> Result<bool, String> {
    let list = StringList::open(parameter.name(), values.text(parameter), &Registry::new(values, logger));
    at_once(parameter, list.matches(user.as_bytes()))
}

/// Whether `local_login_sender_maps` lets a user send as `sender`, an address in internal form. Where it has its default,
/// everybody may, and no table is opened.
///
/// # Errors
/// A table that cannot be asked: the sender is to try again.
pub fn may_use_sender(values: &Values, login: &str, sender: &[u8], logger: Logger) -> Result<bool, String> {
    let parameter = p::local_login_sender_maps;
    let list = values.text(parameter);
    if list == "static:*" {
        return Ok(true);
    }
    let maps = Maps::open(parameter.name(), list, &Registry::new(values, logger));
    let extensions = ExtensionRules {
        recipient_delimiter: values.text(p::recipient_delimiter).as_bytes().into(),
        owner_request_special: values.bool(p::owner_request_special),
        double_bounce_sender: values.text(p::double_bounce_sender).as_bytes().into(),
    };
    let empty_address = values.text(p::empty_address_local_login_sender_maps_lookup_key);
    let senders = LoginSenders { maps: &maps, extensions: &extensions, empty_address };
    at_once(parameter, senders.allow(login, sender))
}

fn at_once(parameter: Id, answer: impl Future<Output = Result<bool, Trouble>>) -> Result<bool, String> {
    match pin!(answer).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(is_allowed)) => Ok(is_allowed),
        Poll::Ready(Err(trouble)) => Err(trouble.to_string()),
        Poll::Pending => Err(format!("{}: a table that must be waited for", parameter.name())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use maillog::{Line, Sink};
    use std::rc::Rc;

    struct Nowhere;

    impl Sink for Nowhere {
        fn write(&self, _line: Line<'_>) {}
    }

    #[test]
    fn the_first_match_decides_and_what_is_not_understood_lets_nobody_in() {
        let check = |list: &str, user: &str, expected: Result<bool, ()>| {
            let values = Values::for_tests(&[("authorized_submit_users", list)]);
            let logger = Logger::new(Rc::new(Nowhere), "postfix/postdrop", 1);
            let found = is_user_listed(&values, p::authorized_submit_users, user, logger).map_err(drop);
            assert_eq!(found, expected, "{list}");
        };
        check("static:anyone", "x", Ok(true));
        check("!alice, static:all", "alice", Ok(false));
        check("!alice, static:all", "bob", Ok(true));
        check("alice bob", "bob", Ok(true));
        check("alice bob", "eve", Ok(false));
        check("", "eve", Ok(false));
        check("inline:{bob=x}", "bob", Ok(true));
        check("inline:{bob=x}", "eve", Ok(false));
        check("!inline:{bob=x}, static:all", "bob", Ok(false));
        check("/no/such/file", "eve", Err(()));
        check("hash:/no/such/table", "eve", Err(()));
        check("nonsense:/etc/x", "eve", Err(()));
    }

    #[test]
    fn senders_are_free_until_a_table_says_otherwise() {
        let check = |maps: &str, sender: &str, expected: Result<bool, ()>| {
            let values =
                Values::for_tests(&[("local_login_sender_maps", maps), ("recipient_delimiter", "+")]);
            let logger = Logger::new(Rc::new(Nowhere), "postfix/postdrop", 1);
            let found = may_use_sender(&values, "bob", sender.as_bytes(), logger).map_err(drop);
            assert_eq!(found, expected, "{maps} {sender}");
        };
        check("static:*", "eve@example.com", Ok(true));
        check("", "bob@example.com", Ok(false));
        check("inline:{bob=bob@example.com}", "bob+x@example.com", Ok(true));
        check("inline:{bob=bob@example.com}", "", Ok(false));
        check("inline:{alice=*}, inline:{ {bob = <> @example.com} }", "", Ok(true));
        check("inline:{alice=*}", "bob", Ok(false));
        check("fail:broken", "bob", Err(()));
        check("hash:/no/such/table", "bob", Err(()));
    }
}
