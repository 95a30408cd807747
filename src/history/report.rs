//! Evidence on a whole population of orders: one row an order, and what they come to in each group. Every figure of a summary
//! can be computed again from the rows alone; a script in another language does so in the tests.
//!
//! Nobody is left out silently: an order that can't be counted is a row too, with the reason.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::level::ServiceLevel;
use super::parties::{Account, Whose};
use super::working::WorkingTime;
use crate::domain::{
    ExternalReference, Happening, Observation, Org, Party, PersistenceType, ReferenceId, Status,
    TerritoryOwner, What,
};
use crate::zone::Zone;

/// What a report is about, and by what it counts.
#[derive(Debug)]
pub struct Question<'a> {
    /// Whose turn it is.
    pub whose: &'a Whose,
    /// Which days are working days, and in which zone a month begins.
    pub work: &'a WorkingTime,
    /// Orders that lived at this instant or later; none: all.
    pub since: Option<DateTime<Utc>>,
    /// What was seen before this instant, and orders that had begun by then.
    pub until: DateTime<Utc>,
}

/// An order as evidence.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OrderRow {
    /// The tenant, within which the reference id is unique.
    pub org: Org,
    /// The upstream's id of the request.
    pub reference_id: ReferenceId,
    /// The operator's number of the order, where it was read.
    pub external_reference: Option<ExternalReference>,
    /// What it wants done.
    pub persistence_type: Option<PersistenceType>,
    /// Under which wholesale terms.
    pub territory_owner: Option<TerritoryOwner>,
    /// The month in which it began, in the zone of [`Question::work`].
    pub month: Option<String>,
    /// Where it stood at the end.
    pub status: Option<Status>,
    /// When it was made upstream, as far as that is known.
    pub opened: Option<DateTime<Utc>>,
    /// When it was over.
    pub closed: Option<DateTime<Utc>>,
    /// From the one to the other, or to the report's end.
    pub gross_seconds: Option<i64>,
    /// Why it is not counted; none: it is.
    pub left_out: Option<&'static str>,
    /// `PARTY_seconds`, `PARTY_working_seconds` and `PARTY_error_seconds` of each party; nothing where it isn't counted.
    #[serde(flatten)]
    pub times: BTreeMap<String, i64>,
}

/// An order against a promise.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeliveryRow {
    /// The service level's name; none: `left_out` of the order says why.
    pub level: Option<String>,
    /// How long it allows.
    pub allowed_seconds: Option<i64>,
    /// How long its parties took so far.
    pub taken_seconds: Option<i64>,
    /// How far that may be off.
    pub error_seconds: Option<i64>,
    /// How much longer than allowed; zero if it isn't.
    pub late_seconds: Option<i64>,
    /// `met` and `late` are over, `open` and `open_late` are not.
    pub verdict: Option<&'static str>,
    /// Which order it is about, with its times.
    #[serde(flatten)]
    pub order: OrderRow,
}

/// Why an order is not counted of which only what is beside it was ever read.
pub const REQUEST_UNREAD: &str = "not yet read: only its events or issues were";

/// Why an order is not counted that only lists have named.
pub const ONLY_LISTED: &str = "not yet read: only lists named it";

/// Why an order is in no row of a promise.
pub const NO_LEVEL: &str = "no service level is about it";

