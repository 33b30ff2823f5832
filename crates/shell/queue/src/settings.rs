//! What main.cf says about the queue.

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
            pool_files: 64,
        }
    }
}

impl QueueSettings {
    /// Levels of subdirectories of a queue.
    #[must_use]
    pub fn hash_depth(&self, queue: QueueName) -> usize {
        let is_hashed = self.hash_queue_names.iter().any(|name| name.eq_ignore_ascii_case(queue.as_str()));
        if is_hashed { self.hash_queue_depth } else { 0 }
    }
}
