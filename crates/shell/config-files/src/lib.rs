//! Reads main.cf and master.cf, and finds out what the configuration needs to know about the host.
//!
//! # Diagnostics
//! A file that cannot be read, or that is not in order, is [`Trouble`], whose text is what Postfix prints after `fatal: `. A host
//! whose interfaces cannot be listed counts as having none.

use std::{
    collections::HashMap,
    ffi::OsStr,
    fmt, fs, io,
    net::{SocketAddr, ToSocketAddrs as _},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use config::{Configuration, Environment, HostAddress, Invalid, MainCf, Paths};

mod edit;
mod interfaces;

pub use edit::edit;
pub use interfaces::interfaces;

/// Where the configuration is unless something else is asked for.
pub const DEFAULT_DIRECTORY: &str = "/etc/postfix";

/// Why there is no configuration.
#[derive(Debug)]
pub enum Trouble {
    /// A file cannot be read.
    Open {
        /// Its path.
        path: String,
        /// Why not.
        error: io::Error,
    },
    /// A file is not in order.
    Invalid(Invalid),
    /// A program that runs with rights its caller lacks was pointed to a directory that the default main.cf does not name.
    Unauthorized {
        /// The directory.
        directory: String,
    },
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open { path, error } => write!(f, "open {path}: {}", reason(error)),
            Self::Invalid(invalid) => invalid.fmt(f),
            Self::Unauthorized { directory } => write!(
                f,
                "unauthorized configuration directory name: {directory}; specify \"alternate_config_directories = {directory}\" or \
                 \"multi_instance_directories = {directory}\" in {DEFAULT_DIRECTORY}/main.cf"
            ),
        }
    }
}

impl std::error::Error for Trouble {}

impl From<Invalid> for Trouble {
    fn from(invalid: Invalid) -> Self {
        Self::Invalid(invalid)
    }
}

/// What the C library says about an error, without the number that Rust adds.
#[must_use]
pub fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split_once(" (os error").map_or(text.as_str(), |(reason, _)| reason).to_owned()
}

/// The configuration directory: the argument of `-c`, or else `MAIL_CONFIG`, or else `/etc/postfix`.
#[must_use]
pub fn directory(option: Option<&OsStr>) -> PathBuf {
    let asked = option.map(OsStr::to_owned).or_else(|| std::env::var_os("MAIL_CONFIG"));
    asked.map_or_else(|| PathBuf::from(DEFAULT_DIRECTORY), PathBuf::from)
}

/// Reads main.cf and master.cf of a directory.
///
/// # Errors
/// A file that cannot be read or is not in order, or a directory that this program may not be pointed to.
pub fn load(directory: &Path) -> Result<Configuration, Trouble> {
    let main = with_origin(read_main(directory)?, directory)?;
    let master = read(directory, "master.cf")?;
    resolved(&main, &master, &paths(directory))
}

/// Reads main.cf only, for programs to which services do not matter; master.cf counts as empty.
///
/// # Errors
/// As [`load`].
pub fn load_main(directory: &Path) -> Result<Configuration, Trouble> {
    let main = with_origin(read_main(directory)?, directory)?;
    resolved(&main, b"", &paths(directory))
}

/// The configuration, with the addresses of hosts that it names as our own: those are asked for before anything else is
/// done with it.
fn resolved(main: &[u8], master: &[u8], paths: &Paths) -> Result<Configuration, Trouble> {
    let mut environment = environment();
    let configuration = Configuration::load(main, master, paths, &environment)?;
    let names = configuration.names_to_resolve();
    if names.is_empty() {
        return Ok(configuration);
    }
    resolve(&mut environment, names);
    Ok(Configuration::load(main, master, paths, &environment)?)
}

/// Adds what the system's resolver knows of names.
pub fn resolve(environment: &mut Environment, names: Vec<String>) {
    let ask = |name: String| (addresses(&name), name);
    environment.hosts.extend(names.into_iter().map(ask).map(|(addresses, name)| (name, addresses)));
}

/// What the system's resolver knows of a name; nothing if it does not answer.
fn addresses(name: &str) -> Vec<HostAddress> {
    let found = (name, 0).to_socket_addrs().into_iter().flatten();
    let host = |found: SocketAddr| HostAddress {
        address: found.ip(),
        interface: if let SocketAddr::V6(found) = found { found.scope_id() } else { 0 },
    };
    found.map(host).collect()
}

/// Debian's myorigin may be the path of a file, `/etc/mailname` there, whose first line is the value.
fn with_origin(main: Vec<u8>, directory: &Path) -> Result<Vec<u8>, Trouble> {
    let parsed = MainCf::parse(&paths(directory).main_cf(), &main)?;
    let Some(path) = parsed.get("myorigin").map(|entry| entry.value.trim()).filter(|v| v.starts_with('/'))
    else {
        return Ok(main);
    };
    let text = fs::read(path).map_err(|error| Trouble::Open { path: path.to_owned(), error })?;
    let text = config::decode(text.split(|byte| *byte == b'\n').next().unwrap_or_default());
    let name = text.trim();
    if name.is_empty() {
        let text = format!("myorigin file {path} is empty");
        return Err(Invalid::new(&paths(directory).main_cf(), 0, text).into());
    }
    Ok(main.split_inclusive(|byte| *byte == b'\n').flat_map(|line| origin_line(line, name)).collect())
}

/// The line, or what it says in place of a path.
fn origin_line(line: &[u8], name: &str) -> Vec<u8> {
    let rest = line.strip_prefix(b"myorigin").map(<[u8]>::trim_ascii_start);
    match rest.is_some_and(|rest| rest.starts_with(b"=")) {
        true => format!("myorigin = {name}\n").into_bytes(),
        false => line.to_vec(),
    }
}

