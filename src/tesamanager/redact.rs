//! Takes secrets and personal data out of texts, before they get into an error or a log.
//!
//! What the upstream writes does not get that far: of a body only the shape is shown, of an error only its code. These
//! texts are of libraries, which may quote what they choked on. And an upstream may echo the token anywhere, so that
//! is taken out of every answer as it comes in.

use bytes::Bytes;
use reqwest::header::HeaderValue;
use uuid::Uuid;

/// Texts beyond this many bytes aren't even looked at; nobody reads that far into an error.
const LOOKED_AT: usize = 4096;

/// Digits in a row (spaces, dots, dashes and slashes between them don't count) from which a number is taken for a
/// telephone, an identity document, an account.
const LONG_NUMBER: usize = 7;

/// No token is shorter.
const SHORTEST_TOKEN: usize = 6;

/// Letters and digits in a row from which a word is taken for a secret.
const LONG_WORD: usize = 32;

/// `input` without tokens, addresses and long numbers, on one line, at most `max_chars` long.
pub fn text(input: &str, max_chars: usize) -> String {
    let input = head(input, LOOKED_AT);
    bounded(&without_numbers(&without_words(input)), max_chars)
}

/// What a body looks like, for a person who must find out why it can't be decoded: what it begins as, and how long it is.
pub fn shape(bytes: &[u8]) -> String {
    let what = match bytes.trim_ascii_start() {
        [] => return "empty".to_owned(),
        [b'{', ..] => "an object",
        [b'[', ..] => "a list",
        [b'<', ..] => "a page",
        [b'"' | b'-' | b'0'..=b'9', ..] => "a value",
        _ => "something else",
    };
    format!("{what} of {} bytes", bytes.len())
}

/// A body without the token that its question carried, wherever it echoes it. A token of a few letters is none, and
/// might stand in any word.
pub fn without_token(body: Bytes, authorization: &HeaderValue) -> Bytes {
    let header = authorization.as_bytes();
    let token = header.strip_prefix(b"Bearer ").unwrap_or(header);
    if token.len() < SHORTEST_TOKEN {
        return body;
    }
    let mut found = memchr::memmem::find_iter(&body, token).peekable();
    if found.peek().is_none() {
        return body;
    }
    let (mut clean, mut from) = (Vec::with_capacity(body.len()), 0);
    for at in found {
        clean.extend_from_slice(&body[from..at]);
        clean.extend_from_slice(b"[token]");
        from = at + token.len();
    }
    clean.extend_from_slice(&body[from..]);
    clean.into()
}

fn head(text: &str, max_bytes: usize) -> &str {
    let mut end = text.len().min(max_bytes);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn bounded(text: &str, max_chars: usize) -> String {
    match text.char_indices().nth(max_chars) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Replaces whole words: addresses, tokens, and whatever follows "Bearer". Control characters become spaces, so
/// that nobody can forge a log line.
fn without_words(input: &str) -> String {
    let mut out = String::with_capacity(input.len());
    let mut after_bearer = false;
    let mut rest = input;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(is_delimiter).unwrap_or(rest.len());
        if end == 0 {
            out.push(if first.is_control() { ' ' } else { first });
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let (word, tail) = rest.split_at(end);
        rest = tail;
        if after_bearer || is_token(word) {
            out.push_str("[token]");
        } else if is_address(word) {
            out.push_str("[email]");
        } else {
            out.push_str(word);
        }
        after_bearer = word.eq_ignore_ascii_case("bearer");
    }
    out
}

fn is_delimiter(c: char) -> bool {
    c.is_whitespace() || c.is_control() || "\"'`<>(){}[],;:&?|\\".contains(c)
}

fn is_address(word: &str) -> bool {
    word.split_once('@')
        .is_some_and(|(user, host)| !user.is_empty() && !host.is_empty())
}

fn is_token(word: &str) -> bool {
    // What stands behind an equals sign is a word of its own (`assertion=eyJ…`); one at the end is padding.
    let word = word.trim_end_matches('=');
    let word = word.rsplit_once('=').map_or(word, |(_, value)| value);
    let secret_like = |c: char| c.is_ascii_alphanumeric() || "-_+/.".contains(c);
    if word.starts_with("eyJ") && word.len() > 6 {
        return true;
    }
    word.len() >= LONG_WORD
        && word.chars().all(secret_like)
        && word.contains(|c: char| c.is_ascii_digit())
        && word.contains(|c: char| c.is_ascii_alphabetic())
        && Uuid::try_parse(word).is_err()
}

/// Replaces numbers that are long enough to be a telephone, a document or an account.
fn without_numbers(input: &str) -> String {
    let mut out = String::with_capacity(input.len());
    let mut rest = input;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, number) = rest.split_at(start);
        let end = end_of_number(number);
        let digits = number[..end].chars().filter(char::is_ascii_digit).count();
        if digits >= LONG_NUMBER {
            out.push_str(before.strip_suffix('+').unwrap_or(before));
            out.push_str("[number]");
        } else {
            out.push_str(before);
            out.push_str(&number[..end]);
        }
        rest = &number[end..];
    }
    out.push_str(rest);
    out
}

