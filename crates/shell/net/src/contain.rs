//! Panics: bugs, which end no more than they must.
//!
//! What is [`contain`]ed ends alone. A panic anywhere else in a task ends [`run`](crate::run): whoever started the
//! process starts it again, which is better than a process that goes on without one of its parts.

use std::{
    any::Any,
    cell::RefCell,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::Poll,
};

thread_local! {
    /// Where and why this thread last panicked.
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// From now on the text of a panic goes to whoever contains it, with its place in the source, and not to standard
/// error. For the whole process.
pub fn remember_panics() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(|at| format!("{}:{}: ", at.file(), at.line())).unwrap_or_default();
        let text = format!("{place}{}", reason(info.payload()));
        // A panic while the text is being taken has nobody left to tell.
        let _ = LAST.try_with(|last| last.try_borrow_mut().map(|mut last| *last = Some(text)));
    }));
}

/// Runs `task`; the error is the text of its panic. The task is gone then, and what it had borrowed is to be used
/// no further than to say goodbye.
///
/// It is pinned by the caller: a future that is handed over by value is kept twice, and sessions are many.
pub async fn contain<T>(mut task: Pin<&mut impl Future<Output = T>>) -> Result<T, String> {
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(context))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
        Err(payload) => {
            let remembered = LAST.try_with(RefCell::take).ok().flatten();
            Poll::Ready(Err(remembered.unwrap_or_else(|| reason(payload.as_ref()))))
        }
    })
    .await
}

fn reason(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no reason was given").to_owned()
}
