//! The configuration: what a person may set, where it comes from, and what is wrong with it.
//!
//! The file, then `TESA_RECONCILER__SECTION__KEY` variables, then flags. One file here is one section: its keys,
//! their defaults, its type and its checks. What they build is *valid by type*: a [`Config`] that exists can be run.
//! Whatever is wrong is reported all at once, with places ([`ConfigErrors`]).
//!
//! The environment comes in as a value, so everything but [`load`] (which opens files) is a pure function.

mod attributes;
mod console;
mod daemon;
mod defaults;
mod endpoints;
mod example;
mod explain;
mod files;
mod heard;
mod http;
mod job;
mod keys;
mod layers;
pub(crate) mod nearest;
mod notify;
mod page;
mod parties;
mod peer;
pub(crate) mod postgres_url;
mod problem;
mod reload;
mod rule;
mod safety;
mod schedule;
mod service_level;
mod show;
mod source;
mod state;
mod tesamanager;
mod traces;
mod tree;
mod value;
mod warnings;

#[cfg(test)]
mod tests;

use std::path::Path;

pub use console::{Console, Network, TrustedProxy};
pub use daemon::{Daemon, LogFormat};
pub use endpoints::{Endpoint, Endpoints, default_endpoints};
pub use example::example;
pub use explain::{ExplainedClass, ExplainedJob, ExplainedRule, ListCall, explain};
pub use http::Http;
pub use job::{Job, JobKind};
pub use layers::Overrides;
pub use notify::{Notify, NotifyFormat};
pub use page::markdown;
pub use parties::{HolidaysError, Parties};
pub use problem::{ConfigErrors, Problem};
pub use reload::{acts_otherwise, changed_sections, restart_needed};
pub use safety::{Backoff, Safety};
pub use state::State;
pub use tesamanager::{Credentials, Tesamanager};
pub use traces::Traces;
pub use warnings::warnings;

use files::{Folders, Need};
use layers::Environment;
use problem::{Place, Problems};
use source::Source;
use tree::Table;

use crate::history::level::ServiceLevel;

/// The whole configuration, validated.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The upstream.
    pub tesamanager: Tesamanager,
    /// The store.
    pub state: State,
    /// Metrics and health.
    pub http: Http,
    /// Pages for people; none if absent.
    pub console: Option<Console>,
    /// The process.
    pub daemon: Daemon,
    /// Restraint.
    pub safety: Safety,
    /// Whom to tell; nobody if absent.
    pub notify: Option<Notify>,
    /// Where spans go; nowhere if absent.
    pub traces: Option<Traces>,
    /// Whose turn it is.
    pub parties: Parties,
    /// What the contract promises.
    pub service_levels: Vec<ServiceLevel>,
    /// The duties.
    pub jobs: Vec<Job>,
}

/// Reads the file at `path` under the environment and the flags. Files that it names must be there; relative names
/// are looked for beside it, then in `$CREDENTIALS_DIRECTORY`.
///
/// # Errors
/// Everything that is wrong, at once.
pub fn load(
    path: &Path,
    env: impl Iterator<Item = (String, String)>,
    overrides: &Overrides,
) -> Result<Config, ConfigErrors> {
    load_as(path, env, overrides, Need::All).map(|effective| effective.config)
}

/// As [`load`], for commands that only steer a daemon through the store: credentials of the upstream, which such a
/// person may not be allowed to read, need not be there.
///
/// # Errors
/// Everything that is wrong, at once.
pub fn load_for_steering(
    path: &Path,
    env: impl Iterator<Item = (String, String)>,
    overrides: &Overrides,
) -> Result<Config, ConfigErrors> {
    load_as(path, env, overrides, Need::Store).map(|effective| effective.config)
}

/// As [`load`], from a text; `name` is the file's name in messages. Names of files stay as they are written, and
/// are not looked for.
///
/// # Errors
/// Everything that is wrong, at once.
pub fn parse(
    text: &str,
    name: &str,
    env: impl Iterator<Item = (String, String)>,
    overrides: &Overrides,
) -> Result<Config, ConfigErrors> {
    let source = Source { name, text };
    assemble(&source, &Environment::of(env), overrides, None).map(|effective| effective.config)
}

