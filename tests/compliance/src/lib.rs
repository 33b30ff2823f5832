//! What the tests of compliance share: whole systems to ask, Posthaste and Debian's Postfix alike.

pub mod certificates;
pub mod client;
pub mod dialogues;
pub mod friend;
pub mod machine;
pub mod mongodb;
pub mod network;
pub mod plain;
pub mod policy;
pub mod servers;
pub mod sink;
pub mod smtp;
pub mod system;
pub mod tls_front;
pub mod wire;