/// The files' paths as messages name them.
#[must_use]
pub fn paths(directory: &Path) -> Paths {
    Paths::in_directory(&config::decode(directory.as_os_str().as_bytes()))
}

/// The bytes of main.cf.
///
/// # Errors
/// It cannot be read, or this program may not be pointed to the directory.
pub fn read_main(directory: &Path) -> Result<Vec<u8>, Trouble> {
    if is_privileged() && directory != Path::new(DEFAULT_DIRECTORY) {
        authorize(directory)?;
    }
    read(directory, "main.cf")
}

/// Whether this program has rights that its caller lacks. Root lacks none.
fn is_privileged() -> bool {
    use rustix::process::{getegid, geteuid, getgid, getuid};
    let is_root = getuid().is_root() && geteuid().is_root();
    !is_root && (getuid() != geteuid() || getgid() != getegid())
}

/// Refuses a directory that the set-gid programs would not read for this user, before one of them has to:
/// sendmail(1) `-C`.
///
/// # Errors
/// The default main.cf does not list it, and this is not root.
pub fn check_directory(directory: &Path) -> Result<(), Trouble> {
    match rustix::process::geteuid().is_root() || directory == Path::new(DEFAULT_DIRECTORY) {
        true => Ok(()),
        false => authorize(directory),
    }
}

/// The bytes of a file in the configuration directory.
///
/// # Errors
/// It cannot be read.
pub fn read(directory: &Path, name: &str) -> Result<Vec<u8>, Trouble> {
    let path = format!("{}/{name}", paths(directory).directory);
    fs::read(directory.join(name)).map_err(|error| Trouble::Open { path, error })
}

/// A set-gid program reads another directory only if the default main.cf lists it: postconf(5) `alternate_config_directories`.
fn authorize(directory: &Path) -> Result<(), Trouble> {
    let default = Path::new(DEFAULT_DIRECTORY);
    let main = MainCf::parse(&paths(default).main_cf(), &read(default, "main.cf")?)?;
    let asked = paths(directory).directory;
    let names = ["alternate_config_directories", "multi_instance_directories"];
    let listed =
        names.iter().filter_map(|name| main.get(name)).flat_map(|entry| config::split_list(&entry.value));
    match listed.into_iter().any(|listed| listed == asked) {
        true => Ok(()),
        false => Err(Trouble::Unauthorized { directory: asked }),
    }
}

/// The host's name, interfaces and services, and this process.
#[must_use]
pub fn environment() -> Environment {
    // Without the file there are the names of known_tcp_ports.
    let services = fs::read("/etc/services").map(|text| config::decode(&text).into()).unwrap_or_default();
    Environment {
        interfaces: interfaces(),
        has_ipv6: has_ipv6(),
        services,
        ..environment_without_interfaces()
    }
}

/// The host's name and this process, for those who ask for the rest only when they need it.
#[must_use]
pub fn environment_without_interfaces() -> Environment {
    let hostname = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let program = std::env::args_os().next().unwrap_or_default();
    let process_name =
        Path::new(&program).file_name().map(|name| config::decode(name.as_bytes())).unwrap_or_default();
    Environment {
        hostname,
        interfaces: Vec::new(),
        has_ipv6: true,
        hosts: HashMap::new(),
        services: Arc::default(),
        process_id: std::process::id(),
        process_name,
    }
}

/// Whether the kernel has IPv6: any other trouble with a socket is for whoever needs one.
fn has_ipv6() -> bool {
    use rustix::{io::Errno, net};
    let socket = net::socket(net::AddressFamily::INET6, net::SocketType::STREAM, None);
    !matches!(socket, Err(Errno::AFNOSUPPORT | Errno::PROTONOSUPPORT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use config::params as p;

    #[test]
    fn a_directory_without_main_cf_is_named() {
        let trouble = load(Path::new("/nowhere/at/all")).unwrap_err();
        assert_eq!(trouble.to_string(), "open /nowhere/at/all/main.cf: No such file or directory");
    }

    #[test]
    fn both_files_are_read() {
        let directory = std::env::temp_dir().join(format!("config-files-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join("main.cf"), "myhostname = mx.test\n").unwrap();
        fs::write(directory.join("master.cf"), "smtp inet n - n - - smtpd -o smtpd_timeout=7\n").unwrap();
        let configuration = load(&directory);
        fs::remove_dir_all(&directory).unwrap();
        let configuration = configuration.unwrap();
        let row = configuration.master_cf().rows.first().unwrap();
        assert_eq!(configuration.values_for(row).time(p::smtpd_timeout).as_secs(), 7);
        assert_eq!(configuration.values().text(p::mydomain), "test");
        assert_eq!(Path::new(configuration.values().text(p::config_directory)), directory);
    }

    #[test]
    fn debians_myorigin_names_a_file() {
        let directory = std::env::temp_dir().join(format!("config-origin-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let file = directory.join("mailname");
        let check = |text: &str| {
            fs::write(&file, text).unwrap();
            let main = format!("#myorigin = /no\nmyhostname = a.test\nmyorigin\t= {}\n", file.display());
            fs::write(directory.join("main.cf"), main).unwrap();
            load_main(&directory).map(|configuration| configuration.values().text(p::myorigin).to_owned())
        };
        assert_eq!(check("origin.test\nsecond\n").unwrap(), "origin.test");
        assert!(check("\n").unwrap_err().to_string().ends_with("is empty"));
        fs::remove_file(&file).unwrap();
        assert!(
            load_main(&directory).unwrap_err().to_string().ends_with("mailname: No such file or directory")
        );
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn the_host_has_a_loopback_interface() {
        assert!(interfaces().iter().any(|interface| interface.address.is_loopback()));
        assert!(!environment().hostname.is_empty());
    }
}
