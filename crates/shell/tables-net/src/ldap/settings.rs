//! The settings of ldap_table(5).

use super::connection::Bind;
use crate::{
    Server,
    escapes::decode_text,
    security::{Demand, Named, Wanted},
    source_file::{MainSettings, SourceFile},
    template::{Template, Templates},
};
use config::TcpPorts;
use ldap3_proto::proto::{LdapBindCred, LdapDerefAliases, LdapSearchScope, SaslCredentials};
use std::time::Duration;
use tables::OpenError;
use tls::{CipherList, Versions};

const NAMES: &[&str] = &[
    "bind",
    "bind_dn",
    "bind_pw",
    "chase_referrals",
    "dereference",
    "domain",
    "expansion_limit",
    "leaf_result_attribute",
    "query_filter",
    "recursion_limit",
    "result_attribute",
    "result_filter",
    "result_format",
    "sasl_authz_id",
    "sasl_mechs",
    "sasl_minssf",
    "sasl_realm",
    "scope",
    "search_base",
    "server_host",
    "server_port",
    "size_limit",
    "special_result_attribute",
    "start_tls",
    "terminal_result_attribute",
    "timeout",
    "tls_ca_cert_dir",
    "tls_ca_cert_file",
    "tls_cert",
    "tls_cipher_suite",
    "tls_key",
    "tls_random_file",
    "tls_require_cert",
    "version",
];

/// A server of `server_host`.
pub(super) struct Place {
    /// As messages show it.
    pub(super) shown: String,
    pub(super) server: Server,
    /// The name that its certificate has to have.
    pub(super) host: String,
    /// `ldaps`: TLS begins with the connection.
    pub(super) is_tls: bool,
}

/// One table's settings.
pub(super) struct Settings {
    pub(super) servers: Vec<Place>,
    /// `start_tls`: TLS begins after a request.
    pub(super) start_tls: bool,
    /// What TLS asks for, if any server has it.
    pub(super) wanted: Option<Wanted>,
    pub(super) bind: Option<Bind>,
    pub(super) scope: LdapSearchScope,
    pub(super) dereference: LdapDerefAliases,
    pub(super) attributes: Attributes,
    pub(super) is_base_dynamic: bool,
    pub(super) timeout: Duration,
    pub(super) size_limit: u64,
    pub(super) recursion_limit: u64,
}

impl Settings {
    /// Reads them, with the templates of `search_base`, `query_filter` and `result_format`.
    pub(super) fn read(name: &str, main: &MainSettings) -> Result<(Self, Templates, SourceFile), OpenError> {
        let source = SourceFile::read(name, NAMES, main)?;
        let wrong = |why: String| OpenError::new(format!("ldap:{name}: {why}"));
        if source.flag("chase_referrals", false)? {
            let place = source.place("chase_referrals");
            return Err(OpenError::new(format!("ldap:{place}: this is not possible yet; set it to no")));
        }
        // Whatever it says, version 3 is spoken, as Postfix does with TLS.
        source.number("version", 2, 2)?;
        let (servers, start_tls) = (servers(&source).map_err(wrong)?, source.flag("start_tls", false)?);
        let first = servers.iter().find(|place| place.is_tls);
        if let Some(Place { shown, .. }) = first.filter(|_| start_tls) {
            let place = source.place("start_tls");
            return Err(OpenError::new(format!(
                "ldap:{place}: {shown} begins with TLS by itself; remove one of both"
            )));
        }
        let wanted = (start_tls || first.is_some()).then(|| wanted(&source)).transpose()?;
        let base = source.text("search_base", "");
        let queries = [base, source.text("query_filter", "(mailacceptinggeneralid=%s)")];
        let format = source.get("result_format").unwrap_or_else(|| source.text("result_filter", "%s"));
        let templates = Templates::parse_all(&queries, format).map_err(wrong)?;
        let expansion_limit = source.number("expansion_limit", 0, 0)?;
        let words = |setting, default| maps::split_list(source.text(setting, default)).collect::<Vec<_>>();
        let attributes = Attributes::new([
            &words("terminal_result_attribute", ""),
            &words("leaf_result_attribute", ""),
            &words("result_attribute", "maildrop"),
            &words("special_result_attribute", ""),
        ]);
        let settings = Self {
            servers,
            start_tls,
            wanted,
            bind: bind(&source).map_err(wrong)?,
            scope: scope(source.text("scope", "sub")).map_err(wrong)?,
            dereference: match source.number("dereference", 0, 0)? {
                1 => LdapDerefAliases::InSearching,
                2 => LdapDerefAliases::FindingBaseObj,
                3 => LdapDerefAliases::Always,
                _ => LdapDerefAliases::Never,
            },
            attributes,
            is_base_dynamic: Template::parse(base).is_ok_and(|base| base.is_dynamic()),
            timeout: Duration::from_secs(source.number("timeout", 10, 1)?),
            size_limit: source.number("size_limit", expansion_limit, 0)?,
            recursion_limit: source.number("recursion_limit", 1000, 1)?,
        };
        Ok((settings, templates, source))
    }
}

