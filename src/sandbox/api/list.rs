//! The list call: an id list that is made while it is sent, so that a million ids never stand in memory at once.

use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures::stream;
use serde_json::{Value, json};

use crate::domain::ReadOperation;
use crate::sandbox::Sandbox;
use crate::sandbox::call::Call;
use crate::sandbox::faults::{Effect, Hit, More};
use crate::sandbox::filter::Filter;
use crate::sandbox::world::AsOf;

use super::{Caller, answers, slow};

/// Places of the world per chunk: some 50 kB of ids where all match, and about a millisecond of work.
const CHUNK: u32 = 4_096;

pub(super) async fn list(
    State(sandbox): State<Sandbox>,
    caller: Caller,
    Path(org): Path<String>,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Response {
    let call = Call::Read(ReadOperation::ListReferenceIds);
    sandbox.count_read(call, &org);
    let filter = match query {
        Ok(Query(pairs)) => Filter::parse(pairs),
        Err(_) => Err("the query can't be read".to_owned()),
    };
    let external = filter
        .as_ref()
        .ok()
        .and_then(|filter| filter.external_reference.as_deref());
    let mut hit = sandbox.0.faults.draw(call, Some(&org), external);
    let answer = sandbox.select(&caller, &hit, org, filter);
    let answer = match hit.answer {
        Some(Effect::Endless { pause_ms }) if answer.status().is_success() => {
            // An endless list is not the end of a list with spaces behind it.
            hit.answer = None;
            slow::endless(
                b"{\"reference_ids\":[\"TS00000000\"",
                b",\"TS00000000\"",
                pause_ms,
                &sandbox.0.closing,
            )
        }
        _ => answer,
    };
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
        let as_of = hit.as_of(now);
        let mut filter = Filter {
            ages: self.0.config.ages,
            omits: match hit.work {
                Some(Effect::Omit { share }) => Some((hit.roll, share)),
                _ => None,
            },
            no_second_from: match hit.work {
                Some(Effect::OmitSecond { after_ms }) => {
                    Some(AsOf::lagging(now, Duration::from_millis(after_ms)).instant())
                }
                _ => None,
            },
            ..filter
        };
        hit.ignored.iter().for_each(|which| filter.ignore(*which));
        let (share, says) = match hit.answer {
            Some(Effect::ShortList { share }) => (share, None),
            Some(Effect::Page { share, says }) => (share, Some(says)),
            _ => (1.0, None),
        };
        // Exact, for no list has 2^53 places.
        let part = |whole: usize| (whole as f64 * share) as usize;
        if let Some(external) = &filter.external_reference {
            let mut ids = world.matching_external(&filter, external, as_of);
            let whole = ids.len();
            ids.truncate(part(whole));
            let mut body = json!({ "reference_ids": ids });
            if let Some(says) = says {
                let (name, value) = said(says, whole as u64);
                body[name] = value;
            }
            return Json(body).into_response();
        }
        let (step, pause) = match hit.answer {
            Some(Effect::SlowList { places, pause_ms }) => {
                (places.max(1), Duration::from_millis(pause_ms))
            }
            _ => (CHUNK, Duration::ZERO),
        };
        let listing = Listing {
            // No more than there are, which is a u32.
            until: part(world.places() as usize) as u32,
            places: world.places(),
            says,
            whole: 0,
            sandbox: self.clone(),
            org,
            filter,
            as_of,
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
    as_of: AsOf,
    next: u32,
    /// Where it ends,
    until: u32,
    /// where it should,
    places: u32,
    /// and what tells.
    says: Option<More>,
    /// What matched so far, named or not.
    whole: u64,
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
            if self.next >= self.end() {
                text.push(']');
                if let Some(says) = self.says {
                    let (name, value) = said(says, self.whole);
                    text.push_str(&format!(",\"{name}\":{value}"));
                }
                text.push('}');
                self.ended = true;
            }
        }
        (!text.is_empty()).then(|| text.into())
    }

    /// The rest is walked where it must be counted.
    fn end(&self) -> u32 {
        match self.says {
            Some(More::Total | More::Count) => self.places,
            _ => self.until,
        }
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
        let named = self.next < self.until;
        let end = if named { self.until } else { self.end() };
        let until = self.next.saturating_add(self.step).min(end);
        let (filter, some, whole) = (&self.filter, &mut self.some, &mut self.whole);
        world.walk(self.next..until, self.as_of, |head| {
            let matches = filter.matches(head);
            *whole += u64::from(matches);
            if matches && named {
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

/// What gives the beginning of a list away, of so many in all.
fn said(says: More, whole: u64) -> (&'static str, Value) {
    match says {
        More::Total => ("total", json!(whole)),
        More::Count => ("count", json!(whole)),
        More::Next => ("next", json!("/v1/tesa/requests?page=2")),
        More::HasMore => ("has_more", json!(true)),
        More::NextPage => ("nextPage", json!(2)),
    }
}
