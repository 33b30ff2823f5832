//! A network of the test's own: the test runs itself again below unshare(1), where only loopback exists, port 25 is
//! free on every address, and `/etc/resolv.conf` names the test's DNS server. So both systems use the resolver as
//! they always do.

#![expect(clippy::expect_used, reason = "a fixture that cannot do its work fails the test")]

use dns::testing::Server;
use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

const INSIDE: &str = "TEST_NETWORK_IS_OURS";

/// Runs `body` in a network of its own whose names are those of `zone`, which the server can exchange for others. `test`
/// is the test's full name.
///
/// # Panics
/// The body does, or this is not root.
pub fn alone(test: &str, zone: &str, body: impl FnOnce(&Server)) {
    inside(test, "timeout:1 attempts:1", || {
        let server = Server::start_at(([127, 0, 0, 1], 53).into(), zone).expect("port 53 of our own network");
        body(&server);
    });
}

/// Runs `body` in a network of its own, where it is the one who answers at 127.0.0.1 port 53. `options` are those of
/// resolv.conf(5).
///
/// # Panics
/// The body does, or this is not root.
pub fn inside(test: &str, options: &str, body: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_none() {
        let this = std::env::current_exe().expect("a test knows its own file");
        let output = Command::new("unshare")
            .args(["--net", "--mount", "--"])
            .arg(this)
            .args(["--exact", test, "--nocapture", "--test-threads=1"])
            .env(INSIDE, "1")
            .output()
            .expect("unshare(1) of util-linux");
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
        return;
    }
    run("ip", &["link", "set", "lo", "up"]);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let replace = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).expect("space");
        set_mode(&path, 0o644);
        let path = path.to_str().expect("a name in UTF-8");
        run("mount", &["--bind", path, &format!("/etc/{name}")]);
    };
    set_mode(directory.path(), 0o755);
    replace("resolv.conf", &format!("nameserver 127.0.0.1\noptions {options}\n"));
    replace("hosts", "127.0.0.1 localhost\n::1 localhost\n");
    body();
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("our own file");
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output();
    let is_good = output.as_ref().is_ok_and(|output| output.status.success());
    assert!(is_good, "{program} {arguments:?}: {output:?} (this test needs root)");
}
