//! Medians, percentiles, and the table that is printed.

use std::time::Duration;

/// The middle of what was measured; of an even number the lower one of the two.
pub fn median(values: &[f64]) -> f64 {
    percentile(values, 50)
}

/// The smallest value that so many in a hundred do not exceed.
pub fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() * percent).div_ceil(100).max(1) - 1;
    sorted.get(rank).copied().unwrap_or(f64::NAN)
}

/// Durations in milliseconds.
pub fn millis(durations: &[Duration]) -> Vec<f64> {
    durations
        .iter()
        .map(|took| took.as_secs_f64() * 1_000.0)
        .collect()
}

/// Which way a target lies.
#[derive(Clone, Copy)]
pub enum Target {
    /// No less.
    AtLeast(f64),
    /// No more.
    AtMost(f64),
    /// Only printed.
    None,
}

/// The rows, in the order in which they were measured.
#[derive(Default)]
pub struct Table(Vec<String>);

impl Table {
    /// Adds a figure; `unit` stands behind measured and promised alike.
    pub fn add(&mut self, figure: &str, measured: f64, unit: &str, target: Target) {
        let shown = |value: f64| {
            let digits = match value.abs() {
                large if large >= 100.0 => 0,
                middle if middle >= 10.0 => 1,
                _ => 2,
            };
            format!("{value:.digits$}{unit}")
        };
        let (promised, good) = match target {
            Target::AtLeast(least) => (format!("≥ {}", shown(least)), measured >= least),
            Target::AtMost(most) => (format!("≤ {}", shown(most)), measured <= most),
            Target::None => (String::new(), true),
        };
        let verdict = if good { "" } else { "missed" };
        let row = format!(
            "| {figure} | {} | {promised} | {verdict} |",
            shown(measured)
        );
        // As it comes: the whole takes many minutes.
        eprintln!("{row}");
        self.0.push(row);
    }

    /// Prints it as Markdown.
    pub fn print(&self) {
        println!("| figure | measured | promised | |\n|---|---|---|---|");
        for row in &self.0 {
            println!("{row}");
        }
    }
}
