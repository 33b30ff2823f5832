//! How the kernel divides the processor among threads (sched(7)).

/// From now on the calling thread interrupts nobody when it wakes up: it waits until a processor is free, or until it is its
/// turn. For threads whose work waits for the disk anyway. Where the system refuses, all stays as it is.
pub fn wait_for_a_free_processor() {
    let no_priority = libc::sched_param { sched_priority: 0 };
    // SAFETY: the pointer lives through the call, which changes nothing but the policy of this thread.
    let _ = unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const no_priority) };
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_policy_is_that_of_this_thread_alone() {
        // SAFETY: changes nothing.
        let policy = || unsafe { libc::sched_getscheduler(0) };
        let changed = std::thread::spawn(move || {
            super::wait_for_a_free_processor();
            policy()
        });
        assert_eq!(changed.join().unwrap(), libc::SCHED_BATCH);
        assert_eq!(policy(), libc::SCHED_OTHER);
    }
}
