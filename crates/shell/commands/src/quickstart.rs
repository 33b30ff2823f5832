//! `posthaste quickstart DIR`: a whole mail system in one folder, in the foreground, without root.
//!
//! The folder is made with a commented configuration in Postfix's own format; a second start takes it up again as it
//! is. A file is only ever made, never overwritten, so that a start that was cut off is finished by the next.

use crate::postfix::{Fatal, System, make_directories};
use config::{Configuration, Endpoint, Severity};
use std::{
    ffi::OsString,
    fs,
    io::{self, ErrorKind, Write},
    net::TcpListener,
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
};
use sys::credentials::{self, Account, Identity};

const ADDRESS: &str = "127.0.0.1:2525";

/// Says that the folder is ours, before anything else is in it.
const MARKER: &str = ".quickstart";

/// The longest path of a folder: names of sockets below it must fit into 107 bytes.
const PATH_BYTES_MAX: usize = 80;

/// Path below the folder, and text.
const FILES: &[(&str, &str)] = &[
    ("message.eml", include_str!("quickstart/message.eml")),
    ("etc/mailboxes", include_str!("quickstart/mailboxes")),
    ("etc/master.cf", include_str!("quickstart/master.cf")),
    ("etc/main.cf", include_str!("quickstart/main.cf")),
];

pub(crate) fn main(args: &[OsString]) -> i32 {
    let [directory] = args else {
        eprintln!("usage: posthaste quickstart DIR");
        return 64;
    };
    match start(Path::new(directory)) {
        Ok(never) => match never {},
        Err(why) => {
            eprintln!("quickstart: {why}");
            1
        }
    }
}

/// Goes over into master, or says why not.
fn start(directory: &Path) -> Result<std::convert::Infallible, String> {
    let directory = make_folder(directory)?;
    let user = continue_as(&directory)?;
    make_files(&directory, &user)?;
    let config_directory = directory.join("etc");
    let system = System::open(&config_directory)?;
    let as_text = |Fatal(why): Fatal| why;
    if let Some(pid) = system.master().map_err(as_text)? {
        return Err(format!("{} is in use already, by process {pid}", directory.display()));
    }
    make_directories(&system, false).map_err(as_text)?;
    let configuration = config_files::load(&config_directory).map_err(|trouble| trouble.to_string())?;
    for report in configuration.reports().iter().filter(|report| report.severity >= Severity::Warning) {
        eprintln!("quickstart: {report}");
    }
    let address = listening_address(&configuration, &config_directory)?;
    welcome(&directory, &address).map_err(|error| format!("standard output: {error}"))?;
    let error = Command::new(sys::spawn::own_program())
        .arg0("master")
        .arg("-d")
        .arg("-c")
        .arg(&config_directory)
        .exec();
    Err(format!("cannot start master: {error}"))
}

fn make_folder(directory: &Path) -> Result<PathBuf, String> {
    let shown = directory.display();
    let trouble = |error: io::Error| {
        format!("{shown}: {}: give a folder that you may write", config_files::reason(&error))
    };
    if directory.is_file() {
        return Err(format!("{shown} is a file: give a folder"));
    }
    fs::create_dir_all(directory).map_err(trouble)?;
    let directory = directory.canonicalize().map_err(trouble)?;
    let text = directory.to_str().filter(|text| !text.contains(['$', '#', '\n', ' ', '\t', ',', '{', '}']));
    if text.is_none_or(|text| text.len() > PATH_BYTES_MAX) {
        return Err(format!(
            "{shown}: the folder's full path must be shorter than {PATH_BYTES_MAX} bytes, without blanks and $ # , {{ }}"
        ));
    }
    if !directory.join(MARKER).exists() {
        let mut entries = fs::read_dir(&directory).map_err(trouble)?;
        if entries.next().is_some() {
            return Err(format!("{shown} is not empty and was not made by quickstart: give another folder"));
        }
        fs::write(directory.join(MARKER), "Made by posthaste quickstart.\n").map_err(trouble)?;
    }
    Ok(directory)
}

/// Root's quick start goes on as the folder's owner or as nobody: nothing here needs root.
fn continue_as(directory: &Path) -> Result<Account, String> {
    let unknown = |who: &str| format!("user {who} is not in the password file");
    let trouble = |error: io::Error| format!("{}: {}", directory.display(), config_files::reason(&error));
    if credentials::real_uid() != 0 {
        let uid = credentials::real_uid();
        let account = credentials::account_by_uid(uid).map_err(trouble)?;
        return account.ok_or_else(|| unknown(&uid.to_string()));
    }
    let owner = fs::metadata(directory).map_err(trouble)?.uid();
    let account = if owner == 0 {
        credentials::account_by_name("nobody").map_err(trouble)?.ok_or_else(|| unknown("nobody"))?
    } else {
        credentials::account_by_uid(owner).map_err(trouble)?.ok_or_else(|| unknown(&owner.to_string()))?
    };
    for path in [directory.to_owned(), directory.join(MARKER)] {
        std::os::unix::fs::chown(path, Some(account.uid), Some(account.gid)).map_err(trouble)?;
    }
    credentials::become_user(Identity { uid: account.uid, gid: account.gid }).map_err(trouble)?;
    println!("quickstart: started by root, going on as {}", account.name);
    fs::read_dir(directory).map_err(|error| {
        let reason = config_files::reason(&error);
        format!(
            "{}: {reason} for user {}: give a folder that this user can reach",
            directory.display(),
            account.name
        )
    })?;
    Ok(account)
}

