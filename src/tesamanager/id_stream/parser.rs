//! Knows the shapes of an id list: a bare array, or an object that holds one array among other fields; of texts,
//! whole numbers, or objects with a `reference_id`.
//!
//! A pushdown automaton over the lexer's tokens. It checks the whole grammar, also of the parts it skips, because
//! a list that ends well but is broken in the middle is not to be trusted.

use super::lexer::{Lexer, Token};
use super::paging::{Paging, Word};
use crate::domain::id_list::{Full, IdBatch};

/// Nesting beyond this is no id list.
const DEEPEST: usize = 64;

/// Why a body is no complete id list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It ended too early.
    #[error("the list ends in the middle")]
    Cut,
    /// Not JSON.
    #[error("the list is no valid JSON")]
    Syntax,
    /// More than one value.
    #[error("something follows the list's end")]
    Trailing,
    /// A text or number beyond all measure.
    #[error("the list has a text of more than 64 KiB")]
    TooLong,
    /// Neither array nor object.
    #[error("the answer is neither a list nor an object with one")]
    NoContainer,
    /// An object without an array.
    #[error("the answer is an object without a list")]
    NoList,
    /// An object with several arrays.
    #[error("the answer is an object with several lists")]
    SeveralLists,
    /// An element that is no id.
    #[error("the list has an element that is no id")]
    NoId,
    /// By its own words there are more.
    #[error("the list says that there are {said} and holds {held}: it is incomplete")]
    Fewer {
        /// So many.
        said: u64,
        /// And has so many.
        held: u64,
    },
    /// By its own words it goes on elsewhere.
    #[error("the list says by its field {0:?} that there is more: it is incomplete")]
    More(&'static str),
    /// Deeper than any id list.
    #[error("the answer is nested too deeply")]
    TooDeep,
}

