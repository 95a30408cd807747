//! The small parts that every page is made of: instants, ages, words of a closed set, tables.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use maud::{Markup, html};

use super::texts;
use crate::answers::Sources;
use crate::answers::time::{rough, shown, told};
use crate::answers::words::printable;
use crate::domain::{AttemptState, RunOutcome};
use crate::zone::Zone;

/// Longer texts are folded.
const LONG: usize = 240;

/// What a page needs to tell instants.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// When what it shows was so.
    pub as_of: DateTime<Utc>,
    /// The reader's zone.
    pub zone: Zone,
}

impl Moment {
    pub(super) fn now(sources: &Sources) -> Self {
        Self {
            as_of: sources.now(),
            zone: sources.zone,
        }
    }

    /// An instant, with its zone and how long ago or how far ahead it is.
    pub(super) fn at(self, at: DateTime<Utc>) -> Markup {
        let length = self.as_of - at;
        let age = if length < TimeDelta::zero() {
            format!("in {}", rough(-length))
        } else {
            format!("{} ago", rough(length))
        };
        html! {
            time datetime=(at.to_rfc3339_opts(SecondsFormat::Secs, true)) { (shown(at, self.zone)) }
            " " span.age { (age) }
        }
    }

    /// An instant that may not be known.
    pub(super) fn maybe(self, at: Option<DateTime<Utc>>) -> Markup {
        match at {
            Some(at) => self.at(at),
            None => nothing(),
        }
    }

    /// A sentence of ours or somebody's words, with the instants in it as the reader's.
    pub(super) fn say(self, text: &str) -> Markup {
        words(&told(text, self.zone))
    }

    /// A sentence of ours, in which commands stand between backticks.
    pub(super) fn advise(self, text: &str) -> Markup {
        let text = told(text, self.zone);
        html! {
            @for (index, part) in text.split('`').enumerate() {
                @if index % 2 == 1 { code { (printable(part, "")) } } @else { (words(part)) }
            }
        }
    }
}

/// What somebody wrote: as text, whatever stands in it; a long one folded.
pub(super) fn words(text: &str) -> Markup {
    let shown = printable(text, "\n");
    let Some((end, _)) = shown.char_indices().nth(LONG) else {
        return html! { span.words { (shown) } };
    };
    html! {
        details.words {
            summary { (shown[..end]) "…" }
            (shown)
        }
    }
}

/// An id, which nobody wants split: who copies it must get all of it.
pub(super) fn id(text: &str) -> Markup {
    const LONGEST: usize = 64;
    if text.chars().count() > LONGEST {
        return words(text);
    }
    html! { span.words.id { (printable(text, "")) } }
}

/// In the place of a value that there is not.
pub(super) fn nothing() -> Markup {
    html! { span.none aria-label=(texts::NONE) { "–" } }
}

/// How a word is meant: never told by its colour alone, so each has a sign too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Quiet,
    Warn,
    Bad,
}

impl Tone {
    const fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Quiet => "quiet",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }

    const fn sign(self) -> &'static str {
        match self {
            Self::Good => "✓",
            Self::Quiet => "·",
            Self::Warn => "!",
            Self::Bad => "×",
        }
    }
}

/// A word of a closed set.
pub(super) fn badge(tone: Tone, word: &str) -> Markup {
    html! {
        span class={ "badge " (tone.class()) } {
            span.sign aria-hidden="true" { (tone.sign()) } (word)
        }
    }
}

/// How a run's end is meant.
pub(super) fn outcome_tone(outcome: RunOutcome) -> Tone {
    match outcome {
        RunOutcome::Succeeded => Tone::Good,
        RunOutcome::Partial | RunOutcome::Held | RunOutcome::Aborted => Tone::Warn,
        RunOutcome::Failed | RunOutcome::Lost => Tone::Bad,
    }
}

/// How an attempt's state is meant: good only what is proven.
pub(super) fn attempt_tone(state: AttemptState) -> Tone {
    match state {
        AttemptState::Confirmed => Tone::Good,
        AttemptState::NotSent | AttemptState::Ineffective => Tone::Quiet,
        AttemptState::Intended | AttemptState::Accepted | AttemptState::Unknown => Tone::Warn,
        AttemptState::Rejected | AttemptState::NeedsHuman => Tone::Bad,
    }
}

/// A table's column; figures stand to the right.
#[derive(Debug, Clone, Copy)]
pub(super) enum Column {
    Words(&'static str),
    Figure(&'static str),
}

/// A table with a caption and headings, which scrolls by itself where it is wider than the screen. A row's first cell is its
/// heading.
pub(super) fn table(caption: &str, columns: &[Column], rows: &[Vec<Markup>]) -> Markup {
    let class = |column: &Column| match column {
        Column::Words(_) => None,
        Column::Figure(_) => Some("figure"),
    };
    html! {
        div.wide role="region" tabindex="0" aria-label=(caption) {
            table {
                caption { (caption) }
                thead { tr {
                    @for column in columns {
                        th scope="col" class=[class(column)] {
                            @match column { Column::Words(title) | Column::Figure(title) => (title) }
                        }
                    }
                } }
                tbody {
                    @for row in rows { tr {
                        @for (index, (cell, column)) in row.iter().zip(columns).enumerate() {
                            @if index == 0 { th scope="row" class=[class(column)] { (cell) } }
                            @else { td class=[class(column)] { (cell) } }
                        }
                    } }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone as _;

    use super::*;

    fn noon() -> Moment {
        Moment {
            as_of: Utc.with_ymd_and_hms(2026, 3, 2, 12, 0, 0).unwrap(),
            zone: Zone::named("Europe/Madrid").unwrap(),
        }
    }

    #[test]
    fn an_instant_has_its_zone_and_its_age() {
        let shown = noon()
            .at(noon().as_of - TimeDelta::minutes(90))
            .into_string();
        assert_eq!(
            shown,
            "<time datetime=\"2026-03-02T10:30:00Z\">2026-03-02 11:30:00 CET</time> <span class=\"age\">1h 30m ago</span>"
        );
        let ahead = noon()
            .at(noon().as_of + TimeDelta::minutes(2))
            .into_string();
        assert!(ahead.contains("in 2m"), "{ahead}");
    }

    #[test]
    fn what_somebody_wrote_is_text_whatever_stands_in_it() {
        let shown = words("<script>alert(1)</script> \u{202e}txt\u{1b}").into_string();
        assert_eq!(
            shown,
            "<span class=\"words\">&lt;script&gt;alert(1)&lt;/script&gt; \\u202etxt\\x1b</span>"
        );
        assert_eq!(
            noon().say("until 2026-03-02T12:00:00Z").into_string(),
            "<span class=\"words\">until 2026-03-02 13:00:00 CET</span>"
        );
    }

    #[test]
    fn a_long_text_is_folded_and_whole() {
        let text = "ñ&".repeat(5_000);
        let shown = words(&text).into_string();
        assert!(shown.starts_with("<details class=\"words\"><summary>ñ&amp;"));
        assert!(shown.contains(&"ñ&amp;".repeat(5_000)));
    }
}
