//! What another process did is looked up at once: the store's word of a change wakes whom it concerns. Without a word
//! (a connection may be down, whoever changed something may have had no way to tell) they look every two seconds all
//! the same.

use std::sync::Arc;

use futures::StreamExt;
use tokio_util::sync::CancellationToken;

use crate::schedule::Activator;
use crate::store::{Change, Changes};

/// Passes the word on until `stop`.
pub async fn heed(mut changes: Changes, activator: Arc<Activator>, stop: CancellationToken) {
    while let Some(Some(Change::Steered | Change::Missed)) =
        stop.run_until_cancelled(changes.next()).await
    {
        activator.listen();
    }
}
