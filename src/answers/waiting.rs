//! What waits for a person: findings that no run does away with, those first that have been so for the longest time.

use super::Sources;
use crate::domain::FindingState;
use crate::domain::finding::Attention;
use crate::store::StoreError;
use crate::store::findings::{Finding, FindingFilter};

/// The oldest, `limit` at most; those of which the date isn't known come last.
pub async fn oldest(sources: &Sources, limit: u32) -> Result<Vec<Finding>, StoreError> {
    let mut found = Vec::new();
    for why in Attention::ALL {
        let filter = FindingFilter {
            attention: Some(*why),
            state: Some(FindingState::Open),
            ..FindingFilter::default()
        };
        found.extend(sources.store.oldest_findings(&filter, None, limit).await?);
    }
    found.sort_by_key(|finding| (finding.since.is_none(), finding.since, finding.id));
    found.truncate(limit as usize);
    Ok(found)
}
