//! Notifications as a receiver gets them, over real HTTP and from a real store.

mod daemon;
mod receiver;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use tempfile::TempDir;
use tesa_reconciler::clock::{Clock, ManualClock};
use tesa_reconciler::config::{self, Config, Overrides};
use tesa_reconciler::domain::finding::Attention;
use tesa_reconciler::domain::{FindingKind, JobName, Org};
use tesa_reconciler::notify::webhook::Undelivered;
use tesa_reconciler::notify::{Sender, Webhook};
use tesa_reconciler::store::findings::{FindingChanges, FindingKey, Sighting};
use tesa_reconciler::store::{self, Actor, Store, StoreOptions};

use crate::store::values::a_run;
use receiver::Receiver;

/// A store, a clock that stands still, and a receiver.
struct World {
    dir: TempDir,
    store: Arc<dyn Store>,
    clock: Arc<ManualClock>,
    receiver: Receiver,
}

fn parsed(notify: &str) -> Config {
    let text = format!(
        "[tesamanager]\nbase_url = \"https://x.example\"\norgs = [\"masmovil\"]\ntoken_file = \"t\"\n\
         [notify]\n{notify}"
    );
    config::parse(&text, "t.toml", std::iter::empty(), &Overrides::default()).unwrap()
}

fn webhook(notify: &str) -> Arc<Webhook> {
    Arc::new(Webhook::new(&parsed(notify).notify.unwrap()).unwrap())
}

async fn opened(dir: &Path) -> Arc<dyn Store> {
    let url = format!("sqlite:{}", dir.join("t.db").display());
    let store = store::open(&url, &StoreOptions::default()).await.unwrap();
    store.migrate().await.unwrap();
    store
}

fn job() -> JobName {
    "retry-stuck".into()
}

fn org() -> Org {
    "masmovil".into()
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let noon = "2026-01-15T12:00:00Z".parse().unwrap();
        Self {
            store: opened(dir.path()).await,
            dir,
            clock: Arc::new(ManualClock::new(noon, 7)),
            receiver: Receiver::start().await,
        }
    }

    /// A sender with the receiver's address and these lines more.
    fn sender(&self, more: &str) -> Sender {
        let notify = format!("url = \"{}\"\n{more}", self.receiver.url());
        let clock = Arc::clone(&self.clock);
        Sender::new(webhook(&notify), Arc::clone(&self.store), clock)
    }

    async fn hold(&self) {
        // The guard's own words: numbers and codes. They are told.
        let actor = Actor::daemon("300 of 900 want a write");
        let now = self.clock.now();
        let latched = self
            .store
            .latch_guard(&a_run(&*self.store).await, &job(), &org(), &actor, now)
            .await;
        assert!(latched.unwrap());
    }

    async fn release(&self) {
        let (actor, now) = (Actor::daemon("CANARY"), self.clock.now());
        let released = self.store.release_guard(&job(), &org(), &actor, now).await;
        assert!(released.unwrap());
    }

    /// One round a second for so long; answers when something was posted.
    async fn seconds(&self, sender: &mut Sender, seconds: u32) -> Vec<DateTime<Utc>> {
        let mut posted = Vec::new();
        for _ in 0..seconds {
            let before = self.receiver.count();
            sender.round().await.unwrap();
            let now = self.clock.now();
            posted.extend((before..self.receiver.count()).map(|_| now));
            self.clock.advance(Duration::from_secs(1));
        }
        posted
    }

    fn states(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let bodies = self.receiver.bodies();
        bodies
            .iter()
            .map(|body| (text(&body["alert"]), text(&body["state"])))
            .collect()
    }
}

fn state(alert: &str, state: &str) -> (String, String) {
    (alert.to_owned(), state.to_owned())
}

#[tokio::test]
async fn a_hold_is_told_once_and_its_release_once() {
    let world = World::new().await;
    let mut sender = world.sender("");
    assert!(world.seconds(&mut sender, 10).await.is_empty());
    world.hold().await;
    assert_eq!(world.seconds(&mut sender, 60).await.len(), 1);
    world.release().await;
    assert_eq!(world.seconds(&mut sender, 60).await.len(), 1);
    let told = [state("guard_held", "open"), state("guard_held", "resolved")];
    assert_eq!(world.states(), told);
    let body = &world.receiver.bodies()[1];
    assert_eq!(body["labels"]["job_name"], "retry-stuck");
    assert_eq!(body["since"], "2026-01-15T12:00:10.000Z");
    assert_eq!(body["at"], "2026-01-15T12:01:10.000Z");
}

