//! `[[job.rule]]`: what matches, and what is then to be done.
//!
//! Most of this file refuses rules that could be written but never be right: a rule acts on other people's orders,
//! so what it can't mean is said when it is loaded, not when it first matches.

use std::collections::BTreeMap;
use std::time::Duration;

use wildmatch::WildMatch;

use super::job::{JobKind, known_org};
use super::keys::{Key, Kind, Section};
use super::nearest;
use super::problem::{Place, Problems};
use super::tree::{Node, Value};
use super::value::{self, ONE_SECOND, Reader, TEN_YEARS};
use crate::domain::ids::Org;
use crate::domain::write::CtoChangeReason;
use crate::domain::{Party, PersistenceType, Status, TerritoryOwner};
use crate::rules::template::{Field, Template, TemplateError};
use crate::rules::{Action, Matcher, Rule, WriteKind, WriteSpec};

const fn parameter(name: &'static str, example: &'static str, doc: &'static str) -> Key {
    Key::optional(name, Kind::Text, example, doc)
}

pub(super) const SECTION: Section = Section {
    path: "job.rule",
    repeated: true,
    optional: false,
    doc: "A rule of the job above it. The first that matches wins; where none does, the answer is flag.",
    keys: &[
        Key::required(
            "name",
            Kind::Text,
            "\"customer-was-absent\"",
            "What it is called, in decisions and the ledger.",
        ),
        Key::optional(
            "statuses",
            Kind::List,
            "[\"INCIDENCE_OPERATOR\"]",
            "Matches any of these statuses; left out, every documented one that is not final.",
        ),
        Key::optional(
            "persistence_type",
            Kind::Text,
            "\"ACTIVATION\"",
            "Matches ACTIVATION or TERMINATION.",
        ),
        Key::preset(
            "cancelling",
            Kind::Switch,
            "false",
            "Matches requests with a cancellation under way instead of those without.",
        ),
        Key::optional(
            "auto_installation",
            Kind::Switch,
            "true",
            "Matches requests that our own technician installs, or the others.",
        ),
        Key::optional(
            "territory_owners",
            Kind::List,
            "[\"NEBA\", \"VULA_COMMERCIAL\"]",
            "Matches any of NEBA, VULA_COMMERCIAL, VULA_REGULATED.",
        ),
        Key::optional(
            "not_updated_for",
            Kind::Text,
            "\"48h\"",
            "Matches requests without a change for so long; retry_stuck needs it.",
        ),
        Key::optional(
            "issue_codes",
            Kind::List,
            "[\"CLI-*\"]",
            "Matches any of these issue codes, with * and ?; only in resolve_issues.",
        ),
        Key::optional(
            "repeated",
            Kind::Switch,
            "false",
            "Matches issues that came back, or the others; only in resolve_issues.",
        ),
        Key::optional(
            "orgs",
            Kind::List,
            "[\"masmovil\"]",
            "Matches any of these tenants.",
        ),
        Key::required(
            "action",
            Kind::Text,
            "\"resolve_incident\"",
            "flag, ignore, or the write to send; its parameters are the keys below.",
        ),
        Key::optional(
            "party",
            Kind::Text,
            "\"operator\"",
            "Whose turn it is with what it matches: tesa, operator, installer, customer, us, nobody or unknown. Overrides [parties].",
        ),
        parameter(
            "observations",
            "\"Cita confirmada de nuevo ({issue_code})\"",
            "resolve_incident, terminate_access: what to say; {field} names a field of the request.",
        ),
        parameter(
            "reason",
            "\"AV\"",
            "change_cto: AV (broken) or OT (others); create_access: in words.",
        ),
        parameter("cto_identifier", "\"CTO-1\"", "change_cto: the new box."),
        parameter("cto_port", "\"4\"", "change_cto: its port."),
        parameter("port", "\"4\"", "create_port, create_port2: the port."),
        parameter(
            "technician_code",
            "\"T-1\"",
            "create_access: who gets the access.",
        ),
        parameter(
            "incidence",
            "\"CTO-FULL\"",
            "create_installation_incident: what happened.",
        ),
        parameter("cto", "\"CTO-1\"", "create_installation_incident: where."),
        parameter(
            "comments",
            "\"Sin puertos libres\"",
            "create_installation_incident: in words.",
        ),
        parameter(
            "test",
            "\"OK\"",
            "create_installation_end: the test's outcome.",
        ),
        parameter(
            "indicator",
            "\"1\"",
            "create_installation_end: the indicator.",
        ),
        parameter(
            "owner",
            "\"OPERATOR\"",
            "create_installation_end: the owner.",
        ),
    ],
};

