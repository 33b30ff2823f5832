//! The tables of cleanup, opened once.

use crate::CleanupSettings;
use maps::{AddressMaps, StringList};
use rewrite::Rewriter;
use std::rc::Rc;
use world::Tables;

/// Settings and open tables, shared by all messages of a service.
pub struct CleanupService {
    settings: CleanupSettings,
    pub(crate) rewriter: Rc<Rewriter>,
    pub(crate) canonical_maps: AddressMaps,
    pub(crate) sender_canonical_maps: AddressMaps,
    pub(crate) recipient_canonical_maps: AddressMaps,
    pub(crate) virtual_alias_maps: AddressMaps,
    pub(crate) sender_bcc_maps: AddressMaps,
    pub(crate) recipient_bcc_maps: AddressMaps,
    pub(crate) masquerade_exceptions: StringList,
}

impl CleanupService {
    /// Opens the tables. `own` has cleanup's own settings: how an address is looked up is one's own affair. `rewriter`
    /// has those of the trivial-rewrite service that `rewrite_service_name` says.
    #[must_use]
    pub fn new(
        settings: CleanupSettings,
        (own, rewriter): (&Rewriter, Rc<Rewriter>),
        tables: &dyn Tables,
    ) -> Self {
        let s = &settings;
        let open = |title: &str, list: &str| own.address_maps(title, list, tables);
        Self {
            canonical_maps: open("canonical_maps", &s.canonical_maps),
            sender_canonical_maps: open("sender_canonical_maps", &s.sender_canonical_maps),
            recipient_canonical_maps: open("recipient_canonical_maps", &s.recipient_canonical_maps),
            virtual_alias_maps: open("virtual_alias_maps", &s.virtual_alias_maps),
            sender_bcc_maps: open("sender_bcc_maps", &s.sender_bcc_maps),
            recipient_bcc_maps: open("recipient_bcc_maps", &s.recipient_bcc_maps),
            masquerade_exceptions: StringList::open(
                "masquerade_exceptions",
                &s.masquerade_exceptions,
                tables,
            ),
            rewriter,
            settings,
        }
    }

    /// What it was made of.
    #[must_use]
    pub fn settings(&self) -> &CleanupSettings {
        &self.settings
    }

    /// Address rewriting.
    #[must_use]
    pub fn rewriter(&self) -> &Rc<Rewriter> {
        &self.rewriter
    }
}
