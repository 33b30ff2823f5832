use super::*;
use crate::LocalDomains;
use bstr::ByteSlice;
use world::testing::{FakeTables, now};

fn maps(list: &str, tables: &FakeTables) -> AddressMaps {
    AddressMaps {
        maps: Maps::open("virtual_alias_maps", list, tables),
        extensions: Rc::new(ExtensionRules {
            recipient_delimiter: b"+".as_slice().into(),
            ..ExtensionRules::default()
        }),
        myorigin: b"Origin.example".as_slice().into(),
        local: Rc::new(LocalDomains::new("local.example", Box::new(["192.0.2.1".parse().unwrap()]), tables)),
    }
}

/// The keys asked, in order.
#[track_caller]
fn check_order(address: &str, strategy: Strategy, expected: &str) {
    let tables = FakeTables::new(&[]);
    let found = now(maps("t:x", &tables).find(address.as_bytes(), strategy));
    assert_eq!(found, Lookup::Absent);
    assert_eq!(tables.asked(), expected, "{address}");
}

#[track_caller]
fn check_found(key: &str, address: &str, expected: Option<&str>) {
    let tables = FakeTables::new(&[("t:x", key, "value")]);
    let hit = match now(maps("t:x", &tables).find(address.as_bytes(), Strategy::DEFAULT)) {
        Lookup::Found(hit) => Some(hit.extension.unwrap_or_default().to_str().unwrap().to_owned()),
        Lookup::Absent => None,
        Lookup::TryAgain(trouble) => panic!("{trouble}"),
    };
    assert_eq!(hit.as_deref(), expected, "{address} by {key}");
}

#[test]
fn order_of_forms() {
    check_order("u+e@far.example", Strategy::DEFAULT, "u+e@far.example u@far.example @far.example");
    check_order(
        "u+e@origin.example",
        Strategy::DEFAULT,
        "u+e@origin.example u@origin.example u+e u @origin.example",
    );
    check_order("u@local.example", Strategy::DEFAULT, "u@local.example u @local.example");
    check_order("u@[192.0.2.1]", Strategy::DEFAULT, "u@[192.0.2.1] u @[192.0.2.1]");
    check_order("u", Strategy::DEFAULT, "u");
    check_order(
        "u+e@a.b.example",
        Strategy::FULL | Strategy::NOEXT | Strategy::DOMAIN | Strategy::PARENTS | Strategy::LOCALPART_AT,
        "u+e@a.b.example u@a.b.example a.b.example b.example example u+e@ u@",
    );
    check_order(
        "u@a.b.example",
        Strategy::FULL | Strategy::DOMAIN | Strategy::DOT_PARENTS,
        "u@a.b.example a.b.example .b.example .example",
    );
    check_order("u@d", Strategy::AT_DOMAIN | Strategy::LOCALPART_AT_IF_LOCAL, "@d");
    check_order(
        "a b@origin.example",
        Strategy::DEFAULT,
        "\"a b\"@origin.example a b@origin.example \"a b\" a b @origin.example",
    );
}

#[test]
fn extension_comes_back_when_it_was_not_matched() {
    check_found("u+e@far.example", "U+E@Far.example", Some(""));
    check_found("u@far.example", "u+e@far.example", Some("+e"));
    check_found("u", "u+e@local.example", Some("+e"));
    check_found("u+e", "u+e@local.example", Some(""));
    check_found("@far.example", "u+e@far.example", Some(""));
    check_found("u", "u+e@far.example", None);
}

#[test]
fn patterns_see_whole_addresses_only() {
    let tables = FakeTables::new(&[]);
    let _ = now(maps("pattern:x t:x", &tables).find(b"U+e@far.example", Strategy::DEFAULT));
    assert_eq!(tables.asked(), "U+e@far.example u+e@far.example u@far.example @far.example");
}

#[test]
fn trouble_stops_the_search() {
    let tables = FakeTables::new(&[("t:x", "@far.example", "value"), ("t:empty", "u@far.example", "")]);
    let find = |list: &str| now(maps(list, &tables).find(b"u@far.example", Strategy::DEFAULT));
    assert!(matches!(find("fail:x t:x"), Lookup::TryAgain(_)));
    assert!(matches!(find("t:x fail:x"), Lookup::TryAgain(_)));
    assert!(matches!(find("t:empty t:x"), Lookup::TryAgain(_)));
    assert!(matches!(find("t:x"), Lookup::Found(_)));
}
