//! What is done to them, and when: drawn from the seed before anything begins.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chrono::DateTime;
use tesa_reconciler::app::ALIVE_WITHIN;
use tesa_reconciler::clock::{Clock, ManualClock};

use super::fleet::Fleet;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Deed {
    /// `kill -9`; it comes back.
    Kill,
    /// SIGSTOP for a moment.
    Stop,
    /// SIGSTOP for longer than its lease.
    StopBeyondTheLease,
    /// The server ends all connections.
    Cut,
    /// The server dies and comes back.
    Restart,
    /// One replica's network swallows everything for some seconds.
    Swallow,
}

/// When, what, to whom.
type Line = (Duration, Deed, usize);

fn script(seed: u64, lasts: Duration) -> Vec<Line> {
    let dice = ManualClock::new(DateTime::UNIX_EPOCH, seed);
    let draw = |below: u64| dice.random() % below;
    let mut lines = Vec::new();
    // The long stop comes early in each minute, so that its end is seen as well.
    let mut at = Duration::from_millis(4_000 + draw(6_000));
    while at + ALIVE_WITHIN + Duration::from_secs(15) < lasts {
        lines.push((at, Deed::StopBeyondTheLease, draw(3) as usize));
        at += Duration::from_secs(60);
    }
    let mut at = Duration::from_secs(2);
    while at < lasts {
        let deed = match draw(10) {
            0..3 => Deed::Kill,
            3..6 => Deed::Cut,
            6..8 => Deed::Restart,
            8 => Deed::Stop,
            _ => Deed::Swallow,
        };
        lines.push((at, deed, draw(3) as usize));
        at += Duration::from_millis(2_000 + draw(5_000));
    }
    lines.sort();
    lines
}

/// Plays it, and says what was done how often. Whoever is stopped is left alone.
pub async fn play(fleet: &mut Fleet, seed: u64, lasts: Duration) -> BTreeMap<Deed, usize> {
    let begun = Instant::now();
    let mut deeds = BTreeMap::new();
    let mut swallowed: Option<(usize, Instant)> = None;
    let mut lines = script(seed, lasts).into_iter().peekable();
    while begun.elapsed() < lasts {
        fleet.tend();
        if let Some((place, _)) = swallowed.take_if(|(_, until)| *until <= Instant::now()) {
            fleet.replicas[place].network.heal();
        }
        if let Some((_, deed, place)) = lines.next_if(|(at, ..)| *at <= begun.elapsed()) {
            let replica = &mut fleet.replicas[place];
            let alone = matches!(deed, Deed::Cut | Deed::Restart);
            if !alone && (replica.stopped_until.is_some() || !replica.daemon.lives()) {
                continue;
            }
            *deeds.entry(deed).or_default() += 1;
            match deed {
                Deed::Kill => replica.daemon.signal("KILL"),
                Deed::Stop => stop(fleet, place, Duration::from_secs(3)),
                Deed::StopBeyondTheLease => {
                    stop(fleet, place, ALIVE_WITHIN + Duration::from_secs(8));
                }
                Deed::Cut => fleet.cluster.cut_connections().await,
                Deed::Restart => fleet.cluster.restart().await,
                Deed::Swallow => {
                    replica.network.swallow();
                    let until = Instant::now() + Duration::from_secs(4);
                    if let Some((before, _)) = swallowed.replace((place, until)) {
                        fleet.replicas[before].network.heal();
                    }
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    if let Some((place, _)) = swallowed {
        fleet.replicas[place].network.heal();
    }
    deeds
}

fn stop(fleet: &mut Fleet, place: usize, lasts: Duration) {
    let replica = &mut fleet.replicas[place];
    replica.daemon.signal("STOP");
    replica.stopped_until = Some(Instant::now() + lasts);
}
