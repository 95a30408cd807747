//! `--group-by`: how many findings there are of each.

use crate::answers::groups::{Group, GroupBy, groups};
use crate::cli::common::Session;
use crate::cli::exit::Failure;
use crate::cli::lists::gather_findings;
use crate::cli::output::{self, Row, instant, or_dash};
use crate::cli::time::told;
use crate::store::findings::FindingFilter;

impl Row for Group {
    const COLUMNS: &'static [&'static str] = &["count", "group", "oldest since"];
    const FIRST: &'static [&'static str] = &["group", "count", "oldest"];
    fn cells(&self) -> Vec<String> {
        vec![
            self.count.to_string(),
            told(&self.group).into_owned(),
            or_dash(self.oldest, instant),
        ]
    }
}

/// Counts all that the filter wants.
pub async fn show(session: &Session, by: GroupBy, filter: &FindingFilter) -> Result<(), Failure> {
    let found = gather_findings(session, None, filter).await?;
    let groups = groups(session, by, filter.org.as_ref(), &found).await?;
    Ok(output::list(session.format, &groups)?)
}
