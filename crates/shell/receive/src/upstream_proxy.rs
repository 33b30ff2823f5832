//! A proxy before the SMTP server or postscreen that says whose connection it passes on (postconf(5)
//! `smtpd_upstream_proxy_protocol`, `postscreen_upstream_proxy_protocol`).
//!
//! Without such words nothing is known of the client, so it gets no service. A header that comes in pieces is waited for, as
//! long as the time limit allows.

use crate::accepting::Ends;
use config::{Invalid, Values, params as p};
use maillog::{Logger, escaped};
use std::{io, time::Duration};
use wire::proxy::{self, Families, HEADER_SIZE_MAX, Header, Progress};
use world::{Stream, World};

/// What is expected before a session.
pub(crate) struct UpstreamProxy {
    families: Families,
    /// postconf(5) `smtpd_upstream_proxy_timeout`, `postscreen_upstream_proxy_timeout`
    time_limit: Duration,
    /// What is logged when it is over.
    time_is_up: &'static str,
}

impl UpstreamProxy {
    /// `None` where there is no proxy.
    pub(crate) fn load(values: &Values) -> Result<Option<Self>, Invalid> {
        let limit = (values.time(p::smtpd_upstream_proxy_timeout), "timeout error");
        Self::of(values, p::smtpd_upstream_proxy_protocol, limit)
    }

    /// The same for postscreen.
    pub(crate) fn of_postscreen(values: &Values) -> Result<Option<Self>, Invalid> {
        let limit = (values.time(p::postscreen_upstream_proxy_timeout), "time limit exceeded");
        Self::of(values, p::postscreen_upstream_proxy_protocol, limit)
    }

    fn of(
        values: &Values,
        protocol: p::Id,
        (time_limit, time_is_up): (Duration, &'static str),
    ) -> Result<Option<Self>, Invalid> {
        match values.text(protocol) {
            "" => Ok(None),
            "haproxy" => {
                let protocols = values.inet_protocols();
                Ok(Some(Self {
                    families: Families { ipv4: protocols.ipv4, ipv6: protocols.ipv6 },
                    time_limit,
                    time_is_up,
                }))
            }
            other => Err(Invalid::value(protocol.name(), other, "want haproxy or nothing, not")),
        }
    }

    /// The two ends that the proxy names, or, when it speaks for itself, those of the connection.
    pub(crate) async fn ends<W: World>(
        &self,
        world: &W,
        stream: &mut W::Stream,
        (own, log): (Ends, &Logger),
    ) -> Option<Ends> {
        Some(match self.header(world, stream, log).await? {
            Header::Proxied { client, server } => (client, server),
            Header::Local => own,
        })
    }

    /// Reads the header, to its exact end. What is wrong with it is logged.
    async fn header<W: World>(&self, world: &W, stream: &mut W::Stream, log: &Logger) -> Option<Header> {
        let mut seen = Vec::new();
        let read = read(stream, &mut seen, self.families);
        let why = match world.timeout(self.time_limit, read).await {
            Some(Ok(header)) => return Some(header),
            Some(Err(why)) => why,
            None => match proxy::parse(&seen, self.families) {
                Progress::Incomplete(why) if !seen.is_empty() => why.to_owned(),
                _ => self.time_is_up.to_owned(),
            },
        };
        let sample = match seen.is_empty() {
            true => String::new(),
            false => format!(": {}", escaped(&seen)),
        };
        log.warning(&format!("haproxy read: {why}{sample}"));
        None
    }
}

async fn read(stream: &mut impl Stream, seen: &mut Vec<u8>, families: Families) -> Result<Header, String> {
    loop {
        match proxy::parse(seen, families) {
            Progress::Done(header, _) => return Ok(header),
            Progress::Bad(why) => {
                // The log shows more of what it was.
                let _ = take(stream, seen, HEADER_SIZE_MAX.saturating_sub(seen.len()));
                return Err(why.to_owned());
            }
            Progress::Incomplete(why) => match take(stream, seen, proxy::wanted(seen)) {
                Ok(0) if seen.is_empty() => return Err("EOF".to_owned()),
                Ok(0) => return Err(why.to_owned()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    stream.readable().await.map_err(|error| error.to_string())?;
                }
                Err(error) => return Err(error.to_string()),
            },
        }
    }
}

/// Reads what is there, at most `count` bytes.
fn take(stream: &mut impl Stream, seen: &mut Vec<u8>, count: usize) -> io::Result<usize> {
    let before = seen.len();
    seen.resize(before + count, 0);
    let taken = stream.try_read(&mut seen[before..]);
    seen.truncate(before + taken.as_ref().map_or(0, |taken| *taken));
    taken
}
