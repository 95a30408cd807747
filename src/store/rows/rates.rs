//! What is remembered of an org's rates, as a row.

use super::{Micros, instant};
use crate::domain::ids::Org;
use crate::store::fault::Fault;
use crate::store::rates::HeldBack;

#[derive(sqlx::FromRow)]
pub(in crate::store) struct RawHeldBack {
    org: String,
    until: Micros,
}

impl TryFrom<RawHeldBack> for HeldBack {
    type Error = Fault;

    fn try_from(row: RawHeldBack) -> Result<Self, Fault> {
        Ok(Self {
            org: Org::new(row.org),
            until: instant("held_back.until", row.until)?,
        })
    }
}
