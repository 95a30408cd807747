//! A proxy that has authenticated people: its header counts from it alone.

use reqwest::Method;

use super::{House, answer};

fn settings(proxies: &str) -> String {
    format!(
        "trusted_user_header = \"X-Forwarded-User\"\ntrusted_proxies = [\"{proxies}\"]\ntrusted_operators = [\"ana\"]"
    )
}

#[tokio::test]
async fn whom_the_proxy_names_is_let_in_as_what_the_configuration_says() {
    let house = House::with(&settings("127.0.0.0/8")).await;
    for (name, role) in [
        ("ana", "operator"),
        ("eva@example.com", "viewer"),
        ("Ana", "viewer"),
    ] {
        let asked = house.ask(Method::GET, "/").header("x-forwarded-user", name);
        let answer = answer(asked).await;
        assert_eq!(answer.status, 200, "{name}");
        assert!(
            answer.text.contains(&format!("{name} ({role})")),
            "{}",
            answer.text
        );
    }
}

#[tokio::test]
async fn from_elsewhere_the_header_means_nothing() {
    let house = House::with(&settings("10.1.2.3/32")).await;
    for forged in [None, Some("127.0.0.1"), Some("10.1.2.3")] {
        let mut asked = house
            .ask(Method::GET, "/")
            .header("x-forwarded-user", "ana");
        if let Some(forged) = forged {
            asked = asked
                .header("x-forwarded-for", forged)
                .header("forwarded", format!("for={forged}"));
        }
        assert_eq!(answer(asked).await.status, 401, "{forged:?}");
    }
}

#[tokio::test]
async fn a_header_that_names_nobody_or_two_is_refused() {
    let house = House::with(&settings("127.0.0.1")).await;
    let two = house
        .ask(Method::GET, "/")
        .header("x-forwarded-user", "eva")
        .header("x-forwarded-user", "ana");
    assert_eq!(answer(two).await.status, 400);
    for name in ["", "ana eva", "ana:operator", "a\u{f1}a"] {
        let asked = house.ask(Method::GET, "/").header("x-forwarded-user", name);
        assert_eq!(answer(asked).await.status, 400, "{name}");
    }
    // Not a word of who it is.
    assert_eq!(house.get("/").await.status, 401);
}
