//! Answers the questions of sessions: match lists, restriction lists, known recipients.

mod access;
mod access_action;
mod dns_lists;
mod dressing;
mod etrn;
mod hostname;
mod mx_backup;
mod names;
mod old_defaults;
mod policy;
mod screening;
mod sender_login;
mod server_access;
mod stand_alone;
mod unlisted;
mod unverified;
mod walk;

pub use etrn::{FlushService, Flushed, NoFlushService};
pub(crate) use hostname::{is_site, is_valid_hostname};
pub use policy::{Instance, NoPolicyServers, PolicyRequest, PolicyServer, PolicyServers};
pub use stand_alone::StandAlone;

use crate::{
    Answer, Ask, Clock, Grant, Grants, MailChecks, Question, SmtpdSettings, Standing, Verdict, Verify,
    record::Witness,
};
use access::AccessTables;
use config::{Values, params as p};
use dns_lists::DnsListReplies;
use dressing::Dressing;
use etrn::Flushing;
use maillog::{Event, SmtpdEvent};
use maps::{AddressMaps, ExtensionRules, Locality, Maps, NameAddrList, StringList, parent_style};
use names::Names;
use old_defaults::OldDefaults;
use policy::Policies;
use screening::Screening;
use std::{cell::Cell, future::Future, net::IpAddr, rc::Rc};
use types::{Address, Dsn, DsnClass, Lookup, Reply, Resolved};
use world::{Dns, Tables};

/// An address that no transport could take.
struct IllegalAddress;

/// trivial-rewrite as smtpd asks it: the address is completed as for a local client, then resolved.
pub trait Resolve {
    /// Where mail from `sender` to `address` goes; both in internal form.
    fn resolve(&self, sender: &Address, address: &Address) -> impl Future<Output = Lookup<Resolved>>;
}

impl Resolve for Rc<rewrite::Rewriter> {
    async fn resolve(&self, sender: &Address, address: &Address) -> Lookup<Resolved> {
        let address = rewrite::Rewriter::rewrite(self, rewrite::Context::Local, address);
        rewrite::Rewriter::resolve(self, sender, &address).await
    }
}

/// What a judge needs from its surroundings.
pub struct Surroundings<'t> {
    /// Opens tables.
    pub tables: &'t dyn Tables,
    /// Resolver.
    pub dns: Rc<dyn Dns>,
    /// As the C library looks for hosts: /etc/hosts before the resolver.
    pub host_names: Rc<dyn Dns>,
    /// Policy servers.
    pub policies: Rc<dyn PolicyServers>,
    /// The time as `$localtime` shows it: `Nov 21 20:15:00`.
    pub local_time: Rc<dyn Fn() -> String>,
    /// Who tries mail at once that waits.
    pub flush: Rc<dyn FlushService>,
    /// What is local, for addresses without `@domain` in tables.
    pub local: Rc<dyn Locality>,
    /// Addresses of our interfaces, for `permit_inet_interfaces`.
    pub own_addresses: Rc<[IpAddr]>,
    /// Free bytes of the queue's file system; may be some seconds old.
    pub free_bytes: Rc<dyn Fn() -> u64>,
    /// verify(8).
    pub verify: Rc<dyn Verify>,
    /// Time, for rules that wait.
    pub clock: Rc<dyn Clock>,
}

