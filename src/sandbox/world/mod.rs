//! One org's world: the seeded requests, and on top of them only what has changed since.
//!
//! One lock an org, held for a look-up or one request's change, never for a scan: a list walks in chunks and so
//! sees each request as it is when its chunk is read, as a real gateway's unpaged list over live data does.

mod ages;
mod as_of;
mod carry_out;
mod changed;
mod head;
mod item;
mod movement;
mod patch;
mod seed;
mod story;
mod view;

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use chrono::{DateTime, Utc};

use super::config::RepeatedCreate;
use super::filter::Filter;

pub(super) use as_of::AsOf;
pub(super) use carry_out::{Manner, Written};
use changed::Changed;
pub use head::EXTERNAL_PREFIX;
pub(super) use head::Head;
pub(super) use item::Item;
pub(super) use movement::Movement;
pub use patch::{EventPatch, IssuePatch, Patch, Patched};
pub(super) use seed::Plan;
pub use story::PERSONAL_MARKER;
pub use view::{EventView, IssueView, RequestView};

/// One org's requests.
#[derive(Debug)]
pub(super) struct World {
    plan: Plan,
    movement: Movement,
    repeated: RepeatedCreate,
    changed: RwLock<Changed>,
}

impl World {
    pub fn new(plan: Plan, movement: Movement, repeated: RepeatedCreate) -> Self {
        Self {
            movement,
            repeated,
            changed: RwLock::new(Changed::nothing(&plan)),
            plan,
        }
    }

    // A panic while the lock is held would be a defect of ours; the state is whole between statements all the same.
    fn read(&self) -> RwLockReadGuard<'_, Changed> {
        self.changed.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Changed> {
        self.changed.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn item(&self, changed: &Changed, index: u32, as_of: AsOf) -> Option<Item> {
        let mut item = changed.item(&self.plan, index, as_of)?;
        item.catch_up(&self.movement, as_of.instant());
        Some(item)
    }

    fn head(&self, changed: &Changed, index: u32, as_of: AsOf) -> Option<Head> {
        let mut head = changed.head(&self.plan, index, as_of)?;
        self.movement.catch_up(&mut head, as_of.instant(), |_| {});
        Some(head)
    }

    /// Sees one request as it stands, or stood.
    pub fn with_request<T>(
        &self,
        reference_id: &str,
        as_of: AsOf,
        see: impl FnOnce(&RequestView) -> T,
    ) -> Option<T> {
        let index = self.plan.index(reference_id)?;
        let item = {
            let changed = self.read();
            match changed.holds(index) {
                true => self.item(&changed, index, as_of)?,
                // Its stories are not asked for, so they are not made.
                false => Item {
                    head: self.head(&changed, index, as_of)?,
                    events: Vec::new(),
                    issues: Vec::new(),
                    omits: Vec::new(),
                    personal: None,
                },
            }
        };
        Some(see(&RequestView::of(reference_id, &item)))
    }

    /// A request's events.
    pub fn events(&self, reference_id: &str, as_of: AsOf) -> Option<Vec<EventView>> {
        let item = self.story(reference_id, as_of)?;
        Some(EventView::all(reference_id, &item))
    }

    /// A request's issues.
    pub fn issues(&self, reference_id: &str, as_of: AsOf) -> Option<Vec<IssueView>> {
        let item = self.story(reference_id, as_of)?;
        Some(IssueView::all(reference_id, &item))
    }

    fn story(&self, reference_id: &str, as_of: AsOf) -> Option<Item> {
        let index = self.plan.index(reference_id)?;
        self.item(&self.read(), index, as_of)
    }

    /// The ids of the requests with this external reference, oldest first.
    pub fn references(&self, external: &str) -> Vec<String> {
        let found = self.read().with_external(&self.plan, external);
        found
            .into_iter()
            .map(|index| self.plan.reference_id(index))
            .collect()
    }

    /// How many places a walk over the whole world has.
    pub fn places(&self) -> u32 {
        self.read().next()
    }

    /// Walks over some places and hands every request that is there to `see`. Seeded requests stand shuffled.
    pub fn walk(&self, places: std::ops::Range<u32>, as_of: AsOf, mut see: impl FnMut(&Head)) {
        let changed = self.read();
        for place in places {
            let index = if place < self.plan.requests {
                self.plan.at_place(place)
            } else {
                place
            };
            if let Some(head) = self.head(&changed, index, as_of) {
                see(&head);
            }
        }
    }

    /// The matching ids among those with the filter's external reference.
    pub fn matching_external(&self, filter: &Filter, external: &str, as_of: AsOf) -> Vec<String> {
        let changed = self.read();
        changed
            .with_external(&self.plan, external)
            .into_iter()
            .filter_map(|index| self.head(&changed, index, as_of))
            .filter(|head| filter.matches(head))
            .map(|head| self.plan.reference_id(head.index))
            .collect()
    }

    /// The id of a request met on a walk.
    pub fn reference_id(&self, head: &Head) -> String {
        self.plan.reference_id(head.index)
    }

    /// Forgets a request; false if it was not there.
    pub fn remove(&self, reference_id: &str) -> bool {
        let Some(index) = self.plan.index(reference_id) else {
            return false;
        };
        let mut changed = self.write();
        let there = changed.there(&self.plan, index);
        if there {
            changed.remove(index);
        }
        there
    }

    /// Adds or changes a request as a test wants it.
    pub fn patch(&self, patch: &Patch, now: DateTime<Utc>) -> Option<Patched> {
        let mut changed = self.write();
        let index = match (&patch.reference_id, &patch.external_reference) {
            (Some(reference_id), _) => Some(self.plan.index(reference_id)?),
            (None, Some(external)) if !patch.another => {
                changed.with_external(&self.plan, external).last().copied()
            }
            _ => None,
        };
        let (mut item, created) = match index {
            Some(index) => (self.item(&changed, index, AsOf::Now(now))?, false),
            None => (
                patch::blank(patch.external_reference.as_deref(), changed.next(), now),
                true,
            ),
        };
        patch.apply(&mut item, now);
        item.head.second |= created && {
            let external = item.head.external_reference();
            !changed.with_external(&self.plan, &external).is_empty()
        };
        let patched = Patched {
            reference_id: self.plan.reference_id(item.head.index),
            external_reference: item.head.external_reference().to_string(),
            created,
        };
        if created {
            changed.add(item, now);
        } else {
            changed.keep(item, now);
        }
        Some(patched)
    }
}
