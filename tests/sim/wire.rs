//! The way between one process and the upstream. A process that is gone sends nothing any more and hears nothing; one
//! that stands still sends and hears once it goes on.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use tesa_reconciler::sandbox::WithoutSockets;
use tesa_reconciler::tesamanager::{AnswerBody, InProcess};
use tokio::sync::watch;

/// How a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    Goes,
    StandsStill,
    Gone,
}

/// A process's life, as seen by what stands between it and the world.
#[derive(Debug, Clone)]
pub struct Pulse {
    life: Arc<watch::Sender<Life>>,
    doom: Arc<Mutex<Option<Doom>>>,
}

/// The next write is the last: before it has left, or after it has come in.
struct Doom {
    after: bool,
    end: Box<dyn FnOnce() + Send>,
}

impl std::fmt::Debug for Doom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Doom").finish_non_exhaustive()
    }
}

impl Default for Pulse {
    fn default() -> Self {
        Self {
            life: Arc::new(watch::Sender::new(Life::Goes)),
            doom: Arc::default(),
        }
    }
}

impl Pulse {
    pub fn set(&self, life: Life) {
        // The dead stay dead.
        self.life.send_if_modified(|now| {
            let changes = *now != Life::Gone && *now != life;
            if changes {
                *now = life;
            }
            changes
        });
    }

    pub fn is(&self, life: Life) -> bool {
        *self.life.borrow() == life
    }

    /// The next write is its last.
    pub fn doom(&self, after: bool, end: impl FnOnce() + Send + 'static) {
        let end = Box::new(end);
        *self.doom.lock().unwrap() = Some(Doom { after, end });
    }

    /// Or not.
    pub fn doom_is_off(&self) {
        *self.doom.lock().unwrap() = None;
    }

    fn meets_doom(&self, after: bool) {
        let mut doom = self.doom.lock().unwrap();
        let met = doom.take_if(|doom| doom.after == after);
        drop(doom);
        if let Some(met) = met {
            (met.end)();
        }
    }

    /// Returns once the process goes; never, if it is gone.
    pub async fn goes(&self) {
        let mut seen = self.life.subscribe();
        // The sender lives as long as this does.
        let _ = seen.wait_for(|life| *life == Life::Goes).await;
    }
}

#[derive(Debug)]
pub struct Wire {
    pub upstream: WithoutSockets,
    pub pulse: Pulse,
}

#[async_trait]
impl InProcess for Wire {
    async fn answer(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<AnswerBody>, String> {
        self.pulse.goes().await;
        // Others run while it is on its way, and whoever is gone by then has sent nothing.
        tokio::task::yield_now().await;
        let is_write = request.method() == http::Method::POST;
        if is_write {
            self.pulse.meets_doom(false);
        }
        self.pulse.goes().await;
        let answer = self.upstream.answer(request).await;
        if is_write {
            self.pulse.meets_doom(true);
        }
        self.pulse.goes().await;
        answer
    }
}