/// The judge of one service. One for each service and thread, for all its sessions.
pub struct Judge<R> {
    settings: Rc<SmtpdSettings>,
    resolver: R,
    names: Names,
    local: Rc<dyn Locality>,
    own_addresses: Rc<[IpAddr]>,
    free_bytes: Rc<dyn Fn() -> u64>,
    verify: Rc<dyn Verify>,
    clock: Rc<dyn Clock>,
    /// None where every network is good enough.
    permit_mx_backup_networks: Option<NameAddrList>,
    /// It was told that permit_mx_backup goes away.
    is_mx_backup_told: Cell<bool>,
    smtpd_sasl_auth_enable: bool,
    smtpd_sender_login_maps: AddressMaps,
    queue_minfree: u64,
    allow_untrusted_routing: bool,
    mynetworks: NameAddrList,
    local_header_rewrite_clients: Vec<RewriteClients>,
    smtpd_forbid_bare_newline_exclusions: NameAddrList,
    smtpd_authorized_verp_clients: NameAddrList,
    smtpd_authorized_xclient_hosts: NameAddrList,
    smtpd_authorized_xforward_hosts: NameAddrList,
    smtpd_client_event_limit_exceptions: NameAddrList,
    screening: Screening,
    recipients: RecipientTables,
    old_defaults: OldDefaults,
    access: AccessTables,
    policies: Policies,
    dns_list_replies: DnsListReplies,
    smtpd_log_access_permit_actions: StringList,
    flushing: Flushing,
    dressing: Dressing,
    local_time: Rc<dyn Fn() -> String>,
    witness: Option<Rc<dyn Witness>>,
}

/// The tables that say which addresses exist.
struct RecipientTables {
    recipient_canonical_maps: AddressMaps,
    sender_canonical_maps: AddressMaps,
    canonical_maps: AddressMaps,
    virtual_alias_maps: AddressMaps,
    local_recipient_maps: AddressMaps,
    virtual_mailbox_maps: AddressMaps,
    relay_recipient_maps: AddressMaps,
    double_bounce_sender: Vec<u8>,
}

/// One element of `local_header_rewrite_clients`.
enum RewriteClients {
    InetInterfaces,
    Mynetworks,
    Table(Maps),
    /// Known, and never true for now (SASL, TLS).
    Nobody,
}

/// Opens tables of addresses, given their title and their names.
fn address_maps<'t>(
    values: &Values,
    around: &'t Surroundings<'_>,
) -> impl Fn(&str, &str) -> AddressMaps + use<'t> {
    let extensions = Rc::new(ExtensionRules {
        recipient_delimiter: values.text(p::recipient_delimiter).as_bytes().into(),
        owner_request_special: values.bool(p::owner_request_special),
        double_bounce_sender: values.text(p::double_bounce_sender).as_bytes().into(),
    });
    let myorigin: Rc<[u8]> = values.text(p::myorigin).as_bytes().into();
    move |title, list| AddressMaps {
        maps: Maps::open(title, list, around.tables),
        extensions: Rc::clone(&extensions),
        myorigin: Rc::clone(&myorigin),
        local: Rc::clone(&around.local),
    }
}

impl RecipientTables {
    fn open(values: &Values, address_maps: impl Fn(&str, &str) -> AddressMaps) -> Self {
        let open = |id: p::Id, title| address_maps(title, values.text(id));
        Self {
            recipient_canonical_maps: open(p::recipient_canonical_maps, "recipient_canonical_maps"),
            sender_canonical_maps: open(p::sender_canonical_maps, "sender_canonical_maps"),
            canonical_maps: open(p::canonical_maps, "canonical_maps"),
            virtual_alias_maps: open(p::virtual_alias_maps, "virtual_alias_maps"),
            local_recipient_maps: open(p::local_recipient_maps, "local_recipient_maps"),
            virtual_mailbox_maps: open(p::virtual_mailbox_maps, "virtual_mailbox_maps"),
            relay_recipient_maps: open(p::relay_recipient_maps, "relay_recipient_maps"),
            double_bounce_sender: values.text(p::double_bounce_sender).as_bytes().to_vec(),
        }
    }
}

