//! `smtpd_*_restrictions`, parsed once.

use crate::PolicyService;
use config::{Invalid, Values, params as p, split_list};
use dnsbl::DnsList;
use std::{collections::HashMap, rc::Rc};
use world::RecordType;

/// One element of a restriction list (postconf(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Restriction {
    /// `permit`
    Permit,
    /// `reject`
    Reject,
    /// `defer`
    Defer,
    /// `warn_if_reject`
    WarnIfReject,
    /// `defer_if_permit`
    DeferIfPermit,
    /// `defer_if_reject`
    DeferIfReject,
    /// `permit_inet_interfaces`
    PermitInetInterfaces,
    /// `permit_mynetworks`
    PermitMynetworks,
    /// `permit_sasl_authenticated`: nobody can log in yet, but a trusted client can say who has (XCLIENT).
    PermitSaslAuthenticated,
    /// `permit_auth_destination`
    PermitAuthDestination,
    /// `reject_unauth_destination`
    RejectUnauthDestination,
    /// `defer_unauth_destination`
    DeferUnauthDestination,
    /// `reject_unlisted_recipient`
    RejectUnlistedRecipient,
    /// `reject_unlisted_sender`
    RejectUnlistedSender,
    /// `reject_non_fqdn_sender`
    RejectNonFqdnSender,
    /// `reject_non_fqdn_recipient`
    RejectNonFqdnRecipient,
    /// `reject_non_fqdn_helo_hostname`
    RejectNonFqdnHeloHostname,
    /// `reject_invalid_helo_hostname`
    RejectInvalidHeloHostname,
    /// `reject_unknown_sender_domain`
    RejectUnknownSenderDomain,
    /// `reject_unknown_recipient_domain`
    RejectUnknownRecipientDomain,
    /// `reject_multi_recipient_bounce`
    RejectMultiRecipientBounce,
    /// `reject_unverified_sender`
    RejectUnverifiedSender,
    /// `reject_unverified_recipient`
    RejectUnverifiedRecipient,
    /// `permit_mx_backup`
    PermitMxBackup,
    /// `reject_authenticated_sender_login_mismatch` and its kin.
    SenderLogin(SenderLogin),
    /// `sleep`, in seconds.
    Sleep(u32),
    /// `check_*_access type:table`, or the table alone.
    Access {
        /// What is looked up; `None` is what the list is about.
        subject: Option<AccessSubject>,
        /// Its place in [`RestrictionLists::access_tables`].
        table: usize,
    },
    /// `check_sender_mx_access type:table` and its kin.
    ServerAccess {
        /// Whose hosts are looked up.
        subject: AccessSubject,
        /// `A`, `MX` or `NS`
        servers: RecordType,
        /// Its place in [`RestrictionLists::access_tables`].
        table: usize,
    },
    /// `reject_rbl_client list`, `permit_dnswl_client list` and their kin.
    DnsList {
        /// What is looked up.
        subject: DnsListSubject,
        /// The list permits those that it has, and does not refuse them.
        permits: bool,
        /// The list.
        list: Rc<DnsList>,
    },
    /// `check_policy_service`, by its place in [`RestrictionLists::policy_services`].
    PolicyService(usize),
    /// `reject_unknown_client_hostname`
    RejectUnknownClientHostname,
    /// `reject_unknown_reverse_client_hostname`
    RejectUnknownReverseClientHostname,
    /// `reject_unknown_helo_hostname`
    RejectUnknownHeloHostname,
    /// `reject_unauth_pipelining`
    RejectUnauthPipelining,
    /// `reject_plaintext_session`: as long as there is no TLS, that is every session.
    RejectPlaintextSession,
    /// What is true of those only who use TLS or have logged in: of nobody yet.
    Nobody(Rc<str>),
    /// A name of `smtpd_restriction_classes`.
    Class(Rc<Rules>),
    /// What follows `permit`, `reject` or `defer`, as the list names it: nobody gets there, and the log says so.
    Ignored(Rc<str>),
    /// What cannot be carried out: whoever reaches it is answered 451 4.3.5. The text is a warning.
    Unusable(Rc<str>),
}

/// Whose use of a sender address is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SenderLogin {
    /// `reject_authenticated_sender_login_mismatch`
    Authenticated,
    /// `reject_known_sender_login_mismatch`
    Known,
    /// `reject_unauthenticated_sender_login_mismatch`
    Unauthenticated,
}

