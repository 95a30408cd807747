//! A job's keys about time: `schedule` or `every`, and what happens when it can't be kept.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

use super::nearest::nearest;
use super::problem::{Problems, shown};
use super::tree::Node;
use super::value::{self, ONE_SECOND, Reader, TEN_YEARS};
use crate::schedule::{CatchUp, Overlap, Spec, When};
use crate::zone::{self, Zone};

/// Reads the keys about time of one job.
pub(super) fn read(job: &Reader<'_>, problems: &mut Problems) -> Option<Spec> {
    let when = when(job, problems);
    let overlap = value::word("a word for overlap", Overlap::ALL, |word| word.as_str());
    let overlap = job.required(problems, "overlap", overlap);
    let catch_up = value::word("a word for catch_up", CatchUp::ALL, |word| word.as_str());
    let catch_up = job.required(problems, "catch_up", catch_up);
    let window = value::duration(ONE_SECOND, TEN_YEARS);
    let window = job.required(problems, "catch_up_window", window);
    let jitter = value::duration(Duration::ZERO, TEN_YEARS);
    let jitter = job.required(problems, "jitter", jitter);
    let (when, jitter) = (when?, jitter?);
    if let (When::Every(interval), Some(place)) = (&when, job.place_of("jitter"))
        && jitter >= *interval
    {
        problems.report(place, "`jitter` must be shorter than `every`");
        return None;
    }
    Some(Spec {
        when,
        overlap: overlap?,
        catch_up: catch_up?,
        catch_up_window: window?,
        jitter,
    })
}

fn when(job: &Reader<'_>, problems: &mut Problems) -> Option<When> {
    let zone = job.optional(problems, "timezone", zone);
    let cron = job.optional(problems, "schedule", cron);
    let every = job.optional(problems, "every", every);
    match (job.place_of("schedule"), job.place_of("every")) {
        (Some(_), Some(second)) => {
            problems.report_with_help(
                second,
                "both `schedule` and `every` are given",
                "a job has one of them: remove the other",
            );
            return None;
        }
        (None, None) => {
            problems.report_with_help(
                job.place(),
                "neither `schedule` nor `every` is given",
                "for example every = \"10m\", or schedule = \"0 */5 * * * *\"",
            );
            return None;
        }
        (None, Some(_)) => {
            if let Some(place) = job.place_of("timezone") {
                problems.report_with_help(
                    place,
                    "`timezone` means nothing with `every`",
                    "remove it: an interval is the same in every zone",
                );
                return None;
            }
        }
        (Some(_), None) => {}
    }
    match (cron?, every?) {
        (Some((cron, text)), _) => Some(When::Cron {
            cron: Box::new(cron),
            text,
            zone: zone?.unwrap_or(Zone::UTC),
        }),
        (None, interval) => interval.map(When::Every),
    }
}

/// Slots are instants in whole seconds, so an interval is too.
fn every(node: &Node, problems: &mut Problems) -> Option<Duration> {
    let interval = value::duration(ONE_SECOND, TEN_YEARS)(node, problems)?;
    if interval.subsec_nanos() != 0 {
        problems.report(&node.place, "must be in whole seconds");
        return None;
    }
    Some(interval)
}

