//! `postfix set-permissions` and `upgrade-configuration` beside Debian's, and `postfix non-bdb` as its manual has it: Debian's 3.7 has
//! none. All need root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's own helper")]

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown, symlink},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, Output},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    Debian,
    Ours,
}

/// A configuration with queue, data and meta directories of its own, where nobody but root can write.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new(main_cf: &str, master_cf: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("upkeep-").tempdir_in("/var/lib");
        let folder =
            Self(folder.expect("this test needs root and Debian's postfix (apt-get install postfix)"));
        set_mode(folder.path(), 0o755);
        for name in ["etc", "etc/postfix-files.d", "queue", "data"] {
            fs::create_dir(folder.file(name)).unwrap();
        }
        let root = folder.path().display();
        let text = format!(
            "compatibility_level = 3.6\nmyhostname = mx.test\nqueue_directory = {root}/queue\ndata_directory = {root}/data\n\
             meta_directory = {root}/etc\nmaillog_file = {root}/log\nmaillog_file_prefixes = {root}\n\
             command_directory = /usr/sbin\ndaemon_directory = /usr/lib/postfix/sbin\nalias_maps =\n\
             html_directory = no\nreadme_directory = no\n{main_cf}"
        );
        folder.write("etc/main.cf", &text);
        folder.write("etc/master.cf", master_cf);
        folder.write("etc/postfix-files", "# nothing\n");
        folder
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.file(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap().replace(self.path().to_str().unwrap(), "ROOT")
    }

    fn run(&self, whose: Whose, command: &str, words: &[&str]) -> Output {
        let mut program = match whose {
            Whose::Debian => Command::new(format!("/usr/sbin/{command}")),
            Whose::Ours => Command::new(env!("CARGO_BIN_EXE_command-under-test")),
        };
        program.arg0(command).arg("-c").arg(self.file("etc")).args(words);
        program.env_remove("MAIL_CONFIG").output().expect("Debian's postfix is needed")
    }

    fn ours(&self, command: &str, words: &[&str]) -> (Option<i32>, String, String) {
        let output = self.run(Whose::Ours, command, words);
        let text =
            |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(self.path().to_str().unwrap(), "ROOT");
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    /// Owner, group and permissions of everything there is.
    fn facts(&self) -> Vec<String> {
        fn look(path: &Path, top: &Path, found: &mut Vec<String>) {
            let facts = fs::symlink_metadata(path).unwrap();
            let name = path.strip_prefix(top).unwrap().display();
            found.push(format!("{name} {} {} {:o}", facts.uid(), facts.gid(), facts.mode()));
            if facts.is_dir() {
                fs::read_dir(path).unwrap().for_each(|entry| look(&entry.unwrap().path(), top, found));
            }
        }
        let mut found = Vec::new();
        look(self.path(), self.path(), &mut found);
        found.sort();
        found
    }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

const FILES: &str = "\
# path:type:owner:group:permissions:flags
$config_directory:d:root:-:755:u
$config_directory/main.cf:f:root:-:644:p
$config_directory/one:f:$mail_owner:$setgid_group:2755
$config_directory/two:f:$mail_owner:-:600:u
$config_directory/old:f:root:-:644:o
$config_directory/link:l:one:-:644
$data_directory:d:$mail_owner:-:700:uc
$queue_directory:d:root:-:755:uc
$queue_directory/active:d:$mail_owner:-:700:ucr
$queue_directory/new:d:$mail_owner:$setgid_group:730:c
$queue_directory/deep:d:$mail_owner:$setgid_group:750:r
$html_directory/x.html:f:root:-:644
";

/// seed: S053
#[test]
fn permissions_are_set_as_postfix_files_says() {
    let made = |whose, words: &[&str]| {
        let folder = Folder::new("", "pickup unix n - n 60 1 pickup\n");
        folder.write("etc/postfix-files", FILES);
        folder.write("etc/postfix-files.d/b.files", "$config_directory/b:f:root:$setgid_group:640\n");
        folder.write("etc/postfix-files.d/a.files", "$config_directory/b:f:$mail_owner:-:600\n");
        for name in ["one", "two", "old", "b"] {
            folder.write(&format!("etc/{name}"), "");
        }
        symlink("one", folder.file("etc/link")).unwrap();
        fs::create_dir_all(folder.file("queue/deep/a/b")).unwrap();
        folder.write("queue/deep/a/file", "");
        set_mode(&folder.file("queue/deep/a/file"), 0o601);
        symlink("/etc/passwd", folder.file("queue/deep/a/away")).unwrap();
        chown(folder.file("queue/deep/a"), Some(4321), Some(4321)).unwrap();
        set_mode(&folder.file("data"), 0o777);
        let output = folder.run(whose, "postfix", words);
        assert!(output.status.success(), "{whose:?} {words:?} {output:?}");
        // Debian's makes its log, and ours all directories of the queue, whatever the file says.
        let is_listed = |line: &String| {
            let named = ["queue ", "queue/active", "queue/new", "queue/deep"];
            !line.starts_with("log")
                && (!line.starts_with("queue") || named.iter().any(|it| line.starts_with(it)))
        };
        folder.facts().into_iter().filter(is_listed).collect::<Vec<_>>()
    };
    let before = fs::metadata("/etc/passwd").unwrap();
    std::thread::scope(|scope| {
        for words in [
            &["set-permissions"][..],
            &["upgrade-configuration"],
            &["post-install", "upgrade-permissions"],
            &["post-install", "create-missing"],
        ] {
            let made = &made;
            scope
                .spawn(move || assert_eq!(made(Whose::Ours, words), made(Whose::Debian, words), "{words:?}"));
        }
    });
    let after = fs::metadata("/etc/passwd").unwrap();
    assert_eq!((before.uid(), before.mode()), (after.uid(), after.mode()));
}

/// Postfix ends at the first thing that is not there; the rest is set here all the same.
#[test]
fn what_is_not_there_is_named_and_the_rest_is_set() {
    let folder = Folder::new("", "");
    folder.write(
        "etc/postfix-files",
        "$config_directory/gone:f:root:-:644\n$config_directory/x:f:root:-:640\n$config_directory/x:f:nobody-here:-:640\n",
    );
    folder.write("etc/x", "");
    assert_eq!(folder.ours("postfix", &["set-permissions"]).0, Some(1));
    assert_eq!(fs::metadata(folder.file("etc/x")).unwrap().mode() & 0o7777, 0o640);
    let log = folder.read("log");
    assert!(log.contains("warning: ROOT/etc/gone: No such file or directory"), "{log}");
    assert!(log.contains("warning: ROOT/etc/x: unknown user: nobody-here"), "{log}");
    folder.write("etc/postfix-files", "\n$config_directory/x:q:root:-:640\n");
    let (code, _, said) = folder.ours("postfix", &["set-permissions"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("ROOT/etc/postfix-files, line 2: unknown type q"), "{said}");
}

const OLD: &str = "\
smtp inet n - n - - smtpd
pickup fifo n n n 60 1 pickup
cleanup unix - - n - 0 cleanup
flush unix - - n 1000? 0 flush
verify unix - - n - 0 verify
tlsmgr fifo - - n 300 1 tlsmgr
proxywrite unix - - n - - proxymap
";

#[test]
fn configurations_are_upgraded_as_debians_does() {
    let current = fs::read_to_string("/usr/share/postfix/master.cf.dist").unwrap();
    let made = |whose, main_cf: &str, master_cf: &str, words: &[&str]| {
        let folder = Folder::new(main_cf, master_cf);
        let output = folder.run(whose, "postfix", words);
        assert!(output.status.success(), "{whose:?} {output:?}");
        let rows = |text: &str| {
            text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>()
        };
        let mut settings = rows(&folder.read("etc/main.cf"));
        // New ones come in an order of chance from Debian's.
        settings.sort();
        (settings, rows(&folder.read("etc/master.cf")))
    };
    let plain = &["upgrade-configuration"][..];
    let cases = [
        ("", OLD, plain),
        ("inet_protocols = all\n", OLD, plain),
        ("", current.as_str(), plain),
        ("hash_queue_names = incoming\n", current.as_str(), plain),
        ("hash_queue_names = deferred\n", "", plain),
        ("", "#relay\n# trace x bounce\n##smtpd x smtpd\n#postlog\n", plain),
        ("", OLD, &["upgrade-configuration", "setgid_group=mail", "unknown=x"]),
        ("", OLD, &["set-permissions", "sample_directory=/etc/samples"]),
        ("", OLD, &["set-permissions", "setgid_group=postdrop"]),
    ];
    // At the same time: Debian's postconf waits until a file that has just been written has settled.
    std::thread::scope(|scope| {
        for (main_cf, master_cf, words) in cases {
            let made = &made;
            scope.spawn(move || {
                let [theirs, ours] =
                    [Whose::Debian, Whose::Ours].map(|whose| made(whose, main_cf, master_cf, words));
                assert_eq!(ours, theirs, "{main_cf}{master_cf}{words:?}");
            });
        }
    });
}

/// A file whose last line has no end is not glued to what is added; Postfix does that.
#[test]
fn an_unfinished_last_line_stays_a_line() {
    let folder = Folder::new("", "relay unix - - n - - smtp");
    let (code, said, _) = folder.ours("postfix", &["upgrade-configuration"]);
    assert_eq!(code, Some(0));
    assert!(said.contains("Editing ROOT/etc/master.cf, adding missing entry for flush service\n"), "{said}");
    let rows = folder.read("etc/master.cf");
    assert!(rows.starts_with("relay unix - - n - - smtp\nflush     unix  n"), "{rows}");
    let (code, said, _) = folder.ours("postfix", &["upgrade-configuration"]);
    assert_eq!((code, said.as_str()), (Some(0), ""));
    assert_eq!(folder.read("etc/master.cf"), rows);
}

const LMDB: &str = "default_database_type = lmdb\ndefault_cache_db_type = lmdb\n";

/// postfix-non-bdb(1): status, enable-redirect, enable-reindex, disable.
#[test]
fn levels_are_switched_as_the_manual_says() {
    let master_cf = "smtp inet n - n - - smtpd\n";
    let folder = Folder::new(LMDB, master_cf);
    let level = |folder: &Folder| folder.ours("postfix", &["non-bdb", "status"]);
    assert_eq!((level(&folder).0, level(&folder).1.as_str()), (Some(0), "disable\n"));
    assert_eq!(folder.ours("postfix", &["non-bdb", "enable-redirect"]).0, Some(0));
    assert_eq!(level(&folder).1, "enable-redirect\n");
    assert_eq!(folder.read("etc/master.cf"), master_cf);
    assert_eq!(folder.ours("postfix", &["non-bdb", "enable-reindex"]).0, Some(0));
    assert_eq!(level(&folder).1, "enable-reindex\n");
    let rows = folder.read("etc/master.cf");
    let words = rows.lines().nth(1).map(|row| row.split_whitespace().collect::<Vec<_>>().join(" "));
    assert_eq!(words.as_deref(), Some("nbdb_reindex unix y n n - 1 nbdb_reindexd"));
    assert_eq!(folder.ours("postfix", &["non-bdb", "enable-redirect"]).0, Some(0));
    assert_eq!(folder.read("etc/master.cf"), master_cf);
    assert_eq!(folder.ours("postfix", &["non-bdb", "disable"]).0, Some(0));
    assert_eq!(level(&folder).1, "disable\n");
    assert!(!folder.read("etc/main.cf").contains("non_bdb"));
    for words in [&["non-bdb"][..], &["non-bdb", "what"], &["non-bdb", "status", "x"]] {
        let (code, _, said) = folder.ours("postfix", words);
        assert_eq!(code, Some(1));
        assert!(said.contains("fatal: usage: postfix non-bdb status (or "), "{said}");
    }
}

#[test]
fn nothing_changes_while_the_defaults_are_berkeley_db() {
    let folder = Folder::new("default_database_type = lmdb\ndefault_cache_db_type = btree\n", "");
    let before = (folder.read("etc/main.cf"), folder.read("etc/master.cf"));
    for verb in ["enable-redirect", "enable-reindex"] {
        let (code, _, said) = folder.ours("postfix", &["non-bdb", verb]);
        assert_eq!(code, Some(1));
        assert!(
            said.contains("parameter default_cache_db_type specifies a Berkeley DB type: 'btree'"),
            "{said}"
        );
    }
    assert_eq!((folder.read("etc/main.cf"), folder.read("etc/master.cf")), before);
}

/// NON_BERKELEYDB_README, "enable-redirect": `postmap hash:/path` of other software makes and reads the other type.
#[test]
fn berkeley_db_tables_are_others_from_enable_redirect_on() {
    let folder = Folder::new(&format!("{LMDB}non_bdb_migration_level = enable-redirect\n"), "");
    folder.write("etc/t", "key value\n");
    folder.write("etc/a", "root: you\n");
    let [t, a] = ["t", "a"].map(|name| format!("hash:{}/etc/{name}", folder.path().display()));
    let (code, out, said) = folder.ours("postmap", &[&t]);
    let redirected = "postmap: redirecting hash:ROOT/etc/t to lmdb:ROOT/etc/t\n";
    assert_eq!((code, out.as_str(), said.as_str()), (Some(0), "", redirected));
    assert_eq!(folder.ours("postalias", &[&a]).0, Some(0));
    for name in ["t", "a"] {
        assert!(
            folder.file(&format!("etc/{name}.lmdb")).exists()
                && !folder.file(&format!("etc/{name}.db")).exists()
        );
    }
    let quiet = "non_bdb_migration_log_redirect = no\n";
    folder.write("etc/main.cf", &(fs::read_to_string(folder.file("etc/main.cf")).unwrap() + quiet));
    assert_eq!(folder.ours("postmap", &["-q", "key", &t]), (Some(0), "value\n".to_owned(), String::new()));
    let composed = format!("unionmap:{{{t}}}");
    assert_eq!(folder.ours("postmap", &["-q", "key", &composed]).1, "value\n");
    assert_eq!(folder.ours("postmap", &["-d", "key", &t]).0, Some(0));
    assert_eq!(folder.ours("postmap", &["-s", &t]).1, "");
    let custom = "non_bdb_custom_mapping = inline:{hash=cdb}\n";
    folder.write("etc/main.cf", &(fs::read_to_string(folder.file("etc/main.cf")).unwrap() + custom));
    assert_eq!(folder.ours("postmap", &[&t]).0, Some(0));
    assert!(folder.file("etc/t.cdb").exists());
}

/// nbdb_reindexd(8): what stands in is made as whoever owns the Berkeley DB file, where nobody else can have a hand in it.
#[test]
fn missing_tables_are_made_from_enable_reindex_on() {
    let folder = Folder::new("", "smtp inet n - n - - smtpd\n -o canonical_maps=btree:$queue_directory/c\n");
    let root = folder.path().display();
    let main_cf = fs::read_to_string(folder.file("etc/main.cf")).unwrap();
    let tables = format!(
        "{LMDB}non_bdb_migration_allow_root_prefixes = {root}/etc {root}/queue {root}/open\n\
         virtual_alias_maps = hash:{root}/etc/v, proxy:hash:{root}/data/outside, texthash:{root}/etc/t\n\
         transport_maps = unionmap:{{hash:{root}/etc/writable, hash:{root}/etc/never, hash:{root}/open/o}}\n\
         alias_database = hash:{root}/etc/aliases\n"
    );
    folder.write("etc/main.cf", &(main_cf + &tables));
    fs::create_dir(folder.file("open")).unwrap();
    set_mode(&folder.file("open"), 0o777);
    for name in ["etc/v", "data/outside", "etc/t", "etc/writable", "open/o", "queue/c"] {
        folder.write(name, "key value\n");
        folder.write(&format!("{name}.db"), "");
    }
    folder.write("etc/never", "key value\n");
    folder.write("etc/aliases", "root: you\n");
    folder.write("etc/aliases.db", "");
    set_mode(&folder.file("etc/writable"), 0o664);
    assert_eq!(folder.ours("postfix", &["non-bdb", "enable-reindex"]).0, Some(0));
    let log = folder.read("log");
    let check = |name: &str, is_made: bool, text: &str| {
        assert_eq!(folder.file(&format!("{name}.lmdb")).exists(), is_made, "{name} {log}");
        assert!(log.contains(text), "{text}: {log}");
    };
    check("etc/v", true, "successfully executed 'postmap lmdb:ROOT/etc/v' as uid 0");
    check("queue/c", true, "successfully executed 'postmap lmdb:ROOT/queue/c' as uid 0");
    check("etc/aliases", true, "successfully executed 'postalias lmdb:ROOT/etc/aliases' as uid 0");
    check("etc/t", false, "");
    check("etc/never", false, "look up status for legacy indexed file 'ROOT/etc/never.db'");
    check("etc/writable", false, "source file 'ROOT/etc/writable' is owned or writable by other user");
    check("open/o", false, "parent directory 'ROOT/open' is owned or writable by other user");
    let prefixes = "append its parent directory to the 'non_bdb_migration_allow_root_prefixes' setting";
    check(
        "data/outside",
        false,
        &format!(
            "table ROOT/data/outside has an unexpected pathname; to allow automatic indexing as root, {prefixes}"
        ),
    );
    assert_eq!(folder.ours("postmap", &["-q", "key", &format!("hash:{root}/etc/v")]).1, "value\n");
    assert_eq!(folder.ours("postmap", &["-q", "root", &format!("hash:{root}/etc/aliases")]).1, "you\n");
    // What is there is not made again.
    fs::write(folder.file("log"), "").unwrap();
    assert_eq!(folder.ours("postfix", &["non-bdb", "enable-reindex"]).0, Some(0));
    assert!(!folder.read("log").contains("successfully"), "{}", folder.read("log"));
}
