//! The zone in which a command prints and reads instants: the one that `[daemon].timezone` names, else the system's.
//!
//! A process prints in one zone, so it stands here once, and whoever prints need not be handed it. Programs get UTC (JSON and
//! CSV), whatever the zone.

use std::borrow::Cow;
use std::sync::OnceLock;

use chrono::{DateTime, Utc};

use super::exit::{Exit, Failure};
use crate::answers::time;

pub use crate::answers::time::{of_system, rough};
use crate::zone::Zone;

/// Set when the configuration is read; UTC before that.
static ZONE: OnceLock<Zone> = OnceLock::new();

/// From now on instants are printed and read in this zone. The first word holds.
pub fn print_in(zone: Zone) {
    let _ = ZONE.set(zone);
}

/// The zone in which instants are printed and read.
pub fn zone() -> Zone {
    ZONE.get().copied().unwrap_or(Zone::UTC)
}

/// An instant for people.
pub fn instant(at: DateTime<Utc>) -> String {
    time::shown(at, zone())
}

/// A text with every instant in it as people read them.
pub fn told(text: &str) -> Cow<'_, str> {
    time::told(text, zone())
}

/// A moment in the past: an age ("12h") or an instant.
pub fn since(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, Failure> {
    time::since(text, now, zone()).map_err(Failure::from)
}

/// A moment in the future: a time from now ("2h") or an instant.
pub fn until(text: &str, now: DateTime<Utc>) -> Result<DateTime<Utc>, Failure> {
    time::until(text, now, zone()).map_err(Failure::from)
}

impl From<time::Mistyped> for Failure {
    fn from(error: time::Mistyped) -> Self {
        Self::new(Exit::Usage, error.to_string())
    }
}
