//! What a request's event stream shows to be wrong: pure.
//!
//! The upstream's own word comes first: `inconsistent = true` means that the event must be reconciled. The rest is
//! seen in the stream itself. Event ids are optional upstream, so an event is named by its request number,
//! subrequest number and sequence number; sequence numbers count within one (request, subrequest).

use std::collections::BTreeMap;

use chrono::{DateTime, SubsecRound, Utc};

use super::plan::{instant, sighting};
use crate::domain::code::Code;
use crate::domain::{Event, EventCheck, FindingKind, Observation, Status};
use crate::store::findings::{FindingKey, Sighting};

/// The detail of the finding about mixed request numbers, which is of the kind `inconsistent_event`.
pub const MIXED: &str = "mixed request numbers";

/// Everything that is wrong with a request's events. The upstream's order does not matter.
pub fn check(request: &Observation, events: &[Event], checks: &[EventCheck]) -> Vec<Sighting> {
    let ended = request.last_updated.filter(|_| request.status.is_final());
    let ended = ended.map(|at| (&request.status, at));
    troubles(events, ended, checks)
        .into_iter()
        .map(|(kind, detail, evidence)| sighting(request, kind, detail, evidence))
        .collect()
}

/// Nothing is wrong with the events of a request that has not ended.
pub fn are_in_order(events: &[Event], checks: &[EventCheck]) -> bool {
    troubles(events, None, checks).is_empty()
}

/// Kind, detail and evidence of each thing that is wrong. `ended` tells how and when the request ended, if it did.
fn troubles(
    events: &[Event],
    ended: Option<(&Status, DateTime<Utc>)>,
    checks: &[EventCheck],
) -> Vec<(FindingKind, String, String)> {
    let makes = |check| checks.contains(&check);
    let mut found = Vec::new();
    let mut see = |kind, detail: String, evidence: String| {
        found.push((kind, detail, evidence));
    };
    if makes(EventCheck::Inconsistent) {
        for event in events.iter().filter(|event| event.inconsistent) {
            see(FindingKind::InconsistentEvent, name(event), describe(event));
        }
    }
    if makes(EventCheck::AfterFinalStatus)
        && let Some((status, ended)) = ended
    {
        for event in events
            .iter()
            .filter(|event| event.event_date.is_some_and(|date| is_later(date, ended)))
        {
            let evidence = format!("{}; {} since {}", describe(event), status, instant(ended));
            see(FindingKind::EventAfterFinalStatus, name(event), evidence);
        }
    }
    let streams = streams(events);
    if makes(EventCheck::MixedRequestNumbers) {
        let mut numbers: Vec<i64> = streams.keys().filter_map(|(number, _)| *number).collect();
        numbers.dedup();
        if numbers.len() > 1 {
            let shown: Vec<String> = numbers.iter().map(ToString::to_string).collect();
            let evidence = format!("request numbers {}", shown.join(", "));
            see(FindingKind::InconsistentEvent, MIXED.to_owned(), evidence);
        }
    }
    for ((number, sub), stream) in &streams {
        let label = |what: String| match (number, sub) {
            (None, None) => what,
            _ => format!("{}/{} {what}", text(*number), text(*sub)),
        };
        for pair in stream.windows(2) {
            let (Some(before), Some(after)) = (pair[0].sequence_number, pair[1].sequence_number)
            else {
                continue;
            };
            if makes(EventCheck::SequenceGap)
                && let (Some(first), Some(last)) = (before.checked_add(1), after.checked_sub(1))
                && first <= last
            {
                let missing = if first == last {
                    format!("#{first}")
                } else {
                    format!("#{first}-#{last}")
                };
                let evidence = format!(
                    "{missing} missing between {} and {}",
                    describe(pair[0]),
                    describe(pair[1])
                );
                see(FindingKind::EventSequenceGap, label(missing), evidence);
            }
            if makes(EventCheck::SequenceDuplicate) && after == before {
                let evidence = format!("{} and {}", describe(pair[0]), describe(pair[1]));
                see(
                    FindingKind::EventSequenceDuplicate,
                    label(format!("#{after}")),
                    evidence,
                );
            }
        }
        for (before, after) in out_of_order(stream) {
            if makes(EventCheck::OutOfOrder) {
                let evidence = format!("{} is dated before {}", describe(after), describe(before));
                let detail = label(format!("#{}", text(after.sequence_number)));
                see(FindingKind::EventOutOfOrder, detail, evidence);
            }
        }
    }
    // Two events with the same number and the same trouble are one finding.
    found.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    found.dedup_by(|a, b| (a.0, &a.1) == (b.0, &b.1));
    found
}

