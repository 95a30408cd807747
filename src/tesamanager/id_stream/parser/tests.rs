//! The parser against serde_json: the same ids from any valid list however it is cut, and no list accepted that
//! serde_json refuses. And against itself, byte by byte: where the network cuts a list must not matter.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn read(chunks: &[&[u8]]) -> (Vec<String>, Result<(), Fault>) {
    let mut parser = Parser::default();
    let outcome = chunks
        .iter()
        .try_for_each(|chunk| parser.feed(chunk))
        .and_then(|()| parser.finish());
    let ids = parser.take().iter().map(str::to_owned).collect();
    (ids, outcome)
}

/// The same question answered by a library, on the whole body.
fn oracle(body: &[u8]) -> Option<Vec<String>> {
    let list = match serde_json::from_slice(body).ok()? {
        Value::Array(list) => list,
        Value::Object(fields) => {
            let mut lists = fields.into_iter().filter_map(|(name, value)| match value {
                Value::Array(list) if name != "errors" => Some(list),
                _ => None,
            });
            match (lists.next(), lists.next()) {
                (Some(list), None) => list,
                _ => return None,
            }
        }
        _ => return None,
    };
    let scalar = |value: &Value| match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) if number.is_i64() || number.is_u64() => Some(number.to_string()),
        _ => None,
    };
    list.iter()
        .map(|item| match item {
            Value::Object(fields) => {
                scalar(fields.get("reference_id").or(fields.get("referenceId"))?)
            }
            other => scalar(other),
        })
        .collect()
}

