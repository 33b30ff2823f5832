//! What is shown: parameters, services, their fields and parameters, and what is warned about.

use std::{fs, path::Path};

use crate::{
    compare::{Case, same},
    generator::{Chance, Oddness, main_cf, master_cf},
    peer::{Folder, Whose, is_newest, run_in},
};

/// Ways to ask. Debian's has no `-j`, `-q` and `-PP`.
const ASKED: [&[&str]; 34] = [
    &[],
    &["-n"],
    &["-nf"],
    &["-nx"],
    &["-nh"],
    &["-nH"],
    &["-nfx"],
    &["-d"],
    &["-df"],
    &["-dH"],
    &["-x"],
    &["-C", "user"],
    &["-C", "service", "-x"],
    &["-C", "builtin,User"],
    &["-nC", "service"],
    &["-o", "foo=changed $bar", "-nx"],
    &["-h", "-x", "foo", "myhostname", "nothing_at_all", "smtpd_banner"],
    &["-p", "bar", "virtual_maps", "relay_destination_concurrency_limit", "mailbox_command"],
    &["-M"],
    &["-Mf"],
    &["-Mx"],
    &["-Mf", "smtp", "*/unix", "nothing"],
    &["-M", "smtp/x/y"],
    &["-F"],
    &["-Ff"],
    &["-Fx", "*/*/command"],
    &["-Fh", "smtp/inet", "relay/unix/type"],
    &["-FH", "*"],
    &["-P"],
    &["-Pf"],
    &["-Px"],
    &["-Ph", "*/unix/foo", "smtp"],
    &["-PH", "*/*/bar"],
    &["-Pxo", "bar=changed"],
];

/// Ways to ask that only 3.12 has.
const NEWER: [&[&str]; 9] = [
    &["-nj"],
    &["-njx"],
    &["-Mj"],
    &["-Fj"],
    &["-Pj"],
    &["-PP", "smtp", "relay/unix"],
    &["-PPx", "*/*/smtpd_client_restrictions"],
    &["-PPHq", "smtp/inet"],
    &["-q"],
];

/// Configurations that cannot be read, or only partly.
const BROKEN: [(&str, &str); 12] = [
    ("a b = c\n", ""),
    ("= c\n", ""),
    ("mydestination\n", ""),
    ("myhostname = ${a\n", ""),
    ("mydestination = ${{a} == {b} x}\n", ""),
    ("a = $a\nmydestination = $a\n", ""),
    ("mydestination = ${a-b}\n", ""),
    ("", "smtp inet n - y - -\n"),
    ("", "smtp tcp n - y - - smtpd\n"),
    ("", "smtp inet q - y - - smtpd\n"),
    ("", "smtp inet n - y 5x - smtpd -o {a = b\n"),
    ("", "smtp inet n - y - - smtpd -o {a b} -o { c } -o d { e\n"),
];

/// seed: S042
#[test]
fn generated_configurations_are_shown_as_debians_does() {
    let mut cases = Vec::new();
    for seed in 0..crate::seeds() {
        let chance = &mut Chance::of(seed);
        let odd = if seed % 3 == 0 { Oddness::Wild } else { Oddness::Tame };
        let (main_cf, master_cf) = (main_cf(chance, odd), master_cf(chance, odd));
        cases.extend(ASKED.map(|args| Case::new(&main_cf, &master_cf, args)));
    }
    same(&cases);
}

/// What may be asked or changed where the names of parameters are not known before.
fn asked_and_changed(main_cf: &[u8], master_cf: &[u8]) -> Vec<Case> {
    // Values without names do not tell which of them are newer than Debian's.
    let asked = ASKED.into_iter().filter(|args| is_newest() || **args != ["-nh"]);
    let newer = NEWER.into_iter().filter(|_| is_newest());
    let changed = [
        &["-e", "myhostname=mx.example.com"][..],
        &["-#", "mynetworks", "smtpd_recipient_restrictions"],
        &["-X", "smtpd_banner", "virtual_alias_maps"],
        &["-F", "smtp/*/process_limit=17"],
        &["-P", "smtp/inet/smtpd_tls_security_level=may"],
        &["-MX", "*/unix"],
        &["-M#", "smtp/inet"],
    ];
    asked.chain(newer).chain(changed).map(|args| Case::new(main_cf, master_cf, args)).collect()
}

fn of_folders(above: &Path) -> Vec<Case> {
    let folders = fs::read_dir(above).into_iter().flatten().flatten();
    let cases = folders.filter(|folder| folder.path().is_dir()).flat_map(|folder| {
        let file = |name: &str| fs::read(folder.path().join(name)).unwrap_or_default();
        asked_and_changed(&file("main.cf"), &file("master.cf"))
    });
    cases.collect()
}

