//! Virtual alias domains as set-up guides have them, and the same with other tables in the place of Berkeley DB ones.

#![expect(clippy::expect_used, reason = "a test that cannot go on has failed")]

use compliance::system::{System, Which};
use std::{fs, io::Write, process::Stdio};

const SETTINGS: &str = "virtual_alias_domains = list.test, hash:$B/etc/domains, $B/etc/listed\n\
     virtual_alias_maps = hash:$B/etc/virtual\n\
     virtual_mailbox_domains = box.test\nvirtual_mailbox_base = $B/mail\nvirtual_mailbox_maps = static:inbox/\n\
     virtual_uid_maps = static:65534\nvirtual_gid_maps = static:65534\n";

const VIRTUAL: &str = "# comment\njoe@list.test joe@box.test\nteam@list.test joe@box.test,\n  jane@box.test\n\
     @table.test all@box.test\njoe@table.test joe@box.test\nabuse@file.test joe@list.test\n";

/// Where each address leads: recipient, address that was given, status.
fn story(which: Which, more: &str) -> (Vec<String>, String) {
    let system = System::prepare(which, &format!("{SETTINGS}{more}"));
    for (name, content) in
        [("virtual", VIRTUAL), ("domains", "table.test anything\n"), ("listed", "# comment\nfile.test\n")]
    {
        fs::write(system.path(&format!("etc/{name}")), content).expect("space for a table");
    }
    for name in ["virtual", "domains"] {
        system.command("postmap", &[&format!("hash:{}", system.path(&format!("etc/{name}")).display())]);
    }
    system.run();
    let given =
        ["joe@list.test", "team@list.test", "nobody@list.test", "joe@table.test", "whoever@table.test"];
    for address in given.into_iter().chain(["Abuse@FILE.test", "other@file.test"]) {
        let mut command = system.program("sendmail");
        let mut child =
            command.args(["-f", "", address]).stdin(Stdio::piped()).spawn().expect("sendmail starts");
        child.stdin.take().expect("a pipe").write_all(b"Subject: x\n\nx\n").expect("sendmail reads");
        assert!(child.wait().expect("sendmail ends").success(), "{}", system.log());
    }
    system.wait_until("each message is gone", || system.log().matches(": removed").count() == 7);
    let log = system.log();
    let mut fates: Vec<String> = log.lines().filter_map(fate).collect();
    fates.sort();
    (fates, log)
}

fn fate(line: &str) -> Option<String> {
    let (_, rest) = line.split_once(": to=<")?;
    let (addresses, rest) = rest.split_once(", relay=")?;
    let (_, status) = rest.split_once("status=")?;
    Some(format!("{addresses} {}", status.split(' ').next()?))
}

/// seed: S081
#[test]
fn lists_tables_and_catch_alls_lead_where_they_lead_with_postfix() {
    let (theirs, _) = story(Which::Postfix, "");
    assert!(theirs.contains(&"all@box.test>, orig_to=<whoever@table.test> sent".to_owned()), "{theirs:?}");
    assert_eq!(theirs.iter().filter(|fate| fate.ends_with(" bounced")).count(), 2, "{theirs:?}");
    assert_eq!(story(Which::Posthaste, "").0, theirs);
}

/// NON_BERKELEYDB_README, "enable-redirect"
#[test]
fn services_use_what_stands_in_for_berkeley_db() {
    let (expected, _) = story(Which::Posthaste, "");
    for map_type in ["lmdb", "cdb"] {
        let settings = format!(
            "default_database_type = {map_type}\ndefault_cache_db_type = lmdb\nnon_bdb_migration_level = enable-redirect\n"
        );
        let (fates, log) = story(Which::Posthaste, &settings);
        assert_eq!(fates, expected, "{log}");
        let is_told =
            |line: &str| line.contains(": redirecting hash:/") && line.contains(&format!(" to {map_type}:/"));
        let services = log.lines().filter(|line| is_told(line) && !line.contains("/postmap["));
        assert!(services.count() > 0, "no service says so: {log}");
    }
}
