//! Orders that are stuck: the rows of the command `stuck`, with its filters in the address.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::http::Uri;
use axum::response::Response;
use chrono::{DateTime, TimeDelta};
use maud::{Markup, html};

use super::layout::{self, Place};
use super::list::{Asked, Field, Listing, choice, filters, last, text};
use super::parts::{Column, Moment, Tone, badge, id, nothing, table, words};
use super::query::{Query, address, encoded};
use super::trouble::Trouble;
use super::{Console, Person, texts};
use crate::answers::groups::{Group, GroupBy, groups};
use crate::answers::stuck::{Stuck, stuck};
use crate::answers::time::rough;
use crate::answers::{Sources, columns};
use crate::domain::ids::{FindingId, Org, ReferenceId};
use crate::domain::{FindingKind, FindingState, Status};
use crate::store::Page;
use crate::store::findings::{Finding, FindingFilter, OldestKey};

const KEYS: &[&str] = &[
    "search",
    "org",
    "status",
    "job",
    "rule",
    "acknowledged",
    "group_by",
    "sort",
    "limit",
    "after",
    "format",
];

/// No more are counted by something.
const GROUPED: u32 = 10_000;

const COLUMNS: &[Column] = &[
    Column::Words("request"),
    Column::Words("order"),
    Column::Words("org"),
    Column::Words("status"),
    Column::Figure("age"),
    Column::Figure("threshold"),
    Column::Words("issue"),
    Column::Words("turn"),
    Column::Words("what comes next"),
];

/// Where the page of one order is.
pub(super) fn path(org: &Org, id: &ReferenceId) -> String {
    format!("/orders/{}/{}", encoded(org.as_str()), encoded(id.as_str()))
}

pub(super) async fn page(
    State(console): State<Arc<Console>>,
    Extension(person): Extension<Person>,
    uri: Uri,
) -> Result<Response, Trouble> {
    let asked = Asked::read(&console, &uri, KEYS)?;
    let (sources, query) = (&asked.sources, &asked.query);
    let filter = filter(query, sources).await?;
    if let Some(by) = query.word::<GroupBy>("group_by")? {
        let body = grouped(sources, query, by, &filter, asked.moment).await?;
        return Ok(layout::page(
            texts::ORDERS,
            Place::Orders,
            &person,
            asked.moment,
            &body,
        ));
    }
    let limit = query.limit()?;
    let found = found(sources, query, &filter, limit).await?;
    let next = last(&found, limit).map(|finding| next_page(query, finding));
    let (rows, alive) = stuck(sources, found).await?;
    let listing = Listing {
        title: texts::ORDERS,
        place: Place::Orders,
        file: "stuck",
        first: columns::STUCK,
        columns: COLUMNS,
        above: html! {
            p.hint { (texts::ORDERS_ARE) }
            (filters(query, &fields(sources)))
            @if !alive { p.note { (texts::NOBODY_ALIVE) } }
        },
        page_key: "after",
        next,
    };
    let count = sources.store.count_findings(&filter);
    asked.answer(&person, &listing, &rows, count, cells).await
}

async fn filter(query: &Query, sources: &Sources) -> Result<FindingFilter, Trouble> {
    let with_acknowledged = match query.get("acknowledged") {
        None => false,
        Some("yes") => true,
        Some(other) => {
            return Err(Trouble::Mistaken(format!(
                "acknowledged is yes or absent, not {other:?}"
            )));
        }
    };
    Ok(FindingFilter {
        org: sources.known_org(query.get("org")).await?,
        kind: Some(FindingKind::StuckRequest),
        state: (!with_acknowledged).then_some(FindingState::Open),
        search: query.get("search").map(str::to_owned),
        job_name: sources.known_job(query.get("job")).await?,
        rule: sources.known_rule(query.get("rule"))?,
        detail: query.get("status").map(str::to_owned),
        ..FindingFilter::default()
    })
}

fn fields(sources: &Sources) -> Vec<Field> {
    let config = &sources.config;
    let statuses = Status::open().map(|status| status.to_string());
    let mut rules: Vec<String> = config
        .jobs
        .iter()
        .flat_map(|job| &job.rules)
        .map(|rule| rule.name.to_string())
        .collect();
    rules.sort();
    rules.dedup();
    vec![
        text("search", texts::SEARCH),
        choice("org", "org", &config.tesamanager.orgs),
        choice(
            "status",
            "status",
            statuses.chain(["CANCELLING".to_owned()]),
        ),
        choice("job", "job", config.jobs.iter().map(|job| &job.name)),
        choice("rule", "rule", rules),
        choice("acknowledged", texts::WITH_ACKNOWLEDGED, ["yes"]),
        choice("sort", texts::SORT, ["oldest", "newest"]),
        choice("group_by", texts::GROUP_BY, GroupBy::ALL),
    ]
}

