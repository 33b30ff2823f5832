//! What is shown: parameters, services, their fields and parameters, and what is warned about.

use std::{fs, path::Path};

use crate::{
    compare::{Case, same},
    generator::{Chance, Oddness, main_cf, master_cf},
    peer::{Folder, Whose, run_in},
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

/// Configurations that run in the world lie beside the project, where it is worked on.
#[test]
fn real_configurations_are_shown_and_edited_as_debians_does() {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/configs");
    let mut cases = Vec::new();
    for folder in fs::read_dir(beside).into_iter().flatten().flatten() {
        let file = |name: &str| fs::read(folder.path().join(name)).unwrap_or_default();
        let (main_cf, master_cf) = (file("main.cf"), file("master.cf"));
        // Values without names do not tell which of them are newer than Debian's.
        let asked = ASKED.into_iter().filter(|args| **args != ["-nh"]);
        cases.extend(asked.map(|args| Case::new(&main_cf, &master_cf, args)));
        for args in [
            &["-e", "myhostname=mx.example.com"][..],
            &["-#", "mynetworks", "smtpd_recipient_restrictions"],
            &["-X", "smtpd_banner", "virtual_alias_maps"],
            &["-F", "smtp/*/process_limit=17"],
            &["-P", "smtp/inet/smtpd_tls_security_level=may"],
            &["-MX", "*/unix"],
            &["-M#", "smtp/inet"],
        ] {
            cases.push(Case::new(&main_cf, &master_cf, args));
        }
    }
    same(&cases);
}

/// What Debian's package installs, and what it makes of it.
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
    let folder = Folder::new(b"", b"");
    for name in ["master.cf", "main.cf"] {
        fs::remove_file(folder.path().join(name)).unwrap();
        for args in [&["-n"][..], &["-d", "biff"], &["-M"], &["-P"], &["-F"]] {
            let [theirs, ours] = [Whose::Debian, Whose::Ours].map(|whose| run_in(&folder, whose, args));
            assert_eq!((ours.code, ours.said()), (theirs.code, theirs.said()), "{name} {args:?}");
        }
    }
}