/// The events of a stream that are dated before the last one with a lower number and a date: those without a date say
/// nothing, and hide nothing either.
fn out_of_order<'e>(stream: &[&'e Event]) -> Vec<(&'e Event, &'e Event)> {
    let mut found = Vec::new();
    let mut last: Option<(i64, DateTime<Utc>, &Event)> = None;
    let mut before_last = None;
    for &event in stream {
        let (Some(number), Some(date)) = (event.sequence_number, event.event_date) else {
            continue;
        };
        if last.is_some_and(|(known, ..)| known < number) {
            before_last = last;
        }
        if let Some((_, earlier, before)) = before_last
            && is_later(earlier, date)
        {
            found.push((before, event));
        }
        last = Some((number, date, event));
    }
    found
}

/// By the coarser of the two's resolutions: what is stamped 10:00:00 may have happened at 10:00:00.9.
fn is_later(at: DateTime<Utc>, than: DateTime<Utc>) -> bool {
    let digits = digits(at).min(digits(than));
    at.trunc_subsecs(digits) > than.trunc_subsecs(digits)
}

/// Down to which place of a second it is told.
fn digits(at: DateTime<Utc>) -> u16 {
    match at.timestamp_subsec_nanos() {
        0 => 0,
        nanos if nanos % 1_000_000 == 0 => 3,
        nanos if nanos % 1_000 == 0 => 6,
        _ => 9,
    }
}

type StreamKey = (Option<i64>, Option<i64>);

/// The events by (request, subrequest), each in the order of sequence numbers, then dates.
fn streams(events: &[Event]) -> BTreeMap<StreamKey, Vec<&Event>> {
    let mut streams: BTreeMap<StreamKey, Vec<&Event>> = BTreeMap::new();
    for event in events {
        let key = (event.request_number, event.subrequest_number);
        streams.entry(key).or_default().push(event);
    }
    for stream in streams.values_mut() {
        stream.sort_by_key(|event| (event.sequence_number, event.event_date));
    }
    streams
}

fn text(number: Option<i64>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
}

fn name(event: &Event) -> String {
    format!(
        "{}/{} #{}",
        text(event.request_number),
        text(event.subrequest_number),
        text(event.sequence_number)
    )
}

fn describe(event: &Event) -> String {
    format!(
        "#{} {} of {}",
        text(event.sequence_number),
        event
            .message_type
            .as_ref()
            .map_or("without a type", Code::as_str),
        event
            .event_date
            .map_or_else(|| "no date".to_owned(), instant)
    )
}

/// A finding about an event that the upstream itself calls inconsistent: the only kind that a rule may act on.
pub fn is_mark(key: &FindingKey) -> bool {
    key.kind == FindingKind::InconsistentEvent && key.detail != MIXED
}

#[cfg(test)]
mod tests {
    use chrono::Duration;

    use super::*;
    use crate::reconcile::fixtures;

    fn event(sequence: i64, minutes: i64) -> Event {
        Event {
            id: None,
            reference_id: "R-1".into(),
            message_type: Some("INFO".into()),
            request_number: Some(7),
            subrequest_number: Some(1),
            event_date: Some(fixtures::now() - Duration::hours(3) + Duration::minutes(minutes)),
            sequence_number: Some(sequence),
            inconsistent: false,
        }
    }

    fn kinds(request: &Observation, events: &[Event]) -> Vec<String> {
        check(request, events, EventCheck::ALL)
            .into_iter()
            .map(|seen| format!("{} {}", seen.key.kind, seen.key.detail))
            .collect()
    }

    #[test]
    fn a_stream_is_checked_in_its_own_order_whatever_order_it_comes_in() {
        let request = fixtures::unsent();
        let healthy = [event(3, 3), event(1, 1), event(2, 2)];
        assert_eq!(kinds(&request, &healthy), Vec::<String>::new());
        assert_eq!(kinds(&request, &[]), Vec::<String>::new());
    }

    #[test]
    fn every_kind_of_trouble_has_its_finding() {
        let request = fixtures::unsent();
        let marked = Event {
            inconsistent: true,
            ..event(1, 1)
        };
        let foreign = Event {
            request_number: Some(8),
            ..event(1, 1)
        };
        let cases: [(Vec<Event>, &str); 6] = [
            (vec![marked], "inconsistent_event 7/1 #1"),
            (vec![event(1, 1), event(3, 3)], "event_sequence_gap 7/1 #2"),
            (
                vec![event(1, 1), event(9, 3)],
                "event_sequence_gap 7/1 #2-#8",
            ),
            (
                vec![event(1, 1), event(2, 2), event(2, 3)],
                "event_sequence_duplicate 7/1 #2",
            ),
            (vec![event(1, 5), event(2, 2)], "event_out_of_order 7/1 #2"),
            (
                vec![event(1, 1), foreign],
                "inconsistent_event mixed request numbers",
            ),
        ];
        for (events, expected) in cases {
            assert_eq!(kinds(&request, &events), [expected]);
        }
    }

