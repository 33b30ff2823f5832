//! `-e`, `-X` and `-#`: changes main.cf or master.cf.

use std::path::Path;

use config::edit::{Change, Edited, MainEdit, MasterEdit, Part};

use super::{
    Fatal, Terminal,
    options::{Mode, Options},
};

pub(super) fn run(options: &Options, terminal: &Terminal) -> Result<(), Fatal> {
    if options.operands.is_empty() {
        return Err(Fatal("missing service argument".to_owned()));
    }
    let change = if options.has(Mode::EDIT) {
        Change::Set
    } else if options.has(Mode::EXCLUDE) {
        Change::Exclude
    } else {
        Change::CommentOut
    };
    let part = if options.has(Mode::ENTRIES) {
        Part::Entry
    } else if options.has(Mode::FIELDS) {
        Part::Field
    } else if options.has(Mode::SERVICE_PARAMETERS) {
        Part::Parameter
    } else {
        let edit = MainEdit::parse(change, &options.operands)?;
        edit.warnings().iter().for_each(|warning| terminal.warn(warning));
        return file(options, terminal, "main.cf", |name, text| Ok(edit.apply(name, text)));
    };
    let edit = MasterEdit::parse(change, part, &options.operands)?;
    file(options, terminal, "master.cf", |name, text| edit.apply(name, text))
}

/// Puts the changed text in the place of the old one, and says what is doubtful about it.
fn file(
    options: &Options,
    terminal: &Terminal,
    name: &str,
    change: impl FnOnce(&str, &[u8]) -> Result<Edited, String>,
) -> Result<(), Fatal> {
    let directory = config_files::directory(options.directory().as_deref());
    let path: &Path = &directory.join(name);
    let name = format!("{}/{name}", config_files::paths(&directory).directory);
    config_files::edit(path, &name, |text| {
        let edited = change(&name, text)?;
        edited.warnings.iter().for_each(|warning| terminal.warn(warning));
        Ok(edited.text)
    })
}
