//! Parameters of the supervisor.

use super::row::*;

rows! {
    after log;
    master_service_disable: text(0, 0), "", "master", Honoured("master"), "Services that are not started.";
    service_throttle_time: time(1, 0), "60s", "master", Honoured("master, receive"), "The pause before a failing service is started again.";
}