impl From<Full> for Fault {
    fn from(_: Full) -> Self {
        Self::TooLong
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Container {
    /// The array of ids.
    Ids,
    /// One of its elements.
    Element,
    /// The object around it.
    Wrapper,
    /// An object within that one that tells of pages.
    Pages,
    /// What such a field names as the rest.
    Rest(&'static str),
    /// An array or object of no interest.
    OtherList,
    OtherObject,
}

impl Container {
    const fn is_list(self) -> bool {
        matches!(self, Self::Ids | Self::OtherList)
    }
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Expect {
    #[default]
    Value,
    ValueOrEnd,
    Key,
    KeyOrEnd,
    Colon,
    CommaOrEnd,
    Nothing,
}

/// What the field just named means.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Key {
    #[default]
    Other,
    ReferenceId,
    /// `errors`: a list of errors is never the list of ids, not even when it is empty.
    Errors,
    /// It tells of pages.
    Paging(Word),
}

/// Reads an id list piece by piece.
#[derive(Debug, Default)]
pub struct Parser {
    lexer: Lexer,
    grammar: Grammar,
}

#[derive(Debug, Default)]
struct Grammar {
    stack: Vec<Container>,
    expect: Expect,
    key: Key,
    seen_list: bool,
    /// The current element's id.
    element: Option<String>,
    ids: IdBatch,
    /// Of all batches.
    held: u64,
    paging: Paging,
}

impl Parser {
    /// Reads the next piece. What was complete before a fault stays ready.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<(), Fault> {
        let grammar = &mut self.grammar;
        grammar.ids.reserve(chunk.len());
        let mut rest = chunk;
        while !rest.is_empty() {
            rest = self.lexer.step(rest, &mut |token| grammar.take(token))?;
        }
        Ok(())
    }

    /// The body is over: was it a complete list?
    pub fn finish(&mut self) -> Result<(), Fault> {
        let grammar = &mut self.grammar;
        self.lexer.finish(&mut |token| grammar.take(token))?;
        if grammar.expect != Expect::Nothing {
            return Err(Fault::Cut);
        }
        if !grammar.seen_list {
            return Err(Fault::NoList);
        }
        grammar.paging.check(grammar.held)
    }

    /// How many ids wait to be taken.
    pub fn ready(&self) -> usize {
        self.grammar.ids.len()
    }

    /// Takes the ids that are complete.
    pub fn take(&mut self) -> IdBatch {
        std::mem::take(&mut self.grammar.ids)
    }
}

impl Grammar {
    fn take(&mut self, token: Token<'_>) -> Result<(), Fault> {
        match (self.expect, token) {
            (Expect::Nothing, _) => Err(Fault::Trailing),
            (Expect::Value | Expect::ValueOrEnd, Token::Text { raw, escaped }) => {
                self.text(raw, escaped)
            }
            (Expect::CommaOrEnd, Token::Mark(b',')) => {
                let in_list = self.stack.last().is_some_and(|top| top.is_list());
                self.expect = if in_list { Expect::Value } else { Expect::Key };
                Ok(())
            }
            (Expect::Value | Expect::ValueOrEnd, Token::Bare(text)) => self.bare(text),
            (Expect::Value | Expect::ValueOrEnd, Token::Mark(mark @ (b'[' | b'{'))) => {
                self.open(mark == b'[')
            }
            (Expect::Key | Expect::KeyOrEnd, Token::Text { raw, escaped }) => {
                self.name(raw, escaped)
            }
            (Expect::Colon, Token::Mark(b':')) => {
                self.expect = Expect::Value;
                Ok(())
            }
            (Expect::CommaOrEnd | Expect::ValueOrEnd, Token::Mark(b']')) => self.close(true),
            (Expect::CommaOrEnd | Expect::KeyOrEnd, Token::Mark(b'}')) => self.close(false),
            _ => Err(Fault::Syntax),
        }
    }

    fn text(&mut self, raw: &[u8], escaped: bool) -> Result<(), Fault> {
        let top = self.stack.last().copied();
        if !escaped {
            let text = std::str::from_utf8(raw).map_err(|_| Fault::Syntax)?;
            return self.scalar(top, text, Some(text));
        }
        let text = unescape(raw)?;
        self.scalar(top, &text, Some(&text))
    }

    fn bare(&mut self, text: &[u8]) -> Result<(), Fault> {
        let top = self.stack.last().copied();
        let is_word = matches!(text, b"null" | b"true" | b"false");
        if !is_word {
            check_number(text)?;
        }
        let text = std::str::from_utf8(text).map_err(|_| Fault::Syntax)?;
        self.scalar(top, text, denoted(text).filter(|_| !is_word))
    }

    /// A value that has no parts; `id` is its text if it could be an id.
    fn scalar(
        &mut self,
        top: Option<Container>,
        text: &str,
        id: Option<&str>,
    ) -> Result<(), Fault> {
        match top {
            None => return Err(Fault::NoContainer),
            Some(Container::Ids) => {
                let id = id.filter(|id| !id.is_empty()).ok_or(Fault::NoId)?;
                self.ids.push(id)?;
                self.held += 1;
            }
            Some(Container::Wrapper | Container::Pages) => {
                if let Key::Paging(word) = self.key {
                    self.paging.said(word, id.unwrap_or(text));
                }
            }
            Some(Container::Rest(name)) => self.paging.said(Word::More(name), text),
            Some(Container::Element) if self.key == Key::ReferenceId => {
                if let Some(id) = id.filter(|id| !id.is_empty()) {
                    self.element.get_or_insert_with(|| id.to_owned());
                }
            }
            Some(_) => {}
        }
        self.expect = Expect::CommaOrEnd;
        Ok(())
    }

    fn open(&mut self, list: bool) -> Result<(), Fault> {
        let container = match (self.stack.last(), list) {
            (None, true) => Container::Ids,
            (None, false) => Container::Wrapper,
            (Some(Container::Wrapper), true) if self.key != Key::Errors => Container::Ids,
            (Some(Container::Ids), true) => return Err(Fault::NoId),
            (Some(Container::Ids), false) => Container::Element,
            (Some(Container::Wrapper | Container::Pages), false) => match self.key {
                Key::Paging(Word::Pages) => Container::Pages,
                Key::Paging(Word::More(name)) => Container::Rest(name),
                _ => Container::OtherObject,
            },
            (Some(_), true) => Container::OtherList,
            (Some(_), false) => Container::OtherObject,
        };
        if container == Container::Ids && std::mem::replace(&mut self.seen_list, true) {
            return Err(Fault::SeveralLists);
        }
        if self.stack.len() >= DEEPEST {
            return Err(Fault::TooDeep);
        }
        self.stack.push(container);
        self.expect = if list {
            Expect::ValueOrEnd
        } else {
            Expect::KeyOrEnd
        };
        Ok(())
    }

    fn name(&mut self, raw: &[u8], escaped: bool) -> Result<(), Fault> {
        let unescaped;
        let name = if escaped {
            unescaped = unescape(raw)?;
            unescaped.as_bytes()
        } else {
            raw
        };
        std::str::from_utf8(name).map_err(|_| Fault::Syntax)?;
        self.key = match name {
            b"reference_id" | b"referenceId" => Key::ReferenceId,
            b"errors" => Key::Errors,
            // Names within elements are too many to be looked at twice.
            name if matches!(
                self.stack.last(),
                Some(Container::Wrapper | Container::Pages)
            ) =>
            {
                Word::of(name).map_or(Key::Other, Key::Paging)
            }
            _ => Key::Other,
        };
        self.expect = Expect::Colon;
        Ok(())
    }

    fn close(&mut self, list: bool) -> Result<(), Fault> {
        match self.stack.pop() {
            Some(top) if top.is_list() == list => {
                if top == Container::Element {
                    self.ids.push(&self.element.take().ok_or(Fault::NoId)?)?;
                    self.held += 1;
                }
            }
            _ => return Err(Fault::Syntax),
        }
        self.expect = if self.stack.is_empty() {
            Expect::Nothing
        } else {
            Expect::CommaOrEnd
        };
        Ok(())
    }
}

/// A text with its escapes resolved. Rare, so the library does it.
fn unescape(raw: &[u8]) -> Result<String, Fault> {
    let mut quoted = Vec::with_capacity(raw.len() + 2);
    quoted.push(b'"');
    quoted.extend_from_slice(raw);
    quoted.push(b'"');
    serde_json::from_slice(&quoted).map_err(|_| Fault::Syntax)
}

/// The id that a number denotes: `168.0` is 168. One with an exponent is none, it would have to be reckoned.
fn denoted(number: &str) -> Option<&str> {
    let whole = match number.split_once('.') {
        Some((whole, fraction)) if fraction.bytes().all(|digit| digit == b'0') => whole,
        Some(_) => return None,
        None => number,
    };
    let has_exponent = whole.contains(['e', 'E']);
    Some(if whole == "-0" { "0" } else { whole }).filter(|_| !has_exponent)
}

/// Is it a number by JSON's grammar?
fn check_number(text: &[u8]) -> Result<(), Fault> {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let unsigned = text.strip_prefix(b"-").unwrap_or(text);
    let whole = digits(unsigned);
    if whole == 0 || (whole > 1 && unsigned[0] == b'0') {
        return Err(Fault::Syntax);
    }
    let mut rest = &unsigned[whole..];
    if let Some(fraction) = rest.strip_prefix(b".") {
        let length = digits(fraction);
        if length == 0 {
            return Err(Fault::Syntax);
        }
        rest = &fraction[length..];
    }
    if let Some((b'e' | b'E', exponent)) = rest.split_first() {
        let unsigned = match exponent.split_first() {
            Some((b'+' | b'-', unsigned)) => unsigned,
            _ => exponent,
        };
        let length = digits(unsigned);
        if length == 0 {
            return Err(Fault::Syntax);
        }
        rest = &unsigned[length..];
    }
    if rest.is_empty() {
        Ok(())
    } else {
        Err(Fault::Syntax)
    }
}

#[cfg(test)]
mod tests;
