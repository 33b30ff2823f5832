//! The real servers behind lookup tables, from Debian's packages: each in a directory and on a port of its own.

#![expect(clippy::expect_used, reason = "a fixture that cannot do its work fails the test")]

use crate::{system::free_port, wire::wait_for};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// A server's program, what it is started with, and as whom where root starts it.
struct Plan {
    program: PathBuf,
    arguments: Vec<String>,
    user: &'static str,
    /// Arguments of [`DataServer::restart_with`].
    further: Vec<String>,
}

impl Plan {
    fn new(program: impl Into<PathBuf>, arguments: Vec<String>, user: &'static str) -> Self {
        Self { program: program.into(), arguments, user, further: Vec::new() }
    }
}

/// A running server; dropped, it is killed and its directory removed.
pub struct DataServer {
    directory: tempfile::TempDir,
    /// Where it listens on 127.0.0.1.
    pub port: u16,
    plan: Plan,
    running: Option<Child>,
}

impl DataServer {
    /// PostgreSQL with the user `mail` (password `secret`) and the tables that `sql` makes in the database `postgres`.
    pub fn postgresql(sql: &str) -> Self {
        let directory = private_directory("postgres");
        let programs = newest(Path::new("/usr/lib/postgresql")).join("bin");
        let path = |below: &str| directory.path().join(below).display().to_string();
        fs::write(path("password"), "secret").expect("space");
        let password = format!("--pwfile={}", path("password"));
        let data = path("data");
        run_as(
            "postgres",
            &programs.join("initdb"),
            &["-D", &data, "-A", "scram-sha-256", "-U", "mail", &password],
        );
        let port = free_port();
        let arguments =
            vec!["-D".to_owned(), data, "-p".to_owned(), port.to_string(), "-k".to_owned(), path("")];
        let mut arguments = arguments;
        arguments.extend(["-h", "127.0.0.1", "-c", "fsync=off"].map(str::to_owned));
        let plan = Plan::new(programs.join("postgres"), arguments, "postgres");
        let mut server = Self { directory, port, plan, running: None };
        server.start();
        let psql = |sql: &str| {
            let mut command = Command::new(programs.join("psql"));
            command.env("PGPASSWORD", "secret").args([
                "-h",
                "127.0.0.1",
                "-U",
                "mail",
                "-p",
                &port.to_string(),
            ]);
            succeeds(command.args(["-q", "-v", "ON_ERROR_STOP=1", "postgres", "-c", sql]))
        };
        wait_for("PostgreSQL answers", || psql("SELECT 1"));
        assert!(psql(sql), "{sql}");
        server
    }

    /// MariaDB with the user `mail` (password `secret`) and the tables that `sql` makes in the database `m`.
    pub fn mariadb(sql: &str) -> Self {
        let directory = private_directory("mysql");
        let path = |below: &str| directory.path().join(below).display().to_string();
        let data = format!("--datadir={}", path("data"));
        // One of its own: in a common one, each removes what others have there.
        fs::create_dir(path("tmp")).expect("space");
        own(&directory.path().join("tmp"), "mysql");
        let temporary = format!("--tmpdir={}", path("tmp"));
        let install = [
            "--no-defaults",
            &data,
            &temporary,
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
        ];
        run_as("mysql", Path::new("/usr/bin/mariadb-install-db"), &install);
        let port = free_port();
        let socket = path("socket");
        let mut arguments = vec!["--no-defaults".to_owned(), data, temporary, format!("--socket={socket}")];
        arguments.extend([format!("--port={port}"), "--bind-address=127.0.0.1".to_owned()]);
        let plan = Plan::new("/usr/sbin/mariadbd", arguments, "mysql");
        let mut server = Self { directory, port, plan, running: None };
        server.start();
        let mariadb =
            |sql: &str| succeeds(Command::new("mariadb").args(["-S", &socket, "-u", "root", "-e", sql]));
        wait_for("MariaDB answers", || mariadb("SELECT 1"));
        let grant = "GRANT ALL ON m.* TO mail@'127.0.0.1' IDENTIFIED BY 'secret'; \
                     GRANT ALL ON m.* TO mail@localhost IDENTIFIED BY 'secret'; FLUSH PRIVILEGES";
        assert!(mariadb(&format!("CREATE DATABASE m; USE m; {sql}; {grant}")), "{sql}");
        server
    }