impl<R: Resolve> Judge<R> {
    /// Opens the tables of a service.
    pub fn new(settings: Rc<SmtpdSettings>, values: &Values, resolver: R, around: &Surroundings<'_>) -> Self {
        let parents = values.text(p::parent_domain_matches_subdomains);
        let hosts = |id, title: &str| {
            NameAddrList::open(title, parent_style(parents, title), values.text(id), around.tables)
        };
        let maps = address_maps(values, around);
        let access_tables = settings.restrictions.access_tables.clone();
        let policies = Policies::open(values, &settings.restrictions.policy_services, &around.policies);
        Self {
            resolver,
            names: Names::open(values, around),
            own_addresses: Rc::clone(&around.own_addresses),
            free_bytes: Rc::clone(&around.free_bytes),
            local: Rc::clone(&around.local),
            verify: Rc::clone(&around.verify),
            clock: Rc::clone(&around.clock),
            permit_mx_backup_networks: (!values.list(p::permit_mx_backup_networks).is_empty())
                .then(|| hosts(p::permit_mx_backup_networks, "permit_mx_backup_networks")),
            is_mx_backup_told: Cell::new(false),
            smtpd_sasl_auth_enable: values.bool(p::smtpd_sasl_auth_enable),
            smtpd_sender_login_maps: maps("smtpd_sender_login_maps", values.text(p::smtpd_sender_login_maps)),
            queue_minfree: u64::try_from(values.int(p::queue_minfree)).unwrap_or(0),
            allow_untrusted_routing: values.bool(p::allow_untrusted_routing),
            mynetworks: hosts(p::mynetworks, "mynetworks"),
            local_header_rewrite_clients: rewrite_clients(values, around.tables),
            smtpd_forbid_bare_newline_exclusions: hosts(
                p::smtpd_forbid_bare_newline_exclusions,
                "smtpd_forbid_bare_newline_exclusions",
            ),
            smtpd_authorized_verp_clients: hosts(
                p::smtpd_authorized_verp_clients,
                "smtpd_authorized_verp_clients",
            ),
            smtpd_authorized_xclient_hosts: hosts(
                p::smtpd_authorized_xclient_hosts,
                "smtpd_authorized_xclient_hosts",
            ),
            smtpd_authorized_xforward_hosts: hosts(
                p::smtpd_authorized_xforward_hosts,
                "smtpd_authorized_xforward_hosts",
            ),
            smtpd_client_event_limit_exceptions: hosts(
                p::smtpd_client_event_limit_exceptions,
                "smtpd_client_event_limit_exceptions",
            ),
            screening: Screening::open(&settings, values, around.tables),
            settings,
            recipients: RecipientTables::open(values, &maps),
            old_defaults: OldDefaults::of(values, around.tables),
            access: AccessTables::open(values, &access_tables, |name| maps(name, name)),
            policies,
            dns_list_replies: DnsListReplies::open(values, around.tables),
            smtpd_log_access_permit_actions: StringList::open(
                "smtpd_log_access_permit_actions",
                values.text(p::smtpd_log_access_permit_actions),
                around.tables,
            ),
            flushing: Flushing::open(values, around.tables, &around.flush),
            dressing: Dressing::open(values, around.tables),
            local_time: Rc::clone(&around.local_time),
            witness: None,
        }
    }

    /// The restriction goes away in some later Postfix.
    fn warn_of_mx_backup(&self, log: &maillog::Logger) {
        if !self.is_mx_backup_told.replace(true) {
            log.warning(
                "support for restriction \"permit_mx_backup\" will be removed from Postfix; \
                 instead, specify \"relay_domains\"",
            );
        }
    }

    /// Somebody who is told all that is evaluated.
    #[must_use]
    pub fn watched_by(self, witness: Rc<dyn Witness>) -> Self {
        Self { witness: Some(witness), ..self }
    }

