//! `-b` and `-t`: the texts of notifications (bounce(5)).

use bounce::Templates;
use config::{Values, params};
use config_files::reason;

use super::{
    Fatal, Loaded, Terminal,
    options::{Mode, Options},
};

pub(super) fn show(options: &Options, terminal: &mut Terminal) -> Result<(), Fatal> {
    if options.operands.len() > 1 {
        return Err(Fatal("options -b and -t require at most one template file".to_owned()));
    }
    let main = Loaded::main_alone(options, terminal)?;
    let mut values = Values::of_main(
        main,
        config_files::environment_without_interfaces(),
        config_files::DEFAULT_DIRECTORY,
    );
    if let Some(file) = options.operands.first() {
        values = values.with(&[(params::bounce_template_file.name(), file)]);
    }
    // What follows is told by the daemon whose texts these are.
    terminal.speak_as(format!("{}/bounce", values.text(params::syslog_name)));
    check(&values)?;
    let path = values.text(params::bounce_template_file);
    let file = match path {
        "" => None,
        path => {
            let name = super::file_name(path);
            Some(std::fs::read(name).map_err(|error| format!("open {path}: {}", reason(&error)))?)
        }
    };
    let templates = Templates::read(&values, file.as_deref());
    let print = if options.has(Mode::EXPANDED_TEMPLATES) {
        templates.print_expanded()
    } else {
        templates.print_raw()
    };
    terminal.out.push_str(&config::decode(&print.text));
    for problem in print.problems {
        if problem.is_fatal {
            return Err(Fatal(problem.text));
        }
        terminal.warn(&problem.text);
    }
    Ok(())
}

/// A value that bounce(8) reads and cannot use ends it.
fn check(values: &Values) -> Result<(), Fatal> {
    let is_read = |readers: &str| readers.split(',').any(|reader| matches!(reader, "bounce" | "global"));
    for id in params::BY_NAME.into_iter().filter(|id| is_read(id.row().readers) && values.is_set(*id)) {
        let written = values.unexpanded(id.name()).unwrap_or_default();
        let expansion = values.expansion(&written);
        let raw = matches!(id.row().kind, params::Kind::Raw { .. });
        if expansion.error && !raw {
            return Err(Fatal("dictionary mail_dict: macro processing error".to_owned()));
        }
        values.check(id, if raw { &written } else { &expansion.text })?;
    }
    Ok(())
}
