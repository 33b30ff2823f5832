use super::*;
use world::testing::{FakeTables, now};

fn tables() -> FakeTables {
    FakeTables::new(&[
        ("t:names", "example.com", "x"),
        ("t:names", ".dot.example", "x"),
        ("pattern:names", "example.com", "x"),
        ("t:addresses", "192.0.2.1", "x"),
    ])
    .with_file("/list", "# comment\n a.example,\n  b.example !c.example\n\n10.0.0.0/8\n")
    .with_file("/loop", "/loop")
}

/// `yes`, `no` or the text of the trouble.
fn say(answer: Result<bool, Trouble>) -> String {
    answer.map_or_else(|trouble| trouble.to_string(), |yes| (if yes { "yes" } else { "no" }).to_owned())
}

#[track_caller]
fn check_domain(style: ParentStyle, patterns: &str, name: &str, expected: &str) {
    let list = DomainList::open("relay_domains", style, patterns, &tables());
    assert_eq!(say(now(list.matches(name.as_bytes()))), expected, "{name} in {patterns}");
}

#[track_caller]
fn check_host(patterns: &str, name: &str, address: &str, expected: &str) {
    let list = NameAddrList::open("mynetworks", ParentStyle::Parent, patterns, &tables());
    assert_eq!(say(now(list.matches(name.as_bytes(), address))), expected, "{name}[{address}] in {patterns}");
}

#[track_caller]
fn check_string(patterns: &str, string: &str, expected: &str) {
    let list = StringList::open("mydestination", patterns, &tables());
    assert_eq!(say(now(list.matches(string.as_bytes()))), expected, "{string} in {patterns}");
}

#[test]
fn domains_by_parent_style() {
    use ParentStyle::{DotParent, Parent};
    check_domain(Parent, "Example.COM", "sub.example.com", "yes");
    check_domain(Parent, "example.com", "EXAMPLE.com", "yes");
    check_domain(Parent, "example.com", "badexample.com", "no");
    check_domain(DotParent, "example.com", "sub.example.com", "no");
    check_domain(DotParent, ".example.com", "sub.example.com", "yes");
    check_domain(DotParent, ".example.com", "example.com", "no");
    check_domain(Parent, "!sub.example.com, example.com", "a.sub.example.com", "no");
    check_domain(Parent, "!!example.com", "example.com", "yes");
}

#[test]
fn domains_in_tables() {
    use ParentStyle::{DotParent, Parent};
    check_domain(Parent, "t:names", "a.b.example.com", "yes");
    check_domain(DotParent, "t:names", "b.example.com", "no");
    check_domain(DotParent, "t:names", "a.b.dot.example", "yes");
    check_domain(Parent, "pattern:names", "b.example.com", "no");
    check_domain(Parent, "pattern:names", "example.com", "yes");
}

#[test]
fn networks() {
    check_host("127.0.0.0/8 [::1]/128", "unknown", "127.0.0.2", "yes");
    check_host("127.0.0.0/8 [::1]/128", "unknown", "::1", "yes");
    check_host("127.0.0.0/8 [::1]/128", "unknown", "::2", "no");
    check_host("!192.0.2.7 192.0.2.0/24", "unknown", "192.0.2.7", "no");
    check_host("!192.0.2.7 192.0.2.0/24", "unknown", "192.0.2.8", "yes");
    check_host("[192.0.2.1]", "unknown", "192.0.2.1", "yes");
    check_host("[2001:DB8:0::1]", "unknown", "2001:db8::1", "yes");
    check_host("example.com", "mx.example.com", "192.0.2.1", "yes");
    check_host("t:addresses", "unknown", "192.0.2.1", "yes");
    check_host("/list", "unknown", "10.1.2.3", "yes");
}

#[test]
fn trouble_is_not_a_no() {
    check_host(
        "192.0.2.1/24",
        "unknown",
        "192.0.2.9",
        "mynetworks: non-null host address bits in \"192.0.2.1/24\", perhaps you should use \"192.0.2.0/24\" instead",
    );
    check_host("192.0.2.1/24, [::1]", "unknown", "::1", "yes");
    check_host("fail:x", "a.b", "::1", "mynetworks: fail:x: table lookup problem: always");
    check_host("127.0.0.1 fail:x", "a.b", "127.0.0.1", "yes");
    check_string("a.example /missing", "b.example", "mydestination: no such file");
    check_string("a.example /missing", "a.example", "yes");
    check_string("!", "a", "mydestination: no pattern after '!'");
    check_string("/loop", "a", "mydestination: /loop: pattern files name each other too deeply");
}

#[test]
fn strings_and_files() {
    check_string("/list", "A.example", "yes");
    check_string("/list", "b.example", "yes");
    check_string("/list", "c.example", "no");
    check_string("!/list, c.example", "c.example", "yes");
    check_string("!/list, a.example", "a.example", "no");
    check_string("t:names", "EXAMPLE.com", "yes");
    check_string("", "x", "no");
}

#[test]
fn style_by_parameter() {
    let value = "debug_peer_list,fast_flush_domains, !relay_domains, mynetworks";
    assert_eq!(parent_style(value, "mynetworks"), ParentStyle::Parent);
    assert_eq!(parent_style(value, "relay_domains"), ParentStyle::DotParent);
    assert_eq!(parent_style(value, "smtpd_access_maps"), ParentStyle::DotParent);
}
