//! `postscreen_reject_footer` and `postscreen_reject_footer_maps`: what is said behind a refusal.

use crate::Moment;
use config::{
    Values,
    expand::{Mode, Names},
    params as p,
    reject_footer::{unescaped, with_footer},
};
use maillog::Logger;
use maps::Maps;
use std::{borrow::Cow, net::SocketAddr};
use types::{Lookup, Reply, WallTime};
use world::Tables;

/// A point in time as `$localtime` shows it: `Nov 21 20:15:00`.
pub(crate) type LocalTime = Box<dyn Fn(WallTime) -> String>;

pub(crate) struct Footer {
    text: String,
    maps: Maps,
    /// postconf(5) `postscreen_expansion_filter`
    allowed: String,
    myhostname: String,
    local_time: LocalTime,
}

/// A value of its own, or the text of another parameter when it is nothing but that one's name: texts with `$` are
/// not expanded when the configuration is read.
fn raw(values: &Values, id: p::Id) -> String {
    let text = values.text(id);
    let name = text
        .strip_prefix('$')
        .map(|name| name.strip_prefix('{').and_then(|name| name.strip_suffix('}')).unwrap_or(name));
    name.and_then(|name| values.named(name)).unwrap_or(text).to_owned()
}

impl Footer {
    pub(crate) fn open(values: &Values, tables: &dyn Tables, local_time: LocalTime) -> Self {
        Self {
            text: raw(values, p::postscreen_reject_footer),
            maps: Maps::open(
                "postscreen_reject_footer_maps",
                values.text(p::postscreen_reject_footer_maps),
                tables,
            ),
            allowed: unescaped(&raw(values, p::postscreen_expansion_filter)),
            myhostname: values.text(p::myhostname).to_owned(),
            local_time,
        }
    }

    /// Adds the footer to a refusal.
    pub(crate) async fn add(&self, at: Moment, client: SocketAddr, reply: Reply, log: &Logger) -> Reply {
        if reply.code < 400 || (self.text.is_empty() && self.maps.is_empty()) {
            return reply;
        }
        let found = match self.maps.is_empty() {
            true => None,
            false => self.of_table(&reply, log).await,
        };
        let template = found.as_deref().unwrap_or(&self.text);
        match template {
            "" => reply,
            template => {
                let session = Session { footer: self, at, client, log };
                match with_footer(&reply.text, template, &self.allowed, &session, |warning| {
                    log.warning(warning);
                }) {
                    Some(text) => Reply { text, ..reply },
                    None => reply,
                }
            }
        }
    }

    async fn of_table(&self, reply: &Reply, log: &Logger) -> Option<String> {
        let mut text = Vec::new();
        reply.encode(&mut text);
        match self.maps.find(text.strip_suffix(b"\r\n").unwrap_or(&text)).await {
            Lookup::Found(footer) => Some(String::from_utf8_lossy(&footer).into_owned()),
            Lookup::Absent => None,
            Lookup::TryAgain(trouble) => {
                log.warning(&format!("{trouble}; the reply goes without a footer of that table"));
                None
            }
        }
    }
}

/// What a footer may name; nothing of the configuration.
struct Session<'a> {
    footer: &'a Footer,
    at: Moment,
    client: SocketAddr,
    log: &'a Logger,
}

impl Names for Session<'_> {
    fn value(&self, name: &str, _mode: Mode) -> Option<Cow<'_, str>> {
        Some(match name {
            "server_name" => self.footer.myhostname.as_str().into(),
            "client_address" => self.client.ip().to_string().into(),
            "client_port" => self.client.port().to_string().into(),
            "localtime" => (self.footer.local_time)(self.at.wall).into(),
            _ => {
                self.log.warning(&format!("unknown macro name \"{name}\" in expansion request"));
                return None;
            }
        })
    }
}