    /// Answers. Ready at once when every look-up is.
    pub async fn answer(&self, question: Question<'_>) -> Verdict {
        let standing = question.standing.clone();
        match question.ask {
            Ask::Connect => self.connect(&question).await,
            Ask::Client => self.client(&question).await,
            Ask::Screen(line) => Verdict { answer: self.screening.screen(&question, line).await, standing },
            Ask::Unknown(line) => Verdict { answer: self.screening.unknown(&question, line).await, standing },
            Ask::Helo(name) => self.helo(&question, name).await,
            Ask::Mail { sender, size_bytes, is_smtputf8, checks, .. } => {
                if self.legal(sender, &Address::null(), *is_smtputf8).await.is_err() {
                    return Verdict { answer: Answer::IllegalAddress, standing };
                }
                self.note_smtputf8(&question, "sender", sender);
                match checks {
                    MailChecks::All => self.mail(&question, sender, *size_bytes).await,
                    MailChecks::Size => {
                        let refusal = size_refusal(&self.settings, &question, sender, *size_bytes);
                        Verdict { answer: refusal.map_or(Answer::Accept, Answer::Refuse), standing }
                    }
                    MailChecks::Address => Verdict { answer: Answer::Accept, standing },
                }
            }
            Ask::Rcpt { recipient, address_only } => {
                let transaction = question.transaction;
                let is_smtputf8 = transaction.is_some_and(|transaction| transaction.is_smtputf8);
                self.recipient(&question, recipient, is_smtputf8, *address_only).await
            }
            Ask::Vrfy { recipient, is_smtputf8, address_only } => {
                self.recipient(&question, recipient, *is_smtputf8, *address_only).await
            }
            Ask::Reply(reply) => {
                Verdict { answer: Answer::Reply(self.dress(&question, reply).await), standing }
            }
            Ask::Etrn(site) => self.etrn(&question, site).await,
            Ask::Data => {
                let rules = Rc::clone(&self.settings.restrictions.smtpd_data_restrictions);
                self.data(&question, &rules, "DATA", "Data command").await
            }
            Ask::EndOfData => {
                let rules = Rc::clone(&self.settings.restrictions.smtpd_end_of_data_restrictions);
                self.data(&question, &rules, "END-OF-MESSAGE", "End-of-data").await
            }
        }
    }

    async fn connect(&self, question: &Question<'_>) -> Verdict {
        let peer = question.peer;
        let name = peer.client.name.as_bytes();
        let address = peer.client.address.as_str();
        let in_mynetworks = Some(self.mynetworks.matches(name, address).await);
        let standing = Standing { in_mynetworks, ..Standing::default() };
        // A list that cannot be read excepts nobody from protection.
        let is_in = async |list: &NameAddrList| match list.matches(name, address).await {
            Ok(is_in) => is_in,
            Err(trouble) => {
                question.log.warning(&trouble.to_string());
                false
            }
        };
        let bare_newlines_allowed = is_in(&self.smtpd_forbid_bare_newline_exclusions).await;
        let is_counted =
            self.settings.client_limits.are_any() && !is_in(&self.smtpd_client_event_limit_exceptions).await;
        let (discard, is_discard_unknown) = self.screening.discard(question).await;
        let grant = async |list: &NameAddrList| Grant::of(list.matches(name, address).await, question.log);
        let grants = Grants {
            xclient: grant(&self.smtpd_authorized_xclient_hosts).await,
            xforward: grant(&self.smtpd_authorized_xforward_hosts).await,
            xverp: grant(&self.smtpd_authorized_verp_clients).await,
        };
        let answer =
            Answer::Client { bare_newlines_allowed, discard, is_discard_unknown, grants, is_counted };
        Verdict { answer, standing }
    }

    async fn client(&self, question: &Question<'_>) -> Verdict {
        let mut walk = self.walk(question, None, None);
        let refusal = walk.check_client().await;
        walk.verdict(refusal)
    }

    /// What an address resolves to, if that could be found out. Addresses that cannot be resolved at all are refused as bad
    /// syntax.
    async fn legal(
        &self,
        address: &Address,
        other: &Address,
        is_smtputf8: bool,
    ) -> Result<Option<Resolved>, IllegalAddress> {
        if address.is_null() {
            return Ok(None);
        }
        let Lookup::Found(resolved) = self.resolver.resolve(other, address).await else { return Ok(None) };
        let has_utf8_domain =
            resolved.recipient.domain().is_some_and(|domain| !domain.is_empty() && !domain.is_ascii());
        let is_illegal = resolved.is_error || (!is_smtputf8 && has_utf8_domain);
        if is_illegal { Err(IllegalAddress) } else { Ok(Some(resolved)) }
    }

