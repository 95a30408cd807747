//! What people do from the pages: by POST only, with a reason, through the same functions as the commands, so that the audit
//! holds the same rows. The answer says what was done, and what that does not prove.
//!
//! Whether it comes from a page of ours, and whether this person may act, was asked at the door.

use std::sync::Arc;

use axum::extract::rejection::FormRejection;
use axum::extract::{Extension, Form, State};
use axum::response::Response;
use chrono::{DateTime, Utc};
use maud::{Markup, html};
use serde::Deserialize;

use super::forms::LONGEST_REASON;
use super::layout::{self, Place};
use super::parts::Moment;
use super::trouble::Trouble;
use super::{Console, Person, orders, texts};
use crate::answers::acts::{self, ACKNOWLEDGED, NotDone, Triggered};
use crate::answers::names::named;
use crate::answers::time::until;
use crate::answers::{Sources, time};
use crate::domain::ids::{AttemptId, FindingId, JobName, Org};
use crate::domain::{AttemptState, ReferenceId};
use crate::store::Actor;

/// A form as it came in.
type Sent<T> = Result<Form<T>, FormRejection>;

/// Everything that an act needs.
struct Acting {
    sources: Sources,
    actor: Actor,
    person: Person,
}

impl Acting {
    /// This person, with their reason.
    async fn begin(console: &Console, person: Person, reason: &str) -> Result<Self, Trouble> {
        let reason = reason.trim();
        if reason.is_empty() || reason.chars().count() > LONGEST_REASON {
            return Err(Trouble::Mistaken(format!(
                "a reason is needed, of {LONGEST_REASON} characters at most: it goes into the audit"
            )));
        }
        let actor = person.actor(reason);
        let actor = actor.ok_or_else(|| Trouble::Mistaken(texts::ONLY_LOOKS.to_owned()))?;
        let sources = console.sources();
        sources.may_steer().await?;
        Ok(Self {
            sources,
            actor,
            person,
        })
    }

    fn job(&self, name: &str) -> Result<JobName, Trouble> {
        let jobs = &self.sources.config.jobs;
        Ok(named("job", name, jobs, |job| job.name.as_str())?
            .name
            .clone())
    }

    /// A job by name; none means all.
    fn scope(&self, name: &str) -> Result<Option<JobName>, Trouble> {
        (!name.is_empty()).then(|| self.job(name)).transpose()
    }

    fn org(&self, name: &str) -> Result<Org, Trouble> {
        let orgs = &self.sources.config.tesamanager.orgs;
        Ok(named("org", name, orgs, |org| org.as_str())?.clone())
    }

    /// What was done, what that does not prove, and where to look.
    async fn done(
        self,
        done: &str,
        not_proven: &str,
        look: (&str, &str),
    ) -> Result<Response, Trouble> {
        let moment = Moment::now(&self.sources);
        let open: u64 = self
            .sources
            .store
            .attempt_counts()
            .await?
            .iter()
            .map(|one| one.count)
            .sum();
        let (title, address) = look;
        let body: Markup = html! {
            section.verdict {
                p.word { (moment.say(done)) }
                p { strong { (texts::NOT_PROVEN) } " " (moment.say(not_proven)) }
                @if open > 0 { p { (open) " " (texts::OPEN_WRITES) } }
                p { (texts::AS) " " (self.actor.who) ": " (moment.say(&self.actor.reason)) }
            }
            p { a href=(address) { (title) } " " a href="/audit" { (texts::IN_THE_AUDIT) } " " a href="/" { (texts::BACK) } }
        };
        Ok(layout::settled(
            texts::DONE,
            Place::Nowhere,
            &self.person,
            moment,
            &body,
        ))
    }
}

fn sent<T>(form: Sent<T>) -> Result<T, Trouble> {
    match form {
        Ok(Form(form)) => Ok(form),
        Err(rejection) => Err(Trouble::Mistaken(rejection.body_text())),
    }
}

#[derive(Deserialize)]
pub(super) struct PauseForm {
    job: String,
    until: String,
    reason: String,
}

