//! What goes wrong upstream: a little of everything all the time, and in some lives a storm of one kind.
//!
//! Each of it leaves a careful client a way to the truth. An effect is late and reads lag behind, but both together by less
//! than all pauses before the last look; a second request is left out of look-ups only after one has named it; what has
//! an effect that shows nowhere (an access with its old date) has its date.

use std::time::Duration;

use tesa_reconciler::sandbox::{Effect, ErrorShape, Fault};

/// Of each call.
pub const TIMEOUT: Duration = Duration::from_secs(1);
/// Before each look at a write's effect.
pub const VERIFY_AFTER: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];

/// Later than the time-out, earlier than the last look.
const LATE_MS: u64 = 1_500;
/// And with it still earlier.
const STALE_MS: u64 = 2_000;

const WRITES: &[&str] = &["writes"];
const READS: &[&str] = &["reads"];
const ONE: &[&str] = &["get_request"];
const BESIDE: &[&str] = &["get_request_events", "get_request_issues"];
const LIST: &[&str] = &["list_reference_ids"];
const SHOWS: &[&str] = &["create_activation", "resolve_incident", "cancel_request"];

const fn error(status: u16, applied: bool) -> Effect {
    Effect::Error {
        status,
        applied,
        shape: ErrorShape::Object,
    }
}

type Line = (&'static str, Effect, &'static [&'static str], f64);

/// The name of a fault, what it does, to which calls, how often.
fn always() -> Vec<Line> {
    let latency = |ms, jitter_ms| Effect::Latency { ms, jitter_ms };
    vec![
        ("latency", latency(5, 200), WRITES, 0.5),
        ("latency", latency(1, 20), READS, 0.5),
        // What a write does.
        ("no_effect", Effect::NoEffect, WRITES, 0.08),
        (
            "late_effect",
            Effect::LateEffect { ms: LATE_MS },
            WRITES,
            0.2,
        ),
        ("undated_effect", Effect::UndatedEffect, SHOWS, 0.08),
        // What is answered to it.
        ("lost", Effect::Drop { applied: true }, WRITES, 0.1),
        ("lost", Effect::Drop { applied: false }, WRITES, 0.04),
        ("hang", Effect::Hang { applied: true }, WRITES, 0.04),
        ("hang", Effect::Hang { applied: false }, WRITES, 0.02),
        ("error", error(502, true), WRITES, 0.03),
        ("error", error(400, false), WRITES, 0.02),
        ("cut", Effect::Cut, WRITES, 0.02),
        ("undecodable", Effect::Undecodable, WRITES, 0.02),
        ("empty_object", Effect::EmptyObject, WRITES, 0.03),
        ("drip", Effect::Drip { pause_ms: 100 }, WRITES, 0.02),
        ("endless", Effect::Endless { pause_ms: 20 }, WRITES, 0.01),
        // What reads find.
        ("stale", Effect::Stale { ms: STALE_MS }, READS, 0.15),
        ("no_date", Effect::NoDate, ONE, 0.03),
        // What is answered to them.
        ("not_found", error(404, false), ONE, 0.03),
        ("empty_object", Effect::EmptyObject, ONE, 0.03),
        ("error", error(503, false), READS, 0.01),
        ("lost", Effect::Drop { applied: false }, READS, 0.01),
        ("cut", Effect::Cut, READS, 0.01),
        ("undecodable", Effect::Undecodable, READS, 0.01),
        ("short_list", Effect::ShortList { share: 0.0 }, LIST, 0.03),
        // Below one half, for of two requests of an order the second was perhaps never named.
        ("short_list", Effect::ShortList { share: 0.45 }, LIST, 0.03),
        ("drip", Effect::Drip { pause_ms: 50 }, ONE, 0.005),
        ("endless", Effect::Endless { pause_ms: 20 }, BESIDE, 0.005),
        ("endless_list", Effect::Endless { pause_ms: 0 }, LIST, 0.003),
    ]
}

/// One kind of it for a whole life.
fn storm(which: u64) -> Option<Line> {
    Some(match which {
        0 => ("not_found", error(404, false), ONE, 0.9),
        1 => ("short_list", Effect::ShortList { share: 0.0 }, LIST, 0.9),
        2 => ("short_list", Effect::ShortList { share: 0.45 }, LIST, 0.9),
        3 => ("stale", Effect::Stale { ms: STALE_MS }, READS, 0.7),
        4 => ("empty_object", Effect::EmptyObject, ONE, 0.7),
        5 => (
            "late_effect",
            Effect::LateEffect { ms: LATE_MS },
            WRITES,
            0.9,
        ),
        _ => return None,
    })
}

/// Whether this is to happen. Beside the faults, `hands_off` is a person's word in the middle of a run.
pub fn wanted(name: &str) -> bool {
    let names = std::env::var("KILLED_FAULTS").unwrap_or_else(|_| "all".to_owned());
    names == "all" || names.split(',').any(|wanted| wanted == name)
}

/// The faults of one life. `named` are the orders whose second request a look-up has named.
pub fn of_life(life: u32, dice: &mut impl FnMut(u64) -> u64, named: &[String]) -> Vec<Fault> {
    let mut lines = always();
    // A rule's place decides its chance, so each life sees another sequence.
    let places = lines.len();
    lines.rotate_left(life as usize * 7 % places);
    let mut lines: Vec<Line> = storm(dice(12)).into_iter().chain(lines).collect();
    lines.retain(|(name, ..)| wanted(name));
    let rule = |(_, effect, calls, rate): Line| Fault::new(effect).on(calls).rate(rate);
    let omitted = named.iter().filter(|_| wanted("omit_second")).map(|order| {
        let omitted = Fault::new(Effect::OmitSecond { after_ms: 0 });
        omitted.on(LIST).about(order).rate(0.5)
    });
    omitted.chain(lines.into_iter().map(rule)).collect()
}
