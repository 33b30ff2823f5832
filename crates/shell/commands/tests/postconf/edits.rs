//! `-e`, `-X` and `-#`.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
};

use crate::{
    compare::{Case, same},
    generator::{BUILTIN, Chance, OWN, Oddness, main_cf, master_cf},
    peer::{Folder, Whose, program, run_in},
};

const MAIN: &[u8] = b"# head\na = 1\n# c\n\nb = 2\n  more\n# mid\n\n  more\nc=3\na = 2\n\tindented\nmyhostname\t=\r\n x\r\n\r\na\n";
const MASTER: &[u8] = b"# head\nsmtp inet n - y - - smtpd\n  -o a=1\n# inside\n  -v\n# about the row above\n\
    pickup    unix  n       -       y       60      1       pickup\nsmtp unix - - y - - smtp\n   -o { b = c\n  d }\n\n\
    x unix - n n - - pipe flags=R argv=/bin/x {y z}\nsmtp inet n - y - - again\n";

#[test]
fn main_cf_is_edited_as_debians_does() {
    let cases = [
        &["-e", "b=new value"][..],
        &["a = 7"],
        &["a=1", "b= ", "a=2"],
        &["-e", "myhostname=x", "c=${x?{y}}"],
        &["-e", "new=value"],
        &["-X", "a", "b"],
        &["-X", "myhostname", "nothing"],
        &["-#", "a", "b", "c", "myhostname"],
        &["-p", "-#", " a "],
        &["-e", "a=b\nc"],
        &["-e", "#a=b"],
        &["-e", "a b=c"],
        &["-e", "=c"],
        &["-e", "a"],
        &["-e"],
        &["-X"],
        &["-#"],
        &["-X", ""],
        &["-X", "a=b"],
        &["-#", "#a"],
        &["-e", "-X", "a"],
        &["-e", "-f", "a=b"],
        &["-e", "-x", "a=b"],
        &["-X", "-o", "a=b", "c"],
        &["-#", "-h", "a"],
        &["-d", "a=b"],
    ];
    same(&cases.map(|args| Case::new(MAIN, MASTER, args)));
}

#[test]
fn master_cf_is_edited_as_debians_does() {
    let cases = [
        &["-M", "-e", "smtp/inet=smtp inet n - - - - smtpd -o {a=b c} -v"][..],
        &["-M", "new/unix=new unix - - n - - pipe flags=x { a b }"],
        &["-M", "new/unix=new unix - -"],
        &["-M", "new/unix=new tcp - - - - - x"],
        &["-M", "new/unix=new unix - - - x - x"],
        &["-MX", "smtp/*"],
        &["-MX", "nothing/inet"],
        &["-M#", "smtp/unix", "pickup/unix"],
        &["-M#", "smtp"],
        &["-F", "smtp/inet/chroot=n"],
        &["-F", "*/*/chroot=-"],
        &["-F", "x/unix/command=other -v -oa=b y { c d }"],
        &["-F", "smtp/inet/wakeup=x"],
        &["-F", "smtp/inet/wakeup=1 2"],
        &["-F", "smtp/inet/nothing=1"],
        &["-F", "smtp/inet/*=1"],
        &["-F", "none/inet/chroot=n"],
        &["-FX", "smtp/inet/chroot"],
        &["-P", "smtp/inet/a=9"],
        &["-P", "smtp/inet/new=9", "*/unix/b=$x"],
        &["-P", "x/unix/new="],
        &["-P", "smtp/inet/*=9"],
        &["-P", "smtp/inet/a=9 8"],
        &["-P", "none/inet/a=9"],
        &["-PX", "*/*/a", "smtp/unix/b"],
        &["-PX", "none/inet/a"],
        &["-P#", "smtp/inet/a"],
        &["-M", "-e"],
        &["-PX"],
        &["-P", "smtp/inet=9"],
        &["-M", "#smtp/inet=9"],
        &["-M", "smtp/inet=9\n"],
    ];
    let mut cases = cases.map(|args| Case::new(MAIN, MASTER, args)).into_iter().collect::<Vec<_>>();
    for master_cf in [
        &b"a\n unix - - - - - b\n"[..],
        b"a=b unix - - - - - c\n",
        b"a unix/x - - - - - c\n",
        b"# c\na unix x\n",
    ] {
        cases.push(Case::new(MAIN, master_cf, &["-M#", "a/unix"]));
        cases.push(Case::new(MAIN, master_cf, &["-P", "a/unix/x=y"]));
    }
    same(&cases);
}