/// `server_host`: hosts, hosts with ports, and URLs.
fn servers(source: &SourceFile) -> Result<Vec<Place>, String> {
    let port = source.text("server_port", "389");
    let server = |word: &str| {
        if let Some(path) = word.strip_prefix("ldapi://") {
            let path =
                decode_text(path.split('/').next().unwrap_or_default(), b'%').filter(|path| !path.is_empty());
            let path = path.unwrap_or_else(|| "/var/run/slapd/ldapi".to_owned());
            let (shown, host) = (word.to_owned(), "localhost".to_owned());
            return Ok(Place { shown, server: Server::Unix(path.into()), host, is_tls: false });
        }
        // A URL has its own default port.
        let (scheme, place, port) = match word.split_once("://") {
            Some(("ldap", place)) => ("ldap", place, "389"),
            Some(("ldaps", place)) => ("ldaps", place, "636"),
            _ => ("ldap", word, port),
        };
        let place = place.split('/').next().unwrap_or_default();
        let has_port =
            place.rsplit_once(':').is_some_and(|(host, _)| !host.contains(':') || host.ends_with(']'));
        let place = if has_port { place.to_owned() } else { format!("{place}:{port}") };
        let server = Server::parse_inet(&place, &TcpPorts::default())?;
        let host = if let Server::Inet { host, .. } = &server { host.clone() } else { String::new() };
        Ok(Place { shown: format!("{scheme}://{place}"), server, host, is_tls: scheme == "ldaps" })
    };
    maps::split_list(source.text("server_host", "localhost")).map(server).collect()
}

/// What the `tls_` settings ask for. `tls_random_file` changes nothing: the kernel has random numbers.
fn wanted(source: &SourceFile) -> Result<Wanted, OpenError> {
    let mut versions = Versions::default();
    let ciphers = source.get("tls_cipher_suite").filter(|list| !list.is_empty());
    let ciphers = ciphers.map(|list| CipherList::parse_any(list, &mut versions)).transpose();
    let ciphers =
        ciphers.map_err(|why| OpenError::new(format!("ldap:{}: {why}", source.place("tls_cipher_suite"))))?;
    let is_verified = source.flag("tls_require_cert", false)?;
    Ok(Wanted {
        demand: if is_verified { Demand::Name } else { Demand::Encryption },
        ca_file: Named::of(source, "tls_ca_cert_file"),
        ca_directory: Named::of(source, "tls_ca_cert_dir"),
        certificate: Named::of(source, "tls_cert"),
        key: Named::of(source, "tls_key"),
        ciphers,
        versions,
        ..Wanted::default()
    })
}

fn bind(source: &SourceFile) -> Result<Option<Bind>, String> {
    match source.text("bind", "yes").to_ascii_lowercase().as_str() {
        "no" | "none" => Ok(None),
        "yes" | "simple" => Ok(Some(Bind {
            dn: source.text("bind_dn", "").to_owned(),
            cred: LdapBindCred::Simple(source.text("bind_pw", "").to_owned()),
        })),
        "sasl" => sasl_bind(source).map(Some),
        other => Err(format!("unsupported parameter value: bind = {other}; use yes, no or sasl")),
    }
}

/// The first of `sasl_mechs` that is known here. `bind_dn` is who proves it, `sasl_authz_id` whose rights are wanted.
fn sasl_bind(source: &SourceFile) -> Result<Bind, String> {
    let text = |setting| source.text(setting, "");
    if text("sasl_minssf").parse() != Ok(0_u32) && !text("sasl_minssf").is_empty() {
        return Err(
            "sasl_minssf asks for a layer of protection, which EXTERNAL and PLAIN do not have; set it to 0"
                .to_owned(),
        );
    }
    let (authorize, dn) = (text("sasl_authz_id"), text("bind_dn").to_owned());
    let sasl = |mechanism: &str, credentials: String| {
        let (mechanism, credentials) = (mechanism.to_owned(), credentials.into_bytes());
        LdapBindCred::SASL(SaslCredentials { mechanism, credentials })
    };
    let cred = maps::split_list(text("sasl_mechs")).find_map(|mechanism| {
        match mechanism.to_ascii_uppercase().as_str() {
            "EXTERNAL" => Some(sasl("EXTERNAL", authorize.to_owned())),
            // RFC 4616 section 2.
            "PLAIN" => Some(sasl("PLAIN", format!("{authorize}\0{dn}\0{}", text("bind_pw")))),
            _ => None,
        }
    });
    let cred =
        cred.ok_or("bind = sasl works with sasl_mechs = EXTERNAL or PLAIN; use one of them, or bind = yes")?;
    Ok(Bind { dn, cred })
}

pub(super) fn scope(text: &str) -> Result<LdapSearchScope, String> {
    match text.to_ascii_lowercase().as_str() {
        "" | "base" => Ok(LdapSearchScope::Base),
        "one" => Ok(LdapSearchScope::OneLevel),
        "sub" => Ok(LdapSearchScope::Subtree),
        other => Err(format!("Unrecognized value {other} specified for scope; use sub, base or one")),
    }
}