    #[test]
    fn an_event_after_the_end_is_flagged_only_for_a_finished_request() {
        // The request last changed two hours ago; this event came an hour later.
        let late = [event(1, 120)];
        let finished = fixtures::in_status(Status::Finished);
        assert_eq!(kinds(&finished, &late), ["event_after_final_status 7/1 #1"]);
        assert_eq!(kinds(&fixtures::unsent(), &late), Vec::<String>::new());
    }

    #[test]
    fn an_event_within_the_second_of_the_end_is_no_event_after_it() {
        let finished = fixtures::in_status(Status::Finished);
        let ended = finished.last_updated.unwrap();
        let at = |millis| Event {
            event_date: Some(ended + Duration::milliseconds(millis)),
            ..event(1, 0)
        };
        for (millis, flagged) in [(0, 0), (250, 0), (999, 0), (1_000, 1), (1_250, 1)] {
            assert_eq!(
                kinds(&finished, &[at(millis)]).len(),
                flagged,
                "{millis} ms"
            );
        }
        // Told to the millisecond on both sides, it is an event after the end.
        let exactly = Observation {
            last_updated: Some(ended + Duration::milliseconds(100)),
            ..finished
        };
        assert_eq!(kinds(&exactly, &[at(250)]).len(), 1);
        assert_eq!(kinds(&exactly, &[at(0)]).len(), 0);
    }

    #[test]
    fn numbers_at_the_edge_of_what_a_number_can_be_are_counted_like_others() {
        let request = fixtures::unsent();
        let last = event(i64::MAX, 2);
        assert_eq!(
            kinds(&request, &[last.clone(), event(i64::MAX - 1, 1)]),
            Vec::<String>::new()
        );
        assert_eq!(
            kinds(&request, &[last.clone(), event(i64::MAX - 2, 1)]),
            [format!("event_sequence_gap 7/1 #{}", i64::MAX - 1)]
        );
        assert_eq!(kinds(&request, &[event(i64::MIN, 1), last]).len(), 1);
    }

    #[test]
    fn an_event_without_a_date_does_not_hide_that_those_around_it_are_out_of_order() {
        let undated = Event {
            event_date: None,
            ..event(2, 0)
        };
        let request = fixtures::unsent();
        assert_eq!(
            kinds(&request, &[event(1, 5), undated.clone(), event(3, 2)]),
            ["event_out_of_order 7/1 #3"]
        );
        assert_eq!(
            kinds(&request, &[event(1, 1), undated, event(3, 2)]),
            Vec::<String>::new()
        );
    }

    #[test]
    fn streams_of_different_subrequests_do_not_mix() {
        let other = |sequence| Event {
            subrequest_number: Some(2),
            ..event(sequence, sequence)
        };
        let events = [event(1, 1), other(1), event(2, 2), other(2)];
        assert_eq!(kinds(&fixtures::unsent(), &events), Vec::<String>::new());
    }

    #[test]
    fn each_check_can_be_switched_off() {
        let events = [
            Event {
                inconsistent: true,
                ..event(1, 300)
            },
            event(3, 200),
            event(3, 201),
            Event {
                request_number: Some(8),
                ..event(1, 1)
            },
        ];
        let finished = fixtures::in_status(Status::Finished);
        assert!(check(&finished, &events, EventCheck::ALL).len() >= 5);
        for check_made in EventCheck::ALL {
            let found = check(&finished, &events, &[*check_made]);
            assert!(
                found.len() < check(&finished, &events, EventCheck::ALL).len(),
                "{check_made}"
            );
        }
        assert_eq!(check(&finished, &events, &[]), []);
    }

    #[test]
    fn events_without_numbers_or_dates_are_no_trouble_by_themselves() {
        let bare = Event {
            sequence_number: None,
            event_date: None,
            request_number: None,
            subrequest_number: None,
            message_type: None,
            ..event(1, 1)
        };
        assert_eq!(
            kinds(&fixtures::unsent(), &[bare.clone(), bare]),
            Vec::<String>::new()
        );
    }
}
