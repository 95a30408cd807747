//! What happened, in lines that a person can read: the same world tells the same story, letter for letter.

use std::time::Duration;

use crate::clock::beginning;

#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Story(Vec<String>);

impl Story {
    /// At so long after the beginning, this.
    pub fn tell(&mut self, at: Duration, what: &str) {
        let at = beginning() + at;
        let line = format!("{}  {what}", at.format("%H:%M:%S%.3f"));
        // At once: a world that hangs tells as much as it has lived through.
        if std::env::var_os("SIM_TELL").is_some() {
            eprintln!("{line}");
        }
        self.0.push(line);
    }

    /// Its lines.
    pub fn lines(&self) -> &[String] {
        &self.0
    }
}

impl std::fmt::Display for Story {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}
