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
    let uid = number(maps.uids, ("uid", "virtual_uid_maps"), settings.virtual_minimum_uid, &folded).await?;
    let gid = number(maps.gids, ("gid", "virtual_gid_maps"), 1, &folded).await?;
    Ok(VirtualMailbox { path: path.into(), uid, gid })
}

async fn find(maps: &AddressMaps, recipient: &Address) -> Lookup {
    maps.find(recipient.as_bytes(), Strategy::DEFAULT).await.map(|hit| hit.value)
}

/// A path with a `..` component, or a NUL, is never used.
fn leaves_base(path: &[u8]) -> bool {
    path.is_empty() || path.contains(&0) || path.split_str("/").any(|component| component == b"..")
}

/// A number of at least `least`, in the words of Postfix's warnings.
async fn number(
    maps: &AddressMaps,
    (what, parameter): (&str, &str),
    least: u32,
    recipient: &Address,
) -> Result<u32, (Outcome, Status, Option<String>)> {
    let text = match find(maps, recipient).await {
        Lookup::Found(text) => text,
        Lookup::Absent => {
            return Err(misconfigured(format!("recipient {recipient}: not found in {parameter}")));
        }
        Lookup::TryAgain(trouble) => return Err(misconfigured(trouble.to_string())),
    };
    let number = text.to_str().ok().and_then(|text| text.trim_start().parse().ok());
    // The largest number means "nobody" to the system calls that change owners.
    let number = number.filter(|number| (least..u32::MAX).contains(number));
    number.ok_or_else(|| {
        misconfigured(format!("recipient {recipient}: bad {what} {} in {parameter}", text.as_bstr()))
    })
}

fn misconfigured(warning: String) -> (Outcome, Status, Option<String>) {
    let status = Status::new(Dsn::temporary(3, 5), "mail system configuration error");
    (Outcome::Deferred, status, Some(warning))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_leaves_the_base() {
        for path in ["", "..", "../x", "x/..", "x/../y/", "a\0b"] {
            assert!(leaves_base(path.as_bytes()), "{path:?}");
        }
        for path in ["x", "x/", "/x/", "..x/...", "a..b"] {
            assert!(!leaves_base(path.as_bytes()), "{path:?}");
        }
    }
}
