//! The list call: an id list that is made while it is sent, so that a million ids never stand in memory at once.

use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use futures::stream;
use serde_json::json;

use crate::domain::ReadOperation;
use crate::sandbox::Sandbox;
use crate::sandbox::call::Call;
use crate::sandbox::faults::{Effect, Hit};
use crate::sandbox::filter::Filter;

use super::{Caller, answers};

/// Places of the world per chunk: some 50 kB of ids where all match, and about a millisecond of work.
const CHUNK: u32 = 4_096;

pub(super) async fn list(
    State(sandbox): State<Sandbox>,
    caller: Caller,
    Path(org): Path<String>,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Response {
    let call = Call::Read(ReadOperation::ListReferenceIds);
    sandbox.0.ledger.count(call);
    let filter = match query {
        Ok(Query(pairs)) => Filter::parse(pairs),
        Err(_) => Err("the query can't be read".to_owned()),
    };
    let external = filter
        .as_ref()
        .ok()
        .and_then(|filter| filter.external_reference.as_deref());
    let hit = sandbox.0.faults.draw(call, Some(&org), external);
    let answer = sandbox.select(&caller, &hit, org, filter);
    sandbox.finish(hit, caller.wire, answer).await
}

impl Sandbox {
    fn select(
        &self,
        caller: &Caller,
        hit: &Hit,
        org: String,
        filter: Result<Filter, String>,
    ) -> Response {
        if let Some(answer) = hit.instead() {
            return answer;
        }
        if let Some(refusal) = self.refusal(caller, hit) {
            return refusal;
        }
        let Some(world) = self.world(&org) else {
            return answers::no_such_org();
        };
        let filter = match filter {
            Ok(filter) => filter,
            Err(why) => return answers::error(StatusCode::BAD_REQUEST, &why),
        };
        let now = self.0.clock.now();
        if let Some(external) = &filter.external_reference {
            let ids = world.matching_external(&filter, external, now);
            return Json(json!({ "reference_ids": ids })).into_response();
        }
        let (step, pause) = match hit.what {
            Some(Effect::SlowList { places, pause_ms }) => {
                (places.max(1), Duration::from_millis(pause_ms))
            }
            _ => (CHUNK, Duration::ZERO),
        };
        let listing = Listing {
            until: world.places(),
            sandbox: self.clone(),
            org,
            filter,
            now,
            next: 0,
            step,
            pause,
            begun: false,
            some: false,
            ended: false,
        };
        answers::json_body(Body::from_stream(stream::unfold(
            listing,
            |mut listing| async {
                let chunk = listing.chunk().await?;
                Some((Ok::<_, Infallible>(chunk), listing))
            },
        )))
    }
}

/// A list on its way.
struct Listing {
    sandbox: Sandbox,
    org: String,
    filter: Filter,
    now: DateTime<Utc>,
    next: u32,
    until: u32,
    step: u32,
    pause: Duration,
    begun: bool,
    some: bool,
    ended: bool,
}

impl Listing {
    /// The next piece of the body that is not empty.
    async fn chunk(&mut self) -> Option<Bytes> {
        let mut text = String::new();
        while text.is_empty() && !self.ended {
            if self.begun {
                self.wait().await;
            } else {
                self.begun = true;
                text.push_str("{\"reference_ids\":[");
            }
            self.collect(&mut text);
            if self.next >= self.until {
                text.push_str("]}");
                self.ended = true;
            }
        }
        (!text.is_empty()).then(|| text.into())
    }

    /// Lets others have the thread; and trickles, if that is the fault.
    async fn wait(&self) {
        if self.pause.is_zero() {
            tokio::task::yield_now().await;
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(self.pause) => {}
            () = self.sandbox.0.closing.cancelled() => {}
        }
    }

    fn collect(&mut self, text: &mut String) {
        let Some(world) = self.sandbox.world(&self.org) else {
            return;
        };
        let until = self.next.saturating_add(self.step).min(self.until);
        let (filter, some) = (&self.filter, &mut self.some);
        world.walk(self.next..until, self.now, |head| {
            if filter.matches(head) {
                text.push_str(if *some { ",\"" } else { "\"" });
                // Letters and digits alone: nothing to escape.
                text.push_str(&world.reference_id(head));
                text.push('"');
                *some = true;
            }
        });
        self.next = until;
    }
}