    /// OpenLDAP with `cn=admin,dc=x` (password `secret`) and the entries of `ldif` below `dc=x`.
    pub fn openldap(ldif: &str) -> Self {
        let directory = private_directory("openldap");
        let path = |below: &str| directory.path().join(below).display().to_string();
        fs::create_dir(path("data")).expect("space");
        let conf = format!(
            "include /etc/ldap/schema/core.schema\ninclude /etc/ldap/schema/cosine.schema\n\
             include /etc/ldap/schema/inetorgperson.schema\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\n\
             sasl-host localhost\nsasl-secprops none\nsasl-auxprops slapd\npassword-hash {{CLEARTEXT}}\n\
             authz-regexp uid=([^,]*),cn=plain,cn=auth cn=$1,dc=x\n\
             database mdb\nsuffix \"dc=x\"\nrootdn \"cn=admin,dc=x\"\nrootpw secret\nmaxsize 1073741824\ndirectory {}\n\
             access to dn.base=cn=locked,dc=x by users read by * none\naccess to * by * read\n",
            path("data")
        );
        fs::write(path("slapd.conf"), conf).expect("space");
        fs::write(path("entries"), ldif).expect("space");
        let conf = path("slapd.conf");
        assert!(
            succeeds(Command::new("slapadd").args(["-q", "-f", &conf, "-l", &path("entries")])),
            "{ldif:.1000}"
        );
        let port = free_port();
        let url = format!("ldap://127.0.0.1:{port} ldapi://{}", path("ldapi").replace('/', "%2F"));
        let arguments = ["-f", &conf, "-h", &url, "-d", "0"].map(str::to_owned).to_vec();
        // It keeps the rights of whoever starts it, and needs none but for its own directory.
        let plan = Plan::new("/usr/sbin/slapd", arguments, "");
        let mut server = Self { directory, port, plan, running: None };
        server.start();
        server
    }

    /// memcached without anything in it.
    pub fn memcached() -> Self {
        let port = free_port();
        let arguments =
            ["-l", "127.0.0.1", "-u", "nobody", "-p", &port.to_string()].map(str::to_owned).to_vec();
        let plan = Plan::new("/usr/bin/memcached", arguments, "");
        let mut server = Self { directory: private_directory(""), port, plan, running: None };
        server.start();
        server
    }

    /// Redis with the password `secret`.
    pub fn redis() -> Self {
        let port = free_port();
        let words =
            ["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--requirepass", "secret"];
        let arguments = words.map(str::to_owned).to_vec();
        let plan = Plan::new("/usr/bin/redis-server", arguments, "");
        let mut server = Self { directory: private_directory(""), port, plan, running: None };
        server.start();
        server
    }

    /// A path in the server's directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A file in the server's directory, readable by all: the settings of a table.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::write(&path, text).expect("space");
        path
    }

    /// Starts it, again after [`Self::stop`], and waits until it takes connections.
    pub fn start(&mut self) {
        let address = ("127.0.0.1", self.port);
        wait_for("the server listens", || {
            // What is left of the one before may keep it from starting for a moment: PostgreSQL's children.
            let is_running =
                self.running.as_mut().is_some_and(|running| matches!(running.try_wait(), Ok(None)));
            if !is_running {
                self.running = Some(self.spawn());
            }
            std::net::TcpStream::connect(address).is_ok()
        });
    }

    fn spawn(&self) -> Child {
        let mut command = as_user(self.plan.user, &self.plan.program);
        command.args(&self.plan.arguments).args(&self.plan.further).current_dir(self.directory.path());
        let running = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        running.expect("the server is installed (make prepare)")
    }

    /// Ends it and starts it with these arguments behind its own.
    pub fn restart_with(&mut self, further: &[&str]) {
        self.stop();
        self.plan.further = further.iter().map(ToString::to_string).collect();
        self.start();
    }

    /// The same for slapd, which is to listen at these URLs.
    pub fn restart_at(&mut self, urls: &str) {
        self.stop();
        let place = self.plan.arguments.iter().position(|word| word == "-h").expect("slapd");
        urls.clone_into(&mut self.plan.arguments[place + 1]);
        self.start();
    }

    /// A copy of a file in the server's directory that only the server's user may read, as servers want their keys.
    pub fn private_copy(&self, from: &Path) -> PathBuf {
        let copy = self.path(&from.file_name().expect("a file").to_string_lossy());
        fs::copy(from, &copy).expect("space");
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o600)).expect("our file");
        own(&copy, self.plan.user);
        copy
    }

    /// Ends it at once.
    pub fn stop(&mut self) {
        if let Some(mut running) = self.running.take() {
            // The helper that changed users became the server, so this is the server's number.
            let _ = running.kill();
            let _ = running.wait();
        }
    }
}

impl Drop for DataServer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A directory that `user` owns, where there is one and root asks, and that everybody may look into.
fn private_directory(user: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("space");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("our directory");
    own(directory.path(), user);
    directory
}

/// Gives a file to a user, where there is one and root asks.
fn own(path: &Path, user: &str) {
    if !user.is_empty() && is_root() {
        assert!(succeeds(Command::new("chown").arg(user).arg(path)), "{user}");
    }
}

fn newest(directory: &Path) -> PathBuf {
    let mut versions: Vec<PathBuf> =
        fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    versions.sort();
    versions.pop().expect("postgresql is installed (make prepare)")
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn as_user(user: &str, program: &Path) -> Command {
    if user.is_empty() || !is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args([&format!("--reuid={user}"), &format!("--regid={user}"), "--init-groups"]).arg(program);
    command
}

fn run_as(user: &str, program: &Path, arguments: &[&str]) {
    let output =
        as_user(user, program).args(arguments).current_dir("/").output().expect("the program starts");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} {arguments:?}: {text}", program.display());
}

fn succeeds(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).output().is_ok_and(|output| output.status.success())
}