/// The configuration that holds, as TOML with the origin of each value.
///
/// # Errors
/// Everything that is wrong, at once.
pub fn show(
    path: &Path,
    env: impl Iterator<Item = (String, String)>,
    overrides: &Overrides,
) -> Result<String, ConfigErrors> {
    load_as(path, env, overrides, Need::All).map(|effective| effective.shown)
}

/// The variables of this process that concern the configuration. (`std::env::vars` would panic on a variable of
/// somebody else's that is not Unicode.)
pub fn process_environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| {
        let name = name.into_string().ok()?;
        Some((name, value.to_string_lossy().into_owned()))
    })
}

/// A configuration, and how it is shown.
struct Effective {
    config: Config,
    shown: String,
}

fn load_as(
    path: &Path,
    env: impl Iterator<Item = (String, String)>,
    overrides: &Overrides,
    need: Need,
) -> Result<Effective, ConfigErrors> {
    let name = path.display().to_string();
    let text = read(path, &name)?;
    let environment = Environment::of(env);
    let folders = Folders {
        beside: path.parent().unwrap_or(Path::new("")),
        credentials: environment.credentials_directory.as_deref().map(Path::new),
    };
    let source = Source {
        name: &name,
        text: &text,
    };
    assemble(&source, &environment, overrides, Some((&folders, need)))
}

fn read(path: &Path, name: &str) -> Result<String, ConfigErrors> {
    let bytes = std::fs::read(path).map_err(|error| {
        let help = match error.kind() {
            std::io::ErrorKind::NotFound => format!(
                "name the file with --config FILE, or begin one: tesa-reconciler config example > {name}"
            ),
            _ => "make the file readable for the user that runs this".to_owned(),
        };
        ConfigErrors::of_file(name, format!("the configuration can't be read: {error}"), help)
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()]
            .split(|byte| *byte == b'\n')
            .count();
        ConfigErrors::of_file(
            &format!("{name}:{line}"),
            "this is not UTF-8".to_owned(),
            "save the file as UTF-8".to_owned(),
        )
    })
}

fn assemble(
    source: &Source<'_>,
    environment: &Environment,
    overrides: &Overrides,
    files: Option<(&Folders<'_>, Need)>,
) -> Result<Effective, ConfigErrors> {
    let mut problems = Problems::default();
    let effective = tree::parse(source, &mut problems).and_then(|mut root| {
        layers::check_names(&mut root, "", &Place::WholeFile, &mut problems);
        layers::lay_environment(&mut root, environment, &mut problems);
        layers::lay_flags(&mut root, overrides, &mut problems);
        layers::lay_defaults(&mut root, environment);
        if let Some((folders, need)) = files {
            files::resolve(&mut root, folders, need, &mut problems);
        }
        let config = build(&root, &mut problems)?;
        let shown = show::render(&root, source);
        Some(Effective { config, shown })
    });
    match (problems.finish(source), effective) {
        (None, Some(effective)) => Ok(effective),
        (Some(errors), _) => Err(errors),
        // Nothing is refused without a problem; were it ever, starting would be the wrong answer.
        (None, None) => Err(ConfigErrors::of_file(
            source.name,
            "the configuration is refused, and no reason was recorded".to_owned(),
            "this is a fault of the program: please report it".to_owned(),
        )),
    }
}

fn build(root: &Table, problems: &mut Problems) -> Option<Config> {
    let tesamanager = tesamanager::read(root, problems);
    let state = state::read(root, problems);
    let http = http::read(root, problems);
    let console = console::read(root, problems);
    let daemon = daemon::read(root, problems);
    let safety = safety::read(root, problems);
    let notify = notify::read(root, problems);
    let traces = traces::read(root, problems);
    let parties = parties::read(root, problems);
    let service_levels = service_level::read_all(root, problems);
    let orgs = tesamanager.as_ref().map(|section| section.orgs.as_slice());
    let jobs = job::read_all(root, orgs, problems);
    Some(Config {
        tesamanager: tesamanager?,
        state: state?,
        http: http?,
        console: console?,
        daemon: daemon?,
        safety: safety?,
        notify: notify?,
        traces: traces?,
        parties: parties?,
        service_levels: service_levels?,
        jobs: jobs?,
    })
}
