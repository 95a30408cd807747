//! What is on this side: the store and its disk, and the address to listen on.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::exit::Exit;
use super::Check;
use crate::app::{ALIVE_WITHIN, store_options};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::domain::run::Mode;
use crate::store::controls::CircuitRow;
use crate::store::replicas::ReplicaRow;
use crate::store::{self, Doubt, SchemaState, Store, StoreError, StoreOptions};

const AWAY: Exit = Exit::StoreUnavailable;

/// Less room than this is little, and less than that is too little: a commit must never fail for it.
const LITTLE: u64 = 512 << 20;
const TOO_LITTLE: u64 = 16 << 20;

/// Checks the store, its disk and the address.
pub(super) async fn check(config: &Config, checks: &mut Vec<Check>) {
    let url = &config.state.url;
    let file = url
        .strip_prefix("sqlite:")
        .map(|rest| PathBuf::from(rest.strip_prefix("//").unwrap_or(rest)));
    let mut alive = false;
    if store::exists(url) {
        alive = store_check(config, checks).await;
    } else if let Some(file) = &file {
        checks.push(to_be_made(url, file, config.safety.mode));
    }
    if let Some(file) = &file {
        checks.push(room(folder(file)));
    }
    checks.push(listen(config, alive).await);
}

/// Opens it, and answers whether a daemon is at work on it.
async fn store_check(config: &Config, checks: &mut Vec<Check>) -> bool {
    let url = &config.state.url;
    let options = StoreOptions {
        create_if_missing: false,
        ..store_options(&config.state)
    };
    let store = match store::open(url, &options).await {
        Ok(store) => store,
        Err(error) => {
            let mend = "check state.url, and that this user may read and write what it names";
            checks.push(Check::fail("store", AWAY, error.to_string(), mend));
            return false;
        }
    };
    let (check, live) = match look(&store).await {
        Ok((SchemaState::Current, (live, _, Some(doubt)))) => {
            let mend = "docs/operations.md, \"A lost or restored store\"";
            (
                Check::fail("store", Exit::Configuration, doubt.to_string(), mend),
                live,
            )
        }
        Ok((SchemaState::Current, (live, circuits, None))) => {
            let daemon = if live.is_empty() {
                "no daemon works on it"
            } else {
                "a daemon works on it"
            };
            let mut detail =
                format!("{url} opens, its schema is current, it takes writes; {daemon}");
            for row in circuits.iter().filter(|row| row.is_open()) {
                let why = crate::answers::jobs::circuit(row);
                detail.push_str(&format!("; the circuit of {} is {why}", row.org));
            }
            (Check::ok("store", detail), live)
        }
        Ok((SchemaState::Behind { pending }, (live, ..))) => {
            let detail = format!("{url} lacks {pending} migration(s)");
            let mend =
                "the daemon's next start applies them; `tesa-reconciler migrate` does so now";
            (Check::warn("store", detail, mend), live)
        }
        Ok((SchemaState::Ahead, (live, ..))) => {
            let detail = format!("{url} was written by a newer version");
            (Check::fail("store", AWAY, detail, "use that version"), live)
        }
        Err(error) => {
            let mend = "free the store if something holds it, check its disk and its rights";
            let check = Check::fail("store", AWAY, error.to_string(), mend);
            (check, Vec::new())
        }
    };
    store.close().await;
    checks.push(check);
    checks.extend(differing_zones(&live));
    !live.is_empty()
}

/// Of replicas that know different things of time zones, only the best informed begin runs in local time.
fn differing_zones(live: &[ReplicaRow]) -> Option<Check> {
    let known: BTreeSet<&str> = live.iter().map(|replica| replica.zones.as_str()).collect();
    if known.len() < 2 {
        return None;
    }
    let known = Vec::from_iter(known).join(", ");
    let detail = format!(
        "the daemons go by different zone data ({known}): schedules in local time are kept by the newest alone"
    );
    Some(Check::warn(
        "zones",
        detail,
        "update tzdata where it is older, and restart",
    ))
}

/// What the store says, who works on it, which circuits it knows, and whether it may be acted on.
type Seen = (
    SchemaState,
    (Vec<ReplicaRow>, Vec<CircuitRow>, Option<Doubt>),
);

async fn look(store: &Arc<dyn Store>) -> Result<Seen, StoreError> {
    let schema = store.check_schema().await?;
    if schema != SchemaState::Current {
        return Ok((schema, (Vec::new(), Vec::new(), None)));
    }
    store.probe().await?;
    let now = SystemClock.now();
    let replicas = store.live_replicas(now - ALIVE_WITHIN, now).await?;
    let circuits = store.circuits(now).await?;
    let doubt = store.doubt().await?;
    Ok((schema, (replicas, circuits, doubt)))
}

fn folder(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

/// There is no store yet: can one be made?
fn to_be_made(url: &str, file: &Path, mode: Mode) -> Check {
    let folder = folder(file);
    // Gone again with its handle.
    match tempfile::tempfile_in(folder) {
        Ok(_) if mode == Mode::Enforce => Check::warn(
            "store",
            format!(
                "{url} is not there yet, and in enforce the daemon does not begin on a new one"
            ),
            "if there was one, restore it (docs/operations.md, \"A lost or restored store\"); else start first with safety.mode = \"observe\"",
        ),
        Ok(_) => Check::ok(
            "store",
            format!("{url} is not there yet; the daemon's first start makes it"),
        ),
        Err(error) => Check::fail(
            "store",
            AWAY,
            format!("{url} can't be made in {}: {error}", folder.display()),
            "make the directory writable for the user that runs this, or change state.url",
        ),
    }
}

fn room(folder: &Path) -> Check {
    let mend = "make room, or move the store (state.url)";
    match rustix::fs::statvfs(folder) {
        Err(error) => Check::warn("disk", format!("{}: {error}", folder.display()), mend),
        Ok(found) => {
            let free = found.f_bavail.saturating_mul(found.f_frsize);
            let detail = format!("{} MB are free for the store", free >> 20);
            match free {
                free if free < TOO_LITTLE => Check::fail("disk", AWAY, detail, mend),
                free if free < LITTLE => Check::warn("disk", detail, mend),
                _ => Check::ok("disk", detail),
            }
        }
    }
}

async fn listen(config: &Config, alive: bool) -> Check {
    let listen = config.http.listen;
    match tokio::net::TcpListener::bind(listen).await {
        Ok(_) => Check::ok("listen", format!("{listen} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse && alive => {
            Check::ok("listen", format!("{listen} is in use, and a daemon runs"))
        }
        Err(error) => Check::fail(
            "listen",
            Exit::Configuration,
            format!("{listen}: {error}"),
            "set another address in http.listen, or stop what holds this one",
        ),
    }
}
