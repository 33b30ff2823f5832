//! What main.cf says about the queue.

use config::{Values, params as p};
use types::QueueName;

/// Settings of the queue, immutable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueSettings {
    /// `hash_queue_names`: queues with subdirectories.
    pub hash_queue_names: Vec<String>,
    /// `hash_queue_depth`: levels of subdirectories, 1 to 16.
    pub hash_queue_depth: usize,
    /// `enable_long_queue_ids`
    pub enable_long_queue_ids: bool,
    /// `queue_minfree` in bytes.
    pub queue_minfree_bytes: u64,
    /// `backwards_bounce_logfile_compatibility`: log blocks start with a line in the older format.
    pub backwards_bounce_logfile_compatibility: bool,
    /// Empty files kept ready; 0 makes each file when it is needed.
    pub pool_files: usize,
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self {
            hash_queue_names: vec!["deferred".to_owned(), "defer".to_owned()],
            hash_queue_depth: 1,
            enable_long_queue_ids: false,
            queue_minfree_bytes: 0,
            backwards_bounce_logfile_compatibility: true,
            pool_files: Self::POOL_FILES,
        }
    }
}

impl QueueSettings {
    /// Files kept ready in the pool.
    pub const POOL_FILES: usize = 64;

    /// From main.cf.
    #[must_use]
    pub fn load(values: &Values) -> Self {
        let number = |id| u64::try_from(values.int(id)).unwrap_or(0);
        Self {
            hash_queue_names: values.list(p::hash_queue_names).into_iter().map(str::to_owned).collect(),
            hash_queue_depth: usize::try_from(number(p::hash_queue_depth)).unwrap_or(1).min(16),
            enable_long_queue_ids: values.bool(p::enable_long_queue_ids),
            queue_minfree_bytes: number(p::queue_minfree),
            backwards_bounce_logfile_compatibility: values.bool(p::backwards_bounce_logfile_compatibility),
            pool_files: Self::POOL_FILES,
        }
    }

    /// Levels of subdirectories of a queue.
    #[must_use]
    pub fn hash_depth(&self, queue: QueueName) -> usize {
        let is_hashed = self.hash_queue_names.iter().any(|name| name.eq_ignore_ascii_case(queue.as_str()));
        if is_hashed { self.hash_queue_depth } else { 0 }
    }
}
