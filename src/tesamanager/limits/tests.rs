//! How calls of one process wait for the rate and for each other.

use super::*;

fn limits(reads_per_second: u32, max_in_flight: usize) -> Arc<Limits> {
    let rates = Arc::new(LocalRates::default());
    Arc::new(Limits::new(
        rates,
        reads_per_second,
        1,
        Some(max_in_flight),
        1,
    ))
}

fn org() -> Org {
    Org::from("one")
}

/// When each of so many calls that come together may go.
async fn gone(limits: &Arc<Limits>, calls: usize, haste: Haste) -> Vec<Duration> {
    let began = Instant::now();
    let calls = (0..calls).map(|_| async {
        let _slot = limits.admit_read(&org(), haste).await.unwrap();
        began.elapsed()
    });
    let mut gone = futures::future::join_all(calls).await;
    gone.sort();
    gone
}

#[tokio::test(start_paused = true)]
async fn calls_go_at_the_rate_and_one_after_the_other() {
    let gone = gone(&limits(100, 64), 200, Haste::Sweep).await;
    let last = gone.last().unwrap();
    assert!(*last >= Duration::from_millis(1_980), "{last:?}");
    assert!(*last <= Duration::from_millis(2_100), "{last:?}");
    for window in gone.windows(12) {
        let took = window[11] - window[0];
        assert!(took >= Duration::from_millis(90), "a burst: {window:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_in_haste_overtakes_a_sweep() {
    let limits = limits(20, 64);
    let sweep = tokio::spawn({
        let limits = Arc::clone(&limits);
        async move { gone(&limits, 200, Haste::Sweep).await }
    });
    tokio::time::sleep(Duration::from_secs(2)).await;
    let prompt = gone(&limits, 1, Haste::Prompt).await;
    assert!(prompt[0] <= Duration::from_millis(600), "{prompt:?}");
    assert!(!sweep.is_finished());
    sweep.abort();
}

#[tokio::test(start_paused = true)]
async fn a_throttled_org_does_not_hold_the_slots_of_another() {
    let limits = limits(1000, 1);
    let slow = Org::from("slow");
    limits.hold_back(&slow, Duration::from_secs(20)).await;
    let waiter = tokio::spawn({
        let limits = Arc::clone(&limits);
        async move { limits.admit_read(&slow, Haste::Sweep).await.map(drop) }
    });
    tokio::task::yield_now().await;
    assert_eq!(gone(&limits, 50, Haste::Sweep).await.len(), 50);
    assert!(!waiter.is_finished());
    assert_eq!(waiter.await.unwrap(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_long_pause_is_told_and_not_waited_for() {
    let limits = limits(10, 4);
    limits.hold_back(&org(), Duration::from_secs(600)).await;
    limits.hold_back(&org(), Duration::from_secs(20)).await;
    let refused = limits.admit_write(&org(), Haste::Prompt).await;
    assert!(
        matches!(refused, Err(NoLeave::HeldBack(left)) if left > Duration::from_secs(590)),
        "{refused:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_share_that_a_standstill_made_old_is_not_used() {
    let limits = limits(10, 8);
    let queue = limits.queue(&org(), RateKind::Reads, Haste::Sweep);
    queue.waiting.store(5, std::sync::atomic::Ordering::Relaxed);
    let first = queue.next(&*limits.rates, limits.reads).await;
    assert_eq!(first, Ok(Turn::At(Instant::now())));
    // The next share was for an instant 100 ms on.
    tokio::time::advance(Duration::from_millis(1_200)).await;
    let later = queue.next(&*limits.rates, limits.reads).await;
    assert_eq!(later, Ok(Turn::At(Instant::now())), "reserved anew");
}

/// Counts what is reserved, and how often.
#[derive(Default)]
struct Counted {
    rates: LocalRates,
    reservations: std::sync::atomic::AtomicU32,
    shares: std::sync::atomic::AtomicU32,
}

#[async_trait]
impl Rates for Counted {
    async fn reserve(&self, org: &Org, kind: RateKind, ask: Ask) -> Result<Grant, String> {
        use std::sync::atomic::Ordering::Relaxed;
        let grant = self.rates.reserve(org, kind, ask).await?;
        if matches!(grant, Grant::Granted(_)) {
            self.reservations.fetch_add(1, Relaxed);
            self.shares.fetch_add(ask.count, Relaxed);
        }
        Ok(grant)
    }

    async fn hold_back(&self, org: &Org, pause: Duration) {
        self.rates.hold_back(org, pause).await;
    }
}

/// How many reservations and shares so many calls took, some at once, each `pause` after the one before it.
async fn reserved_for(calls: u32, at_once: usize, rate: u32, pause: Duration) -> (u32, u32) {
    use futures::StreamExt as _;
    use std::sync::atomic::Ordering::Relaxed;
    let rates = Arc::new(Counted::default());
    let kept: Arc<dyn Rates> = rates.clone();
    let limits = Limits::new(kept, rate, 1, Some(at_once), 1);
    futures::stream::iter(0..calls)
        .map(|_| async {
            let _slot = limits.admit_read(&org(), Haste::Sweep).await.unwrap();
            tokio::time::sleep(pause).await;
        })
        .buffer_unordered(at_once)
        .collect::<()>()
        .await;
    (rates.reservations.load(Relaxed), rates.shares.load(Relaxed))
}

#[tokio::test(start_paused = true)]
async fn a_quick_sweep_reserves_ten_times_a_second_and_wastes_a_tenth_of_a_second() {
    let millisecond = Duration::from_millis(1);
    let (reservations, shares) = reserved_for(20_000, 16, 100_000, millisecond).await;
    // 16 at once, a millisecond each: 1.25 s.
    assert!(reservations <= 16, "{reservations}");
    assert!(shares <= 20_000 + 1_600, "{shares}");
}

#[tokio::test(start_paused = true)]
async fn calls_that_come_one_by_one_reserve_nothing_ahead() {
    let second = Duration::from_secs(1);
    assert_eq!(reserved_for(20, 1, 50, second).await, (20, 20));
}
