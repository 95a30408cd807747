//! What happens in a world: begun and ended, and told to the judge where it changes what is promised.

use std::time::Duration;

use chrono::TimeDelta;
use tesa_reconciler::clock::Clock as _;

use super::{Step, World, due, patch};
use crate::people::Person;
use crate::plan::{Act, Happening, Settings, TROUBLE};
use crate::replica::{ORG, Replica};

/// Somebody notices a process that was frozen within this.
const WATCH_EVERY: Duration = Duration::from_secs(3);

impl World {
    pub(super) async fn begin(&mut self, happening: usize) {
        let (_, what) = self.plan.happenings[happening].clone();
        let now = self.clock.elapsed();
        self.tell(&format!("{what:?}"));
        match what {
            Happening::Upstream(faults, long) => {
                self.faults.insert(happening, faults);
                self.set_faults();
                self.enter(now + long, Step::End(happening));
            }
            Happening::Store(fault, on, long) => {
                self.store_faults(on)
                    .iter()
                    .for_each(|faults| faults.set(Some(fault)));
                self.enter(now + long, Step::End(happening));
            }
            Happening::StoreOnce(name, fault, on) => {
                let faults = self.store_faults(on);
                faults
                    .iter()
                    .for_each(|faults| faults.once(Some(name), fault));
            }
            Happening::Kill(place, long) => {
                if let Some(replica) = self.replicas[place].take() {
                    replica.kill();
                    self.enter(now + long, Step::Start(place));
                }
            }
            Happening::Doom(place, doom, long) => {
                if let Some(replica) = &self.replicas[place] {
                    replica.doom(doom);
                    self.enter(now + long, Step::End(happening));
                }
            }
            Happening::Roll(place) => {
                if let Some(replica) = self.replicas[place].take() {
                    replica.drain().await;
                    self.enter(self.clock.elapsed(), Step::Start(place));
                }
            }
            Happening::Stop(place, long) => {
                if let Some(replica) = &self.replicas[place] {
                    replica.stand_still(true);
                    self.enter(now + long, Step::End(happening));
                }
            }
            Happening::Freeze(place, call, ..) => {
                if let Some(replica) = &self.replicas[place] {
                    replica.freeze(call);
                    self.enter(now + WATCH_EVERY, Step::Watch(happening));
                }
            }
            Happening::Clock(place, by) => {
                self.clocks[place].set_ahead(TimeDelta::milliseconds(by));
                self.judge.clock_was_set(TimeDelta::milliseconds(by));
            }
            Happening::StoreClock(by) => {
                self.store_clock.set_ahead(TimeDelta::milliseconds(by));
                self.judge.clock_was_set(TimeDelta::milliseconds(by));
            }
            Happening::Person(act) => self.act(&act).await,
            Happening::Order(order, change) => {
                let name = self.plan.orders[order].name.clone();
                let mut change = change;
                // The first of them, should a create have made another one beside it.
                let ids = self.sandbox.references(ORG, &name);
                change["reference_id"] = serde_json::json!(ids[0]);
                let id = patch(&self.sandbox, &change);
                let now = self.clock.now();
                self.cancelled
                    .extend((change["cancelling"] == true).then_some(order));
                let is_broken = change["status"] == "NOT_SENT" && !self.cancelled.contains(&order);
                match is_broken {
                    true => self.judge.broke(&name, now, due(&self.sandbox, &id)),
                    false => self.judge.unwanted(&name, now),
                }
            }
        }
    }

    /// While a frozen process stands still, somebody does something that it can't hear of.
    pub(super) async fn watch(&mut self, happening: usize) {
        let (_, what) = self.plan.happenings[happening].clone();
        let Happening::Freeze(place, _, act, long) = what else {
            return;
        };
        let now = self.clock.elapsed();
        match &self.replicas[place] {
            Some(replica) if replica.is_still() => {
                self.act(&act).await;
                self.enter(now + long, Step::End(happening));
            }
            Some(replica) if !replica.is_gone() && now < Duration::from_secs(TROUBLE) => {
                self.enter(now + WATCH_EVERY, Step::Watch(happening));
            }
            _ => {}
        }
    }

    async fn act(&mut self, act: &Act) {
        let Act::Reload(settings) = act else {
            return self.person(act).await;
        };
        self.settings = *settings;
        for place in 0..self.plan.replicas {
            let at = self.clock.elapsed() + Duration::from_secs(place as u64);
            self.enter(at, Step::Reload(place));
        }
    }

    pub(super) fn end(&mut self, happening: usize) {
        let (_, what) = self.plan.happenings[happening].clone();
        match what {
            Happening::Upstream(..) => {
                self.faults.remove(&happening);
                self.set_faults();
            }
            Happening::Store(_, on, _) => {
                self.store_faults(on)
                    .iter()
                    .for_each(|faults| faults.set(None));
            }
            Happening::Stop(place, _) | Happening::Freeze(place, ..) => {
                if let Some(replica) = &self.replicas[place] {
                    replica.stand_still(false);
                }
            }
            Happening::Doom(place, ..) => {
                if self.replicas[place].as_ref().is_some_and(Replica::is_gone) {
                    self.replicas[place] = None;
                    self.enter(self.clock.elapsed(), Step::Start(place));
                }
            }
            _ => return,
        }
        self.tell(&format!("over: {what:?}"));
    }

    /// No more faults; every process is up and enforces.
    pub(super) async fn peace(&mut self) {
        self.tell("peace");
        self.faults.clear();
        self.set_faults();
        self.store.server_faults().stop();
        for replica in self.replicas.iter().flatten() {
            replica.store.faults().stop();
            replica.stand_still(false);
            replica.doom_is_off();
        }
        for place in 0..self.plan.replicas {
            self.clocks[place].set_ahead(TimeDelta::zero());
            if self.replicas[place].as_ref().is_some_and(Replica::is_gone) {
                self.replicas[place] = None;
                self.enter(self.clock.elapsed(), Step::Start(place));
            }
        }
        self.store_clock.set_ahead(TimeDelta::zero());
        for of in [None, Some(0), Some(1), Some(2)] {
            self.person(&Act::Resume(of)).await;
        }
        self.settings = Settings::PLAIN;
        for place in 0..self.plan.replicas {
            self.enter(self.clock.elapsed(), Step::Reload(place));
        }
    }

    pub(super) async fn person(&mut self, act: &Act) {
        let person = Person {
            store: &self.store,
            orders: &self.plan.orders,
            upstream: &self.sandbox,
            ledger: self.sandbox.ledger(),
            now: self.clock.now(),
        };
        let words = match person.does(act, &mut self.judge, &mut self.settled).await {
            Ok(words) => words,
            Err(error) => format!("can't: {error}"),
        };
        self.tell(&format!("a person {words}"));
    }

    fn set_faults(&self) {
        let faults = self.faults.values().flatten().cloned().collect();
        self.sandbox.set_faults(faults).unwrap();
    }

    fn store_faults(&self, on: Option<usize>) -> Vec<crate::memory::Faults> {
        match on {
            // Not on the person's own.
            None => self
                .replicas
                .iter()
                .flatten()
                .map(|replica| replica.store.faults())
                .collect(),
            Some(place) => self.replicas[place]
                .iter()
                .map(|replica| replica.store.faults())
                .collect(),
        }
    }
}