#[test]
fn generated_files_are_edited_as_debians_does() {
    let mut cases = Vec::new();
    for seed in 0..crate::seeds() {
        let chance = &mut Chance::of(seed);
        let odd = Oddness::Tame;
        let mut files = [main_cf(chance, odd), master_cf(chance, odd)];
        for file in &mut files {
            if file.last().is_some_and(|byte| *byte != b'\n') {
                file.push(b'\n');
            }
        }
        let name = if chance.one_in(2) { chance.pick(&BUILTIN) } else { chance.pick(&OWN) };
        let other = loop {
            // Of 3.7, a name that is given twice is not found.
            let other = chance.pick(&OWN);
            if other != name {
                break other;
            }
        };
        let setting = format!("{name}=new $value");
        let service = chance.pick(&["smtp/inet", "*/unix", "relay/*", "*/*"]);
        let parameter = format!("{service}/{other}=new");
        let row = format!("{service}=x unix - - - - - y -o {{ a = b c }}");
        let gone = format!("{service}/foo");
        for args in [
            &[setting.as_str()][..],
            &["-X", name, other],
            &["-#", other, name],
            &["-P", &parameter],
            &["-F", &format!("{service}/process_limit=7")],
            &["-M", &row],
            &["-MX", service],
            &["-M#", service],
            &["-PX", &gone],
        ] {
            cases.push(Case::new(&files[0], &files[1], args));
        }
    }
    same(&cases);
}

