//! The configuration file as text: places in it for people, and its lines for quoting, without secrets.

use std::ops::Range;

use super::keys;

/// What stands for something that may be a secret.
const MASK: &str = "***";

/// A file's text under the name that people know it by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    /// For messages.
    pub(super) name: &'a str,
    /// All of it.
    pub(super) text: &'a str,
}

impl<'a> Source<'a> {
    /// `FILE:LINE:COLUMN`; both count from one, columns in characters.
    pub(super) fn locate(&self, offset: usize) -> String {
        let (start, line) = self.line_at(offset);
        let column = self.chars_between(start, offset) + 1;
        format!("{}:{line}:{column}", self.name)
    }

    /// `FILE:LINE`.
    pub(super) fn locate_line(&self, offset: usize) -> String {
        format!("{}:{}", self.name, self.line_at(offset).1)
    }

    /// The line where `span` begins with carets below it; what `masks` cover is not shown.
    pub(super) fn quote(&self, span: Range<usize>, masks: &[Range<usize>]) -> Option<String> {
        let (start, number) = self.line_at(span.start);
        let end = start + self.line_from(start).len();
        let span = span.start..span.end.max(span.start + 1);
        // A comment behind it may hold anything, an old secret too.
        let rest = self.text.get(span.end..end).unwrap_or_default();
        let end = rest.find('#').map_or(end, |comment| span.end + comment);
        let mut shown = String::new();
        let mut carets = Carets::default();
        let mut at = start;
        while at < end {
            let mask = masks.iter().find(|mask| mask.contains(&at));
            let (piece, next) = match mask {
                Some(mask) => (MASK, mask.end.min(end)),
                None => {
                    let next = self.text.get(at..end)?.chars().next()?.len_utf8() + at;
                    (self.text.get(at..next)?, next)
                }
            };
            shown.push_str(piece);
            carets.under(piece, at < span.end && span.start < next);
            at = next;
        }
        Some(framed(number, &shown, carets))
    }

    /// The line of something that is no TOML. What can't be parsed can't be told from a secret, so a value is shown
    /// only where a key stands alone on its line that never holds one.
    pub(super) fn quote_unparsed(&self, span: Range<usize>) -> Option<String> {
        let (start, number) = self.line_at(span.start);
        let line = self.line_from(start);
        let harmless = match line.split_once('=') {
            Some((key, value)) => keys::is_harmless(key.trim()) && !value.contains(['=', '#']),
            None => is_header(line.trim()),
        };
        let span = span.start..span.end.max(span.start + 1);
        let mut carets = Carets::default();
        if harmless {
            for (at, c) in line.char_indices() {
                let at = start + at;
                carets.under(
                    &line[at - start..at - start + c.len_utf8()],
                    at < span.end && span.start <= at,
                );
            }
            if span.start >= start + line.len() {
                carets.under(" ", true);
            }
            return Some(framed(number, line, carets));
        }
        let key = line.split_once('=').map(|(key, _)| key);
        let shown = key.map_or_else(|| MASK.to_owned(), |key| format!("{key}= {MASK}"));
        carets.under(&shown[..shown.len() - MASK.len()], false);
        carets.under(MASK, true);
        Some(framed(number, &shown, carets))
    }

    /// Where the line around `offset` begins, and its number from one.
    fn line_at(&self, offset: usize) -> (usize, usize) {
        let before = &self.text.as_bytes()[..offset.min(self.text.len())];
        let start = before.iter().rposition(|byte| *byte == b'\n');
        let number = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        (start.map_or(0, |newline| newline + 1), number)
    }

    fn line_from(&self, start: usize) -> &'a str {
        let rest = self.text.get(start..).unwrap_or_default();
        let line = rest.split('\n').next().unwrap_or_default();
        line.strip_suffix('\r').unwrap_or(line)
    }

    fn chars_between(&self, start: usize, end: usize) -> usize {
        self.text
            .char_indices()
            .filter(|(at, _)| (start..end).contains(at))
            .count()
    }
}

/// The line of carets below a quoted line; tabs stay tabs so that both lines move alike.
#[derive(Default)]
struct Carets(String);

impl Carets {
    fn under(&mut self, piece: &str, marked: bool) {
        self.0.extend(piece.chars().map(|c| match c {
            '\t' => '\t',
            _ if marked => '^',
            _ => ' ',
        }));
    }
}

/// Begins like `[section]`, and could not hold anything else.
fn is_header(line: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '[' | ']' | '.' | '_' | '-');
    line.starts_with('[') && line.chars().all(plain)
}

fn framed(number: usize, line: &str, carets: Carets) -> String {
    let number = number.to_string();
    let gutter = " ".repeat(number.len());
    let line = line.trim_end();
    let carets = carets.0.trim_end().to_owned();
    format!("{gutter} |\n{number} | {line}\n{gutter} | {carets}\n")
}
