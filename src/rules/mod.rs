//! Rules: what matches a request (and its issue), and what is then to be done.
//!
//! Pure. The first rule that matches wins; where none matches, the answer is "flag". A request with a
//! cancellation in flight matches only rules that say so, because no other repair may be sent meanwhile.

pub mod classes;
pub mod coverage;
mod glob;
pub mod miss;
pub mod says;
pub mod template;

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use wildmatch::WildMatch;

use self::template::Template;
use crate::domain::ids::{Org, RuleName};
use crate::domain::request::{Observation, PersistenceType, TerritoryOwner};
use crate::domain::{Issue, Party, Status, closed_set};

/// One rule of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Unique within its job.
    pub name: RuleName,
    /// What it is for.
    pub matcher: Matcher,
    /// What to do.
    pub action: Action,
    /// Whose turn it is with what it matches.
    pub party: Option<Party>,
}

/// What a rule matches. A criterion that isn't given matches everything.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Matcher {
    /// Any of these statuses. None: every documented one that is not final, whatever other rules name.
    pub statuses: Option<Vec<Status>>,
    /// Activation or termination.
    pub persistence_type: Option<PersistenceType>,
    /// Requests with a cancellation in flight, instead of those without.
    pub cancelling: bool,
    /// Our own technician installs; `false` matches requests that say nothing too.
    pub auto_installation: Option<bool>,
    /// Any of these terms.
    pub territory_owners: Option<Vec<TerritoryOwner>>,
    /// Not updated by the upstream for at least so long.
    pub not_updated_for: Option<Duration>,
    /// Any of these issue codes (globs). Matches only where there is an issue.
    pub issue_codes: Option<Vec<WildMatch>>,
    /// The issue came back, or did not. Matches only where there is an issue.
    pub repeated: Option<bool>,
    /// Any of these tenants.
    pub orgs: Option<Vec<Org>>,
}

/// What a rule does.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Send a write.
    Send(WriteSpec),
    /// Tell people.
    Flag,
    /// Leave it alone.
    Ignore,
}

/// A write to be built from the request once it is read.
#[derive(Debug, Clone, PartialEq)]
pub struct WriteSpec {
    /// Which.
    pub kind: WriteKind,
    /// Its fields by their configuration key, as texts that may name fields of the request in braces.
    pub parameters: BTreeMap<&'static str, Template>,
}

closed_set! {
    /// The writes that a rule may name.
    WriteKind {
        /// Create the request again, from the request as just read.
        Resend = "resend",
        /// Cancel it.
        CancelRequest = "cancel_request",
        /// Resolve its incident.
        ResolveIncident = "resolve_incident",
        /// Ask for the CTO's status.
        CreateStatusCto = "create_status_cto",
        /// Change the CTO.
        ChangeCto = "change_cto",
        /// Create a technician's access.
        CreateAccess = "create_access",
        /// End it.
        TerminateAccess = "terminate_access",
        /// Create a port.
        CreatePort = "create_port",
        /// The other port operation.
        CreatePort2 = "create_port2",
        /// Report an installation incident.
        CreateInstallationIncident = "create_installation_incident",
        /// Report the end of an installation.
        CreateInstallationEnd = "create_installation_end",
    }
}

/// A parameter that a write takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter {
    /// Its key in a rule.
    pub key: &'static str,
    /// The write can't be made without it.
    pub required: bool,
}

impl WriteKind {
    /// The parameters that a rule with this action takes. What the request itself always answers (its external
    /// reference, its type and numbers) isn't among them.
    pub const fn parameters(self) -> &'static [Parameter] {
        const fn required(key: &'static str) -> Parameter {
            Parameter {
                key,
                required: true,
            }
        }
        const fn optional(key: &'static str) -> Parameter {
            Parameter {
                key,
                required: false,
            }
        }
        const OBSERVATIONS: Parameter = optional("observations");
        match self {
            Self::Resend | Self::CancelRequest | Self::CreateStatusCto => &[],
            Self::ResolveIncident => &[OBSERVATIONS],
            Self::ChangeCto => {
                const {
                    &[
                        required("cto_identifier"),
                        optional("cto_port"),
                        required("reason"),
                    ]
                }
            }
            Self::CreateAccess => const { &[required("technician_code"), optional("reason")] },
            Self::TerminateAccess => const { &[required("observations")] },
            Self::CreatePort | Self::CreatePort2 => const { &[required("port")] },
            Self::CreateInstallationIncident => {
                const { &[required("incidence"), required("cto"), required("comments")] }
            }
            Self::CreateInstallationEnd => {
                const { &[required("test"), required("indicator"), required("owner")] }
            }
        }
    }
}

