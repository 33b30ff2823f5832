use super::*;
use bstr::ByteSlice;
use proptest::prelude::*;

fn header_form(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    externalize_list(&mut out, &parse(text), PrintOptions::default());
    out
}

#[track_caller]
fn check(text: &str, external: &str) {
    assert_eq!(header_form(text.as_bytes()).as_bstr(), external);
}

#[track_caller]
fn check_addresses(text: &str, expected: &[&str]) {
    let internal: Vec<String> = parse(text.as_bytes())
        .iter()
        .filter_map(|token| match token {
            Token::Address(address) => {
                let mut out = Vec::new();
                internalize(&mut out, address);
                Some(out.to_str_lossy().into_owned())
            }
            _ => None,
        })
        .collect();
    assert_eq!(internal, expected, "{text}");
}

#[test]
fn finds_addresses() {
    check_addresses("a@b, c@d", &["a@b", "c@d"]);
    check_addresses("A. U. Thor <a@b>", &["a@b"]);
    check_addresses("a@b (comment), <c@d>", &["a@b", "c@d"]);
    check_addresses("group: a, b@c, \"x y\"@z;, d", &["a", "b@c", "x y@z", "d"]);
    check_addresses("<@r1,@r2:u@d>", &["@r1,@r2:u@d"]);
    check_addresses("u@[192.0.2.1]", &["u@[192.0.2.1]"]);
    check_addresses("a b c", &["a", "b", "c"]);
    check_addresses("undisclosed-recipients:;", &[]);
    check_addresses("<>", &[]);
    check_addresses("\"\"", &[""]);
    check_addresses("a!b!c, d%e@f", &["a!b!c", "d%e@f"]);
    check_addresses("<a(comment)@b>", &["a@b"]);
}

#[test]
fn prints_what_it_read() {
    check("a@b, c@d", "a@b, c@d");
    check("Name <a@b>", "Name <a@b>");
    check("\"Na. me\" <a@b>", "\"Na. me\" <a@b>");
    check("a@b (comm(e)nt\\))", "a@b (comm(e)nt\\))");
    check("g: a, b;", "g: a, b;");
    check("a b", "a, b");
    check("\"a b\"@c", "\"a b\"@c");
    check("<>", "<>");
    check("x <a@b> y <c@d>", "x <a@b>y <c@d>");
    check("a@b.", "a@b.");
    check("", "");
}

#[test]
fn drops_too_much_text_around_an_address() {
    let long = format!("{} <a@b>, c@d", "x ".repeat(200));
    let mut out = Vec::new();
    let options = PrintOptions { is_line_per_address: true, is_truncating: true };
    externalize_list(&mut out, &parse(long.as_bytes()), options);
    assert_eq!(out.as_bstr(), "<a@b>,\nc@d");
}

#[test]
fn stops_at_the_token_limit() {
    assert_eq!(scan_limit(b"a b c", 2).len(), 2);
    assert_eq!(scan(b"a\0b").len(), 1);
}

proptest! {
    #[test]
    fn printing_is_stable(text in "([a-c]{1,3}@[a-c]{1,3}(\\.[a-c])?|x <a@b>|\"a b\"@c|\\(c\\)|g: a, b;|<>|,| ){0,8}") {
        let once = header_form(text.as_bytes());
        let twice = header_form(&once);
        prop_assert_eq!(header_form(&twice), twice);
    }

    #[test]
    fn any_bytes_are_taken(text in proptest::collection::vec(any::<u8>(), 0..80)) {
        let list = parse(&text);
        let mut out = Vec::new();
        externalize_list(&mut out, &list, PrintOptions { is_line_per_address: true, is_truncating: true });
        let address = AddressTokens::scan(&text);
        internalize(&mut out, &address);
        externalize(&mut out, &address);
    }
}
