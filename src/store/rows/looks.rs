//! Looks as rows.

use super::{Micros, instant, instant_opt};
use sqlx::types::Json;

use crate::domain::Issue;
use crate::domain::ids::ReferenceId;
use crate::store::fault::Fault;
use crate::store::looks::{Look, LookMark, Sweep};

/// A look on its way out.
#[derive(sqlx::FromRow)]
pub(in crate::store) struct LookRow {
    reference_id: String,
    looked_at: Micros,
    issues: Json<Vec<Issue>>,
    again_at: Option<Micros>,
}

impl TryFrom<LookRow> for Look {
    type Error = Fault;

    fn try_from(row: LookRow) -> Result<Self, Fault> {
        Ok(Self {
            looked_at: instant("looks.looked_at", row.looked_at)?,
            issues: row.issues.0,
            again_at: instant_opt("looks.again_at", row.again_at)?,
            reference_id: row.reference_id.into(),
        })
    }
}

/// A look's mark.
pub(in crate::store) fn look_mark(
    reference_id: ReferenceId,
    looked_at: Micros,
) -> Result<LookMark, Fault> {
    Ok(LookMark {
        looked_at: instant("looks.looked_at", looked_at)?,
        reference_id,
    })
}

/// The marks of a JSON array of pairs.
pub(in crate::store) fn look_marks(page: &str) -> Result<Vec<LookMark>, Fault> {
    let pairs: Vec<(ReferenceId, i64)> = serde_json::from_str(page)
        .map_err(|error| Fault::Row(format!("a page of looks: {error}")))?;
    pairs
        .into_iter()
        .map(|(id, at)| look_mark(id, Micros(at)))
        .collect()
}

/// A sweep on its way out.
#[derive(sqlx::FromRow)]
pub(in crate::store) struct SweepRow {
    began: Micros,
    pub(in crate::store) rules: String,
}

impl TryFrom<SweepRow> for Sweep {
    type Error = Fault;

    fn try_from(row: SweepRow) -> Result<Self, Fault> {
        Ok(Self {
            began: instant("sweeps.began", row.began)?,
            rules: row.rules,
        })
    }
}