/// What a rule is asked about.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The tenant.
    pub org: &'a Org,
    /// The request.
    pub request: &'a Observation,
    /// The issue that is looked at, where the job looks at issues.
    pub issue: Option<&'a Issue>,
}

/// The index of the first rule that matches.
pub fn first_match(rules: &[Rule], subject: Subject<'_>, now: DateTime<Utc>) -> Option<usize> {
    rules
        .iter()
        .position(|rule| rule.matcher.matches(subject, now))
}

/// When the next of the rules' ages is reached, if the request does not change until then: what matches may be another
/// rule from then on. None where all have been reached.
pub fn next_age(
    rules: &[Rule],
    request: &Observation,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let updated = request.last_updated?;
    let ages = rules.iter().filter_map(|rule| rule.matcher.not_updated_for);
    ages.map(|age| later(updated, age))
        .filter(|&at| at > now)
        .min()
}

/// So much later; the end of time where there is no such instant.
pub fn later(at: DateTime<Utc>, by: Duration) -> DateTime<Utc> {
    let by = TimeDelta::from_std(by).ok();
    by.and_then(|by| at.checked_add_signed(by))
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}

impl Matcher {
    /// All criteria that are given hold.
    pub fn matches(&self, subject: Subject<'_>, now: DateTime<Utc>) -> bool {
        let Subject {
            org,
            request,
            issue,
        } = subject;
        self.cancelling == request.cancelling
            && self.is_in_status(request)
            && (self.persistence_type.is_none()
                || self.persistence_type == request.persistence_type)
            // Absent is as good as false.
            && self
                .auto_installation
                .is_none_or(|wanted| wanted == request.auto_installation.unwrap_or(false))
            && one_of(
                self.territory_owners.as_deref(),
                request.territory_owner.as_ref(),
            )
            && one_of(self.orgs.as_deref(), Some(org))
            && self
                .not_updated_for
                .is_none_or(|age| is_older_than(request, age, now))
            && self.issue_codes.as_ref().is_none_or(|globs| {
                issue.is_some_and(|issue| {
                    globs
                        .iter()
                        .any(|glob| glob.matches(issue.issue_code.said()))
                })
            })
            && self
                .repeated
                .is_none_or(|repeated| issue.is_some_and(|issue| issue.repeated == repeated))
    }
}

impl Matcher {
    /// One of the statuses that it names. Without any it is for every request that something may still happen to.
    fn is_in_status(&self, request: &Observation) -> bool {
        match &self.statuses {
            Some(statuses) => statuses.contains(&request.status),
            None => request.status.is_known() && !request.status.is_final(),
        }
    }
}

fn one_of<T: PartialEq>(allowed: Option<&[T]>, value: Option<&T>) -> bool {
    allowed.is_none_or(|allowed| value.is_some_and(|value| allowed.contains(value)))
}

