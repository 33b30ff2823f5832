//! Parameters of the QMQP server.

use super::row::*;

rows! {
    after qmgr;
    qmqpd_authorized_clients: text(0, 0), "", "qmqpd", NotYet, "";
    qmqpd_client_port_logging: flag(), "no", "qmqpd", NotYet, "";
    qmqpd_error_delay: time(0, 0), "1s", "qmqpd", NotYet, "";
    qmqpd_timeout: time(1, 0), "300s", "qmqpd", NotYet, "";
}
