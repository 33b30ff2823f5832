//! `check_policy_service`: where a policy server is and how it is asked (SMTPD_POLICY_README).

use config::{TcpPorts, Values, params as p, split_list, split_name_value, time_in_seconds};
use std::{path::PathBuf, time::Duration};

/// Where a policy server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyEndpoint {
    /// `inet:host:port`
    Inet {
        /// A name, or an address without brackets.
        host: String,
        /// TCP port.
        port: u16,
    },
    /// `unix:pathname`, relative to `queue_directory`
    Unix(PathBuf),
}

/// One policy service, with the settings of main.cf or its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyService {
    /// As the restriction names it: the table of log lines.
    pub name: String,
    /// What follows the endpoint's type, as warnings name it: `127.0.0.1:9998`, `private/policy`.
    pub server: String,
    /// Where it is.
    pub endpoint: PolicyEndpoint,
    /// postconf(5) `smtpd_policy_service_timeout`
    pub timeout: Duration,
    /// postconf(5) `smtpd_policy_service_max_idle`
    pub max_idle: Duration,
    /// postconf(5) `smtpd_policy_service_max_ttl`
    pub max_ttl: Duration,
    /// postconf(5) `smtpd_policy_service_request_limit`; 0 is no limit
    pub request_limit: u32,
    /// postconf(5) `smtpd_policy_service_retry_delay`
    pub retry_delay: Duration,
    /// postconf(5) `smtpd_policy_service_try_limit`
    pub try_limit: u32,
    /// postconf(5) `smtpd_policy_service_default_action`
    pub default_action: String,
    /// postconf(5) `smtpd_policy_service_policy_context`
    pub policy_context: String,
}

impl PolicyService {
    /// Parses what follows `check_policy_service`: an endpoint, or `{ endpoint, name=value, { name = value } }`.
    ///
    /// # Errors
    /// What Postfix calls fatal, in its words.
    pub(crate) fn parse(name: &str, values: &Values) -> Result<Self, String> {
        let (server, settings) = if name.starts_with('{') {
            let inner = without_braces(name).map_err(|why| format!("policy service syntax error: {why}"))?;
            let mut words = split_list(inner).into_iter();
            (words.next().ok_or_else(|| format!("empty policy service: \"{name}\""))?, words.collect())
        } else {
            (name, Vec::new())
        };
        let (server, endpoint) = endpoint(server, &values.tcp_ports())?;
        let count = |id| u32::try_from(values.int(id).max(0)).unwrap_or(u32::MAX);
        let mut service = Self {
            name: name.to_owned(),
            server: server.to_owned(),
            endpoint,
            timeout: values.time(p::smtpd_policy_service_timeout),
            max_idle: values.time(p::smtpd_policy_service_max_idle),
            max_ttl: values.time(p::smtpd_policy_service_max_ttl),
            request_limit: count(p::smtpd_policy_service_request_limit),
            retry_delay: values.time(p::smtpd_policy_service_retry_delay),
            try_limit: count(p::smtpd_policy_service_try_limit),
            default_action: values.text(p::smtpd_policy_service_default_action).to_owned(),
            policy_context: values.text(p::smtpd_policy_service_policy_context).to_owned(),
        };
        settings.into_iter().try_for_each(|setting| service.set(setting))?;
        Ok(service)
    }

    fn set(&mut self, setting: &str) -> Result<(), String> {
        let setting = match setting.starts_with('{') {
            true => without_braces(setting).map_err(|why| format!("{why} in \"{setting}\""))?,
            false => setting,
        };
        let malformed = |why| format!("malformed option: {why}: \"...{setting}...\"");
        let (name, value) = split_name_value(setting).map_err(malformed)?;
        match name {
            "timeout" => self.timeout = time(name, value)?,
            "max_idle" => self.max_idle = time(name, value)?,
            "max_ttl" => self.max_ttl = time(name, value)?,
            "retry_delay" => self.retry_delay = time(name, value)?,
            "request_limit" => self.request_limit = number(name, value, 0)?,
            "try_limit" => self.try_limit = number(name, value, 1)?,
            "default_action" => self.default_action = text(name, value)?,
            "policy_context" => self.policy_context = text(name, value)?,
            _ => return Err(format!("unknown option: \"{name} = {value}\"")),
        }
        Ok(())
    }
}

fn endpoint<'s>(service: &'s str, ports: &TcpPorts) -> Result<(&'s str, PolicyEndpoint), String> {
    let (transport, server) = service
        .split_once(':')
        .filter(|(transport, server)| !transport.is_empty() && !server.is_empty())
        .ok_or_else(|| format!("need service transport:endpoint instead of \"{service}\""))?;
    let endpoint = match transport {
        "unix" | "local" => PolicyEndpoint::Unix(server.into()),
        "inet" => inet(server, ports).ok_or_else(|| {
            format!("bad service \"{service}\"; need inet:host:port with a number, or a name in known_tcp_ports or /etc/services")
        })?,
        _ => return Err(format!("invalid transport name: {transport} in service: {service}")),
    };
    Ok((server, endpoint))
}

