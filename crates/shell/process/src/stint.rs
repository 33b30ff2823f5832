//! Fair shares of a thread that many sessions have in common.
//!
//! A task whose client always has more to say never waits, so that nobody else would be served: it works for a stint, and
//! gives way.

use std::time::Duration;
use types::Instant;
use world::World;

/// How long a task works while others may have to wait for it.
const STINT_MAX: Duration = Duration::from_millis(2);

/// When a task began to work without a pause.
#[derive(Debug, Default)]
pub struct Stint(Option<Instant>);

impl Stint {
    /// The task has waited for something: its next stint has not begun.
    pub fn rested(&mut self) {
        self.0 = None;
    }

    /// Gives way if the stint has been long. To be called between pieces of work that are short themselves.
    pub async fn go_on<W: World>(&mut self, world: &W, now: Instant) {
        let began = *self.0.get_or_insert(now);
        if now.since(began) >= STINT_MAX {
            world.give_way().await;
            self.rested();
        }
    }
}