async fn found(
    sources: &Sources,
    query: &Query,
    filter: &FindingFilter,
    limit: u32,
) -> Result<Vec<Finding>, Trouble> {
    let after = query
        .get("after")
        .map(|text| after(text).ok_or_else(|| no_page(text)))
        .transpose()?;
    match query.get("sort") {
        None | Some("oldest") => Ok(sources.store.oldest_findings(filter, after, limit).await?),
        Some("newest") => {
            let before = after.map(|key| key.id.0);
            Ok(sources
                .store
                .findings(filter, Page { limit, before })
                .await?)
        }
        Some(other) => Err(Trouble::Mistaken(format!(
            "sort is oldest or newest, not {other:?}"
        ))),
    }
}

fn no_page(text: &str) -> Trouble {
    Trouble::Mistaken(format!("{text:?} is no place to go on from"))
}

/// Where a page goes on: microseconds of the epoch, or nothing for one without a date, and the row.
fn after(text: &str) -> Option<OldestKey> {
    let (since, id) = text.split_once('.')?;
    let since = match since {
        "" => None,
        since => Some(DateTime::from_timestamp_micros(since.parse().ok()?)?),
    };
    Some(OldestKey {
        since,
        id: FindingId(id.parse().ok()?),
    })
}

fn next_page(query: &Query, finding: &Finding) -> String {
    let key = finding.oldest_key();
    let since = key
        .since
        .map_or_else(String::new, |since| since.timestamp_micros().to_string());
    query.with("after", Some(&format!("{since}.{}", key.id)))
}

fn cells(row: &Stuck, moment: Moment) -> Vec<Markup> {
    let length = |seconds: Option<i64>| match seconds {
        Some(seconds) => html! { (rough(TimeDelta::seconds(seconds))) },
        None => nothing(),
    };
    let order = match (&row.external_reference, row.since) {
        (Some(order), _) => id(order.as_str()),
        (None, None) => html! { span.none { (texts::NOT_READ) } },
        (None, Some(_)) => nothing(),
    };
    let threshold = row
        .threshold_seconds
        .and_then(|seconds| i64::try_from(seconds).ok());
    vec![
        html! { a href=(path(&row.org, &row.reference_id)) { (id(row.reference_id.as_str())) } },
        order,
        html! { (row.org) },
        html! {
            (words(&row.status))
            @if row.state == FindingState::Acknowledged { " " (badge(Tone::Quiet, row.state.as_str())) }
        },
        length(row.age_seconds),
        length(threshold),
        row.issue_code.as_deref().map_or_else(nothing, words),
        row.party.map_or_else(nothing, |party| html! { (party) }),
        moment.advise(&row.next),
    ]
}

/// How many there are of each; a group that is one filter leads to its members.
async fn grouped(
    sources: &Sources,
    query: &Query,
    by: GroupBy,
    filter: &FindingFilter,
    moment: Moment,
) -> Result<Markup, Trouble> {
    let found = sources.store.oldest_findings(filter, None, GROUPED).await?;
    let counted = groups(sources, by, filter.org.as_ref(), &found).await?;
    let members = |group: &Group| {
        let key = match by {
            GroupBy::Status => "status",
            GroupBy::Rule => "rule",
            GroupBy::Kind | GroupBy::IssueCode | GroupBy::Cause => return None,
        };
        let kept = ["search", "org", "job", "status", "rule", "acknowledged"].into_iter();
        let kept = kept.filter(|name| *name != key);
        let kept = kept.filter_map(|name| Some((name, query.get(name)?.to_owned())));
        Some(address("/orders", kept.chain([(key, group.group.clone())])))
    };
    let rows: Vec<Vec<Markup>> = counted
        .iter()
        .map(|group| {
            let name = match members(group).filter(|_| group.group != "-") {
                Some(address) => html! { a href=(address) { (moment.say(&group.group)) } },
                None => moment.say(&group.group),
            };
            vec![name, html! { (group.count) }, moment.maybe(group.oldest)]
        })
        .collect();
    let caption = format!("{} by {by}", texts::ORDERS);
    Ok(html! {
        (filters(query, &fields(sources)))
        p.count {
            @if found.len() < GROUPED as usize { (found.len()) " in all" }
            @else { "the oldest " (GROUPED) " of more" }
        }
        @if rows.is_empty() { p.empty { (texts::NO_ROWS) } }
        @else { (table(&caption, &[Column::Words("group"), Column::Figure("requests"), Column::Words("oldest since")], &rows)) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_to_go_on_from_is_read_as_it_is_written() {
        let at = DateTime::from_timestamp_micros(1_795_000_000_123_457);
        for (text, since) in [("1795000000123457.17", at), (".17", None)] {
            let key = after(text).unwrap();
            assert_eq!((key.since, key.id), (since, FindingId(17)));
        }
        for text in [
            "",
            ".",
            "17",
            "x.17",
            "1.x",
            "99999999999999999999.1",
            "9223372036854775807.1",
        ] {
            assert_eq!(after(text), None, "{text}");
        }
    }
}
