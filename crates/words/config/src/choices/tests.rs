use super::*;
use crate::Values;

fn check(id: Id, value: &str, expected: Result<(), &str>) {
    let choice = Choice::of(id).unwrap();
    assert_eq!(choice.check(id.name(), value), expected.map_err(str::to_owned), "{} = {value}", id.name());
}

#[test]
fn sets_are_of_known_words_as_they_are_written() {
    check(p::inet_protocols, "ipv4, ipv6", Ok(()));
    check(p::inet_protocols, "", Ok(()));
    check(p::inet_protocols, "foo", Err("unknown inet_protocols value \"foo\" in \"foo\""));
    check(p::inet_protocols, "ipv4 IPv6", Err("unknown inet_protocols value \"IPv6\" in \"ipv4 IPv6\""));
    check(p::smtpd_tls_loglevel, "1,CACHE", Ok(()));
    check(p::smtpd_tls_loglevel, "11", Err("unknown smtpd_tls_loglevel value \"11\" in \"11\""));
}

#[test]
fn one_word_may_be_in_any_case() {
    check(p::smtp_address_preference, "IPv6", Ok(()));
    check(p::smtp_address_preference, "ipv4 ipv6", Err("bad smtp_address_preference value: ipv4 ipv6"));
    check(p::smtp_dns_support_level, "", Ok(()));
    check(p::smtp_dns_support_level, "no", Err("invalid smtp_dns_support_level: \"no\""));
    check(p::sendmail_fix_line_endings, "Always", Err("invalid sendmail_fix_line_endings value: Always"));
    check(p::smtpd_upstream_proxy_protocol, "haproxy", Ok(()));
}

#[test]
fn some_sets_have_a_size() {
    check(p::mynetworks_style, "host", Ok(()));
    check(
        p::mynetworks_style,
        "host,class",
        Err("bad mynetworks_style value: host,class; specify exactly one value"),
    );
    check(
        p::mailbox_delivery_lock,
        ",",
        Err("parameter mailbox_delivery_lock specifies no applicable mailbox locking method"),
    );
}

#[test]
fn every_default_is_a_choice() {
    let values = Values::for_tests(&[]);
    for id in Choice::parameters() {
        let choice = Choice::of(id).unwrap();
        assert_eq!(choice.check(id.name(), values.text(id)), Ok(()));
        assert_eq!(
            CHOICES.iter().filter(|choice| choice.parameters.contains(&id)).count(),
            1,
            "{}",
            id.name()
        );
    }
}
