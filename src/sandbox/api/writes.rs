//! The twelve writes.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::Response;
use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::domain::Operation;
use crate::sandbox::Sandbox;
use crate::sandbox::call::Call;
use crate::sandbox::faults::{Effect, Hit};
use crate::sandbox::late::Waiting;
use crate::sandbox::ledger::Entry;
use crate::sandbox::world::{Manner, Written};

use super::{Caller, answers};

pub(super) async fn write(
    operation: Operation,
    State(sandbox): State<Sandbox>,
    Path(org): Path<String>,
    caller: Caller,
    body: Bytes,
) -> Response {
    let (hit, answer) = sandbox.take_write(operation, &org, &caller, &body);
    sandbox.finish(hit, caller.wire, answer).await
}

/// How a write fared, as the ledger wants it.
struct Fate {
    answer: Response,
    reference_id: Option<String>,
    /// It was found to be in order; whether it changes anything is another matter.
    done: bool,
}

impl From<Response> for Fate {
    fn from(answer: Response) -> Self {
        Self {
            answer,
            reference_id: None,
            done: false,
        }
    }
}

/// So many milliseconds later; the end of time, if that is beyond the calendar.
fn after(time: DateTime<Utc>, ms: u64) -> DateTime<Utc> {
    i64::try_from(ms)
        .ok()
        .and_then(chrono::Duration::try_milliseconds)
        .and_then(|later| time.checked_add_signed(later))
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}

impl Sandbox {
    /// Effect and ledger in one go, with no await between: a client that hangs up can't come between the two.
    fn take_write(
        &self,
        operation: Operation,
        org: &str,
        caller: &Caller,
        body: &[u8],
    ) -> (Hit, Response) {
        let call = Call::Write(operation);
        self.0.ledger.count(call);
        let body: Option<Value> = serde_json::from_slice(body).ok();
        let external = body
            .as_ref()
            .and_then(|body| body.get("externalReference")?.as_str())
            .map(str::to_owned);
        let hit = self.0.faults.draw(call, Some(org), external.as_deref());
        let time = self.0.clock.now();
        let (manner, late_by) = match hit.work {
            Some(Effect::NoEffect) => (Manner::NotAtAll, None),
            Some(Effect::LateEffect { ms }) => (Manner::NotAtAll, Some(ms)),
            Some(Effect::UndatedEffect) => (Manner::Undated, None),
            _ => (Manner::Plainly, None),
        };
        // An effect that may come later needs the body again.
        let later = late_by.map(|ms| (after(time, ms), body.clone()));
        let fate = match hit.instead() {
            Some(answer) => answer.into(),
            None => {
                let write = (operation, external.as_deref(), body);
                self.carry_out(write, org, caller, &hit, (time, manner))
            }
        };
        let later = later.filter(|_| fate.done);
        let effect = fate.done && manner != Manner::NotAtAll;
        let sequence = self.0.ledger.enter(Entry {
            sequence: 0,
            time,
            org: org.to_owned(),
            operation,
            external_reference: external,
            correlation_id: caller.correlation_id().map(str::to_owned),
            answered: hit.answered(fate.answer.status()),
            effect,
            effect_at: effect.then_some(time),
            effect_due: later.as_ref().map(|(due, _)| *due),
            reference_id: fate.reference_id,
        });
        if let Some((due, body)) = later {
            self.0.late.add(Waiting {
                due,
                org: org.to_owned(),
                operation,
                body,
                sequence,
            });
        }
        (hit, fate.answer)
    }

    fn carry_out(
        &self,
        (operation, external, body): (Operation, Option<&str>, Option<Value>),
        org: &str,
        caller: &Caller,
        hit: &Hit,
        (now, manner): (DateTime<Utc>, Manner),
    ) -> Fate {
        if let Some(refusal) = self.refusal(caller, hit) {
            return refusal.into();
        }
        let Some(world) = self.world(org) else {
            return answers::no_such_org().into();
        };
        let written = world.carry_out(operation, body, now, manner);
        let answer = answers::written(operation, external, &written);
        let done = matches!(written, Written::Done { .. });
        let reference_id = match written {
            Written::Done { reference_id, .. } | Written::Refused { reference_id, .. } => {
                Some(reference_id)
            }
            Written::NotFound | Written::Malformed(_) => None,
        };
        Fate {
            answer,
            reference_id,
            done,
        }
    }

    /// The 401 that a caller without a good token gets; its token is revoked first, if that is the fault.
    pub(super) fn refusal(&self, caller: &Caller, hit: &Hit) -> Option<Response> {
        let authorization = caller.authorization();
        if hit.answer == Some(Effect::RevokeToken) {
            self.0.tokens.revoke(authorization);
        }
        let checked = self.0.tokens.check(authorization);
        checked.err().map(answers::unauthorized)
    }
}
