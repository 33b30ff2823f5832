//! postqueue(1), and mailq: lists the queue, and asks for mail to be tried now.
//!
//! The program is set-gid so that it can reach the sockets in `public`; it reads nothing of the queue itself
//! but for root and the mail owner, who may do so when the mail system is down.
//!
//! # Diagnostics
//! Whatever is fatal ends with exit code 69: Postfix's program names finer codes (usage, not allowed), but its
//! clean-up handler exits before they are used.

use client::Client;
use config::{Values, params as p};
use logsink::Diagnostics;
use std::{
    ffi::{OsStr, OsString},
    io::{self, Write},
    os::unix::ffi::OsStrExt,
    path::Path,
};

mod client;
mod listing;

const USAGE: &str =
    "usage: postqueue -f | postqueue -i queueid | postqueue -j | postqueue -p | postqueue -s site";
const EX_UNAVAILABLE: i32 = 69;

/// The answers of flush(8).
const FLUSH_OK: i32 = 0;
const FLUSH_FAIL: i32 = -1;
const FLUSH_BAD: i32 = 3;
const FLUSH_DENY: i32 = 4;

/// What ends the program: the text after `fatal: `.
struct Fatal(String);

enum Mode {
    List,
    Json,
    FlushQueue,
    FlushSite(OsString),
    FlushFile(OsString),
}

/// Runs postqueue with its arguments, the program's name not among them; gives the exit code.
pub(crate) fn main(args: &[OsString]) -> i32 {
    let mut diagnostics = Diagnostics::early("postqueue");
    match run(args, &mut diagnostics) {
        Ok(()) => 0,
        Err(Fatal(text)) => {
            diagnostics.fatal(&text);
            EX_UNAVAILABLE
        }
    }
}

fn run(args: &[OsString], diagnostics: &mut Diagnostics) -> Result<(), Fatal> {
    let (mode, config_directory) = parse(args)?;
    let directory = config_files::directory(config_directory.as_deref());
    let configuration = config_files::load_main(&directory).map_err(|trouble| Fatal(trouble.to_string()))?;
    let values = configuration.values();
    *diagnostics = Diagnostics::new("postqueue", values);
    let root = Path::new(values.text(p::queue_directory));
    if let Err(error) = std::env::set_current_dir(root) {
        let reason = config_files::reason(&error);
        return Err(Fatal(format!("chdir {}: {reason}", root.display())));
    }
    match mode {
        Mode::List | Mode::Json => {
            authorize(values, p::authorized_mailq_users, "view", diagnostics)?;
            show(values, matches!(mode, Mode::Json), diagnostics)
        }
        Mode::FlushQueue => {
            authorize(values, p::authorized_flush_users, "flush", diagnostics)?;
            flush_queue(values, diagnostics)
        }
        Mode::FlushSite(site) => {
            check_site(&site)?;
            authorize(values, p::authorized_flush_users, "flush", diagnostics)?;
            flush(values, ("send_site", "site", &site), diagnostics)
        }
        Mode::FlushFile(id) => {
            check_id(&id)?;
            authorize(values, p::authorized_flush_users, "flush", diagnostics)?;
            flush(values, ("send_file", "queue_id", &id), diagnostics)
        }
    }
}

fn parse(args: &[OsString]) -> Result<(Mode, Option<OsString>), Fatal> {
    let usage = || Fatal(USAGE.to_owned());
    let (mut mode, mut directory) = (None, None);
    let mut rest = args.iter();
    while let Some(argument) = rest.next() {
        let letters = argument.as_bytes().strip_prefix(b"-").filter(|letters| !letters.is_empty());
        let mut letters = letters.ok_or_else(usage)?;
        while let Some((letter, more)) = letters.split_first() {
            letters = more;
            let mut value = || match std::mem::take(&mut letters) {
                [] => rest.next().cloned().ok_or_else(|| {
                    eprintln!("postqueue: option requires an argument -- '{}'", char::from(*letter));
                    usage()
                }),
                attached => Ok(OsStr::from_bytes(attached).to_owned()),
            };
            let asked = match letter {
                b'c' => {
                    directory = Some(value()?);
                    continue;
                }
                b'v' => continue,
                b'f' => Mode::FlushQueue,
                b'i' => Mode::FlushFile(value()?),
                b'j' => Mode::Json,
                b'p' => Mode::List,
                b's' => Mode::FlushSite(value()?),
                _ => {
                    eprintln!("postqueue: invalid option -- '{}'", char::from(*letter));
                    return Err(usage());
                }
            };
            if mode.replace(asked).is_some() {
                return Err(usage());
            }
        }
    }
    Ok((mode.ok_or_else(usage)?, directory))
}

