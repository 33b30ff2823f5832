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

#[test]
fn the_host_gives_names_and_networks() {
    let check = |settings: &[(&str, &str)], hostname: &str, domain: &str| {
        let values = Values::for_tests(settings);
        assert_eq!(
            (values.text(p::myhostname), values.text(p::mydomain)),
            (hostname, domain),
            "{settings:?}"
        );
    };
    check(&[], "localhost.localdomain", "localdomain");
    check(&[("mydomain", "example.com")], "localhost.example.com", "example.com");
    check(&[("myhostname", "plain")], "plain", "localdomain");
    check(&[("myhostname", "host.$mydomain"), ("mydomain", "d.test")], "host.d.test", "d.test");
    check(&[("myhostname", "a.b.c")], "a.b.c", "b.c");
    let values = Values::for_tests(&[("mynetworks_style", "host")]);
    assert_eq!(values.list(p::mynetworks), ["127.0.0.1/32", "[::1]/128"]);
    // Names that need each other end somewhere.
    check(&[("myhostname", "$mydomain")], "localdomain", "localdomain");
}

#[test]
fn names_of_the_administrators_own_and_of_transports() {
    let values = Values::for_tests(&[
        ("mine", "$myhostname!"),
        ("myhostname", "h.d"),
        ("slow_destination_rate_delay", "2m"),
    ]);
    assert_eq!(values.named("mine"), Some("h.d!"));
    assert_eq!(values.named("myhostname"), Some("h.d"));
    assert_eq!(values.named("nothing"), None);
    assert_eq!(
        values.named_time("slow_destination_rate_delay", Duration::ZERO, 's'),
        Duration::from_secs(120)
    );
    assert_eq!(values.named_int("slow_destination_concurrency_limit", 20), 20);
    assert_eq!(values.expand("<$mine>"), "<h.d!>");
}

#[test]
fn raw_values_are_not_expanded() {
    let values = Values::for_tests(&[("mailbox_command", "/bin/x $EXTENSION ${USER")]);
    assert_eq!(values.text(p::mailbox_command), "/bin/x $EXTENSION ${USER");
    assert!(values.text(p::default_rbl_reply).starts_with("$rbl_code"));
}

#[test]
fn old_names_count_where_new_ones_are_not_set() {
    assert!(Values::for_tests(&[("smtpd_per_record_deadline", "yes")]).bool(p::smtpd_per_request_deadline));
    assert!(Values::for_tests(&[("stress", "yes")]).bool(p::smtpd_per_request_deadline));
    assert_eq!(Values::for_tests(&[("stress", "yes")]).time(p::smtpd_timeout), Duration::from_secs(10));
    assert!(
        Values::for_tests(&[("postscreen_starttls_timeout", "5")])
            .time(p::postscreen_starttls_timeout)
            .as_secs()
            == 5
    );
}

#[test]
fn every_default_is_a_value() {
    let values = Values::for_tests(&[]);
    for id in params::BY_NAME {
        if !matches!(id.row().kind, Kind::Raw { .. }) {
            let expansion = values.expansion(&values.default_text(id));
            assert!(!expansion.error, "{}", id.name());
        }
        let text = values.text(id).to_owned();
        if ["virtual_mailbox_base"].contains(&id.name()) {
            continue; // Has no default: it must be set where it is needed.
        }
        assert_eq!(values.check(id, &text), Ok(()), "{}", id.name());
    }
}

#[test]
fn rows_are_found_by_name() {
    assert_eq!(params::COUNT, 909);
    assert!(params::BY_NAME.is_sorted_by(|a, b| a.name() < b.name()));
    assert_eq!(params::by_spelling("2bounce_notice_recipient"), Some(p::double_bounce_notice_recipient));
    assert_eq!(params::by_spelling("smtpd_timeout"), Some(p::smtpd_timeout));
    assert_eq!(p::smtpd_timeout.name(), "smtpd_timeout");
    assert_eq!(params::by_spelling("nope"), None);
    let time = |id: &Id| matches!(id.row().kind, Kind::Time { .. });
    for id in params::BY_NAME.iter().filter(|id| time(id)) {
        assert!(
            id.row().default.ends_with(['s', 'm', 'h', 'd', 'w']) || id.row().default.starts_with("$smtp"),
            "{}",
            id.name()
        );
    }
}

#[test]
fn a_low_compatibility_level_keeps_old_defaults() {
    let check = |settings: &[(&str, &str)], id: Id, expected: bool| {
        assert_eq!(Values::for_tests(settings).has_old_default(id), expected, "{settings:?} {}", id.name());
    };
    check(&[], p::append_dot_mydomain, true);
    check(&[("compatibility_level", "1")], p::append_dot_mydomain, false);
    check(&[("compatibility_level", "1")], p::relay_domains, true);
    check(&[("compatibility_level", "1"), ("relay_domains", "")], p::relay_domains, false);
    check(&[("compatibility_level", "3.5")], p::smtpd_relay_before_recipient_restrictions, true);
    check(&[("compatibility_level", "3.11")], p::smtpd_relay_before_recipient_restrictions, false);
    check(&[], p::soft_bounce, false);
}
