//! What the host knows beside its configuration.

use dns::{HostNames, ResolvConf, Resolver};
use message::LocalZone;
use world::World;

/// Files of the system that the C library reads for every program, and its time zone.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// The text of `/etc/resolv.conf`; empty when it is not there, as for the C library.
    pub resolv_conf: String,
    /// The text of `/etc/hosts`; empty when it is not there.
    pub hosts: String,
    /// The time zone, where it is the same all year; else the system is asked.
    pub zone: Option<LocalZone>,
}

impl Host {
    /// Reads the files.
    #[must_use]
    pub fn read() -> Self {
        Self { resolv_conf: text("/etc/resolv.conf"), hosts: text("/etc/hosts"), zone: None }
    }

    /// The resolver that `resolv_conf` describes.
    #[must_use]
    pub fn resolver<W: World>(&self, world: &W) -> Resolver<W> {
        Resolver::new(world.clone(), ResolvConf::parse(&self.resolv_conf), Resolver::<W>::CACHE_ENTRIES)
    }

    /// The names and addresses of `hosts`.
    #[must_use]
    pub fn names(&self) -> HostNames {
        HostNames::parse(&self.hosts)
    }
}

fn text(path: &str) -> String {
    std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}
