//! Requests and replies over shared connections to one server.

use crate::{
    Limits, Server, Timing,
    line::Buffered,
    pool::{Pool, Taken},
};
use std::{cell::Cell, io, rc::Rc};
use world::{Dns, World};

/// The client of one server.
pub(crate) struct Client<W: World> {
    world: W,
    hosts: Rc<dyn Dns>,
    server: Server,
    timing: Timing,
    pool: Pool<Buffered<W::Stream>>,
    // Whether a task waits to close what becomes idle.
    is_watched: Cell<bool>,
}

impl<W: World> Client<W> {
    pub(crate) fn new(world: W, hosts: Rc<dyn Dns>, server: Server, timing: Timing, limits: Limits) -> Self {
        let pool = Pool::new(limits.connections_max, timing.idle_max, timing.age_max);
        Self { world, hosts, server, timing, pool, is_watched: Cell::new(false) }
    }

    /// Sends a request and reads its reply with `read`. A connection that breaks is tried again once with a new one:
    /// the server may have been started anew since the last look-up.
    pub(crate) async fn ask<T>(
        self: &Rc<Self>,
        request: &[u8],
        read: impl AsyncFn(&mut Buffered<W::Stream>) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut is_retry = false;
        loop {
            let (mut taken, was_idle) = self.connection().await?;
            let exchange = async {
                taken.connection.write_all(request).await?;
                read(&mut taken.connection).await
            };
            let limit = self.timing.time_limit;
            match self.world.timeout(limit, exchange).await {
                Some(Ok(reply)) => {
                    self.keep(taken);
                    return Ok(reply);
                }
                Some(Err(error)) if !is_retry && was_idle && is_broken(&error) => {
                    self.pool.close_idle();
                    is_retry = true;
                }
                Some(Err(error)) => return Err(error),
                None => return Err(io::ErrorKind::TimedOut.into()),
            }
        }
    }

    /// An idle connection or a new one, and whether it was idle.
    async fn connection(&self) -> io::Result<(Taken<Buffered<W::Stream>>, bool)> {
        let waiting = self.pool.take(|| self.world.now());
        let place = match self.world.timeout(self.timing.time_limit, waiting).await {
            None => return Err(io::Error::other("all connections to the server are in use")),
            Some(Ok(taken)) => return Ok((taken, true)),
            Some(Err(place)) => place,
        };
        let stream = self.server.connect(&self.world, &self.hosts, self.timing.time_limit).await?;
        Ok((Taken::new(self.world.now(), Buffered::new(stream), place), false))
    }

    fn keep(self: &Rc<Self>, taken: Taken<Buffered<W::Stream>>) {
        self.pool.keep(self.world.now(), taken);
        if self.is_watched.replace(true) {
            return;
        }
        let client = Rc::clone(self);
        self.world.spawn(async move {
            while !client.pool.is_empty() {
                client.world.sleep(client.timing.idle_max).await;
                client.pool.close_old(client.world.now());
            }
            client.is_watched.set(false);
        });
    }
}

/// Whether the other end is gone, which says nothing about the request.
fn is_broken(error: &io::Error) -> bool {
    use io::ErrorKind as K;
    matches!(error.kind(), K::UnexpectedEof | K::BrokenPipe | K::ConnectionReset | K::ConnectionAborted)
}
