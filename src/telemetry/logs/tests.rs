//! What lines look like, and what the filter lets through.

use std::ffi::OsStr;
use std::sync::{Arc, Mutex};

use chrono::DateTime;
use serde_json::Value;

use super::*;
use crate::clock::ManualClock;

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Buffer {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    fn objects(&self) -> Vec<Value> {
        let text = self.text();
        let objects = text.lines().map(|line| serde_json::from_str(line).unwrap());
        objects.collect()
    }
}

impl io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Runs `test` under a log and answers what was written.
fn log(look: Look, filter: &str, test: impl FnOnce(&LogHandle)) -> Buffer {
    let buffer = Buffer::default();
    let writer = buffer.clone();
    let clock = Arc::new(ManualClock::new(DateTime::UNIX_EPOCH, 1));
    let (subscriber, handle) =
        subscriber(look, filter, clock, move || writer.clone(), None).unwrap();
    tracing::subscriber::with_default(subscriber, || test(&handle));
    buffer
}

const JSON: Look = Look {
    json: true,
    colour: false,
};
const PLAIN: Look = Look {
    json: false,
    colour: false,
};

#[test]
fn fields_of_spans_stand_beside_those_of_the_event() {
    let written = log(JSON, "info", |_| {
        let run = tracing::info_span!("run", run_id = 7, org = "yoigo").entered();
        let write = tracing::info_span!("write", correlation_id = tracing::field::Empty).entered();
        write.record("correlation_id", "c-1");
        tracing::info!(attempts = 2, ok = true, ratio = 0.5, "sent \"it\"");
        drop((write, run));
    });
    let expected = concat!(
        r#"{"timestamp":"1970-01-01T00:00:00.000Z","level":"INFO","message":"sent \"it\"","#,
        r#""target":"tesa_reconciler::telemetry::logs::tests","attempts":2,"correlation_id":"c-1","#,
        r#""ok":true,"org":"yoigo","ratio":0.5,"run_id":7}"#,
        "\n"
    );
    assert_eq!(written.text(), expected);
}

#[test]
fn the_innermost_field_wins_and_the_logs_own_names_always() {
    let written = log(JSON, "info", |_| {
        let _outer = tracing::info_span!("outer", org = "outer", level = "high").entered();
        let _inner = tracing::info_span!("inner", org = "inner").entered();
        tracing::warn!(timestamp = 5, "a message");
    });
    let [line] = &written.objects()[..] else {
        panic!("one line")
    };
    assert_eq!(line["org"], "inner");
    assert_eq!(line["level"], "WARN");
    assert_eq!(line["timestamp"], "1970-01-01T00:00:00.000Z");
}

#[test]
fn errors_and_line_breaks_stay_in_their_line() {
    let written = log(JSON, "info", |_| {
        let error = io::Error::other("first\nsecond");
        tracing::error!(%error, source = &error as &dyn std::error::Error, "it failed");
    });
    let [line] = &written.objects()[..] else {
        panic!("one line")
    };
    assert_eq!(line["error"], "first\nsecond");
    assert_eq!(line["source"], "first\nsecond");
}

#[test]
fn the_filter_can_be_changed_while_running_and_a_wrong_one_changes_nothing() {
    let written = log(JSON, "warn", |handle| {
        tracing::info!("one");
        handle.set_filter("info").unwrap();
        tracing::info!("two");
        let error = handle.set_filter("info,=nonsense=").unwrap_err();
        assert!(error.to_string().contains("info,=nonsense="), "{error}");
        tracing::info!("three");
    });
    let messages: Vec<Value> = written
        .objects()
        .iter()
        .map(|line| line["message"].clone())
        .collect();
    assert_eq!(messages, ["two", "three"]);
}

#[test]
fn for_people_a_line_names_its_run_and_has_no_colours_unless_asked_for() {
    let say = |_: &LogHandle| {
        let _run = tracing::info_span!("run", org = "yoigo").entered();
        tracing::info!(attempts = 2, "sent");
    };
    let plain = log(PLAIN, "info", say).text();
    assert_eq!(
        plain,
        "1970-01-01T00:00:00.000Z  INFO run{org=\"yoigo\"}: sent attempts=2\n"
    );
    let colour = log(
        Look {
            json: false,
            colour: true,
        },
        "info",
        say,
    )
    .text();
    assert!(colour.contains('\u{1b}'), "{colour:?}");
}

#[test]
fn the_look_follows_the_setting_the_terminal_and_no_color() {
    use LogFormat::{Auto, Human, Json};
    let yes = Some(OsStr::new("1"));
    let empty = Some(OsStr::new(""));
    for (format, terminal, no_color, json, colour) in [
        (Auto, true, None, false, true),
        (Auto, false, None, true, false),
        (Human, false, None, false, false),
        (Json, true, None, true, false),
        (Human, true, yes, false, false),
        (Human, true, empty, false, true),
    ] {
        let look = Look::new(format, terminal, no_color);
        assert_eq!(
            look,
            Look { json, colour },
            "{format} {terminal} {no_color:?}"
        );
    }
}

#[test]
fn libraries_are_quiet_unless_a_filter_names_one() {
    let say = |_: &LogHandle| {
        tracing::info!(target: "tokio_cron_scheduler", "Uninited");
        tracing::warn!(target: "sqlx::query", "slow statement");
        tracing::info!("ours");
    };
    let said = |filter: &str| {
        let lines = log(JSON, filter, say).objects();
        let words = lines
            .iter()
            .map(|line| line["message"].as_str().unwrap().to_owned());
        words.collect::<Vec<_>>()
    };
    assert_eq!(said("info"), ["ours"]);
    assert_eq!(said("debug"), ["ours"]);
    assert_eq!(said("warn"), [""; 0]);
    assert_eq!(said("off"), [""; 0]);
    assert_eq!(said("warn,sqlx=warn"), ["slow statement"]);
    assert_eq!(said("info,tokio_cron_scheduler=info"), ["Uninited", "ours"]);
}
