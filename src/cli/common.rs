//! What every command needs: the configuration, the store, the time, and how to print.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::exit::{Exit, Failure};
use super::output::Format;
use super::time;
use crate::answers::Sources;
use crate::answers::acts::NotDone;
use crate::answers::names::{NameError, named};
use crate::clock::SystemClock;
use crate::config::{self, Config, ConfigErrors, Job, Overrides};
use crate::domain::ids::Org;
use crate::history::working::WorkingTime;
use crate::store::{self, Actor, StoreOptions};

/// What is given before or after any command.
#[derive(Debug, Clone)]
pub struct Common {
    /// The configuration file.
    pub config: PathBuf,
    /// How to print.
    pub format: Format,
    /// Flags that override the configuration.
    pub overrides: Overrides,
}

/// Where the configuration is looked for when nobody names it.
const PLACES: [&str; 2] = [
    "tesa-reconciler.toml",
    "/etc/tesa-reconciler/tesa-reconciler.toml",
];

/// The configuration file: the one that was named, else the first of the usual places where there is one. An empty name
/// is none: that is how a variable is unset.
pub fn configuration(named: Option<PathBuf>, exists: impl Fn(&Path) -> bool) -> PathBuf {
    if let Some(named) = named.filter(|named| !named.as_os_str().is_empty()) {
        return named;
    }
    let found = PLACES.iter().map(Path::new).find(|place| exists(place));
    found.unwrap_or(Path::new(PLACES[0])).to_owned()
}

impl Common {
    /// Reads and validates the configuration.
    pub fn load(&self) -> Result<Config, Failure> {
        let config = config::load(&self.config, config::process_environment(), &self.overrides);
        loaded(config)
    }

    /// The same for a command that needs only the store: who may pause a job need not be able to read the
    /// upstream's credentials.
    pub fn load_for_steering(&self) -> Result<Config, Failure> {
        let environment = config::process_environment();
        loaded(config::load_for_steering(
            &self.config,
            environment,
            &self.overrides,
        ))
    }
}

/// From here on instants are told in the zone that it names.
fn loaded(config: Result<Config, ConfigErrors>) -> Result<Config, Failure> {
    let config = config.map_err(|errors| Failure::new(Exit::Configuration, errors.to_string()))?;
    let system = || time::of_system(std::env::var("TZ").ok().as_deref());
    time::print_in(config.daemon.timezone.unwrap_or_else(system));
    Ok(config)
}

/// A command that works on the store: what answers are made from, and how it prints.
pub struct Session {
    sources: Sources,
    /// How to print.
    pub format: Format,
}

impl Deref for Session {
    type Target = Sources;

    fn deref(&self) -> &Sources {
        &self.sources
    }
}

impl Session {
    /// Opens the store that the configuration names. Creates nothing: a store that isn't there is an error that
    /// says what makes one.
    pub async fn open(common: &Common) -> Result<Self, Failure> {
        let config = common.load_for_steering()?;
        let url = &config.state.url;
        if !store::exists(url) {
            return Err(Failure::new(
                Exit::StoreUnavailable,
                format!(
                    "there is no store at {url} yet: start the daemon (`tesa-reconciler run`), or check state.url"
                ),
            ));
        }
        let options = StoreOptions {
            create_if_missing: false,
            ..crate::app::store_options(&config.state)
        };
        let store = store::open(url, &options).await?;
        store::require_current(&*store, url).await?;
        Ok(Self {
            sources: Sources {
                config: Arc::new(config),
                store,
                clock: Arc::new(SystemClock),
                zone: time::zone(),
            },
            format: common.format,
        })
    }

    /// The person at the keyboard, who means to steer: from a store that moved elsewhere the word would not arrive.
    pub async fn actor(&self, reason: &str) -> Result<Actor, Failure> {
        let actor = person(reason)?;
        self.may_steer().await?;
        Ok(actor)
    }

    /// A configured job by name, or the names that there are.
    pub fn job(&self, name: &str) -> Result<&Job, Failure> {
        find_job(&self.config, name)
    }

    /// Which days are working days, in the zone in which instants are told.
    pub fn working_time(&self) -> Result<WorkingTime, Failure> {
        let work = self.config.parties.working_time(time::zone());
        work.map_err(|error| Failure::new(Exit::Configuration, error.to_string()))
    }

    /// The orgs that a command means: the one named (which must be configured), or all.
    pub fn orgs(&self, named: Option<&str>) -> Result<Vec<Org>, Failure> {
        find_orgs(&self.config, named)
    }
}

/// A configured job by name, or an error with the names that there are.
pub fn find_job<'c>(config: &'c Config, name: &str) -> Result<&'c Job, Failure> {
    Ok(named("job", name, &config.jobs, |job| job.name.as_str())?)
}

/// The org named (which must be configured), or all configured ones.
pub fn find_orgs(config: &Config, name: Option<&str>) -> Result<Vec<Org>, Failure> {
    let all = &config.tesamanager.orgs;
    match name {
        Some(name) => Ok(vec![named("org", name, all, |org| org.as_str())?.clone()]),
        None => Ok(all.clone()),
    }
}

/// Jobs named on the command line, or all of them.
pub fn find_jobs<'c>(config: &'c Config, names: &[String]) -> Result<Vec<&'c Job>, Failure> {
    if names.is_empty() {
        return Ok(config.jobs.iter().collect());
    }
    names.iter().map(|name| find_job(config, name)).collect()
}

impl From<NotDone> for Failure {
    fn from(error: NotDone) -> Self {
        match error {
            NotDone::Refused(why) => Self::new(Exit::Failed, why),
            NotDone::Moved(why) => Self::new(Exit::Configuration, why),
            NotDone::Name(error) => error.into(),
            NotDone::Store(error) => error.into(),
        }
    }
}

impl From<NameError> for Failure {
    fn from(error: NameError) -> Self {
        match error {
            NameError::Store(error) => error.into(),
            unknown @ NameError::Unknown(_) => Self::new(Exit::Usage, unknown.to_string()),
        }
    }
}

/// The person at the keyboard, with their reason.
pub fn person(reason: &str) -> Result<Actor, Failure> {
    if reason.trim().is_empty() {
        return Err(Failure::new(
            Exit::Usage,
            "--reason must say why: it goes into the audit",
        ));
    }
    let user = ["SUDO_USER", "USER", "LOGNAME"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
        .unwrap_or_else(|| "unknown".to_owned());
    Ok(Actor {
        who: format!("cli:{user}"),
        reason: reason.trim().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_must_say_something() {
        assert_eq!(person("  ").unwrap_err().exit, Exit::Usage);
        assert_eq!(person(" night shift ").unwrap().reason, "night shift");
    }

    #[test]
    fn the_configuration_is_the_named_one_then_the_one_here_then_the_machines() {
        let [here, machine] = PLACES;
        for (named, there, expected) in [
            (Some("x.toml"), &PLACES[..], "x.toml"),
            (None, &PLACES[..], here),
            (None, &[machine][..], machine),
            (Some(""), &[machine][..], machine),
            (None, &[], here),
        ] {
            let exists = |path: &Path| there.iter().any(|place| Path::new(place) == path);
            let found = configuration(named.map(PathBuf::from), exists);
            assert_eq!(found, Path::new(expected), "{named:?} {there:?}");
        }
    }
}
