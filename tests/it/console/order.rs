//! The page of one order: its life, whose time it was, and every write with no more proof than there is.

use tesa_reconciler::domain::AttemptState;
use tesa_reconciler::domain::{SkipReason, Status, Verdict, Version};
use tesa_reconciler::store::attempts::Step;

use super::House;
use crate::store::values::{
    a_run, at, attempt_in, daemon, decision, job, observation, org, person, seen, sighting, step,
};

/// A request that was read twice, decided about, found stuck, and written to.
async fn lived() -> House {
    let house = House::open().await;
    let store = &*house.store;
    let lease = a_run(store).await;
    let mut first = observation("ref-A");
    first.cancelling = false;
    let mut then = first.clone();
    then.status = Status::IncidenceOperator;
    then.last_updated = Some(at(3_600));
    then.observed_at = at(7_200);
    for seen in [first, then] {
        store
            .remember_observations(&lease, &org(), &[seen])
            .await
            .unwrap();
    }
    let skip = Verdict::Skip {
        reason: SkipReason::BackingOff,
        instead_of: None,
    };
    let decided = decision("ref-A", skip);
    store
        .remember_decisions(&lease, &org(), &job(), at(7_300), &[decided])
        .await
        .unwrap();
    let found = seen(&[sighting("ref-A", "INCIDENCE_OPERATOR")]);
    store
        .apply_findings(&lease, &org(), &job(), &found, at(7_300))
        .await
        .unwrap();
    attempt_in(store, &lease, "A", AttemptState::Unknown).await;
    house.clock.set(at(20_000));
    house
}

#[tokio::test]
async fn its_whole_life_stands_on_one_page() {
    let house = lived().await;
    let page = house.page("/orders/masmovil/ref-A").await;
    for told in [
        "Request ref-A",
        "order-ref-A",
        "INCIDENCE_OPERATOR",
        "PROCESSING → INCIDENCE_OPERATOR",
        "backing_off",
        "NOT_SENT for 40 min, the rule asks for 30 min",
        "the operator (<span class=\"words\">INCIDENCE_OPERATOR</span>)",
        "Whose time it was",
        "class=\"tesa\"",
        "class=\"operator\"",
        "stuck_request",
        "create_activation",
    ] {
        assert!(page.contains(told), "{told}: {page}");
    }
    assert_eq!(page.matches("<h1>").count(), 1);
}

#[tokio::test]
async fn a_write_is_called_confirmed_only_by_what_was_read_or_said() {
    let house = lived().await;
    let page = house.page("/orders/masmovil/ref-A").await;
    assert!(
        page.contains("not yet proven") && page.contains("read right before"),
        "{page}"
    );
    let store = &*house.store;
    let id = store.attempts_since(&org(), at(0)).await.unwrap()[0].id;
    let confirmed = Step {
        confirmed: Some(Version {
            status: Status::Validating,
            cancelling: false,
            last_updated: Some(at(100)),
        }),
        ..step(AttemptState::Confirmed)
    };
    store
        .advance(id, &confirmed, &daemon(), at(200))
        .await
        .unwrap();
    let page = house.page("/orders/masmovil/ref-A").await;
    assert!(
        page.contains("read since: ") && page.contains("VALIDATING"),
        "{page}"
    );
    assert!(!page.contains("not yet proven"), "{page}");
}

#[tokio::test]
async fn a_persons_word_is_called_one() {
    let house = House::open().await;
    let store = &*house.store;
    let lease = a_run(store).await;
    let id = attempt_in(store, &lease, "B", AttemptState::NeedsHuman).await;
    store
        .advance(id, &step(AttemptState::Confirmed), &person(), at(9))
        .await
        .unwrap();
    let page = house.page("/orders/masmovil/ref-B").await;
    assert!(
        page.contains("a person&#39;s word") || page.contains("a person's word"),
        "{page}"
    );
    assert!(page.contains("cli:operator"), "{page}");
}

#[tokio::test]
async fn one_of_which_nothing_is_known_is_not_found() {
    let house = House::open().await;
    for (path, status) in [
        ("/orders/masmovil/nothing", 404),
        ("/orders/nobody/ref-A", 400),
        ("/orders/masmovil/%FF", 400),
    ] {
        assert_eq!(house.get(path).await.status, status, "{path}");
    }
}
