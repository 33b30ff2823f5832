use super::*;
use proptest::prelude::*;

const TEXT: &str = "\
# head
smtp inet n - y - - smtpd
  -o a=1 # no comment
  -v
# about the row above
pickup    unix  n       -       y       60      1       pickup
smtp unix - - y - - smtp
        -o { b = c d }

smtp inet n - y - - again";

fn edit(change: Change, part: Part, requests: &[&str], text: &str) -> Result<(String, Vec<String>), String> {
    let requests: Vec<String> = requests.iter().map(|&request| request.to_owned()).collect();
    let edited = MasterEdit::parse(change, part, &requests)?.apply("/e/master.cf", text.as_bytes())?;
    Ok((String::from_utf8(edited.text).unwrap(), edited.warnings))
}

fn check(change: Change, part: Part, requests: &[&str], before: &str, expected: &str) {
    assert_eq!(edit(change, part, requests, before).unwrap().0, expected, "{requests:?}");
}

#[test]
fn rows_are_replaced_added_removed_and_commented_out() {
    check(
        Change::Set,
        Part::Entry,
        &["smtp/inet=smtps inet n - - - - smtpd -oa={b c}", "new/unix=new unix - - n - - pipe { x y }"],
        TEXT,
        "# head\nsmtps      inet  n       -       -       -       -       smtpd\n    -o {a={b c}}\n\
         # about the row above\npickup    unix  n       -       y       60      1       pickup\n\
         smtp unix - - y - - smtp\n        -o { b = c d }\n\n\
         new        unix  -       -       n       -       -       pipe {x y}\n",
    );
    check(
        Change::CommentOut,
        Part::Entry,
        &["smtp/inet"],
        TEXT,
        "# head\n#smtp inet n - y - - smtpd\n#  -o a=1 # no comment\n#  -v\n# about the row above\n\
         pickup    unix  n       -       y       60      1       pickup\nsmtp unix - - y - - smtp\n        -o { b = c d }\n\n\
         #smtp inet n - y - - again\n",
    );
    check(
        Change::Exclude,
        Part::Entry,
        &["smtp/*"],
        TEXT,
        "# head\n# about the row above\npickup    unix  n       -       y       60      1       pickup\n\n",
    );
}

#[test]
fn a_new_row_replaces_the_one_whose_place_it_takes() {
    check(
        Change::Set,
        Part::Entry,
        &["a/unix=b unix - - - - - new"],
        "b unix - - - - - old\na unix - - - - - old\n",
        "b          unix  -       -       -       -       -       new\n",
    );
}

#[test]
fn fields_and_parameters_change_within_their_row() {
    let before = "a unix - - - - - prog -v -o x=1 -o xx=2 -ox=3 operand\n# behind\nb unix - - - - - prog\n";
    let check = |change, part, requests: &[&str], expected: &str| {
        check(change, part, requests, before, &format!("# behind\n{expected}b unix - - - - - prog\n"));
    };
    check(
        Change::Set,
        Part::Parameter,
        &["a/unix/x=9", "a/unix/y="],
        "a          unix  -       -       -       -       -       prog -v\n    -o x=9\n    -o xx=2\n    -o x=9\n    -o y=\n    operand\n",
    );
    check(
        Change::Exclude,
        Part::Parameter,
        &["a/*/x"],
        "a          unix  -       -       -       -       -       prog -v\n    -o xx=2\n    operand\n",
    );
    check(
        Change::Set,
        Part::Field,
        &["a/unix/command=other { b c }", "a/unix/chroot=n"],
        "a          unix  -       -       n       -       -       other {b c}\n",
    );
}

#[test]
fn what_nothing_matches_is_said() {
    let (text, said) = edit(Change::Set, Part::Field, &["no/unix/chroot=n"], "a unix - - - - - b").unwrap();
    assert_eq!(text, "a unix - - - - - b\n");
    assert_eq!(said, ["unmatched service_name/type: \"no/unix/chroot=n\""]);
    assert_eq!(edit(Change::Exclude, Part::Entry, &["no/unix"], "").unwrap().1, Vec::<String>::new());
}

