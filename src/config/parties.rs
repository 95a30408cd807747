//! `[parties]`: whose turn it is with an order. The defaults are proposals: whose time counts is a matter of each
//! operator's contract.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use chrono::NaiveDate;
use wildmatch::WildMatch;

use super::Job;
use super::keys::{Key, Kind, Section};
use super::problem::Problems;
use super::tree::{Node, Table, Value};
use super::value::{self, Reader};
use crate::domain::{Party, Status};
use crate::history::parties::Whose;
use crate::history::working::WorkingTime;
use crate::zone::Zone;

/// `[parties]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Parties {
    /// By status.
    pub by_status: BTreeMap<Status, Party>,
    /// By issue code, the most exact first.
    pub issue_codes: Vec<(WildMatch, Party)>,
    /// Which days are working days, from Monday on.
    pub working_week: [bool; 7],
    /// A file of days on which nobody works.
    pub holidays_file: Option<PathBuf>,
}

/// Why the holidays can't be read.
#[derive(Debug, thiserror::Error)]
pub enum HolidaysError {
    /// The file.
    #[error("parties.holidays_file {}: {error}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A line of it.
    #[error("{}:{line}: {text:?} is no date: write one a line, as 2026-12-25", path.display())]
    NoDate {
        /// The file.
        path: PathBuf,
        /// Which line.
        line: usize,
        /// What stands there.
        text: String,
    },
}

impl Parties {
    /// With the rules of these jobs that name a party.
    pub fn whose(&self, jobs: &[Job]) -> Whose {
        let rules = jobs.iter().flat_map(|job| &job.rules);
        Whose {
            by_status: self.by_status.clone(),
            issue_codes: self.issue_codes.clone(),
            rules: rules.filter(|rule| rule.party.is_some()).cloned().collect(),
        }
    }

    /// The working days of a place. Reads the file of holidays: a date a line, `#` begins a remark.
    ///
    /// # Errors
    /// The file can't be read, or a line of it is no date.
    pub fn working_time(&self, zone: Zone) -> Result<WorkingTime, HolidaysError> {
        let mut holidays = BTreeSet::new();
        if let Some(path) = &self.holidays_file {
            let text =
                std::fs::read_to_string(path).map_err(|error| HolidaysError::Unreadable {
                    path: path.clone(),
                    error,
                })?;
            for (number, line) in text.lines().enumerate() {
                let text = line.split('#').next().unwrap_or_default().trim();
                if text.is_empty() {
                    continue;
                }
                let day: NaiveDate = text.parse().map_err(|_| HolidaysError::NoDate {
                    path: path.clone(),
                    line: number + 1,
                    text: text.to_owned(),
                })?;
                holidays.insert(day);
            }
        }
        Ok(WorkingTime {
            zone,
            week: self.working_week,
            holidays,
        })
    }
}

const fn status(name: &'static str, party: &'static str) -> Key {
    Key::preset(
        name,
        Kind::Text,
        party,
        "Whose turn it is: tesa, operator, installer, customer, us, nobody or unknown.",
    )
}

pub(super) const SECTION: Section = Section {
    path: "parties",
    repeated: false,
    optional: false,
    doc: "Whose turn it is with an order, by its status. A rule's `party` overrides it.",
    keys: &[
        status("NOT_SENT", "\"us\""),
        status("VALIDATING", "\"tesa\""),
        status("PROCESSING", "\"tesa\""),
        status("PROCESSED", "\"tesa\""),
        status("INCIDENCE_TESA", "\"tesa\""),
        status("INCIDENCE_OPERATOR", "\"operator\""),
        status("INSTALLING", "\"installer\""),
        status("INCIDENCE_INSTALLING", "\"installer\""),
        status("INSTALLED", "\"tesa\""),
        Key::optional(
            "issue_codes",
            Kind::Map,
            "{ \"CLI-*\" = \"customer\" }",
            "Whose turn it is while an issue with such a code is open, whatever the status; of several the most exact counts.",
        ),
        Key::preset(
            "working_week",
            Kind::Text,
            "\"mon-fri\"",
            "The working days: a stretch (mon-fri) or names with commas (mon,tue,sat), in the zone of daemon.timezone.",
        ),
        Key::optional(
            "holidays_file",
            Kind::File,
            "\"holidays.txt\"",
            "A file with the days on which nobody works, an ISO date a line.",
        ),
    ],
};

/// Reads the section.
pub(super) fn read(root: &Table, problems: &mut Problems) -> Option<Parties> {
    let section = Reader::new(root, SECTION.path);
    let mut by_status = BTreeMap::new();
    let mut is_sound = true;
    for key in SECTION.keys {
        let known = Status::parse(key.name);
        if !known.is_known() {
            continue;
        }
        match section.required(problems, key.name, party) {
            Some(party) => {
                by_status.insert(known, party);
            }
            None => is_sound = false,
        }
    }
    let issue_codes = section.optional(problems, "issue_codes", issue_codes);
    let working_week = section.required(problems, "working_week", week);
    let holidays_file = section.optional(problems, "holidays_file", value::text);
    Some(Parties {
        by_status: is_sound.then_some(by_status)?,
        issue_codes: issue_codes?.unwrap_or_default(),
        working_week: working_week?,
        holidays_file: holidays_file?.map(PathBuf::from),
    })
}

/// A party's word.
pub(super) fn party(node: &Node, problems: &mut Problems) -> Option<Party> {
    value::word("a party", Party::ALL, |party| party.as_str())(node, problems)
}

fn issue_codes(node: &Node, problems: &mut Problems) -> Option<Vec<(WildMatch, Party)>> {
    let Value::Table(table) = &node.value else {
        let what = node.value.what();
        problems.report_with_help(
            &node.place,
            format!("a table is needed here, this is {what}"),
            "write { \"CLI-*\" = \"customer\" }",
        );
        return None;
    };
    let read: Vec<Option<(WildMatch, Party)>> = table
        .iter()
        .map(|(glob, entry)| Some((WildMatch::new(glob), party(&entry.node, problems)?)))
        .collect();
    let mut codes: Vec<(WildMatch, Party)> = read.into_iter().collect::<Option<_>>()?;
    let exact = |glob: &WildMatch| {
        let letters = glob.pattern_chars().iter();
        letters
            .filter(|letter| !matches!(letter, '*' | '?'))
            .count()
    };
    codes.sort_by_key(|(glob, _)| std::cmp::Reverse(exact(glob)));
    Some(codes)
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

fn week(node: &Node, problems: &mut Problems) -> Option<[bool; 7]> {
    let text = value::text(node, problems)?.to_lowercase();
    let day = |name: &str| DAYS.iter().position(|day| *day == name.trim());
    let mut week = [false; 7];
    for part in text.split(',') {
        let ends = part.split_once('-').unwrap_or((part, part));
        let (Some(first), Some(last)) = (day(ends.0), day(ends.1)) else {
            problems.report_with_help(
                &node.place,
                format!("{} names no days", super::problem::shown(&text)),
                format!("write mon-fri, or names with commas: {}", DAYS.join(",")),
            );
            return None;
        };
        let mut at = first;
        loop {
            week[at] = true;
            if at == last {
                break;
            }
            at = (at + 1) % DAYS.len();
        }
    }
    Some(week)
}