/// A request's row, if it lived in the report's time; with its time, if it can be counted.
pub fn order(
    org: &Org,
    id: &ReferenceId,
    happenings: &[Happening],
    question: &Question<'_>,
) -> Option<(OrderRow, Option<(Account, Observation)>)> {
    let by_then = happenings.partition_point(|one| one.seen_at < question.until);
    let happenings = &happenings[..by_then];
    let last_seen = happenings.last()?.seen_at;
    let mut row = unread(org, id, REQUEST_UNREAD);
    let requests = happenings.iter().rev();
    let request = requests.into_iter().find_map(|one| match &one.what {
        What::Request(request) => Some(request),
        _ => None,
    });
    let account = Account::of(org, happenings, question.whose, question.until);
    let (Some(request), Some(account)) = (request, account) else {
        let lived = question.since.is_none_or(|since| last_seen >= since);
        return lived.then_some((row, None));
    };
    let lived = question
        .since
        .is_none_or(|since| account.closed.is_none_or(|closed| closed >= since));
    if !lived || account.opened >= question.until {
        return None;
    }
    row.external_reference
        .clone_from(&request.external_reference);
    row.persistence_type = request.persistence_type;
    row.territory_owner = request.territory_owner;
    row.month = Some(month(account.opened, question.work.zone));
    row.status = Some(request.status.clone());
    row.opened = Some(account.opened);
    row.closed = account.closed;
    row.gross_seconds = Some(account.gross().num_seconds());
    row.left_out = None;
    let figures = account.figures(question.work);
    for party in Party::ALL {
        let figure = figures.get(party).copied().unwrap_or_default();
        let mut say = |what: &str, seconds| row.times.insert(format!("{party}_{what}"), seconds);
        say("seconds", figure.calendar.num_seconds());
        say("working_seconds", figure.working.num_seconds());
        say("error_seconds", figure.error.num_seconds());
    }
    Some((row, Some((account, request.clone()))))
}

/// The row of an order that can't be counted.
pub fn unread(org: &Org, id: &ReferenceId, why: &'static str) -> OrderRow {
    OrderRow {
        org: org.clone(),
        reference_id: id.clone(),
        external_reference: None,
        persistence_type: None,
        territory_owner: None,
        month: None,
        status: None,
        opened: None,
        closed: None,
        gross_seconds: None,
        left_out: Some(why),
        times: BTreeMap::new(),
    }
}

fn month(at: DateTime<Utc>, zone: Zone) -> String {
    at.with_timezone(&zone).format("%Y-%m").to_string()
}

/// An order's rows, one for each promise that is about it; one that says why there is none otherwise.
pub fn deliveries(
    order: OrderRow,
    told: Option<&(Account, Observation)>,
    levels: &[ServiceLevel],
    work: &WorkingTime,
) -> Vec<DeliveryRow> {
    let none = |order: OrderRow| DeliveryRow {
        level: None,
        allowed_seconds: None,
        taken_seconds: None,
        error_seconds: None,
        late_seconds: None,
        verdict: None,
        order,
    };
    let Some((account, request)) = told else {
        return vec![none(order)];
    };
    let about = levels.iter().filter(|level| level.is_about(request));
    let rows: Vec<DeliveryRow> = about
        .map(|level| {
            let (taken, error) = level.taken(account, work);
            let late = (taken - level.allowed()).num_seconds().max(0);
            DeliveryRow {
                level: Some(level.name.clone()),
                allowed_seconds: Some(level.allowed().num_seconds()),
                taken_seconds: Some(taken.num_seconds()),
                error_seconds: Some(error.num_seconds()),
                late_seconds: Some(late),
                verdict: Some(match (account.closed, late) {
                    (Some(_), 0) => "met",
                    (Some(_), _) => "late",
                    (None, 0) => "open",
                    (None, _) => "open_late",
                }),
                order: order.clone(),
            }
        })
        .collect();
    if rows.is_empty() {
        let left_out = Some(NO_LEVEL);
        return vec![none(OrderRow { left_out, ..order })];
    }
    rows
}

/// By what orders are counted together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Group {
    /// What they want done.
    pub persistence_type: Option<PersistenceType>,
    /// Under which terms.
    pub territory_owner: Option<TerritoryOwner>,
    /// The month in which they began.
    pub month: Option<String>,
}

impl Group {
    fn of(order: &OrderRow) -> Self {
        Self {
            persistence_type: order.persistence_type,
            territory_owner: order.territory_owner,
            month: order.month.clone(),
        }
    }
}

