use super::*;
use crate::params as p;

#[test]
fn defaults_have_their_types() {
    let values = Values::for_tests(&[("myhostname", "mx.test")]);
    assert_eq!(values.text(p::myhostname), "mx.test");
    assert_eq!(values.text(p::mydomain), "test");
    assert_eq!(values.text(p::smtpd_banner), "mx.test ESMTP Postfix");
    assert!(!values.bool(p::smtpd_helo_required));
    assert_eq!(values.int(p::smtpd_hard_error_limit), 20);
    assert_eq!(values.time(p::smtpd_timeout), Duration::from_secs(300));
    assert_eq!(values.time(p::maximal_queue_lifetime), Duration::from_secs(432_000));
    assert_eq!(values.list(p::mydestination), ["mx.test", "localhost.test", "localhost"]);
    assert_eq!(values.int(p::message_size_limit), 10_240_000);
}
