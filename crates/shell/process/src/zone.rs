//! The local time zone, asked once an hour: its offset changes twice a year, and every message wants it.

use message::LocalZone;
use std::cell::RefCell;
use types::WallTime;

/// Remembers the zone.
#[derive(Debug)]
pub struct Zone {
    always: Option<LocalZone>,
    known: RefCell<Option<(i64, LocalZone)>>,
}

/// Zones change at full quarters of an hour.
const QUARTER_SECONDS: i64 = 900;

impl Zone {
    /// `always`, where it is given.
    #[must_use]
    pub fn new(always: Option<LocalZone>) -> Self {
        Self { always, known: RefCell::default() }
    }

    /// The zone at a time.
    #[must_use]
    pub fn at(&self, now: WallTime) -> LocalZone {
        if let Some(zone) = &self.always {
            return zone.clone();
        }
        let quarter = now.seconds.div_euclid(QUARTER_SECONDS);
        let mut known = self.known.borrow_mut();
        if let Some((at, zone)) = known.as_ref()
            && *at == quarter
        {
            return zone.clone();
        }
        let local = sys::clock::LocalTime::at(now.seconds);
        let zone =
            LocalZone { utc_offset_seconds: local.offset_seconds, name: sys::clock::zone_name(now.seconds) };
        *known = Some((quarter, zone.clone()));
        zone
    }
}
