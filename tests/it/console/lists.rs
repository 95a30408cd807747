//! Lists: filters live in the address, pages are whole, counts are right, and a file holds exactly the rows that are shown.

use chrono::TimeDelta;
use serde_json::Value;
use tesa_reconciler::domain::AttemptState;
use tesa_reconciler::domain::finding::Attention;
use tesa_reconciler::store::findings::Sighting;

use super::House;
use crate::store::values::{a_run, at, attempt_in, job, org, person, seen, sighting};

/// Seven stuck requests, the oldest first: R-6, …, R-0. The even ones are NOT_SENT, and R-3 waits for a person.
async fn seven() -> House {
    let house = House::open().await;
    let lease = a_run(&*house.store).await;
    let stuck = |index: i64| Sighting {
        since: Some(at(0) - TimeDelta::hours(index + 1)),
        attention: (index == 3).then_some(Attention::GivenUp),
        external_reference: Some(format!("=ORD-{index}").into()),
        ..sighting(
            &format!("R-{index}"),
            if index % 2 == 0 {
                "NOT_SENT"
            } else {
                "VALIDATING"
            },
        )
    };
    let stuck: Vec<Sighting> = (0..7).map(stuck).collect();
    house
        .store
        .apply_findings(&lease, &org(), &job(), &seen(&stuck), at(0))
        .await
        .unwrap();
    house
}

/// The requests that a page names, in its order.
fn requests(page: &str) -> Vec<String> {
    let links = page.split("href=\"/orders/masmovil/").skip(1);
    links
        .map(|link| link.split('"').next().unwrap().to_owned())
        .collect()
}

/// The address of the next page, if there is one.
fn next(page: &str) -> Option<String> {
    let link = page.split("rel=\"next\" href=\"").nth(1)?;
    Some(link.split('"').next().unwrap().replace("&amp;", "&"))
}

#[tokio::test]
async fn pages_one_after_another_show_each_order_once_oldest_first() {
    let house = seven().await;
    for limit in [1, 3, 7, 50] {
        let mut all = Vec::new();
        let mut address = Some(format!("/orders?limit={limit}"));
        while let Some(path) = address {
            let page = house.page(&path).await;
            all.extend(requests(&page));
            address = next(&page);
        }
        assert_eq!(
            all,
            ["R-6", "R-5", "R-4", "R-3", "R-2", "R-1", "R-0"],
            "{limit}"
        );
    }
    let page = house.page("/orders?limit=3").await;
    assert!(page.contains("3 of 7 in all"), "{page}");
    assert!(house.page("/orders").await.contains("7 in all"));
}

#[tokio::test]
async fn a_filter_that_somebody_sent_as_a_link_shows_the_same_rows_to_everybody() {
    let house = seven().await;
    for (address, expected) in [
        ("/orders?status=NOT_SENT", &["R-6", "R-4", "R-2", "R-0"][..]),
        ("/orders?search=r-5", &["R-5"]),
        ("/orders?search=%3Dord-2", &["R-2"]),
        (
            "/orders?sort=newest&status=VALIDATING",
            &["R-5", "R-3", "R-1"],
        ),
        ("/orders?search=nothing", &[]),
        ("/orders?org=yoigo", &[]),
        ("/findings?attention=given_up", &["R-3"]),
        (
            "/findings?detail=VALIDATING&kind=stuck_request",
            &["R-5", "R-3", "R-1"],
        ),
    ] {
        let page = house.page(address).await;
        assert_eq!(requests(&page), expected, "{address}");
        assert!(page.contains("Without filters"), "{address}");
    }
    // The form is filled in as the address says.
    let page = house.page("/orders?status=NOT_SENT&search=R").await;
    assert!(
        page.contains("<option value=\"NOT_SENT\" selected>"),
        "{page}"
    );
    assert!(page.contains("name=\"search\" value=\"R\""), "{page}");
}

#[tokio::test]
async fn a_filter_that_means_nothing_is_a_mistake_and_not_everything() {
    let house = seven().await;
    for (address, said) in [
        ("/orders?serach=R", "is not asked for here"),
        ("/orders?org=masmovl", "masmovil"),
        ("/orders?job=nothing", "there is no job"),
        ("/orders?after=yesterday", "is no place to go on from"),
        ("/orders?group_by=mood", "is no group_by"),
        ("/orders?limit=1000000", "limit is 1 to 500"),
        ("/findings?kind=strange", "is no kind"),
        ("/findings?since=soon", "neither a time span"),
        ("/audit?action=dance", "is no action"),
        ("/attempts?state=done", "is no state"),
        ("/runs?outcome=fine", "is no outcome"),
    ] {
        let answer = house.get(address).await;
        assert_eq!(answer.status, 400, "{address}");
        assert!(answer.text.contains(said), "{address}: {}", answer.text);
    }
}

