//! A way to make one loop of the real program stand still, for the drills: an alert, `/livez` and the watchdog are
//! only known to notice a dead loop once one has died. Nothing that a test can do from outside does that: a signal
//! stops the whole process, and a store or an upstream that hangs runs into the time-outs that every call has.
//!
//! Only in builds with debug assertions. A release holds none of this, whatever its environment says.

use std::time::Duration;

/// Names the folder in which a file with the name of a task of the [`Lifecycle`](super::Lifecycle) (`scheduler`) stops that task for as long as it is there.
pub const VARIABLE: &str = "TESA_RECONCILER_WEDGE";

/// How soon a task notices that its file has gone.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// `work`, which in a drill is not polled while the file `name` is there. Cancel safe if `work` is.
pub async fn able<F: Future>(name: &'static str, work: F) -> F::Output {
    if cfg!(debug_assertions)
        && let Some(folder) = std::env::var_os(VARIABLE)
    {
        let file = std::path::Path::new(&folder).join(name);
        return while_absent(&file, work).await;
    }
    work.await
}

async fn while_absent<F: Future>(file: &std::path::Path, work: F) -> F::Output {
    let mut work = std::pin::pin!(work);
    let mut look = tokio::time::interval(LOOK_EVERY);
    std::future::poll_fn(|cx| {
        // Whatever woke `work` meanwhile is seen when it is polled again.
        while look.poll_tick(cx).is_ready() {}
        if file.exists() {
            return std::task::Poll::Pending;
        }
        work.as_mut().poll(cx)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_wedged_loop_stands_still_and_goes_on_where_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("keeper");
        let (count, counted) = tokio::sync::watch::channel(0);
        let work = async move {
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                count.send_modify(|count| *count += 1);
            }
        };
        let path = file.clone();
        tokio::spawn(async move { while_absent(&path, work).await });
        let minute = Duration::from_secs(60);
        tokio::time::sleep(minute).await;
        let before = *counted.borrow();
        assert!(before >= 59, "{before}");

        std::fs::write(&file, "").unwrap();
        tokio::time::sleep(minute).await;
        assert!(*counted.borrow() <= before + 1, "{}", *counted.borrow());

        std::fs::remove_file(&file).unwrap();
        tokio::time::sleep(minute).await;
        assert!(*counted.borrow() >= before + 59, "{}", *counted.borrow());
    }

    #[tokio::test]
    async fn without_a_drill_the_work_is_just_done() {
        assert_eq!(able("keeper", std::future::ready(7)).await, 7);
    }
}
