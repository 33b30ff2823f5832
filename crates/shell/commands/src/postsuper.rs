//! postsuper(1): repairs the queue, and deletes, requeues, holds, releases and expires messages.
//!
//! Safe while the system runs, as Postfix's is: each step is one rename or one unlink, and what is gone when its
//! turn comes was somebody else's to move.
//!
//! # Diagnostics
//! What cannot be done ends the command with `fatal:` and exit code 1; single bad names are warnings.

use crate::getopt::GetOpt;
use logsink::Diagnostics;
use maillog::Severity;
use queue::QueueSettings;
use std::{
    ffi::{OsStr, OsString},
    io::BufRead,
    os::unix::ffi::OsStrExt,
    path::Path,
};

mod messages;
mod sweep;

const LETTERS: &str = "c:d:e:f:h:H:pr:sSv";
const USAGE: &str = "usage: postsuper [-c config_dir] [-d queue_id (delete)] [-e queue_id (expire)] \
    [-f queue_id (expire and/or un-hold)] [-h queue_id (hold)] [-H queue_id (un-hold)] \
    [-p (purge temporary files)] [-r queue_id (requeue)] [-s (structure fix)] \
    [-S (redundant structure fix)][-v (verbose)] [queue...]";

/// The queues, in the order in which they are repaired: logs before messages, so that they are where they
/// belong when a message is renamed.
const DEFAULT_QUEUES: [&str; 8] =
    ["defer", "bounce", "maildrop", "incoming", "active", "deferred", "hold", "flush"];

/// What ends the command: the text after `fatal: `.
pub(crate) struct Fatal(String);

/// What is done to all messages, or to one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Delete,
    Expire,
    ExpireOrRelease,
    Hold,
    Release,
    Requeue,
}

impl Action {
    fn from_letter(letter: char) -> Option<Self> {
        Some(match letter {
            'd' => Self::Delete,
            'e' => Self::Expire,
            'f' => Self::ExpireOrRelease,
            'h' => Self::Hold,
            'H' => Self::Release,
            'r' => Self::Requeue,
            _ => return None,
        })
    }
}

/// What is repaired.
#[derive(Clone, Copy, Default)]
struct Repair {
    structure: bool,
    redundant: bool,
    purge: bool,
}

impl Repair {
    fn is_wanted(self) -> bool {
        self.structure || self.redundant || self.purge
    }
}

/// How many messages each action met.
#[derive(Default)]
struct Counts {
    requeued: u64,
    held: u64,
    released: u64,
    deleted: u64,
    expired: u64,
    inode_fixed: u64,
    inode_mismatch: u64,
    position_mismatch: u64,
}

#[derive(Default)]
struct Options {
    config_directory: Option<OsString>,
    actions: Vec<(Action, OsString)>,
    repair: Repair,
    verbose: bool,
    queues: Vec<String>,
}

/// The command at work.
struct Super {
    disk: queue::RealDisk,
    settings: QueueSettings,
    verbose: bool,
    counts: Counts,
    diagnostics: Diagnostics,
}

pub(crate) fn main(args: &[OsString]) -> i32 {
    let mut diagnostics = Diagnostics::early("postsuper");
    match parse(args).and_then(|options| run(&options, &mut diagnostics)) {
        Ok(()) => 0,
        Err(Fatal(text)) => {
            diagnostics.fatal(&text);
            1
        }
    }
}

impl Super {
    fn info(&self, text: &str) {
        self.diagnostics.say(Severity::Info, text);
    }

    fn warning(&self, text: &str) {
        self.diagnostics.warning(text);
    }
}

fn parse(args: &[OsString]) -> Result<Options, Fatal> {
    let mut options = Options::default();
    let mut given = GetOpt::new("postsuper", LETTERS, args);
    while let Some(option) = given.next_option() {
        let Ok((letter, value)) = option else { return Err(Fatal(USAGE.to_owned())) };
        match letter {
            'c' if !value.as_bytes().starts_with(b"/") => {
                return Err(Fatal("-c requires absolute pathname".to_owned()));
            }
            'c' => options.config_directory = Some(value),
            'p' => options.repair.purge = true,
            's' => options.repair.structure = true,
            'S' => (options.repair.structure, options.repair.redundant) = (true, true),
            'v' => options.verbose = true,
            letter => options.actions.extend(Action::from_letter(letter).map(|action| (action, value))),
        }
    }
    options.queues = given.operands().iter().map(|name| name.to_string_lossy().into_owned()).collect();
    if options.queues.is_empty() {
        options.queues = DEFAULT_QUEUES.map(str::to_owned).to_vec();
    }
    if options.actions.is_empty() && !options.repair.is_wanted() {
        options.repair = Repair { structure: true, redundant: false, purge: true };
    }
    Ok(options)
}