pub(super) async fn pause(
    State(console): State<Arc<Console>>,
    Extension(person): Extension<Person>,
    form: Sent<PauseForm>,
) -> Result<Response, Trouble> {
    let form = sent(form)?;
    let acting = Acting::begin(&console, person, &form.reason).await?;
    let job = acting.scope(&form.job)?;
    let (now, zone) = (acting.sources.now(), acting.sources.zone);
    let end = match form.until.trim() {
        "" => None,
        text => Some(until(text, now, zone)?),
    };
    acts::pause(&acting.sources, job.as_ref(), end, false, &acting.actor).await?;
    let end = end.map_or_else(
        || "until resumed".to_owned(),
        |end| format!("until {}", time::written(end)),
    );
    let done = format!("Paused {} {end}.", acts::named(job.as_ref()));
    acting
        .done(&done, texts::PAUSED, (texts::OVERVIEW, "/"))
        .await
}

#[derive(Deserialize)]
pub(super) struct ScopeForm {
    job: String,
    reason: String,
}

pub(super) async fn resume(
    State(console): State<Arc<Console>>,
    Extension(person): Extension<Person>,
    form: Sent<ScopeForm>,
) -> Result<Response, Trouble> {
    let form = sent(form)?;
    let acting = Acting::begin(&console, person, &form.reason).await?;
    let job = acting.scope(&form.job)?;
    let left = acts::resume(&acting.sources, job.as_ref(), &acting.actor).await?;
    let mut done = format!("Resumed {}.", acts::named(job.as_ref()));
    if !left.is_empty() {
        let left: Vec<String> = left
            .iter()
            .map(|pause| acts::named(pause.job_name.as_ref()))
            .collect();
        done.push_str(&format!(" Still paused: {}.", left.join(", ")));
    }
    acting
        .done(&done, texts::RESUMED, (texts::OVERVIEW, "/"))
        .await
}

#[derive(Deserialize)]
pub(super) struct RunForm {
    job: String,
    org: String,
    reason: String,
}

pub(super) async fn trigger(
    State(console): State<Arc<Console>>,
    Extension(person): Extension<Person>,
    form: Sent<RunForm>,
) -> Result<Response, Trouble> {
    let form = sent(form)?;
    let acting = Acting::begin(&console, person, &form.reason).await?;
    let (job, org) = (acting.job(&form.job)?, acting.org(&form.org)?);
    let orgs = std::slice::from_ref(&org);
    let Triggered { paused, .. } =
        acts::trigger(&acting.sources, &job, orgs, &acting.actor).await?;
    let mut done = format!("Asked for a run of {job} in {org}.");
    if paused.is_some() {
        done.push_str(" It is paused: it looks, and withholds its writes.");
    }
    let runs = format!("/runs?job={job}&org={org}");
    acting
        .done(&done, texts::TRIGGERED, (texts::RUNS, &runs))
        .await
}

#[derive(Deserialize)]
pub(super) struct HoldForm {
    job: String,
    org: String,
    since: String,
    reason: String,
}

pub(super) async fn release(
    State(console): State<Arc<Console>>,
    Extension(person): Extension<Person>,
    form: Sent<HoldForm>,
) -> Result<Response, Trouble> {
    let form = sent(form)?;
    let acting = Acting::begin(&console, person, &form.reason).await?;
    let (job, org) = (acting.job(&form.job)?, acting.org(&form.org)?);
    // The hold that was looked at; one that was latched meanwhile nobody has judged.
    let since = form
        .since
        .parse::<i64>()
        .ok()
        .and_then(DateTime::<Utc>::from_timestamp_micros);
    let since = since.ok_or_else(|| Trouble::Mistaken("which hold?".to_owned()))?;
    acts::hold_since(&acting.sources, &job, &org, since).await?;
    acts::release(&acting.sources, &job, &org, &acting.actor).await?;
    let done = acts::released(&job, &org);
    acting
        .done(&done, texts::NOTHING_SENT, (texts::OVERVIEW, "/"))
        .await
}