fn cron(node: &Node, problems: &mut Problems) -> Option<(Cron, String)> {
    let text = value::text(node, problems)?;
    let text = text.trim();
    let refuse = |problems: &mut Problems, message: String, help: &str| {
        problems.report_with_help(&node.place, message, help);
        None
    };
    match text.split_whitespace().count() {
        6 => {}
        5 => {
            return refuse(
                problems,
                format!(
                    "{} has five fields, six are needed: seconds come first",
                    shown(text)
                ),
                &format!("did you mean \"0 {text}\"?"),
            );
        }
        count => {
            return refuse(
                problems,
                format!("{} has {count} fields, not six", shown(text)),
                "seconds, minutes, hours, day of month, month, weekday: \"0 */5 * * * *\"",
            );
        }
    }
    let parser = CronParser::builder()
        .seconds(Seconds::Required)
        .year(Year::Disallowed)
        .build();
    let cron = match parser.parse(text) {
        Ok(cron) => cron,
        Err(error) => {
            let (message, help) = match descending(text) {
                Some((range, ascending)) => (
                    format!("{} is no schedule: the range {range} descends", shown(text)),
                    format!("a range ascends: write `{ascending}`"),
                ),
                None => (
                    format!("{} is no schedule: {error}", shown(text)),
                    "seconds, minutes, hours, day of month, month, weekday: \"0 */5 * * * *\""
                        .to_owned(),
                ),
            };
            return refuse(problems, message, &help);
        }
    };
    if !occurs(&cron) {
        return refuse(
            problems,
            format!("{} never comes", shown(text)),
            "no such day in any month it names",
        );
    }
    Some((cron, text.to_owned()))
}

/// The least and the greatest of each field, and the names that go for numbers, from the least on.
const FIELDS: [(u32, u32, &[&str]); 6] = [
    (0, 59, &[]),
    (0, 59, &[]),
    (0, 23, &[]),
    (1, 31, &[]),
    (
        1,
        12,
        &[
            "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
        ],
    ),
    (0, 6, &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]),
];

/// The first range that goes backwards (`SAT-MON`, `22-2`), and what was meant by it, going forwards.
fn descending(text: &str) -> Option<(&str, String)> {
    for (field, (least, greatest, names)) in text.split_whitespace().zip(FIELDS) {
        let number = |word: &str| {
            let named = names
                .iter()
                .zip(least..)
                .find(|(name, _)| name.eq_ignore_ascii_case(word));
            named.map_or_else(|| word.parse().ok(), |(_, number)| Some(number))
        };
        for range in field.split(',') {
            let Some((from, to)) = range.split_once('-') else {
                continue;
            };
            if let (Some(from), Some(to)) = (number(from), number(to))
                && (least..=greatest).contains(&from)
                && (least..from).contains(&to)
            {
                let through = |from: u32, to: u32| {
                    (from..=to)
                        .map(|number| number.to_string())
                        .collect::<Vec<_>>()
                };
                // Few are listed, many are two ranges.
                let ascending = if greatest < 12 {
                    [through(from, greatest), through(least, to)]
                        .concat()
                        .join(",")
                } else {
                    format!("{from}-{greatest},{least}-{to}")
                };
                return Some((range, ascending));
            }
        }
    }
    None
}

/// It comes at least once in five years. A schedule without a year repeats, so any five years with a leap day tell;
/// fixed ones keep this a function of the text alone.
fn occurs(cron: &Cron) -> bool {
    const START: DateTime<Utc> = DateTime::from_timestamp(1_704_067_200, 0).unwrap(); // 2024-01-01
    let five_years = TimeDelta::days(5 * 366);
    cron.find_next_occurrence(&START, true)
        .is_ok_and(|next| next - START < five_years)
}

/// A zone of the IANA database.
pub(super) fn zone(node: &Node, problems: &mut Problems) -> Option<Zone> {
    let name = value::text(node, problems)?;
    if let Some(zone) = Zone::named(&name) {
        return Some(zone);
    }
    let city = name.replace(' ', "_").to_lowercase();
    let of_city = |candidate: &&str| {
        let candidate = candidate.to_lowercase();
        candidate == city || candidate.ends_with(&format!("/{city}"))
    };
    let message = format!("{} is not a time zone", shown(&name));
    match zone::names()
        .find(of_city)
        .or_else(|| nearest(&name, zone::names()))
    {
        Some(near) => {
            problems.report_with_help(&node.place, message, format!("did you mean `{near}`?"));
        }
        None => problems.report_with_help(
            &node.place,
            message,
            "an IANA name such as `Europe/Madrid` or `UTC`",
        ),
    }
    None
}
