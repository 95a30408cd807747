//! `migrate`: brings the store's schema to this version. The daemon does so by itself at its start; this is for
//! those who want it as a step of its own.

use serde_json::json;

use super::common::Common;
use super::exit::Failure;
use super::output;
use crate::app::store_options;
use crate::store::{self, SchemaState};

/// Applies what is missing.
pub async fn run(common: &Common) -> Result<(), Failure> {
    let config = common.load_for_steering()?;
    let store = store::open(&config.state.url, &store_options(&config.state)).await?;
    let shown = config.state.url;
    let applied = match store.check_schema().await? {
        SchemaState::Current => Ok(vec![]),
        SchemaState::Behind { .. } => store.migrate().await,
        // Says what to do.
        SchemaState::Ahead => store::require_current(&*store, &shown)
            .await
            .map(|()| vec![]),
    };
    store.close().await;
    let applied = applied?;
    let words = match applied.as_slice() {
        [] => format!("{shown} is up to date"),
        applied => format!("{shown}: migrations applied: {}", applied.join(", ")),
    };
    let told = json!({"action": "migrate", "applied": applied});
    Ok(output::changed(common.format, &told, &words)?)
}
