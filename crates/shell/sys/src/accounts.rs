//! Look-ups in the user database that may hang, done in a copy of this process ([`crate::spawn::in_a_copy`]): whoever waits
//! for signals and sockets has only one more socket to wait for, and may end the copy when it takes too long.

use crate::{
    control::{
        self, Message,
        codec::{Reader, Writer},
    },
    credentials::{Account, account_by_name, group_by_name},
    process::{Kill, signal_process},
    spawn,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Duration,
};

/// What the user database has for some names, in their order; or why nobody could say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accounts(pub Result<Vec<Option<Account>>, String>);

/// Begins to look up login names; `user:group` is a user in that group and not in his own. Gives the number of the copy, for [`crate::process::reap`], and the socket that
/// [`control::receive`] gets the [`Accounts`] from. Call in a process with a single thread only.
pub fn look_up(names: &[String]) -> io::Result<(u32, OwnedFd)> {
    let (ours, theirs) = control::pair()?;
    let pid = spawn::in_a_copy(theirs.as_fd(), |socket| {
        let found = Accounts(names.iter().map(|name| find(name)).collect());
        i32::from(control::send(&socket, &found).is_err())
    })?;
    Ok((pid, ours))
}

fn find(name: &str) -> Result<Option<Account>, String> {
    let (user, group) = name.split_once(':').map_or((name, None), |(user, group)| (user, Some(group)));
    let account = account_by_name(user).map_err(|error| format!("user {user}: {error}"))?;
    let Some(group) = group else { return Ok(account) };
    let gid = group_by_name(group).map_err(|error| format!("group {group}: {error}"))?;
    let gid = gid.ok_or_else(|| format!("unknown group name: {group}"))?;
    Ok(account.map(|account| Account { gid, ..account }))
}

/// The same, with the answer: what can be waited for once, at a start or reload. The copy is to be reaped as well.
///
/// # Errors
/// The user database does not answer, or not in time; a text that says so.
pub fn look_up_within(names: &[String], limit: Duration) -> Result<Vec<Option<Account>>, String> {
    let about = names.join(", ");
    let trouble = |error: io::Error| format!("user {about}: {error}");
    let (pid, socket) = look_up(names).map_err(trouble)?;
    let time = Timespec {
        tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(limit.subsec_nanos()),
    };
    let mut ready = [PollFd::new(&socket, PollFlags::IN)];
    let count = rustix::io::retry_on_intr(|| poll(&mut ready, Some(&time)));
    if count.map_err(|error| trouble(error.into()))? == 0 {
        // One that is gone already is what was wanted.
        let _ = signal_process(pid, Kill::Kill);
        return Err(format!("user {about}: the user database gave no answer within {limit:?}"));
    }
    match control::receive(&socket).map_err(trouble)? {
        Some(Accounts(found)) => found,
        None => Err(format!("user {about}: the user database gave no answer")),
    }
}

impl Message for Accounts {
    fn encode(&self) -> (Vec<u8>, Vec<BorrowedFd<'_>>) {
        let mut out = Writer::default();
        match &self.0 {
            Err(why) => {
                out.byte(0).bytes(why.as_bytes());
            }
            Ok(accounts) => {
                out.byte(1);
                for account in accounts {
                    write(&mut out, account.as_ref());
                }
            }
        }
        (out.finish(), Vec::new())
    }

    fn decode(bytes: &[u8], descriptors: Vec<OwnedFd>) -> Option<Self> {
        let mut from = Reader::new(bytes);
        let found = match from.byte()? {
            0 => Err(from.text()?),
            1 => {
                let mut accounts = Vec::new();
                while !from.is_at_end() {
                    accounts.push(read(&mut from)?);
                }
                Ok(accounts)
            }
            _ => return None,
        };
        (from.is_at_end() && descriptors.is_empty()).then_some(Self(found))
    }
}

fn write(out: &mut Writer, account: Option<&Account>) {
    let Some(Account { name, uid, gid, gecos, home, shell }) = account else {
        out.byte(0);
        return;
    };
    out.byte(1).number(*uid).number(*gid);
    for text in [name, gecos, home, shell] {
        out.bytes(text.as_bytes());
    }
}

fn read(from: &mut Reader<'_>) -> Option<Option<Account>> {
    if from.byte()? == 0 {
        return Some(None);
    }
    let (uid, gid) = (from.number()?, from.number()?);
    let (name, gecos, home, shell) = (from.text()?, from.text()?, from.text()?, from.text()?);
    Some(Some(Account { name, uid, gid, gecos, home, shell }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_survive_the_way() {
        let root = account_by_name("root").unwrap();
        for found in [Ok(vec![root, None]), Ok(Vec::new()), Err("user x: no answer".to_owned())] {
            let (bytes, _) = Accounts(found.clone()).encode();
            assert_eq!(Accounts::decode(&bytes, Vec::new()), Some(Accounts(found)));
            for end in 0..bytes.len() {
                // No panic on anything shorter.
                let _ = Accounts::decode(&bytes[..end], Vec::new());
            }
        }
        assert_eq!(Accounts::decode(&[7], Vec::new()), None);
    }
}