/// Not updated for at least `age`. A request without a date of change has no known age, so no rule that asks for
/// one matches it.
pub fn is_older_than(request: &Observation, age: Duration, now: DateTime<Utc>) -> bool {
    request
        .last_updated
        .is_some_and(|updated| (now - updated).to_std().is_ok_and(|elapsed| elapsed >= age))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconcile::fixtures;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn rule(name: &str, matcher: Matcher) -> Rule {
        Rule {
            name: name.into(),
            matcher,
            action: Action::Flag,
            party: None,
        }
    }

    fn issue(code: &str, repeated: bool) -> Issue {
        Issue {
            id: None,
            reference_id: "R-1".into(),
            issue_sequence: Some(1),
            issue_code: code.into(),
            resolved: false,
            repeated,
            last_updated: None,
        }
    }

    #[test]
    fn criteria_hold_together() {
        let now = fixtures::now();
        let org = fixtures::org();
        let request = fixtures::unsent(); // NOT_SENT, activation, NEBA, not ours to install, two hours old
        let absent = issue("CLI-012", false);
        let with = |change: fn(&mut Matcher)| {
            let mut matcher = Matcher::default();
            change(&mut matcher);
            matcher
        };
        let globs = |pattern: &str| Some(vec![WildMatch::new(pattern)]);
        let cases = [
            ("anything", Matcher::default(), true),
            (
                "status",
                with(|m| m.statuses = Some(vec![Status::NotSent, Status::Installed])),
                true,
            ),
            (
                "other status",
                with(|m| m.statuses = Some(vec![Status::Installed])),
                false,
            ),
            (
                "no status at all",
                with(|m| m.statuses = Some(vec![])),
                false,
            ),
            (
                "kind",
                with(|m| m.persistence_type = Some(PersistenceType::Activation)),
                true,
            ),
            (
                "other kind",
                with(|m| m.persistence_type = Some(PersistenceType::Termination)),
                false,
            ),
            ("cancelling", with(|m| m.cancelling = true), false),
            (
                "installer",
                with(|m| m.auto_installation = Some(false)),
                true,
            ),
            (
                "other installer",
                with(|m| m.auto_installation = Some(true)),
                false,
            ),
            (
                "owner",
                with(|m| m.territory_owners = Some(vec![TerritoryOwner::Neba])),
                true,
            ),
            (
                "other owner",
                with(|m| m.territory_owners = Some(vec![TerritoryOwner::VulaRegulated])),
                false,
            ),
            (
                "old enough",
                with(|m| m.not_updated_for = Some(2 * HOUR)),
                true,
            ),
            (
                "too young",
                with(|m| m.not_updated_for = Some(3 * HOUR)),
                false,
            ),
            (
                "org",
                with(|m| m.orgs = Some(vec!["masmovil".into()])),
                true,
            ),
            (
                "other org",
                with(|m| m.orgs = Some(vec!["yoigo".into()])),
                false,
            ),
            (
                "code",
                Matcher {
                    issue_codes: globs("CLI-*"),
                    ..Matcher::default()
                },
                true,
            ),
            (
                "other code",
                Matcher {
                    issue_codes: globs("CTO-*"),
                    ..Matcher::default()
                },
                false,
            ),
            (
                "a code is matched in its case",
                Matcher {
                    issue_codes: globs("cli-*"),
                    ..Matcher::default()
                },
                false,
            ),
            ("first time", with(|m| m.repeated = Some(false)), true),
            ("came back", with(|m| m.repeated = Some(true)), false),
        ];
        for (name, matcher, expected) in cases {
            let subject = Subject {
                org: &org,
                request: &request,
                issue: Some(&absent),
            };
            assert_eq!(matcher.matches(subject, now), expected, "{name}");
        }
    }

    #[test]
    fn a_rule_about_issues_matches_no_request_without_one() {
        let org = fixtures::org();
        let request = fixtures::unsent();
        let subject = Subject {
            org: &org,
            request: &request,
            issue: None,
        };
        for matcher in [
            Matcher {
                issue_codes: Some(vec![WildMatch::new("*")]),
                ..Matcher::default()
            },
            Matcher {
                repeated: Some(false),
                ..Matcher::default()
            },
        ] {
            assert!(!matcher.matches(subject, fixtures::now()));
        }
    }

    #[test]
    fn a_cancelling_request_matches_only_rules_that_say_so() {
        let org = fixtures::org();
        let mut request = fixtures::unsent();
        request.cancelling = true;
        let subject = Subject {
            org: &org,
            request: &request,
            issue: None,
        };
        let rules = [
            rule("plain", Matcher::default()),
            rule(
                "for-cancelling",
                Matcher {
                    cancelling: true,
                    ..Matcher::default()
                },
            ),
        ];
        assert_eq!(first_match(&rules, subject, fixtures::now()), Some(1));
        assert_eq!(first_match(&rules[..1], subject, fixtures::now()), None);
    }

    #[test]
    fn a_rule_without_statuses_is_about_every_open_documented_one() {
        let org = fixtures::org();
        let mut request = fixtures::unsent();
        let unknown = Status::parse("ON_THE_MOON");
        for status in Status::KNOWN.into_iter().chain([unknown]) {
            request.status = status.clone();
            let subject = Subject {
                org: &org,
                request: &request,
                issue: None,
            };
            let matches = |statuses| {
                let matcher = Matcher {
                    statuses,
                    ..Matcher::default()
                };
                matcher.matches(subject, fixtures::now())
            };
            let is_open = Status::open().any(|open| open == status);
            assert_eq!(matches(None), is_open, "{status}");
            assert!(matches(Some(vec![status.clone()])), "{status}");
        }
    }

    #[test]
    fn a_request_without_a_date_of_change_has_no_age() {
        let mut request = fixtures::unsent();
        request.last_updated = None;
        assert!(!is_older_than(&request, Duration::ZERO, fixtures::now()));
        request.last_updated = Some(fixtures::now() + chrono::Duration::hours(1));
        assert!(!is_older_than(&request, Duration::ZERO, fixtures::now()));
    }
}
