//! `process_*`: what the operating system knows of this process, read from `/proc` at each scrape.
//!
//! The names are those of Prometheus' own client libraries, without our prefix, so that common dashboards find
//! them. They are written as text and not through the recorder, because its counters can't hold fractions of a
//! second. Where there is no `/proc`, or a file of it can't be read, the lines are left out.

use std::fmt::Write;
use std::fs;

use super::catalogue::{Kind, Metric, Start};

macro_rules! process {
    ($( $ident:ident = $kind:ident $name:literal $help:literal; )+) => {
        $( const $ident: Metric = Metric { name: $name, kind: Kind::$kind, help: $help, labels: &[], start: Start::Absent }; )+

        /// The metrics of the process.
        pub const METRICS: &[Metric] = &[ $($ident),+ ];
    };
}

process! {
    CPU = Counter "process_cpu_seconds_total" "Processor time used, in user and system mode.";
    RESIDENT = Gauge "process_resident_memory_bytes" "Memory in use.";
    VIRTUAL = Gauge "process_virtual_memory_bytes" "Address space in use.";
    OPEN_FDS = Gauge "process_open_fds" "Open file descriptors.";
    MAX_FDS = Gauge "process_max_fds" "The limit of open file descriptors.";
    THREADS = Gauge "process_threads" "Threads.";
    START = Gauge "process_start_time_seconds" "When the process started.";
}

/// The unit of times in `/proc/PID/stat`. The kernel fixes what it shows there at 100 a second on every
/// architecture that Rust's Linux targets of today have, whatever its own timer does.
const TICKS_PER_SECOND: f64 = 100.0;

/// Appends the process's metrics to a page.
pub fn render(page: &mut String) {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let boot = fs::read_to_string("/proc/stat").unwrap_or_default();
    let open_fds = fs::read_dir("/proc/self/fd").map(|fds| fds.count());

    line(page, &CPU, cpu_seconds(&stat));
    line(page, &RESIDENT, kilobytes(&status, "VmRSS:"));
    line(page, &VIRTUAL, kilobytes(&status, "VmSize:"));
    // One of them is the listing itself.
    line(
        page,
        &OPEN_FDS,
        open_fds.ok().map(|open| float(open.saturating_sub(1))),
    );
    line(page, &MAX_FDS, max_fds(&limits));
    line(page, &THREADS, field(&status, "Threads:"));
    line(page, &START, start_time(&stat, &boot));
}

fn line(page: &mut String, metric: &Metric, value: Option<f64>) {
    if let Some(value) = value {
        let (name, help) = (metric.name, metric.help);
        let kind = if metric.kind == Kind::Counter {
            "counter"
        } else {
            "gauge"
        };
        // Writing to a text can't fail.
        let _ = write!(
            page,
            "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n\n"
        );
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a number of descriptors is far below 2^53"
)]
fn float(count: usize) -> f64 {
    count as f64
}

/// The fields of `stat` after the program's name, which stands in parentheses and may hold anything. The first
/// here is the third of proc(5).
fn after_name(stat: &str) -> Vec<&str> {
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    rest.split_ascii_whitespace().collect()
}

fn ticks(stat: &str, field: usize) -> Option<f64> {
    after_name(stat).get(field - 3)?.parse().ok()
}

fn cpu_seconds(stat: &str) -> Option<f64> {
    Some((ticks(stat, 14)? + ticks(stat, 15)?) / TICKS_PER_SECOND)
}

fn start_time(stat: &str, boot: &str) -> Option<f64> {
    Some(field(boot, "btime")? + ticks(stat, 22)? / TICKS_PER_SECOND)
}

/// The number after a line's first word.
fn field(text: &str, name: &str) -> Option<f64> {
    let mut lines = text.lines().map(str::split_ascii_whitespace);
    lines.find_map(|mut words| (words.next() == Some(name)).then(|| words.next()?.parse().ok())?)
}

fn kilobytes(status: &str, name: &str) -> Option<f64> {
    field(status, name).map(|kilobytes| kilobytes * 1024.0)
}

/// The soft limit; none when there is no limit.
fn max_fds(limits: &str) -> Option<f64> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str =
        "4711 (a) b (c) S 1 4711 4711 0 -1 4194560 900 0 0 0 250 50 0 0 20 0 3 0 12345 9 8 7\n";

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        assert_eq!(cpu_seconds(STAT), Some(3.0));
        assert_eq!(start_time(STAT, "cpu 1 2\nbtime 1000\n"), Some(1123.45));
    }

    #[test]
    fn memory_is_in_bytes_and_limits_are_the_soft_ones() {
        assert_eq!(
            kilobytes("VmSize:\t 10 kB\nVmRSS:\t  2 kB\n", "VmRSS:"),
            Some(2048.0)
        );
        assert_eq!(
            max_fds("Max open files   1024   4096   files\n"),
            Some(1024.0)
        );
        assert_eq!(
            max_fds("Max open files   unlimited unlimited files\n"),
            None
        );
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        assert_eq!(cpu_seconds(""), None);
        assert_eq!(start_time("", ""), None);
        let mut page = String::new();
        line(&mut page, &CPU, None);
        assert_eq!(page, "");
    }

    #[test]
    fn this_process_has_all_of_them() {
        let mut page = String::new();
        render(&mut page);
        for metric in METRICS {
            assert!(
                page.contains(&format!("\n{} ", metric.name)),
                "{}",
                metric.name
            );
        }
    }
}
