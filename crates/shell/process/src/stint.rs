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

#[cfg(test)]
mod tests {
    use super::*;
    use queue::RealDisk;
    use std::{cell::Cell, rc::Rc, sync::Arc};

    #[test]
    fn others_have_their_turn_after_a_stint() {
        let directory = tempfile::tempdir().unwrap();
        let disk = Arc::new(RealDisk::open(directory.path()).unwrap());
        let main = |world: net::Live<Arc<RealDisk>>| async move {
            let turns = Rc::new(Cell::new(0));
            let (others, them) = (Rc::clone(&turns), world.clone());
            world.spawn(async move {
                loop {
                    others.set(others.get() + 1);
                    them.give_way().await;
                }
            });
            let (mut stint, start) = (Stint::default(), world.now());
            let mut turns_after = async |millis: u64| {
                stint.go_on(&world, start + Duration::from_millis(millis)).await;
                turns.get()
            };
            assert_eq!(turns_after(0).await, 0);
            assert_eq!(turns_after(1).await, 0);
            let then = turns_after(2).await;
            assert!(then > 0);
            // The next stint begins with the next piece of work.
            assert_eq!(turns_after(50).await, then);
            assert_eq!(turns_after(51).await, then);
            assert!(turns_after(52).await > then);
        };
        net::run(net::Builder::new(disk), main).unwrap();
    }
}
