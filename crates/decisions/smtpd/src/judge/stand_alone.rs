//! `sendmail -bs`: a local user, who may do with SMTP what the sendmail command lets anyone do. No restriction applies,
//! and no table is opened but those that change what is spoken: they may be ones that only mail_owner can read.

use super::{screening::Screening, size_refusal};
use crate::{Answer, Ask, Flushed, Grant, Grants, MailChecks, Question, SmtpdSettings, Verdict};
use config::{Values, params as p};
use maps::{NameAddrList, parent_style};
use std::rc::Rc;
use world::Tables;

/// Answers the questions of a session on standard input.
pub struct StandAlone {
    settings: Rc<SmtpdSettings>,
    screening: Screening,
    smtpd_authorized_verp_clients: NameAddrList,
}

impl StandAlone {
    /// `settings` are those of [`SmtpdSettings::load_stand_alone`].
    pub fn new(settings: Rc<SmtpdSettings>, values: &Values, tables: &dyn Tables) -> Self {
        let screening = Screening::open(&settings, values, tables);
        let title = "smtpd_authorized_verp_clients";
        let style = parent_style(values.text(p::parent_domain_matches_subdomains), title);
        let clients = values.text(p::smtpd_authorized_verp_clients);
        let smtpd_authorized_verp_clients = NameAddrList::open(title, style, clients, tables);
        Self { settings, screening, smtpd_authorized_verp_clients }
    }

    /// Answers.
    pub async fn answer(&self, question: Question<'_>) -> Verdict {
        let standing = question.standing.clone();
        let answer = match question.ask {
            Ask::Connect => {
                let (discard, is_discard_unknown) = self.screening.discard(&question).await;
                Answer::Client {
                    bare_newlines_allowed: true,
                    discard,
                    is_discard_unknown,
                    grants: Grants { xverp: self.may_xverp(&question).await, ..Grants::default() },
                    is_counted: false,
                }
            }
            Ask::Screen(line) => self.screening.screen(&question, line).await,
            Ask::Unknown(line) => self.screening.unknown(&question, line).await,
            Ask::Mail { checks: MailChecks::Address, .. } => Answer::Accept,
            Ask::Mail { sender, size_bytes, .. } => {
                let refusal = size_refusal(&self.settings, &question, sender, *size_bytes);
                refusal.map_or(Answer::AcceptLocal, Answer::Refuse)
            }
            Ask::Reply(reply) => Answer::Reply(reply.clone()),
            Ask::Etrn(_) => Answer::Flushed(Flushed::Failed),
            Ask::Client | Ask::Helo(_) | Ask::Rcpt { .. } | Ask::Vrfy { .. } | Ask::Data | Ask::EndOfData => {
                Answer::Accept
            }
        };
        Verdict { answer, standing }
    }

    async fn may_xverp(&self, question: &Question<'_>) -> Grant {
        let client = &question.peer.client;
        let clients = &self.smtpd_authorized_verp_clients;
        Grant::of(clients.matches(client.name.as_bytes(), &client.address).await, question.log)
    }
}
