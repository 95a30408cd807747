//! `[state]`: where the daemon remembers.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;

use super::keys::{Key, Kind, Section};
use super::postgres_url;
use super::problem::Problems;
use super::tree::{Node, Table};
use super::value::{self, Reader, TEN_YEARS};

/// `[state]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// `sqlite:PATH` or `postgres://…`.
    pub url: String,
    /// A file with PostgreSQL's password.
    pub password_file: Option<PathBuf>,
    /// How long closed rows are kept.
    pub retention: Duration,
    /// How long what was seen of requests is kept; how each stands now stays.
    pub history_retention: Duration,
}

/// The database's file where nothing else is said.
pub(super) const DATABASE: &str = "tesa-reconciler.db";

/// Attempts are counted in the ledger: forgotten too soon, a request would get its attempts anew every day.
const SHORTEST_RETENTION: Duration = Duration::from_secs(24 * 3600);

pub(super) const SECTION: Section = Section {
    path: "state",
    repeated: false,
    optional: false,
    doc: "The store: what the daemon saw and did.",
    keys: &[
        Key::preset(
            "url",
            Kind::Url,
            "\"sqlite:tesa-reconciler.db\"",
            "sqlite:FILE or postgres://USER@HOST/DATABASE. A relative FILE is beside this file; by default it is in $STATE_DIRECTORY, else beside this file, else (for one in /etc) in /var/lib/tesa-reconciler.",
        ),
        Key::optional(
            "password_file",
            Kind::File,
            "\"postgres-password\"",
            "A file with PostgreSQL's password.",
        ),
        Key::preset(
            "retention",
            Kind::Text,
            "\"90d\"",
            "How long what is over and done with is kept.",
        ),
        Key::preset(
            "history_retention",
            Kind::Text,
            "\"400d\"",
            "How long the history of each request is kept: what `history` and `report` tell from. The last that was seen of each stays.",
        ),
    ],
};

/// Reads the section.
pub(super) fn read(root: &Table, problems: &mut Problems) -> Option<State> {
    let section = Reader::new(root, SECTION.path);
    let url = section.required(problems, "url", url);
    let password_file = section.optional(problems, "password_file", value::text);
    let retention = value::duration(SHORTEST_RETENTION, TEN_YEARS);
    let retention = section.required(problems, "retention", retention);
    let history = value::duration(SHORTEST_RETENTION, TEN_YEARS);
    let history = section.required(problems, "history_retention", history);
    let (url, password_file) = (url?, password_file?);
    if password_file.is_some()
        && url.starts_with("sqlite:")
        && let Some(place) = section.place_of("password_file")
    {
        problems.report_with_help(
            place,
            "state.password_file: SQLite has no password",
            "remove it, or give a postgres:// url",
        );
        return None;
    }
    Some(State {
        url,
        password_file: password_file.map(PathBuf::from),
        retention: retention?,
        history_retention: history?,
    })
}

fn url(node: &Node, problems: &mut Problems) -> Option<String> {
    const FORMS: &str = "\"sqlite:FILE\" or \"postgres://USER@HOST/DATABASE\"";
    let text = value::text(node, problems)?;
    if let Some(rest) = text.strip_prefix("sqlite:") {
        let file = rest.trim_start_matches("//");
        let file = file.split('?').next().unwrap_or_default();
        if file.is_empty() {
            problems.report_with_help(&node.place, "the file's name is missing", FORMS);
            return None;
        }
        if file == ":memory:" || rest.contains("mode=memory") {
            problems.report_with_help(
                &node.place,
                "a database in memory would forget which writes were sent",
                "name a file: \"sqlite:tesa-reconciler.db\"",
            );
            return None;
        }
        return Some(text);
    }
    let url = Url::parse(&text)
        .ok()
        .filter(|url| matches!(url.scheme(), "postgres" | "postgresql"));
    let Some(url) = url else {
        problems.conceal(node);
        problems.report_with_help(&node.place, "this is no store that we know", FORMS);
        return None;
    };
    if url.password().is_some() || url.query_pairs().any(|(name, _)| name == "password") {
        problems.conceal(node);
        problems.report_with_help(
            &node.place,
            "a password must not stand in the url",
            "secrets come from files: put it into a file and name that in state.password_file",
        );
        return None;
    }
    if let Err(fault) = postgres_url::check(&url) {
        // What is misspelt may be a secret's name.
        problems.conceal(node);
        problems.report_with_help(&node.place, fault.message, fault.help);
        return None;
    }
    Some(text)
}