/// Reads one rule of a job of a kind (none if the kind could not be read).
pub(super) fn read(
    rule: &Reader<'_>,
    kind: Option<JobKind>,
    orgs: Option<&[Org]>,
    problems: &mut Problems,
) -> Option<Rule> {
    let name = rule.required(problems, "name", value::name);
    let matcher = matcher(rule, orgs, problems);
    let action = rule.required(problems, "action", action);
    let party = rule.optional(
        problems,
        "party",
        value::word("a party", Party::ALL, |party| party.as_str()),
    );
    let parameters = action.and_then(|action| parameters(rule, action, kind, problems));
    if let Some(kind) = kind {
        check_criteria(rule, kind, problems);
    }
    if let (Some(JobKind::ResolveIssues), Some(matcher)) = (kind, &matcher) {
        refuse_final_statuses(rule, matcher, action, problems);
    }
    if let (Some(matcher), Some(Word::Send(write))) = (&matcher, action) {
        check_write(rule, matcher, write, kind, problems);
    }
    let action = match action? {
        Word::Flag => Action::Flag,
        Word::Ignore => Action::Ignore,
        Word::Send(kind) => Action::Send(WriteSpec {
            kind,
            parameters: parameters?,
        }),
    };
    Some(Rule {
        name: name?.into(),
        matcher: matcher?,
        action,
        party: party?,
    })
}

fn matcher(rule: &Reader<'_>, orgs: Option<&[Org]>, problems: &mut Problems) -> Option<Matcher> {
    const EMPTY: &str = "an empty list would select nothing: leave the key out to match all";
    let status = value::word("a status", &Status::KNOWN, Status::as_str);
    let statuses = rule.optional(problems, "statuses", value::list(EMPTY, status));
    let kind = value::word("a kind of request", PersistenceType::ALL, |word| {
        word.as_str()
    });
    let persistence_type = rule.optional(problems, "persistence_type", kind);
    let cancelling = rule.required(problems, "cancelling", value::switch);
    let auto_installation = rule.optional(problems, "auto_installation", value::switch);
    let owner = value::word("a territory owner", TerritoryOwner::ALL, |word| {
        word.as_str()
    });
    let owners = rule.optional(problems, "territory_owners", value::list(EMPTY, owner));
    let age = value::duration(ONE_SECOND, TEN_YEARS);
    let not_updated_for: Option<Option<Duration>> = rule.optional(problems, "not_updated_for", age);
    let glob =
        |node: &Node, problems: &mut Problems| Some(WildMatch::new(&value::text(node, problems)?));
    let issue_codes = rule.optional(problems, "issue_codes", value::list(EMPTY, glob));
    let repeated = rule.optional(problems, "repeated", value::switch);
    let org = |node: &Node, problems: &mut Problems| {
        let org = Org::from(value::text(node, problems)?);
        known_org(org, orgs, node, problems)
    };
    let orgs = rule.optional(problems, "orgs", value::list(EMPTY, org));
    Some(Matcher {
        statuses: statuses?,
        persistence_type: persistence_type?,
        cancelling: cancelling?,
        auto_installation: auto_installation?,
        territory_owners: owners?,
        not_updated_for: not_updated_for?,
        issue_codes: issue_codes?,
        repeated: repeated?,
        orgs: orgs?,
    })
}

/// The words for an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Flag,
    Ignore,
    Send(WriteKind),
}

impl Word {
    fn all() -> Vec<Self> {
        let writes = WriteKind::ALL.iter().map(|kind| Self::Send(*kind));
        [Self::Flag, Self::Ignore]
            .into_iter()
            .chain(writes)
            .collect()
    }

    const fn as_str(&self) -> &'static str {
        match self {
            Self::Flag => "flag",
            Self::Ignore => "ignore",
            Self::Send(kind) => kind.as_str(),
        }
    }
}

fn action(node: &Node, problems: &mut Problems) -> Option<Word> {
    value::word("an action", &Word::all(), |word| word.as_str())(node, problems)
}

/// The parameters of the action: those it takes and no other, all that it needs.
fn parameters(
    rule: &Reader<'_>,
    action: Word,
    job: Option<JobKind>,
    problems: &mut Problems,
) -> Option<BTreeMap<&'static str, Template>> {
    let taken = match action {
        Word::Send(kind) => kind.parameters(),
        Word::Flag | Word::Ignore => &[],
    };
    let mut sound = true;
    let mut parameters = BTreeMap::new();
    for parameter in taken {
        if rule.node(parameter.key).is_none() && parameter.required {
            sound = false;
            problems.report(
                rule.place(),
                format!(
                    "`{}` is missing: {} needs it",
                    parameter.key,
                    action.as_str()
                ),
            );
        }
        let read = rule.optional(problems, parameter.key, |node, problems| {
            template(node, job, problems)
        });
        match read {
            Some(Some(template)) => {
                parameters.insert(parameter.key, template);
            }
            Some(None) => {}
            None => sound = false,
        }
    }
    for key in every_parameter() {
        if let Some(place) = rule.place_of(key)
            && taken.iter().all(|parameter| parameter.key != key)
        {
            sound = false;
            refuse_parameter(place, key, action, taken, problems);
        }
    }
    if action == Word::Send(WriteKind::ChangeCto) && rule.node("reason").is_some() {
        let reason = value::word("a reason to change a CTO", CtoChangeReason::ALL, |word| {
            word.as_str()
        });
        sound &= rule.optional(problems, "reason", reason).is_some();
    }
    sound.then_some(parameters)
}

