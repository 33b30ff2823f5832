//! Alias files built by our postalias and listed by Debian's.

// Helpers of tests may fail loudly, as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{ffi::OsString, fs, process::Command};

const ALIASES: &str = "# comment\nroot: you\nPostmaster:    root, \"quoted user\"@example.com\nlist: :include:/etc/list\n\
                       prog: \"|/usr/bin/prog -x arg, more\"\nprog2: |\"/usr/bin/prog arg\"\nfile: /var/mail/x,\n  more\nbad\n\
                       a,b: c\na@b: c\nx: \"y\" (comment) <q@r>\nroot: again\n: foo\nempty:\nemptyq: \"\"\n\
                       w: a\\ b, c.d@[1.2.3.4]\n";

fn debian(directory: &str, args: &[&str]) -> Vec<String> {
    let output = Command::new("/usr/sbin/postalias")
        .args(["-c", directory])
        .args(args)
        .output()
        .expect("Debian's postfix must be installed for this test (apt-get install postfix)");
    let text = String::from_utf8(output.stdout).unwrap();
    // Debian's is built with NIS, and leaves its marks.
    let mut lines: Vec<_> = text.lines().filter(|line| !line.starts_with("YP_")).map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn the_same_aliases_as_debians() {
    let folder = std::env::temp_dir().join(format!("posthaste-postalias-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("main.cf"), "compatibility_level = 3.6\n").unwrap();
    let directory = folder.to_str().unwrap();
    let postalias = commands::main_by_name("postalias").unwrap();
    for map_type in ["hash", "lmdb"] {
        let path = format!("{directory}/{map_type}");
        let spec = format!("{map_type}:{path}");
        fs::write(&path, ALIASES).unwrap();
        debian(directory, &[&spec]);
        let theirs = debian(directory, &["-s", &spec]);
        let args = ["-c", directory, &spec].map(OsString::from);
        assert_eq!(postalias(&args), 0);
        assert_eq!(debian(directory, &["-s", &spec]), theirs, "{map_type}");
        assert!(theirs.iter().any(|line| line.starts_with("postmaster:\t")), "{theirs:?}");
    }
    fs::remove_dir_all(folder).unwrap();
}
