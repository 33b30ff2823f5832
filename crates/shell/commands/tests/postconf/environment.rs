//! Where postconf looks, what it says of its version, and `-v`.

use crate::peer::{Folder, Whose, is_newest, program, run_in};

/// What a program prints, with its exit code, beside the folder's name.
fn told(mut command: std::process::Command) -> (Option<i32>, String) {
    let output = command.output().expect("Debian's postfix must be installed for this test");
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

/// seed: S054
#[test]
fn the_directory_is_built_in_unless_an_option_or_the_environment_names_another() {
    let one = Folder::new(b"myhostname = one.test\n", b"");
    let other = Folder::new(b"myhostname = other.test\n", b"");
    let run = |whose, environment: Option<&Folder>, args: &[&str]| {
        let mut command = program(whose);
        if let Some(folder) = environment {
            command.env("MAIL_CONFIG", folder.path());
        }
        command.args(args);
        told(command)
    };
    let path = |folder: &Folder| folder.path().to_str().unwrap().to_owned();
    for (environment, args, expected) in [
        (None, vec!["-d", "config_directory"], "config_directory = /etc/postfix\n".to_owned()),
        (None, vec!["-h", "config_directory"], "/etc/postfix\n".to_owned()),
        (Some(&one), vec!["-h", "myhostname"], "one.test\n".to_owned()),
        (Some(&one), vec!["-h", "config_directory"], path(&one) + "\n"),
        (Some(&one), vec!["-d", "config_directory"], "config_directory = /etc/postfix\n".to_owned()),
        (Some(&one), vec!["-c", &path(&other), "-h", "myhostname"], "other.test\n".to_owned()),
        (None, vec!["-c", &path(&other), "-h", "config_directory"], path(&other) + "\n"),
    ] {
        for whose in [Whose::Debian, Whose::Ours] {
            assert_eq!(run(whose, environment, &args), (Some(0), expected.clone()), "{whose:?} {args:?}");
        }
    }
}

/// seed: S059
#[test]
fn versions_are_three_numbers_or_what_is_set() {
    let default = |whose| {
        let run = run_in(&Folder::new(b"", b""), whose, &["-dh", "mail_version"]);
        String::from_utf8(run.out).unwrap().trim_end().to_owned()
    };
    let numbers = |version: &str| -> Option<Vec<u32>> {
        let numbers: Vec<u32> = version.split('.').map(|part| part.parse().ok()).collect::<Option<_>>()?;
        (numbers.len() == 3).then_some(numbers)
    };
    let ours = numbers(&default(Whose::Ours)).unwrap();
    assert_eq!(ours[..2], [3, 12]);
    // A snapshot has a date: 3.12-20260821.
    assert!(is_newest() || numbers(&default(Whose::Debian)).is_some());
    for version in ["3.2-20161204", "4.0.1-RC2", "x"] {
        let main_cf =
            format!("mail_version = {version}\nsmtpd_banner = $myhostname $mail_version\nmyhostname = h\n");
        for whose in [Whose::Debian, Whose::Ours] {
            let run = run_in(&Folder::new(main_cf.as_bytes(), b""), whose, &["-hx", "smtpd_banner"]);
            assert_eq!(String::from_utf8(run.out).unwrap(), format!("h {version}\n"), "{whose:?}");
        }
    }
}

/// Postfix's `-v` tells on standard error what it does inside; what is asked for is the same.
#[test]
fn verbose_runs_show_and_edit_the_same() {
    for args in [
        &["-vn"][..],
        &["-v", "-v", "-nx"],
        &["-vh", "myhostname"],
        &["-v", "-e", "a=b"],
        &["-Mv"],
        &["-vX", "a"],
    ] {
        let [theirs, ours] = [Whose::Debian, Whose::Ours].map(|whose| {
            let folder = Folder::new(
                b"mynetworks =\nmyhostname = mx.test\na = $myhostname\n",
                b"smtp inet n - y - - smtpd\n",
            );
            let run = run_in(&folder, whose, args);
            (run.code, String::from_utf8(run.out).unwrap(), run.files)
        });
        assert_eq!(ours, theirs, "{args:?}");
    }
}
