//! ETRN (RFC 1985): a client asks that the mail which waits for a site be tried now, which is done for the sites of
//! `fast_flush_domains`, by flush(8).

use super::{Judge, Resolve, walk::Walk};
use crate::{AccessSubject, Answer, Question, Verdict};
use bstr::BStr;
use config::{Values, params as p};
use maillog::{Event, OldDefault};
use maps::{DomainList, parent_style};
use std::rc::Rc;
use types::Reply;
use world::Tables;

pub(super) const ETRN: &str = "Etrn command";

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flushed {
    /// What waits is tried.
    Started,
    /// Not for this site.
    Denied,
    /// The request was no good.
    Bad,
    /// It could not be carried out, or nobody was there to do it.
    Failed,
}

/// flush(8), as seen from here.
pub trait FlushService {
    /// Asks that the mail for a site be tried now.
    fn send_site<'a>(&'a self, site: &'a str) -> world::Answer<'a, Flushed>;
}

/// For those who have none.
pub struct NoFlushService;

impl FlushService for NoFlushService {
    fn send_site<'a>(&'a self, _site: &'a str) -> world::Answer<'a, Flushed> {
        world::Answer::ready(Flushed::Failed)
    }
}

/// Whom mail is flushed for, and by whom.
pub(super) struct Flushing {
    fast_flush_domains: DomainList,
    service: Rc<dyn FlushService>,
    /// The list is that of an old default.
    has_old_default: bool,
}

impl Flushing {
    pub(super) fn open(values: &Values, tables: &dyn Tables, service: &Rc<dyn FlushService>) -> Self {
        let title = "fast_flush_domains";
        let style = parent_style(values.text(p::parent_domain_matches_subdomains), title);
        Self {
            fast_flush_domains: DomainList::open(title, style, values.text(p::fast_flush_domains), tables),
            service: Rc::clone(service),
            has_old_default: values.has_old_default(p::relay_domains)
                && !values.is_set(p::fast_flush_domains),
        }
    }

    async fn send_site(&self, question: &Question<'_>, site: &str) -> Flushed {
        match self.fast_flush_domains.matches(site.as_bytes()).await {
            Ok(true) => {
                if self.has_old_default {
                    let domain = BStr::new(site);
                    question.log.event(&Event::OldDefault(OldDefault::FlushDomain(domain)));
                }
                self.service.send_site(site).await
            }
            Ok(false) => Flushed::Denied,
            Err(trouble) => {
                question.log.warning(&trouble.to_string());
                Flushed::Failed
            }
        }
    }
}

impl<R: Resolve> Judge<R> {
    pub(super) async fn etrn(&self, question: &Question<'_>, site: &str) -> Verdict {
        let mut walk = self.walk(question, None, None);
        walk.etrn = Some(site.into());
        let refusal = walk.check_etrn(site).await;
        let standing = walk.into_standing();
        let answer = match refusal {
            Some(reply) => Answer::Refuse(reply),
            None => Answer::Flushed(self.flushing.send_site(question, site).await),
        };
        Verdict { answer, standing }
    }
}

impl<R: Resolve> Walk<'_, R> {
    async fn check_etrn(&mut self, site: &str) -> Option<Reply> {
        if self.judge.settings.protocol.smtpd_delay_reject {
            if let Some(refusal) = self.check_client().await {
                return Some(refusal);
            }
            if let Some(refusal) = self.check_helo().await {
                return Some(refusal);
            }
        }
        let standing = &self.standing;
        let deferred = standing.defer_client.clone().or_else(|| standing.defer_helo.clone());
        let rules = Rc::clone(&self.judge.settings.restrictions.smtpd_etrn_restrictions);
        self.check_list(&rules, AccessSubject::Etrn, (site, ETRN), deferred).await
    }
}
