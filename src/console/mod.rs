//! The console: pages for a browser that show what is, why, and what will be, and let a person steer.
//!
//! Rendered here, complete without JavaScript and without any other machine. One file is one page; what they say is an answer
//! of [`crate::answers`], the same that the commands print, so the two can't disagree. Filters live in the address, so that a
//! page can be sent to somebody. No page says *done* of what no read has proven.
//!
//! ```text
//!   door: host known? who is it? same site? ──► page ──► layout ──► headers
//! ```
//!
//! Nobody acts without having said who they are: without authentication every page only shows, and only to this machine.

mod acts;
mod assets;
mod attempts;
mod audit;
mod door;
mod findings;
mod forms;
mod layout;
mod list;
mod order;
mod orders;
mod overview;
mod parts;
mod passwords;
mod people;
mod person;
mod proven;
mod query;
mod runs;
mod system;
mod texts;
mod tries;
mod trouble;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{get, post};

pub use passwords::{PasswordError, line};
pub use person::{Person, Role};

use self::door::Door;
use crate::answers::Sources;
use crate::clock::SharedClock;
use crate::config::{self, Config};
use crate::store::Store;
use crate::zone::Zone;

/// A form has a few fields.
const BODY_BYTES: usize = 16 * 1024;

/// A page takes no longer, or the store is in trouble.
const ANSWERED_WITHIN: Duration = Duration::from_secs(20);

/// What holds now: a reload changes it.
pub type CurrentConfig = Arc<dyn Fn() -> Arc<Config> + Send + Sync>;

/// What the pages are made of.
pub struct Console {
    config: CurrentConfig,
    store: Arc<dyn Store>,
    clock: SharedClock,
    zone: Zone,
}

impl Console {
    /// Over a store, showing instants in `zone`.
    pub fn new(
        config: CurrentConfig,
        store: Arc<dyn Store>,
        clock: SharedClock,
        zone: Zone,
    ) -> Self {
        Self {
            config,
            store,
            clock,
            zone,
        }
    }

    /// What answers are made from, for one request.
    fn sources(&self) -> Sources {
        Sources {
            config: (self.config)(),
            store: Arc::clone(&self.store),
            clock: Arc::clone(&self.clock),
            zone: self.zone,
        }
    }
}

/// All pages behind the door; to be given to [`crate::http::serve`], which says by whose connection a request comes.
///
/// # Errors
/// The password file can't be read, or a line in it is none.
pub fn router(console: Console, settings: &config::Console) -> Result<Router, PasswordError> {
    let door = Arc::new(Door::new(settings, Arc::clone(&console.clock))?);
    let pages = Router::new()
        .route("/", get(overview::page))
        .route("/people", get(people::page))
        .route("/orders", get(orders::page))
        .route("/orders/{org}/{reference_id}", get(order::page))
        .route("/findings", get(findings::page))
        .route("/attempts", get(attempts::page))
        .route("/runs", get(runs::page))
        .route("/audit", get(audit::page))
        .route("/acts/pause", post(acts::pause))
        .route("/acts/resume", post(acts::resume))
        .route("/acts/trigger", post(acts::trigger))
        .route("/acts/release", post(acts::release))
        .route("/acts/ack", post(acts::acknowledge))
        .route("/acts/unack", post(acts::take_back))
        .route("/acts/settle", post(acts::settle))
        .route("/acts/retry", post(acts::retry))
        .route("/system", get(system::page))
        .route(assets::STYLE, get(assets::style))
        .route(assets::SCRIPT, get(assets::script))
        .route(assets::ICON, get(assets::icon))
        .fallback(trouble::nowhere)
        .with_state(Arc::new(console));
    Ok(pages
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .layer(middleware::from_fn_with_state(door, door::pass)))
}
