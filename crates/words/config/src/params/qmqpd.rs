//! Parameters of the QMQP server.

use super::row::*;

rows! {
    after qmgr;
    qmqpd_authorized_clients: text(0, 0), "", "qmqpd", Honoured("receive"), "Clients that may submit mail by QMQP.";
    qmqpd_client_port_logging: flag(), "no", "qmqpd", Honoured("qmqpd"), "Adds the client's port to log lines of the QMQP server.";
    qmqpd_error_delay: time(0, 0), "1s", "qmqpd", Honoured("qmqpd"), "The pause before the QMQP server tells a client of an error.";
    qmqpd_timeout: time(1, 0), "300s", "qmqpd", Honoured("qmqpd"), "How long a QMQP client may take.";
}
