//! `permit_mx_backup`: are we a mail exchanger of the domain that is not its best one?

use super::{
    Resolve,
    names::Outcome,
    walk::{Status, Subject, Walk, refusal_text},
};
use bstr::ByteSlice;
use maps::{Filtered, NameAddrList};
use types::{Address, AddressClass, Dsn, Lookup, Reply, Trouble};
use world::{DnsAnswer, MxRecord, RecordData, RecordType};

impl<R: Resolve> Walk<'_, R> {
    pub(super) async fn mx_backup(
        &mut self,
        recipient: &Address,
        subject: Subject<'_>,
    ) -> Result<Status, Trouble> {
        self.judge.warn_of_mx_backup(self.question.log);
        let allow_routing = self.judge.allow_untrusted_routing;
        let resolved = self.resolve(recipient).await?;
        let Some(domain) = resolved.recipient.domain() else { return self.mx_permit(subject).await };
        if !allow_routing && resolved.is_routed {
            return Ok(Status::Dunno);
        }
        if resolved.class != AddressClass::Default {
            if resolved.class == AddressClass::Relay {
                self.judge.note_relay_domain(self.question, recipient);
            }
            return self.mx_permit(subject).await;
        }
        if domain.starts_with(b"[") && domain.ends_with(b"]") {
            return Ok(Status::Dunno);
        }
        let domain = domain.to_str_lossy().into_owned();
        let answer = self.judge.names.records(&domain, RecordType::Mx, self.question.log).await;
        let exchangers = match (Outcome::of(&answer), answer) {
            (Outcome::Found, Filtered::Answer(DnsAnswer::Records { records, .. })) => records,
            (why @ (Outcome::TryAgain | Outcome::Broken | Outcome::Dropped), _) => {
                let text = format!("Unable to look up mail exchanger information: {}", why.reason());
                return Ok(self.unable(subject, &text));
            }
            _ => return Ok(Status::Dunno),
        };
        let exchangers: Vec<MxRecord> = exchangers
            .into_iter()
            .filter_map(|record| if let RecordData::Mx(mx) = record.data { Some(mx) } else { None })
            .collect();
        let Some(best) = exchangers.iter().map(|mx| mx.preference).min() else { return Ok(Status::Dunno) };
        let (first, rest): (Vec<_>, Vec<_>) = exchangers.iter().partition(|mx| mx.preference == best);
        if self.is_among(&first, subject).await? || !self.is_among(&rest, subject).await? {
            return Ok(Status::Dunno);
        }
        if let Some(networks) = &self.judge.permit_mx_backup_networks {
            for mx in first {
                if !self.is_trusted(networks, &mx.host, subject).await {
                    return Ok(Status::Dunno);
                }
            }
        }
        self.mx_permit(subject).await
    }

    async fn mx_permit(&self, subject: Subject<'_>) -> Result<Status, Trouble> {
        Ok(self.permit("permit_mx_backup", subject, "").await)
    }

    /// Not known: what the rest refuses is refused for now only.
    fn unable(&mut self, subject: Subject<'_>, text: &str) -> Status {
        self.defer_rejects(Reply::new(450, Dsn::temporary(4, 4), refusal_text(subject, text)))
    }

    /// Whether one of these hosts is this machine: first by name, then by address.
    async fn is_among(&mut self, hosts: &[&MxRecord], subject: Subject<'_>) -> Result<bool, Trouble> {
        for mx in hosts {
            match self.judge.local.is_local(mx.host.as_bytes()).await {
                Lookup::Found(()) => return Ok(true),
                Lookup::Absent => {}
                Lookup::TryAgain(trouble) => return Err(trouble),
            }
        }
        for mx in hosts {
            match self.judge.names.addresses(&mx.host).await {
                Ok(addresses) if addresses.iter().any(|a| self.judge.own_addresses.contains(a)) => {
                    return Ok(true);
                }
                Ok(_) => {}
                Err(why) => {
                    let text = format!("Unable to look up mail exchanger host {}: {why}", mx.host);
                    self.unable(subject, &text);
                }
            }
        }
        Ok(false)
    }

    /// Whether all addresses of a host are in `permit_mx_backup_networks`.
    async fn is_trusted(&mut self, networks: &NameAddrList, host: &str, subject: Subject<'_>) -> bool {
        let addresses = match self.judge.names.recorded_addresses(host, self.question.log).await {
            Ok(addresses) => addresses,
            Err(why) => {
                let why = why.reason();
                self.unable(subject, &format!("Unable to look up host {host} as mail exchanger: {why}"));
                return false;
            }
        };
        for address in addresses {
            match networks.matches(host.as_bytes(), &address.to_string()).await {
                Ok(true) => {}
                Ok(false) => return false,
                Err(trouble) => {
                    self.question.log.warning(&trouble.to_string());
                    self.unable(subject, &format!("Unable to verify host {host} as mail exchanger"));
                    return false;
                }
            }
        }
        true
    }
}
