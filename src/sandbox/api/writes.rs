//! The twelve writes.

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::Response;
use serde_json::Value;

use crate::domain::Operation;
use crate::sandbox::Sandbox;
use crate::sandbox::call::Call;
use crate::sandbox::faults::{Effect, Hit};
use crate::sandbox::ledger::Entry;
use crate::sandbox::world::Written;

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
    effect: bool,
}

impl From<Response> for Fate {
    fn from(answer: Response) -> Self {
        Self {
            answer,
            reference_id: None,
            effect: false,
        }
    }
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
        let fate = match hit.instead() {
            Some(answer) => answer.into(),
            None => self.carry_out(operation, org, caller, &hit, external.as_deref(), body),
        };
        self.0.ledger.enter(Entry {
            sequence: 0,
            time,
            org: org.to_owned(),
            operation,
            external_reference: external,
            correlation_id: caller.correlation_id().map(str::to_owned),
            answered: hit.answered(fate.answer.status()),
            effect: fate.effect,
            reference_id: fate.reference_id,
        });
        (hit, fate.answer)
    }

    fn carry_out(
        &self,
        operation: Operation,
        org: &str,
        caller: &Caller,
        hit: &Hit,
        external: Option<&str>,
        body: Option<Value>,
    ) -> Fate {
        if let Some(refusal) = self.refusal(caller, hit) {
            return refusal.into();
        }
        let Some(world) = self.world(org) else {
            return answers::no_such_org().into();
        };
        let written = world.carry_out(operation, body, self.0.clock.now());
        let answer = answers::written(operation, external, &written);
        let effect = matches!(written, Written::Done { .. });
        let reference_id = match written {
            Written::Done { reference_id, .. } | Written::Refused { reference_id, .. } => {
                Some(reference_id)
            }
            Written::NotFound | Written::Malformed(_) => None,
        };
        Fate {
            answer,
            reference_id,
            effect,
        }
    }

    /// The 401 that a caller without a good token gets; its token is revoked first, if that is the fault.
    pub(super) fn refusal(&self, caller: &Caller, hit: &Hit) -> Option<Response> {
        let authorization = caller.authorization();
        if hit.what == Some(Effect::RevokeToken) {
            self.0.tokens.revoke(authorization);
        }
        let checked = self.0.tokens.check(authorization);
        checked.err().map(answers::unauthorized)
    }
}