    async fn recipient(
        &self,
        question: &Question<'_>,
        recipient: &Address,
        is_smtputf8: bool,
        address_only: bool,
    ) -> Verdict {
        let null = Address::null();
        let sender = question.transaction.map_or(&null, |transaction| &transaction.sender);
        let Ok(resolved) = self.legal(recipient, sender, is_smtputf8).await else {
            return Verdict { answer: Answer::IllegalAddress, standing: question.standing.clone() };
        };
        self.note_smtputf8(question, "recipient", recipient);
        if address_only {
            return Verdict { answer: Answer::Accept, standing: question.standing.clone() };
        }
        self.rcpt(question, recipient, resolved).await
    }

    /// Whether the client's addresses are completed with our domain.
    async fn is_local_client(&self, question: &Question<'_>) -> Result<bool, types::Trouble> {
        for clients in &self.local_header_rewrite_clients {
            let matches = match clients {
                RewriteClients::InetInterfaces => self.own_addresses.contains(&question.peer.socket_address),
                RewriteClients::Mynetworks => self.in_mynetworks(question).await?,
                RewriteClients::Table(maps) => {
                    maps.find(question.peer.client.address.as_bytes()).await.into_result()?.is_some()
                }
                RewriteClients::Nobody => false,
            };
            if matches {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn in_mynetworks(&self, question: &Question<'_>) -> Result<bool, types::Trouble> {
        if let Some(answer) = &question.standing.in_mynetworks {
            return answer.clone();
        }
        let client = &question.peer.client;
        self.mynetworks.matches(client.name.as_bytes(), &client.address).await
    }

    /// Space for one and a half messages, and `queue_minfree`.
    fn has_space(&self) -> bool {
        let free = (self.free_bytes)();
        let message = self.settings.limits.message_size_limit;
        self.queue_minfree < free && message < free / 3 * 2
    }
}

/// Refuses, and logs that, a message that is announced as larger than `message_size_limit`.
fn size_refusal(
    settings: &SmtpdSettings,
    question: &Question<'_>,
    sender: &Address,
    size_bytes: u64,
) -> Option<Reply> {
    let limit = settings.limits.message_size_limit;
    if limit == 0 || size_bytes <= limit {
        return None;
    }
    let mut reply = Reply::new(552, Dsn::permanent(3, 4), "Message size exceeds fixed limit");
    if settings.protocol.soft_bounce {
        reply.code -= 100;
        reply.dsn = reply.dsn.map(|dsn| dsn.with_class(DsnClass::Temporary));
    }
    question.log.event(&Event::Smtpd(SmtpdEvent::Reject {
        id: question.queue_id,
        what: "reject",
        stage: question.place,
        client: &question.peer.client,
        reply: &reply,
        sender: Some(sender),
        recipient: None,
        protocol: Some(question.protocol),
        helo: question.helo,
        sasl: question.sasl(),
    }));
    Some(reply)
}

fn rewrite_clients(values: &Values, tables: &dyn Tables) -> Vec<RewriteClients> {
    let title = "local_header_rewrite_clients";
    let names = values.list(p::local_header_rewrite_clients).into_iter();
    let parse = |name: &str| match name.to_ascii_lowercase().as_str() {
        "permit_inet_interfaces" => Some(RewriteClients::InetInterfaces),
        "permit_mynetworks" => Some(RewriteClients::Mynetworks),
        "check_address_map" => None,
        _ if name.contains(':') => Some(RewriteClients::Table(Maps::open(title, name, tables))),
        _ => Some(RewriteClients::Nobody),
    };
    names.filter_map(parse).collect()
}
