//! `history`: the whole life of an order, one line a happening, and whose time it was. Reads the store; only what comes next is
//! asked of the upstream, and only of an order that isn't over.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::TimeDelta;
use clap::Args;
use serde::Serialize;

use super::common::{Common, Session};
use super::exit::{Exit, Failure};
use super::explain;
use super::output::{self, Format, Row, instant, table};
use crate::answers::life::{Life, life, material};
use crate::app;
use crate::clock::SystemClock;
use crate::domain::ids::{Org, ReferenceId};
use crate::history::timeline::{Line, span, timeline};
use crate::store::{Page, Store};

/// Of each table, for one request.
const MOST: Page = Page::first(10_000);

/// `history`.
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// A reference id or an external reference, in full or by its beginning
    reference: String,
    /// Only in this org (default: all)
    #[arg(long)]
    org: Option<String>,
}

/// A line of one, for a spreadsheet.
#[derive(Debug, Serialize)]
struct LifeLine {
    org: Org,
    reference_id: ReferenceId,
    #[serde(flatten)]
    line: Line,
}

impl Row for LifeLine {
    const COLUMNS: &'static [&'static str] = &["at", "kind", "turn", "what"];
    const FIRST: &'static [&'static str] = &["org", "reference_id", "at", "kind", "turn", "what"];

    fn cells(&self) -> Vec<String> {
        cells(&self.line)
    }
}

fn lines_of(life: Life) -> impl Iterator<Item = LifeLine> {
    let (org, reference_id) = (life.org, life.reference_id);
    life.lines.into_iter().map(move |line| LifeLine {
        org: org.clone(),
        reference_id: reference_id.clone(),
        line,
    })
}

/// Tells the life of every request that the reference means.
pub async fn run(common: &Common, session: &Session, args: &HistoryArgs) -> Result<(), Failure> {
    let config = &session.config;
    let work = session.working_time()?;
    let whose = config.parties.whose(&config.jobs);
    let mut lives = Vec::new();
    for org in session.orgs(args.org.as_deref())? {
        for id in meant(&*session.store, &org, &args.reference).await? {
            let material = material(&*session.store, &org, &id).await?;
            let (lines, account) = timeline(&org, &material, &whose, session.now());
            lives.push(life(org.clone(), id, lines, account.as_ref(), &work));
        }
    }
    if lives.is_empty() {
        let message = format!("nothing is known of {:?}", args.reference);
        return Err(Failure::new(Exit::Failed, message));
    }
    if lives.iter().any(|life| life.closed.is_none()) {
        foretell(common, &mut lives).await;
    }
    match common.format {
        Format::Json => Ok(output::json(&lives)?),
        Format::Csv => {
            let rows: Vec<LifeLine> = lives.into_iter().flat_map(lines_of).collect();
            Ok(output::list(common.format, &rows)?)
        }
        Format::Table => {
            for life in &lives {
                output::text(&show(life))?;
            }
            Ok(())
        }
    }
}

/// The requests of an org of which the store knows anything under this text.
async fn meant(
    store: &dyn Store,
    org: &Org,
    reference: &str,
) -> Result<BTreeSet<ReferenceId>, Failure> {
    let known = explain::known(store, org, reference, MOST).await?;
    let mut ids: BTreeSet<ReferenceId> = known.into_iter().collect();
    let id = ReferenceId::new(reference);
    if store.orgs_of_history(&id).await?.contains(org) {
        ids.insert(id);
    }
    if ids.is_empty() {
        ids.extend(explain::beginning(store, org, reference).await?);
    }
    Ok(ids)
}

/// What comes next of those that aren't over. An upstream that is away, or credentials that this person may not read, hide
/// nothing else.
async fn foretell(common: &Common, lives: &mut [Life]) {
    let told = async {
        let config = common.load()?;
        let reader = app::Reader::open(&config, Arc::new(SystemClock)).await?;
        for life in lives.iter_mut().filter(|life| life.closed.is_none()) {
            let next = explain::next_of(&reader, &life.org, life.reference_id.clone()).await?;
            life.next = Some(next);
        }
        Ok::<(), Failure>(())
    };
    if let Err(failure) = told.await {
        output::note(&format!("what comes next can't be told: {failure}"));
    }
}

fn cells(line: &Line) -> Vec<String> {
    let late = line.seen_later_seconds.filter(|seconds| *seconds > 0);
    let late = late.map_or_else(String::new, |seconds| {
        format!(" (seen {} later)", span(TimeDelta::seconds(seconds)))
    });
    let (at, kind) = match line.idle_seconds {
        Some(_) => (String::new(), ""),
        None => (instant(line.at), line.kind),
    };
    let turn = line.turn.map_or("", |party| party.as_str());
    vec![
        at,
        kind.to_owned(),
        turn.to_owned(),
        format!("{}{late}", line.what),
    ]
}

fn show(life: &Life) -> String {
    let mut said = vec![format!("{} / {}", life.org, life.reference_id)];
    said.push(table(LifeLine::COLUMNS, life.lines.iter().map(cells)));
    if !life.parties.is_empty() {
        said.push(String::new());
        let time = |seconds: i64| span(TimeDelta::seconds(seconds));
        let cells = life.parties.iter().map(|one| {
            vec![
                one.party.to_string(),
                time(one.calendar_seconds),
                time(one.working_seconds),
                format!("± {}", time(one.error_seconds)),
                one.times.to_string(),
            ]
        });
        let titles = ["whose time", "in all", "in working days", "error", "times"];
        said.push(table(&titles, cells));
    }
    said.push(String::new());
    said.push(match (&life.closed, &life.turn, life.gross_seconds) {
        (Some(closed), _, Some(gross)) => format!(
            "over since {}, after {}",
            instant(*closed),
            span(TimeDelta::seconds(gross))
        ),
        (None, Some(turn), Some(gross)) => format!(
            "open for {}: waiting for {} ({})",
            span(TimeDelta::seconds(gross)),
            turn.party.named(),
            turn.why
        ),
        _ => "the request itself was not read yet: whose turn it is is not known".to_owned(),
    });
    if let Some(next) = &life.next {
        said.push(output::wrapped(&format!("next: {next}"), 6));
    }
    said.join("\n")
}
