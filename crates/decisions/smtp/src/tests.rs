//! Behaviour of the whole client.