impl SenderLogin {
    /// The restriction.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Authenticated => "reject_authenticated_sender_login_mismatch",
            Self::Known => "reject_known_sender_login_mismatch",
            Self::Unauthenticated => "reject_unauthenticated_sender_login_mismatch",
        }
    }
}

/// What is looked up in an access table (access(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessSubject {
    /// `check_client_access`: verified name and address.
    Client,
    /// `check_reverse_client_hostname_access`: name that is not verified, and address.
    ReverseClient,
    /// `check_helo_access`
    Helo,
    /// `check_sender_access`
    Sender,
    /// `check_recipient_access`
    Recipient,
    /// `check_etrn_access`
    Etrn,
    /// `check_sasl_access`: who has logged in.
    SaslUser,
}

/// What a DNS list is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DnsListSubject {
    /// The client's address.
    ClientAddress,
    /// Its verified name.
    ClientName,
    /// Its name that is not verified.
    ReverseClientName,
    /// The HELO or EHLO argument.
    Helo,
    /// The sender's domain.
    Sender,
    /// The recipient's domain.
    Recipient,
}

/// A list, evaluated from left to right.
pub type Rules = [Restriction];

/// All lists of a service.
#[derive(Clone, Debug)]
pub struct RestrictionLists {
    /// postconf(5) `smtpd_client_restrictions`
    pub smtpd_client_restrictions: Rc<Rules>,
    /// postconf(5) `smtpd_helo_restrictions`
    pub smtpd_helo_restrictions: Rc<Rules>,
    /// postconf(5) `smtpd_sender_restrictions`
    pub smtpd_sender_restrictions: Rc<Rules>,
    /// postconf(5) `smtpd_relay_restrictions`
    pub smtpd_relay_restrictions: Rc<Rules>,
    /// postconf(5) `smtpd_recipient_restrictions`
    pub smtpd_recipient_restrictions: Rc<Rules>,
    /// postconf(5) `smtpd_data_restrictions`
    pub smtpd_data_restrictions: Rc<Rules>,
    /// postconf(5) `smtpd_etrn_restrictions`
    pub smtpd_etrn_restrictions: Rc<Rules>,
    /// postconf(5) `smtpd_end_of_data_restrictions`
    pub smtpd_end_of_data_restrictions: Rc<Rules>,
    /// postconf(5) `smtpd_relay_before_recipient_restrictions`
    pub smtpd_relay_before_recipient_restrictions: bool,
    /// postconf(5) `smtpd_reject_unlisted_recipient`
    pub smtpd_reject_unlisted_recipient: bool,
    /// postconf(5) `smtpd_reject_unlisted_sender`
    pub smtpd_reject_unlisted_sender: bool,
    /// postconf(5) `receive_override_options` has `no_unknown_recipient_checks`: unlisted addresses are refused by no rule.
    pub no_unknown_recipient_checks: bool,
    /// The access tables of all lists, each once.
    pub access_tables: Vec<String>,
    /// The policy services of all lists, each once.
    pub policy_services: Vec<PolicyService>,
    classes: HashMap<String, Rc<Rules>>,
    problems: Vec<String>,
}

/// Names that Postfix does not carry out any more, and what it says is to take their place.
const REMOVED: [(&str, &str); 3] = [
    ("check_relay_domains", "\"reject_unauth_destination\""),
    ("permit_naked_ip_address", "\"permit_mynetworks\" or \"permit_sasl_authenticated\""),
    ("reject_maps_rbl", "\"reject_rbl_client domain-name\""),
];

const POLICY: &str = "check_policy_service";
const NO_POLICY_SERVICE: &str = "restriction check_policy_service must be followed by transport:server";

