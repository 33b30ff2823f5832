//! authorized_submit_users and its kin: who may (postconf(5) `authorized_submit_users`).
//!
//! The list is main.cf's and not the caller's, so its tables are opened with the rights that the program has. Only tables
//! that answer at once: programs of users connect to nothing for their callers.

use crate::Registry;
use config::{Values, params::Id};
use maillog::Logger;
use maps::StringList;
use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

/// Whether a parameter's list has a user, by login name; the first item that matches decides.
///
/// # Errors
/// A table or file that cannot be asked, or an item that is not understood: it lets nobody in.
pub fn is_user_listed(values: &Values, parameter: Id, user: &str, logger: Logger) -> Result<bool, String> {
    let list = StringList::open(parameter.name(), values.text(parameter), &Registry::new(values, logger));
    match pin!(list.matches(user.as_bytes())).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(is_listed)) => Ok(is_listed),
        Poll::Ready(Err(trouble)) => Err(trouble.to_string()),
        Poll::Pending => Err(format!("{}: a table that must be waited for", parameter.name())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use config::params as p;
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
}
