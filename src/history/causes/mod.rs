//! What the requests of a selection have in common that the others have not: pure.
//!
//! Forty orders that stand still for one reason are one piece of news, and it is not told by any of the forty. So each value
//! that they have (an issue's code, a wholesale term, an hour in which they stopped) is counted among the selected ones and
//! among all open ones, and tested (`significance.rs`) against what chance would do. A value that passes is a cause in the
//! sense of a doctor's: what is worth looking at first, and no proof. What passes is found greedily (`search.rs`): the
//! strongest first, then its requests are set aside and the rest is asked again.

mod burst;
mod search;
mod significance;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Serialize, Serializer};

pub use self::burst::Beginnings;
pub use self::search::causes;
use crate::domain::attributes::Attributes;
use crate::domain::{Event, Issue, Observation, Org, PersistenceType, ReferenceId, TerritoryOwner};

/// Fewer than this may always be chance.
pub const AT_LEAST: u64 = 4;

/// A cause explains at least this share of the selection.
pub const SHARE: f64 = 0.3;

/// And what it stands for is at least so many times as frequent among the selected as among all.
pub const LIFT: f64 = 3.0;

/// So many of all that pass may do so by chance (the false discovery rate).
pub const BY_CHANCE: f64 = 0.01;

/// In what requests are compared. The order decides between values that explain equally well.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dimension {
    /// The code of an unresolved issue; a request may have several.
    IssueCode,
    /// What its last event says.
    LastEvent,
    /// A fact that the operator declared impersonal, by its name in `[attributes]`.
    Attribute(String),
    /// Under which wholesale terms.
    TerritoryOwner,
    /// The tenant.
    Org,
    /// Our own technician installs.
    AutoInstallation,
    /// Activation or termination.
    PersistenceType,
    /// The hour in which the upstream last changed it: there its standstill began.
    Began,
    /// Where it stands. Rules select by it, so it is told only where nothing else is.
    Status,
}

impl Dimension {
    /// What rules ask for themselves explains little: the other dimensions come first.
    const fn is_asked_for(&self) -> bool {
        matches!(self, Self::Status)
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::IssueCode => "issue_code",
            Self::LastEvent => "last_event",
            Self::Attribute(name) => name,
            Self::TerritoryOwner => "territory_owner",
            Self::Org => "org",
            Self::AutoInstallation => "auto_installation",
            Self::PersistenceType => "persistence_type",
            Self::Began => "began",
            Self::Status => "status",
        })
    }
}

impl Serialize for Dimension {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What is true of a request. What is absent is no fact: nobody can tell why it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Fact {
    /// What kind of fact it is.
    pub dimension: Dimension,
    /// As the upstream writes it, or, of a time, the hour in UTC.
    pub value: String,
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.dimension, self.value)
    }
}

impl Fact {
    /// This value in this dimension.
    pub fn new(dimension: Dimension, value: impl Into<String>) -> Self {
        let value = value.into();
        Self { dimension, value }
    }

    /// Where a request stands; one that is being cancelled waits for that, whatever its status.
    pub fn status(status: &str, cancelling: bool) -> Self {
        let status = if cancelling { "CANCELLING" } else { status };
        Self::new(Dimension::Status, status)
    }

    /// Its tenant.
    pub fn org(org: &Org) -> Self {
        Self::new(Dimension::Org, org.as_str())
    }

    /// Activation or termination.
    pub fn persistence_type(kind: PersistenceType) -> Self {
        Self::new(Dimension::PersistenceType, kind.as_str())
    }

    /// Under which terms.
    pub fn territory_owner(owner: TerritoryOwner) -> Self {
        Self::new(Dimension::TerritoryOwner, owner.as_str())
    }

    /// Who installs.
    pub fn auto_installation(is: bool) -> Self {
        Self::new(Dimension::AutoInstallation, is.to_string())
    }

    /// The hour of an instant. UTC here: whoever prints it says it in the reader's zone.
    pub fn began(at: DateTime<Utc>) -> Self {
        let hour = DateTime::from_timestamp(burst::hour(at) * 3_600, 0).unwrap_or(at);
        let hour = hour.to_rfc3339_opts(SecondsFormat::Secs, true);
        Self::new(Dimension::Began, hour)
    }

