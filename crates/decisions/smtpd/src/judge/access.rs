//! Access tables: what is looked up in them, in which order (access(5)).

use super::{
    Resolve,
    access_action::Hit,
    etrn::ETRN,
    walk::{CLIENT, HELO, RECIPIENT, REVERSE_CLIENT, SASL_USER, SENDER, Status, Subject, Walk},
};
use crate::{AccessSubject, record::Step};
use bstr::{BStr, ByteSlice};
use config::{Values, params as p};
use maps::{AddressMaps, Maps, ParentStyle, Part, Strategy, parent_style};
use std::net::IpAddr;
use types::{Address, Lookup, Trouble};

/// The access tables of a service, opened ahead of time.
pub(super) struct AccessTables {
    tables: Vec<AddressMaps>,
    parents: ParentStyle,
    pub(super) smtpd_null_access_lookup_key: Vec<u8>,
}

impl AccessTables {
    /// `open` opens one table under its own name.
    pub(super) fn open(values: &Values, names: &[String], open: impl Fn(&str) -> AddressMaps) -> Self {
        let parents = values.text(p::parent_domain_matches_subdomains);
        Self {
            tables: names.iter().map(|name| open(name)).collect(),
            parents: parent_style(parents, "smtpd_access_maps"),
            smtpd_null_access_lookup_key: values.text(p::smtpd_null_access_lookup_key).as_bytes().to_vec(),
        }
    }

    pub(super) fn maps(&self, table: usize) -> &Maps {
        &self.tables[table].maps
    }

    /// A name, then its parent domains. A name that is an address has no parents.
    pub(super) async fn find_domain(&self, maps: &Maps, name: &[u8]) -> Lookup {
        let is_number = name.to_str().is_ok_and(|text| text.parse::<IpAddr>().is_ok());
        let (mut name, mut part) = (name, Part::Whole);
        while !name.is_empty() {
            match maps.find_part(name, part).await {
                Lookup::Absent => {}
                answer => return answer,
            }
            let Some(dot) = name.get(1..).and_then(|rest| rest.find_byte(b'.')) else { break };
            if is_number {
                break;
            }
            name = &name[dot + 1..];
            if self.parents == ParentStyle::Parent {
                name = &name[1..];
            }
            part = Part::Partial;
        }
        Lookup::Absent
    }

    /// All forms of an address, with and without extension, then its domain and the parents, then `user@`.
    async fn find_mail(&self, maps: &AddressMaps, address: &[u8]) -> Lookup {
        let parents = match self.parents {
            ParentStyle::Parent => Strategy::PARENTS,
            ParentStyle::DotParent => Strategy::DOT_PARENTS,
        };
        let strategy = Strategy::FULL | Strategy::NOEXT | Strategy::DOMAIN | Strategy::LOCALPART_AT | parents;
        match maps.find(address, strategy).await {
            Lookup::Found(hit) => Lookup::Found(hit.value),
            Lookup::Absent => Lookup::Absent,
            Lookup::TryAgain(trouble) => Lookup::TryAgain(trouble),
        }
    }
}

/// An address, then the networks that it is in: one number less each time.
pub(super) async fn find_network(maps: &Maps, address: &[u8]) -> Lookup {
    let separator = if address.contains(&b':') { b':' } else { b'.' };
    let (mut address, mut part) = (address, Part::Whole);
    loop {
        match maps.find_part(address, part).await {
            Lookup::Absent => {}
            answer => return answer,
        }
        let Some(at) = address.rfind_byte(separator) else { return Lookup::Absent };
        address = &address[..at];
        part = Part::Partial;
    }
}

impl<'w, R: Resolve> Walk<'w, R> {
    /// `check_*_access type:table`; without a subject, that of the list.
    pub(super) async fn access(
        &mut self,
        subject: Option<AccessSubject>,
        table: usize,
        list: Subject<'_>,
    ) -> Result<Status, Trouble> {
        let Some(subject) = subject.or(self.list_subject) else {
            let name = self.access_table(table);
            self.question.log.warning(&format!(
                "specify one of (check_client_access, check_reverse_client_hostname_access, \
                 check_helo_access, check_sender_access, check_recipient_access, check_etrn_access) \
                 before {} restriction \"{name}\"",
                list.class
            ));
            return Ok(self.server_error());
        };
        match subject {
            AccessSubject::Client => {
                let client = &self.question.peer.client;
                let name = client.to_string();
                let subject = Subject { name: name.as_str().into(), class: CLIENT };
                Ok(self.host_access(table, client.name.as_bytes(), subject).await)
            }
            AccessSubject::ReverseClient => {
                let name = self.question.peer.reverse_name.as_bytes();
                let subject = Subject { name: name.as_bstr(), class: REVERSE_CLIENT };
                let status = self.host_access(table, name, subject).await;
                Ok(self.forbid_ok("check_reverse_client_hostname_access", subject, status))
            }
            AccessSubject::Helo => match self.helo {
                Some(helo) => {
                    let subject = Subject { name: helo, class: HELO };
                    let tables = &self.judge.access;
                    let answer = tables.find_domain(&tables.tables[table].maps, helo).await;
                    Ok(self
                        .found(Hit { table: self.access_table(table), key: helo, subject }, answer)
                        .await
                        .unwrap_or(Status::Dunno))
                }
                None => Ok(Status::Dunno),
            },
            AccessSubject::Sender => match self.sender {
                Some(sender) => self.mail_access(table, sender, SENDER).await,
                None => Ok(Status::Dunno),
            },
            AccessSubject::Recipient => match self.recipient.filter(|recipient| !recipient.is_null()) {
                Some(recipient) => self.mail_access(table, recipient, RECIPIENT).await,
                None => Ok(Status::Dunno),
            },
            AccessSubject::Etrn => match self.etrn {
                Some(site) => {
                    let subject = Subject { name: site, class: ETRN };
                    let tables = &self.judge.access;
                    let answer = tables.find_domain(&tables.tables[table].maps, site).await;
                    let hit = Hit { table: self.access_table(table), key: site, subject };
                    Ok(self.found(hit, answer).await.unwrap_or(Status::Dunno))
                }
                None => Ok(Status::Dunno),
            },
            AccessSubject::SaslUser => Ok(Box::pin(self.sasl_access(table)).await),
        }
    }

