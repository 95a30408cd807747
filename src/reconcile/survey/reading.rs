//! Reading a batch, in a task of its own: so answers are taken in and decoded on any core, while the survey's own task
//! decides on another batch or hands it to the store. (A task a batch, not one a request: that would cost more than it
//! brings.)

use std::sync::Arc;

use futures::{StreamExt, stream};
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use super::{Survey, SurveyError};
use crate::domain::ids::Org;
use crate::tesamanager::{ReadError, Tesamanager};

/// What was asked about, and what came of it.
type Answer<K, T> = (K, Result<T, ReadError>);

impl Survey<'_> {
    /// Has `read` ask about each of `items`, a bounded number at once, and answers what came of it in no order. Told to
    /// stop, it asks no more; an answer that ends the run ends it at once. Dropped, it leaves the rest.
    pub(in crate::reconcile) async fn read_each<K, T, F>(
        &self,
        items: Vec<K>,
        read: impl Fn(Arc<dyn Tesamanager>, Org, K) -> F + Send + 'static,
    ) -> Result<Vec<Answer<K, T>>, SurveyError>
    where
        K: Send + 'static,
        T: Send + 'static,
        F: Future<Output = Answer<K, T>> + Send + 'static,
    {
        let (api, org) = (Arc::clone(self.api), self.context.org.clone());
        let (stop, at_once) = (self.stop.clone(), self.max_in_flight.max(1));
        let reading = async move {
            let mut answers = Vec::with_capacity(items.len());
            let asked = stream::iter(items)
                .take_until(stop.cancelled_owned())
                .map(move |item| read(Arc::clone(&api), org.clone(), item))
                .buffer_unordered(at_once);
            tokio::pin!(asked);
            while let Some(answer) = asked.next().await {
                match answer {
                    (_, Err(error)) if error.ends_the_run() => return Err(error),
                    answer => answers.push(answer),
                }
            }
            Ok(answers)
        };
        let task = AbortOnDropHandle::new(tokio::spawn(reading.in_current_span()));
        match task.await {
            Ok(answers) => Ok(answers?),
            // A panic is the run's own, as if there were no task.
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(SurveyError::Stopped),
            },
        }
    }
}
