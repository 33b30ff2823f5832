//! What a process may still touch once it runs: Landlock, as far as the kernel has it.
//!
//! A process gives rights up for itself and its children, never gets any back. Files that are open already stay
//! usable, which is how root's files and listeners reach a process that could not open them.

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, NetPort, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetStatus,
};
use std::{fmt, path::PathBuf};

/// What remains allowed.
#[derive(Clone, Debug, Default)]
pub struct Profile {
    /// Files and directory trees that may be read (and, for programs, executed where `execute` is set).
    pub read: Vec<PathBuf>,
    /// Trees in which everything may be done.
    pub write: Vec<PathBuf>,
    /// Whether programs may be executed from the readable trees.
    pub execute: bool,
    /// TCP ports that may be connected to; `None` leaves the network open.
    pub connect_ports: Option<Vec<u16>>,
}

/// What is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InForce {
    /// All of the profile.
    Full,
    /// What this kernel's older Landlock can do of it.
    Partial,
    /// Nothing: the kernel has no Landlock, or it is switched off.
    Nothing,
}

impl fmt::Display for InForce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "full",
            Self::Partial => "partial",
            Self::Nothing => "none",
        })
    }
}

/// The newest Landlock that we ask for; kernels with an older one enforce what they know.
const NEWEST: ABI = ABI::V5;

/// Gives up everything outside of the profile, for good. Paths that do not exist are left out: they cannot be
/// opened anyway. An error means that the rules could not be made and nothing was given up.
pub fn enforce(profile: &Profile) -> Result<InForce, String> {
    restrict(profile).map_err(|error| error.to_string())
}

/// The first Landlock (Linux 5.13 to 5.18) forbids to rename from one directory to another, whatever the rules: a queue
/// cannot live with that, so there it stays off.
fn can_rename() -> bool {
    let strict = Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    strict.handle_access(AccessFs::Refer).is_ok()
}

fn restrict(profile: &Profile) -> Result<InForce, landlock::RulesetError> {
    if !can_rename() {
        return Ok(InForce::Nothing);
    }
    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?;
    if profile.connect_ports.is_some() {
        rules = rules.handle_access(AccessNet::ConnectTcp)?;
    }
    let mut rules = rules.create()?;
    let mut reading = AccessFs::from_read(NEWEST);
    if !profile.execute {
        reading.remove(AccessFs::Execute);
    }
    let writing = AccessFs::from_all(NEWEST);
    for (paths, access) in [(&profile.read, reading), (&profile.write, writing)] {
        for path in paths {
            let Ok(opened) = PathFd::new(path) else { continue };
            // Rights that only directories have are not taken for files.
            let access = if path.is_dir() { access } else { access & AccessFs::from_file(NEWEST) };
            rules = rules.add_rule(PathBeneath::new(opened, access))?;
        }
    }
    for port in profile.connect_ports.iter().flatten() {
        rules = rules.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
    }
    Ok(match rules.restrict_self()?.ruleset {
        RulesetStatus::FullyEnforced => InForce::Full,
        RulesetStatus::PartiallyEnforced => InForce::Partial,
        RulesetStatus::NotEnforced => InForce::Nothing,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_outside_of_the_profile_cannot_be_opened() {
        let directory = std::env::temp_dir().join(format!("posthaste-sandbox-{}", std::process::id()));
        std::fs::create_dir_all(directory.join("in")).unwrap();
        std::fs::write(directory.join("out"), "x").unwrap();
        let profile = Profile {
            read: vec!["/proc".into(), "/no/such/path".into()],
            write: vec![directory.join("in")],
            connect_ports: Some(vec![]),
            ..Profile::default()
        };
        // Rules hold for the thread that makes them, so the test runner keeps its rights.
        let inside = directory.clone();
        let seen = std::thread::spawn(move || {
            let in_force = enforce(&profile).unwrap();
            let outside = std::fs::read(inside.join("out")).is_ok();
            let written = std::fs::write(inside.join("in/file"), "x").is_ok();
            (in_force, outside, written)
        });
        let (in_force, outside, written) = seen.join().unwrap();
        assert!(written);
        assert_eq!(outside, in_force == InForce::Nothing);
        std::fs::remove_dir_all(directory).unwrap();
    }
}
