//! `[[service_level]]`: what the contract says. None by default.

use std::time::Duration;

use super::keys::{Key, Kind, Section};
use super::problem::{Problems, shown};
use super::tree::{self, Node, Table, Value};
use super::value::{self, Reader, TEN_YEARS};
use super::{job, parties};
use crate::domain::{PersistenceType, TerritoryOwner};
use crate::history::level::{ServiceLevel, Within};

const MINUTE: Duration = Duration::from_secs(60);

const EMPTY: &str = "an empty list matches nothing: leave the key out to match all";

/// No contract promises more.
const MOST_DAYS: u32 = 2_000;

pub(super) const SECTION: Section = Section {
    path: "service_level",
    repeated: true,
    optional: false,
    doc: "What the contract promises about orders of a kind, for `report delivery`. None by default.",
    keys: &[
        Key::required(
            "name",
            Kind::Text,
            "\"alta NEBA local\"",
            "What reports call it.",
        ),
        Key::optional(
            "persistence_type",
            Kind::Text,
            "\"ACTIVATION\"",
            "About ACTIVATION or TERMINATION only.",
        ),
        Key::optional(
            "territory_owners",
            Kind::List,
            "[\"VULA_COMMERCIAL\"]",
            "About orders under any of NEBA, VULA_COMMERCIAL, VULA_REGULATED only.",
        ),
        Key::required(
            "within",
            Kind::Text,
            "\"10 working days\"",
            "How long the parties may take: working days (each counts 24 hours), or a duration of calendar time.",
        ),
        Key::preset("parties", Kind::List, "[\"tesa\"]", "Whose time counts."),
    ],
};

/// Reads all of them, in the order of the file.
pub(super) fn read_all(root: &Table, problems: &mut Problems) -> Option<Vec<ServiceLevel>> {
    let tables = tree::tables(root, SECTION.path);
    let mut names = Vec::new();
    let levels: Vec<Option<ServiceLevel>> = tables
        .iter()
        .map(|(place, table)| {
            let reader = Reader::repeated(SECTION.path, place, table);
            problems.within(job::subject("service_level", &reader), |problems| {
                let level = read(&reader, problems);
                job::refuse_repeated_name(&reader, "service_level", &mut names, problems);
                level
            })
        })
        .collect();
    levels.into_iter().collect()
}

fn read(reader: &Reader<'_>, problems: &mut Problems) -> Option<ServiceLevel> {
    let name = reader.required(problems, "name", value::text);
    let kind = value::word("a kind of request", PersistenceType::ALL, |kind| {
        kind.as_str()
    });
    let kind = reader.optional(problems, "persistence_type", kind);
    let owner = value::word("a territory owner", TerritoryOwner::ALL, |owner| {
        owner.as_str()
    });
    let owners = reader.optional(problems, "territory_owners", value::list(EMPTY, owner));
    let within = reader.required(problems, "within", within);
    let parties = value::list("nobody's time would count", parties::party);
    let parties = reader.required(problems, "parties", parties);
    Some(ServiceLevel {
        name: name?,
        persistence_type: kind?,
        territory_owners: owners?,
        within: within?,
        parties: parties?,
    })
}

fn within(node: &Node, problems: &mut Problems) -> Option<Within> {
    if let Value::Text(text) = &node.value
        && let Some((count, unit)) = text.trim().split_once(' ')
        && matches!(unit.trim(), "working day" | "working days")
    {
        if let Ok(days) = count.parse::<u32>()
            && (1..=MOST_DAYS).contains(&days)
        {
            return Some(Within::WorkingDays(days));
        }
        problems.report_with_help(
            &node.place,
            format!("{} is no number of working days", shown(text)),
            format!("write a number from 1 to {MOST_DAYS}: \"10 working days\""),
        );
        return None;
    }
    value::duration(MINUTE, TEN_YEARS)(node, problems).map(Within::Time)
}
