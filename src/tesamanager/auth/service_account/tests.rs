//! What the token endpoint may answer.

use super::*;

#[test]
fn the_end_is_the_stated_one_else_the_tokens_own_else_assumed() {
    let now = DateTime::from_timestamp(1_000, 0).unwrap();
    // {"exp":5000} in the middle.
    let jwt = "h.eyJleHAiOjUwMDB9.s";
    for (body, end) in [
        (
            format!(r#"{{"access_token":"{jwt}","expires_in":60}}"#),
            1_060,
        ),
        (
            format!(r#"{{"access_token":"{jwt}","expires_in":"60"}}"#),
            1_060,
        ),
        (
            format!(r#"{{"access_token":"{jwt}","expires_in":null}}"#),
            5_000,
        ),
        (format!(r#"{{"access_token":"{jwt}"}}"#), 5_000),
        (r#"{"access_token":"opaque"}"#.to_owned(), 1_300),
        (
            format!(r#"{{"access_token":"opaque","expires_in":{}}}"#, i64::MAX),
            1_300,
        ),
    ] {
        let (_, expires_at) = token(body.as_bytes(), now).unwrap();
        assert_eq!(expires_at.timestamp(), end, "{body}");
    }
}

#[test]
fn an_answer_without_a_usable_token_is_told_without_quoting_it() {
    let now = DateTime::from_timestamp(9_000, 0).unwrap();
    for body in [
        "CANARY",
        "{}",
        r#"{"access_token":" "}"#,
        r#"{"access_token":{"CANARY":1}}"#,
        r#"{"access_token":"CANARY","expires_in":-1}"#,
        r#"{"access_token":"h.eyJleHAiOjUwMDB9.s"}"#,
    ] {
        let fault = token(body.as_bytes(), now).unwrap_err();
        assert!(!fault.contains("CANARY"), "{fault}");
    }
}

proptest::proptest! {
    #[test]
    fn no_end_of_a_token_panics(
        stated in proptest::prop_oneof!["-?[0-9]{1,24}", "[0-9]{1,20}[.][0-9]{1,5}", "1e[0-9]{1,3}", "\"-?[0-9]{1,24}\"", "null"],
        own in proptest::prop_oneof!["-?[0-9]{1,24}", "-?1e[0-9]{1,2}", "[0-9]{1,9}[.]5"],
        now in -31_000_000_000_i64..31_000_000_000,
    ) {
        use base64::Engine as _;
        let now = DateTime::from_timestamp(now, 0).unwrap_or_default();
        let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(format!("{{\"exp\":{own}}}"));
        for body in [
            format!("{{\"access_token\":\"h.{claims}.s\",\"expires_in\":{stated}}}"),
            format!("{{\"access_token\":\"h.{claims}.s\"}}"),
        ] {
            if let Ok((_, ends)) = token(body.as_bytes(), now) {
                proptest::prop_assert!(ends > now);
                let lifetime = ends - now;
                let _ = ends - (lifetime / 10).clamp(TimeDelta::zero(), TimeDelta::seconds(60));
            }
        }
    }
}
