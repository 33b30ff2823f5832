//! `-b` and `-t`, and the short lists.

use crate::{
    generator::Chance,
    peer::{Folder, Run, Whose, run_in},
};

fn both(main_cf: &str, template: &str, args: &[&str]) -> [Run; 2] {
    [Whose::Debian, Whose::Ours].map(|whose| {
        let folder = Folder::new(main_cf.as_bytes(), b"");
        folder.write("file", template.as_bytes());
        run_in(&folder, whose, args)
    })
}

#[track_caller]
fn same(main_cf: &str, template: &str, args: &[&str]) {
    let shown = |run: &Run| (run.code, run.said(), run.out.escape_ascii().to_string());
    let [theirs, ours] = both(main_cf, template, args);
    assert_eq!(shown(&ours), shown(&theirs), "{main_cf:?} {template:?} {args:?}");
}

/// All four, so that none of the built-in texts, which are our own, is shown.
const ALL: &str = "\
# comment
failure_template = <<EOF
Charset: utf-8
From: MAILER-DAEMON (Mail Delivery System)
Subject: Undelivered
Postmaster-Subject:  Postmaster  Copy

This is $myhostname, $mydomain, ${mail_name} of ${own_name}.

  ä $$ ${undefined_name?no}${own_name:none}
EOF

delay_template = <<x
Subject: Delayed

$delay_warning_time_seconds $delay_warning_time_minutes ${delay_warning_time_hours}
$maximal_queue_lifetime_days $maximal_queue_lifetime_weeks
x
success_template = one line
verify_template = <<END
X
END
";

#[test]
fn templates_are_shown_as_debians_does() {
    let main = "compatibility_level = 3.6\nmyhostname = mx.xn--mnchen-3ya.test\ninet_protocols = ipv4\nown_name = a\tb$mydomain\n";
    for option in ["-t", "-b"] {
        same(main, ALL, &[option, "file"]);
        same(&format!("{main}delay_warning_time = 90m\n"), ALL, &[option, "file"]);
        same(&format!("{main}delay_warning_time = 30\n"), ALL, &[option, "file"]);
        same(
            &format!("{main}maximal_queue_lifetime = 100w\ndelay_warning_time = 10w\n"),
            ALL,
            &[option, "file"],
        );
        same(&format!("{main}bounce_template_file = file\nsmtputf8_enable = no\n"), ALL, &[option]);
        same(&format!("{main}header_from_format = obsolete\nsyslog_name = other\n"), ALL, &[option, "file"]);
        same(main, ALL, &[option, "nothing-there"]);
        same(main, ALL, &[option, "file", "file"]);
        same(&format!("{main}maximal_queue_lifetime = x\n"), ALL, &[option, "file"]);
    }
    same(main, ALL, &["-b", "-t"]);
    same(main, ALL, &["-b", "-n"]);
}

