//! Shows parameters: all, or those that are named.

use config::{LEGACY, params};

use super::{
    Fatal, Terminal, line,
    options::{Mode, Options},
    view::{View, is_raw},
};

pub(super) fn show(view: &View<'_>, options: &Options, terminal: &mut Terminal) -> Result<(), Fatal> {
    if options.operands.is_empty() {
        for name in all(view, options) {
            terminal.spill();
            print(view, options, name, terminal)?;
        }
        return Ok(());
    }
    for name in &options.operands {
        terminal.spill();
        if view.names.is_known(name) {
            print(view, options, name, terminal)?;
        } else {
            terminal.warn(&format!("{name}: unknown parameter"));
        }
    }
    Ok(())
}

/// The names of the classes asked for, in order.
pub(super) fn all<'v>(view: &View<'v>, options: &Options) -> Vec<&'v str> {
    let classes = options.classes;
    let builtin = params::BY_NAME.iter().map(|id| id.name());
    let mut names: Vec<&str> = builtin
        .filter(|name| if view.names.is_of_transport(name) { classes.service } else { classes.builtin })
        .collect();
    if classes.service {
        names.extend(view.names.transport.keys().map(String::as_str));
    }
    if classes.user {
        let user = view.names.user.iter().map(String::as_str);
        names.extend(
            user.filter(|name| {
                params::by_spelling(name).is_none() && !view.names.transport.contains_key(*name)
            }),
        );
    }
    names.retain(|name| !LEGACY.contains(name) || view.names.user.contains(*name));
    names.sort_unstable();
    names
}

fn print(view: &View<'_>, options: &Options, name: &str, terminal: &mut Terminal) -> Result<(), Fatal> {
    let Some(value) = view.value(name, None, options.has(Mode::NON_DEFAULT)) else { return Ok(()) };
    let fold = options.has(Mode::FOLD);
    if options.has(Mode::HIDE_VALUE) {
        line::print(&mut terminal.out, fold, name);
        return Ok(());
    }
    let value = if is_raw(name) { value } else { view.expanded(&value, None, terminal)?.into_owned().into() };
    if options.has(Mode::JSON) {
        line::json(&mut terminal.out, name, &value);
    } else if options.has(Mode::HIDE_NAME) {
        line::print(&mut terminal.out, fold, &value);
    } else {
        line::print(&mut terminal.out, fold, &format!("{name} = {value}"));
    }
    Ok(())
}
