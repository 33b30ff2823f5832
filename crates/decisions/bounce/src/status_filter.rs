//! What an administrator makes of delivery results (postconf(5) `default_delivery_status_filter` and its kin).

use bstr::ByteSlice;
use maps::Maps;
use types::{Dsn, DsnClass, Lookup, Outcome, Status};
use world::Tables;

/// Tables whose keys are `code reason` and whose values stand in their place.
pub struct StatusFilter(Maps);

impl StatusFilter {
    /// `None` when `list` names no table; `title` is the parameter's name.
    #[must_use]
    pub fn open(title: &str, list: &str, tables: &dyn Tables) -> Option<Self> {
        (!list.is_empty()).then(|| Self(Maps::open(title, list, tables)))
    }

    /// Replaces the code, and the reason by what follows it, if anything. A failure may become final or temporary; success stays success, and failure stays
    /// failure. An error is for the log, and nothing is changed.
    pub async fn apply(&self, outcome: &mut Outcome, status: &mut Status) -> Result<(), String> {
        let key = [status.dsn.to_string().as_bytes(), b" ", status.reason.as_slice()].concat();
        let value = match self.0.find(&key).await {
            Lookup::Absent => return Ok(()),
            Lookup::Found(value) => value,
            Lookup::TryAgain(trouble) => return Err(trouble.to_string()),
        };
        let (code, reason) = value.split_at(value.find_byteset(b" \t").unwrap_or(value.len()));
        let dsn: Option<Dsn> = code.to_str().ok().and_then(|code| code.parse().ok());
        let is_success = |dsn: &Dsn| dsn.class == DsnClass::Success;
        let Some(dsn) = dsn.filter(|dsn| is_success(dsn) == (*outcome == Outcome::Sent)) else {
            return Err(format!("{}: bad status code: {}", self.0.title(), value.as_bstr()));
        };
        status.dsn = dsn;
        let reason = reason.trim_ascii_start();
        if !reason.is_empty() {
            status.reason = reason.into();
        }
        *outcome = match dsn.class {
            DsnClass::Success => Outcome::Sent,
            DsnClass::Temporary => Outcome::Deferred,
            DsnClass::Permanent => Outcome::Bounced,
        };
        Ok(())
    }
}
