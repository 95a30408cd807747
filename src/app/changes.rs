//! What another process steers is looked up at once: the store's word of a change wakes the scheduler. Without a word
//! (SQLite has none, a connection may be down) the scheduler looks every second all the same.

use std::sync::Arc;

use futures::StreamExt;
use tokio_util::sync::CancellationToken;

use crate::schedule::Poker;
use crate::store::Changes;

/// Passes the word on until `stop`.
pub async fn heed(mut changes: Changes, poker: Arc<Poker>, stop: CancellationToken) {
    while let Some(Some(())) = stop.run_until_cancelled(changes.next()).await {
        poker.listen();
    }
}
