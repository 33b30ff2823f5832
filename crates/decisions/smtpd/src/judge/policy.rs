//! `check_policy_service`: another program decides (SMTPD_POLICY_README).

use super::{
    Resolve,
    access_action::Hit,
    walk::{Status, Subject, Walk},
};
use crate::{PolicyService, record::Step};
use bstr::{BString, ByteSlice};
use config::{Values, params as p};
use maillog::{Logger, printable};
use std::rc::Rc;
use types::{Address, Lookup, Trouble};
use wire::policy::Encoder;
use world::Answer;

/// What a service that cannot be asked says where its own default action has asked it.
const LAST_RESORT: &str = "451 4.3.5 Server configuration problem";

/// Policy servers, as a judge asks them.
pub trait PolicyServers {
    /// The client of a service. Nothing is connected before it is asked.
    fn open(&self, service: &PolicyService) -> Rc<dyn PolicyServer>;
    /// A name for a message that no other has.
    fn instance(&self) -> String;
}

/// One policy server.
pub trait PolicyServer {
    /// The action that it wants taken; `None` when it gave no answer that can be used, which is logged.
    fn ask<'a>(&'a self, request: PolicyRequest<'a>) -> Answer<'a, Option<BString>>;
}

/// What a policy server is asked.
pub struct PolicyRequest<'a> {
    /// The whole request, ready to be sent.
    pub bytes: Vec<u8>,
    /// The message that it is about. A server may keep in mind what it was asked before about it, so requests about
    /// one message use one connection, and between them no other message does as long as there are enough.
    pub instance: Option<&'a Rc<Instance>>,
    /// For what goes wrong.
    pub log: &'a Logger,
}

/// Ties the requests about one message together, for as long as its transaction lasts.
#[derive(Debug, PartialEq, Eq)]
pub struct Instance {
    /// The attribute of this name.
    pub name: String,
}

/// No policy server is there; whoever asks for one gets no answer.
#[derive(Debug)]
pub struct NoPolicyServers;

impl PolicyServers for NoPolicyServers {
    fn open(&self, _service: &PolicyService) -> Rc<dyn PolicyServer> {
        Rc::new(Self)
    }

    fn instance(&self) -> String {
        String::new()
    }
}

impl PolicyServer for NoPolicyServers {
    fn ask<'a>(&'a self, _request: PolicyRequest<'a>) -> Answer<'a, Option<BString>> {
        Answer::ready(None)
    }
}

/// The policy services of one row of master.cf.
pub(super) struct Policies {
    source: Rc<dyn PolicyServers>,
    services: Vec<(PolicyService, Rc<dyn PolicyServer>)>,
    stress: String,
    compatibility_level: String,
    mail_version: String,
    smtputf8_enable: bool,
}

impl Policies {
    pub(super) fn open(values: &Values, services: &[PolicyService], source: &Rc<dyn PolicyServers>) -> Self {
        let opened = services.iter().map(|service| (service.clone(), source.open(service)));
        Self {
            source: Rc::clone(source),
            services: opened.collect(),
            stress: values.text(p::stress).to_owned(),
            compatibility_level: values.text(p::compatibility_level).to_owned(),
            mail_version: values.text(p::mail_version).to_owned(),
            smtputf8_enable: values.bool(p::smtputf8_enable),
        }
    }
}

