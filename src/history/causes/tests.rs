//! Worlds with a planted cause, and worlds with none: what is there is found, and what is not is not.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use rand::rngs::StdRng;
use rand::seq::index::sample;
use rand::{RngExt as _, SeedableRng as _};

use super::*;

const REQUESTS: usize = 8_000;

/// What each request of a world has. Attributes are as many as a province has terminal boxes.
struct World(Vec<BTreeSet<Fact>>);

impl World {
    fn new(dice: &mut StdRng) -> Self {
        let fact = |dimension: Dimension, value: u32| Fact::new(dimension, value.to_string());
        let requests = (0..REQUESTS).map(|_| {
            let mut facts = BTreeSet::from([
                fact(Dimension::LastEvent, dice.random_range(0..12)),
                fact(Dimension::TerritoryOwner, dice.random_range(0..3)),
                fact(Dimension::PersistenceType, dice.random_range(0..5) / 4),
                fact(Dimension::Org, dice.random_range(0..2)),
                fact(Dimension::Status, dice.random_range(0..9)),
                fact(Dimension::Began, dice.random_range(0..700)),
                fact(
                    Dimension::Attribute("cto".to_owned()),
                    dice.random_range(0..400),
                ),
            ]);
            if dice.random_range(0..8) == 0 {
                facts.insert(fact(Dimension::IssueCode, dice.random_range(0..60)));
            }
            facts
        });
        Self(requests.collect())
    }

    fn population(&self) -> Population {
        let mut population = Population::default();
        for facts in &self.0 {
            population.add(facts.iter().cloned());
        }
        population
    }

    fn having(&self, fact: &Fact) -> Vec<usize> {
        let having = self.0.iter().enumerate();
        let having = having.filter(|(_, facts)| facts.contains(fact));
        having.map(|(place, _)| place).collect()
    }

    fn select(&self, places: impl IntoIterator<Item = usize>) -> Vec<Selected> {
        let places: BTreeSet<usize> = places.into_iter().collect();
        let one = |place: usize| Selected {
            org: "masmovil".into(),
            reference_id: format!("R-{place}").into(),
            facts: self.0[place].clone(),
            began: None,
        };
        places.into_iter().map(one).collect()
    }
}

fn found(selected: &[Selected], population: &Population) -> Vec<Cause> {
    causes(selected, population, &Beginnings::default())
}

#[test]
fn a_planted_cause_of_six_or_more_is_found() {
    let mut dice = StdRng::seed_from_u64(15);
    let world = World::new(&mut dice);
    let population = world.population();
    let (mut planted, mut seen) = (0, 0);
    while planted < 300 {
        let dimension = match planted % 3 {
            0 => Dimension::Attribute("cto".to_owned()),
            1 => Dimension::IssueCode,
            _ => Dimension::Began,
        };
        let cause = Fact::new(dimension, dice.random_range(0..60).to_string());
        let having = world.having(&cause);
        if having.len() < 6 {
            continue;
        }
        planted += 1;
        let hit = dice.random_range(6..=having.len().min(12));
        let hit: Vec<usize> = sample(&mut dice, having.len(), hit)
            .iter()
            .map(|place| having[place])
            .collect();
        let others = dice.random_range(0..=2 * hit.len());
        let others = sample(&mut dice, REQUESTS, others);
        let selected = world.select(hit.into_iter().chain(others));
        let causes = found(&selected, &population);
        seen += u32::from(
            causes
                .first()
                .is_some_and(|first| first.facts.contains(&cause)),
        );
    }
    assert!(seen * 100 >= planted * 95, "{seen} of {planted}");
}

#[test]
fn where_chance_alone_chose_hardly_ever_a_cause_is_seen() {
    let mut dice = StdRng::seed_from_u64(16);
    let world = World::new(&mut dice);
    let population = world.population();
    let mut seen = 0;
    for _ in 0..1_000 {
        let many = dice.random_range(5..=80);
        let selected = world.select(sample(&mut dice, REQUESTS, many));
        seen += u32::from(!found(&selected, &population).is_empty());
    }
    assert!(seen <= 10, "{seen} of 1,000");
}

fn fact(value: &str) -> Fact {
    Fact::new(Dimension::Attribute("cto".to_owned()), value)
}

fn code(value: &str) -> Fact {
    Fact::new(Dimension::IssueCode, value)
}

fn began(hour: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::hours(hour)
}

/// So many that have these facts, and began then.
fn many(number: usize, facts: &[Fact], hour: i64) -> Vec<Selected> {
    let one = |place| Selected {
        org: "masmovil".into(),
        reference_id: format!("R-{hour}-{place}").into(),
        facts: facts.iter().cloned().collect(),
        began: Some(began(hour)),
    };
    (0..number).map(one).collect()
}

/// A thousand open ones, the selected among them, and so many more that have these facts.
fn among(selected: &[Selected], others: &[(Fact, u64)]) -> Population {
    let mut population = Population::default();
    for one in selected {
        population.add(one.facts.iter().cloned());
    }
    for (fact, number) in others {
        population.having(fact.clone(), *number);
    }
    population.requests(1_000 - selected.len() as u64);
    population
}