fn known(name: &str) -> Option<Restriction> {
    use Restriction as R;
    Some(match name.to_ascii_lowercase().as_str() {
        "permit" => R::Permit,
        "reject" => R::Reject,
        "defer" => R::Defer,
        "warn_if_reject" => R::WarnIfReject,
        "defer_if_permit" => R::DeferIfPermit,
        "defer_if_reject" => R::DeferIfReject,
        "permit_inet_interfaces" => R::PermitInetInterfaces,
        "permit_mynetworks" => R::PermitMynetworks,
        "permit_sasl_authenticated" => R::PermitSaslAuthenticated,
        "permit_auth_destination" => R::PermitAuthDestination,
        "reject_unauth_destination" => R::RejectUnauthDestination,
        "defer_unauth_destination" => R::DeferUnauthDestination,
        "reject_unlisted_recipient" | "check_recipient_maps" => R::RejectUnlistedRecipient,
        "reject_unlisted_sender" => R::RejectUnlistedSender,
        "reject_non_fqdn_sender" => R::RejectNonFqdnSender,
        "reject_non_fqdn_recipient" => R::RejectNonFqdnRecipient,
        "reject_non_fqdn_helo_hostname" | "reject_non_fqdn_hostname" => R::RejectNonFqdnHeloHostname,
        "reject_invalid_helo_hostname" | "reject_invalid_hostname" => R::RejectInvalidHeloHostname,
        "reject_unknown_sender_domain" | "reject_unknown_address" => R::RejectUnknownSenderDomain,
        "reject_unknown_recipient_domain" => R::RejectUnknownRecipientDomain,
        "reject_multi_recipient_bounce" => R::RejectMultiRecipientBounce,
        "reject_unverified_sender" => R::RejectUnverifiedSender,
        "reject_unverified_recipient" => R::RejectUnverifiedRecipient,
        "permit_mx_backup" => R::PermitMxBackup,
        "reject_authenticated_sender_login_mismatch" => R::SenderLogin(SenderLogin::Authenticated),
        "reject_known_sender_login_mismatch" => R::SenderLogin(SenderLogin::Known),
        "reject_unauthenticated_sender_login_mismatch" => R::SenderLogin(SenderLogin::Unauthenticated),
        "reject_sender_login_mismatch" => R::Class(Rc::new([
            R::SenderLogin(SenderLogin::Authenticated),
            R::SenderLogin(SenderLogin::Unauthenticated),
        ])),
        "reject_unknown_client_hostname" | "reject_unknown_client" => R::RejectUnknownClientHostname,
        "reject_unknown_reverse_client_hostname" => R::RejectUnknownReverseClientHostname,
        "reject_unknown_helo_hostname" | "reject_unknown_hostname" => R::RejectUnknownHeloHostname,
        "reject_unauth_pipelining" => R::RejectUnauthPipelining,
        "reject_plaintext_session" => R::RejectPlaintextSession,
        "permit_tls_clientcerts" => R::Nobody(name.into()),
        "permit_tls_all_clientcerts" => R::Nobody(name.into()),
        _ => return None,
    })
}

/// Those that have a table after them.
fn access(name: &str) -> Option<Option<AccessSubject>> {
    use AccessSubject as A;
    Some(match name.to_ascii_lowercase().as_str() {
        "check_client_access" => Some(A::Client),
        "check_reverse_client_hostname_access" => Some(A::ReverseClient),
        "check_helo_access" => Some(A::Helo),
        "check_sender_access" => Some(A::Sender),
        "check_recipient_access" => Some(A::Recipient),
        "check_etrn_access" => Some(A::Etrn),
        "check_sasl_access" => Some(A::SaslUser),
        "check_ccert_access" => None,
        _ => return None,
    })
}

/// Those that have a table for the hosts behind a name after them.
fn server_access(name: &str) -> Option<(AccessSubject, RecordType)> {
    use AccessSubject as A;
    let name = name.to_ascii_lowercase();
    let (subject, servers) = name.strip_prefix("check_")?.strip_suffix("_access")?.rsplit_once('_')?;
    let subject = match subject {
        "client" => A::Client,
        "reverse_client_hostname" => A::ReverseClient,
        "helo" => A::Helo,
        "sender" => A::Sender,
        "recipient" => A::Recipient,
        _ => return None,
    };
    let servers = match servers {
        "a" => RecordType::A,
        "mx" => RecordType::Mx,
        "ns" => RecordType::Ns,
        _ => return None,
    };
    Some((subject, servers))
}