/// What an attribute is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Where it is there, nothing else counts.
    Terminal,
    /// Counts in entries that point nowhere.
    Leaf,
    /// Counts.
    Regular,
    /// Points to other entries.
    Special,
}

/// The attributes that are wanted, in the order in which they are told apart.
#[derive(Debug)]
pub(super) struct Attributes(Vec<(String, Class)>);

impl Attributes {
    pub(super) fn new(lists: [&[&str]; 4]) -> Self {
        let classes = [Class::Terminal, Class::Leaf, Class::Regular, Class::Special];
        let wanted = classes.into_iter().zip(lists);
        Self(
            wanted
                .flat_map(|(class, list)| list.iter().map(move |name| ((*name).to_owned(), class)))
                .collect(),
        )
    }

    /// All names.
    pub(super) fn all(&self) -> Vec<String> {
        self.0.iter().map(|(name, _)| name.clone()).collect()
    }

    /// What an attribute of an entry is wanted for.
    pub(super) fn class(&self, name: &str) -> Option<Class> {
        self.0.iter().find(|(wanted, _)| is_subtype(name, wanted)).map(|(_, class)| *class)
    }

    /// Those that a URL names too, the narrower of both; all if it names none.
    pub(super) fn among(&self, named: &[String]) -> Vec<String> {
        if named.is_empty() {
            return self.all();
        }
        let pairs = named.iter().flat_map(|named| self.0.iter().map(move |(wanted, _)| (named, wanted)));
        let narrower = |(named, wanted): (&String, &String)| {
            if is_subtype(wanted, named) {
                return Some(wanted.clone());
            }
            is_subtype(named, wanted).then(|| named.clone())
        };
        pairs.filter_map(narrower).collect()
    }
}

/// Whether `name` is the attribute `wanted`, or that with options (RFC 4512 section 2.5).
fn is_subtype(name: &str, wanted: &str) -> bool {
    let (start, rest) = name.split_at_checked(wanted.len()).unwrap_or(("", "x"));
    start.eq_ignore_ascii_case(wanted) && (rest.is_empty() || rest.starts_with(';'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    fn read(text: &'static str) -> Result<Settings, String> {
        let main: MainSettings = Rc::new(move |name| {
            let mut lines = text.lines().filter_map(|line| line.split_once(" = "));
            lines
                .find(|(known, _)| Some(*known) == name.strip_prefix("t_"))
                .map(|(_, value)| value.to_owned())
        });
        Settings::read("t", &main).map(|(settings, ..)| settings).map_err(|error| error.to_string())
    }

    #[test]
    fn where_servers_are() {
        let check = |text: &'static str, shown: &str, host: &str, port: u16, is_tls: bool| {
            let settings = read(text).unwrap();
            let place = &settings.servers[0];
            let server = Server::Inet { host: host.into(), port };
            assert_eq!(
                (place.shown.as_str(), &place.server, place.is_tls),
                (shown, &server, is_tls),
                "{text}"
            );
            assert_eq!((place.host.as_str(), settings.wanted.is_some()), (host, is_tls), "{text}");
        };
        check("server_host = dir.test\nserver_port = 400", "ldap://dir.test:400", "dir.test", 400, false);
        // server_port is for hosts, not for URLs.
        check(
            "server_host = ldap://dir.test\nserver_port = 400",
            "ldap://dir.test:389",
            "dir.test",
            389,
            false,
        );
        check("server_host = ldaps://dir.test", "ldaps://dir.test:636", "dir.test", 636, true);
        check("server_host = ldaps://[::1]:99/", "ldaps://[::1]:99", "::1", 99, true);
    }

    #[test]
    fn what_tls_asks_for() {
        let wanted = |text: &'static str| read(text).unwrap().wanted.unwrap();
        assert_eq!(wanted("start_tls = yes\nversion = 3").demand, Demand::Encryption);
        let all = wanted(
            "start_tls = yes\ntls_require_cert = yes\ntls_ca_cert_file = /ca\ntls_cert = /c\ntls_key = /k",
        );
        assert_eq!(all.demand, Demand::Name);
        assert_eq!(all.ca_file.unwrap().place, "main.cf: t_tls_ca_cert_file = /ca");
        assert!(all.certificate.is_some() && all.key.is_some());
        // Without TLS these settings say nothing.
        assert!(read("tls_require_cert = yes\ntls_cipher_suite = nonsense").unwrap().wanted.is_none());
    }

    #[test]
    fn what_cannot_be_honoured_is_named() {
        for (text, why) in [
            (
                "start_tls = yes\nserver_host = ldaps://a",
                "ldap:main.cf: t_start_tls = yes: ldaps://a:636 begins with TLS",
            ),
            (
                "start_tls = yes\ntls_cipher_suite = NULL",
                "ldap:main.cf: t_tls_cipher_suite = NULL: none of the ciphers",
            ),
            ("chase_referrals = yes", "ldap:main.cf: t_chase_referrals = yes: this is not possible yet"),
            ("version = x", "t: bad numerical configuration: version = x"),
        ] {
            let said = read(text).err().unwrap();
            assert!(said.starts_with(why), "{said}");
        }
    }
}
