//! Tells the service manager that the process is alive, but only while its loops beat: a process that merely has a
//! thread left for this message is not alive, and is to be killed and started again.

use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Heartbeats, Notifier};

/// How soon to look again at a loop that didn't beat.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Says so at half of the time that the service manager allows, until `stop`; returns at once where it doesn't care.
/// Give it the hard token: the drain is to be watched over too.
pub async fn watch(notifier: Notifier, heartbeats: Heartbeats, stop: CancellationToken) {
    let Some(limit) = notifier.watchdog() else {
        return;
    };
    let work = async {
        let mut quiet = false;
        loop {
            let stale = heartbeats.stale(Instant::now());
            if stale.is_empty() {
                notifier.alive();
                quiet = false;
                tokio::time::sleep(limit / 2).await;
                continue;
            }
            if !std::mem::replace(&mut quiet, true) {
                tracing::error!(loops = ?stale, "these loops do not beat: the watchdog is told nothing until they do");
            }
            tokio::time::sleep(LOOK_AGAIN_AFTER.min(limit / 4)).await;
        }
    };
    stop.run_until_cancelled_owned(work).await;
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    fn drain(socket: &UnixDatagram) -> usize {
        let mut buffer = [0; 64];
        std::iter::from_fn(|| socket.recv(&mut buffer).ok()).count()
    }

    #[tokio::test(start_paused = true)]
    async fn the_watchdog_hears_of_beating_loops_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        let notifier = Notifier::connect(path.as_os_str(), Some(LIMIT)).unwrap();
        let heartbeats = Heartbeats::default();
        heartbeats.register("scheduler", Duration::from_secs(20));
        let stop = CancellationToken::new();
        let watching = tokio::spawn(watch(notifier, heartbeats.clone(), stop.clone()));

        for _ in 0..120 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            heartbeats.beat("scheduler");
        }
        let heard = drain(&socket);
        assert!((4..=5).contains(&heard), "every 30 s: {heard}");

        tokio::time::sleep(LIMIT).await;
        drain(&socket);
        tokio::time::sleep(LIMIT).await;
        assert_eq!(drain(&socket), 0, "the loop hangs");

        heartbeats.beat("scheduler");
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(drain(&socket), 1, "it came back: said at once");
        stop.cancel();
        watching.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_watchdog_there_is_nothing_to_do() {
        watch(
            Notifier::default(),
            Heartbeats::default(),
            CancellationToken::new(),
        )
        .await;
    }
}