#[test]
fn what_is_wrong_with_templates_is_told_as_by_debians() {
    let main = "compatibility_level = 3.6\nmyhostname = mx.test\ninet_protocols = ipv4\n";
    let texts = [
        "bogus_template = x\n",
        "failure_template\n",
        "= x\n",
        "failure_template = <<\n",
        "failure_template = << -\nx\n-\n",
        "failure_template = <<EOF\nx\n",
        "failure_template = <<EOF\nx\nEOF",
        "failure_template = <<EOF\nSubject:\n\nx\nEOF\n",
        "failure_template = <<EOF\nSubject: \u{fc}\n\nx\nEOF\n",
        "failure_template = <<EOF\nOther: x\n\nx\nEOF\n",
        "failure_template = <<EOF\nSubject: x\n\n\nEOF\n",
        "failure_template = <<EOF\nSubject: x\nEOF\n",
        "failure_template = <<EOF\nSubject: x\n\n\u{fc}\nEOF\n",
        "success_template = <<EOF\nPostmaster-Subject: x\n\nx\nEOF\n",
        "failure_template = <<EOF\n\n\nSubject: x\n\nx\nEOF\n",
        "failure_template = \nfailure_template = y\n",
        "failure_template = y\nfailure_template = \n",
        "failure_template = $undefined_name\n",
        "failure_template = ${\n",
        "failure_template = $delay_warning_time_years\n",
        "failure_template = ${maximal_queue_lifetime_weeks}\n",
        "failure_template = $relayhost $mydestination\n",
        "  indented_template = x\n",
    ];
    for text in texts {
        for option in ["-t", "-b"] {
            // Behind what is tried, as the last one counts.
            let whole = ALL.replace("failure_template", "other_template");
            let before = if text.starts_with("failure") { &whole } else { ALL };
            let [theirs, ours] = both(main, &format!("{before}{text}"), &[option, "file"]);
            let told = |run: &Run| (run.code, run.said());
            assert_eq!(told(&ours), told(&theirs), "{option} {text:?}");
            // The built-in text of what is ignored is our own.
            if text.starts_with("failure") && !theirs.said().contains("ignoring this template") {
                let shown = |run: &Run| String::from_utf8_lossy(&run.out).into_owned();
                assert_eq!(shown(&ours), shown(&theirs), "{option} {text:?}");
            }
        }
    }
}

#[test]
fn any_template_file_is_taken_or_refused() {
    let pieces = [
        "failure_template",
        "delay_template",
        "=",
        " ",
        "<<",
        "EOF",
        "\n",
        "\n\n",
        "Subject:",
        "x",
        "$myhostname",
        "${",
        "#",
        "\u{fc}",
    ];
    for seed in 0..crate::seeds() {
        let chance = &mut Chance::of(seed);
        let text: String = (0..chance.below(40)).map(|_| chance.pick(&pieces)).collect();
        let folder = Folder::new(b"compatibility_level = 3.6\n", b"");
        folder.write("file", text.as_bytes());
        let run = run_in(&folder, Whose::Ours, &["-b", "file"]);
        assert!(run.code == Some(0) || run.said().contains("postfix/bounce: fatal: "), "{text:?} {run:?}");
    }
}

#[test]
fn built_in_templates_have_the_form_of_debians() {
    let heads = |run: &Run| {
        let text = String::from_utf8_lossy(&run.out).into_owned();
        let is_head =
            |line: &&str| line.contains("_t") || line.contains(": ") || line.starts_with("This is the mail");
        text.lines().filter(is_head).map(str::to_owned).collect::<Vec<_>>()
    };
    for option in ["-b", "-t"] {
        let main = "compatibility_level = 3.6\nbounce_template_file = /no/where\n";
        let [theirs, ours] = both(main, "", &[option, ""]);
        assert_eq!((ours.code, ours.said(), heads(&ours)), (theirs.code, theirs.said(), heads(&theirs)));
    }
}

/// seed: S045
#[test]
fn lists_have_what_there_is() {
    let list = |option: &str| {
        let [theirs, ours] = both("compatibility_level = 3.6\n", "", &[option]);
        assert_eq!((ours.code, ours.said()), (theirs.code, theirs.said()), "{option}");
        let lines = |run: Run| String::from_utf8(run.out).unwrap().lines().map(str::to_owned).collect();
        [theirs, ours].map(lines) as [Vec<String>; 2]
    };
    let [theirs, ours] = list("-l");
    assert_eq!(ours, theirs);
    let [theirs, ours] = list("-m");
    // NIS is not built here; of Debian's packages more or fewer are installed.
    assert!(theirs.iter().all(|name| name == "nis" || ours.contains(name)), "{theirs:?} {ours:?}");
    assert!(ours.is_sorted());
    let expected = ["hash", "lmdb", "mysql", "regexp", "socketmap", "unionmap"];
    assert!(expected.iter().all(|name| ours.iter().any(|own| own == name)), "{ours:?}");
}
