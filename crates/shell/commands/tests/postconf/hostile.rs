//! Files that are made to hurt: the work is bounded, and what is said is what Postfix says.

use std::process::{Command, Stdio};

use crate::peer::{Folder, Run, Whose, is_newest, run_in};

/// What ours does with a main.cf within a minute of processor time and 1.5 GB of address space.
fn bounded(main_cf: &[u8], args: &[&str]) -> (Option<i32>, String, Vec<u8>) {
    let folder = Folder::new(main_cf, b"");
    let limits = "ulimit -t 60; ulimit -v 1500000; program=$1; shift; exec \"$program\" postconf -c . \"$@\"";
    let output = Command::new("sh")
        .args(["-c", limits, "sh", env!("CARGO_BIN_EXE_command-under-test")])
        .args(args)
        .current_dir(folder.path())
        .env_remove("MAIL_CONFIG")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said, output.stdout)
}

#[test]
fn a_main_cf_of_fifty_mebibytes_is_shown_and_edited() {
    let mut text = b"mynetworks =\nmyhostname = mx.test\n".to_vec();
    while text.len() < 50 << 20 {
        text.extend_from_slice(b"# a comment that is there again and again\n\nmydestination = ");
        text.resize(text.len() + 50_000, b'x');
        text.extend_from_slice(b",\n   $myhostname\n");
    }
    let (code, _, out) = bounded(&text, &["-nx", "myhostname"]);
    assert_eq!((code, out.as_slice()), (Some(0), &b"myhostname = mx.test\n"[..]));
    assert_eq!(bounded(&text, &["-#", "mydestination"]).0, Some(0));
}

#[test]
fn settings_without_number_are_read() {
    let text: String = (0..60_000).map(|number| format!("name_{number} = $name_{}\n", number + 1)).collect();
    let (code, said, out) = bounded(text.as_bytes(), &["-q", "-n", "name_9"]);
    assert_eq!((code, out.as_slice()), (Some(0), &b"name_9 = $name_10\n"[..]), "{said}");
    assert!(said.contains("undefined parameter: name_60000\n"), "{said}");
}

#[test]
fn a_line_of_ten_mebibytes_is_shown() {
    let long = "x".repeat(10 << 20);
    let (code, said, out) =
        bounded(format!("mynetworks =\nfoo = {long}\nrelayhost = $foo\n").as_bytes(), &["-nx", "relayhost"]);
    assert_eq!((code, said.as_str()), (Some(0), ""));
    assert_eq!(out.len(), "relayhost = \n".len() + long.len());
    let words = "word, ".repeat(1 << 20);
    let (code, said, _) = bounded(format!("mynetworks =\nrelayhost = {words}\n").as_bytes(), &["-nf"]);
    assert_eq!((code, said.as_str()), (Some(0), ""));
}

#[test]
fn values_that_refer_to_themselves_end_it_as_debians() {
    let texts = [
        "relayhost = $relayhost x\n",
        "foo = $bar\nbar = $foo\nrelayhost = $foo\n",
        "foo = $bar $bar $bar\nbar = $foo x $foo ${foo} $foo\nrelayhost = $foo $foo\n",
        "foo = ${bar?$bar} y\nbar = ${foo?{$foo}:{z}} x $foo\nrelayhost = a $foo $foo ${foo?{x}:{y}} $bar\n",
        "foo = $bar\nbar = ${foo}\nmyhostname = $foo\n",
        "smtpd_restriction_classes = $smtpd_restriction_classes\n",
    ];
    let compare = |text: &str, args: &[&str]| {
        let [theirs, ours] = [Whose::Debian, Whose::Ours].map(|whose| {
            let folder = Folder::new(format!("mynetworks =\n{text}").as_bytes(), b"");
            run_in(&folder, whose, args)
        });
        assert_eq!((ours.code, ours.said()), (theirs.code, theirs.said()), "{text} {args:?}");
        assert!(ours.said().contains("unreasonable macro call nesting: "), "{}", ours.said());
    };
    // At the same time: Postfix sleeps a second before it ends with `fatal:`.
    std::thread::scope(|scope| {
        for text in texts {
            for args in [&["-n"][..], &["-nx"], &["-x", "relayhost"]] {
                scope.spawn(move || compare(text, args));
            }
        }
    });
}

/// Postfix works at these until somebody ends it.
#[test]
fn work_that_doubles_is_cut_short() {
    let bomb: String = (0..60).map(|n| format!("a{n} = $a{0}$a{0}\n", n + 1)).collect();
    let braces = |open: &str, close: &str, times: usize| open.repeat(times) + &close.repeat(times);
    for value in [
        "$a0".to_owned(),
        braces("{ ", "", 1_000_000),
        braces("inline:{", "}", 200_000),
        braces("${a?{", "}}", 100_000),
        braces("${", "", 1_000_000),
        braces("${{", "} == {}}", 50_000),
        "$a60 ".repeat(1_000_000),
    ] {
        let text = format!("mynetworks =\n{bomb}a60 = x\nrelayhost = {value}\n");
        let (code, said, _) = bounded(text.as_bytes(), &["-nx"]);
        let start: String = value.chars().take(20).collect();
        assert!(
            code == Some(0) || code == Some(1) && said.contains("fatal: macro processing error"),
            "{start} {code:?}"
        );
        assert!(said.len() < 8 << 20, "{start}: {} bytes of messages", said.len());
    }
}

#[test]
fn null_bytes_end_lines_as_with_debians() {
    for text in [
        &b"foo = a\0b\nrelayhost = $foo\n"[..],
        b"relayhost\0 = a\n",
        b"\0relayhost = a\n",
        b"relayhost = a\n\0\nbiff = no\n",
        b"relayhost = a\n \0b\n c\n",
        b"relayhost = \0",
        b"# \0\nrelayhost = a\n",
    ] {
        for args in [&["-n"][..], &["-nx"]] {
            let [theirs, ours] =
                [Whose::Debian, Whose::Ours].map(|whose| run_in(&Folder::new(text, b""), whose, args));
            let shown = |text: &[u8]| text.escape_ascii().to_string();
            // 3.7 says nothing about them.
            let is_common =
                |line: &&str| is_newest() || !line.contains("text after null byte may be ignored");
            let said = |run: &Run| run.said().lines().filter(is_common).collect::<Vec<_>>().join("\n");
            assert_eq!(
                (ours.code, said(&ours), shown(&ours.out)),
                (theirs.code, said(&theirs), shown(&theirs.out)),
                "{} {args:?}",
                shown(text)
            );
        }
    }
}
