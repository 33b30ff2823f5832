//! A future that is usually ready.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

/// The answer of a look-up: at hand, or a future to wait for.
#[must_use = "an answer does nothing until it is awaited"]
pub struct Answer<'a, T>(Inner<'a, T>);

enum Inner<'a, T> {
    Ready(Option<T>),
    Later(Pin<Box<dyn Future<Output = T> + 'a>>),
}

impl<'a, T> Answer<'a, T> {
    /// An answer at hand.
    pub fn ready(value: T) -> Self {
        Self(Inner::Ready(Some(value)))
    }

    /// An answer that must be waited for.
    pub fn later(future: impl Future<Output = T> + 'a) -> Self {
        Self(Inner::Later(Box::pin(future)))
    }
}

impl<T: Unpin> Future for Answer<'_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        match &mut self.0 {
            Inner::Ready(value) => match value.take() {
                Some(value) => Poll::Ready(value),
                // Polled after completion: a future may do anything but answer twice.
                None => Poll::Pending,
            },
            Inner::Later(future) => future.as_mut().poll(context),
        }
    }
}