/// The parameters of all actions, each once.
fn every_parameter() -> impl Iterator<Item = &'static str> {
    let all: std::collections::BTreeSet<_> = WriteKind::ALL
        .iter()
        .flat_map(|kind| kind.parameters())
        .map(|parameter| parameter.key)
        .collect();
    all.into_iter()
}

fn refuse_parameter(
    place: &Place,
    key: &str,
    action: Word,
    taken: &[crate::rules::Parameter],
    problems: &mut Problems,
) {
    let takes: Vec<&str> = taken.iter().map(|parameter| parameter.key).collect();
    let help = match takes.as_slice() {
        [] => "it takes no parameter: remove the key".to_owned(),
        takes => format!("it takes {}", takes.join(", ")),
    };
    problems.report_with_help(
        place,
        format!("`{key}` is no parameter of {}", action.as_str()),
        help,
    );
}

fn template(node: &Node, job: Option<JobKind>, problems: &mut Problems) -> Option<Template> {
    let text = match &node.value {
        // Ports and the like are texts upstream, and numbers to people.
        Value::Integer(number) => number.to_string(),
        _ => value::text(node, problems)?,
    };
    let template = match Template::parse(&text) {
        Ok(template) => template,
        Err(error) => {
            let fields: Vec<&str> = Field::ALL.iter().map(|field| field.as_str()).collect();
            let hint = match &error {
                TemplateError::UnknownField { name } => nearest::hint(name, &fields),
                TemplateError::LoneBrace => None,
            };
            match hint {
                Some(hint) => problems.report_with_help(&node.place, error, hint),
                None => problems.report(&node.place, error),
            }
            return None;
        }
    };
    let of_issue = |field: &Field| matches!(field, Field::IssueCode | Field::IssueSequence);
    if let Some(field) = template.fields().find(of_issue)
        && job.is_some_and(|kind| kind != JobKind::ResolveIssues)
    {
        problems.report_with_help(
            &node.place,
            format!("{{{field}}} is known only in a resolve_issues job"),
            "the rule could never be filled in, and would always flag",
        );
        return None;
    }
    Some(template)
}

/// What a kind of job can't ask, and what it must.
fn check_criteria(rule: &Reader<'_>, kind: JobKind, problems: &mut Problems) {
    if kind != JobKind::ResolveIssues {
        for key in ["issue_codes", "repeated"] {
            if let Some(place) = rule.place_of(key) {
                problems.report_with_help(
                    place,
                    format!("`{key}` asks about issues, which {kind} does not look at"),
                    "move the rule to a job of the kind resolve_issues",
                );
            }
        }
    }
    if kind == JobKind::RetryStuck && rule.node("not_updated_for").is_none() {
        problems.report_with_help(
            rule.place(),
            "`not_updated_for` is missing: what is stuck must have an age",
            "for example not_updated_for = \"48h\"",
        );
    }
}

/// `resolve_issues` never lists what is final. (A write is refused for that already.)
fn refuse_final_statuses(
    rule: &Reader<'_>,
    matcher: &Matcher,
    action: Option<Word>,
    problems: &mut Problems,
) {
    let mut statuses = matcher.statuses.iter().flatten();
    let last = statuses.find(|status| status.is_final());
    if let (Some(last), false) = (last, matches!(action, Some(Word::Send(_)))) {
        problems.report_with_help(
            rule.place_of("statuses").unwrap_or(rule.place()),
            format!("{last} is final: resolve_issues does not look at such requests"),
            "remove the status; a retry_stuck job can flag it",
        );
    }
}

/// Writes that can't be right for what the rule matches.
fn check_write(
    rule: &Reader<'_>,
    matcher: &Matcher,
    write: WriteKind,
    job: Option<JobKind>,
    problems: &mut Problems,
) {
    let place = rule.place_of("action").unwrap_or(rule.place());
    let statuses = matcher.statuses.as_deref();
    if write == WriteKind::Resend && statuses != Some(&[Status::NotSent]) {
        problems.report_with_help(
            rule.place_of("statuses").unwrap_or(place),
            "resend is only for requests that were never handed on",
            "statuses = [\"NOT_SENT\"]: in any other status a second create may make a second order",
        );
        return;
    }
    if let Some(last) = statuses
        .into_iter()
        .flatten()
        .find(|status| status.is_final())
    {
        problems.report_with_help(
            rule.place_of("statuses").unwrap_or(place),
            format!("{last} is final: nothing can be sent for such a request"),
            "remove the status, or use action = \"flag\"",
        );
    }
    if matcher.cancelling && write != WriteKind::CancelRequest {
        problems.report_with_help(
            place,
            "while a cancellation is under way no other repair may be sent",
            "with cancelling = true: flag, ignore or cancel_request",
        );
    }
    if job == Some(JobKind::FlagEvents) && write != WriteKind::CreateStatusCto {
        problems.report_with_help(
            place,
            format!("{write} does not fit a job that flags events"),
            "there: flag, ignore or create_status_cto, which only asks",
        );
    }
}
