//! Where recipients go: address resolution for the scheduler, and for aliases.

use qmgr::Routed;
use rewrite::{Context, Rewriter};
use types::{Address, Lookup, Recipient, Resolved, Trouble};
use world::Answer;

/// Resolves recipients of a message, in order.
pub(crate) async fn resolve(rewriter: &Rewriter, sender: &Address, recipients: &[Recipient]) -> Vec<Routed> {
    let mut routed = Vec::with_capacity(recipients.len());
    for recipient in recipients {
        let answer = match rewriter.resolve(sender, &recipient.address).await {
            Lookup::Found(resolved) => Ok(resolved),
            Lookup::Absent => Err(Trouble::new("address resolver failure")),
            Lookup::TryAgain(trouble) => Err(trouble),
        };
        routed.push(Routed { recipient: recipient.clone(), answer });
    }
    routed
}

/// When no route could be found out for any of them.
pub(crate) fn none(recipients: Vec<Recipient>, why: &str) -> Vec<Routed> {
    let trouble = || Trouble::new(format!("address resolver failure: {why}"));
    recipients.into_iter().map(|recipient| Routed { recipient, answer: Err(trouble()) }).collect()
}

/// Addresses of aliases and forward files: spelled canonically, then resolved.
pub(crate) struct AliasRouter<'a>(pub(crate) &'a Rewriter);

impl local::Router for AliasRouter<'_> {
    fn route<'a>(&'a self, sender: &'a Address, external: &'a [u8]) -> Answer<'a, Lookup<Resolved>> {
        Answer::later(async move {
            let canonical = self.0.rewrite_external(Context::Local, external);
            let internal = message::unquote_822_local(canonical.trim_ascii());
            self.0.resolve(sender, &Address::new(internal.into_owned())).await
        })
    }
}
