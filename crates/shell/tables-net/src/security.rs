//! TLS to the servers of tables: what the settings ask for, and a connection that has it.

#[cfg(any(feature = "ldap", feature = "mysql"))]
use crate::source_file::SourceFile;
use maillog::Logger;
use std::{
    cell::RefCell,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    rc::Rc,
};
use tls::{
    Anchors, CipherList, ClientSettings, Failed, Handshake, Identity, Rustls, TlsEngine, TlsStream, Versions,
    names, x509::Facts,
};
use types::WallTime;
use world::Stream;

/// What a server must prove before anything is sent to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Demand {
    /// Nothing: whoever it is, others cannot read along.
    Encryption,
    /// That an authority which is trusted vouches for it.
    Trust,
    /// That, and that it is who was asked for.
    Name,
}

/// A file that a setting names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) path: PathBuf,
    /// How messages begin: the file with the setting, its line, the setting.
    pub(crate) place: String,
}

#[cfg(any(feature = "ldap", feature = "mysql"))]
impl Named {
    /// What a setting names; `None` where it is not set, or empty.
    pub(crate) fn of(source: &SourceFile, setting: &str) -> Option<Self> {
        let path = source.get(setting).filter(|path| !path.is_empty())?;
        Some(Self { path: path.into(), place: source.place(setting) })
    }
}

/// What the settings ask for.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) demand: Demand,
    /// Authorities; where neither is named, those that the system trusts.
    pub(crate) ca_file: Option<Named>,
    pub(crate) ca_directory: Option<Named>,
    /// Who the client is; without a key, that is in the same file.
    pub(crate) certificate: Option<Named>,
    pub(crate) key: Option<Named>,
    pub(crate) versions: Versions,
    pub(crate) ciphers: Option<CipherList>,
    /// Whether the server is told which name it is asked under.
    pub(crate) sends_name: bool,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            demand: Demand::Encryption,
            ca_file: None,
            ca_directory: None,
            certificate: None,
            key: None,
            versions: Versions::default(),
            ciphers: None,
            sends_name: true,
        }
    }
}

/// What tells one state of a file from another; `None` where there is none.
type Stamp = Option<(u64, u64, i64, i64)>;

/// The client's side of TLS for one table, with what its files hold.
pub(crate) struct Security {
    wanted: Wanted,
    logger: Logger,
    state: RefCell<State>,
}

struct State {
    client: <Rustls as TlsEngine>::Client,
    anchors: Rc<Anchors>,
    stamps: Vec<Stamp>,
}

impl Security {
    /// Reads the files. The error begins with the place of the setting at fault, where it is one's.
    pub(crate) fn new(wanted: Wanted, logger: &Logger) -> Result<Self, String> {
        let state = RefCell::new(State::read(&wanted)?);
        Ok(Self { wanted, logger: logger.clone(), state })
    }

    /// Shakes hands with the server `host`, and ends the connection unless it proves what it must.
    pub(crate) async fn secure<S: Stream>(
        &self,
        stream: S,
        host: &str,
        now: WallTime,
    ) -> Result<(TlsStream<S>, Handshake), String> {
        self.renew();
        let (client, anchors) = {
            let state = self.state.borrow();
            (state.client.clone(), Rc::clone(&state.anchors))
        };
        let sent = if self.wanted.sends_name { host } else { "" };
        let connected = Rustls.connect(&client, stream, sent).await;
        let (stream, handshake) = connected.map_err(|failed| match failed {
            Failed::Lost(error) if error.raw_os_error().is_some() => tables::errno_text(&error),
            other => other.to_string(),
        })?;
        if self.wanted.demand >= Demand::Trust {
            let judged = anchors.judge(&handshake.chain, now);
            judged.map_err(|why| format!("certificate verify failed: {why}"))?;
        }
        if self.wanted.demand >= Demand::Name {
            let leaf = handshake.chain.first().and_then(|leaf| Facts::read(&leaf.der));
            if !leaf.is_some_and(|leaf| names::matches(&leaf, host)) {
                return Err(format!("server certificate does not match host name \"{host}\""));
            }
        }
        Ok((stream, handshake))
    }

    /// Reads the files again if they were changed: certificates are renewed while mail is handled. What was read before
    /// is used on as long as the new files do not go together.
    fn renew(&self) {
        let stamps = stamps(&self.wanted);
        if stamps == self.state.borrow().stamps {
            return;
        }
        match State::read(&self.wanted) {
            Ok(state) => *self.state.borrow_mut() = state,
            Err(why) => {
                self.logger.warning(&format!("{why}; what was read before is used on"));
                self.state.borrow_mut().stamps = stamps;
            }
        }
    }
}

impl State {
    fn read(wanted: &Wanted) -> Result<Self, String> {
        // Before the files are read: a change in between is seen the next time.
        let stamps = stamps(wanted);
        let identity = identity(wanted)?;
        let mut anchors = Anchors::default();
        if let Some(file) = &wanted.ca_file {
            anchors.add_file(&file.path).map_err(|bad| said(&file.place, &bad))?;
        }
        if let Some(directory) = &wanted.ca_directory {
            anchors.add_directory(&directory.path).map_err(|bad| said(&directory.place, &bad))?;
        }
        let is_any = wanted.ca_file.is_some() || wanted.ca_directory.is_some();
        if !is_any && wanted.demand >= Demand::Trust {
            anchors.add_system().map_err(|bad| bad.to_string())?;
        }
        let settings =
            ClientSettings { versions: wanted.versions, ciphers: wanted.ciphers.clone(), identity };
        let client = Rustls.client(&settings)?;
        Ok(Self { client, anchors: Rc::new(anchors), stamps })
    }
}

fn identity(wanted: &Wanted) -> Result<Option<Rc<Identity>>, String> {
    let certificate = wanted.certificate.as_ref().or(wanted.key.as_ref());
    let Some(certificate) = certificate else { return Ok(None) };
    let key = wanted.key.as_ref().unwrap_or(certificate);
    let identity = Identity::read(&certificate.path, &key.path).map_err(|bad| {
        let place = if bad.path == certificate.path { &certificate.place } else { &key.place };
        said(place, &bad)
    });
    identity.map(|identity| Some(Rc::new(identity)))
}

/// The place names the file already.
fn said(place: &str, bad: &tls::BadFile) -> String {
    let file = bad.path.display().to_string();
    if place.ends_with(&file) { format!("{place}: {}", bad.why) } else { format!("{place}: {bad}") }
}

fn stamps(wanted: &Wanted) -> Vec<Stamp> {
    let files = [&wanted.ca_file, &wanted.ca_directory, &wanted.certificate, &wanted.key];
    files.into_iter().flatten().map(|named| stamp(&named.path)).collect()
}

fn stamp(path: &Path) -> Stamp {
    let facts = fs::metadata(path).ok()?;
    Some((facts.dev(), facts.ino(), facts.mtime(), facts.mtime_nsec()))
}
