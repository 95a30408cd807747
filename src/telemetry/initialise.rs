//! The zeros at start: every label set that is known beforehand stands at zero before anything happens.
//!
//! A counter that appears with its first event appears as 1, and `increase()` over it is 0: the first failure
//! would raise no alert. So the whole product of closed label sets is registered, straight from the catalogue.

use metrics::{Label as Pair, counter, gauge, histogram};

use super::Scope;
use super::catalogue::{self, Kind, Label, Metric, Start, Values};
use crate::domain::{Operation, ReadOperation};

/// Registers every known label set. Safe to repeat after a reload: what was counted stays.
pub fn initialise(scope: &Scope) {
    for metric in catalogue::ALL {
        if metric.start == Start::Zero {
            for labels in label_sets(metric, scope) {
                register(metric, labels);
            }
        }
    }
    for (operation, code) in successes() {
        counter!(catalogue::UPSTREAM_REQUESTS.name, "operation" => operation, "code" => code)
            .increment(0);
    }
}

fn register(metric: &Metric, labels: Vec<Pair>) {
    match metric.kind {
        Kind::Counter => counter!(metric.name, labels).increment(0),
        // Adding nothing, unlike setting to zero, keeps what a repetition finds.
        Kind::Gauge => gauge!(metric.name, labels).increment(0.0),
        // Registering is enough: an empty histogram is rendered as zeros.
        Kind::Histogram(_) => drop(histogram!(metric.name, labels)),
    }
}

/// The product of the metric's label values; one empty set for a metric without labels.
fn label_sets(metric: &Metric, scope: &Scope) -> Vec<Vec<Pair>> {
    metric.labels.iter().fold(vec![Vec::new()], |sets, label| {
        let values = values(label, scope);
        let extended = sets.iter().flat_map(|set| {
            values.iter().map(move |value| {
                let pair = Pair::new(label.key, value.clone());
                set.iter().cloned().chain([pair]).collect()
            })
        });
        extended.collect()
    })
}

fn values(label: &Label, scope: &Scope) -> Vec<String> {
    match label.values {
        Values::Jobs => scope.jobs.iter().map(ToString::to_string).collect(),
        Values::Orgs => scope.orgs.iter().map(ToString::to_string).collect(),
        Values::Closed(words) => words().into_iter().map(str::to_owned).collect(),
        Values::Open(_) => Vec::new(),
    }
}

/// What each operation answers when all is well, by the upstream's contract. Other codes appear when they occur.
fn successes() -> impl Iterator<Item = (&'static str, &'static str)> {
    let reads = ReadOperation::ALL.iter().map(|read| (read.as_str(), "200"));
    let writes = Operation::ALL.iter().map(|write| {
        let code = if write.is_create_request() {
            "201"
        } else {
            "200"
        };
        (write.as_str(), code)
    });
    let token = (catalogue::TOKEN_OPERATION, "200");
    reads.chain(writes).chain([token])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_of_labels_is_complete() {
        let scope = Scope {
            jobs: vec!["a".into(), "b".into(), "c".into()],
            orgs: vec!["x".into(), "y".into()],
        };
        assert_eq!(label_sets(&catalogue::PANICS, &scope).len(), 1);
        assert_eq!(label_sets(&catalogue::GUARD_HELD, &scope).len(), 6);
        assert_eq!(label_sets(&catalogue::JOB_RUNS, &scope).len(), 6 * 5 * 6);
    }
}
