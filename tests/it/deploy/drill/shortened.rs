//! The shipped rules with every duration a tenth as long, so that a drill takes minutes. Nothing else is changed: the
//! expressions stay the shipped ones.
//!
//! A duration is what Prometheus writes as one (`5m`, in ranges, offsets, `for` and `interval`), and a plain number
//! of sixty or more, which in these rules is one of seconds. Names and quoted text stay.

use serde_yaml_ng::Value;

/// How many times shorter.
pub const FACTOR: u64 = 10;

/// A file of rules, shortened.
pub fn file(name: &str) -> String {
    let mut document: Value =
        serde_yaml_ng::from_str(&super::super::text(&format!("deploy/prometheus/{name}"))).unwrap();
    for group in document["groups"].as_sequence_mut().unwrap() {
        shorten(&mut group["interval"]);
        for rule in group["rules"].as_sequence_mut().unwrap() {
            shorten(&mut rule["for"]);
            shorten(&mut rule["expr"]);
        }
    }
    let text = serde_yaml_ng::to_string(&document).unwrap();
    // Indexing for a change makes what is missing; Prometheus wants it away.
    let absent = |line: &&str| !line.trim_end().ends_with(": null");
    text.lines()
        .filter(absent)
        .map(|line| format!("{line}\n"))
        .collect()
}

fn shorten(value: &mut Value) {
    if let Some(text) = value.as_str() {
        *value = Value::String(expression(text));
    }
}

fn expression(text: &str) -> String {
    let parts = text.split('"').enumerate();
    let parts = parts.map(|(n, part)| match n % 2 {
        0 => words(part),
        _ => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("\"")
}

fn words(text: &str) -> String {
    let of_a_word = |c: char| c.is_ascii_alphanumeric() || "_:.".contains(c);
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = if of_a_word(first) {
            rest.find(|c| !of_a_word(c)).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        out += &word(&rest[..end]);
        rest = &rest[end..];
    }
    out
}

fn word(word: &str) -> String {
    let (number, unit) = word.split_at(
        word.find(|c: char| !c.is_ascii_digit())
            .unwrap_or(word.len()),
    );
    let millis = match unit {
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "" => 1,
        _ => return word.to_owned(),
    };
    let Ok(number) = number.parse::<u64>() else {
        return word.to_owned();
    };
    match unit {
        "" if number < 60 => word.to_owned(),
        "" => (number / FACTOR).to_string(),
        _ => format!("{}ms", number * millis / FACTOR),
    }
}

#[test]
fn durations_are_shortened_and_nothing_else() {
    for (long, short) in [
        (
            "rate(x:y:ratio5m[5m] offset 1d) > 14.4 * 0.005",
            "rate(x:y:ratio5m[30000ms] offset 8640000ms) > 14.4 * 0.005",
        ),
        (
            r#"time() - (a{le="1800",code=~"401|403"} > 0) > 7 * 86400"#,
            r#"time() - (a{le="1800",code=~"401|403"} > 0) > 7 * 8640"#,
        ),
        ("increase(x[1h]) > 50", "increase(x[360000ms]) > 50"),
        ("0m", "0ms"),
    ] {
        assert_eq!(expression(long), short);
    }
}

#[test]
fn every_plain_number_of_sixty_or_more_is_one_of_seconds() {
    let of_a_word = |c: char| c.is_ascii_alphanumeric() || "_:.".contains(c);
    let mut numbers = std::collections::BTreeSet::new();
    for (file, key) in [("alerts.yml", "alert"), ("recording.yml", "record")] {
        for (_, text) in super::super::rules::rules(file, key) {
            let outside = text.split('"').step_by(2).collect::<Vec<_>>().join(" ");
            let words = outside.split(|c| !of_a_word(c));
            numbers.extend(
                words
                    .filter_map(|word| word.parse::<u64>().ok())
                    .filter(|n| *n >= 60),
            );
        }
    }
    // From a minute to a day. Who adds another number says here that it is one of seconds.
    let seconds = [60, 300, 1_800, 2_700, 3_600, 14_400, 86_400];
    assert_eq!(Vec::from_iter(numbers), seconds);
}
