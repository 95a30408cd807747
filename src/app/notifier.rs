//! The loop that tells people. Beside everything else: no run waits for it, and it lives through any outage of the
//! store or of the receiver.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::outage::Outage;
use super::{Core, Live};
use crate::lifecycle::Heartbeats;
use crate::notify::Sender;
use crate::telemetry::record;

const LOOK_EVERY: Duration = Duration::from_secs(5);

/// A round takes half a minute and the longest delivery that can be configured; a hung store some calls more.
const MAX_AGE: Duration = Duration::from_secs(300);

const NOTIFIER: &str = "notifier";

/// Tells whom the configuration in force names, until `stop`. While it names nobody, does nothing.
pub async fn tell(
    core: Core,
    mut live: watch::Receiver<Arc<Live>>,
    heartbeats: Heartbeats,
    stop: CancellationToken,
) {
    heartbeats.register(NOTIFIER, MAX_AGE);
    let mut outage = Outage::new("people can't be notified");
    let mut sender: Option<Sender> = None;
    loop {
        let webhook = live.borrow_and_update().webhook.clone();
        // A sender is kept as long as its receiver is: it remembers whether that one answers.
        sender = match (webhook, sender) {
            (Some(webhook), Some(sender)) if sender.tells(&webhook) => Some(sender),
            (Some(webhook), _) => Some(Sender::new(
                webhook,
                Arc::clone(&core.store),
                Arc::clone(&core.clock),
            )),
            (None, _) => None,
        };
        if let Some(sender) = &mut sender {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                done = sender.round() => outage.note(done),
            }
        }
        heartbeats.beat(NOTIFIER);
        record::beat(NOTIFIER, core.clock.now());
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            () = tokio::time::sleep(LOOK_EVERY) => {}
            // An error says that the process is on its way out; then `stop` is near.
            Ok(()) = live.changed() => {}
        }
    }
    heartbeats.retire(NOTIFIER);
}
