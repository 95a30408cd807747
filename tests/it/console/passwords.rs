//! Names and passwords.

use std::time::Duration;

use reqwest::Method;
use tesa_reconciler::clock::SystemClock;
use tesa_reconciler::console::{Role, line};

use super::{House, PASSWORD, answer};

async fn status(house: &House, name: &str, password: &str) -> u16 {
    let asked = house.ask(Method::GET, "/").basic_auth(name, Some(password));
    answer(asked).await.status
}

#[tokio::test]
async fn who_does_not_say_who_they_are_is_asked_and_shown_nothing() {
    let house = House::asking().await;
    for path in ["/", "/system", "/nowhere", "/assets/0/style.css"] {
        let answer = house.get(path).await;
        assert_eq!(answer.status, 401, "{path}");
        assert!(
            answer.headers["www-authenticate"]
                .to_str()
                .unwrap()
                .starts_with("Basic ")
        );
        assert!(!answer.text.contains("<html"), "{path}");
    }
    let right = answer(house.as_ana(Method::GET, "/")).await;
    assert!(right.text.contains("ana (operator)"), "{}", right.text);
    for (name, password) in [
        ("ana", "wrong"),
        ("ana", ""),
        ("nobody", PASSWORD),
        ("", ""),
    ] {
        assert_eq!(status(&house, name, password).await, 401, "{name}");
    }
}

#[tokio::test]
async fn what_is_no_basic_authentication_is_nobody() {
    let house = House::asking().await;
    for value in [
        "Bearer abc",
        "Basic",
        "Basic !!!",
        "Basic YW5h",
        "Basic /////w==",
        &format!("Basic {}", "A".repeat(5_000)),
    ] {
        let asked = house.ask(Method::GET, "/").header("authorization", value);
        assert_eq!(answer(asked).await.status, 401, "{value}");
    }
}

#[tokio::test]
async fn after_ten_wrong_passwords_one_waits_but_who_works_works_on() {
    let house = House::asking().await;
    assert_eq!(status(&house, "ana", PASSWORD).await, 200);
    for guess in 0..10 {
        assert_eq!(status(&house, "ana", &format!("guess {guess}")).await, 401);
    }
    let asked = house
        .ask(Method::GET, "/")
        .basic_auth("ana", Some("guess 11"));
    let refused = answer(asked).await;
    assert_eq!(refused.status, 429);
    assert_eq!(refused.headers["retry-after"], "60");
    // Another name from there waits as well: it may be the same person guessing.
    assert_eq!(status(&house, "eva", PASSWORD).await, 429);
    assert_eq!(status(&house, "ana", PASSWORD).await, 200);
    house.clock.advance(Duration::from_secs(61));
    assert_eq!(status(&house, "eva", PASSWORD).await, 200);
}

#[tokio::test]
async fn who_is_struck_out_is_out_with_the_next_page() {
    let house = House::asking().await;
    assert_eq!(status(&house, "ana", PASSWORD).await, 200);
    let eva = line("eva", PASSWORD, Role::Viewer, &SystemClock).unwrap();
    std::fs::write(house.passwords(), &eva).unwrap();
    assert_eq!(status(&house, "ana", PASSWORD).await, 401);
    assert_eq!(status(&house, "eva", PASSWORD).await, 200);
}

#[tokio::test]
async fn a_spoilt_password_file_lets_nobody_in() {
    let house = House::asking().await;
    assert_eq!(status(&house, "ana", PASSWORD).await, 200);
    std::fs::write(house.passwords(), "ana:half a li").unwrap();
    assert_eq!(status(&house, "ana", PASSWORD).await, 503);
    std::fs::remove_file(house.passwords()).unwrap();
    assert_eq!(status(&house, "ana", PASSWORD).await, 503);
}
