//! One org's world: the seeded requests, and on top of them only what has changed since.
//!
//! One lock an org, held for a look-up or one request's change, never for a scan: a list walks in chunks and so
//! sees each request as it is when its chunk is read, as a real gateway's unpaged list over live data does.

mod ages;
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
use serde_json::{Map, Value};

use crate::domain::{Operation, Status};

use super::config::RepeatedCreate;
use super::filter::Filter;
use super::permits::permits;
use super::{bodies, effects};

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

/// How a write ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Written {
    /// It had its effect on this request.
    Done { reference_id: String, created: bool },
    /// 404.
    NotFound,
    /// 406.
    Refused {
        reference_id: String,
        status: Status,
        cancelling: bool,
    },
    /// 400: the body.
    Malformed(Vec<String>),
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

    fn item_now(&self, changed: &Changed, index: u32, now: DateTime<Utc>) -> Option<Item> {
        let mut item = changed.item(&self.plan, index)?;
        item.catch_up(&self.movement, now);
        Some(item)
    }

    fn head_now(&self, changed: &Changed, index: u32, now: DateTime<Utc>) -> Option<Head> {
        let mut head = changed.head(&self.plan, index)?;
        self.movement.catch_up(&mut head, now, |_| {});
        Some(head)
    }

    /// Sees one request as it stands now.
    pub fn with_request<T>(
        &self,
        reference_id: &str,
        now: DateTime<Utc>,
        see: impl FnOnce(&RequestView) -> T,
    ) -> Option<T> {
        let index = self.plan.index(reference_id)?;
        let item = {
            let changed = self.read();
            match changed.holds(index) {
                true => self.item_now(&changed, index, now)?,
                // Its stories are not asked for, so they are not made.
                false => Item {
                    head: self.head_now(&changed, index, now)?,
                    events: Vec::new(),
                    issues: Vec::new(),
                    personal: None,
                },
            }
        };
        Some(see(&RequestView::of(reference_id, &item)))
    }

    /// A request's events.
    pub fn events(&self, reference_id: &str, now: DateTime<Utc>) -> Option<Vec<EventView>> {
        let item = self.story(reference_id, now)?;
        Some(EventView::all(reference_id, &item))
    }

    /// A request's issues.
    pub fn issues(&self, reference_id: &str, now: DateTime<Utc>) -> Option<Vec<IssueView>> {
        let item = self.story(reference_id, now)?;
        Some(IssueView::all(reference_id, &item))
    }

    fn story(&self, reference_id: &str, now: DateTime<Utc>) -> Option<Item> {
        let index = self.plan.index(reference_id)?;
        self.item_now(&self.read(), index, now)
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
    pub fn walk(
        &self,
        places: std::ops::Range<u32>,
        now: DateTime<Utc>,
        mut see: impl FnMut(&Head),
    ) {
        let changed = self.read();
        for place in places {
            let index = if place < self.plan.requests {
                self.plan.at_place(place)
            } else {
                place
            };
            if let Some(head) = self.head_now(&changed, index, now) {
                see(&head);
            }
        }
    }

    /// The matching ids among those with the filter's external reference.
    pub fn matching_external(
        &self,
        filter: &Filter,
        external: &str,
        now: DateTime<Utc>,
    ) -> Vec<String> {
        let changed = self.read();
        changed
            .with_external(&self.plan, external)
            .into_iter()
            .filter_map(|index| self.head_now(&changed, index, now))
            .filter(|head| filter.matches(head))
            .map(|head| self.plan.reference_id(head.index))
            .collect()
    }

    /// The id of a request met on a walk.
    pub fn reference_id(&self, head: &Head) -> String {
        self.plan.reference_id(head.index)
    }

    /// Carries out a write: checks it, looks its request up, applies it, all under one lock, so that of several
    /// equal ones at once each sees what the ones before it did.
    pub fn carry_out(
        &self,
        operation: Operation,
        body: Option<Value>,
        now: DateTime<Utc>,
    ) -> Written {
        let body = match bodies::check(operation, body) {
            Ok(body) => body,
            Err(complaints) => return Written::Malformed(complaints),
        };
        let external = body
            .get("externalReference")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let mut changed = self.write();
        let found = changed.with_external(&self.plan, external);
        if operation.is_create_request() {
            return self.create(&mut changed, operation, &body, &found, now);
        }
        // Of several requests with one external reference the newest is meant: nothing else can be addressed.
        let Some(mut item) = found
            .last()
            .and_then(|index| self.item_now(&changed, *index, now))
        else {
            return Written::NotFound;
        };
        let reference_id = self.plan.reference_id(item.head.index);
        if !permits(operation, &item.head.status, item.head.cancelling) {
            let Head {
                status, cancelling, ..
            } = item.head;
            return Written::Refused {
                reference_id,
                status,
                cancelling,
            };
        }
        effects::apply(operation, &body, &mut item, now);
        changed.keep(item);
        Written::Done {
            reference_id,
            created: false,
        }
    }

    fn create(
        &self,
        changed: &mut Changed,
        operation: Operation,
        body: &Map<String, Value>,
        found: &[u32],
        now: DateTime<Utc>,
    ) -> Written {
        if self.repeated == RepeatedCreate::TakesUp && !found.is_empty() {
            let unsent = found
                .iter()
                .filter_map(|index| self.item_now(changed, *index, now))
                .find(|item| item.head.status == Status::NotSent && !item.head.cancelling);
            let Some(mut item) = unsent else {
                return Written::Malformed(vec![
                    "externalReference is already in use, and no unsent request has it".to_owned(),
                ]);
            };
            effects::apply(operation, body, &mut item, now);
            let reference_id = self.plan.reference_id(item.head.index);
            changed.keep(item);
            return Written::Done {
                reference_id,
                created: false,
            };
        }
        let item = patch::created(operation, body, changed.next(), now);
        let reference_id = self.plan.reference_id(item.head.index);
        changed.add(item);
        Written::Done {
            reference_id,
            created: true,
        }
    }

    /// Forgets a request; false if it was not there.
    pub fn remove(&self, reference_id: &str) -> bool {
        let Some(index) = self.plan.index(reference_id) else {
            return false;
        };
        let mut changed = self.write();
        let there = changed.head(&self.plan, index).is_some();
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
            Some(index) => (self.item_now(&changed, index, now)?, false),
            None => (
                patch::blank(patch.external_reference.as_deref(), changed.next(), now),
                true,
            ),
        };
        patch.apply(&mut item, now);
        let patched = Patched {
            reference_id: self.plan.reference_id(item.head.index),
            external_reference: item.head.external_reference().to_string(),
            created,
        };
        if created {
            changed.add(item);
        } else {
            changed.keep(item);
        }
        Some(patched)
    }
}