/// Root and the mail owner may everything; others what the parameter's list says.
fn authorize(
    values: &Values,
    parameter: config::params::Id,
    verb: &str,
    diagnostics: &Diagnostics,
) -> Result<(), Fatal> {
    let uid = sys::credentials::real_uid();
    let owner = sys::credentials::account_by_name(values.text(p::mail_owner)).ok().flatten();
    if uid == 0 || owner.is_some_and(|owner| owner.uid == uid) {
        return Ok(());
    }
    let account = sys::credentials::account_by_uid(uid).ok().flatten();
    let name = account.map_or_else(|| "unknown".to_owned(), |account| account.name);
    if tables::is_user_listed(values, parameter, &name, diagnostics.logger()).map_err(Fatal)? {
        return Ok(());
    }
    Err(Fatal(format!("User {name}({uid}) is not allowed to {verb} the mail queue")))
}

fn shorten(text: &OsStr) -> String {
    let shown: String = text.to_string_lossy().chars().take(100).collect();
    format!("{shown}{}", if text.len() > 100 { "..." } else { "" })
}

fn check_site(site: &OsStr) -> Result<(), Fatal> {
    let text = site.to_string_lossy();
    let is_literal = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).is_some_and(|address| {
        let address = address.strip_prefix("IPv6:").unwrap_or(address);
        address.parse::<std::net::IpAddr>().is_ok()
    });
    let label_is_valid = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_name = text.len() <= 255
        && text.split('.').all(label_is_valid)
        && !text.split('.').all(|label| label.bytes().all(|b| b.is_ascii_digit()));
    if is_literal || is_name {
        return Ok(());
    }
    let what = format!("Cannot flush mail queue - invalid destination: \"{}\"", shorten(site));
    Err(Fatal(what))
}

fn check_id(id: &OsStr) -> Result<(), Fatal> {
    let bytes = id.as_bytes();
    let is_valid = !bytes.is_empty()
        && bytes.len() <= 255
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_');
    if is_valid {
        return Ok(());
    }
    Err(Fatal(format!("Cannot flush queue ID - invalid name: \"{}\"", shorten(id))))
}

