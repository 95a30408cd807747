//! What signals mean here: SIGTERM and SIGINT drain, a second one ends now, SIGHUP reloads, SIGUSR1 runs every job,
//! SIGUSR2 logs the state.
//!
//! HUP, USR1 and USR2 kill a process that has no handler for them, and TERM kills one without a drain, so handlers are
//! installed before anything else is done. From then on a signal is remembered until somebody is ready for it: the
//! handler keeps it for [`Signals`], [`steer`] puts it into a token or a [`Notify`], and those keep it for whoever comes.
//! Doing what is asked happens on tasks of its own ([`serve_requests`]): a slow reload never delays a SIGTERM.

use std::io;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::Lifecycle;

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignalEvent {
    /// Drain, then end.
    Stop,
    /// End now.
    StopNow,
    /// Read the configuration again.
    Reload,
    /// Run every job now.
    Poke,
    /// Log the full state.
    Dump,
}

/// The installed handlers.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    user1: Signal,
    user2: Signal,
    stopping: bool,
}

impl Signals {
    /// Installs the handlers: call it first thing, within the runtime. They stay for the life of the process.
    pub fn install() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            user1: signal(SignalKind::user_defined1())?,
            user2: signal(SignalKind::user_defined2())?,
            stopping: false,
        })
    }

    /// The next event, also one from before the call. Several of one kind that came before anybody looked may be one.
    /// A stop comes before all others. Cancel safe.
    pub async fn next(&mut self) -> SignalEvent {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => self.stop(),
            _ = self.interrupt.recv() => self.stop(),
            _ = self.hangup.recv() => SignalEvent::Reload,
            _ = self.user1.recv() => SignalEvent::Poke,
            _ = self.user2.recv() => SignalEvent::Dump,
        }
    }

    fn stop(&mut self) -> SignalEvent {
        if std::mem::replace(&mut self.stopping, true) {
            SignalEvent::StopNow
        } else {
            SignalEvent::Stop
        }
    }
}

/// What people asked for by signal, kept until somebody serves it. Repeated ones coalesce.
#[derive(Debug, Clone, Default)]
pub struct Requests {
    /// SIGHUP.
    pub reload: Arc<Notify>,
    /// SIGUSR1.
    pub poke: Arc<Notify>,
    /// SIGUSR2.
    pub dump: Arc<Notify>,
}

/// Passes signals on, without ever doing anything itself. Spawn it beside the lifecycle, not on it: it has to outlive
/// the drain to hear the second signal. Ends with the hard stop.
pub async fn steer(mut signals: Signals, lifecycle: Lifecycle, requests: Requests) {
    loop {
        let event = tokio::select! {
            biased;
            () = lifecycle.hard().cancelled() => return,
            event = signals.next() => event,
        };
        tracing::info!(?event, "signal");
        match event {
            SignalEvent::Stop => lifecycle.stop(),
            SignalEvent::StopNow => lifecycle.stop_now(),
            SignalEvent::Reload => requests.reload.notify_one(),
            SignalEvent::Poke => requests.poke.notify_one(),
            SignalEvent::Dump => requests.dump.notify_one(),
        }
    }
}

/// Serves requests of one kind, one at a time, until `stop`. One that comes while another is served is served after it.
/// `stop` drops what is being served, at its next await.
pub async fn serve_requests<F>(
    requests: Arc<Notify>,
    stop: CancellationToken,
    mut serve: impl FnMut() -> F,
) where
    F: Future<Output = ()>,
{
    let work = async {
        loop {
            requests.notified().await;
            serve().await;
        }
    };
    stop.run_until_cancelled_owned(work).await;
}

#[cfg(test)]
mod tests {
    use std::process::{Command, id};
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn send(signal: &str) {
        let status = Command::new("sh")
            .args(["-c", &format!("kill -{signal} {}", id())])
            .status()
            .unwrap();
        assert!(status.success());
    }

    // One test, because signals go to the whole process, and `cargo test` runs all tests in one.
    #[tokio::test]
    async fn signals_are_heard_in_every_phase() {
        let mut signals = Signals::install().unwrap();

        // Before anybody is ready.
        send("USR1");
        send("HUP");
        send("USR2");
        let mut early = Vec::new();
        for _ in 0..3 {
            early.push(timeout(PATIENCE, signals.next()).await.unwrap());
        }
        for event in [SignalEvent::Reload, SignalEvent::Poke, SignalEvent::Dump] {
            assert!(early.contains(&event), "{early:?}");
        }

        // Slow reload does not block SIGTERM.
        let lifecycle = Lifecycle::default();
        let requests = Requests::default();
        let reloads = Arc::new(AtomicU32::new(0));
        let begun = Arc::new(Notify::new());
        let worker = lifecycle.spawn("reload", {
            let (reloads, begun) = (Arc::clone(&reloads), Arc::clone(&begun));
            serve_requests(
                Arc::clone(&requests.reload),
                lifecycle.soft().clone(),
                move || {
                    reloads.fetch_add(1, Ordering::Relaxed);
                    begun.notify_one();
                    std::future::pending()
                },
            )
        });
        let steering = tokio::spawn(steer(signals, lifecycle.clone(), requests));
        send("HUP");
        timeout(PATIENCE, begun.notified()).await.unwrap();
        send("TERM");
        timeout(PATIENCE, lifecycle.soft().cancelled())
            .await
            .unwrap();
        timeout(PATIENCE, worker).await.unwrap().unwrap();
        assert!(!lifecycle.hard().is_cancelled(), "the first one drains");

        // The second signal, of either kind, ends it now.
        send("INT");
        timeout(PATIENCE, lifecycle.hard().cancelled())
            .await
            .unwrap();
        timeout(PATIENCE, steering).await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn slow_reload_does_not_block_sigterm() {
        let lifecycle = Lifecycle::default();
        let requests = Requests::default();
        requests.reload.notify_one();
        lifecycle.spawn(
            "reload",
            serve_requests(
                Arc::clone(&requests.reload),
                lifecycle.soft().clone(),
                || tokio::time::sleep(Duration::from_secs(3_600)),
            ),
        );
        tokio::task::yield_now().await;
        let begin = tokio::time::Instant::now();
        assert_eq!(lifecycle.shutdown(Duration::from_secs(30)).await, None);
        assert_eq!(begin.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn requests_during_one_are_one_more() {
        let requests = Arc::new(Notify::new());
        let served = Arc::new(AtomicU32::new(0));
        let stop = CancellationToken::new();
        requests.notify_one();
        let task = tokio::spawn(serve_requests(Arc::clone(&requests), stop.clone(), {
            let served = Arc::clone(&served);
            move || {
                let served = Arc::clone(&served);
                async move {
                    tokio::time::sleep(Duration::from_secs(10)).await;
                    served.fetch_add(1, Ordering::Relaxed);
                }
            }
        }));
        tokio::time::sleep(Duration::from_secs(5)).await;
        for _ in 0..4 {
            requests.notify_one();
        }
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(served.load(Ordering::Relaxed), 2);
        stop.cancel();
        timeout(PATIENCE, task).await.unwrap().unwrap();
    }
}