/// The shapes that configurations have in the world.
#[test]
fn usual_configurations_are_shown_and_edited_as_debians_does() {
    let cases = of_folders(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/postconf/configurations"));
    assert!(cases.len() >= 4 * ASKED.len(), "{} cases", cases.len());
    same(&cases);
}

/// Configurations that run in the world lie beside the project, where it is worked on; elsewhere the usual ones have to do.
#[test]
fn real_configurations_are_shown_and_edited_as_debians_does() {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/configs");
    let cases = of_folders(&beside);
    assert!(!beside.exists() || !cases.is_empty(), "{} holds no configurations", beside.display());
    same(&cases);
}

/// What Debian's package installs, and what it makes of it.
///
/// seed: S041
#[test]
fn debians_configuration_is_shown_as_debians_does() {
    let file = |name: &str| fs::read(name).expect("Debian's postfix must be installed for this test");
    let mut cases = Vec::new();
    for main_cf in ["/usr/share/postfix/main.cf.debian", "/usr/share/postfix/main.cf.dist"].map(file) {
        let master_cf = file("/usr/share/postfix/master.cf.dist");
        cases.extend(ASKED.map(|args| Case::new(&main_cf, &master_cf, args)));
    }
    same(&cases);
}

#[test]
fn own_networks_are_computed_or_refused_as_debians_does() {
    let settings = [
        "",
        "mynetworks_style = subnet",
        "mynetworks_style = class",
        "mynetworks_style = wrong",
        "mynetworks_style =",
        "mynetworks_style = host, subnet",
        "mynetworks_style = HOST",
        "inet_protocols = ipv4",
        "inet_protocols = ipv6 ipv4",
        "inet_protocols =",
        "inet_protocols = ipv5",
        "inet_protocols = $undefined_here",
        "inet_interfaces = loopback-only",
        "inet_interfaces = localhost",
        "inet_interfaces = 127.0.0.1, [::1]",
        "inet_interfaces = [::1] 127.0.0.1",
        "inet_interfaces = $myhostname",
        "inet_interfaces = 192.0.2.254",
        "inet_interfaces = no-such-host.invalid",
        "inet_interfaces = [IPv6:::1]",
        "inet_interfaces = ${",
        "myhostname = host",
        "myhostname = host.example.com",
        "myhostname = host.$mydomain",
        "myhostname = host.$smtp_helo_name",
        "mydomain = $myhostname",
        "mydomain = example.com",
    ];
    let names = ["-x", "myhostname", "mydomain", "mynetworks", "inet_interfaces"];
    let cases = settings.map(|text| Case::new(format!("{text}\n").as_bytes(), b"", &names));
    same(&cases);
}

#[test]
fn files_that_are_not_there_are_named() {
    let compare = |gone: &[&str], args: &[&str]| {
        let folder = Folder::new(b"", b"");
        gone.iter().for_each(|name| fs::remove_file(folder.path().join(name)).unwrap());
        let [theirs, ours] = [Whose::Debian, Whose::Ours].map(|whose| run_in(&folder, whose, args));
        assert_eq!((ours.code, ours.said()), (theirs.code, theirs.said()), "{gone:?} {args:?}");
    };
    // At the same time: Postfix sleeps a second before it ends with `fatal:`.
    std::thread::scope(|scope| {
        for gone in [&["master.cf"][..], &["master.cf", "main.cf"]] {
            for args in [&["-n"][..], &["-d", "biff"], &["-M"], &["-P"], &["-F"]] {
                scope.spawn(move || compare(gone, args));
            }
        }
    });
}

#[test]
fn what_is_wrong_is_said_as_debians_says_it() {
    let asked = [&["-nx"][..], &["-M"], &["-P"]];
    let case =
        |(main, master): &(&str, &str)| asked.map(|args| Case::new(main.as_bytes(), master.as_bytes(), args));
    same(&BROKEN.iter().flat_map(case).collect::<Vec<_>>());
}

#[test]
fn options_that_do_not_go_together_are_refused() {
    let refused = [
        &["-M", "-n"][..],
        &["-h", "-m"],
        &["-P", "-C", "builtin"],
        &["-e"],
        &["-C", "foo"],
        &["-F", "a/b/nosuch"],
    ];
    same(&refused.map(|args| Case::new(b"", b"", args)));
}

#[test]
fn the_configuration_of_debians_package_needs_no_warning() {
    let file = |name: &str| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/postconf/configurations/debian");
        fs::read(folder.join(name)).unwrap()
    };
    let folder = Folder::new(&file("main.cf"), &file("master.cf"));
    for args in [&["-n"][..], &["-nx"], &["-M"], &["-Px"]] {
        let run = run_in(&folder, Whose::Ours, args);
        assert_eq!((run.code, run.said()), (Some(0), String::new()), "{args:?}");
    }
}