#[tokio::test]
async fn a_restart_tells_nothing_twice() {
    let world = World::new().await;
    world.hold().await;
    world.sender("").round().await.unwrap();
    world.store.close().await;
    let world = World {
        store: opened(world.dir.path()).await,
        ..world
    };
    world.sender("").round().await.unwrap();
    assert_eq!(world.states(), [state("guard_held", "open")]);
}

#[tokio::test]
async fn two_notifiers_on_one_store_tell_once() {
    let world = World::new().await;
    world.receiver.answer_after(Duration::from_millis(100));
    let other = World {
        store: opened(world.dir.path()).await,
        dir: tempfile::tempdir().unwrap(),
        clock: Arc::clone(&world.clock),
        receiver: world.receiver.clone(),
    };
    let (mut one, mut two) = (world.sender(""), other.sender(""));
    for (step, told) in [(true, "open"), (false, "resolved")] {
        match step {
            true => world.hold().await,
            false => world.release().await,
        }
        for _ in 0..3 {
            let (first, second) = futures::join!(one.round(), two.round());
            first.unwrap();
            second.unwrap();
        }
        assert_eq!(world.states().last(), Some(&state("guard_held", told)));
    }
    assert_eq!(world.receiver.count(), 2);
}

#[tokio::test]
async fn what_failed_is_tried_again_after_growing_pauses() {
    for slow in [false, true] {
        let world = World::new().await;
        let mut sender = world.sender("timeout = \"50ms\"\n");
        if slow {
            world.receiver.answer_after(Duration::from_secs(600));
        } else {
            world.receiver.answer(500);
        }
        world.hold().await;
        let tries = world.seconds(&mut sender, 80).await;
        assert!(tries.len() >= 4, "{tries:?}");
        let pauses: Vec<i64> = tries
            .windows(2)
            .map(|pair| (pair[1] - pair[0]).num_seconds())
            .collect();
        assert!(
            pauses[0] <= 6 && pauses.is_sorted() && pauses[2] >= 10,
            "{pauses:?}"
        );
        world.receiver.answer(200);
        world.receiver.answer_after(Duration::ZERO);
        assert_eq!(world.seconds(&mut sender, 80).await.len(), 1);
        assert!(world.seconds(&mut sender, 80).await.is_empty());
    }
}

#[tokio::test]
async fn what_stands_is_told_even_to_a_receiver_that_was_away_for_days() {
    let world = World::new().await;
    let mut sender = world.sender("");
    world.receiver.answer(503);
    world.hold().await;
    for _ in 0..300 {
        sender.round().await.unwrap();
        world.clock.advance(Duration::from_secs(15 * 60));
    }
    assert!(world.receiver.count() <= 300);
    world.receiver.answer(204);
    let before = world.receiver.count();
    sender.round().await.unwrap();
    assert_eq!(world.receiver.count(), before + 1);
    sender.round().await.unwrap();
    assert_eq!(world.receiver.count(), before + 1);
}

#[tokio::test]
async fn that_something_is_over_is_not_told_for_ever() {
    let world = World::new().await;
    let mut sender = world.sender("");
    world.hold().await;
    sender.round().await.unwrap();
    world.receiver.answer(503);
    world.release().await;
    let begun = world.clock.now();
    let mut last = begun;
    for _ in 0..300 {
        let before = world.receiver.count();
        sender.round().await.unwrap();
        if world.receiver.count() > before {
            last = world.clock.now();
        }
        world.clock.advance(Duration::from_secs(15 * 60));
    }
    let tried_for = last - begun;
    let day = TimeDelta::hours(24);
    assert!(
        tried_for > day && tried_for < day + TimeDelta::hours(1),
        "{tried_for}"
    );
    world.receiver.answer(200);
    let before = world.receiver.count();
    sender.round().await.unwrap();
    assert_eq!(world.receiver.count(), before);
}

