//! `reject_sender_login_mismatch` and its kin: who may use a sender address (postconf(5) `smtpd_sender_login_maps`).

use super::{
    Resolve,
    walk::{Status, Walk},
};
use crate::restrictions::SenderLogin;
use config::NotifyClasses;
use maps::{Strategy, casefold};
use types::{Address, Dsn, Lookup, Reply, Trouble};

impl<R: Resolve> Walk<'_, R> {
    pub(super) async fn sender_login(&mut self, rule: SenderLogin) -> Result<Status, Trouble> {
        if !self.judge.smtpd_sasl_auth_enable {
            let name = rule.name();
            self.question.log.warning(&format!("restriction `{name}' ignored: no SASL support"));
            return Ok(Status::Dunno);
        }
        let Some(sender) = self.sender.filter(|sender| !sender.is_null()) else { return Ok(Status::Dunno) };
        if self.judge.smtpd_sender_login_maps.maps.is_empty() {
            return Ok(Status::Dunno);
        }
        let login = self.question.peer.login.clone();
        match (rule, login) {
            (SenderLogin::Unauthenticated, Some(_)) | (SenderLogin::Authenticated, None) => Ok(Status::Dunno),
            (_, None) => {
                let is_owned = self.owners(sender).await?.is_some();
                let text = format!("<{sender}>: Sender address rejected: not logged in");
                Ok(if is_owned { self.refuse_sender(text) } else { Status::Dunno })
            }
            (rule, Some(login)) => {
                let username = casefold(login.username.as_bytes()).to_vec();
                let is_owner = match self.owners(sender).await? {
                    None if rule == SenderLogin::Known => return Ok(Status::Dunno),
                    None => false,
                    Some(owners) => {
                        let names = owners.split(|byte| matches!(byte, b',' | b' ' | b'\t' | b'\r' | b'\n'));
                        names.into_iter().any(|name| !name.is_empty() && *casefold(name) == *username)
                    }
                };
                let username = &login.username;
                let text = format!("<{sender}>: Sender address rejected: not owned by user {username}");
                Ok(if is_owner { Status::Dunno } else { self.refuse_sender(text) })
            }
        }
    }

    fn refuse_sender(&mut self, text: String) -> Status {
        self.reject(NotifyClasses::POLICY, Reply::new(553, Dsn::permanent(7, 1), text))
    }

    /// Who owns an address, by its canonical spelling.
    async fn owners(&mut self, sender: &Address) -> Result<Option<Vec<u8>>, Trouble> {
        let canonical = self.resolve(sender).await?.recipient.clone();
        let maps = &self.judge.smtpd_sender_login_maps;
        match maps.find(canonical.as_bytes(), Strategy::DEFAULT).await {
            Lookup::Found(found) => Ok(Some(found.value.to_vec())),
            Lookup::Absent => Ok(None),
            Lookup::TryAgain(trouble) => Err(trouble),
        }
    }
}
