//! Clients, and accounts, that do too much.

use super::Session;
use crate::client_limits::{Counters, Excess};
use anvil::Event;
use config::NotifyClasses;
use std::rc::Rc;
use types::{Dsn, Reply};

impl Session {
    /// The same session, counted.
    #[must_use]
    pub fn counted_by(self, counters: &Rc<Counters>) -> Self {
        Self { counters: Some(Rc::clone(counters)), ..self }
    }

    /// Counts the connection of a client that is not excepted, and of the account that XCLIENT says has logged in;
    /// true if it is refused.
    pub(super) fn is_one_too_many(&mut self) -> bool {
        let login = self.peer.login.clone();
        let refusal = match self.client_refusal() {
            None => login.and_then(|login| self.logged_in(&login.username).err()),
            refusal => refusal,
        };
        refusal.inspect(|reply| self.reply(reply)).is_some()
    }

    fn client_refusal(&mut self) -> Option<Reply> {
        let counters = self.counters.clone().filter(|_| self.is_counted)?;
        let limits = &self.settings.client_limits;
        let excess = self.tickets.connect(&counters, limits, (self.peer.address, self.now))?;
        self.warn_of(&excess, &counters);
        if excess.is_of_connections() {
            self.history.note(NotifyClasses::POLICY);
        }
        Some(self.too_many_connections(&self.peer.client.address))
    }

    /// The client has logged in as `account`.
    ///
    /// # Errors
    /// The reply where this is one session or login too many; the session ends with it.
    pub fn logged_in(&mut self, account: &str) -> Result<(), Reply> {
        let Some(counters) = self.counters.clone() else { return Ok(()) };
        let limits = &self.settings.client_limits;
        let Some(excess) = self.tickets.log_in(&counters, limits, (account, self.now)) else { return Ok(()) };
        self.warn_of(&excess, &counters);
        Err(self.too_many_connections(account))
    }

    fn too_many_connections(&self, who: &str) -> Reply {
        let text = format!("{} Error: too many connections from {who}", self.settings.myhostname);
        Reply::new(421, Dsn::temporary(7, 0), text)
    }

    /// Counts an event; the reply where it is one too many. `text` says of what, up to who it is.
    pub(super) fn too_often(&self, event: Event, text: &str) -> Option<Reply> {
        let counters = self.counters.as_ref()?;
        let excess = self.tickets.count(&self.settings.client_limits, event, self.now)?;
        self.warn_of(&excess, counters);
        let who = excess.account.as_deref().unwrap_or(&self.peer.client.address);
        Some(Reply::new(450, Dsn::temporary(7, 1), format!("Error: {text} from {who}")))
    }

    /// Refuses what is one too many.
    pub(super) fn refuse_excess(&mut self, reply: &Reply) {
        self.history.note(NotifyClasses::POLICY);
        self.refuse(reply);
    }

