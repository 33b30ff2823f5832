//! Limits: no more sessions than there may be, and no session holds more than its share of memory.

/// Keeps the highest counts.
#[derive(Debug)]
pub struct Limits {
    sessions_max: usize,
    memory_bytes_max: usize,
    sessions_seen: usize,
    memory_bytes_seen: usize,
}

impl Limits {
    /// What may be, for the whole system.
    #[must_use]
    pub fn new(sessions_max: usize, memory_bytes_max: usize) -> Self {
        Self { sessions_max, memory_bytes_max, sessions_seen: 0, memory_bytes_seen: 0 }
    }

    /// What is now.
    pub fn observe(&mut self, sessions: usize, memory_bytes: usize) {
        self.sessions_seen = self.sessions_seen.max(sessions);
        self.memory_bytes_seen = self.memory_bytes_seen.max(memory_bytes);
    }

    /// The most sessions that there were at once.
    #[must_use]
    pub fn sessions_seen(&self) -> usize {
        self.sessions_seen
    }

    /// # Errors
    /// There was more than may be.
    pub fn check(&self) -> Result<(), String> {
        let over = |what: &str, seen: usize, max: usize| match seen > max {
            true => Err(format!("limit: {seen} {what} of {max}")),
            false => Ok(()),
        };
        over("sessions", self.sessions_seen, self.sessions_max)?;
        over("bytes of memory", self.memory_bytes_seen, self.memory_bytes_max)
    }
}
