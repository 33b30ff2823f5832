//! Which server is asked: the one that is named, a router, or a member of a replica set that may answer (MongoDB
//! "Server Discovery and Monitoring", "Server Selection").

use super::{
    connection::{Connection, Hello},
    uri::{ReadPreference as Mode, Uri, host},
};
use crate::{Server, security::Security};
use std::{collections::VecDeque, rc::Rc};
use tls::Secured;
use world::{Dns, World};

/// Servers that are tried, also of those that only other members know.
const MEMBERS_MAX: usize = 64;

/// How well a server suits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Suits {
    Well,
    /// If there is no better one.
    Perhaps,
    Not,
}

/// A search for a server.
pub(super) struct Seeker<'a, W: World> {
    uri: &'a Uri,
    security: Option<&'a Security>,
    world: &'a W,
    dns: &'a Rc<dyn Dns>,
    reply_max: usize,
    /// Members not yet tried, the likeliest first.
    waiting: VecDeque<(String, Server)>,
    /// Names that were ever put there.
    known: Vec<String>,
    failed: String,
}

impl<'a, W: World> Seeker<'a, W> {
    pub(super) fn new(
        (uri, security): (&'a Uri, Option<&'a Security>),
        world: &'a W,
        dns: &'a Rc<dyn Dns>,
        reply_max: usize,
    ) -> Self {
        let waiting: VecDeque<_> = uri.hosts.iter().cloned().collect();
        let known = uri.hosts.iter().map(|(name, _)| name.clone()).collect();
        Self { uri, security, world, dns, reply_max, waiting, known, failed: "no host is named".to_owned() }
    }

    /// Connects to the first server that suits, and logs in.
    pub(super) async fn connect(mut self) -> Result<Connection<Secured<W::Stream>>, String> {
        let mut second_best = None;
        while let Some((name, server)) = self.waiting.pop_front() {
            let (connection, hello) = match self.meet(&server).await {
                Ok(met) => met,
                Err(why) => {
                    self.failed = format!("{name}: {why}");
                    continue;
                }
            };
            match self.suits(&name, &hello) {
                Suits::Well => match self.log_in(connection, &hello).await {
                    Ok(connection) => return Ok(connection),
                    Err(why) => self.failed = format!("{name}: {why}"),
                },
                Suits::Perhaps if second_best.is_none() => {
                    second_best = Some((name, connection, hello.clone()));
                }
                Suits::Perhaps | Suits::Not => {}
            }
            self.learn(&hello);
        }
        let Some((name, connection, hello)) = second_best else { return Err(self.failed) };
        self.log_in(connection, &hello).await.map_err(|why| format!("{name}: {why}"))
    }

    async fn meet(&self, server: &Server) -> Result<(Connection<Secured<W::Stream>>, Hello), String> {
        let limit = self.uri.connect_timeout;
        let stream = server.connect(self.world, self.dns, limit).await;
        let stream = stream.map_err(|error| tables::errno_text(&error))?;
        let late = "no answer in time (connectTimeoutMS)";
        let stream = match self.security {
            None => Secured::Clear(stream),
            Some(security) => {
                let host = if let Server::Inet { host, .. } = server { host.as_str() } else { "localhost" };
                let securing = security.secure(stream, host, self.world.wall());
                let secured = self.world.timeout(limit, securing).await.ok_or(late)?;
                Secured::Tls(Box::new(secured.map_err(|why| format!("TLS: {why}"))?.0))
            }
        };
        let mut connection = Connection::new(stream, self.reply_max);
        let asking = connection.hello(self.uri.login.as_ref(), &self.uri.application);
        match self.world.timeout(limit, asking).await {
            Some(Ok(hello)) => Ok((connection, hello)),
            Some(Err(failure)) => Err(failure.text()),
            None => Err(late.to_owned()),
        }
    }

    /// Whether a server may be asked; says in `failed` why it may not.
    fn suits(&mut self, name: &str, hello: &Hello) -> Suits {
        if self.uri.replica_set.is_some() && self.uri.replica_set != hello.set_name {
            let wanted = self.uri.replica_set.as_deref().unwrap_or_default();
            self.failed = format!("{name}: no member of the replica set {wanted}");
            return Suits::Not;
        }
        if self.uri.is_direct || hello.is_router || (hello.set_name.is_none() && self.known.len() == 1) {
            return Suits::Well;
        }
        let suits = match (self.uri.read_preference, hello.is_primary, hello.is_secondary) {
            (Mode::Primary | Mode::PrimaryPreferred | Mode::Nearest, true, _)
            | (Mode::Secondary | Mode::SecondaryPreferred | Mode::Nearest, _, true) => Suits::Well,
            (Mode::PrimaryPreferred, _, true) | (Mode::SecondaryPreferred, true, _) => Suits::Perhaps,
            _ => Suits::Not,
        };
        // One of several that belongs to no replica set: nobody knows what the others have.
        if hello.set_name.is_none() {
            self.failed = format!("{name}: no member of a replica set, but one of several hosts");
            return Suits::Not;
        }
        if suits == Suits::Not {
            let mode = self.uri.read_preference.name();
            self.failed =
                format!("{name}: not suitable for readPreference={mode}, and no other member is known");
        }
        suits
    }

    /// Puts the members that one of them knows on the list, the primary first.
    fn learn(&mut self, hello: &Hello) {
        if self.uri.is_direct || hello.set_name.is_none() {
            return;
        }
        for name in &hello.hosts {
            if self.known.len() < MEMBERS_MAX && !self.known.contains(name) {
                self.known.push(name.clone());
                self.waiting.extend(host(name).ok());
            }
        }
        if let Some(primary) = &hello.primary
            && let Some(at) = self.waiting.iter().position(|(name, _)| name == primary)
            && let Some(primary) = self.waiting.remove(at)
        {
            self.waiting.push_front(primary);
        }
    }

    async fn log_in(
        &self,
        mut connection: Connection<Secured<W::Stream>>,
        hello: &Hello,
    ) -> Result<Connection<Secured<W::Stream>>, String> {
        if let Some(login) = &self.uri.login {
            let nonce = format!("{:016x}{:016x}", self.world.random(), self.world.random());
            let logging_in = connection.log_in(login, hello, nonce);
            match self.world.timeout(self.uri.connect_timeout, logging_in).await {
                Some(Ok(())) => {}
                Some(Err(failure)) => return Err(failure.text()),
                None => return Err("no answer in time (connectTimeoutMS)".to_owned()),
            }
        }
        connection.read_preference = match self.uri.read_preference {
            // A member that was named is asked even if it is no primary.
            Mode::Primary if self.uri.is_direct && hello.set_name.is_some() => Some(Mode::PrimaryPreferred),
            Mode::Primary => None,
            _ if hello.set_name.is_none() && !hello.is_router => None,
            mode => Some(mode),
        };
        Ok(connection)
    }
}