    fn warn_of(&self, excess: &Excess, counters: &Counters) {
        self.warn(format_args!("{}", excess.line(&self.peer.client, counters)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Peer, SmtpdSettings};
    use anvil::{Anvil, Settings};
    use config::Values;
    use maillog::{Line, Logger, Sink};
    use std::{cell::RefCell, time::Duration};
    use types::Instant;

    #[derive(Default)]
    struct Lines(RefCell<Vec<String>>);

    impl Sink for Lines {
        fn write(&self, line: Line<'_>) {
            self.0.borrow_mut().push(line.text.to_owned());
        }
    }

    /// Sessions of one service.
    struct Service {
        settings: Rc<SmtpdSettings>,
        counters: Rc<Counters>,
        lines: Rc<Lines>,
    }

    fn service(own: &[(&str, &str)]) -> Service {
        let base = [("compatibility_level", "3.6"), ("myhostname", "mx.test")];
        let settings = SmtpdSettings::load(&Values::for_tests(&[&base, own].concat())).unwrap();
        let unit = Duration::from_secs(60);
        let anvil = Anvil::new(Settings { anvil_rate_time_unit: unit, anvil_client_limit: 10 });
        let counters = Rc::new(Counters::new(&anvil, "submission"));
        Service { settings: Rc::new(settings), counters, lines: Rc::default() }
    }

    impl Service {
        fn session(&self, last: u8) -> Session {
            let peer = Peer::unknown([192, 0, 2, last].into(), 1, [192, 0, 2, 250].into(), 587);
            let log = Logger::new(Rc::clone(&self.lines) as Rc<dyn Sink>, "postfix/smtpd", 1);
            let now = Instant::from_nanos(0);
            let mut session =
                Session::new(Rc::clone(&self.settings), peer, log, now).counted_by(&self.counters);
            session.is_counted = true;
            session
        }

        fn warnings(&self) -> Vec<String> {
            self.lines.0.take().into_iter().filter(|line| line.contains("exceeded")).collect()
        }
    }

    #[test]
    fn an_account_is_limited_wherever_its_clients_are() {
        let service = service(&[
            ("smtpd_account_connection_count_limit", "2"),
            ("smtpd_account_message_rate_limit", "1"),
            ("smtpd_account_recipient_rate_limit", "2"),
        ]);
        let mut sessions = [service.session(1), service.session(2), service.session(3)];
        let [first, second, third] = &mut sessions;
        assert_eq!((first.logged_in("alice"), second.logged_in("alice")), (Ok(()), Ok(())));
        let refusal = third.logged_in("alice").unwrap_err();
        assert_eq!(refusal.to_string(), "421 4.7.0 mx.test Error: too many connections from alice");
        assert_eq!(first.too_often(Event::Message, "too much mail"), None);
        let refusal = second.too_often(Event::Message, "too much mail").unwrap();
        assert_eq!(refusal.to_string(), "450 4.7.1 Error: too much mail from alice");
        let recipients: Vec<bool> = [&*first, second, first]
            .map(|session| session.too_often(Event::Recipient, "too many recipients").is_some())
            .into();
        assert_eq!(recipients, [false, false, true]);
        assert_eq!(
            service.warnings(),
            [
                "Connection concurrency limit exceeded: 3 by account alice from unknown[192.0.2.3] for service submission",
                "Message delivery request rate limit exceeded: 2 by account alice from unknown[192.0.2.2] for service submission",
                "Recipient address rate limit exceeded: 3 by account alice from unknown[192.0.2.1] for service submission",
            ]
        );
        // Who leaves makes room; another account is not concerned.
        drop(sessions);
        let mut again = service.session(1);
        assert_eq!(again.logged_in("alice"), Ok(()));
        let mut bob = service.session(1);
        assert_eq!(bob.logged_in("bob"), Ok(()));
        assert_eq!(bob.too_often(Event::Message, "too much mail"), None);
    }

    #[test]
    fn an_account_that_xclient_names_is_counted_with_the_greeting() {
        let service = service(&[("smtpd_account_connection_count_limit", "1")]);
        let login = || Some(Rc::new(crate::Login { method: "XCLIENT".into(), username: "alice".into() }));
        let mut sessions = [service.session(1), service.session(2)];
        let refused = sessions.each_mut().map(|session| {
            session.peer.login = login();
            session.is_one_too_many()
        });
        assert_eq!(refused, [false, true]);
    }

    #[test]
    fn logins_are_counted_in_the_time_unit() {
        let service = service(&[("smtpd_account_connection_rate_limit", "1")]);
        assert_eq!(service.session(1).logged_in("alice"), Ok(()));
        assert!(service.session(2).logged_in("alice").is_err());
        let mut later = service.session(3);
        later.now = Instant::from_nanos(0) + Duration::from_secs(61);
        assert_eq!(later.logged_in("alice"), Ok(()));
    }

    #[test]
    fn without_limits_nobody_is_counted() {
        let service = service(&[("smtpd_client_connection_count_limit", "0")]);
        assert!(!service.settings.client_limits.are_any());
        let mut session = service.session(1);
        assert_eq!(session.logged_in("alice"), Ok(()));
        assert_eq!(session.too_often(Event::Message, "too much mail"), None);
        assert_eq!(service.warnings(), [""; 0]);
    }

    #[test]
    fn where_nobody_more_can_be_counted_mail_passes() {
        let service = service(&[("smtpd_client_connection_count_limit", "1")]);
        let mut sessions: Vec<_> = (0..12).map(|last| service.session(last)).collect();
        assert!(sessions.iter_mut().all(|session| !session.is_one_too_many()));
        // The eleventh and twelfth were not counted, so nothing is known of their second connections.
        assert!(!service.session(11).is_one_too_many());
        assert!(service.session(0).is_one_too_many());
    }
}