    /// `check_sasl_access`: the name that the client has logged in with, as it is.
    async fn sasl_access(&mut self, table: usize) -> Status {
        if !self.judge.smtpd_sasl_auth_enable {
            self.question.log.warning("restriction `check_sasl_access' ignored: no SASL support");
            return Status::Dunno;
        }
        let Some(login) = self.question.peer.login.as_ref().filter(|login| !login.username.is_empty()) else {
            return Status::Dunno;
        };
        let username = login.username.clone();
        let subject = Subject { name: username.as_bytes().as_bstr(), class: SASL_USER };
        let answer = self.judge.access.maps(table).find(username.as_bytes()).await;
        let hit = Hit { table: self.access_table(table), key: subject.name, subject };
        self.found(hit, answer).await.unwrap_or(Status::Dunno)
    }

    pub(super) fn access_table(&self, table: usize) -> &'w str {
        self.judge.access.tables[table].maps.title()
    }

    /// The client's name, then its address.
    async fn host_access(&mut self, table: usize, name: &[u8], subject: Subject<'_>) -> Status {
        let tables = &self.judge.access;
        let maps = &tables.tables[table].maps;
        let answer = tables.find_domain(maps, name).await;
        if let Some(status) =
            self.found(Hit { table: self.access_table(table), key: name.into(), subject }, answer).await
        {
            return status;
        }
        let address = self.question.peer.client.address.as_bytes();
        let answer = find_network(maps, address).await;
        self.found(Hit { table: self.access_table(table), key: address.into(), subject }, answer)
            .await
            .unwrap_or(Status::Dunno)
    }

    async fn mail_access(
        &mut self,
        table: usize,
        address: &Address,
        class: &'static str,
    ) -> Result<Status, Trouble> {
        let subject = Subject { name: address.as_bstr(), class };
        let tables = &self.judge.access;
        let maps = &tables.tables[table];
        if address.is_null() {
            let key = &tables.smtpd_null_access_lookup_key;
            let answer = maps.maps.find(key).await;
            let hit = Hit { table: self.access_table(table), key: key.as_bstr(), subject };
            return Ok(self.found(hit, answer).await.unwrap_or(Status::Dunno));
        }
        let resolved = self.resolve(address).await?;
        let (key, is_routed) = (resolved.recipient.as_bytes().to_vec(), resolved.is_routed);
        if !key.contains(&b'@') {
            let text = format!("no @domain in address: {}", key.as_bstr());
            self.question.log.warning(&text);
            return Ok(Status::Dunno);
        }
        let answer = tables.find_mail(maps, &key).await;
        let status =
            self.found(Hit { table: self.access_table(table), key: key.as_bstr(), subject }, answer).await;
        // An address that asks for another hop after us is too suspicious to be permitted.
        let is_suspicious = is_routed && class == RECIPIENT && !self.judge.allow_untrusted_routing;
        Ok(match status {
            Some(Status::Ok) if is_suspicious => Status::Dunno,
            status => status.unwrap_or(Status::Dunno),
        })
    }

    /// `None` when the table has nothing. A table that cannot be asked refuses for now.
    pub(super) async fn found(&mut self, hit: Hit<'_>, answer: Lookup) -> Option<Status> {
        let key: &BStr = hit.key;
        self.tell(Step::Asked { table: hit.table, key, answer: &answer });
        match answer {
            Lookup::Absent => None,
            Lookup::Found(value) => Some(self.act(hit, &value.to_str_lossy()).await),
            Lookup::TryAgain(trouble) => {
                self.question.log.warning(&trouble.to_string());
                Some(self.act(hit, "451 4.3.5 Server configuration error").await)
            }
        }
    }

    /// What anybody can put into DNS must not permit anything.
    pub(super) fn forbid_ok(&mut self, restriction: &str, subject: Subject<'_>, status: Status) -> Status {
        if status != Status::Ok || self.standing.effects.is_discarded {
            return status;
        }
        let log = self.question.log;
        log.warning(&format!("restriction {restriction} returns OK for {}", subject.name));
        log.warning("this is not allowed for security reasons");
        log.warning("use DUNNO instead of OK if you want to make an exception");
        self.server_error()
    }
}