#[test]
fn what_postfix_refuses_is_refused() {
    let check = |change, part, request: &str, text: &str, expected: &str| {
        assert_eq!(edit(change, part, &[request], text).unwrap_err(), expected, "{request:?}");
    };
    let options = "-Me, -Fe, -Pe, -X, or -#";
    let (set, exclude) = (Change::Set, Change::Exclude);
    check(set, Part::Entry, "a/unix=b\nc", "", &format!("{options} accept no multi-line input"));
    check(set, Part::Entry, "#a/unix=b", "", &format!("{options} accept no comment input"));
    check(set, Part::Entry, "a/unix", "", "missing '=' after attribute name: \"a/unix\"");
    check(set, Part::Entry, "a/unix/x=b", "", "-Me, -MX or -M# requires service_name/type");
    check(set, Part::Entry, "a/unix=b", "", "bad field count: \"a/unix=b\"");
    check(
        set,
        Part::Entry,
        "a/unix=a tcp - - - - - b",
        "",
        "invalid type field \"tcp\" in \"a tcp - - - - - b\"",
    );
    check(exclude, Part::Entry, "a", "", "-Me, -MX or -M# requires service_name/type");
    check(exclude, Part::Entry, "a/unix=b", "", "-X or -# requires names without value");
    check(set, Part::Field, "a/unix=b", "", "-Fe or -FX requires service_name/type/field_name");
    check(set, Part::Field, "a/unix/*=b", "", "-Fe does not accept wild-card field name");
    check(set, Part::Field, "a/unix/x=b", "", "invalid service attribute name: \"x\"");
    check(set, Part::Field, "a/unix/chroot=a b", "", "-Fe does not accept whitespace in non-command field");
    check(set, Part::Field, "a/unix/chroot=x", "a unix - - - - - b", "invalid chroot field \"x\" in \"x\"");
    check(set, Part::Field, "a/unix/service=", "a unix - - - - - b", "invalid service field \"\" in \"\"");
    check(set, Part::Parameter, "a/unix/*=b", "", "-Pe does not accept wild-card parameter name");
    check(set, Part::Parameter, "a/unix/x=b c", "", "-Pe does not accept whitespace in parameter value");
    check(
        exclude,
        Part::Entry,
        "a/unix",
        "# c\na\n unix",
        "file /e/master.cf: line 2: specify service name and type on the same line",
    );
    check(
        exclude,
        Part::Entry,
        "a/unix",
        "a=b unix",
        &format!("file /e/master.cf: line 1: service name syntax \"a=b\" is unsupported with {options}"),
    );
    check(
        exclude,
        Part::Entry,
        "a/unix",
        "a unix/x",
        &format!("file /e/master.cf: line 1: service type syntax \"unix/x\" is unsupported with {options}"),
    );
    check(set, Part::Parameter, "a/unix/x=b", "\na unix\n", "file /e/master.cf: line 2: bad field count");
}

proptest! {
    #[test]
    fn any_text_keeps_what_is_not_meant(text: Vec<u8>) {
        let requests = ["no-such/unix=no-such unix - - - - - b".to_owned()];
        if let Ok(edited) = MasterEdit::parse(Change::Set, Part::Entry, &requests).unwrap().apply("f", &text) {
            prop_assert!(edited.text.starts_with(&text));
        }
    }

    #[test]
    fn any_rows_are_edited_or_refused(arguments in "[-ov{}= ab\n#]{0,40}") {
        let text = format!("a unix - - - - - b {}\n", arguments.replace('\n', "\n "));
        for (part, request) in [(Part::Parameter, "a/unix/a=v"), (Part::Field, "a/unix/chroot=n")] {
            let requests = [request.to_owned()];
            let edit = MasterEdit::parse(Change::Set, part, &requests).unwrap();
            if let Ok(edited) = edit.apply("f", text.as_bytes()) {
                prop_assert!(WrittenRow::read("f", &edited.text).invalid.is_none());
            }
        }
    }
}
