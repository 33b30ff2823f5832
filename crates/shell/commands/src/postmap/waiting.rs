//! Tables that mail processes open through their registry, asked one key at a time.

use super::{
    Fatal, Run,
    proxy::{Proxied, ProxyOpener, Service},
};
use dns::{HostNames, HostsFirst, ResolvConf, Resolver};
use net::{Builder, Executor};
use queue::RealDisk;
use std::{io, path::Path, rc::Rc};
use tables::{Openers, Registry, Settings, Source};
use types::{Lookup, Trouble};
use world::{Dns, Table};

/// A table of the registry whose answers are waited for.
struct Waiting {
    table: Rc<dyn Table>,
    executor: Executor<RealDisk>,
}

impl Source for Waiting {
    fn find(&self, key: &[u8], value: &mut Vec<u8>) -> Result<bool, Trouble> {
        let answer = self.executor.block_on(async { self.table.lookup(key).await });
        match answer.map_err(|error| Trouble::new(error.to_string()))? {
            Lookup::Found(found) => {
                *value = found;
                Ok(true)
            }
            Lookup::Absent => Ok(false),
            Lookup::TryAgain(trouble) => Err(trouble),
        }
    }

    fn is_pattern(&self) -> bool {
        self.table.is_pattern()
    }
}

/// Opens `map_type:name` for queries.
pub(super) fn open(run: &Run, map_type: &str, name: &str) -> Result<Box<dyn Source>, Fatal> {
    let spec = format!("{map_type}:{name}");
    if tables::is_at_hand(&spec) {
        return Ok(tables::open(map_type, name, &run.options)?);
    }
    if map_type == "proxy" {
        return Ok(Box::new(Proxied::open(&Service::for_reading(run), name)?));
    }
    let failed = |error: io::Error| Fatal(format!("{spec}: {}", config_files::reason(&error)));
    // Tables never touch the disk of their world.
    let executor =
        Executor::new(Builder::new(RealDisk::open(Path::new("/")).map_err(failed)?)).map_err(failed)?;
    let settings = Settings { redirect: run.redirect.clone(), ..Settings::for_tool(run.options.utf8) };
    let registry = Registry::with_settings(settings, run.console.logger())
        .with_options(run.options.clone())
        .with_openers(&openers(run, &executor).with(Rc::new(ProxyOpener(Service::for_reading(run)))));
    Ok(Box::new(Waiting { table: registry.try_open(&spec)?, executor }))
}

fn openers(run: &Run, executor: &Executor<RealDisk>) -> Openers {
    let text = |path| std::fs::read(path).map(|text| String::from_utf8_lossy(&text).into_owned());
    let conf = ResolvConf::parse(&text("/etc/resolv.conf").unwrap_or_default());
    let dns: Rc<dyn Dns> = Rc::new(Resolver::new(executor.world().clone(), conf, 0));
    let names = HostNames::parse(&text("/etc/hosts").unwrap_or_default());
    let hosts: Rc<dyn Dns> = Rc::new(HostsFirst::new(names, dns));
    let slow = Rc::new(tables::Direct::default());
    tables_net::openers(executor.world(), &run.values, run.console.logger(), hosts, slow)
}