    /// All that an observation says.
    pub fn of_request<'r>(org: &Org, request: &'r Observation) -> impl Iterator<Item = Self> + 'r {
        let facts = [
            Some(Self::org(org)),
            Some(Self::status(request.status.as_str(), request.cancelling)),
            request.persistence_type.map(Self::persistence_type),
            request.territory_owner.map(Self::territory_owner),
            request.auto_installation.map(Self::auto_installation),
            request.last_updated.map(Self::began),
        ];
        let attributes = Self::of_attributes(&request.attributes);
        facts.into_iter().flatten().chain(attributes)
    }

    /// What the operator declared impersonal.
    pub fn of_attributes(attributes: &Attributes) -> impl Iterator<Item = Self> {
        let facts = attributes.iter();
        facts.map(|(name, value)| Self::new(Dimension::Attribute(name.to_owned()), value))
    }

    /// What its last event says.
    pub fn of_event(event: &Event) -> Option<Self> {
        let message = event.message_type.as_ref()?;
        Some(Self::new(Dimension::LastEvent, message.as_str()))
    }

    /// What one of its issues says, while it is not resolved.
    pub fn of_issue(issue: &Issue) -> Option<Self> {
        let code = issue.issue_code.as_str();
        (!issue.resolved).then(|| Self::new(Dimension::IssueCode, code))
    }
}

/// One of the selection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected {
    /// The tenant that its reference belongs to.
    pub org: Org,
    /// Unique within the org.
    pub reference_id: ReferenceId,
    /// What is known of it.
    pub facts: BTreeSet<Fact>,
    /// When its standstill began, if that is known.
    pub began: Option<DateTime<Utc>>,
}

/// All open requests, in numbers: the selected ones among them. It holds a number for each value, however many requests
/// there are.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Population {
    requests: u64,
    having: HashMap<Fact, u64>,
}

impl Population {
    /// So many more.
    pub fn requests(&mut self, requests: u64) {
        self.requests += requests;
    }

    /// So many more of those counted have this.
    pub fn having(&mut self, fact: Fact, requests: u64) {
        *self.having.entry(fact).or_default() += requests;
    }

    /// One more, with its facts.
    pub fn add(&mut self, facts: impl IntoIterator<Item = Fact>) {
        self.requests(1);
        for fact in facts {
            self.having(fact, 1);
        }
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        self.requests
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.requests == 0
    }
}

/// What requests have in common that others have not, with the numbers that say so.
#[derive(Debug, Clone, PartialEq)]
pub struct Cause {
    /// The strongest value first. Several of them are true of the same requests, so that none can be told from the other.
    pub facts: Vec<Fact>,
    /// So many of the selected ones have it …
    pub selected: u64,
    /// … of so many, those of the causes before it set aside …
    pub of_selected: u64,
    /// … and so many of the open ones …
    pub open: u64,
    /// … of so many.
    pub of_open: u64,
    /// How likely chance alone makes it as frequent or more.
    pub p: f64,
    /// When the first of its requests stopped.
    pub began: Option<DateTime<Utc>>,
    /// More stopped in that hour than usually do in one.
    pub is_burst: bool,
    /// Which requests.
    pub requests: Vec<(Org, ReferenceId)>,
}

impl Cause {
    /// The share of the selected ones that have it, 0 to 1.
    pub fn share(&self) -> f64 {
        ratio(self.selected, self.of_selected)
    }

    /// How many times as frequent it is among them as among all open ones.
    pub fn lift(&self) -> f64 {
        let among_all = ratio(self.open, self.of_open);
        if among_all == 0.0 {
            return 0.0;
        }
        self.share() / among_all
    }

    /// It says more than what rules ask for themselves.
    pub fn is_news(&self) -> bool {
        self.facts.iter().any(|fact| !fact.dimension.is_asked_for())
    }

    /// The values, as people read them.
    pub fn named(&self) -> String {
        let facts: Vec<String> = self.facts.iter().map(Fact::to_string).collect();
        facts.join(" = ")
    }

    /// The four numbers in a sentence, for whoever decides by them.
    pub fn sentence(&self) -> String {
        let (selected, of, open, all) = (self.selected, self.of_selected, self.open, self.of_open);
        format!(
            "{selected} of these {of} have {}; of all {all} open requests {open} have it",
            self.named()
        )
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    part as f64 / whole as f64
}