/// `host:port`; without a host, this one.
fn inet(server: &str, ports: &TcpPorts) -> Option<PolicyEndpoint> {
    let (host, port) = server.rsplit_once(':').unwrap_or(("", server));
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let host = if host.is_empty() { "localhost" } else { host };
    let port = ports.number(port)?;
    Some(PolicyEndpoint::Inet { host: host.to_owned(), port })
}

fn without_braces(text: &str) -> Result<&str, &'static str> {
    let inner = text.strip_prefix('{').ok_or("missing '{'")?;
    let inner = inner.strip_suffix('}').ok_or("missing '}'")?;
    Ok(inner.trim())
}

fn time(name: &str, value: &str) -> Result<Duration, String> {
    let seconds =
        time_in_seconds(value, 's').ok_or_else(|| format!("{name}: bad time value or unit: {value}"))?;
    let seconds = u64::try_from(seconds).ok().filter(|seconds| *seconds >= 1);
    let seconds = seconds.ok_or_else(|| format!("invalid {name}: {value} (min 1)"))?;
    Ok(Duration::from_secs(seconds))
}

fn number(name: &str, value: &str, min: u32) -> Result<u32, String> {
    let bad = || format!("bad numerical configuration: {name} = {value}");
    let number: i32 = value.parse().map_err(|_| bad())?;
    let number = u32::try_from(number).ok().filter(|number| *number >= min);
    number.ok_or_else(|| format!("invalid {name} parameter value {value} < {min}"))
}

fn text(name: &str, value: &str) -> Result<String, String> {
    match value.is_empty() {
        true => Err(format!("bad string length 0 < 1: {name} =")),
        false => Ok(value.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<PolicyService, String> {
        PolicyService::parse(text, &Values::for_tests(&[("smtpd_policy_service_timeout", "7s")]))
    }

    #[test]
    fn a_service_has_the_settings_of_main_cf_or_its_own() {
        let plain = parse("unix:private/policy").unwrap();
        assert_eq!(plain.endpoint, PolicyEndpoint::Unix("private/policy".into()));
        assert_eq!((plain.server.as_str(), plain.try_limit), ("private/policy", 2));
        assert_eq!(
            (plain.timeout.as_secs(), plain.max_idle.as_secs(), plain.max_ttl.as_secs()),
            (7, 300, 1000)
        );
        let named = PolicyEndpoint::Inet { host: "h".into(), port: 25 };
        assert_eq!(parse("inet:h:smtp").unwrap().endpoint, named);
        assert_eq!(plain.default_action, "451 4.3.5 Server configuration problem");
        let text = "{ inet:[::1]:9998, timeout=10, max_idle=1m max_ttl = 3, { default_action = 451 4.3.5 See, x } ,\
                    request_limit=1 try_limit=3 retry_delay=5s policy_context=submission}";
        assert!(parse(text).is_err(), "blanks around = need braces");
        let own = parse(&text.replace("max_ttl = 3", "{max_ttl = 3}")).unwrap();
        assert_eq!(own.endpoint, PolicyEndpoint::Inet { host: "::1".into(), port: 9998 });
        assert_eq!((own.timeout.as_secs(), own.max_idle.as_secs(), own.max_ttl.as_secs()), (10, 60, 3));
        assert_eq!((own.request_limit, own.try_limit, own.retry_delay.as_secs()), (1, 3, 5));
        assert_eq!(
            (own.default_action.as_str(), own.policy_context.as_str()),
            ("451 4.3.5 See, x", "submission")
        );
    }

    #[test]
    fn what_postfix_does_not_start_with_is_an_error() {
        let check = |text: &str, part: &str| {
            let error = parse(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        };
        check("{ unix:a", "missing '}'");
        check("{ }", "empty policy service");
        check("{ unix:a, speed=1 }", "unknown option: \"speed = 1\"");
        check("{ unix:a, timeout }", "missing '=' after attribute name");
        check("{ unix:a, timeout=5x }", "timeout: bad time value or unit: 5x");
        check("{ unix:a, timeout=0 }", "min 1");
        check("{ unix:a, try_limit=0 }", "invalid try_limit");
        check("{ unix:a, try_limit=x }", "bad numerical configuration: try_limit = x");
        check("{ unix:a, policy_context= }", "bad string length");
        check("udp:a:1", "invalid transport name: udp");
        check("unix:", "need service transport:endpoint");
        check("inet:host:0", "need inet:host:port");
        check("inet:host:policyd", "need inet:host:port");
    }
}
