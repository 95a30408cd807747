//! `doctor`: everything the daemon needs, tried in the order in which it needs it, and for each thing that is wrong
//! the way to mend it. Changes nothing, sends no write, and goes on after a failure as far as that makes sense.

mod filters;
mod local;
mod upstream;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Serialize;

use super::common::Common;
use super::exit::{Exit, Failure};
use super::output::{self, Format};
use crate::clock::{Clock as _, SystemClock};
use crate::config;
use crate::zone::{self, Version};

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    /// Good.
    Ok,
    /// It works, but somebody should look.
    Warn,
    /// It doesn't work.
    Fail,
    /// Not tried, because what it needs is missing.
    Skipped,
}

/// One thing that was checked.
#[derive(Debug, Serialize)]
struct Check {
    check: &'static str,
    result: Verdict,
    detail: String,
    /// The way out, if something is wrong that `detail` does not say it for.
    mend: Option<String>,
    /// How the program ends if this is the worst.
    #[serde(skip)]
    exit: Exit,
}

impl Check {
    fn ok(check: &'static str, detail: impl Into<String>) -> Self {
        Self::new(check, Verdict::Ok, detail, None, Exit::Done)
    }

    fn warn(check: &'static str, detail: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::new(check, Verdict::Warn, detail, Some(mend.into()), Exit::Done)
    }

    fn skipped(check: &'static str, why: impl Into<String>) -> Self {
        Self::new(check, Verdict::Skipped, why, None, Exit::Done)
    }

    fn fail(
        check: &'static str,
        exit: Exit,
        detail: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self::new(check, Verdict::Fail, detail, Some(mend.into()), exit)
    }

    fn new(
        check: &'static str,
        result: Verdict,
        detail: impl Into<String>,
        mend: Option<String>,
        exit: Exit,
    ) -> Self {
        Self {
            check,
            result,
            detail: detail.into(),
            mend,
            exit,
        }
    }

    fn failed(&self) -> bool {
        self.result == Verdict::Fail
    }
}

/// Checks everything and ends with the worst class: configuration (78), then upstream (69), then store (75).
pub async fn run(common: &Common) -> Result<Exit, Failure> {
    let mut checks = Vec::new();
    let env = config::process_environment();
    match config::load(&common.config, env, &common.overrides) {
        Err(errors) => checks.push(Check::fail(
            "configuration",
            Exit::Configuration,
            errors.to_string(),
            "mend the file, then ask again: the rest depends on it",
        )),
        Ok(config) => {
            let detail = format!("{} is good", common.config.display());
            checks.push(Check::ok("configuration", detail));
            let clock = Arc::new(SystemClock);
            checks.push(zones(zone::version(), clock.now()));
            upstream::check(&config, clock, &mut checks).await;
            local::check(&config, &mut checks).await;
        }
    }
    match common.format {
        Format::Json => output::json(&checks)?,
        Format::Table | Format::Csv => output::text(&show(&checks))?,
    }
    Ok(worst(&checks))
}

/// Schedules in local time are only as right as the rules that they go by.
fn zones(version: &Version, now: DateTime<Utc>) -> Check {
    let detail = format!("time zones by {version}");
    if version.is_old(now) {
        let mend = "states change their clocks: update the system's zone files (apt-get install tzdata), or this program, and restart";
        return Check::warn("zones", format!("{detail}, more than a year old"), mend);
    }
    Check::ok("zones", detail)
}

fn worst(checks: &[Check]) -> Exit {
    let failed = |exit| {
        checks
            .iter()
            .any(|check| check.failed() && check.exit == exit)
    };
    [
        Exit::Configuration,
        Exit::UpstreamUnreachable,
        Exit::StoreUnavailable,
    ]
    .into_iter()
    .find(|exit| failed(*exit))
    .unwrap_or(Exit::Done)
}

fn show(checks: &[Check]) -> String {
    let mut lines = Vec::new();
    for check in checks {
        let word = match check.result {
            Verdict::Ok => "ok",
            Verdict::Warn => "warn",
            Verdict::Fail => "FAIL",
            Verdict::Skipped => "-",
        };
        let detail = check.detail.replace('\n', &format!("\n{:23}", ""));
        lines.push(format!("{word:<6}{:<17}{detail}", check.check));
        if let Some(mend) = &check.mend {
            lines.push(format!("{:23}→ {mend}", ""));
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::Origin;

    #[test]
    fn the_worst_class_decides_and_a_warning_is_none() {
        let fail = |exit| Check::fail("x", exit, "", "");
        let (store, upstream) = (Exit::StoreUnavailable, Exit::UpstreamUnreachable);
        for (checks, expected) in [
            (vec![], Exit::Done),
            (
                vec![Check::ok("x", ""), Check::warn("x", "", "")],
                Exit::Done,
            ),
            (vec![fail(store), Check::ok("x", "")], store),
            (vec![fail(store), fail(upstream)], upstream),
            (
                vec![fail(store), fail(Exit::Configuration), fail(upstream)],
                Exit::Configuration,
            ),
        ] {
            assert_eq!(worst(&checks), expected, "{checks:?}");
        }
    }

    #[test]
    fn zone_data_of_the_year_before_last_is_warned_of() {
        let of = |name: &str| Version {
            name: name.to_owned(),
            origin: Origin::System("/usr/share/zoneinfo".into()),
        };
        let now = "2026-11-28T00:00:00Z".parse().unwrap();
        assert_eq!(zones(&of("2026f"), now).result, Verdict::Ok);
        let old = zones(&of("2025b"), now);
        assert_eq!(old.result, Verdict::Warn);
        assert!(
            old.detail.contains("2025b of /usr/share/zoneinfo"),
            "{}",
            old.detail
        );
        assert!(old.mend.unwrap().contains("tzdata"));
    }

    #[test]
    fn each_line_says_how_it_went_and_how_to_mend_it() {
        let checks = [
            Check::ok("dns", "two addresses"),
            Check::fail(
                "token",
                Exit::UpstreamUnreachable,
                "refused\nagain",
                "renew it",
            ),
        ];
        let expected = "\
ok    dns              two addresses
FAIL  token            refused
                       again
                       → renew it";
        assert_eq!(show(&checks), expected);
    }
}
