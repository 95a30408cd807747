//! What the upstream or a person wrote, made harmless for whoever reads it.

use std::borrow::Cow;

/// `text` with nothing in it that a terminal or a browser obeys: what the upstream or a person wrote may hold escape sequences, or
/// letters that turn the line's direction. They are shown as they are spelt in most languages, but for those `allowed`.
pub fn printable<'t>(text: &'t str, allowed: &str) -> Cow<'t, str> {
    let obeyed = |c: char| {
        (c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
            && !allowed.contains(c)
    };
    if !text.contains(obeyed) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match u32::from(c) {
            code @ ..0x7f if obeyed(c) => shown.push_str(&format!("\\x{code:02x}")),
            // As JSON spells them, so that what is JSON stays so.
            code if obeyed(c) => shown.push_str(&format!("\\u{code:04x}")),
            _ => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// What only a read tells, in the place of a value; in JSON it is null.
pub const NOT_YET_READ: &str = "not yet read";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_printed_raw() {
        for (text, shown) in [
            ("CLI-7\u{1b}]0;x\u{7}", "CLI-7\\x1b]0;x\\x07"),
            ("two\nlines\r", "two\\x0alines\\x0d"),
            ("\u{9b}31m\u{202e}cod", "\\u009b31m\\u202ecod"),
            ("\u{7f}", "\\u007f"),
            ("año €", "año €"),
        ] {
            assert_eq!(printable(text, ""), shown);
        }
        assert_eq!(printable("a\n\tb\u{1b}", "\n\t"), "a\n\tb\\x1b");
    }
}
