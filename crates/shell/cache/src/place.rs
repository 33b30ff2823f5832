//! Where a cache is, by its name in main.cf.

use crate::table_file::TableFile;
use config::{Values, params as p};
use maillog::Logger;
use std::{os::unix::fs::MetadataExt, path::Path, rc::Rc};
use tables::{Approved, Options, Redirect, Warn, without_proxy};

/// Where a cache is.
#[derive(Debug)]
pub(crate) enum Place {
    Memory,
    /// A file of this type and name.
    File(TableFile),
    /// Behind a connection.
    Elsewhere,
}

impl Place {
    /// Reads `type:name`. The error says what to do.
    pub(crate) fn of(map: &str, values: &Values, log: &Logger) -> Result<Self, String> {
        if map.is_empty() {
            return Ok(Self::Memory);
        }
        let sink = log.clone();
        let warn: Warn = Rc::new(move |text| sink.warning(text));
        let spec = without_proxy(map);
        let is_proxied = spec.len() < map.len();
        if is_proxied && !Approved::to_write(values, &warn).has(spec) {
            Approved::refuse(spec, "proxy_write_maps", &warn);
            return Err(format!("proxywrite service is not configured for table \"{spec}\""));
        }
        let (map_type, name) = spec.split_once(':').unwrap_or((values.text(p::default_database_type), spec));
        let redirect = Redirect::load(values).filter(|_| Redirect::is_legacy(map_type));
        let target = match redirect {
            Some(redirect) => {
                let target = redirect.target(map_type, name, &Options::new(Rc::clone(&warn)));
                let target = target.map_err(|error| error.to_string())?;
                if redirect.is_logged {
                    let text = format!("redirecting {map_type}:{name} to {target}:{name}");
                    log.write(maillog::Severity::Info, &text);
                }
                target
            }
            None => map_type.to_owned(),
        };
        match target.as_str() {
            "internal" => Ok(Self::Memory),
            "memcache" if is_proxied => Err(format!("{map}: memcache is a cache without proxy: before it")),
            "memcache" => Ok(Self::Elsewhere),
            "btree" | "hash" | "lmdb" if is_proxied => {
                Ok(Self::File(TableFile { map_type: target, path: name.to_owned() }))
            }
            "btree" | "hash" | "lmdb" => {
                Ok(Self::File(TableFile { map_type: target, path: own_path(spec, name, values, &warn) }))
            }
            _ => Err(format!(
                "{map}: a cache needs a table that can be changed: btree, hash, lmdb, memcache, or none"
            )),
        }
    }
}

/// Mail's own data stand in mail's own directories, and in others nothing of ours (postconf(5), `data_directory`).
fn own_path(spec: &str, path: &str, values: &Values, warn: &Warn) -> String {
    let directory = Path::new(path).parent().filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.unwrap_or(Path::new("."));
    let own = rustix::process::geteuid().as_raw();
    if std::fs::metadata(directory).is_ok_and(|data| data.uid() != own) {
        let (owner, data) = (values.text(p::mail_owner), values.text(p::data_directory));
        warn(&format!("request to update table {spec} in non-{owner} directory {}", directory.display()));
        warn(&format!("redirecting the request to {owner}-owned data_directory {data}"));
        let file = Path::new(path).file_name().unwrap_or_default();
        return Path::new(data).join(file).to_string_lossy().into_owned();
    }
    path.to_owned()
}
