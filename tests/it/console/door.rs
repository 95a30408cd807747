//! Who reaches a page by which name, from where, and what goes with every answer.

use reqwest::Method;

use super::{House, PAGES, answer};

#[tokio::test]
async fn without_authentication_every_page_shows_and_none_acts() {
    let house = House::open().await;
    let page = house.page("/").await;
    assert!(
        page.contains("Read only: nobody is asked who they are"),
        "{page}"
    );
    for path in ["/", "/system", "/nowhere"] {
        let asked = house
            .ask(Method::POST, path)
            .header("sec-fetch-site", "same-origin");
        assert_eq!(answer(asked).await.status, 403, "{path}");
    }
}

#[tokio::test]
async fn a_name_that_is_none_of_ours_is_refused() {
    let house = House::with("hosts = [\"console.example\"]").await;
    let port = house.address.port();
    for host in [
        "evil.example".to_owned(),
        format!("evil.example:{port}"),
        "localhost.evil.example".to_owned(),
        "127.0.0.1.evil.example".to_owned(),
        "console.example.evil.example".to_owned(),
        "console.example:80:80".to_owned(),
        String::new(),
    ] {
        let asked = house.ask(Method::GET, "/").header("host", &host);
        let answer = answer(asked).await;
        assert!(matches!(answer.status, 400 | 421), "{host}: {answer:?}");
        assert!(!answer.text.contains("<html"), "{host}: {answer:?}");
    }
    for host in [
        format!("localhost:{port}"),
        "LOCALHOST".to_owned(),
        format!("127.0.0.1:{port}"),
        "[::1]:80".to_owned(),
        "console.example".to_owned(),
        format!("Console.Example:{port}"),
    ] {
        let asked = house.ask(Method::GET, "/").header("host", &host);
        assert_eq!(answer(asked).await.status, 200, "{host}");
    }
}

#[tokio::test]
async fn every_answer_tells_the_browser_to_trust_nothing_that_is_not_ours() {
    let house = House::asking().await;
    let foreign = house.ask(Method::GET, "/").header("host", "evil.example");
    for asked in [
        house.as_ana(Method::GET, "/"),
        house.as_ana(Method::GET, "/assets/nothing"),
        house.as_ana(Method::POST, "/"),
        house.ask(Method::GET, "/"),
        foreign,
    ] {
        let answer = answer(asked).await;
        let header = |name: &str| {
            answer
                .headers
                .get(name)
                .map_or("", |it| it.to_str().unwrap())
        };
        let policy = header("content-security-policy");
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
        ] {
            assert!(policy.contains(part), "{}: {policy}", answer.status);
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("referrer-policy"), "no-referrer");
        assert_eq!(header("cache-control"), "no-store");
        assert!(header("set-cookie").is_empty());
    }
}

#[tokio::test]
async fn what_changes_something_must_come_from_a_page_of_ours() {
    let house = House::asking().await;
    let ours = format!("http://{}", house.address);
    let foreign = "http://evil.example".to_owned();
    // Let through, there is nothing to be found under this address.
    let through = 404;
    for (site, origin, expected) in [
        (Some("same-origin"), None, through),
        (Some("same-origin"), Some(&ours), through),
        // What a browser says whose page sends no referrer.
        (Some("same-origin"), Some(&"null".to_owned()), through),
        (None, Some(&ours), through),
        (Some("same-origin"), Some(&foreign), 403),
        (Some("same-site"), Some(&ours), 403),
        (Some("cross-site"), Some(&foreign), 403),
        (Some("none"), None, 403),
        (None, Some(&foreign), 403),
        (None, Some(&"null".to_owned()), 403),
        (None, Some(&format!("{ours}.evil.example")), 403),
        (None, None, 403),
    ] {
        let mut asked = house.as_ana(Method::POST, "/nowhere");
        if let Some(site) = site {
            asked = asked.header("sec-fetch-site", site);
        }
        if let Some(origin) = origin {
            asked = asked.header("origin", origin);
        }
        assert_eq!(answer(asked).await.status, expected, "{site:?} {origin:?}");
    }
}

#[tokio::test]
async fn who_may_only_look_changes_nothing() {
    let house = House::asking().await;
    let eva = |method| {
        house
            .ask(method, "/")
            .basic_auth("eva", Some(super::PASSWORD))
    };
    assert_eq!(answer(eva(Method::GET)).await.status, 200);
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
        let asked = eva(method.clone()).header("sec-fetch-site", "same-origin");
        assert_eq!(answer(asked).await.status, 403, "{method}");
    }
}

#[tokio::test]
async fn a_page_asks_no_other_machine_for_anything() {
    let house = House::open().await;
    for path in PAGES {
        let page = house.page(path).await;
        for outside in [
            "http://", "https://", "//cdn", "style=", "<script>", "onclick", "@import",
        ] {
            assert!(!page.contains(outside), "{path}: {outside}: {page}");
        }
        for asset in page.split("/assets/").skip(1) {
            let name = format!("/assets/{}", asset.split('"').next().unwrap());
            let asset = house.get(&name).await;
            assert_eq!(asset.status, 200, "{name}");
            assert!(!asset.text.contains("//cdn") && !asset.text.contains("@import"));
        }
    }
}
