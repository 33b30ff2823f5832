use super::*;
use config::Values;
use proptest::prelude::*;
use types::Address;
use world::testing::{FakeTables, now};

fn rewriter(extra: &[(&str, &str)]) -> Rewriter {
    let mut settings = vec![
        ("myhostname", "mx.example.com"),
        ("mydomain", "example.com"),
        ("myorigin", "example.com"),
        ("mydestination", "example.com, localhost, mx.example.com"),
        ("compatibility_level", "3.6"),
    ];
    settings.extend_from_slice(extra);
    let values = Values::for_tests(&settings);
    Rewriter::new(RewriteSettings::load(&values).unwrap(), &FakeTables::default())
}

#[track_caller]
fn check_rewrite(rewriter: &Rewriter, address: &str, expected: &str) {
    let got = rewriter.rewrite_external(Context::Local, address.as_bytes());
    assert_eq!(String::from_utf8_lossy(&got), expected, "{address}");
}

#[test]
fn completes_addresses() {
    let r = rewriter(&[]);
    check_rewrite(&r, "user", "user@example.com");
    check_rewrite(&r, "user@host", "user@host");
    check_rewrite(&r, "user@host.", "user@host");
    check_rewrite(&r, "user@host..", "user@host..");
    check_rewrite(&r, "user%host", "user@host");
    check_rewrite(&r, "a%b%c", "a%b@c");
    check_rewrite(&r, "host!user", "user@host");
    check_rewrite(&r, "a!b!user", "b!user@a");
    check_rewrite(&r, "@a,@b:user@c", "user@c");
    check_rewrite(&r, "@", "\"\"");
    check_rewrite(&r, "\"\"", "\"\"");
    check_rewrite(&r, "\"a b\"", "\"a b\"@example.com");
    check_rewrite(&r, "user@[192.0.2.1]", "user@[192.0.2.1]");
    let old = rewriter(&[("append_dot_mydomain", "yes")]);
    check_rewrite(&old, "user@host", "user@host.example.com");
    check_rewrite(&old, "user@[192.0.2.1]", "user@[192.0.2.1]");
    check_rewrite(&old, "user@host.x", "user@host.x");
}

#[test]
fn a_strangers_addresses_get_no_domain_of_ours() {
    let r = rewriter(&[]);
    assert_eq!(&*r.rewrite_external(Context::Remote, b"user"), b"user");
    let r = rewriter(&[("remote_header_rewrite_domain", "domain.invalid")]);
    assert_eq!(&*r.rewrite_external(Context::Remote, b"user"), b"user@domain.invalid");
}

/// `transport nexthop recipient class` with `R` for routed and `E` for error.
#[track_caller]
fn check_resolve(rewriter: &Rewriter, address: &str, expected: &str) {
    check_resolve_from(rewriter, "sender@x.example", address, expected);
}

#[track_caller]
fn check_resolve_from(rewriter: &Rewriter, sender: &str, address: &str, expected: &str) {
    let got = match now(rewriter.resolve(&sender.into(), &address.into())) {
        Lookup::Found(r) if r.is_error => format!("{} E", r.recipient),
        Lookup::Found(r) => format!(
            "{} {} {} {:?}{}",
            r.transport,
            r.nexthop,
            r.recipient,
            r.class,
            if r.is_routed { " R" } else { "" }
        ),
        other => format!("{other:?}"),
    };
    assert_eq!(got, expected, "{address}");
}

#[test]
fn strips_our_own_domains() {
    let r = rewriter(&[("local_transport", "local:$myhostname")]);
    check_resolve(&r, "user@example.com", "local mx.example.com user@example.com Local");
    check_resolve(&r, "user", "local mx.example.com user@mx.example.com Local");
    check_resolve(&r, "", "local mx.example.com MAILER-DAEMON@mx.example.com Local");
    check_resolve(&r, "user@127.0.0.1", "user@127.0.0.1 E");
    check_resolve(&r, "user@[127.0.0.1]", "local mx.example.com user@[127.0.0.1] Local");
    check_resolve(&r, "a%b.example@example.com", "smtp b.example a@b.example Default");
    check_resolve(&r, "b.example!a@example.com", "smtp b.example a@b.example Default");
    check_resolve(&r, "a@b.example@example.com", "smtp b.example a@b.example Default");
    check_resolve(&r, "a%b@c.example", "smtp c.example a%b@c.example Default R");
    check_resolve(&r, "a b@c.example", "smtp c.example a b@c.example Default");
    check_resolve(&r, "a@-bad", "a@-bad E");
    check_resolve(&r, "-a@b.example", "-a@b.example E");
    check_resolve(&r, "a@[bad]", "a@[bad] E");
}

