//! Findings as people list them: by a filter, newest or oldest first.

use tesa_reconciler::domain::finding::FindingState;
use tesa_reconciler::domain::ids::{ExternalReference, RuleName};
use tesa_reconciler::store::Page;
use tesa_reconciler::store::findings::{Finding, FindingFilter, OldestKey};

use super::State;
use super::audit::{begins, page};
use super::findings::Row;

impl State {
    pub(super) fn newest_findings(&self, filter: &FindingFilter, of: Page) -> Vec<Finding> {
        let rows = self.findings.rows.iter().map(|(id, row)| (id.0, row));
        let rows = page(rows, of, |row| self.is_wanted(filter, row));
        rows.iter().map(|row| self.listed(row)).collect()
    }

    pub(super) fn oldest_findings(
        &self,
        filter: &FindingFilter,
        after: Option<OldestKey>,
        limit: u32,
    ) -> Vec<Finding> {
        let mut rows: Vec<&Row> = self.wanted_findings(filter).collect();
        let place = |key: OldestKey| (key.since.is_none(), key.since, key.id);
        rows.sort_by_key(|row| place(row.finding.oldest_key()));
        rows.retain(|row| after.is_none_or(|after| place(row.finding.oldest_key()) > place(after)));
        let rows = rows.into_iter().take(limit as usize);
        rows.map(|row| self.listed(row)).collect()
    }

    pub(super) fn wanted_findings(&self, filter: &FindingFilter) -> impl Iterator<Item = &Row> {
        let rows = self.findings.rows.values();
        rows.filter(|row| self.is_wanted(filter, row))
    }

    /// As listed: one that its class still names was last seen when that was listed.
    fn listed(&self, row: &Row) -> Finding {
        let mut finding = row.finding.clone();
        let class = row.class.filter(|_| row.missing_since.is_none());
        if let Some(class) = class.and_then(|class| self.classes.rows.get(&class)) {
            finding.last_seen = finding.last_seen.max(class.stored.listed_at);
        }
        finding.rule = self.rule_of(row);
        finding.status = self.status_of(&finding.org, &finding.key.reference_id);
        finding
    }

    /// The class says by which rule a list named it; of one that was read, the job's last decision does.
    fn rule_of(&self, row: &Row) -> Option<RuleName> {
        let (class, finding) = (row.class, &row.finding);
        let class = class.and_then(|class| self.classes.rows.get(&class));
        let decided =
            || self.rule_decided(&finding.org, &finding.key.reference_id, &finding.job_name);
        class
            .map(|class| class.stored.key.rule.clone())
            .or_else(decided)
    }

    fn is_wanted(&self, filter: &FindingFilter, row: &Row) -> bool {
        let finding = &row.finding;
        let id = finding.key.reference_id.as_str();
        let order = finding
            .external_reference
            .as_ref()
            .map(ExternalReference::as_str);
        let stands = match filter.state {
            None => row.is_live(),
            // What was said of a finding may outlive it.
            Some(FindingState::Acknowledged) => {
                self.acknowledgements.holds_of(&finding.org, &finding.key)
            }
            Some(state) => finding.state == state,
        };
        let (reference, search) = (filter.reference.as_ref(), filter.search.as_ref());
        let (job, rule) = (filter.job_name.as_ref(), filter.rule.as_ref());
        stands
            && filter.org.as_ref().is_none_or(|org| *org == finding.org)
            && filter.kind.is_none_or(|kind| kind == finding.key.kind)
            && (filter.attention.is_none() || filter.attention == finding.attention)
            && reference.is_none_or(|text| id == text || order == Some(text))
            && search.is_none_or(|text| begins(text, id, order))
            && filter.since.is_none_or(|since| finding.first_seen >= since)
            && filter.until.is_none_or(|until| finding.first_seen < until)
            && job.is_none_or(|job| *job == finding.job_name)
            && filter
                .detail
                .as_ref()
                .is_none_or(|detail| *detail == finding.key.detail)
            && rule.is_none_or(|rule| self.rule_of(row).as_ref() == Some(rule))
    }
}
