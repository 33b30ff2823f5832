//! Runs Debian's postconf and ours on equal copies of a configuration, and tells what each did.

use std::{
    ffi::OsStr,
    fs,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, SystemTime},
};

/// Whose program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    Debian,
    Ours,
}

/// Another Postfix's postconf to compare with, by the variable `POSTCONF_PEER`: it must be 3.12, with which there is no difference.
fn other_peer() -> Option<String> {
    std::env::var("POSTCONF_PEER").ok()
}

/// True if the peer is as new as we are.
pub(crate) fn is_newest() -> bool {
    other_peer().is_some()
}

/// What a run did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) out: Vec<u8>,
    pub(crate) err: Vec<u8>,
    /// main.cf and master.cf afterwards.
    pub(crate) files: [Option<Vec<u8>>; 2],
    /// The number that the process had.
    pub(crate) process_id: String,
}

impl Run {
    pub(crate) fn said(&self) -> String {
        String::from_utf8_lossy(&self.err).into_owned()
    }
}

/// A folder with main.cf and master.cf, removed at the end.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(main_cf: &[u8], master_cf: &[u8]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        // Edits are synced to stable storage; thousands of them are faster in memory.
        let memory = Path::new("/dev/shm");
        let above = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let folder = Self(above.join(format!("postconf-{}-{number}", std::process::id())));
        fs::create_dir(folder.path()).unwrap();
        folder.write("main.cf", main_cf);
        folder.write("master.cf", master_cf);
        folder
    }

    /// Writes a file that looks old: Postfix waits until a file that has just been written has settled.
    pub(crate) fn write(&self, name: &str, text: &[u8]) {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        let old = SystemTime::now() - Duration::from_secs(3600);
        fs::File::options().append(true).open(path).unwrap().set_modified(old).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.0.join(name)).ok()
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The program, ready to be given arguments; it is called `postconf` either way.
pub(crate) fn program(whose: Whose) -> Command {
    let mut command = match whose {
        Whose::Debian => Command::new(other_peer().unwrap_or_else(|| "/usr/sbin/postconf".to_owned())),
        Whose::Ours => {
            let mut command = Command::new(env!("CARGO_BIN_EXE_command-under-test"));
            command.arg("postconf");
            command
        }
    };
    // Postfix's hash tables otherwise have a seed of chance, which decides what is met first.
    command.arg0("postconf").env_remove("MAIL_CONFIG").env("NORANDOMIZE", "yes").stdin(Stdio::null());
    command
}

/// Runs a program with `-c .` in a folder.
pub(crate) fn run_in(folder: &Folder, whose: Whose, args: &[impl AsRef<OsStr>]) -> Run {
    let child = program(whose)
        .args(["-c", "."])
        .args(args)
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("Debian's postfix must be installed for this test (apt-get install postfix)");
    let process_id = child.id().to_string();
    let output = child.wait_with_output().unwrap();
    let files = ["main.cf", "master.cf"].map(|name| folder.read(name));
    Run { code: output.status.code(), out: output.stdout, err: output.stderr, files, process_id }
}

/// Runs both programs, each on its own copy.
pub(crate) fn both(main_cf: &[u8], master_cf: &[u8], args: &[impl AsRef<OsStr>]) -> (Run, Run) {
    let run = |whose| run_in(&Folder::new(main_cf, master_cf), whose, args);
    (run(Whose::Debian), run(Whose::Ours))
}
