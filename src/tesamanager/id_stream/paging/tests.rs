//! Lists of one id that say something beside it.

use super::super::parser::{Fault, Parser};

fn outcome(list: &str) -> Result<(), Fault> {
    // Byte by byte, so that nothing depends on where it was cut.
    let mut parser = Parser::default();
    let fed = list
        .as_bytes()
        .chunks(1)
        .try_for_each(|byte| parser.feed(byte));
    fed.and_then(|()| parser.finish())
}

/// The words before the ids, and behind them.
fn both_ways(words: &str) -> [String; 2] {
    [
        format!(r#"{{{words},"ids":["A"]}}"#),
        format!(r#"{{"ids":[{{"reference_id":"A","next":"x","total":9}}],{words}}}"#),
    ]
}

#[test]
fn a_list_that_holds_fewer_than_it_says_is_incomplete() {
    for words in [
        r#""total":2"#,
        r#""total":"2""#,
        r#""total":2.0"#,
        r#""count":2"#,
        r#""totalCount":2"#,
        r#""total_elements":2"#,
        r#""total":1,"total":2,"total":1"#,
        r#""meta":{"total":2}"#,
        r#""page":{"size":1,"totalElements":2,"number":0}"#,
        r#""t\u006ftal":2"#,
        r#""total":2,"next":"x""#,
    ] {
        for list in both_ways(words) {
            let expected = Fault::Fewer { said: 2, held: 1 };
            assert_eq!(outcome(&list), Err(expected), "{list}");
        }
    }
}

#[test]
fn a_list_that_says_that_it_goes_on_is_incomplete() {
    for (words, name) in [
        (r#""next":"/requests?page=2""#, "next"),
        (r#""next":2"#, "next"),
        (r#""next":{"href":"/requests?page=2"}"#, "next"),
        (
            r#""_links":{"self":{"href":"/"},"next":{"href":"/2"}}"#,
            "next",
        ),
        (r#""links":{"next":"/2"}"#, "next"),
        (r#""nextPage":2"#, "nextPage"),
        (r#""next_page":"2""#, "nextPage"),
        (r#""pagination":{"next_cursor":"abc"}"#, "nextCursor"),
        (r#""nextPageToken":"abc""#, "nextToken"),
        (r#""hasMore":true"#, "hasMore"),
        (r#""has_more":true"#, "hasMore"),
        (r#""has_more":"true""#, "hasMore"),
        (r#""hasNext":true"#, "hasNext"),
        (r#""truncated":true"#, "truncated"),
        (r#""last":false"#, "last"),
        (r#""totalPages":3"#, "totalPages"),
        (r#""total":1,"has_more":true"#, "hasMore"),
    ] {
        for list in both_ways(words) {
            assert_eq!(outcome(&list), Err(Fault::More(name)), "{list}");
        }
    }
}

#[test]
fn a_list_that_is_whole_may_say_so_and_any_other_field_says_nothing() {
    for words in [
        r#""total":1,"count":1,"next":null,"hasMore":false,"nextPage":null,"last":true"#,
        r#""total":0,"next":"","next_offset":-1,"nextCursor":"","totalPages":1"#,
        r#""total":null,"count":"many","totalPages":"some""#,
        r#""page":{"total":1,"next":null},"_links":{"self":{"href":"/1"}},"next":{}"#,
        r#""page":7,"links":null,"meta":"x""#,
        r#""pages":9,"size":20,"limit":100,"nextReview":"2026-01-01","nested":{"total":9,"next":"x"}"#,
        r#""meta":{"deeper":{"total":9,"next":"x"}}"#,
    ] {
        for list in both_ways(words) {
            assert_eq!(outcome(&list), Ok(()), "{list}");
        }
    }
}
