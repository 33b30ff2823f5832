//! The command of a `spawn` row of master.cf: `user=name[:group] argv=command words...` (spawn(8)).

use crate::{Configuration, ServiceRow, ServiceType};

/// What a row says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpawnCommand {
    /// As whom.
    pub user: String,
    /// In which group, if not the user's own.
    pub group: Option<String>,
    /// The program and its arguments; there is at least one word.
    pub words: Vec<String>,
}

impl SpawnCommand {
    /// The program of such rows.
    pub const PROGRAM: &str = "spawn";

    /// Parses a row.
    ///
    /// # Errors
    /// What spawn(8) ends with, in its words.
    pub fn of(row: &ServiceRow) -> Result<Self, String> {
        let mut whom = None;
        let mut words = row.operands.iter();
        while let Some(word) = words.next() {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            match name.to_ascii_lowercase().as_str() {
                "user" if word.contains('=') => whom = Some(value),
                "argv" if word.contains('=') => {
                    let (user, group) = whom.ok_or("missing user= attribute")?.split_once(':').map_or_else(
                        || (whom.unwrap_or_default(), None),
                        |(user, group)| (user, Some(group).filter(|group| !group.is_empty())),
                    );
                    let words = std::iter::once(value.to_owned()).chain(words.cloned()).collect();
                    return Ok(Self { user: user.to_owned(), group: group.map(str::to_owned), words });
                }
                _ => return Err(format!("unknown attribute name: {word}")),
            }
        }
        Err(if whom.is_some() { "missing argv= attribute" } else { "missing user= attribute" }.to_owned())
    }

    /// The row of that name, `service/type` as in `policy/unix`, if its program is spawn.
    #[must_use]
    pub fn row<'c>(configuration: &'c Configuration, name: &str) -> Option<&'c ServiceRow> {
        let (service, kind) = name.rsplit_once('/')?;
        let row = configuration.master_cf().service(service, ServiceType::from_name(kind)?)?;
        (row.command.rsplit('/').next() == Some(Self::PROGRAM)).then_some(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MasterCf;

    fn command(text: &str) -> Result<SpawnCommand, String> {
        let row = format!("policy unix - n n - 0 spawn {text}\n");
        SpawnCommand::of(&MasterCf::parse("master.cf", row.as_bytes()).unwrap().rows[0])
    }

    #[test]
    fn a_row_says_who_and_what() {
        let check = |text: &str, user: &str, group: Option<&str>, words: &[&str]| {
            let found = command(text).unwrap();
            assert_eq!((found.user.as_str(), found.group.as_deref()), (user, group), "{text}");
            assert_eq!(found.words, words, "{text}");
        };
        check("user=nobody argv=/bin/x", "nobody", None, &["/bin/x"]);
        check("USER=a:b Argv=/bin/x -a user=c argv=d", "a", Some("b"), &["/bin/x", "-a", "user=c", "argv=d"]);
        check("user=a: argv=x { y z }", "a", None, &["x", "y z"]);
        let check = |text: &str, why: &str| assert_eq!(command(text).unwrap_err(), why, "{text}");
        check("argv=/bin/x", "missing user= attribute");
        check("", "missing user= attribute");
        check("user=x", "missing argv= attribute");
        check("user=x directory=/ argv=x", "unknown attribute name: directory=/");
    }
}