/// Those that have a DNS list after them; the text says what is wrong with that.
fn dns_list(name: &str, list: impl FnOnce() -> Option<String>) -> Option<Result<Restriction, String>> {
    use DnsListSubject as D;
    let (subject, permits) = match name.to_ascii_lowercase().as_str() {
        "reject_rbl_client" | "reject_rbl" => (D::ClientAddress, false),
        "reject_rhsbl_client" => (D::ClientName, false),
        "reject_rhsbl_reverse_client" => (D::ReverseClientName, false),
        "reject_rhsbl_helo" => (D::Helo, false),
        "reject_rhsbl_sender" => (D::Sender, false),
        "reject_rhsbl_recipient" => (D::Recipient, false),
        "permit_dnswl_client" => (D::ClientAddress, true),
        "permit_rhswl_client" => (D::ClientName, true),
        _ => return None,
    };
    let list = list().ok_or_else(|| format!("restriction {name} requires domain name argument"));
    let parse =
        |list: String| DnsList::parse(&list).map_err(|error| format!("restriction {name} {list}: {error}"));
    let rule = |list| Restriction::DnsList { subject, permits, list: Rc::new(list) };
    Some(list.and_then(parse).map(rule))
}

fn sleep(seconds: Option<&str>) -> Result<Restriction, &'static str> {
    let seconds = seconds.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let seconds = seconds.ok_or("restriction sleep must be followed by number")?;
    Ok(Restriction::Sleep(seconds.parse().unwrap_or(u32::MAX)))
}

/// What stands behind the last of `rules`, if that is the end.
fn ignored(rules: &[Restriction], words: &[&str]) -> Option<Restriction> {
    use Restriction as R;
    let is_end = matches!(rules.last(), Some(R::Permit | R::Reject | R::Defer));
    words.first().filter(|_| is_end).map(|next| R::Ignored((*next).into()))
}

fn unknown(name: &str) -> String {
    if name.eq_ignore_ascii_case(POLICY) {
        return NO_POLICY_SERVICE.to_owned();
    }
    if let Some((_, instead)) = REMOVED.iter().find(|(removed, _)| removed.eq_ignore_ascii_case(name)) {
        return format!(
            "support for restriction \"{name}\" has been removed in Postfix 3.9; instead, specify {instead}"
        );
    }
    format!("unknown smtpd restriction: \"{name}\"")
}

struct Parser<'v> {
    values: &'v Values,
    /// Names of classes; the list is there once it was needed.
    classes: HashMap<&'v str, Option<Rc<Rules>>>,
    access_tables: Vec<String>,
    policy_services: Vec<PolicyService>,
    problems: Vec<String>,
    /// A class without a list, with which Postfix does not start.
    undefined: Option<&'v str>,
}

impl<'v> Parser<'v> {
    fn list(&mut self, parameter: &str, text: &'v str) -> Rc<Rules> {
        let mut rules = Vec::new();
        let mut words = split_list(text).into_iter();
        while let Some(name) = words.next() {
            if let Some(rule) = dns_list(name, || words.next().map(str::to_owned)) {
                let is_usable = rule.is_ok();
                rules.push(rule.unwrap_or_else(|text| self.unusable(parameter, text)));
                if is_usable {
                    continue;
                }
                break;
            }
            let rule = match (known(name), access(name)) {
                (None, None) if name.eq_ignore_ascii_case("sleep") => {
                    sleep(words.next()).unwrap_or_else(|text| self.unusable(parameter, text.to_owned()))
                }
                (Some(rule), _) => rule,
                (None, Some(subject)) => self.access_rule(parameter, (name, subject), words.next()),
                (None, None) if server_access(name).is_some() => {
                    self.server_access_rule(parameter, name, words.next())
                }
                (None, None) if name.eq_ignore_ascii_case(POLICY) => {
                    self.policy_service(parameter, words.next())
                }
                (None, None) if name.contains(':') => {
                    Restriction::Access { subject: None, table: self.table(name) }
                }
                (None, None) => self.other(parameter, name),
            };
            let is_unusable = matches!(rule, Restriction::Unusable(_));
            rules.push(rule);
            rules.extend(ignored(&rules, words.as_slice()));
            // Nobody gets past it, and what follows may be its arguments.
            if is_unusable {
                break;
            }
        }
        rules.into()
    }

    fn access_rule(
        &mut self,
        parameter: &str,
        (name, subject): (&str, Option<AccessSubject>),
        table: Option<&str>,
    ) -> Restriction {
        let bad = table.unwrap_or(name);
        match (table.filter(|table| table.contains(':')), subject) {
            (Some(table), Some(_)) => Restriction::Access { subject, table: self.table(table) },
            // The table is opened for nobody.
            (Some(_), None) => Restriction::Nobody(name.into()),
            (None, _) => {
                let text = format!("restriction {name}: bad argument \"{bad}\": need maptype:mapname");
                self.unusable(parameter, text)
            }
        }
    }

