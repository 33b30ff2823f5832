//! Requests and replies over shared connections to one server.

use crate::{
    Limits, Server, Timing,
    line::Buffered,
    pool::{ALL_IN_USE, Pool, Taken},
};
use std::{io, rc::Rc};
use world::{Dns, World};

/// The client of one server.
pub(crate) struct Client<W: World> {
    world: W,
    hosts: Rc<dyn Dns>,
    server: Server,
    timing: Timing,
    pool: Rc<Pool<Buffered<W::Stream>>>,
}

impl<W: World> Client<W> {
    pub(crate) fn new(world: W, hosts: Rc<dyn Dns>, server: Server, timing: Timing, limits: Limits) -> Self {
        let pool = Pool::new(limits.connections_max, timing.idle_max, timing.age_max);
        Self { world, hosts, server, timing, pool }
    }

    /// Sends a request and reads its reply with `read`. A connection that breaks is tried again once with a new one:
    /// the server may have been started anew since the last look-up.
    pub(crate) async fn ask<T>(
        &self,
        request: &[u8],
        read: impl AsyncFn(&mut Buffered<W::Stream>) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut is_retry = false;
        loop {
            let mut taken = self.connection().await?;
            let exchange = async {
                taken.connection.write_all(request).await?;
                read(&mut taken.connection).await
            };
            let limit = self.timing.time_limit;
            match self.world.timeout(limit, exchange).await {
                Some(Ok(reply)) => {
                    self.pool.keep(&self.world, taken);
                    return Ok(reply);
                }
                Some(Err(error)) if !is_retry && taken.was_idle && is_broken(&error) => {
                    self.pool.close_idle();
                    is_retry = true;
                }
                Some(Err(error)) => return Err(error),
                None => return Err(io::ErrorKind::TimedOut.into()),
            }
        }
    }

    async fn connection(&self) -> io::Result<Taken<Buffered<W::Stream>>> {
        let limit = self.timing.time_limit;
        let connecting =
            async { self.server.connect(&self.world, &self.hosts, limit).await.map(Buffered::new) };
        let taken = self.pool.connection(&self.world, limit, connecting).await;
        taken.unwrap_or_else(|| Err(io::Error::other(ALL_IN_USE)))
    }
}

/// Whether the other end is gone, which says nothing about the request.
fn is_broken(error: &io::Error) -> bool {
    use io::ErrorKind as K;
    matches!(error.kind(), K::UnexpectedEof | K::BrokenPipe | K::ConnectionReset | K::ConnectionAborted)
}