#[tokio::test]
async fn no_notification_names_a_request() {
    let world = World::new().await;
    world.hold().await;
    let sightings = FindingKind::ALL.iter().map(|kind| Sighting {
        key: FindingKey {
            reference_id: "CANARY-ref".into(),
            kind: *kind,
            detail: "CANARY-detail".to_owned(),
        },
        external_reference: Some("CANARY-order".into()),
        since: None,
        attention: Some(Attention::GivenUp),
        evidence: "CANARY-evidence".to_owned(),
    });
    let changes = FindingChanges {
        seen: sightings.collect(),
        ..FindingChanges::default()
    };
    let now = world.clock.now();
    world
        .store
        .apply_findings(&a_run(&*world.store).await, &org(), &job(), &changes, now)
        .await
        .unwrap();
    for format in ["json", "alertmanager"] {
        let mut sender = world.sender(&format!("format = \"{format}\"\n"));
        world.seconds(&mut sender, 90).await;
    }
    // The guard, what is given up, and each kind; then one renewal of them all and another a minute later.
    let alerts = 2 + FindingKind::ALL.len();
    assert_eq!(world.receiver.count(), alerts + 2);
    for body in world.receiver.bodies() {
        assert!(!body.to_string().contains("CANARY"), "{body}");
    }
}

#[tokio::test]
async fn alertmanager_is_told_every_minute_what_stands_and_once_that_it_is_over() {
    let world = World::new().await;
    let mut sender = world.sender("format = \"alertmanager\"\n");
    world.hold().await;
    let posted = world.seconds(&mut sender, 150).await;
    assert_eq!(posted.len(), 4, "once, at once again, and twice more");
    world.release().await;
    world.seconds(&mut sender, 150).await;
    let bodies = world.receiver.bodies();
    assert_eq!(bodies.len(), 5);
    for body in &bodies {
        assert_eq!(body.as_array().unwrap().len(), 1);
        assert_eq!(body[0]["labels"], bodies[0][0]["labels"]);
        assert_eq!(body[0]["startsAt"], "2026-01-15T12:00:00.000Z");
    }
    assert_eq!(bodies[3][0]["endsAt"], "2026-01-15T12:17:00.000Z");
    assert_eq!(bodies[4][0]["endsAt"], "2026-01-15T12:02:30.000Z");
}

#[tokio::test]
async fn the_token_is_read_for_each_delivery() {
    let world = World::new().await;
    let file = world.dir.path().join("token");
    let url = world.receiver.url();
    let notify = format!("url = \"{url}\"\ntoken_file = \"{}\"\n", file.display());
    let webhook = webhook(&notify);
    let post = || webhook.post(&Value::Null);
    let error = post().await.unwrap_err();
    assert!(matches!(error, Undelivered::Token { .. }), "{error}");
    for token in ["first", "second"] {
        std::fs::write(&file, format!("{token}\n")).unwrap();
        post().await.unwrap();
        assert_eq!(
            world.receiver.last_authorization().as_deref(),
            Some(&*format!("Bearer {token}"))
        );
    }
    std::fs::write(&file, "CANARY\nCANARY").unwrap();
    let error = post().await.unwrap_err().to_string();
    assert!(error.contains("notify.token_file"), "{error}");
    assert!(!error.contains("CANARY"), "{error}");
    assert_eq!(world.receiver.count(), 2);
}

#[tokio::test]
async fn a_failure_names_the_host_and_what_to_look_at_but_no_path() {
    let receiver = Receiver::start().await;
    let hook = webhook(&format!("url = \"{}/CANARY\"\n", receiver.url()));
    for (status, hint) in [
        (401, "check notify.token_file"),
        (404, "check notify.url"),
        (400, "check notify.format"),
        (307, "redirects are not followed"),
        (500, "answered 500"),
    ] {
        receiver.answer(status);
        let error = hook.post(&Value::Null).await.unwrap_err().to_string();
        assert!(error.contains(hint), "{error}");
        assert!(error.starts_with("127.0.0.1 "), "{error}");
        assert!(!error.contains("CANARY"), "{error}");
    }
    assert_eq!(receiver.count(), 5, "a redirect was followed");
    let nobody = webhook("url = \"http://127.0.0.1:1/CANARY\"\n");
    let error = nobody.post(&Value::Null).await.unwrap_err().to_string();
    assert!(error.starts_with("127.0.0.1 did not answer"), "{error}");
    assert!(!error.contains("CANARY"), "{error}");
}