    fn server_access_rule(&mut self, parameter: &str, name: &str, table: Option<&str>) -> Restriction {
        let of = server_access(name);
        match (self.access_rule(parameter, (name, of.map(|(subject, _)| subject)), table), of) {
            (Restriction::Access { table, .. }, Some((subject, servers))) => {
                Restriction::ServerAccess { subject, servers, table }
            }
            (rule, _) => rule,
        }
    }

    fn policy_service(&mut self, parameter: &str, service: Option<&str>) -> Restriction {
        let Some(name) = service.filter(|service| service.contains(':')) else {
            return self.unusable(parameter, NO_POLICY_SERVICE.to_owned());
        };
        if let Some(at) = self.policy_services.iter().position(|known| known.name == name) {
            return Restriction::PolicyService(at);
        }
        match PolicyService::parse(name, self.values) {
            Ok(service) => {
                self.policy_services.push(service);
                Restriction::PolicyService(self.policy_services.len() - 1)
            }
            Err(why) => self.unusable(parameter, format!("restriction {POLICY} {name}: {why}")),
        }
    }

    fn table(&mut self, name: &str) -> usize {
        let at = self.access_tables.iter().position(|known| known == name);
        at.unwrap_or_else(|| {
            self.access_tables.push(name.to_owned());
            self.access_tables.len() - 1
        })
    }

    fn other(&mut self, parameter: &str, name: &'v str) -> Restriction {
        match self.classes.get(name) {
            Some(Some(rules)) => Restriction::Class(Rc::clone(rules)),
            Some(None) => self.class(name),
            None => self.unusable(parameter, unknown(name)),
        }
    }

    fn unusable(&mut self, parameter: &str, text: String) -> Restriction {
        self.problems.push(format!(
            "{parameter}: {text}; mail that gets that far is answered with \
             \"451 4.3.5 Server configuration error\": remove it from {parameter}"
        ));
        Restriction::Unusable(text.into())
    }

    fn class(&mut self, name: &'v str) -> Restriction {
        // A class that contains itself sees an unusable rule there, and so does not go round for ever.
        let text = format!("smtpd restriction class \"{name}\" contains itself");
        let itself: Rc<Rules> = Rc::new([Restriction::Unusable(text.into())]);
        self.classes.insert(name, Some(itself));
        let rules = self.list(name, self.values.named(name).unwrap_or_default());
        if rules.is_empty() && self.undefined.is_none() {
            self.undefined = Some(name);
        }
        self.classes.insert(name, Some(Rc::clone(&rules)));
        Restriction::Class(rules)
    }

    /// All classes: a table may name one that no list does.
    fn all_classes(&mut self) -> HashMap<String, Rc<Rules>> {
        let names: Vec<&'v str> = self.classes.keys().copied().collect();
        for name in names {
            if self.classes.get(name).is_some_and(Option::is_none) {
                let _ = self.class(name);
            }
        }
        let parsed = |(name, rules): (&str, Option<Rc<Rules>>)| rules.map(|rules| (name.to_owned(), rules));
        self.classes.drain().filter_map(parsed).collect()
    }
}

