//! Tables that mail processes open through their registry, asked one key at a time.

use super::{Fatal, Run};
use std::{
    pin::pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};
use tables::{Registry, Settings, Source};
use types::{Lookup, Trouble};
use world::Table;

/// A table of the registry whose answers are waited for.
struct Waiting(Rc<dyn Table>);

impl Source for Waiting {
    fn get(&self, key: &[u8]) -> Lookup {
        match pin!(self.0.lookup(key)).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(answer) => answer,
            Poll::Pending => Lookup::TryAgain(Trouble::new("the answer is not at hand".to_owned())),
        }
    }

    fn is_pattern(&self) -> bool {
        self.0.is_pattern()
    }
}

/// Opens `map_type:name` for queries.
pub(super) fn open(run: &Run, map_type: &str, name: &str) -> Result<Box<dyn Source>, Fatal> {
    let spec = format!("{map_type}:{name}");
    if tables::is_at_hand(&spec) {
        return Ok(tables::open(map_type, name, &run.options)?);
    }
    // Whoever may run this may read the table: proxy_read_maps is for processes that trust less.
    let allowed = spec.strip_prefix("proxy:").map(str::to_owned);
    let settings =
        Settings { proxy_read_maps: allowed.into_iter().collect(), ..Settings::for_tool(run.options.utf8) };
    let registry = Registry::with_settings(settings, run.console.logger()).with_options(run.options.clone());
    Ok(Box::new(Waiting(registry.try_open(&spec)?)))
}
