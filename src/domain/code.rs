//! Words of the upstream that stand for something: codes of issues and errors, types of messages, statuses.
//!
//! Their lists are open, so anything may stand there, a person's name too. What looks like a code is one. Anything else
//! is known by its words only as long as it is in memory: there rules match it, and `explain` shows it to the person who
//! asks. Whatever is kept, logged, shown or sent knows it by a short hash.

use std::fmt;
use std::sync::Arc;

use ring::digest;

/// No code is longer.
const LONGEST: usize = 32;

/// What a hash begins with; no code does.
const MARK: char = '~';

/// Hexadecimal digits of a hash: enough to tell one request's codes apart, too few to find out what was hashed.
const DIGITS: usize = 6;

/// What stands where the upstream gave none.
const MISSING: &str = "(missing)";

/// A code of the upstream's.
#[derive(Clone)]
pub struct Code {
    shown: Arc<str>,
    /// What it was before it was hashed.
    said: Option<Arc<str>>,
}

impl Code {
    /// As the upstream said it.
    pub fn new(said: &str) -> Self {
        if is_plain(said) || is_hash(said) || said == MISSING {
            return Self {
                shown: said.into(),
                said: None,
            };
        }
        Self {
            shown: hash(said).into(),
            said: Some(said.into()),
        }
    }

    /// Of something that has no code.
    pub fn missing() -> Self {
        Self::new(MISSING)
    }

    /// What may be kept and shown.
    pub fn as_str(&self) -> &str {
        &self.shown
    }

    /// What the upstream said: for matching, and for the person who asks.
    pub fn said(&self) -> &str {
        self.said.as_deref().unwrap_or(&self.shown)
    }

    /// What the upstream said is what is shown, so it can be matched whenever, and sent.
    pub fn is_plain(&self) -> bool {
        is_plain(&self.shown)
    }
}

fn is_plain(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=LONGEST).contains(&text.len()) && text.bytes().all(plain)
}

fn is_hash(text: &str) -> bool {
    let hexadecimal = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.strip_prefix(MARK)
        .is_some_and(|digits| digits.len() == DIGITS && digits.bytes().all(hexadecimal))
}

fn hash(text: &str) -> String {
    let digest = digest::digest(&digest::SHA256, text.as_bytes());
    let digits = digest.as_ref().iter().take(DIGITS / 2);
    let digits: String = digits.map(|byte| format!("{byte:02x}")).collect();
    format!("{MARK}{digits}")
}

impl PartialEq for Code {
    fn eq(&self, other: &Self) -> bool {
        self.shown == other.shown
    }
}

impl Eq for Code {}

impl PartialOrd for Code {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Code {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.shown.cmp(&other.shown)
    }
}

impl std::hash::Hash for Code {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.shown.hash(state);
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.shown)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.shown)
    }
}

impl From<&str> for Code {
    fn from(said: &str) -> Self {
        Self::new(said)
    }
}

impl serde::Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.shown)
    }
}

impl<'de> serde::Deserialize<'de> for Code {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
        Ok(Self::new(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_code_is_one_and_anything_else_is_known_by_its_hash() {
        for plain in ["CLI-012", "e.1_x", "42", &"A".repeat(32)] {
            let code = Code::new(plain);
            assert_eq!((code.as_str(), code.said()), (plain, plain));
            assert!(code.is_plain());
        }
        for odd in [
            "",
            "Juan Pérez",
            "CLI 012",
            "a@b.es",
            "~",
            "~12345g",
            "ñ",
            &"A".repeat(33),
        ] {
            let code = Code::new(odd);
            assert!(!code.is_plain() && is_hash(code.as_str()), "{code}");
            assert_eq!(code.said(), odd);
            let shown = format!("{code} {code:?} {}", serde_json::to_string(&code).unwrap());
            assert!(odd.len() < 2 || !shown.contains(odd), "{shown}");
        }
        assert_ne!(Code::new("Juan Pérez"), Code::new("Juana Pérez"));
    }

    #[test]
    fn a_hash_that_was_kept_is_the_same_code_again_but_its_words_are_gone() {
        let code = Code::new("Juan Pérez");
        let kept: Code = serde_json::from_str(&serde_json::to_string(&code).unwrap()).unwrap();
        assert_eq!(kept, code);
        assert_eq!((kept.said(), kept.is_plain()), (code.as_str(), false));
        assert!(!Code::missing().is_plain());
        assert_eq!(Code::new("(missing)"), Code::missing());
    }
}