impl RestrictionLists {
    pub(crate) fn load(values: &Values) -> Result<Self, Invalid> {
        let classes =
            values.list(p::smtpd_restriction_classes).into_iter().map(|name| (name, None)).collect();
        let mut parser = Parser {
            values,
            classes,
            access_tables: Vec::new(),
            policy_services: Vec::new(),
            problems: Vec::new(),
            undefined: None,
        };
        let mut list = |parameter: &str, id| parser.list(parameter, values.text(id));
        let mut lists = Self {
            smtpd_client_restrictions: list("smtpd_client_restrictions", p::smtpd_client_restrictions),
            smtpd_helo_restrictions: list("smtpd_helo_restrictions", p::smtpd_helo_restrictions),
            smtpd_sender_restrictions: list("smtpd_sender_restrictions", p::smtpd_sender_restrictions),
            smtpd_relay_restrictions: list("smtpd_relay_restrictions", p::smtpd_relay_restrictions),
            smtpd_recipient_restrictions: list(
                "smtpd_recipient_restrictions",
                p::smtpd_recipient_restrictions,
            ),
            smtpd_data_restrictions: list("smtpd_data_restrictions", p::smtpd_data_restrictions),
            smtpd_etrn_restrictions: list("smtpd_etrn_restrictions", p::smtpd_etrn_restrictions),
            smtpd_end_of_data_restrictions: list(
                "smtpd_end_of_data_restrictions",
                p::smtpd_end_of_data_restrictions,
            ),
            smtpd_relay_before_recipient_restrictions: values
                .bool(p::smtpd_relay_before_recipient_restrictions),
            smtpd_reject_unlisted_recipient: values.bool(p::smtpd_reject_unlisted_recipient),
            smtpd_reject_unlisted_sender: values.bool(p::smtpd_reject_unlisted_sender),
            no_unknown_recipient_checks: values
                .list(p::receive_override_options)
                .iter()
                .any(|option| option.eq_ignore_ascii_case("no_unknown_recipient_checks")),
            ..Self::none()
        };
        lists.classes = parser.all_classes();
        if let Some(name) = parser.undefined {
            let text = format!("restriction class `{name}' needs a definition");
            return Err(Invalid::new("main.cf", 0, text));
        }
        (lists.access_tables, lists.problems) = (parser.access_tables, parser.problems);
        lists.policy_services = parser.policy_services;
        lists.check_relay_control()?;
        Ok(lists)
    }

    /// No restriction at all.
    pub(crate) fn none() -> Self {
        let none = || Rc::from([]);
        Self {
            smtpd_client_restrictions: none(),
            smtpd_helo_restrictions: none(),
            smtpd_sender_restrictions: none(),
            smtpd_relay_restrictions: none(),
            smtpd_recipient_restrictions: none(),
            smtpd_data_restrictions: none(),
            smtpd_etrn_restrictions: none(),
            smtpd_end_of_data_restrictions: none(),
            smtpd_relay_before_recipient_restrictions: true,
            smtpd_reject_unlisted_recipient: false,
            smtpd_reject_unlisted_sender: false,
            no_unknown_recipient_checks: false,
            access_tables: Vec::new(),
            policy_services: Vec::new(),
            classes: HashMap::new(),
            problems: Vec::new(),
        }
    }

    /// Restrictions that are unknown or not supported yet, as warnings that name the parameter.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }

    /// The restrictions that a value of an access table names. It cannot name tables.
    pub(crate) fn named_by_table(&self, value: &str) -> Rc<Rules> {
        let mut words = split_list(value).into_iter();
        let mut rules = Vec::new();
        while let Some(name) = words.next() {
            let class = || self.classes.get(name).map(|rules| Restriction::Class(Rc::clone(rules)));
            let rule = match dns_list(name, || words.next().map(str::to_owned)) {
                Some(rule) => rule,
                None if name.eq_ignore_ascii_case("sleep") => sleep(words.next()).map_err(str::to_owned),
                None => known(name).or_else(class).ok_or_else(|| unknown(name)),
            };
            rules.push(rule.unwrap_or_else(|text| Restriction::Unusable(text.into())));
            rules.extend(ignored(&rules, words.as_slice()));
        }
        rules.into()
    }

    /// Postfix refuses to start without relay control.
    fn check_relay_control(&self) -> Result<(), Invalid> {
        if stops_strangers(&self.smtpd_relay_restrictions)
            || stops_strangers(&self.smtpd_recipient_restrictions)
        {
            return Ok(());
        }
        let text = "in parameter smtpd_relay_restrictions or smtpd_recipient_restrictions, specify at least \
                    one working instance of: reject_unauth_destination, defer_unauth_destination, reject, \
                    defer, defer_if_permit or check_relay_domains";
        Err(Invalid::new("main.cf", 0, text.to_owned()))
    }
}

