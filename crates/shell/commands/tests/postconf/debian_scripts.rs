//! Debian's maintainer scripts with our postconf. All that they write goes to overlays in a mount namespace of their own, which ends with
//! them: the machine stays as it is.

use std::{fs, process::Command};

use crate::peer::{Folder, Whose};

/// `$1`: a folder for what came of it; `$2`: whose postconf; `$3`: our program; `$4`: the version that is upgraded, or nothing; `$5`: the
/// kind of system.
const SCRIPT: &str = r#"
set -e
PATH=/usr/sbin:/usr/bin:/sbin:/bin
over=$1/over
mkdir "$over"
mount -t tmpfs tmpfs "$over"
for name in etc var usr run; do
    mkdir "$over/$name.upper" "$over/$name.work"
    mount -t overlay overlay -o "lowerdir=/$name,upperdir=$over/$name.upper,workdir=$over/$name.work" "/$name"
done
# Behind this line, nothing that is written is the machine's.
if [ "$2" = ours ]; then
    printf '#!/bin/sh\nexec %s postconf "$@"\n' "$3" > /usr/sbin/postconf.new
    chmod 755 /usr/sbin/postconf.new
    mv /usr/sbin/postconf.new /usr/sbin/postconf
fi
printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d
chmod 755 /usr/sbin/policy-rc.d
export DPKG_MAINTSCRIPT_NAME=postinst DPKG_MAINTSCRIPT_PACKAGE=postfix
export DEBIAN_FRONTEND=noninteractive DEBCONF_NONINTERACTIVE_SEEN=true
debconf-set-selections <<END
postfix postfix/main_mailer_type select $5
postfix postfix/mailname string mail.example.com
postfix postfix/relayhost string smtp.example.net
postfix postfix/destinations string a.example.com, b.example.com
postfix postfix/mynetworks string 127.0.0.0/8 10.0.0.0/8
postfix postfix/recipient_delim string +
postfix postfix/mailbox_limit string 1000
postfix postfix/protocols select ipv4
END
rm -f /etc/postfix/main.cf /etc/postfix/master.cf
/var/lib/dpkg/info/postfix.config configure
/var/lib/dpkg/info/postfix.postinst configure "$4" < /dev/null
cp /etc/postfix/main.cf "$1/made.main.cf"
cp /etc/postfix/master.cf "$1/made.master.cf"
"#;

/// What the scripts make of main.cf and master.cf.
fn installed(whose: Whose, version: &str, kind: &str) -> [String; 2] {
    let folder = Folder::new(b"", b"");
    let name = if whose == Whose::Ours { "ours" } else { "theirs" };
    let output = Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", SCRIPT, "sh"])
        .arg(folder.path())
        .args([name, env!("CARGO_BIN_EXE_command-under-test"), version, kind])
        .output()
        .expect("unshare(1) is needed");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "this test needs root: {whose:?} {version:?} {kind}: {}\n{said}",
        String::from_utf8_lossy(&output.stdout)
    );
    assert!(!said.contains("postconf: "), "{said}");
    ["made.main.cf", "made.master.cf"].map(|name| fs::read_to_string(folder.path().join(name)).unwrap())
}

/// Needs root, and Debian's postfix as its package left it.
#[test]
fn debians_maintainer_scripts_make_the_same_of_a_system() {
    let compare = |version, kind| {
        let theirs = installed(Whose::Debian, version, kind);
        let ours = installed(Whose::Ours, version, kind);
        assert_eq!(ours, theirs, "{version:?} {kind}");
        theirs
    };
    std::thread::scope(|scope| {
        for version in ["", "3.7.10"] {
            scope.spawn(move || {
                let [main, _] = compare(version, "Satellite system");
                assert!(main.contains("relayhost = smtp.example.net\n"), "{main}");
            });
            for kind in ["Internet Site", "Local only"] {
                scope.spawn(move || compare(version, kind));
            }
        }
    });
}