#[test]
fn the_numbers_are_those_of_the_selection_and_of_all() {
    let selected = [many(10, &[fact("28-1")], 3), many(10, &[], 1)].concat();
    let causes = found(&selected, &among(&selected, &[(fact("28-1"), 2)]));
    let [cause] = &causes[..] else {
        panic!("{causes:?}")
    };
    let four = (cause.selected, cause.of_selected, cause.open, cause.of_open);
    assert_eq!(four, (10, 20, 12, 1_000));
    assert_eq!((cause.share(), cause.began), (0.5, Some(began(3))));
    assert!((cause.lift() - 0.5 / 0.012).abs() < 1e-9);
    assert_eq!(cause.requests.len(), 10);
    assert_eq!(
        cause.sentence(),
        "10 of these 20 have cto 28-1; of all 1000 open requests 12 have it"
    );
}

#[test]
fn each_further_cause_is_one_of_those_that_the_first_leaves_open() {
    let selected = [
        many(20, &[fact("28-1")], 1),
        many(8, &[code("CLI-012")], 2),
        many(4, &[], 3),
    ]
    .concat();
    let causes = found(&selected, &among(&selected, &[(code("CLI-012"), 5)]));
    let told: Vec<_> = causes
        .iter()
        .map(|cause| {
            (
                cause.named(),
                cause.selected,
                cause.of_selected,
                cause.open,
                cause.of_open,
            )
        })
        .collect();
    let expected = [
        ("cto 28-1".to_owned(), 20, 32, 20, 1_000),
        ("issue_code CLI-012".to_owned(), 8, 12, 13, 980),
    ];
    assert_eq!(told, expected);
}

#[test]
fn values_of_the_same_requests_are_inseparable() {
    let both = [fact("28-1"), code("CLI-012")];
    let selected = [many(10, &both, 1), many(10, &[], 1)].concat();
    let causes = found(&selected, &among(&selected, &[(code("CLI-012"), 3)]));
    assert_eq!(causes.len(), 1, "{causes:?}");
    assert_eq!(causes[0].named(), "cto 28-1 = issue_code CLI-012");
}

#[test]
fn few_or_a_small_share_or_what_all_have_is_no_cause() {
    for (selected, others) in [
        ([many(3, &[fact("28-1")], 1), many(3, &[], 1)], 0),
        ([many(10, &[fact("28-1")], 1), many(40, &[], 1)], 0),
        ([many(20, &[fact("28-1")], 1), many(20, &[], 1)], 400),
    ] {
        let selected = selected.concat();
        let causes = found(&selected, &among(&selected, &[(fact("28-1"), others)]));
        assert_eq!(causes, [], "{others}");
    }
}

#[test]
fn what_the_rules_ask_for_hides_no_other_cause() {
    let unsent = Fact::status("NOT_SENT", false);
    let here = [unsent.clone(), fact("28-1")];
    let selected = [
        many(20, &here, 1),
        many(20, std::slice::from_ref(&unsent), 1),
    ]
    .concat();
    let causes = found(&selected, &among(&selected, &[(fact("28-1"), 4)]));
    let named: Vec<String> = causes.iter().map(Cause::named).collect();
    assert_eq!(named, ["cto 28-1", "status NOT_SENT"]);
}

#[test]
fn a_burst_is_more_than_that_hour_had_in_four_weeks() {
    let selected = [many(10, &[fact("28-1")], 700), many(10, &[], 650)].concat();
    let population = among(&selected, &[]);
    let burst = |before: usize| {
        let mut beginnings = Beginnings::default();
        for one in &selected {
            beginnings.add(one.began.unwrap());
        }
        for _ in 0..before {
            beginnings.add(began(700 - 24 * 7));
        }
        causes(&selected, &population, &beginnings)[0].is_burst
    };
    assert!(burst(0) && burst(9));
    assert!(!burst(10), "as many as a week ago");
}

#[test]
fn numbers_that_contradict_each_other_are_no_failure() {
    let selected = many(10, &[fact("28-1")], 1);
    assert_eq!(found(&selected, &Population::default()), []);
    assert_eq!(found(&[], &Population::default()), []);
}

#[test]
fn a_million_open_requests_cost_no_more_than_their_values() {
    let mut dice = StdRng::seed_from_u64(17);
    let mut population = Population::default();
    population.requests(1_000_000);
    let cto = |number: usize| fact(&format!("28-{number}"));
    for number in 0..20_000 {
        population.having(cto(number), 50);
    }
    let mut selected = Vec::new();
    for place in 0..10_000 {
        let number = if place % 3 == 0 {
            7 + place % 100
        } else {
            dice.random_range(0..20_000)
        };
        selected.extend(many(1, &[cto(number), code("CLI-012")], place as i64));
    }
    population.having(code("CLI-012"), 30_000);
    let begun = Instant::now();
    let causes = found(&selected, &population);
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "not even built for speed"
    );
    assert_eq!(causes[0].named(), "issue_code CLI-012");
}