#[test]
fn every_shape_of_a_list_is_read() {
    for body in [
        r#"["A","B"]"#,
        r#" [ "A" , "B" ] "#,
        r#"{"reference_ids":["A","B"]}"#,
        r#"{"total":2,"page":{"ids":[1,[2]]},"ids":["A","B"],"next":null,"ok":true,"x":-1.5e+3}"#,
        r#"{"errors":[],"ids":["A","B"]}"#,
        r#"[{"reference_id":"A"},{"x":[{"reference_id":"no"}],"referenceId":"B","y":{"reference_id":"no"}}]"#,
        r#"["\u0041","B"]"#,
        r#"[{"reference\u005fid":"A"},"B"]"#,
    ] {
        let (ids, outcome) = read(&[body.as_bytes()]);
        assert_eq!(
            (ids, outcome),
            (vec!["A".to_owned(), "B".to_owned()], Ok(())),
            "{body}"
        );
    }
    assert_eq!(read(&[b"[12, -3, 0]"]).0, ["12", "-3", "0"]);
    assert_eq!(read(&[b"[]"]), (vec![], Ok(())));
    assert_eq!(read(&[br#"{"ids":[]}"#]), (vec![], Ok(())));
}

#[test]
fn what_is_no_complete_list_is_a_fault_after_the_ids_before_it() {
    for (body, before, fault) in [
        ("", 0, Fault::Cut),
        ("  ", 0, Fault::Cut),
        (r#"["A","B"#, 1, Fault::Cut),
        (r#"["A","B""#, 2, Fault::Cut),
        (r#"["A","#, 1, Fault::Cut),
        (r#"{"ids":["A"]"#, 1, Fault::Cut),
        (r#"["A"]["B"]"#, 1, Fault::Trailing),
        (r#"["A"] x"#, 1, Fault::Trailing),
        (r#"["A",]"#, 1, Fault::Syntax),
        (r#"["A" "B"]"#, 1, Fault::Syntax),
        (r#"["A"}"#, 1, Fault::Syntax),
        (r#"["A",01]"#, 1, Fault::Syntax),
        (r#"["A",nil]"#, 1, Fault::Syntax),
        ("[\"A\",\"\u{1}\"]", 1, Fault::Syntax),
        (r#"["A","\x"]"#, 1, Fault::Syntax),
        (r#"["A","\ud800"]"#, 1, Fault::Syntax),
        (r#"["A",null]"#, 1, Fault::NoId),
        (r#"["A",true]"#, 1, Fault::NoId),
        (r#"["A",1.5]"#, 1, Fault::NoId),
        (r#"["A",""]"#, 1, Fault::NoId),
        (r#"["A",["B"]]"#, 1, Fault::NoId),
        (r#"["A",{"id":"B"}]"#, 1, Fault::NoId),
        (r#"["A",{"reference_id":null}]"#, 1, Fault::NoId),
        (r#"{"ids":["A"],"more":["B"]}"#, 1, Fault::SeveralLists),
        (r#"{"ids":null}"#, 0, Fault::NoList),
        (r#"{"errors":[]}"#, 0, Fault::NoList),
        (r#"{"code":"E","title":"T"}"#, 0, Fault::NoList),
        ("null", 0, Fault::NoContainer),
        (r#""A""#, 0, Fault::NoContainer),
        ("12", 0, Fault::NoContainer),
        ("<html>", 0, Fault::Syntax),
    ] {
        let (ids, outcome) = read(&[body.as_bytes()]);
        assert_eq!((ids.len(), outcome), (before, Err(fault)), "{body}");
    }
}

#[test]
fn a_run_of_ids_ends_where_it_is_odd() {
    let long = "x".repeat(16 * 1024);
    for (list, ids) in [
        (r#""AAA","B","CCCC","DD""#, vec!["AAA", "B", "CCCC", "DD"]),
        // Where an id as long as the first would end, one does; but two lie within.
        (
            r#""1234567","12","34","7654321""#,
            vec!["1234567", "12", "34", "7654321"],
        ),
        (r#""A",",","B""#, vec!["A", ",", "B"]),
        (r#""A","]","[","B""#, vec!["A", "]", "[", "B"]),
        (r#""A", "B" ,"C""#, vec!["A", "B", "C"]),
        (r#""A","\"","B""#, vec!["A", "\"", "B"]),
        (
            r#""A",12,0,"B",-3,4 ,5"#,
            vec!["A", "12", "0", "B", "-3", "4", "5"],
        ),
        (r#""A",{"reference_id":"B"},"C""#, vec!["A", "B", "C"]),
        (r#""ñ","€","😀""#, vec!["ñ", "€", "😀"]),
        (&format!(r#""A","{long}","B""#), vec!["A", &long, "B"]),
    ] {
        let list = format!("[{list}]");
        let (read, outcome) = read(&[list.as_bytes()]);
        assert_eq!(
            (read, outcome),
            (ids.iter().map(ToString::to_string).collect(), Ok(())),
            "{list}"
        );
    }
}

#[test]
fn a_fault_within_a_run_comes_after_the_ids_before_it() {
    for (body, before, fault) in [
        (&b"[\"AA\",\"BB\",\"\",\"DD\"]"[..], 2, Fault::NoId),
        (b"[\"AA\",\"BB\",\"C\xff\",\"DD\"]", 2, Fault::Syntax),
        (b"[\"AA\",\"BB\"\"CC\"]", 2, Fault::Syntax),
        (b"[\"AA\",\"B\tB\"]", 1, Fault::Syntax),
        (b"[\"AA\",\"BB\",\"CC", 2, Fault::Cut),
        (b"[\"AA\",\"BB\":\"CC\"]", 2, Fault::Syntax),
        (b"[11,22,03,44]", 2, Fault::Syntax),
        (b"[11,22,3.5,44]", 2, Fault::NoId),
        (b"[11,22,]", 2, Fault::Syntax),
        (b"[11,22,,33]", 2, Fault::Syntax),
        (
            b"{\"e\":[\"AA\",\"BB\"],\"f\":[\"CC\"]}",
            2,
            Fault::SeveralLists,
        ),
    ] {
        let (ids, outcome) = read(&[body]);
        let body = String::from_utf8_lossy(body);
        assert_eq!((ids.len(), outcome), (before, Err(fault)), "{body}");
    }
}

/// Lists of one kind, long enough to be taken in pieces of several sizes.
fn long_runs() -> [Vec<String>; 4] {
    let some = |id: fn(usize) -> String| (0..200).map(id).collect();
    [
        some(|n| format!("\"R-{n:03}\"")),
        some(|n| format!("\"{}\"", "R".repeat(1 + n % 7))),
        some(|n| (100 + n).to_string()),
        some(|n| (n * n * n).to_string()),
    ]
}

#[test]
fn what_is_odd_in_a_long_run_is_judged_as_anywhere() {
    for (odd, outcome) in [
        ("0", Ok(())),
        ("-1", Ok(())),
        (" 1\t", Ok(())),
        ("\"ñ\"", Ok(())),
        ("\",\"", Ok(())),
        ("\",,\"", Ok(())),
        ("\"\\\"\"", Ok(())),
        ("\"01\"", Ok(())),
        ("{\"reference_id\":\"A\"}", Ok(())),
        ("1.0", Ok(())),
        ("1.5", Err(Fault::NoId)),
        ("1e3", Err(Fault::NoId)),
        ("null", Err(Fault::NoId)),
        ("\"\"", Err(Fault::NoId)),
        ("[]", Err(Fault::NoId)),
        ("01", Err(Fault::Syntax)),
        ("00", Err(Fault::Syntax)),
        ("+1", Err(Fault::Syntax)),
        ("1.", Err(Fault::Syntax)),
        ("1x", Err(Fault::Syntax)),
        ("1 2", Err(Fault::Syntax)),
        ("", Err(Fault::Syntax)),
        ("\"A\" \"B\"", Err(Fault::Syntax)),
        ("\"A\"\"B\"", Err(Fault::Syntax)),
        ("\"A\nB\"", Err(Fault::Syntax)),
        ("}", Err(Fault::Syntax)),
    ] {
        for run in long_runs() {
            for at in (0..12).chain((12..200).step_by(23)).chain([199]) {
                let mut list = run.clone();
                list[at] = odd.to_owned();
                let body = format!("[{}]", list.join(","));
                let (ids, told) = read(&[body.as_bytes()]);
                assert_eq!(told, outcome, "{body}");
                let count = if outcome.is_ok() { 200 } else { ids.len() };
                assert!(ids.len() == count && count >= at, "{body}");
                let bytes: Vec<&[u8]> = body.as_bytes().chunks(1).collect();
                assert_eq!((ids, told), read(&bytes), "{body}");
            }
        }
    }
}

#[test]
fn memory_is_bounded_whatever_the_peer_sends() {
    let mut parser = Parser::default();
    parser.feed(b"[\"").unwrap();
    let mut outcome = Ok(());
    for _ in 0..1000 {
        outcome = parser.feed(&[b'x'; 1024]);
        if outcome.is_err() {
            break;
        }
    }
    assert_eq!(outcome, Err(Fault::TooLong));
    let deep = "{\"a\":".repeat(100_000);
    assert_eq!(read(&[deep.as_bytes()]).1, Err(Fault::TooDeep));
}

fn id() -> impl Strategy<Value = Value> {
    prop_oneof![
        "[A-Z0-9-]{1,12}".prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{1,6}".prop_map(Value::from),
        "[\"\\\\\u{8}\n/ñ€😀]{1,4}".prop_map(Value::from),
        ("[A-Z]{1,4}", any::<bool>()).prop_map(|(id, snake)| {
            let name = if snake { "reference_id" } else { "referenceId" };
            json!({"a": [1, "]"], name: id, "z": {"reference_id": "other"}})
        }),
    ]
}

fn list() -> impl Strategy<Value = Vec<u8>> {
    let ids = prop::collection::vec(id(), 0..30).prop_map(Value::from);
    (ids, 0..3_u8, any::<bool>()).prop_map(|(ids, wrap, pretty)| {
        let value = match wrap {
            0 => ids,
            1 => json!({"reference_ids": ids}),
            _ => json!({"a": 1.5, "b": {"c": ["x"]}, "ids": ids, "z": "]}"}),
        };
        let text = if pretty {
            serde_json::to_vec_pretty(&value)
        } else {
            serde_json::to_vec(&value)
        };
        text.unwrap()
    })
}

/// Lists that are mostly runs, of ids that are mostly of one length, and bodies of pieces that mean something.
fn likely_runs() -> impl Strategy<Value = Vec<u8>> {
    let even = prop::collection::vec("[A-C,]{3}", 0..40);
    let uneven = prop::collection::vec("[A-Cñ, ]{1,4}", 0..40);
    let long = prop::collection::vec("[A-C]{3000,4000}", 0..8);
    let numbers = prop::collection::vec("0|[1-9][0-9]{0,3}|[0-9]{1,3}", 0..40)
        .prop_map(|ids| format!("[{}]", ids.join(",")).into_bytes());
    let joined = prop_oneof![6 => even, 6 => uneven, 1 => long]
        .prop_map(|ids| format!("[\"{}\"]", ids.join("\",\"")).into_bytes());
    let pieces = prop::sample::select(vec![
        "[",
        "]",
        "{",
        "}",
        "\"",
        "\",\"",
        "\"A\"",
        "\"BB\",",
        ",",
        ":",
        "\\",
        " ",
        "7",
        "ñ",
        "\"ids\":[",
    ]);
    let scraps = prop::collection::vec(pieces, 0..30)
        .prop_map(|pieces| format!("[\"A\"{}", pieces.concat()).into_bytes());
    prop_oneof![3 => joined, 1 => numbers, 1 => list(), 2 => scraps]
}

/// Stretches of texts and of numbers, of one length or of several, up to a few blocks together: the list and its ids.
fn stretches() -> impl Strategy<Value = (Vec<u8>, Vec<String>)> {
    let kinds: Vec<fn(usize) -> (String, bool)> = vec![
        |n| (format!("REF-{n:07}"), true),
        |n| ("ABC,ñ€"[..[1, 2, 3, 4, 6, 9][n % 6]].to_owned(), true),
        |n| ([",", "A", "]", "1"][n % 4].to_owned(), true),
        |n| ("R".repeat(1 + n * n % 700), true),
        |n| ((1_000_000 + n).to_string(), false),
        |n| ((n * n * n % 1_000_003).to_string(), false),
        |n| ((n % 10).to_string(), false),
    ];
    let count = prop_oneof![1..3_usize, 1..400_usize];
    let stretch = (prop::sample::select(kinds), 0..1000_usize, count)
        .prop_map(|(id, first, count)| (first..first + count).map(id).collect::<Vec<_>>());
    prop::collection::vec(stretch, 1..8).prop_map(|stretches| {
        let ids = stretches.concat();
        let written = ids.iter().map(|(id, quoted)| match quoted {
            true => format!("\"{id}\""),
            false => id.clone(),
        });
        let body = format!("[{}]", written.collect::<Vec<_>>().join(","));
        (
            body.into_bytes(),
            ids.into_iter().map(|(id, _)| id).collect(),
        )
    })
}

/// Cuts `body` at the places given, wherever they lie.
fn cut<'a>(body: &'a [u8], places: &[prop::sample::Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<_> = places
        .iter()
        .map(|place| place.index(body.len() + 1))
        .collect();
    places.sort_unstable();
    let mut chunks = Vec::new();
    let mut start = 0;
    for place in places {
        chunks.push(&body[start..place]);
        start = place;
    }
    chunks.push(&body[start..]);
    chunks
}

proptest! {
    #[test]
    fn any_cutting_of_a_valid_list_gives_the_ids_that_serde_json_gives(
        body in list(),
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let (ids, outcome) = read(&cut(&body, &places));
        prop_assert_eq!(outcome, Ok(()));
        prop_assert_eq!(Some(ids), oracle(&body));
    }

    #[test]
    fn a_damaged_list_is_accepted_only_if_serde_json_reads_the_same(
        body in list(),
        at in any::<prop::sample::Index>(),
        with in prop_oneof![Just(None), any::<u8>().prop_map(Some), prop::sample::select(b"[]{},:\"\\ 0-.e".to_vec()).prop_map(Some)],
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let mut damaged = body;
        let at = at.index(damaged.len());
        match with {
            Some(byte) => damaged[at] = byte,
            None => { damaged.remove(at); }
        }
        let (ids, outcome) = read(&cut(&damaged, &places));
        match outcome {
            // A whole number beyond 64 bits is an id here and a float there.
            Ok(()) if !ids.iter().any(|id| id.len() > 18) => prop_assert_eq!(Some(ids), oracle(&damaged)),
            Ok(()) => {}
            Err(_) => prop_assert_eq!(oracle(&damaged), None),
        }
    }

    #[test]
    fn any_cutting_of_anything_is_judged_as_it_is_byte_by_byte(
        body in likely_runs(),
        at in any::<prop::sample::Index>(),
        with in prop::option::of(prop_oneof![any::<u8>(), prop::sample::select(b"[]{},:\"\\ 0\x1f\xc3".to_vec())]),
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let mut body = body;
        if let (Some(with), false) = (with, body.is_empty()) {
            let at = at.index(body.len());
            body[at] = with;
        }
        let bytes: Vec<&[u8]> = body.chunks(1).collect();
        prop_assert_eq!(read(&cut(&body, &places)), read(&bytes));
    }

    #[test]
    fn any_cutting_of_long_runs_gives_their_ids(
        (body, ids) in stretches(),
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        prop_assert_eq!(read(&cut(&body, &places)), (ids, Ok(())));
    }

    #[test]
    fn a_damaged_long_run_is_judged_as_it_is_byte_by_byte(
        (mut body, _) in stretches(),
        at in any::<prop::sample::Index>(),
        with in prop_oneof![any::<u8>(), prop::sample::select(b"[]{},:\"\\ 01-.e\x1f\xc3".to_vec())],
    ) {
        let at = at.index(body.len());
        body[at] = with;
        let bytes: Vec<&[u8]> = body.chunks(1).collect();
        prop_assert_eq!(read(&[&body]), read(&bytes));
    }

    #[test]
    fn a_cut_list_never_looks_complete(body in list(), at in any::<prop::sample::Index>()) {
        let cut = &body[..at.index(body.len())];
        prop_assert!(read(&[cut]).1.is_err());
    }
}

#[test]
fn an_id_is_what_it_denotes_however_it_is_written() {
    let mut parser = Parser::default();
    let list = br#"[168,"168",168.0,-0,{"reference_id":168.00},"168.0",7,18446744073709551616]"#;
    parser.feed(list).unwrap();
    parser.finish().unwrap();
    let read = parser.take();
    let read: Vec<_> = read.iter().collect();
    let expected = [
        "168",
        "168",
        "168",
        "0",
        "168",
        "168.0",
        "7",
        "18446744073709551616",
    ];
    assert_eq!(read, expected);
}
