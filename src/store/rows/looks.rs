//! Looks as rows.

use super::{Micros, instant, micros};
use sqlx::types::Json;

use crate::domain::Issue;
use crate::domain::ids::ReferenceId;
use crate::store::fault::Fault;
use crate::store::looks::Look;

/// A look on its way in; its issues as one JSON text.
#[derive(serde::Serialize)]
pub(in crate::store) struct NewLook<'a> {
    reference_id: &'a ReferenceId,
    looked_at: i64,
    issues: &'a [Issue],
}

impl<'a> From<&'a Look> for NewLook<'a> {
    fn from(look: &'a Look) -> Self {
        Self {
            reference_id: &look.reference_id,
            looked_at: micros(look.looked_at),
            issues: &look.issues,
        }
    }
}

/// A look on its way out.
#[derive(sqlx::FromRow)]
pub(in crate::store) struct LookRow {
    reference_id: String,
    looked_at: Micros,
    issues: Json<Vec<Issue>>,
}

impl TryFrom<LookRow> for Look {
    type Error = Fault;

    fn try_from(row: LookRow) -> Result<Self, Fault> {
        Ok(Self {
            looked_at: instant("looks.looked_at", row.looked_at)?,
            issues: row.issues.0,
            reference_id: row.reference_id.into(),
        })
    }
}