/// Postfix's edits make the file root's and give it mode 0644.
#[test]
fn owner_and_permissions_stay() {
    let folder = Folder::new(MAIN, MASTER);
    let main_cf = folder.path().join("main.cf");
    std::os::unix::fs::chown(&main_cf, Some(4321), Some(1234)).expect("this test needs root");
    fs::set_permissions(&main_cf, fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(run_in(&folder, Whose::Ours, &["-e", "a=b"]).code, Some(0));
    let facts = fs::metadata(&main_cf).unwrap();
    assert_eq!((facts.uid(), facts.gid(), facts.mode() & 0o7777), (4321, 1234, 0o640));
}

/// Postfix's edits cut lines at null bytes, glue a setting to a last line that has no end, and take braces off.
#[test]
fn what_an_edit_is_not_about_stays_as_it_is() {
    let edited = |main_cf: &[u8], master_cf: &[u8], args: &[&str]| {
        let run = run_in(&Folder::new(main_cf, master_cf), Whose::Ours, args);
        assert_eq!((run.code, run.said()), (Some(0), String::new()));
        run.files.map(|file| file.unwrap().escape_ascii().to_string())
    };
    assert_eq!(
        edited(b"a = 1\0x\n\xff = \xfe\r\nc = 3", b"", &["-e", "d=4"])[0],
        r"a = 1\x00x\n\xff = \xfe\r\nc = 3\nd = 4\n"
    );
    assert_eq!(edited(b"a = 1\0x\nb = 2\n", b"", &["-#", "a"])[0], r"#a = 1\x00x\nb = 2\n");
    let row = b"x unix - - - - - pipe -osmtpd_timeout=5 { user = a b } -x\n";
    let expected = r"x          unix  -       -       n       -       -       pipe\n    -o smtpd_timeout=5\n    {user = a b} -x\n";
    assert_eq!(edited(b"", row, &["-F", "x/unix/chroot=n"])[1], expected);
}

#[test]
fn an_edit_that_fails_leaves_the_file_and_nothing_else() {
    let folder = Folder::new(MAIN, b"a unix\n");
    for args in [&["-P", "a/unix/b=c"][..], &["-F", "a/unix/chroot=n"], &["-M", "a/unix=x"]] {
        assert_eq!(run_in(&folder, Whose::Ours, args).code, Some(1));
        assert_eq!(folder.read("master.cf").as_deref(), Some(&b"a unix\n"[..]));
        assert_eq!(folder.read("master.cf.tmp"), None);
    }
    fs::remove_file(folder.path().join("main.cf")).unwrap();
    let run = run_in(&folder, Whose::Ours, &["a=b"]);
    assert_eq!(run.said(), "postconf: fatal: open ./main.cf for reading: No such file or directory\n");
    assert_eq!((folder.read("main.cf"), folder.read("main.cf.tmp")), (None, None));
}

#[test]
fn edits_of_both_at_once_lose_nothing() {
    let folder = Folder::new(b"a = 1\n", b"");
    let children: Vec<_> = (0..24)
        .map(|number| {
            let whose = if number % 2 == 0 { Whose::Ours } else { Whose::Debian };
            let setting = format!("n{number}={number}");
            program(whose).args(["-c", ".", "-e", &setting]).current_dir(folder.path()).spawn().unwrap()
        })
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let main_cf = String::from_utf8(folder.read("main.cf").unwrap()).unwrap();
    let mut lines: Vec<&str> = main_cf.lines().collect();
    lines.sort_unstable();
    let mut expected: Vec<String> = (0..24).map(|number| format!("n{number} = {number}")).collect();
    expected.push("a = 1".to_owned());
    expected.sort_unstable();
    assert_eq!(lines, expected);
    assert_eq!(folder.read("main.cf.tmp"), None);
}

#[test]
fn a_killed_edit_leaves_the_old_file_or_the_new_one() {
    let line = "name_of_a_setting = a value of some length to make the file large\n";
    let old = line.repeat(40_000);
    let folder = Folder::new(old.as_bytes(), b"");
    for number in 0..30_u64 {
        let setting = format!("added={number}");
        let mut child = program(Whose::Ours)
            .args(["-c", ".", "-e", &setting])
            .current_dir(folder.path())
            .spawn()
            .unwrap();
        // Killed at another point each time; whether it has come that far does not matter.
        std::thread::sleep(std::time::Duration::from_micros(number * 700));
        let _ = child.kill();
        let _ = child.wait();
        let text = String::from_utf8(folder.read("main.cf").unwrap()).unwrap();
        let added = text.strip_prefix(&old).expect("all that was there");
        assert!(added.is_empty() || added.starts_with("added = ") && added.ends_with('\n'), "{added}");
    }
    assert_eq!(run_in(&folder, Whose::Ours, &["added=last"]).code, Some(0));
    assert!(folder.read("main.cf").unwrap().ends_with(b"\nadded = last\n"));
    assert_eq!(folder.read("main.cf.tmp"), None);
}

/// A file that a crash has left behind in another form is not used.
#[test]
fn what_lies_in_the_way_is_removed() {
    let folder = Folder::new(b"a = 1\n", b"");
    folder.write("main.cf.tmp", b"left behind");
    fs::set_permissions(folder.path().join("main.cf.tmp"), fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(run_in(&folder, Whose::Ours, &["a=2"]).code, Some(0));
    assert_eq!(folder.read("main.cf").as_deref(), Some(&b"a = 2\n"[..]));
    // A crash between the two names of a rename.
    fs::hard_link(folder.path().join("main.cf"), folder.path().join("main.cf.tmp")).unwrap();
    assert_eq!(run_in(&folder, Whose::Ours, &["a=3"]).code, Some(0));
    assert_eq!(folder.read("main.cf").as_deref(), Some(&b"a = 3\n"[..]));
    std::os::unix::fs::symlink("main.cf", folder.path().join("main.cf.tmp")).unwrap();
    let run = run_in(&folder, Whose::Ours, &["a=4"]);
    assert_eq!(run.said(), "postconf: fatal: open ./main.cf.tmp: Too many levels of symbolic links\n");
    assert_eq!(folder.read("main.cf").as_deref(), Some(&b"a = 3\n"[..]));
}
