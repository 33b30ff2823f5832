//! virtual(8): where a virtual recipient's mailbox is and who owns it.

use crate::VirtualSettings;
use bstr::{BString, ByteSlice};
use maps::{AddressMaps, Strategy};
use types::{Address, Dsn, Lookup, Outcome, Status};

/// A mailbox to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualMailbox {
    /// Path below `virtual_mailbox_base`; a final `/` means maildir.
    pub path: BString,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// The three maps of virtual(8).
pub struct VirtualMaps<'a> {
    /// virtual_mailbox_maps
    pub mailboxes: &'a AddressMaps,
    /// virtual_uid_maps
    pub uids: &'a AddressMaps,
    /// virtual_gid_maps
    pub gids: &'a AddressMaps,
}

/// Looks a recipient up. An error is the recipient's outcome with its status and a warning for the log.
pub async fn virtual_mailbox(
    settings: &VirtualSettings,
    maps: &VirtualMaps<'_>,
    recipient: &Address,
) -> Result<VirtualMailbox, (Outcome, Status, Option<String>)> {
    let folded = Address::new(recipient.as_bytes().to_ascii_lowercase());
    let path = match find(maps.mailboxes, &folded).await {
        Lookup::Found(path) => path,
        Lookup::Absent => {
            let status = Status::new(Dsn::permanent(1, 1), format!("unknown user: \"{folded}\""));
            return Err((Outcome::Bounced, status, None));
        }
        Lookup::TryAgain(trouble) => return Err(misconfigured(trouble.to_string())),
    };
    if leaves_base(&path) {
        let what = format!("recipient {folded}: bad mailbox path {} in virtual_mailbox_maps", path.as_bstr());
        return Err(misconfigured(what));
    }
    let uid = number(maps.uids, "virtual_uid_maps", &folded).await?;
    if uid < settings.virtual_minimum_uid {
        let least = settings.virtual_minimum_uid;
        let what =
            format!("recipient {folded}: bad uid {uid} in virtual_uid_maps: virtual_minimum_uid is {least}");
        return Err(misconfigured(what));
    }
    let gid = number(maps.gids, "virtual_gid_maps", &folded).await?;
    if gid == 0 {
        return Err(misconfigured(format!("recipient {folded}: bad gid 0 in virtual_gid_maps")));
    }
    Ok(VirtualMailbox { path: path.into(), uid, gid })
}

async fn find(maps: &AddressMaps, recipient: &Address) -> Lookup {
    maps.find(recipient.as_bytes(), Strategy::DEFAULT).await.map(|hit| hit.value)
}

/// A path with a `..` component, or a NUL, is never used.
fn leaves_base(path: &[u8]) -> bool {
    path.is_empty() || path.contains(&0) || path.split_str("/").any(|component| component == b"..")
}

async fn number(
    maps: &AddressMaps,
    parameter: &str,
    recipient: &Address,
) -> Result<u32, (Outcome, Status, Option<String>)> {
    let text = match find(maps, recipient).await {
        Lookup::Found(text) => text,
        Lookup::Absent => {
            return Err(misconfigured(format!("recipient {recipient}: not found in {parameter}")));
        }
        Lookup::TryAgain(trouble) => return Err(misconfigured(trouble.to_string())),
    };
    // The largest number means "nobody" to the system calls that change owners.
    let number = text.to_str().ok().and_then(|t| t.trim().parse().ok()).filter(|n| *n != u32::MAX);
    number.ok_or_else(|| {
        misconfigured(format!("recipient {recipient}: bad number {} in {parameter}", text.as_bstr()))
    })
}

fn misconfigured(warning: String) -> (Outcome, Status, Option<String>) {
    let status = Status::new(Dsn::temporary(3, 5), "mail system configuration error");
    (Outcome::Deferred, status, Some(warning))
}
