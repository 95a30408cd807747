//! What a write comes to: which request it means, whether that takes it, and what the request is afterwards.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use crate::domain::{Operation, Status};
use crate::sandbox::config::RepeatedCreate;
use crate::sandbox::permits::permits;
use crate::sandbox::{bodies, effects};

use super::as_of::AsOf;
use super::changed::Changed;
use super::head::Head;
use super::item::Item;
use super::{World, patch};

/// How a write ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sandbox) enum Written {
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

/// How thoroughly a write is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) enum Manner {
    /// As it should be.
    Plainly,
    /// The date of the request's last change stays as it was.
    Undated,
    /// It is looked at and answered, no more. The id in the answer to a create is the one that would have come next.
    NotAtAll,
}

impl Manner {
    fn keep(
        self,
        changed: &mut Changed,
        mut item: Item,
        now: DateTime<Utc>,
        apply: impl FnOnce(&mut Item),
    ) {
        let before = item.head.last_updated;
        apply(&mut item);
        match self {
            Self::Plainly => changed.keep(item, now),
            Self::Undated => {
                item.head.last_updated = before;
                changed.keep(item, now);
            }
            Self::NotAtAll => {}
        }
    }
}

impl World {
    /// Carries out a write: checks it, looks its request up, applies it, all under one lock, so that of several
    /// equal ones at once each sees what the ones before it did.
    pub fn carry_out(
        &self,
        operation: Operation,
        body: Option<Value>,
        now: DateTime<Utc>,
        manner: Manner,
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
            return self.create(&mut changed, operation, &body, &found, now, manner);
        }
        // Of several requests with one external reference the newest is meant: nothing else can be addressed.
        let Some(item) = found
            .last()
            .and_then(|index| self.item(&changed, *index, AsOf::Now(now)))
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
        manner.keep(&mut changed, item, now, |item| {
            effects::apply(operation, &body, item, now);
        });
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
        manner: Manner,
    ) -> Written {
        if self.repeated == RepeatedCreate::TakesUp && !found.is_empty() {
            let unsent = found
                .iter()
                .filter_map(|index| self.item(changed, *index, AsOf::Now(now)))
                .find(|item| item.head.status == Status::NotSent && !item.head.cancelling);
            let Some(item) = unsent else {
                return Written::Malformed(vec![
                    "externalReference is already in use, and no unsent request has it".to_owned(),
                ]);
            };
            let reference_id = self.plan.reference_id(item.head.index);
            manner.keep(changed, item, now, |item| {
                effects::apply(operation, body, item, now);
            });
            return Written::Done {
                reference_id,
                created: false,
            };
        }
        let mut item = patch::created(operation, body, changed.next(), now);
        item.head.second = !found.is_empty();
        let reference_id = self.plan.reference_id(item.head.index);
        if manner != Manner::NotAtAll {
            changed.add(item, now);
        }
        Written::Done {
            reference_id,
            created: true,
        }
    }
}
