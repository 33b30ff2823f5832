//! Files that several deliveries write to: whoever finds one locked waits for its turn.

use std::{io, sync::Arc, time::Duration};
use world::World;

/// How long to wait for a file that is locked; then it is an error.
const LIMIT: Duration = Duration::from_secs(30);

/// How often to look: whoever has the lock is waiting for one sync at most.
const RETRY: Duration = Duration::from_millis(5);

/// Does work on a thread, again for as long as it says [`io::ErrorKind::WouldBlock`].
pub(crate) async fn take<W: World, T: Send + 'static>(
    world: &W,
    work: impl Fn() -> io::Result<T> + Send + Sync + 'static,
) -> io::Result<T> {
    let (work, deadline) = (Arc::new(work), world.now() + LIMIT);
    loop {
        let now = Arc::clone(&work);
        match world.blocking(move || now()).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && world.now() < deadline => {
                world.sleep(RETRY).await;
            }
            done => return done,
        }
    }
}