fn run(options: &Options, diagnostics: &mut Diagnostics) -> Result<(), Fatal> {
    if sys::credentials::is_elevated() {
        return Err(Fatal("this postfix command must not run as a set-uid process".to_owned()));
    }
    let mut work = open(options, diagnostics)?;
    perform(options, &mut work)
}

fn perform(options: &Options, work: &mut Super) -> Result<(), Fatal> {
    if options.repair.is_wanted() {
        work.repair(&options.queues, options.repair)?;
        // What got a new name has a suffix now; the second pass takes it off.
        if work.counts.inode_mismatch > 0 {
            work.repair(&options.queues, options.repair)?;
        }
    }
    let by_name = |value: &OsStr| value != "ALL";
    let renamed = work.counts.inode_mismatch > 0 || work.counts.inode_fixed > 0;
    if renamed && options.actions.iter().any(|(_, value)| by_name(value)) {
        work.diagnostics.say(Severity::Error, "QUEUE FILE NAMES WERE CHANGED TO MATCH INODE NUMBERS");
        return Err(Fatal("CHECK YOUR QUEUE IDS AND RE-ISSUE THE COMMAND".to_owned()));
    }
    for (action, value) in &options.actions {
        match value.as_bytes() {
            b"ALL" => work.all(&options.queues, *action)?,
            b"-" => {
                for line in std::io::stdin().lock().split(b'\n').map_while(Result::ok) {
                    work.one(&options.queues, *action, &String::from_utf8_lossy(&line))?;
                }
            }
            name => work.one(&options.queues, *action, &String::from_utf8_lossy(name))?,
        }
    }
    report(options, work);
    Ok(())
}

/// Reads main.cf, goes to the queue, and becomes the mail owner: whoever controls the queue
/// must not gain from what is done there.
fn open(options: &Options, diagnostics: &mut Diagnostics) -> Result<Super, Fatal> {
    let fatal = |text: String| Fatal(text);
    let is_root = sys::credentials::real_uid() == 0;
    let directory = config_files::directory(options.config_directory.as_deref());
    let configuration = config_files::load_main(&directory).map_err(|trouble| fatal(trouble.to_string()))?;
    let values = configuration.values();
    // Before the rights to a log file are given up.
    *diagnostics = Diagnostics::new("postsuper", values);
    let owner = values.text(config::params::mail_owner);
    let account = sys::credentials::account_by_name(owner)
        .map_err(|error| fatal(format!("look up user {owner}: {error}")))?
        .ok_or_else(|| fatal(format!("parameter mail_owner: user {owner} has no account")))?;
    if !is_root && sys::credentials::real_uid() != account.uid {
        return Err(fatal("use of this command is reserved for the superuser".to_owned()));
    }
    let root = values.text(config::params::queue_directory);
    let chdir_failed =
        |error: std::io::Error| fatal(format!("chdir {root}: {}", config_files::reason(&error)));
    let disk = queue::RealDisk::open(Path::new(root)).map_err(chdir_failed)?;
    if is_root {
        sys::credentials::become_user(sys::credentials::Identity { uid: account.uid, gid: account.gid })
            .map_err(|error| fatal(format!("set_ugid: {error}")))?;
    }
    let settings = QueueSettings::load(values);
    let (verbose, diagnostics) = (options.verbose, diagnostics.clone());
    Ok(Super { disk, settings, verbose, counts: Counts::default(), diagnostics })
}

fn report(options: &Options, work: &Super) {
    let counts = &work.counts;
    let asked = |actions: &[Action]| options.actions.iter().any(|(action, _)| actions.contains(action));
    let say = |what: &str, count: u64| {
        work.info(&format!("{what}: {count} message{}", if count == 1 { "" } else { "s" }));
    };
    if asked(&[Action::Requeue]) {
        say("Requeued", counts.requeued);
    }
    if asked(&[Action::Delete]) {
        say("Deleted", counts.deleted);
    }
    if asked(&[Action::Expire, Action::ExpireOrRelease]) {
        say("Force-expired", counts.expired);
    }
    if asked(&[Action::Hold]) {
        say("Placed on hold", counts.held);
    }
    if asked(&[Action::Release, Action::ExpireOrRelease]) {
        say("Released from hold", counts.released);
    }
    if counts.inode_fixed > 0 {
        say("Renamed to match inode number", counts.inode_fixed);
    }
    if counts.inode_mismatch > 0 || counts.inode_fixed > 0 {
        work.warning("QUEUE FILE NAMES WERE CHANGED TO MATCH INODE NUMBERS");
    }
}