fn make_files(directory: &Path, user: &Account) -> Result<(), String> {
    let group = rustix::process::getgid().as_raw().to_string();
    let values = [
        ("@DIR@", directory.to_string_lossy().into_owned()),
        ("@PORT@", ADDRESS.to_owned()),
        ("@USER@", user.name.clone()),
        ("@GROUP@", group.clone()),
        ("@UID@", user.uid.to_string()),
        ("@GID@", group),
    ];
    for folder in ["etc", "mailboxes"] {
        fs::create_dir_all(directory.join(folder))
            .map_err(|error| format!("{}/{folder}: {}", directory.display(), config_files::reason(&error)))?;
    }
    for (name, text) in FILES {
        let text = values.iter().fold((*text).to_owned(), |text, (name, value)| text.replace(name, value));
        let path = directory.join(name);
        make_file(&path, &text)
            .map_err(|error| format!("{}: {}", path.display(), config_files::reason(&error)))?;
    }
    Ok(())
}

/// Makes a file as a whole, or leaves the one that is there.
fn make_file(path: &Path, text: &str) -> io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let unfinished = path.with_extension("unfinished");
    fs::write(&unfinished, text)?;
    fs::rename(unfinished, path)
}

/// The first address of the SMTP server, which must be free.
fn listening_address(configuration: &Configuration, directory: &Path) -> Result<String, String> {
    let endpoint = configuration.master_cf().rows.iter().find_map(|row| match &row.endpoint {
        Endpoint::Inet { host, port } if row.command == "smtpd" => Some((host.clone(), port.clone())),
        _ => None,
    });
    let master_cf = directory.join("master.cf");
    let master_cf = master_cf.display();
    let (host, port) = endpoint.ok_or_else(|| format!("{master_cf} has no SMTP server (smtpd) any more"))?;
    let address = format!("{}:{port}", host.unwrap_or_else(|| "127.0.0.1".to_owned()));
    match TcpListener::bind(&address) {
        Ok(_) => Ok(address),
        Err(error) if error.kind() == ErrorKind::AddrInUse => Err(format!(
            "{address} is in use by another program: stop that, or put another port into {master_cf}"
        )),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            Err(format!("{address}: ports below 1024 need root: put a higher port into {master_cf}"))
        }
        Err(error) => Err(format!("{address}: {} (see {master_cf})", config_files::reason(&error))),
    }
}

fn welcome(directory: &Path, address: &str) -> io::Result<()> {
    let directory = directory.display();
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "\nPosthaste listens on {address}. Try, in another terminal:\n\n  curl --url smtp://{address} --mail-from \
         you@example.test --mail-rcpt someone@example.test -T {directory}/message.eml\n\nThe mail appears in \
         {directory}/mailboxes/inbox/new, for anyone at example.test and localhost.\nThe configuration is in \
         {directory}/etc. Ctrl-C stops everything.\n"
    )?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn temporary(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("posthaste-quick-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        path
    }

    #[test]
    fn a_half_made_folder_is_finished_and_what_is_there_stays() {
        let folder = temporary("half");
        let user = Account {
            name: "me".into(),
            uid: 7,
            gid: 8,
            gecos: String::new(),
            home: String::new(),
            shell: String::new(),
        };
        let folder = make_folder(&folder).unwrap();
        fs::create_dir(folder.join("etc")).unwrap();
        fs::write(folder.join("etc/mailboxes"), "mine").unwrap();
        make_files(&folder, &user).unwrap();
        assert_eq!(fs::read_to_string(folder.join("etc/mailboxes")).unwrap(), "mine");
        let system = System::open(&folder.join("etc")).unwrap();
        let worst = system.configuration.reports().iter().map(|report| report.severity).max();
        assert!(worst < Some(config::Severity::Warning), "{:?}", system.configuration.reports());
        assert_eq!(system.queue_directory(), folder.join("queue"));
        make_folder(&folder).unwrap();
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_folder_with_other_things_in_it_is_left_alone() {
        let folder = temporary("full");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("thesis.tex"), "").unwrap();
        let why = make_folder(&folder).unwrap_err();
        assert!(why.contains("is not empty and was not made by quickstart"), "{why}");
        assert!(!folder.join(MARKER).exists());
        fs::remove_dir_all(folder).unwrap();
    }
}
