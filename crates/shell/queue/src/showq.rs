//! Listing of the queue in the protocol of showq(8).
