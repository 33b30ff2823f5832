//! Parameters of the QMQP server.

use super::row::*;

rows! {
    after qmgr;
    qmqpd_authorized_clients: text(0, 0), "", "qmqpd", NotYet, "Clients that may submit mail by QMQP.";
    qmqpd_client_port_logging: flag(), "no", "qmqpd", NotYet, "Adds the client's port to log lines of the QMQP server.";
    qmqpd_error_delay: time(0, 0), "1s", "qmqpd", NotYet, "The pause before the QMQP server tells a client of an error.";
    qmqpd_timeout: time(1, 0), "300s", "qmqpd", NotYet, "How long a QMQP client may take.";
}