fn show(values: &Values, is_json: bool, diagnostics: &Diagnostics) -> Result<(), Fatal> {
    let service = values.text(p::showq_service_name);
    let style = listing::Style { is_json, has_long_ids: values.bool(p::enable_long_queue_ids) };
    let mut out = io::BufWriter::new(io::stdout().lock());
    let result = match Client::connect(service) {
        Ok(mut client) => listing::show(&mut client, style, &mut out),
        Err(error) => {
            let mail_name = values.text(p::mail_name);
            let why =
                format!("Connect to the {mail_name} {service} service: {}", config_files::reason(&error));
            if error.kind() == io::ErrorKind::PermissionDenied {
                return Err(Fatal(why));
            }
            if sys::credentials::effective_uid() != 0 {
                let text = format!("Queue report unavailable - mail system is down ({why})");
                return Err(Fatal(text));
            }
            diagnostics.warning(&format!("Mail system is down -- accessing queue directly ({why})"));
            show_directly(values, style, &mut out, diagnostics)
        }
    };
    match result.and_then(|()| Ok(out.flush()?)) {
        Err(listing::Trouble::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(listing::Trouble::Output(error)) => {
            Err(Fatal(format!("output write error: {}", config_files::reason(&error))))
        }
        Err(listing::Trouble::Malformed) => Err(Fatal("malformed showq server response".to_owned())),
        Ok(()) => Ok(()),
    }
}

/// Makes the listing in this process, as the mail owner: root does not read what others control.
fn show_directly(
    values: &Values,
    style: listing::Style,
    out: &mut dyn Write,
    diagnostics: &Diagnostics,
) -> Result<(), listing::Trouble> {
    let owner = sys::credentials::account_by_name(values.text(p::mail_owner))?;
    let owner = owner.ok_or_else(|| io::Error::other("mail_owner has no account"))?;
    sys::credentials::become_user(sys::credentials::Identity { uid: owner.uid, gid: owner.gid })?;
    let disk = queue::RealDisk::open(Path::new("."))?;
    let queue = queue::Queue::new(disk, queue::QueueSettings::load(values));
    let settings = queue::showq::ShowqSettings::load(values);
    let mut printer = listing::Printer::new(style);
    let mut warn = |text: &str| diagnostics.warning(text);
    let mut trouble = None;
    let listed = queue::showq::list(
        &queue,
        &settings,
        &mut |bytes| {
            printer.take(bytes, out).map_err(|what| {
                trouble = Some(what);
                io::Error::other("listing")
            })
        },
        &mut warn,
    );
    match (trouble, listed) {
        (Some(what), _) => Err(what),
        (None, Err(error)) => Err(error.into()),
        (None, Ok(())) => printer.finish(out),
    }
}

fn flush_queue(values: &Values, diagnostics: &Diagnostics) -> Result<(), Fatal> {
    let limit = values.time(p::trigger_timeout);
    // D: deferred, I: incoming, F: forget dead destinations, A: whatever their times.
    let triggers: [(&str, &[u8]); 2] =
        [(values.text(p::queue_service_name), b"FADI"), (values.text(p::pickup_service_name), b"W")];
    for (service, request) in triggers {
        if let Err(error) = client::trigger(service, request, limit) {
            // A socket on which nobody listens says enough by itself.
            if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) {
                let reason = config_files::reason(&error);
                diagnostics.warning(&format!("unable to look up public/{service}: {reason}"));
            }
            let text = "Cannot flush mail queue - mail system is down".to_owned();
            return Err(Fatal(text));
        }
    }
    Ok(())
}

fn flush(
    values: &Values,
    (request, name, what): (&str, &str, &OsStr),
    diagnostics: &Diagnostics,
) -> Result<(), Fatal> {
    if request == "send_site" && !is_flush_domain(values, &what.to_string_lossy()) {
        let text = format!("Flush service is not configured for destination \"{}\"", what.display());
        return Err(Fatal(text));
    }
    let service = values.text(p::flush_service_name);
    let status = client::ask_flush(service, (request, name, what.as_bytes()), diagnostics);
    let status = status.unwrap_or(FLUSH_FAIL);
    let shown = what.display();
    match status {
        FLUSH_OK => Ok(()),
        FLUSH_BAD => Err(Fatal(format!("Invalid request: \"{shown}\""))),
        FLUSH_FAIL => Err(Fatal("Cannot flush mail queue - mail system is down".to_owned())),
        FLUSH_DENY => {
            let text = format!("Flush service is not configured for destination \"{shown}\"");
            Err(Fatal(text))
        }
        status => Err(Fatal(format!("Unknown flush server reply status {status}"))),
    }
}

/// Names and parent domains in `fast_flush_domains`; what needs a table is left to the flush service.
fn is_flush_domain(values: &Values, site: &str) -> bool {
    let with_subdomains = values.list(p::parent_domain_matches_subdomains).contains(&"fast_flush_domains");
    for pattern in values.list(p::fast_flush_domains) {
        let bare = pattern.trim_start_matches('!');
        let is_negated = (pattern.len() - bare.len()) % 2 == 1;
        let suffix = bare.strip_prefix('.').or_else(|| with_subdomains.then_some(bare));
        let is_below = suffix.is_some_and(|parent| {
            let site = site.to_ascii_lowercase();
            site.strip_suffix(&parent.to_ascii_lowercase()).is_some_and(|rest| rest.ends_with('.'))
        });
        if bare.contains([':', '/']) || bare.eq_ignore_ascii_case(site) || is_below {
            return !is_negated;
        }
    }
    false
}