#[test]
fn classes_have_their_transports() {
    let r = rewriter(&[
        ("virtual_alias_domains", "va.example"),
        ("virtual_mailbox_domains", "vm.example"),
        ("relay_domains", "relay.example"),
        ("relayhost", "[gw.example]:587"),
    ]);
    check_resolve(
        &r,
        "a@va.example",
        "error 5.1.1 User unknown in virtual alias table a@va.example VirtualAlias",
    );
    check_resolve(&r, "a@vm.example", "virtual vm.example a@vm.example VirtualMailbox");
    check_resolve(&r, "a@relay.example", "relay [gw.example]:587 a@relay.example Relay");
    check_resolve(&r, "a@sub.relay.example", "relay [gw.example]:587 a@sub.relay.example Relay");
    check_resolve(&r, "a@other.example", "smtp [gw.example]:587 a@other.example Default");
}

#[test]
fn transport_maps_override() {
    let table = "inline:{ {u+e@a.example = t1:} {u@a.example = t2:} {b.example = :[h]} {.b.example = t3:n} {d.example = t4} {* = t5:} }";
    let r = rewriter(&[("transport_maps", table), ("recipient_delimiter", "+")]);
    check_resolve(&r, "u+e@a.example", "t1 a.example u+e@a.example Default");
    check_resolve(&r, "u+f@a.example", "t2 a.example u+f@a.example Default");
    check_resolve(&r, "u@b.example", "smtp [h] u@b.example Default");
    check_resolve(&r, "u@d.example", "t4 d.example u@d.example Default");
    check_resolve(&r, "u@z.example", "t5 z.example u@z.example Default");
    check_resolve(&r, "u@example.com", "t5 example.com u@example.com Local");
}

#[test]
fn senders_choose_their_relay() {
    let r = rewriter(&[
        (
            "sender_dependent_relayhost_maps",
            "inline:{ {s@a.example = [gw1]} {@b.example = DUNNO} {<> = [gw2]} }",
        ),
        ("sender_dependent_default_transport_maps", "inline:{ {@c.example = smtp2:[h]} }"),
        ("relayhost", "[gw]"),
    ]);
    check_resolve_from(&r, "s@a.example", "u@z.example", "smtp [gw1] u@z.example Default");
    check_resolve_from(&r, "s@b.example", "u@z.example", "smtp [gw] u@z.example Default");
    check_resolve_from(&r, "", "u@z.example", "smtp [gw2] u@z.example Default");
    check_resolve_from(&r, "s@c.example", "u@z.example", "smtp2 [h] u@z.example Default");
}

#[test]
fn moved_users_bounce() {
    let r = rewriter(&[("relocated_maps", "inline:{ {u@example.com = new@z.example} }")]);
    check_resolve(&r, "u@example.com", "error 5.1.6 User has moved to new@z.example u@example.com Local");
}

#[test]
fn a_table_that_cannot_be_asked_is_no_answer() {
    for name in ["transport_maps", "relocated_maps", "virtual_alias_domains", "relay_domains"] {
        let r = rewriter(&[(name, "fail:")]);
        let answer = now(r.resolve(&Address::null(), &"u@z.example".into()));
        assert!(matches!(answer, Lookup::TryAgain(_)), "{name}: {answer:?}");
    }
}

proptest! {
    #[test]
    fn any_address_is_resolved(address in proptest::collection::vec(any::<u8>(), 0..60)) {
        let r = rewriter(&[("resolve_null_domain", "yes")]);
        let _ = now(r.resolve(&Address::null(), &Address::new(address.clone())));
        let _ = r.rewrite_external(Context::Local, &address);
        let _ = r.rewrite_internal(Context::Remote, &address);
    }

    #[test]
    fn routes_are_resolved(address in "[ab@%!\"\\\\.,:\\[\\] ]{0,16}(@example\\.com){0,3}") {
        let r = rewriter(&[]);
        let _ = now(r.resolve(&Address::null(), &Address::new(address.into_bytes())));
    }
}

#[derive(Default)]
struct Lines(std::cell::RefCell<Vec<String>>);

impl maillog::Sink for Lines {
    fn write(&self, line: maillog::Line<'_>) {
        self.0.borrow_mut().push(line.text.to_owned());
    }
}

#[test]
fn an_old_default_that_completes_a_domain_is_named() {
    let check = |settings: &[(&str, &str)], address: &str, expected: &[&str]| {
        let lines = std::rc::Rc::new(Lines::default());
        let log = maillog::Logger::new(lines.clone(), "postfix/trivial-rewrite", 1);
        let settings = [&[("mydomain", "test")], settings].concat();
        let rewriter = rewriter(&settings).with_log(log);
        let _ = rewriter.rewrite_external(Context::Local, address.as_bytes());
        assert_eq!(*lines.0.borrow(), expected, "{settings:?} {address}");
    };
    let text = "using backwards-compatible default setting append_dot_mydomain=yes to rewrite";
    let host = format!("{text} \"host\" to \"host.test\"");
    let localhost = format!(
        "{text} \"localhost\" to \"localhost.test\"; please add \"localhost\" to mydestination or other address class"
    );
    let old = ("compatibility_level", "0");
    check(&[old], "user@host", &[&host]);
    check(&[old], "user@host.example", &[]);
    check(&[old], "user@localhost", &[]);
    check(&[old, ("mydestination", "")], "user@localhost", &[&localhost]);
    check(&[old, ("append_dot_mydomain", "yes")], "user@host", &[]);
}
