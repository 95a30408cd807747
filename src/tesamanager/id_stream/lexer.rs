//! Cuts a stream of bytes into JSON tokens, whatever the places where the network cut it.
//!
//! Most of an id list is short plain texts that lie within one chunk: those are handed on as slices, without a
//! copy. Only what crosses a border or has escapes goes through a buffer.

use super::parser::Fault;

/// No id, number or field name is longer. A peer that sends one gets no more memory than this.
const LONGEST: usize = 64 * 1024;

/// One token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token<'a> {
    /// One of `{ } [ ] : ,`.
    Mark(u8),
    /// What stands between two quotes, as it stands there.
    Text {
        /// Without the quotes, escapes as written.
        raw: &'a [u8],
        /// Has escapes.
        escaped: bool,
    },
    /// A number, `true`, `false` or `null`, not yet checked.
    Bare(&'a [u8]),
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Between,
    Text {
        escaped: bool,
        after_backslash: bool,
    },
    Bare,
}

/// The cutter, between two chunks.
#[derive(Debug, Default)]
pub struct Lexer {
    state: State,
    /// The part of a token that came with earlier chunks.
    carry: Vec<u8>,
}

impl Lexer {
    /// Reads at least one byte and at most one token, which goes to `sink`; answers what is left.
    pub fn step<'a>(
        &mut self,
        rest: &'a [u8],
        sink: &mut impl FnMut(Token<'_>) -> Result<(), Fault>,
    ) -> Result<&'a [u8], Fault> {
        let Some((&byte, tail)) = rest.split_first() else {
            return Ok(rest);
        };
        match self.state {
            State::Between => match byte {
                b'"' => self.open_text(tail, sink),
                b'{' | b'}' | b'[' | b']' | b':' | b',' => {
                    sink(Token::Mark(byte))?;
                    Ok(tail)
                }
                b' ' | b'\t' | b'\n' | b'\r' => Ok(behind_spaces(tail)),
                b'-' | b'+' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                    self.carry.clear();
                    self.state = State::Bare;
                    self.go_on_bare(rest, sink)
                }
                _ => Err(Fault::Syntax),
            },
            State::Text {
                escaped,
                after_backslash,
            } => self.go_on_text(rest, escaped, after_backslash, sink),
            State::Bare => self.go_on_bare(rest, sink),
        }
    }

    /// The stream is over: a number may have ended with it, a text may not.
    pub fn finish(
        &mut self,
        sink: &mut impl FnMut(Token<'_>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        match self.state {
            State::Between => Ok(()),
            State::Text { .. } => Err(Fault::Cut),
            State::Bare => {
                self.state = State::Between;
                sink(Token::Bare(&self.carry))
            }
        }
    }

    fn open_text<'a>(
        &mut self,
        tail: &'a [u8],
        sink: &mut impl FnMut(Token<'_>) -> Result<(), Fault>,
    ) -> Result<&'a [u8], Fault> {
        let end = plain_length(tail);
        if tail.get(end) == Some(&b'"') {
            sink(Token::Text {
                raw: &tail[..end],
                escaped: false,
            })?;
            return Ok(&tail[end + 1..]);
        }
        self.carry.clear();
        self.state = State::Text {
            escaped: false,
            after_backslash: false,
        };
        Ok(tail)
    }

    fn go_on_text<'a>(
        &mut self,
        rest: &'a [u8],
        escaped: bool,
        after_backslash: bool,
        sink: &mut impl FnMut(Token<'_>) -> Result<(), Fault>,
    ) -> Result<&'a [u8], Fault> {
        if after_backslash {
            self.keep(&rest[..1])?;
            self.state = State::Text {
                escaped: true,
                after_backslash: false,
            };
            return Ok(&rest[1..]);
        }
        let end = plain_length(rest);
        self.keep(&rest[..end])?;
        match rest.get(end) {
            None => Ok(&[]),
            Some(b'"') => {
                self.state = State::Between;
                sink(Token::Text {
                    raw: &self.carry,
                    escaped,
                })?;
                Ok(&rest[end + 1..])
            }
            Some(b'\\') => {
                self.keep(b"\\")?;
                self.state = State::Text {
                    escaped: true,
                    after_backslash: true,
                };
                Ok(&rest[end + 1..])
            }
            // A control character.
            Some(_) => Err(Fault::Syntax),
        }
    }

    fn go_on_bare<'a>(
        &mut self,
        rest: &'a [u8],
        sink: &mut impl FnMut(Token<'_>) -> Result<(), Fault>,
    ) -> Result<&'a [u8], Fault> {
        let is_bare = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
        let end = rest.iter().position(|byte| !is_bare(byte));
        let (part, tail) = rest.split_at(end.unwrap_or(rest.len()));
        if end.is_none() {
            self.keep(part)?;
        } else if self.carry.is_empty() {
            self.state = State::Between;
            sink(Token::Bare(part))?;
        } else {
            self.keep(part)?;
            self.state = State::Between;
            sink(Token::Bare(&self.carry))?;
        }
        Ok(tail)
    }

    fn keep(&mut self, part: &[u8]) -> Result<(), Fault> {
        if self.carry.len() + part.len() > LONGEST {
            return Err(Fault::TooLong);
        }
        self.carry.extend_from_slice(part);
        Ok(())
    }
}

/// `rest` from its first byte on that is no space by JSON's grammar.
fn behind_spaces(rest: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    let spaces = rest.iter().take_while(|&byte| is_space(byte)).count();
    &rest[spaces..]
}

/// How many bytes from the start need no thought: neither quote, backslash nor control character.
fn plain_length(text: &[u8]) -> usize {
    text.iter()
        .position(|&byte| byte == b'"' || byte == b'\\' || byte < 0x20)
        .unwrap_or(text.len())
}
