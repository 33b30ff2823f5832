//! The file behind a cache. All of this may block.

use crate::file::Entry;
use maillog::Logger;
use std::{
    collections::BTreeMap,
    fmt, fs,
    path::{Path, PathBuf},
    rc::Rc,
};
use tables::{Options, build};

/// Keys with their new values; none for those that go.
pub(crate) type Changes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// A table file by its type and path.
#[derive(Clone, Debug)]
pub(crate) struct TableFile {
    pub(crate) map_type: String,
    pub(crate) path: String,
}

impl fmt::Display for TableFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.map_type, self.path)
    }
}

/// What became of changes that were to be written.
#[derive(Default)]
pub(crate) struct Written {
    /// Keys that this type of table cannot have.
    pub(crate) refused: Vec<Vec<u8>>,
    /// What was done to a file that was damaged.
    pub(crate) mended: Option<String>,
}

impl TableFile {
    /// Makes the file, if it is not there, and looks whether it is one.
    pub(crate) fn prepare(&self, log: &Logger) -> Result<(), String> {
        if self.file().is_none_or(|file| !file.exists()) {
            return self.change(&Changes::new()).map(drop);
        }
        if let Some(mended) = self.mend(false) {
            log.warning(&mended);
        }
        Ok(())
    }

    /// Writes changes. Where that fails because the file is damaged, or it is said to be, it is begun anew.
    pub(crate) fn write(&self, changes: &Changes, is_suspect: bool) -> Result<Written, String> {
        let mut mended = if is_suspect { self.mend(true) } else { None };
        let refused = match self.change(changes) {
            Ok(refused) => refused,
            Err(why) => {
                mended = self.mend(true);
                if mended.is_none() {
                    return Err(why);
                }
                self.change(changes)?
            }
        };
        Ok(Written { refused, mended })
    }

    fn change(&self, changes: &Changes) -> Result<Vec<Vec<u8>>, String> {
        build::change(&self.map_type, &self.path, &options(), changes).map_err(|error| error.to_string())
    }

    /// Moves a damaged file aside, and begins a new one; says so. All entries are read if `whole`.
    fn mend(&self, whole: bool) -> Option<String> {
        let file = self.file()?;
        // What cannot be read at all is no matter of its content.
        fs::File::open(&file).ok()?;
        let table = tables::open(&self.map_type, &self.path, &options());
        let looked = table.map_err(|error| error.to_string()).and_then(|table| {
            let looked = if whole { table.each(&mut |_, _| {}) } else { Ok(()) };
            looked.map_err(|trouble| trouble.to_string())
        });
        let why = looked.err()?;
        let aside = aside(&file);
        fs::rename(&file, &aside).ok()?;
        let begun = self.change(&Changes::new());
        let next = begun.map_or_else(|why| why, |_| "the cache begins anew".into());
        Some(format!("{self}: {why}; moved to {}, {next}", aside.display()))
    }

    /// Gives the entries, one by one, while somebody takes them.
    pub(crate) fn each(&self, give: &mut dyn FnMut(Entry) -> bool) {
        let mut wanted = true;
        let table = tables::open(&self.map_type, &self.path, &options());
        let listed = table.map_err(|error| error.to_string()).and_then(|table| {
            let mut visit = |key: &[u8], value: &[u8]| {
                wanted = wanted && give(Ok((key.to_vec(), value.to_vec())));
            };
            table.each(&mut visit).map_err(|trouble| trouble.to_string())
        });
        if let Err(why) = listed {
            // Whoever has gone needs no reason.
            let _ = give(Err(why));
        }
    }

    fn file(&self) -> Option<PathBuf> {
        build::file_of(&self.map_type, &self.path)
    }
}

fn aside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".damaged");
    name.into()
}

/// Keys are what they are. A build of a table for this file has nothing to warn of.
fn options() -> Options {
    Options { fold: false, duplicates: tables::Duplicates::Replace, ..Options::new(Rc::new(|_| {})) }
}
