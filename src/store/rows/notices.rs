//! Alerts and what was told of them as rows.

use sqlx::FromRow;

use super::{Micros, instant, number, word};
use crate::domain::{Alert, AlertState};
use crate::store::fault::Fault;
use crate::store::notices::Notice;

#[derive(Debug, FromRow)]
pub(in crate::store) struct RawNotice {
    alert: String,
    org: String,
    subject: String,
    since: Micros,
    count: i64,
    standing: bool,
    changed_at: Micros,
    tries: i64,
}

impl TryFrom<RawNotice> for Notice {
    type Error = Fault;

    fn try_from(row: RawNotice) -> Result<Self, Fault> {
        let name = word("notices.alert", &row.alert)?;
        let alert = Alert::from_parts(name, row.org.into(), &row.subject)
            .map_err(|error| Fault::Row(format!("notices.subject: {error}")))?;
        Ok(Self {
            alert,
            state: if row.standing {
                AlertState::Open
            } else {
                AlertState::Resolved
            },
            since: instant("notices.since", row.since)?,
            count: number("notices.count", row.count)?,
            changed_at: instant("notices.changed_at", row.changed_at)?,
            tries: number("notices.tries", row.tries)?,
        })
    }
}
