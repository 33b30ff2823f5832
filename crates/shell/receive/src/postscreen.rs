//! postscreen(8): whoever connects is tested, and handed over to a `pass` service of smtpd by a function call.
//!
//! Diagnostics: a session that panics is logged and closed, and the others go on.

mod connection;
mod lists;
mod results;
mod unread;

use crate::{Shared, accepting::Ends, service::SmtpService, upstream_proxy::UpstreamProxy};
use config::{Values, params as p};
use lists::{Dnsblog, Lists};
use maillog::Severity;
use net::{Permit, Slots, contain};
use postscreen::Screening;
use process::Process;
pub(crate) use results::CachedResults;
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    net::SocketAddr,
    pin::pin,
    rc::Rc,
};
use tables::Registry;
use types::WallTime;
use world::{Accept, World};

/// The services that postscreen asks for by name: they are rows of master.cf, too.
#[derive(Default)]
pub(crate) struct Inside {
    /// smtpd's rows of type `pass`.
    passes: RefCell<HashMap<String, Rc<SmtpService>>>,
    /// dnsblog's rows.
    dnsblogs: RefCell<HashMap<String, Rc<Dnsblog>>>,
}

impl Inside {
    /// A row `smtpd pass`: connections are given to it.
    pub(crate) fn add_smtpd(&self, name: &str, service: Rc<SmtpService>) {
        self.passes.borrow_mut().insert(name.to_owned(), service);
    }

    /// A row of dnsblog.
    pub(crate) fn add_dnsblog(&self, name: &str, values: &Values) {
        self.dnsblogs.borrow_mut().insert(name.to_owned(), Rc::new(Dnsblog::load(values)));
    }
}

/// One row of master.cf.
struct Postscreen<W: World> {
    shared: Rc<Shared<W>>,
    screening: Rc<Screening>,
    lists: Lists<W>,
    results: CachedResults<W>,
    upstream_proxy: Option<UpstreamProxy>,
    inside: Rc<Inside>,
    /// Without a limit: the settings have limits of their own.
    sessions: Slots,
    /// Connections that have waited for smtpd so long that they do not count as doing so any more.
    late: Cell<usize>,
    /// `syslog_name/postscreen`
    tag: String,
}

/// Starts the service; its places are taken by the sessions that it tests. It takes the listeners unless there is an error.
pub(crate) fn start<W: World>(
    shared: &Rc<Shared<W>>,
    process: &Process,
    values: &Values,
    inside: &Rc<Inside>,
    listeners: &mut Vec<impl Accept<Stream = W::Stream>>,
) -> Result<(Slots, CachedResults<W>), String> {
    let tag = process::tag(values, "postscreen");
    let logger = shared.log.session(&tag);
    let registry = Rc::new(Registry::new(values, logger.clone()).with_openers(&shared.openers));
    let zone = Rc::clone(shared);
    let local_time = move |at: WallTime| message::log_time(at, &zone.zone.at(at));
    let screening =
        Screening::open(values, registry.as_ref(), local_time).map_err(|invalid| invalid.to_string())?;
    if let Some(asked) = asks_for_tls(values) {
        logger.warning(&format!("{asked}: TLS is not offered yet"));
    }
    let screening = Rc::new(screening);
    let dnsblog = values.text(p::dnsblog_service_name).to_owned();
    let lists = Lists::new(shared, process, Rc::clone(&screening), (Rc::clone(inside), dnsblog));
    let service = Rc::new(Postscreen {
        shared: Rc::clone(shared),
        upstream_proxy: UpstreamProxy::of_postscreen(values).map_err(|invalid| invalid.to_string())?,
        results: CachedResults::open(&shared.world, (values, &registry), &screening, &logger),
        lists,
        screening,
        inside: Rc::clone(inside),
        sessions: Slots::new(0),
        late: Cell::new(0),
        tag,
    });
    for listener in std::mem::take(listeners) {
        shared.world.spawn(Rc::clone(&service).accept(listener));
    }
    Ok((service.sessions.clone(), service.results.clone()))
}

/// What asks for transport security, which there is none of.
fn asks_for_tls(values: &Values) -> Option<String> {
    match values.text(p::postscreen_tls_security_level) {
        "" if values.bool(p::postscreen_enforce_tls) => Some("postscreen_enforce_tls = yes".to_owned()),
        "" if values.bool(p::postscreen_use_tls) => Some("postscreen_use_tls = yes".to_owned()),
        "" | "none" => None,
        level => Some(format!("postscreen_tls_security_level = {level}")),
    }
}

impl<W: World> Postscreen<W> {
    async fn accept(self: Rc<Self>, listener: impl Accept<Stream = W::Stream>) {
        let logger = self.shared.log.session(&self.tag);
        let serve = |stream: W::Stream, (client, server): Ends, permit: Permit| {
            let service = Rc::clone(&self);
            async move {
                service.contained(stream, (canonical(client), canonical(server))).await;
                drop(permit);
            }
        };
        self.shared.accept_clients(listener, (&self.sessions, &logger), serve).await;
    }

    async fn contained(self: Rc<Self>, stream: W::Stream, ends: Ends) {
        let logger = self.shared.log.session(&self.tag);
        let served = contain(pin!(self.serve_upstream(stream, ends, logger.clone()))).await;
        if let Err(why) = served {
            logger.write(Severity::Panic, &why);
        }
    }
}

/// An IPv4 client of an IPv6 socket is an IPv4 client.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}