/// A party's time over a group of orders; an order in which it never had its turn counts as zero.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartySummary {
    /// Which orders are counted together here.
    #[serde(flatten)]
    pub group: Group,
    /// Whose turn it was.
    pub party: Party,
    /// How many orders are counted.
    pub orders: u64,
    /// Of all of them, by the calendar.
    pub total_seconds: i64,
    /// Of that, what fell on working days.
    pub working_seconds: i64,
    /// How far the total may be off.
    pub error_seconds: i64,
    /// Half of the orders took no longer.
    pub p50_seconds: i64,
    /// 95 of a hundred took no longer.
    pub p95_seconds: i64,
}

/// Each party's time by group.
pub fn party_summaries(orders: &[OrderRow]) -> Vec<PartySummary> {
    let mut groups: BTreeMap<Group, Vec<&OrderRow>> = BTreeMap::new();
    for order in orders.iter().filter(|order| order.left_out.is_none()) {
        groups.entry(Group::of(order)).or_default().push(order);
    }
    let mut summaries = Vec::new();
    for (group, orders) in groups {
        for &party in Party::ALL.iter().filter(|party| **party != Party::Nobody) {
            let column = |what: &str| -> Vec<i64> {
                let name = format!("{party}_{what}");
                let of = |order: &&OrderRow| order.times.get(&name).copied().unwrap_or_default();
                orders.iter().map(of).collect()
            };
            let times = column("seconds");
            summaries.push(PartySummary {
                group: group.clone(),
                party,
                orders: orders.len() as u64,
                total_seconds: times.iter().sum(),
                working_seconds: column("working_seconds").iter().sum(),
                error_seconds: column("error_seconds").iter().sum(),
                p50_seconds: percentile(times.clone(), 50).unwrap_or_default(),
                p95_seconds: percentile(times, 95).unwrap_or_default(),
            });
        }
    }
    summaries
}

/// How a promise was kept over a group of orders.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeliverySummary {
    /// The service level's name.
    pub level: String,
    /// Which orders are counted together here.
    #[serde(flatten)]
    pub group: Group,
    /// How many orders are counted.
    pub orders: u64,
    /// Over, within it.
    pub met: u64,
    /// Over, too late.
    pub late: u64,
    /// Not over, and within it so far.
    pub open: u64,
    /// Not over, and too late already.
    pub open_late: u64,
    /// Of those that are over, the share that met it.
    pub share_met: Option<f64>,
    /// Of those that are over, half took no longer.
    pub p50_seconds: Option<i64>,
    /// Of those that are over, 95 of a hundred took no longer.
    pub p95_seconds: Option<i64>,
    /// The latest of all by so much.
    pub worst_late_seconds: i64,
}

/// How each promise was kept, by group.
pub fn delivery_summaries(rows: &[DeliveryRow]) -> Vec<DeliverySummary> {
    let mut groups: BTreeMap<(String, Group), Vec<&DeliveryRow>> = BTreeMap::new();
    for row in rows {
        if let Some(level) = &row.level {
            let key = (level.clone(), Group::of(&row.order));
            groups.entry(key).or_default().push(row);
        }
    }
    let summary = |((level, group), rows): ((String, Group), Vec<&DeliveryRow>)| {
        let count = |verdict| {
            let same = rows.iter().filter(|row| row.verdict == Some(verdict));
            same.count() as u64
        };
        let (met, late) = (count("met"), count("late"));
        let over = rows.iter().filter(|row| row.order.closed.is_some());
        let taken: Vec<i64> = over.filter_map(|row| row.taken_seconds).collect();
        DeliverySummary {
            level,
            group,
            orders: rows.len() as u64,
            met,
            late,
            open: count("open"),
            open_late: count("open_late"),
            share_met: (met + late > 0).then(|| met as f64 / (met + late) as f64),
            p50_seconds: percentile(taken.clone(), 50),
            p95_seconds: percentile(taken, 95),
            worst_late_seconds: rows
                .iter()
                .filter_map(|row| row.late_seconds)
                .max()
                .unwrap_or_default(),
        }
    };
    groups.into_iter().map(summary).collect()
}

