//! `postfix set-permissions`, `postfix upgrade-configuration` and what else Postfix's post-install does, with its words.

use super::{Fatal, Outcome, System, installed, installed::Extent, upgrade};

/// What a list of words asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    extent: Option<Extent>,
    upgrade: bool,
    remind: bool,
    settings: Vec<(String, String)>,
}

const USAGE: &str = "usage: postfix set-permissions (or upgrade-configuration) [name=value ...]";

impl Asked {
    fn parse(words: &[String]) -> Result<Self, String> {
        let mut asked = Self::default();
        for word in words {
            if word.contains([' ', '\t']) {
                return Err(format!("argument contains whitespace: '{word}'"));
            }
            if let Some((name, value)) = word.split_once('=') {
                asked.settings.push((name.to_owned(), value.to_owned()));
                continue;
            }
            let (extent, upgrade) = match word.as_str() {
                "create-missing" => (Some(Extent::Missing), false),
                "upgrade-source" => (Some(Extent::Upgrade), true),
                "upgrade-package" => (Some(Extent::All), true),
                word if word.starts_with("set-perm") => (Some(Extent::All), false),
                word if word.starts_with("upgrade-perm") => (Some(Extent::Upgrade), false),
                // Through postfix(1), what is missing is made first.
                word if word.starts_with("upgrade-conf") => (Some(Extent::Missing), true),
                word if word.starts_with("first-install") => {
                    asked.remind = true;
                    continue;
                }
                _ => return Err(USAGE.to_owned()),
            };
            asked.extent = asked.extent.max(extent);
            asked.upgrade |= upgrade;
        }
        if asked.extent.is_none() && !asked.remind { Err(USAGE.to_owned()) } else { Ok(asked) }
    }
}

pub(super) fn run(system: &mut System, words: &[String]) -> Outcome {
    let asked = Asked::parse(words).map_err(Fatal)?;
    let mut good = true;
    if !asked.settings.is_empty() {
        upgrade::write_settings(system, &asked.settings)?;
        system.configuration =
            config_files::load_main(&system.directory).map_err(|trouble| Fatal(trouble.to_string()))?;
    }
    if let Some(extent) = asked.extent {
        good &= installed::set(system, extent)?;
    }
    if asked.upgrade {
        upgrade::run(system)?;
    }
    if asked.remind {
        let directory = system.directory.display();
        println!(
            "Warning: myorigin, mydestination and mynetworks in {directory}/main.cf still want to be set."
        );
    }
    Ok(i32::from(!good))
}