#[tokio::test]
async fn a_file_holds_exactly_the_rows_that_are_shown() {
    let house = seven().await;
    let address = "/orders?status=NOT_SENT&limit=3";
    let shown = requests(&house.page(address).await);
    assert_eq!(shown, ["R-6", "R-4", "R-2"]);
    let json = house.get(&format!("{address}&format=json")).await;
    let rows: Vec<Value> = serde_json::from_str(&json.text).unwrap();
    let of =
        |key: &str| -> Vec<&str> { rows.iter().map(|row| row[key].as_str().unwrap()).collect() };
    assert_eq!(of("reference_id"), shown);
    assert_eq!(
        json.headers["content-disposition"],
        "attachment; filename=\"stuck.json\""
    );
    let csv = house.get(&format!("{address}&format=csv")).await;
    assert!(
        csv.headers["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/csv")
    );
    let lines: Vec<&str> = csv.text.lines().collect();
    assert!(
        lines[0].starts_with("org,reference_id,external_reference,status,since,age_seconds"),
        "{}",
        csv.text
    );
    assert_eq!(lines.len(), 4);
    // No cell is a formula.
    assert!(
        lines[1].starts_with("masmovil,R-6,'=ORD-6,NOT_SENT,"),
        "{}",
        csv.text
    );
    for list in ["/findings", "/attempts", "/runs", "/audit"] {
        let json = house.get(&format!("{list}?format=json")).await;
        assert!(
            serde_json::from_str::<Vec<Value>>(&json.text).is_ok(),
            "{list}: {}",
            json.text
        );
    }
}

#[tokio::test]
async fn orders_are_counted_by_what_they_share_and_the_counts_add_up() {
    let house = seven().await;
    let page = house.page("/orders?group_by=status").await;
    for row in [
        "NOT_SENT",
        "VALIDATING",
        "7 in all",
        "/orders?status=NOT_SENT",
    ] {
        assert!(page.contains(row), "{row}: {page}");
    }
    let figures: Vec<&str> = page.split("<td class=\"figure\">").skip(1).collect();
    let counts = figures
        .iter()
        .map(|cell| cell.split('<').next().unwrap().parse::<u64>().unwrap());
    assert_eq!(counts.sum::<u64>(), 7);
    for by in ["kind", "rule", "issue_code", "cause"] {
        house.page(&format!("/orders?group_by={by}")).await;
    }
}

#[tokio::test]
async fn attempts_runs_and_the_audit_are_listed_newest_first() {
    let house = House::open().await;
    let lease = a_run(&*house.store).await;
    for (order, state) in [
        ("A", AttemptState::Confirmed),
        ("B", AttemptState::Unknown),
        ("C", AttemptState::NeedsHuman),
    ] {
        attempt_in(&*house.store, &lease, order, state).await;
    }
    house
        .store
        .pause(Some(&job()), None, &person(), at(5))
        .await
        .unwrap();
    let page = house.page("/attempts?limit=2").await;
    assert!(
        page.contains("2 of 3 in all") && page.contains("ref-C") && !page.contains("ref-A"),
        "{page}"
    );
    let last = house.page(&next(&page).unwrap()).await;
    assert!(
        last.contains("ref-A") && !last.contains("ref-B") && next(&last).is_none(),
        "{last}"
    );
    let unsettled = house.page("/attempts?state=needs_human").await;
    assert!(
        unsettled.contains("ref-C") && !unsettled.contains("ref-B"),
        "{unsettled}"
    );
    let runs = house.page("/runs").await;
    assert!(
        runs.contains("running") && runs.contains(&format!("/attempts?run={}", lease.run_id)),
        "{runs}"
    );
    let audit = house.page("/audit?action=pause").await;
    assert!(
        audit.contains("seen with the installer") && audit.contains("cli:operator"),
        "{audit}"
    );
}

#[tokio::test]
async fn what_needs_a_person_stands_with_its_evidence() {
    let house = seven().await;
    let lease = a_run(&*house.store).await;
    let id = attempt_in(&*house.store, &lease, "C", AttemptState::NeedsHuman).await;
    let page = house.page("/people").await;
    for told in [
        "order-C",
        "none: reading could not settle it",
        "became needs_human",
        "read right before",
        "R-3",
        "given_up",
    ] {
        let told = told.replace("order-C", ">C<");
        assert!(page.contains(&told), "{told}: {page}");
    }
    assert!(page.contains(&format!("attempt-{id}")));
}
