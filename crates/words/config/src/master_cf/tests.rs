use super::*;
use proptest::prelude::*;

fn parse(text: &str) -> Result<MasterCf, String> {
    MasterCf::parse("/e/master.cf", text.as_bytes()).map_err(|invalid| invalid.text)
}

/// seed: S055
#[test]
fn a_row_has_eight_columns_and_arguments() {
    let master = parse(
        "# comment\nsubmission inet n - y 60? 0 smtpd -v -v -D\n  -o a=b -o { c = d e } -of=g { x y } z\n\npickup unix n n - 60 1 pickup\n",
    )
    .unwrap();
    let row = &master.rows[0];
    assert_eq!(row.endpoint, Endpoint::Inet { host: None, port: "submission".to_owned() });
    assert_eq!((row.private, row.unprivileged, row.chroot), (false, true, true));
    assert_eq!((row.wakeup_time, row.wakeup_conditional, row.max_proc), (60, true, 0));
    assert_eq!((row.verbose, row.debugger, row.line), (2, true, 2));
    let overrides: Vec<_> =
        row.overrides.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(overrides, [("a", "b"), ("c", "d e"), ("f", "g")]);
    assert_eq!(row.operands, ["x y", "z"]);
    let pickup = master.service("pickup", ServiceType::Unix).unwrap();
    assert_eq!(pickup.endpoint, Endpoint::Local("public/pickup".to_owned()));
    assert_eq!((pickup.unprivileged, pickup.max_proc, pickup.wakeup_conditional), (false, 1, false));
}

#[test]
fn addresses_of_tcp_services() {
    let check = |name: &str, expected: Result<(Option<&str>, &str), &str>| {
        let endpoint =
            parse(&format!("{name} inet n - n - - smtpd\n")).map(|master| master.rows[0].endpoint.clone());
        let expected = expected
            .map(|(host, port)| Endpoint::Inet { host: host.map(str::to_owned), port: port.to_owned() })
            .map_err(|why| format!("/e/master.cf: line 1: {why} in \"{name}\""));
        assert_eq!(endpoint, expected, "{name}");
    };
    check("25", Ok((None, "25")));
    check("smtp", Ok((None, "smtp")));
    check(":25", Ok((None, "25")));
    check("127.0.0.1:10025", Ok((Some("127.0.0.1"), "10025")));
    check("localhost:smtp", Ok((Some("localhost"), "smtp")));
    check("[::1]:10025", Ok((Some("::1"), "10025")));
    check("[ipv6:::1]:10025", Ok((Some("::1"), "10025")));
    check("::1:25", Ok((Some("::1"), "25")));
    check("[::1", Err("missing \"]\""));
    check("[::1]x", Err("garbage after \"]\""));
    check("[ipv6:x]:1", Err("malformed IPv6 address"));
    check("localhost:", Err("missing service information"));
    check("-bad-:25", Err("valid hostname or network address required"));
    check("25x", Err("garbage after numerical service"));
}

#[test]
fn a_row_that_is_not_in_order_is_named_with_file_and_line() {
    let check = |row: &str, expected: &str| {
        assert_eq!(
            parse(&format!("\n{row}\n")).unwrap_err(),
            format!("/e/master.cf: line 2: {expected}"),
            "{row}"
        );
    };
    check("smtp", "missing \"transport type\" field");
    check("smtp -", "field \"transport type\" has no default value");
    check("smtp tcp n - n - - smtpd", "bad transport type: tcp");
    check("smtp inet - - n - - smtpd", "inet service cannot be private");
    check("smtp inet y - n - - smtpd", "inet service cannot be private");
    check("smtp inet x - n - - smtpd", "field \"private\": bad value: \"x\"");
    check("smtp inet n Y n - - smtpd", "field \"unprivileged\": bad value: \"Y\"");
    check("a unix - - n x - b", "field \"wakeup_time\": bad value: \"x\"");
    check("a unix - - n - -1 b", "field \"max_proc\": bad value: \"-1\"");
    check("a unix - - n - -", "missing \"command\" field");
    check("a unix - - n - - -", "field \"command\" has no default value");
    check("a unix - - n - - b {x", "missing '}' in \"{x\"");
    check("a unix - - n - - b {x}y", "syntax error after '}' in \"{x}y\"");
    check("a unix - - n - - b -o x", "invalid \"-o x\" option value: missing '=' after attribute name");
}

/// seed: S055
#[test]
fn the_last_of_two_rows_with_one_endpoint_counts() {
    let master =
        parse("a unix - - n - - b\na unix - - n - 5 c\na unix n - n - - d\na fifo - - n - - e\n").unwrap();
    let commands: Vec<_> = master.rows.iter().map(|row| row.command.as_str()).collect();
    assert_eq!(commands, ["c", "d", "e"]);
    assert_eq!(
        master.warnings[0].to_string(),
        "warning: /e/master.cf, line 2: duplicate master.cf entry for service \"a\" (private/a) -- using the last entry"
    );
}

proptest! {
    #[test]
    fn any_bytes_are_rows_or_an_error(bytes: Vec<u8>) {
        let _ = MasterCf::parse("master.cf", &bytes);
    }

    #[test]
    fn any_row_is_a_row_or_an_error(name in "[\\[\\]:.a1-]{1,12}", rest in "[-yn0-9?{}o= a]{0,40}") {
        let _ = parse(&format!("{name} inet {rest}\n"));
        let _ = parse(&format!("{name} unix - - - - - b {rest}\n"));
    }

    #[test]
    fn what_is_written_is_read(
        name in "[a-z][a-z0-9]{0,8}", private: bool, chroot: bool, wakeup in 0..9999_u32, conditional: bool, max_proc in 0..999_u32,
        settings in proptest::collection::vec(("[a-z_]{1,8}", "[a-z0-9$]([a-z0-9 $=]{0,10}[a-z0-9])?"), 0..4),
    ) {
        let flag = |yes| if yes { "y" } else { "n" };
        let question = if conditional { "?" } else { "" };
        let mut text = format!("{name} unix {} - {} {wakeup}{question} {max_proc} prog", flag(private), flag(chroot));
        for (name, value) in &settings {
            text += &format!("\n  -o {{ {name} = {value} }}");
        }
        let row = parse(&text).unwrap().rows.remove(0);
        prop_assert_eq!(row.private, private);
        prop_assert_eq!(row.chroot, chroot);
        prop_assert_eq!(row.wakeup_time, wakeup);
        prop_assert_eq!(row.wakeup_conditional, conditional && wakeup > 0);
        prop_assert_eq!(row.max_proc, max_proc);
        prop_assert_eq!(row.overrides, settings);
    }
}
