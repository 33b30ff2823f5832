//! The parameters of a QMQP server, as one service of master.cf has them.

use config::{Values, params as p};
use std::time::Duration;

/// All of them.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "each field is documented in postconf(5) under its name")]
pub struct QmqpdSettings {
    pub qmqpd_timeout: Duration,
    pub qmqpd_error_delay: Duration,
    pub qmqpd_client_port_logging: bool,
    /// Bytes; 0 is no limit.
    pub message_size_limit: usize,
    /// Bytes.
    pub line_length_limit: usize,
    pub verp_delimiter_filter: String,
    pub soft_bounce: bool,
}

impl QmqpdSettings {
    /// The typed view of one service.
    #[must_use]
    pub fn load(values: &Values) -> Self {
        let size = |id| usize::try_from(values.int(id)).unwrap_or(0);
        Self {
            qmqpd_timeout: values.time(p::qmqpd_timeout),
            qmqpd_error_delay: values.time(p::qmqpd_error_delay),
            qmqpd_client_port_logging: values.bool(p::qmqpd_client_port_logging),
            message_size_limit: size(p::message_size_limit),
            line_length_limit: size(p::line_length_limit),
            verp_delimiter_filter: values.text(p::verp_delimiter_filter).to_owned(),
            soft_bounce: values.bool(p::soft_bounce),
        }
    }
}
