//! Parameters of the supervisor.

use super::row::*;

rows! {
    after log;
    master_service_disable: text(0, 0), "", "master", NotYet, "";
    service_throttle_time: time(1, 0), "60s", "master", NotYet, "";
}
