//! Connections, taken until the process stops.

use crate::Shared;
use maillog::Logger;
use net::{Permit, Slots, accept_all};
use smtpd::Peer;
use std::{io, net::SocketAddr};
use world::{Accept, Stream, World};

/// The client's address and ours.
pub(crate) type Ends = (SocketAddr, SocketAddr);

/// A client without more that is known of it than where it comes from.
pub(crate) fn stranger((peer, local): Ends) -> Peer {
    Peer::unknown(peer.ip(), peer.port(), local.ip(), local.port())
}

impl<W: World> Shared<W> {
    /// Gives each connection to `serve`, with its place in the slots.
    pub(crate) async fn accept(
        &self,
        listener: impl Accept<Stream = W::Stream>,
        (slots, logger): (&Slots, &Logger),
        serve: impl FnMut(W::Stream, Option<SocketAddr>, Permit),
    ) {
        let trouble = |error: &io::Error| logger.warning(&format!("accept connection: {error}"));
        self.stop.cut(accept_all(&self.world, &listener, slots, serve, trouble)).await;
    }

    /// The same for clients of the network. What `serve` returns becomes a task of its own, and `serve` itself is called
    /// before a place is taken for the client that comes next.
    pub(crate) async fn accept_clients<S: Future<Output = ()> + 'static>(
        &self,
        listener: impl Accept<Stream = W::Stream>,
        places: (&Slots, &Logger),
        mut serve: impl FnMut(W::Stream, Ends, Permit) -> S,
    ) {
        let serve = |stream: W::Stream, peer: Option<SocketAddr>, permit: Permit| {
            // Whose address is not to be had has gone already.
            if let (Some(peer), Some(local)) = (peer, stream.local()) {
                self.world.spawn(serve(stream, (peer, local), permit));
            }
        };
        self.accept(listener, places, serve).await;
    }
}
