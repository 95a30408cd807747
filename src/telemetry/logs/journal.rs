//! Standard error, and where it leads to the system's journal, each line's priority in front of it: otherwise the journal
//! takes every line for information, and `journalctl -p warning` shows none.
//!
//! The form is sd-daemon(3)'s, `<4>` for a warning; the journal takes it off again.

use std::io::{self, Write};
use std::os::unix::fs::MetadataExt as _;

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// Standard error.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stderr {
    /// It leads to the journal.
    journal: bool,
}

impl Stderr {
    /// Looks where it leads: systemd says in `JOURNAL_STREAM` which stream is the journal's, by device and inode, because
    /// the variable outlives a redirection.
    pub(super) fn look() -> Self {
        let told = std::env::var("JOURNAL_STREAM").unwrap_or_default();
        let here = std::fs::metadata("/proc/self/fd/2");
        let here = here.map(|found| format!("{}:{}", found.dev(), found.ino()));
        Self {
            journal: here.is_ok_and(|here| here == told),
        }
    }
}

impl<'a> MakeWriter<'a> for Stderr {
    type Writer = Line<io::Stderr>;

    fn make_writer(&'a self) -> Self::Writer {
        Line {
            prefix: "",
            to: io::stderr(),
        }
    }

    fn make_writer_for(&'a self, event: &Metadata<'_>) -> Self::Writer {
        Line {
            prefix: if self.journal {
                priority(*event.level())
            } else {
                ""
            },
            to: io::stderr(),
        }
    }
}

fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "<3>",
        Level::WARN => "<4>",
        Level::INFO => "<6>",
        _ => "<7>",
    }
}

/// What one event is written with.
#[derive(Debug)]
pub(super) struct Line<W> {
    prefix: &'static str,
    to: W,
}

impl<W: Write> Write for Line<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let prefix = std::mem::take(&mut self.prefix);
        if prefix.is_empty() {
            return self.to.write(bytes);
        }
        // In one piece, or another thread's line could come between.
        self.to.write_all(&[prefix.as_bytes(), bytes].concat())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_begins_with_its_priority_once() {
        for (level, begins) in [
            (Level::ERROR, "<3>"),
            (Level::WARN, "<4>"),
            (Level::INFO, "<6>"),
            (Level::TRACE, "<7>"),
        ] {
            let mut line = Line {
                prefix: priority(level),
                to: Vec::new(),
            };
            line.write_all(b"one").unwrap();
            line.write_all(b" two\n").unwrap();
            assert_eq!(line.to, format!("{begins}one two\n").into_bytes());
        }
    }

    #[test]
    fn elsewhere_a_line_is_left_alone() {
        let mut line = Line {
            prefix: "",
            to: Vec::new(),
        };
        line.write_all(b"one\n").unwrap();
        assert_eq!(line.to, b"one\n");
    }
}
