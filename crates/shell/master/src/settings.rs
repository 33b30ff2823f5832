//! What master takes from the configuration.

use config::{Configuration, Interface, TcpPorts, Values, own, params as p};
use logsink::LogSettings;
use std::{
    net::{IpAddr, SocketAddr, SocketAddrV6},
    path::{Path, PathBuf},
    time::Duration,
};
use sys::{
    accounts,
    credentials::{self, Identity},
};

/// An immutable view; a reload makes a new one.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) config_directory: PathBuf,
    pub(crate) configuration: Configuration,
    pub(crate) queue_directory: PathBuf,
    pub(crate) data_directory: PathBuf,
    pub(crate) process_id_directory: String,
    /// mail_owner, when we are root; otherwise everything runs as we do.
    pub(crate) owner: Option<Identity>,
    pub(crate) service_throttle_time: Duration,
    /// `service_failure_limit`: how often a process that was ready may end by itself within
    /// service_throttle_time before it has to wait as long.
    pub(crate) service_failure_limit: usize,
    pub(crate) default_process_limit: u32,
    pub(crate) max_use: u32,
    pub(crate) virtual_minimum_uid: u32,
    pub(crate) tcp_ports: TcpPorts,
    /// `lookup_time_limit`: how long the user database may take to say who a user is.
    pub(crate) lookup_time_limit: Duration,
    /// `reload_drain_time_limit`: how long an old generation may finish its sessions.
    pub(crate) reload_drain_time_limit: Duration,
    pub(crate) mail_version: String,
    pub(crate) log: LogSettings,
    /// The environment of the processes.
    pub(crate) import_environment: Vec<(String, String)>,
}

impl Settings {
    pub(crate) fn load(directory: &Path) -> Result<Self, String> {
        let configuration = config_files::load(directory).map_err(|trouble| trouble.to_string())?;
        if let Some(report) = configuration.fatal() {
            return Err(report.place_and_text());
        }
        let values = configuration.values();
        let lookup_time_limit = values.own_time(&own::LOOKUP_TIME_LIMIT);
        let path = |id| PathBuf::from(values.text(id));
        let number = |id| u32::try_from(values.int(id)).unwrap_or(0);
        Ok(Self {
            config_directory: directory.to_owned(),
            queue_directory: path(p::queue_directory),
            data_directory: path(p::data_directory),
            process_id_directory: values.text(p::process_id_directory).to_owned(),
            owner: owner(values.text(p::mail_owner), lookup_time_limit)?,
            service_throttle_time: values.time(p::service_throttle_time),
            service_failure_limit: usize::try_from(values.own_number(&own::SERVICE_FAILURE_LIMIT))
                .unwrap_or(5),
            default_process_limit: number(p::default_process_limit),
            max_use: number(p::max_use).max(1),
            virtual_minimum_uid: number(p::virtual_minimum_uid),
            tcp_ports: values.tcp_ports(),
            lookup_time_limit,
            reload_drain_time_limit: values.own_time(&own::RELOAD_DRAIN_TIME_LIMIT),
            mail_version: values.text(p::mail_version).to_owned(),
            log: LogSettings::load(values).map_err(|invalid| invalid.to_string())?,
            import_environment: environment(values, directory),
            configuration,
        })
    }

    pub(crate) fn pid_file(&self) -> PathBuf {
        self.queue_directory.join(self.pid_file_below_queue())
    }

    pub(crate) fn pid_file_below_queue(&self) -> PathBuf {
        Path::new(&self.process_id_directory).join("master.pid")
    }

    pub(crate) fn data_lock(&self) -> PathBuf {
        self.data_directory.join("master.lock")
    }

    /// Where rows without a host listen.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        let values = self.configuration.values();
        if values.text(p::inet_interfaces) == "all" {
            let wild_cards = [SocketAddr::from(([0; 4], 0)), SocketAddr::from(([0_u16; 8], 0))];
            let protocols = values.inet_protocols();
            return wild_cards.into_iter().filter(|wild_card| protocols.have(wild_card.ip())).collect();
        }
        values.own_interfaces().iter().map(listening_address).collect()
    }
}

/// The address of an interface; one on the link only needs the link's number.
fn listening_address(own: &Interface) -> SocketAddr {
    match own.address {
        IpAddr::V6(address) if address.is_unicast_link_local() => {
            SocketAddrV6::new(address, 0, 0, own.number).into()
        }
        address => SocketAddr::new(address, 0),
    }
}

/// Who the processes are. An ordinary user's mail system runs as that user.
fn owner(mail_owner: &str, limit: Duration) -> Result<Option<Identity>, String> {
    if credentials::effective_uid() != 0 {
        return Ok(None);
    }
    let found = accounts::look_up_within(&[mail_owner.to_owned()], limit);
    let found = found.map_err(|why| format!("mail_owner: {why}"))?;
    let account = found.into_iter().next().flatten().ok_or_else(|| {
        format!("file main.cf: parameter mail_owner: unknown user name value: {mail_owner}")
    })?;
    if account.uid == 0 {
        return Err(format!("file main.cf: parameter mail_owner: user {mail_owner} has privileged user ID"));
    }
    Ok(Some(Identity { uid: account.uid, gid: account.gid }))
}

/// import_environment (postconf(5)): names to take over, and `name=value` to set.
fn environment(values: &Values, directory: &Path) -> Vec<(String, String)> {
    let mut environment = vec![("MAIL_CONFIG".to_owned(), directory.to_string_lossy().into_owned())];
    for word in values.list(p::import_environment) {
        let word = word.strip_prefix('{').and_then(|word| word.strip_suffix('}')).unwrap_or(word).trim();
        let pair = match word.split_once('=') {
            Some((name, value)) => Some((name.trim().to_owned(), value.trim().to_owned())),
            None => std::env::var(word).ok().map(|value| (word.to_owned(), value)),
        };
        environment.extend(pair.filter(|(name, _)| name != "MAIL_CONFIG"));
    }
    environment
}
