//! How a run by a timer or a CronJob is watched: it leaves its metrics in a file, or pushes them.
//!
//! Whether anybody takes them changes nothing about the run: what goes wrong here is logged, and no more.

use std::path::PathBuf;

use clap::Args;

use super::exit::Exit;
use crate::clock::{Clock as _, SystemClock};
use crate::telemetry::push::push;
use crate::telemetry::textfile::{self, Ending, Sample};

/// Where the metrics go.
#[derive(Debug, Args)]
pub struct Watched {
    /// With --once: leave the metrics in this file, for node_exporter's textfile collector
    #[arg(long, value_name = "FILE", requires = "once", value_hint = clap::ValueHint::FilePath)]
    textfile: Option<PathBuf>,
    /// With --once: push the metrics, as to http://pushgateway:9091/metrics/job/tesa-reconciler
    #[arg(long, value_name = "URL", requires = "once", value_parser = address)]
    push: Option<String>,
}

fn address(text: &str) -> Result<String, String> {
    match reqwest::Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
            Ok(text.to_owned())
        }
        _ => Err("an address is http://HOST:PORT/metrics/job/NAME".to_owned()),
    }
}

impl Watched {
    /// Tells how it ended, and what was learnt of the store.
    pub async fn tell(&self, exit: Exit, learnt: &[Sample]) {
        let ending = Ending {
            code: exit as u8,
            well: matches!(exit, Exit::Done | Exit::PartialOrHeld),
            at: SystemClock.now(),
        };
        if let Some(file) = &self.textfile {
            let before = std::fs::read_to_string(file).unwrap_or_default();
            let page = textfile::page(ending, learnt, &before);
            if let Err(error) = textfile::put(file, &page) {
                tracing::warn!(file = %file.display(), %error, "the metrics could not be left behind");
            }
        }
        if let Some(url) = &self.push
            && let Err(error) = push(url, textfile::page(ending, learnt, "")).await
        {
            tracing::warn!(%error, "the metrics could not be pushed");
        }
    }
}
