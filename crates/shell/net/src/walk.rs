//! A thread that makes items ahead of whoever takes them: names of a directory, pieces of a listing.

use crate::Live;
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, sync_channel},
    },
    thread,
    time::Duration,
};
use world::{Disk, Walk, World};

/// How long the taker waits for an item, and so how long a slow maker may hold a thread.
const PATIENCE: Duration = Duration::from_secs(5);

/// The items of one such thread.
pub struct LiveWalk<D, T> {
    live: Live<D>,
    items: Arc<Mutex<Receiver<T>>>,
}

impl<D: Disk, T: Send + 'static> LiveWalk<D, T> {
    pub(crate) fn start(
        live: Live<D>,
        ahead_max: usize,
        work: impl FnOnce(&mut dyn FnMut(T) -> bool) + Send + 'static,
    ) -> Self {
        let (sender, receiver) = sync_channel(ahead_max);
        let walking = move || work(&mut |item| sender.send(item).is_ok());
        // Where no thread can be had, the sender is dropped: that is the end of the items.
        let _ = thread::Builder::new().name("walk".to_owned()).spawn(walking);
        Self { live, items: Arc::new(Mutex::new(receiver)) }
    }
}

impl<D: Disk, T: Send + 'static> Walk<T> for LiveWalk<D, T> {
    async fn take(&self, items_max: usize) -> (Vec<T>, bool) {
        let items = Arc::clone(&self.items);
        self.live.blocking(move || take(&items, items_max)).await
    }
}

fn take<T>(items: &Mutex<Receiver<T>>, items_max: usize) -> (Vec<T>, bool) {
    let items = items.lock().unwrap_or_else(PoisonError::into_inner);
    let mut taken = Vec::new();
    while taken.len() < items_max {
        match items.recv_timeout(PATIENCE) {
            Ok(item) => taken.push(item),
            Err(RecvTimeoutError::Timeout) => break,
            Err(RecvTimeoutError::Disconnected) => return (taken, true),
        }
    }
    (taken, false)
}
