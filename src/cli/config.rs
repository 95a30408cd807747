//! `config check|show|example`: what is wrong with the configuration, what holds, and what can be set.

use std::io::{self, Write};
use std::path::Path;

use chrono::{DateTime, Utc};
use clap::Subcommand;

use super::config_explain;
use super::output::Format;
use crate::config::{self, Config, ConfigErrors, Overrides};
use crate::schedule::When;

/// `config …`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Subcommand)]
pub enum ConfigCommand {
    /// Say what is wrong with the configuration, all of it
    Check {
        /// Print also what each rule comes to: its classes, its list calls, what is read, and whether it acts
        #[arg(long)]
        explain: bool,
    },
    /// Print the configuration that holds, with where each value comes from
    Show,
    /// Print every key with its default and one line on it
    Example,
}

/// So many of the coming instants of a schedule are printed.
const NEXT: usize = 5;

/// Why `config …` failed.
#[derive(Debug, thiserror::Error)]
pub enum ConfigCommandError {
    /// The configuration is wrong (exit code 78).
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    /// The output could not be written.
    #[error("the output can't be written: {0}")]
    Output(#[from] io::Error),
}

/// Carries out a `config` command; data goes to `out`, what is wrong into the error. Answers what may not be meant.
///
/// # Errors
/// The configuration's errors, all at once, or that `out` could not be written.
pub fn run(
    command: &ConfigCommand,
    path: &Path,
    env: impl Iterator<Item = (String, String)>,
    overrides: &Overrides,
    format: Format,
    now: DateTime<Utc>,
    out: &mut dyn Write,
) -> Result<Vec<String>, ConfigCommandError> {
    match command {
        ConfigCommand::Check { explain } => {
            let config = config::load(path, env, overrides)?;
            match (explain, format) {
                (true, Format::Json) => {
                    let text = serde_json::to_string_pretty(&config::explain(&config));
                    out.write_all(text.map_err(io::Error::from)?.as_bytes())?;
                }
                (true, Format::Table | Format::Csv) => {
                    let page = config_explain::page(&config::explain(&config));
                    write!(out, "{}\n{page}\n", summary(path, &config, now))?;
                }
                (false, _) => out.write_all(summary(path, &config, now).as_bytes())?,
            }
            return Ok(config::warnings(&config));
        }
        ConfigCommand::Show => {
            out.write_all(config::show(path, env, overrides)?.as_bytes())?;
        }
        ConfigCommand::Example => out.write_all(config::example().as_bytes())?,
    }
    Ok(vec![])
}

/// When a cron expression comes next, where it is meant: what it says is easily misread.
fn next(when: &When, now: DateTime<Utc>) -> Option<String> {
    let When::Cron { zone, .. } = when else {
        return None;
    };
    let slots = std::iter::successors(when.next_after(now), |&slot| when.next_after(slot));
    let local = slots.map(|slot| {
        slot.with_timezone(zone)
            .format("%a %Y-%m-%d %H:%M:%S")
            .to_string()
    });
    let next: Vec<String> = local.take(NEXT).collect();
    Some(format!("            next: {}", next.join(", ")))
}

/// What a person wants to see before starting: who is touched, may it write, when does it run.
fn summary(path: &Path, config: &Config, now: DateTime<Utc>) -> String {
    let orgs: Vec<&str> = config
        .tesamanager
        .orgs
        .iter()
        .map(|org| org.as_str())
        .collect();
    let mut lines = vec![
        format!("OK: {}", path.display()),
        format!(
            "  upstream  {} ({})",
            config.tesamanager.base_url,
            orgs.join(", ")
        ),
        format!("  store     {}", config.state.url),
        format!("  metrics   {}", config.http.listen),
        format!("  mode      {}", config.safety.mode),
    ];
    if let Some(notify) = &config.notify {
        lines.push(format!("  notify    {} ({})", notify.host(), notify.format));
    }
    for job in &config.jobs {
        let when = match &job.schedule.when {
            When::Cron { text, zone, .. } => format!("at \"{text}\" {zone}"),
            When::Every(interval) => format!("every {}", humantime::format_duration(*interval)),
        };
        let rules = match job.rules.len() {
            0 => "no rules: it only flags".to_owned(),
            1 => "1 rule".to_owned(),
            count => format!("{count} rules"),
        };
        lines.push(format!(
            "  job       {} ({}) {when}, {rules}",
            job.name, job.kind
        ));
        lines.extend(next(&job.schedule.when, now));
    }
    lines.join("\n") + "\n"
}