fn stops_strangers(rules: &Rules) -> bool {
    use Restriction as R;
    let mut rules = rules.iter();
    while let Some(rule) = rules.next() {
        match rule {
            R::WarnIfReject => {
                rules.next();
            }
            R::Permit => return false,
            R::RejectUnauthDestination
            | R::DeferUnauthDestination
            | R::Reject
            | R::Defer
            | R::DeferIfPermit => {
                return true;
            }
            R::Class(rules) if stops_strangers(rules) => return true,
            // Nobody gets past it.
            R::Unusable(_) => return true,
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(settings: &[(&str, &str)]) -> Result<RestrictionLists, Invalid> {
        let level = [("compatibility_level", "3.6")];
        RestrictionLists::load(&Values::for_tests(&[&level, settings].concat()))
    }

    #[test]
    fn lists_are_parsed_in_any_case_with_classes() {
        let lists = load(&[
            ("smtpd_restriction_classes", "strict, loop"),
            ("strict", "reject_non_fqdn_sender, PERMIT_MYNETWORKS"),
            ("loop", "loop"),
            ("smtpd_recipient_restrictions", "strict loop reject"),
        ])
        .unwrap();
        let rules = &lists.smtpd_recipient_restrictions;
        let strict: Rc<Rules> = Rc::new([Restriction::RejectNonFqdnSender, Restriction::PermitMynetworks]);
        assert_eq!(rules[0], Restriction::Class(strict));
        assert!(matches!(&rules[1], Restriction::Class(own) if matches!(&own[0], Restriction::Class(_))));
        assert_eq!(rules[2], Restriction::Reject);
    }

    #[test]
    fn what_cannot_be_done_is_named_and_never_skipped() {
        let check = |text: &str, problem: &str| {
            let lists = load(&[("smtpd_client_restrictions", text)]).unwrap();
            assert!(matches!(lists.smtpd_client_restrictions.last(), Some(Restriction::Unusable(_))));
            assert!(lists.problems()[0].contains(problem), "{:?}", lists.problems());
        };
        check(
            "permit_mynetworks, check_policy_service, reject",
            "check_policy_service must be followed by transport:server",
        );
        check("no_such_thing", "unknown smtpd restriction: \"no_such_thing\"");
        check("reject_rbl_client", "requires domain name argument");
        check("reject_rbl_client x=127.0.0.[2", "bad address pattern");
        check("check_client_access", "bad argument \"check_client_access\": need maptype:mapname");
        check("check_helo_access reject", "bad argument \"reject\": need maptype:mapname");
    }

    #[test]
    fn access_tables_have_a_subject_or_the_lists_own() {
        let lists = load(&[
            ("smtpd_restriction_classes", "by_table"),
            ("by_table", "hash:/b, reject"),
            ("smtpd_client_restrictions", "inline:{a=OK, b=NO} check_ccert_access hash:/s"),
            ("smtpd_sender_restrictions", "Check_Recipient_Access hash:/a, check_etrn_access hash:/b"),
        ])
        .unwrap();
        assert_eq!(lists.access_tables, ["inline:{a=OK, b=NO}", "hash:/a", "hash:/b"]);
        let access = |subject, table| Restriction::Access { subject, table };
        let client = &lists.smtpd_client_restrictions;
        assert!(matches!(&client[..], [first, Restriction::Nobody(_)] if *first == access(None, 0)));
        let sender = &lists.smtpd_sender_restrictions;
        let (recipient, etrn) = (Some(AccessSubject::Recipient), Some(AccessSubject::Etrn));
        assert_eq!(sender[..], [access(recipient, 1), access(etrn, 2)]);
        let class: Rc<Rules> = Rc::new([access(None, 2), Restriction::Reject]);
        let named = lists.named_by_table("by_table, permit nothing");
        let ignored = Restriction::Ignored("nothing".into());
        assert_eq!(named[..3], [Restriction::Class(class), Restriction::Permit, ignored]);
        assert!(matches!(&named[3], Restriction::Unusable(why) if why.contains("unknown")));
    }

    #[test]
    fn a_class_has_a_definition() {
        let check = |definition: &[(&str, &str)]| {
            let settings = [&[("smtpd_restriction_classes", "strict")], definition].concat();
            assert_eq!(
                load(&settings).unwrap_err().to_string(),
                "restriction class `strict' needs a definition"
            );
        };
        check(&[]);
        check(&[("strict", " ")]);
        check(&[("strict", ""), ("smtpd_client_restrictions", "strict")]);
    }

    #[test]
    fn there_is_no_open_relay_by_mistake() {
        let open = [("smtpd_relay_restrictions", "permit"), ("smtpd_recipient_restrictions", "")];
        assert!(load(&open).unwrap_err().to_string().contains("reject_unauth_destination"));
        let warned = [("smtpd_relay_restrictions", "warn_if_reject reject"), open[1]];
        assert!(load(&warned).is_err());
        assert!(load(&[("smtpd_relay_restrictions", "reject_unauth_destination")]).is_ok());
    }
}
