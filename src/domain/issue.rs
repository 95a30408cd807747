//! An issue of a request: something that someone must solve before the order goes on.

use chrono::{DateTime, Utc};

use super::attempt::IssueVersion;
use super::code::Code;
use super::ids::ReferenceId;

/// One issue. `issue_code` is an open string: rules match it, an unknown one is flagged, never acted on.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Issue {
    /// The upstream's id, where given.
    pub id: Option<i64>,
    /// The request it belongs to.
    pub reference_id: ReferenceId,
    /// Its number within the request.
    pub issue_sequence: Option<i64>,
    /// What is wrong.
    pub issue_code: Code,
    /// Solved.
    pub resolved: bool,
    /// It came back.
    pub repeated: bool,
    /// When the upstream last changed it.
    pub last_updated: Option<DateTime<Utc>>,
}

impl Issue {
    /// What tells two states of it apart.
    pub fn version(&self) -> IssueVersion {
        IssueVersion {
            resolved: self.resolved,
            last_updated: self.last_updated,
        }
    }
}