impl<R: Resolve> Walk<'_, R> {
    /// Does what the server says, or the default action where it says nothing.
    pub(super) async fn policy(&mut self, service: usize, subject: Subject<'_>) -> Status {
        let judge = self.judge;
        let Some((service, server)) = judge.policies.services.get(service) else { return Status::Dunno };
        if self.question.transaction.is_some() && self.standing.effects.instance.is_none() {
            let name = judge.policies.source.instance();
            self.standing.effects.instance = Some(Rc::new(Instance { name }));
        }
        let instance = self.standing.effects.instance.clone();
        let bytes = self.policy_request(service, instance.as_deref());
        let log = self.question.log;
        let asked = PolicyRequest { bytes, instance: instance.as_ref(), log };
        let said = server.ask(asked).await.filter(|action| self.is_utf8(service, action));
        let hit = Hit { table: &service.name, key: "policy query".into(), subject };
        let answer = match &said {
            Some(action) => Lookup::Found(action.to_vec()),
            None => {
                Lookup::TryAgain(Trouble::new(format!("no answer from policy server {}", service.server)))
            }
        };
        self.tell(Step::Asked { table: &service.name, key: hit.key, answer: &answer });
        match said {
            Some(action) => self.act(hit, &action.to_str_lossy()).await,
            None => {
                // A default action that asks the service again must come to an end.
                let is_first = self.default_actions == 0;
                let action = if is_first { service.default_action.as_str() } else { LAST_RESORT };
                self.default_actions += 1;
                let status = self.act(hit, action).await;
                self.default_actions -= 1;
                status
            }
        }
    }

    fn is_utf8(&self, service: &PolicyService, action: &BString) -> bool {
        let is_valid = !self.judge.policies.smtputf8_enable || action.to_str().is_ok();
        if !is_valid {
            let (name, action) = (&service.name, printable(action));
            let text = format!("malformed UTF-8 in policy server {name} response: \"{action}\"");
            self.question.log.warning(&text);
        }
        is_valid
    }

    /// All 32 attributes, in the order in which Postfix sends them.
    fn policy_request(&self, service: &PolicyService, instance: Option<&Instance>) -> Vec<u8> {
        let (question, peer, policies) = (self.question, self.question.peer, &self.judge.policies);
        let address = |address: Option<&Address>| address.map_or(&b""[..], Address::as_bytes).to_vec();
        let transaction = question.transaction;
        let has_envelope = matches!(question.place, "DATA" | "BDAT" | "END-OF-MESSAGE");
        let recipient_count = transaction.filter(|_| has_envelope).map_or(0, |t| t.recipients.len());
        let mut request = Encoder::new();
        request.put("request", "smtpd_access_policy");
        request.put("protocol_state", if question.place == "BDAT" { "DATA" } else { question.place });
        request.put("protocol_name", question.protocol);
        request.put("client_address", &peer.client.address);
        request.put("client_name", &peer.client.name);
        request.put("client_port", peer.port_text());
        request.put("reverse_client_name", &peer.reverse_name);
        request.put("server_address", peer.server_address_text());
        request.put("server_port", peer.server_port_text());
        request.put("helo_name", self.helo.map_or(&b""[..], |helo| helo.as_ref()));
        request.put("sender", address(self.sender));
        request.put("recipient", address(self.recipient));
        request.put("recipient_count", recipient_count.to_string());
        request.put("queue_id", question.queue_id.map(|id| id.to_string()).unwrap_or_default());
        request.put("instance", instance.map_or("", |instance| &instance.name));
        request.put("size", question.size_bytes.to_string());
        request.put("etrn_domain", self.etrn.map_or(&b""[..], |site| site.as_ref()));
        request.put("stress", &policies.stress);
        let login = peer.login.as_deref();
        request.put("sasl_method", login.map_or("", |login| &login.method));
        request.put("sasl_username", login.map_or("", |login| &login.username));
        request.put("sasl_sender", question.sasl().sender.map_or(&b""[..], |sender| sender.as_ref()));
        for name in ["ccert_subject", "ccert_issuer", "ccert_fingerprint", "ccert_pubkey_fingerprint"] {
            request.put(name, "");
        }
        request.put("encryption_protocol", "");
        request.put("encryption_cipher", "");
        request.put("encryption_keysize", "0");
        request.put("tls_sni", "");
        request.put("policy_context", &service.policy_context);
        request.put("compatibility_level", &policies.compatibility_level);
        request.put("mail_version", &policies.mail_version);
        request.finish()
    }
}
