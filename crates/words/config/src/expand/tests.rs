use super::*;
use proptest::prelude::*;

fn names(name: &str) -> Option<String> {
    let value = match name {
        "a" => "A",
        "b" => "$a",
        "empty" => "",
        "seven" => "7",
        "loop" => "$pool",
        "pool" => "x$loop",
        "level" => "3.6",
        "markup" => "<b>",
        _ => return None,
    };
    Some(value.to_owned())
}

fn expanded(template: &str) -> Expansion {
    expand(template, Options { recurse: true, ..Options::default() }, &names)
}

#[test]
fn names_stand_for_their_values() {
    let check = |template: &str, expected: &str| {
        let expansion = expanded(template);
        assert_eq!(
            (expansion.text.as_str(), expansion.error, expansion.warnings),
            (expected, false, vec![]),
            "{template}"
        );
    };
    check("", "");
    check("plain {text}", "plain {text}");
    check("$a ${a} $(a) ${ a }", "A A A A");
    check("$a.$b-$nope-", "A.A--");
    check("$$a $$$a", "$a $A");
    check("${a?yes $b}${nope?no}", "yes A");
    check("${nope:default}${a:no}${empty:e}", "defaulte");
    check("${a?{yes}:{no}} ${nope?{yes}:{no}}", "yes no");
    check("${a ? {yes} : {no}}", "yes");
    check("${nope:{x}}", "x");
    check("${a??foo:{b}ar}", "?foo:{b}ar");
    check("${nope?{$a}:{${b?{in}:{out}}}}", "in");
    check("${{a} == {a} ? {same} : {other}}", "same");
    check("${{$seven} < {10} ? {less} : {more}}", "less");
    check("${{07} == {7} ? {=} : {!}}", "=");
    check("${{x7} < {x10} ? {less} : {more}}", "more");
    check("${{b} >= {a}?x}${{b} <= {a}:y}${{a} != {b}}${{a} > {b}}", "xytrue");
    check("${{$level} <level {3.11} ? {old} : {new}}", "old");
    check("${{$level} >=level {3.6}?{x}}", "x");
    check("${domain_to_ascii{ $a }}", "A");
    check(
        "${domain_to_ascii{bücher.example}} ${domain_to_utf8{xn--bcher-kva.example}}",
        "xn--bcher-kva.example bücher.example",
    );
}

#[test]
fn what_is_not_understood_is_named() {
    let check = |template: &str, warning: &str| {
        let expansion = expanded(template);
        assert!(expansion.error, "{template}");
        assert_eq!(expansion.warnings.first().map(String::as_str), Some(warning), "{template}");
    };
    check("x ${a", "truncated macro reference: \"x ${a\"");
    check("$(a", "truncated macro reference: \"$(a\"");
    check("$ a", "empty macro name: \"$ a\"");
    check("${}", "empty macro name: \"${}\"");
    check("${a b}", "attribute name syntax error at: \"...a>>> b\"");
    check("${a-b}", "attribute name syntax error at: \"...a>>>-b\"");
    check("${a?{x}y}", "\":\" expected at: \"...x}>>>y\"");
    check("${a?{x}:{y}z}", "unexpected input at: \"...y}>>>z\"");
    check("${{a} == {a} x}", "\"?\" or \":\" expected at: \"...}>>>x\"");
    check("${{a} == a}", "\"{expression}\" expected at: \"...{a} ==>>> a\"");
    check(
        "${{a} =~ {a}}",
        "\"==\" or \"!=\"\" or \"<\"\" or \"<=\"\" or \">=\"\" or \">\" expected at: \"...a}>>>=~ {a}\"",
    );
    check("${{a} <foo {a}}", "bad operator suffix at: \"...<>>>foo\"");
    check("${{x} <level {3}}", "malformed compatibility level syntax: \"x\"");
    check("${nofn{x}}", "unknown function \"nofn\" at\"...>>>nofn{x}\"");
    check("${domain_to_ascii{}}", "bad domain argument in: 'domain_to_ascii{}'");
    check("$loop", "unreasonable macro call nesting: \"pool\"");
}

#[test]
fn undefined_names_are_noticed_and_empty() {
    assert!(expanded("$nope").undefined);
    assert!(!expanded("${nope?x}$empty").undefined);
}

#[test]
fn values_can_be_filtered_and_left_alone() {
    let options = Options { allowed: Some("ab"), ..Options::default() };
    assert_eq!(expand("<$markup>$b", options, &names).text, "<_b_>_a");
}

#[test]
fn every_name_is_seen_on_both_sides_of_a_condition() {
    let (seen, _) = names_in("$a ${b?$c:$d} ${e?{$f}:{$g}} ${{$h} == {$i} ? {$j} : {$k}}");
    assert_eq!(seen, ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"]);
}

#[test]
fn work_is_bounded() {
    let doubling = |name: &str| {
        let depth: u32 = name.strip_prefix('d')?.parse().ok()?;
        (depth < 90).then(|| format!("$d{m}$d{m}", m = depth + 1))
    };
    let expansion = expand("$d0", Options { recurse: true, ..Options::default() }, &doubling);
    assert!(expansion.error);
    let nested = "${a?".repeat(100_000);
    assert!(expanded(&nested).error);
    let nested = format!("{}x{}", "${{".repeat(5000), "}}".repeat(5000));
    assert!(expanded(&nested).error);
    let nested = format!("{}x{}", "${a?{".repeat(5000), "}}".repeat(5000));
    assert!(expanded(&nested).error);
}

proptest! {
    #[test]
    fn any_template_ends(template in "([$a-c{}(): ?=<>!]|level|loop|domain_to_ascii|\\PC){0,60}") {
        let _ = expanded(&template);
        let _ = names_in(&template);
        let _ = expand(&template, Options { allowed: Some("ab"), ..Options::default() }, &names);
    }

    #[test]
    fn text_without_dollars_stays(template in "[^$]{0,60}") {
        prop_assert_eq!(expanded(&template).text, template);
    }

    #[test]
    fn doubled_dollars_come_back(text in "\\PC{0,60}") {
        prop_assert_eq!(expanded(&text.replace('$', "$$")).text, text);
    }
}
