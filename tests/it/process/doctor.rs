//! `doctor` holds the upstream's filters against what its reads say, and accuses none that only changed meanwhile.

use serde_json::Value;
use tesa_reconciler::domain::Filter;
use tesa_reconciler::sandbox::{Ages, Effect, Fault, Precision, SandboxConfig};

use super::world::{Settings, World, empty_sandbox};

/// Three hundred requests in all statuses, in which nothing moves.
fn still() -> SandboxConfig {
    SandboxConfig {
        requests: 300,
        ..empty_sandbox()
    }
}

async fn world(sandbox: SandboxConfig, also: &str) -> World {
    let mut settings = Settings::default();
    settings.tesamanager.push_str(also);
    World::with(sandbox, settings).await
}

struct Told {
    code: Option<i32>,
    checks: Vec<Value>,
}

async fn doctor(world: &World) -> Told {
    let ended = world.run(&["doctor", "--output", "json"]).await;
    Told {
        code: ended.code,
        checks: serde_json::from_str(&ended.stdout).expect("JSON"),
    }
}

impl Told {
    /// How a filter was found, and in what words.
    fn of(&self, filter: Filter) -> (&str, &str) {
        let named = format!(": {filter} ");
        let said = |check: &&Value| check["detail"].as_str().unwrap().contains(&named);
        let check = self.checks.iter().find(said).expect("a word on it");
        assert_eq!(check["check"], "filter");
        let text = |field: &str| check[field].as_str().unwrap();
        (text("result"), text("detail"))
    }

    fn mend(&self) -> &str {
        let failed = self.checks.iter().find(|check| check["result"] == "fail");
        failed.unwrap()["mend"].as_str().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_that_hold_are_well_and_nothing_is_written() {
    let world = world(still(), "").await;
    let told = doctor(&world).await;
    assert_eq!(told.code, Some(0), "{:?}", told.checks);
    for &filter in Filter::ALL {
        assert_eq!(told.of(filter).0, "ok", "{:?}", told.checks);
    }
    assert!(world.writes().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_that_is_ignored_is_named_with_the_way_out() {
    let world = world(still(), "").await;
    for &ignored in Filter::ALL {
        let fault = Effect::FilterIgnored { filter: ignored };
        world.faults(vec![Fault::new(fault)]);
        let told = doctor(&world).await;
        assert_eq!(told.code, Some(78), "{:?}", told.checks);
        for &filter in Filter::ALL {
            let (result, said) = told.of(filter);
            if filter == ignored {
                assert_eq!(result, "fail", "{said}");
                assert!(said.contains("is ignored"), "{said}");
            } else {
                assert_eq!(result, "ok", "{said}");
            }
        }
        let way_out = format!("unsupported_filters = [\"{ignored}\"]");
        assert!(told.mend().contains(&way_out), "{}", told.mend());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_declared_unsupported_is_not_tried() {
    let also = "\nunsupported_filters = [\"autoInstallation\"]";
    let world = world(still(), also).await;
    let filter = Filter::AutoInstallation;
    world.faults(vec![Fault::new(Effect::FilterIgnored { filter })]);
    let told = doctor(&world).await;
    assert_eq!((told.code, told.of(filter).0), (Some(0), "skipped"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dates_compared_by_the_day_are_contradicted_and_by_the_second_they_are_well() {
    for (to, inclusive, result) in [
        (Precision::Day, false, "fail"),
        (Precision::Day, true, "fail"),
        (Precision::Second, false, "ok"),
        (Precision::Second, true, "ok"),
        (Precision::Exact, true, "ok"),
    ] {
        let ages = Ages { inclusive, to };
        let world = world(SandboxConfig { ages, ..still() }, "").await;
        let told = doctor(&world).await;
        let (found, said) = told.of(Filter::NotUpdatedSince);
        assert_eq!(found, result, "{to:?}, {inclusive}: {said}");
        assert!(
            result == "ok" || said.contains("is contradicted by TS"),
            "{said}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_that_changes_while_it_is_looked_at_is_not_accused() {
    let moving = SandboxConfig {
        requests: 2_000,
        speed: 20_000.0,
        ..empty_sandbox()
    };
    let world = world(moving, "\nsettle_time = \"1s\"").await;
    for _ in 0..5 {
        let told = doctor(&world).await;
        assert_eq!(told.code, Some(0), "{:?}", told.checks);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_there_is_nothing_to_compare_it_can_not_be_told() {
    let world = world(empty_sandbox(), "").await;
    let told = doctor(&world).await;
    assert_eq!(told.code, Some(0));
    for &filter in Filter::ALL {
        let (result, said) = told.of(filter);
        assert_eq!(result, "skipped");
        assert!(said.contains("nothing to compare"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_without_a_date_costs_an_hour_and_doctor_says_so() {
    let silent = SandboxConfig {
        omit_date: true,
        ..still()
    };
    let told = doctor(&world(silent, "").await).await;
    let clock = told.checks.iter().find(|check| check["check"] == "clock");
    let clock = clock.unwrap();
    assert_eq!(clock["result"], "warn");
    let detail = clock["detail"].as_str().unwrap();
    assert!(detail.contains("up to an hour"), "{detail}");
    for &filter in Filter::ALL {
        assert_eq!(told.of(filter).0, "ok", "an hour's margin is enough here");
    }
}
