//! The overview and the system page: the verdict of `status`, and everything that stands in the way.

use chrono::TimeDelta;
use tesa_reconciler::domain::finding::Attention;
use tesa_reconciler::store::Actor;
use tesa_reconciler::store::findings::Sighting;

use super::{House, PAGES};
use crate::store::values::{a_run, at, job, org, replica_row, seen, sighting};

#[tokio::test]
async fn with_no_daemon_it_says_blind_and_what_to_do() {
    let house = House::open().await;
    let page = house.page("/").await;
    assert!(
        page.contains("blind") && page.contains("no daemon is running"),
        "{page}"
    );
    assert!(page.contains("tesa-reconciler run"), "{page}");
    assert_eq!(page.matches("<h1>").count(), 1);
}

#[tokio::test]
async fn what_keeps_writes_from_going_stands_there_with_its_cause() {
    let house = House::open().await;
    house
        .store
        .beat_replica(&replica_row("replica-1", -60), at(0))
        .await
        .unwrap();
    let person = Actor {
        who: "cli:ana".to_owned(),
        reason: "change at the gateway".to_owned(),
    };
    let until = Some(at(0) + TimeDelta::hours(2));
    house
        .store
        .pause(None, until, &person, at(0))
        .await
        .unwrap();
    let lease = a_run(&*house.store).await;
    let guard = Actor::daemon("300 of 900 requests want a write at once");
    house
        .store
        .latch_guard(&lease, &job(), &org(), &guard, at(0))
        .await
        .unwrap();
    let page = house.page("/").await;
    for told in [
        "stopped",
        "all jobs",
        "change at the gateway",
        "cli:ana",
        "300 of 900",
        "until released",
        "in 2h",
        "CET",
    ] {
        assert!(page.contains(told), "{told}: {page}");
    }
}

#[tokio::test]
async fn what_waits_for_a_person_stands_oldest_first_and_is_counted() {
    let house = House::open().await;
    let lease = a_run(&*house.store).await;
    let waiting = |reference: &str, hours: i64| Sighting {
        since: Some(at(0) - TimeDelta::hours(hours)),
        attention: Some(Attention::GivenUp),
        ..sighting(reference, "NOT_SENT")
    };
    let mut sightings: Vec<Sighting> = (0..25)
        .map(|index| waiting(&format!("YOUNG-{index}"), 1))
        .collect();
    sightings.push(waiting("OLDEST", 90));
    sightings.push(waiting("OLDER", 50));
    house
        .store
        .apply_findings(&lease, &org(), &job(), &seen(&sightings), at(0))
        .await
        .unwrap();
    let page = house.page("/").await;
    let place = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text}: {page}"));
    assert!(place(">OLDEST<") < place(">OLDER<") && place(">OLDER<") < place(">YOUNG-"));
    assert!(page.contains("20 of 27"), "{page}");
    assert!(
        page.contains("waits for a person") && page.contains("3d 18h ago"),
        "{page}"
    );
}

#[tokio::test]
async fn what_others_wrote_is_shown_as_text() {
    let house = House::open().await;
    let hostile =
        "<script>alert(1)</script><img src=x onerror=alert(2)>\"'>&\u{202e}gnp.exe\u{1b}[31m";
    let long = format!("{hostile}{}", "<b>".repeat(3_000));
    let person = Actor {
        who: hostile.to_owned(),
        reason: long.clone(),
    };
    house.store.pause(None, None, &person, at(0)).await.unwrap();
    let lease = a_run(&*house.store).await;
    let sighting = Sighting {
        attention: Some(Attention::NeedsHuman),
        evidence: long,
        external_reference: Some(hostile.into()),
        ..sighting("</td><h1>", hostile)
    };
    house
        .store
        .apply_findings(&lease, &org(), &job(), &seen(&[sighting]), at(0))
        .await
        .unwrap();
    for path in PAGES {
        let page = house.page(path).await;
        for markup in [
            "<script>alert",
            "<img src=x",
            "<b>",
            "</td><h1>",
            "\u{202e}",
            "\u{1b}",
        ] {
            assert!(!page.contains(markup), "{path}: {markup:?}: {page}");
        }
        assert_eq!(page.matches("<h1>").count(), 1, "{path}");
    }
    let page = house.page("/").await;
    assert!(
        page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"),
        "{page}"
    );
}

#[tokio::test]
async fn the_system_page_names_the_daemons_and_the_store() {
    let house = House::open().await;
    house
        .store
        .beat_replica(&replica_row("replica-1", -60), at(0))
        .await
        .unwrap();
    let page = house.page("/system").await;
    for told in [
        "provisioning-1",
        "4242",
        "enforce",
        "SQLite, one daemon",
        "current",
        "reads per second",
        "masmovil",
    ] {
        assert!(page.contains(told), "{told}: {page}");
    }
}