/// The least value that so many of a hundred don't exceed (nearest rank).
pub fn percentile(mut values: Vec<i64>, percent: usize) -> Option<i64> {
    values.sort_unstable();
    let rank = (values.len() * percent).div_ceil(100);
    values.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::history::level::Within;
    use crate::reconcile::fixtures;

    fn at(hour: i64) -> DateTime<Utc> {
        fixtures::now() + TimeDelta::hours(hour)
    }

    fn seen(status: Status, hour: i64) -> Happening {
        Happening {
            id: hour,
            seen_at: at(hour),
            what: What::Request(Observation {
                status,
                created: Some(at(0)),
                last_updated: Some(at(hour)),
                observed_at: at(hour),
                ..fixtures::unsent()
            }),
        }
    }

    fn asked<T>(since: Option<i64>, until: i64, answer: impl Fn(&Question<'_>) -> T) -> T {
        answer(&Question {
            whose: &Whose::default(),
            work: &WorkingTime::default(),
            since: since.map(at),
            until: at(until),
        })
    }

    fn life() -> Vec<Happening> {
        vec![seen(Status::Processing, 1), seen(Status::Finished, 100)]
    }

    #[test]
    fn an_order_is_in_the_report_of_each_time_in_which_it_lived() {
        let (org, id) = (Org::new("o"), ReferenceId::new("R-1"));
        let is_in = |since, until| {
            asked(since, until, |question| {
                order(&org, &id, &life(), question).is_some()
            })
        };
        assert!(is_in(None, 200) && is_in(Some(50), 60) && is_in(Some(100), 200));
        assert!(!is_in(Some(101), 200), "it was over before");
        assert!(!is_in(None, 1), "nothing was seen yet");
        let then = asked(None, 60, |question| order(&org, &id, &life(), question));
        assert_eq!(then.unwrap().0.closed, None, "as it stood by then");
    }

    #[test]
    fn what_was_not_read_is_a_row_with_the_reason() {
        let gone = Happening {
            id: 1,
            seen_at: at(1),
            what: What::LetGo,
        };
        let (row, told) = asked(None, 2, |question| {
            order(
                &"o".into(),
                &"R-1".into(),
                std::slice::from_ref(&gone),
                question,
            )
        })
        .unwrap();
        assert_eq!((row.left_out, told), (Some(REQUEST_UNREAD), None));
        assert_eq!(party_summaries(&[row]), []);
    }

    #[test]
    fn a_promise_counts_its_parties_only_and_tells_how_late() {
        let level = |hours: u64| ServiceLevel {
            name: "alta".to_owned(),
            persistence_type: Some(PersistenceType::Activation),
            territory_owners: None,
            within: Within::Time(std::time::Duration::from_secs(hours * 3_600)),
            parties: vec![Party::Tesa],
        };
        let (row, told) = asked(None, 200, |question| {
            order(&"o".into(), &"R-1".into(), &life(), question).unwrap()
        });
        let work = WorkingTime::default();
        let levels = [level(99), level(90)];
        let rows = deliveries(row.clone(), told.as_ref(), &levels, &work);
        let told_of: Vec<_> = rows
            .iter()
            .map(|row| (row.verdict, row.late_seconds))
            .collect();
        assert_eq!(
            told_of,
            [(Some("met"), Some(0)), (Some("late"), Some(9 * 3_600))]
        );
        let summary = &delivery_summaries(&rows)[0];
        assert_eq!((summary.orders, summary.share_met), (2, Some(0.5)));
        let none = deliveries(row, told.as_ref(), &[], &work);
        assert_eq!(none[0].order.left_out, Some(NO_LEVEL));
    }

    #[test]
    fn percentiles_are_values_that_occur() {
        assert_eq!(percentile(vec![], 50), None);
        assert_eq!(percentile(vec![7], 95), Some(7));
        assert_eq!(percentile((1..=20).collect(), 95), Some(19));
        assert_eq!(percentile((1..=21).rev().collect(), 50), Some(11));
    }
}