#[derive(Deserialize)]
pub(super) struct FindingForm {
    finding: i64,
    org: String,
    request: String,
    reason: String,
}

pub(super) async fn acknowledge(
    State(console): State<Arc<Console>>,
    Extension(person): Extension<Person>,
    form: Sent<FindingForm>,
) -> Result<Response, Trouble> {
    say_of_finding(&console, person, form, true).await
}

pub(super) async fn take_back(
    State(console): State<Arc<Console>>,
    Extension(person): Extension<Person>,
    form: Sent<FindingForm>,
) -> Result<Response, Trouble> {
    say_of_finding(&console, person, form, false).await
}

/// Hands off, or that it is over.
async fn say_of_finding(
    console: &Console,
    person: Person,
    form: Sent<FindingForm>,
    hands_off: bool,
) -> Result<Response, Trouble> {
    let form = sent(form)?;
    let acting = Acting::begin(console, person, &form.reason).await?;
    let back = orders::path(&acting.org(&form.org)?, &ReferenceId::new(&form.request));
    let (ids, now) = ([FindingId(form.finding)], acting.sources.now());
    let (store, actor) = (&acting.sources.store, &acting.actor);
    let (done, not_proven) = if hands_off {
        store.acknowledge_findings(&ids, actor, now).await?;
        let done = format!("Acknowledged finding {}: {ACKNOWLEDGED}.", form.finding);
        (done, texts::ACKNOWLEDGED)
    } else {
        store.unacknowledge_findings(&ids, actor, now).await?;
        let done = format!("Took back what was said of finding {}.", form.finding);
        (done, texts::NOTHING_SENT)
    };
    acting
        .done(&done, not_proven, (texts::REQUEST, &back))
        .await
}

#[derive(Deserialize)]
pub(super) struct SettleForm {
    attempt: i64,
    verdict: String,
    reason: String,
}

pub(super) async fn settle(
    State(console): State<Arc<Console>>,
    Extension(person): Extension<Person>,
    form: Sent<SettleForm>,
) -> Result<Response, Trouble> {
    let form = sent(form)?;
    let acting = Acting::begin(&console, person, &form.reason).await?;
    let to = match form.verdict.as_str() {
        "confirmed" => AttemptState::Confirmed,
        "ineffective" => AttemptState::Ineffective,
        other => {
            return Err(Trouble::Mistaken(format!(
                "{other:?} is neither confirmed nor ineffective"
            )));
        }
    };
    let id = AttemptId(form.attempt);
    acts::settle(&acting.sources, id, to, &acting.actor).await?;
    let done = format!("Attempt {id} is {to}, by your word.");
    acting
        .done(&done, texts::SETTLED, (texts::PEOPLE, "/people"))
        .await
}

#[derive(Deserialize)]
pub(super) struct RetryForm {
    org: String,
    request: String,
    reason: String,
}

pub(super) async fn retry(
    State(console): State<Arc<Console>>,
    Extension(person): Extension<Person>,
    form: Sent<RetryForm>,
) -> Result<Response, Trouble> {
    let form = sent(form)?;
    let acting = Acting::begin(&console, person, &form.reason).await?;
    let org = acting.org(&form.org)?;
    let back = orders::path(&org, &ReferenceId::new(&form.request));
    let orgs = std::slice::from_ref(&org);
    let (org, order) = acts::retry(&acting.sources, orgs, &form.request, &acting.actor).await?;
    let done = format!(
        "Order {order} of {org} may be tried again: the next run decides on it afresh, within guard and caps."
    );
    acting
        .done(&done, texts::NOTHING_SENT, (texts::REQUEST, &back))
        .await
}

impl From<NotDone> for Trouble {
    fn from(error: NotDone) -> Self {
        match error {
            NotDone::Refused(why) | NotDone::Moved(why) => Self::Refused(why),
            NotDone::Name(error) => error.into(),
            NotDone::Store(error) => error.into(),
        }
    }
}