/// Where the digits at the start of `text` end, single separators between them included. A UUID's digits don't
/// count, because letters stand between them.
fn end_of_number(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut end = 0;
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at].is_ascii_digit() {
            at += 1;
            end = at;
        } else if at == end && b" .-/".contains(&bytes[at]) {
            at += 1;
        } else {
            break;
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_personal_data_are_taken_out() {
        let cases = [
            ("status 406 in this state", "status 406 in this state"),
            (
                "TESA-40601: CTO 12345 is full",
                "TESA-40601: CTO 12345 is full",
            ),
            ("call +34 600 123 456 now", "call [number] now"),
            ("call 600123456", "call [number]"),
            ("NIF 12345678Z", "NIF [number]Z"),
            ("NIE X1234567L", "NIE X[number]L"),
            ("IBAN ES91 2100 0418 4502 0005 1332.", "IBAN ES[number]."),
            ("write to ana.b@example.com!", "write to [email]"),
            ("Bearer abc.def is refused", "Bearer [token] is refused"),
            (
                "token eyJhbGciOiJSUzI1NiJ9.e30.c2ln expired",
                "token [token] expired",
            ),
            ("assertion=eyJhbGciOiJSUzI1NiJ9.e30.c2ln", "[token]"),
            ("cut eyJhbGci", "cut [token]"),
            ("key 9fK2mQ8vX1pL7sT4wZ6yB3nC5dF0gH2jJ4", "key [token]"),
            (
                "id 6f9619ff-8b86-4011-b42d-00c04fc964ff",
                "id 6f9619ff-8b86-4011-b42d-00c04fc964ff",
            ),
            ("two\nlines\u{1b}[31m", "two lines [31m"),
        ];
        for (input, expected) in cases {
            assert_eq!(text(input, 200), expected, "{input:?}");
        }
    }

    #[test]
    fn texts_are_bounded_by_characters_not_bytes() {
        assert_eq!(text("ñandú", 3), "ñan…");
        assert_eq!(text("ñandú", 5), "ñandú");
        assert_eq!(text(&"ñ ".repeat(10_000), 200).chars().count(), 201);
    }

    #[test]
    fn of_a_body_only_the_shape_is_shown() {
        for (body, shown) in [
            (r#" {"Ana":{"name":"Ana"}"#, "an object of 22 bytes"),
            (r#"["ADM-1","ADM-2""#, "a list of 16 bytes"),
            ("<html>Ana</html>", "a page of 16 bytes"),
            ("\"Ana\"", "a value of 5 bytes"),
            ("Ana", "something else of 3 bytes"),
            (" \n", "empty"),
        ] {
            assert_eq!(shape(body.as_bytes()), shown, "{body}");
        }
        assert_eq!(shape(b"\xff\xfe"), "something else of 2 bytes");
    }

    #[test]
    fn a_token_is_taken_out_by_comparison_with_itself_whatever_it_looks_like() {
        for (token, body, clean) in [
            (
                "open.sesame",
                r#"{"code":"open.sesame"}"#,
                r#"{"code":"[token]"}"#,
            ),
            (
                "open.sesame",
                "open.sesame open.sesameopen.",
                "[token] [token]open.",
            ),
            ("open.sesame", "open.sesam", "open.sesam"),
            ("a", "a b a", "a b a"),
            ("", "a", "a"),
        ] {
            let header = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
            let body = Bytes::copy_from_slice(body.as_bytes());
            assert_eq!(without_token(body, &header), clean, "{token}");
        }
    }
}
